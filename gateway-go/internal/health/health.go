// Package health answers /livez and /readyz, on both listeners.
package health

import (
	"encoding/json"
	"net/http"
	"time"

	"bimetal.dev/contract"
	"bimetal.dev/gateway/internal/exchange"
	"bimetal.dev/gateway/internal/lifecycle"
	"bimetal.dev/gateway/internal/node"
)

// patience is how long a gateway waits at its start for all of its nodes before it is ready with some of them.
const patience = 5 * time.Second

// Handlers are the handlers.
type Handlers struct {
	state *lifecycle.Lifecycle
	nodes func() ([]*node.Node, <-chan struct{})
}

// New makes them; nodes are those of the present topology.
func New(state *lifecycle.Lifecycle, nodes func() ([]*node.Node, <-chan struct{})) *Handlers {
	return &Handlers{state: state, nodes: nodes}
}

// Live says that the process lives, which it proves by answering.
func (h *Handlers) Live(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Cache-Control", "no-store")
	exchange.WriteJSON(w, http.StatusOK, []byte(`{"status":"live"}`))
	return nil
}

// Ready says that requests should be sent here: the gateway serves, does not drain, and reaches nodes. At its start it
// waits for all of them; later one is enough, because a dead node makes its own keys fail and must not make the
// gateway leave the others'.
func (h *Handlers) Ready(w http.ResponseWriter, _ *http.Request) error {
	if err := h.Check(); err != nil {
		return err
	}
	nodes, _ := h.nodes()
	states := make(map[string]string, len(nodes))
	for _, n := range nodes {
		states[n.Name()] = "down"
		if n.Up() {
			states[n.Name()] = "up"
		}
	}
	body, err := json.Marshal(map[string]any{"status": "ready", "nodes": states})
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	exchange.WriteJSON(w, http.StatusOK, body)
	return nil
}

// Check is why the gateway is not ready; nil: it is.
func (h *Handlers) Check() error {
	if h.state.IsDraining() {
		return contract.Errorf(contract.Draining, "the gateway is draining").RetryAfter(time.Second)
	}
	nodes, _ := h.nodes()
	up, met := 0, 0
	for _, n := range nodes {
		if n.Up() {
			up++
		}
		select {
		case <-n.Connected():
			met++
		default:
		}
	}
	if up == 0 || met < len(nodes) && time.Since(h.state.Started()) < patience {
		return contract.Errorf(contract.NodeUnavailable, "%d of %d nodes can be reached", up, len(nodes)).RetryAfter(time.Second)
	}
	return nil
}
