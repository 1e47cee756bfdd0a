package gateway

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"
)

// connections counts those of a server that have a request under way or are about to send their first. http.Server
// drops what it reads after Shutdown was called, even whole requests; so the listener is closed first, these are waited
// for, and only then the server is shut down, which closes the idle ones.
type connections struct {
	mu   sync.Mutex
	busy map[net.Conn]struct{}
}

// track is an http.Server.ConnState.
func (c *connections) track(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch state {
	case http.StateNew, http.StateActive:
		if c.busy == nil {
			c.busy = map[net.Conn]struct{}{}
		}
		c.busy[conn] = struct{}{}
	default:
		delete(c.busy, conn)
	}
}

func (c *connections) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.busy)
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
