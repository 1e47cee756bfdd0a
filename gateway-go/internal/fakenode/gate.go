package fakenode

import (
	"net"
	"sync"
)

// gate is a listener whose connections can be broken, or halted as those of a stopped process.
type gate struct {
	net.Listener
	mu    sync.Mutex
	conns map[*gatedConn]struct{}
	open  chan struct{} // closed while traffic may pass
}

func newGate(listener net.Listener) *gate {
	open := make(chan struct{})
	close(open)
	return &gate{Listener: listener, conns: map[*gatedConn]struct{}{}, open: open}
}

func (g *gate) Accept() (net.Conn, error) {
	conn, err := g.Listener.Accept()
	if err != nil {
		return nil, err
	}
	gated := &gatedConn{Conn: conn, gate: g, closed: make(chan struct{})}
	g.mu.Lock()
	g.conns[gated] = struct{}{}
	g.mu.Unlock()
	return gated, nil
}

func (g *gate) pause() {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-g.open:
		g.open = make(chan struct{})
	default:
	}
}

func (g *gate) resume() {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-g.open:
	default:
		close(g.open)
	}
}

func (g *gate) breakAll() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for conn := range g.conns {
		conn.closeOnce()
	}
}

func (g *gate) count() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.conns)
}

type gatedConn struct {
	net.Conn
	gate   *gate
	once   sync.Once
	closed chan struct{}
}

// wait blocks while the gate is shut, or until the connection is closed.
func (c *gatedConn) wait() {
	c.gate.mu.Lock()
	open := c.gate.open
	c.gate.mu.Unlock()
	select {
	case <-open:
	case <-c.closed:
	}
}

func (c *gatedConn) Read(p []byte) (int, error) {
	c.wait()
	n, err := c.Conn.Read(p)
	c.wait() // what arrived while the gate was shut is not handed on
	return n, err
}

func (c *gatedConn) Write(p []byte) (int, error) {
	c.wait()
	return c.Conn.Write(p)
}

func (c *gatedConn) closeOnce() {
	c.once.Do(func() {
		close(c.closed)
		_ = c.Conn.Close()
	})
}

func (c *gatedConn) Close() error {
	c.closeOnce()
	c.gate.mu.Lock()
	delete(c.gate.conns, c)
	c.gate.mu.Unlock()
	return nil
}
