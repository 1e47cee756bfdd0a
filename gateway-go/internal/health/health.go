// Package health answers /livez and /readyz.
package health

import (
	"encoding/json"
	"net/http"
	"time"

	"bimetal.dev/contract"
	"bimetal.dev/gateway/internal/exchange"
	"bimetal.dev/gateway/internal/lifecycle"
)

// Handlers are the handlers.
type Handlers struct {
	service string
	state   *lifecycle.Lifecycle
	ready   func() (map[string]any, error)
}

// New makes them; ready is what the service has to say of itself when it is ready, or why it is not.
func New(service string, state *lifecycle.Lifecycle, ready func() (map[string]any, error)) *Handlers {
	return &Handlers{service: service, state: state, ready: ready}
}

// Live says that the process lives, which it proves by answering.
func (h *Handlers) Live(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Cache-Control", "no-store")
	exchange.WriteJSON(w, http.StatusOK, []byte(`{"status":"live"}`))
	return nil
}

// Ready says that requests should be sent here: the service is ready and does not drain.
func (h *Handlers) Ready(w http.ResponseWriter, _ *http.Request) error {
	if h.state.IsDraining() {
		return contract.Errorf(contract.Draining, "the %s is draining", h.service).RetryAfter(time.Second)
	}
	fields, err := h.ready()
	if err != nil {
		return err
	}
	fields["status"] = "ready"
	body, err := json.Marshal(fields)
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	exchange.WriteJSON(w, http.StatusOK, body)
	return nil
}
