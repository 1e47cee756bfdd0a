package gateway

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// connections are those of a server. It knows which have a request under way or are about to send their first:
// http.Server drops what it reads after Shutdown was called, even whole requests; so the listeners are closed first,
// these are waited for, and only then the server is shut down, which closes the idle ones.
type connections struct {
	limit   int
	refused prometheus.Counter

	mu   sync.Mutex
	open map[net.Conn]bool // whether it is busy
	busy int
}

func newConnections(limit int, registry prometheus.Registerer) *connections {
	c := &connections{limit: limit, open: map[net.Conn]bool{}, refused: prometheus.NewCounter(prometheus.CounterOpts{
		Namespace: "bimetal_gateway", Name: "http_connections_refused_total", Help: "Connections reset because too many stood already.",
	})}
	registry.MustRegister(c.refused, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: "bimetal_gateway", Name: "http_connections", Help: "Connections of clients that stand.",
	}, func() float64 {
		c.mu.Lock()
		defer c.mu.Unlock()
		return float64(len(c.open))
	}))
	return c
}

// track is an http.Server.ConnState.
func (c *connections) track(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	was, known := c.open[conn]
	if was {
		c.busy--
	}
	switch {
	case state == http.StateClosed || state == http.StateHijacked:
		delete(c.open, conn)
	case known || len(c.open) < c.limit:
		busy := state != http.StateIdle
		c.open[conn] = busy
		if busy {
			c.busy++
		}
	case state == http.StateNew:
		c.refused.Inc()
		_ = conn.(*net.TCPConn).SetLinger(0) // a reset: what the client has sent was not even read
		_ = conn.Close()
	}
}

func (c *connections) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.busy
}

// quiet waits until no connection is busy, or ctx ends. A connection of HTTP/2 stays busy until it is told to go, which
// Shutdown does without losing anything; the same goes for one that never sends a request: so the wait has a limit.
func (c *connections) quiet(ctx context.Context, limit time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	for c.count() > 0 {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}
