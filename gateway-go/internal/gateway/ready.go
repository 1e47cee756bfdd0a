package gateway

import (
	"time"

	"bimetal.dev/contract"
)

// patience is how long a gateway waits at its start for all of its nodes before it is ready with some of them.
const patience = 5 * time.Second

// ready is the state of the nodes, or why requests should not be sent here. At its start a gateway waits for all of its
// nodes; later one is enough, because a dead node makes its own keys fail and must not make the gateway leave the
// others'.
func (g *Gateway) ready() (map[string]any, error) {
	nodes, _ := g.cluster.Nodes()
	starting := time.Since(g.state.Started()) < patience
	up, met := 0, 0
	states := make(map[string]string, len(nodes))
	for _, n := range nodes {
		states[n.Name()] = "down"
		if n.Up() {
			states[n.Name()] = "up"
			up++
		}
		select {
		case <-n.Connected():
			met++
		default:
			if n.Fresh() && !starting {
				up++ // it has just moved; operations wait for it
			}
		}
	}
	if up == 0 || met < len(nodes) && starting {
		return nil, contract.Errorf(contract.NodeUnavailable, "%d of %d nodes can be reached", up, len(nodes)).RetryAfter(time.Second)
	}
	return map[string]any{"nodes": states}, nil
}
