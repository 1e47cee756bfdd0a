package edge

import (
	"context"
	"errors"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"bimetal.dev/gateway/internal/fdpass"
)

const (
	// connectLimit is how long one target may take to accept, before the next one is asked.
	connectLimit = time.Second
	// searchLimit is how long a connection looks for a target altogether, while there is one that is merely slow.
	searchLimit = 5 * time.Second
	// avoidFor is how long a target that could not be reached is tried last.
	avoidFor = time.Second
)

// route is a name and those whom it leads to. It lives as long as its name is in the table.
type route struct {
	name    string
	targets atomic.Pointer[[]*target]
	turn    atomic.Uint64

	mu sync.Mutex
	// left are former targets to which connections stand.
	left []*target

	open     atomic.Int64
	accepted atomic.Uint64
	passed   atomic.Uint64 // connections that targets have taken over
	failed   atomic.Uint64 // attempts to connect
	limited  atomic.Uint64 // connections refused because there were too many
	lost     atomic.Uint64 // connections for which no target could be reached
}

// target is one instance. Its counts last as long as it is a target or connections to it stand.
type target struct {
	// address is host:port, to which connections are relayed, or one of fdpass, at which the target takes them over.
	address  string
	open     atomic.Int64
	made     atomic.Uint64
	failed   atomic.Uint64
	failedAt atomic.Int64 // Unix nanoseconds; 0: it was reached the last time
}

func newRoute(name string) *route {
	r := &route{name: name}
	r.targets.Store(&[]*target{})
	return r
}

// retarget gives the route other targets, for new connections; those that stand are left alone.
func (r *route) retarget(addresses []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	known := append(slices.Clone(*r.targets.Load()), r.left...)
	targets := make([]*target, 0, len(addresses))
	for _, address := range addresses {
		i := slices.IndexFunc(known, func(t *target) bool { return t.address == address })
		if i < 0 {
			targets = append(targets, &target{address: address})
			continue
		}
		targets = append(targets, known[i])
		known = slices.Delete(known, i, i+1)
	}
	r.targets.Store(&targets)
	r.left = known
	r.forget()
}

// forget drops former targets without connections. The lock is held.
func (r *route) forget() {
	r.left = slices.DeleteFunc(r.left, func(t *target) bool { return t.open.Load() == 0 })
}

// known are the targets, and behind them the former ones to which connections stand.
func (r *route) known() []*target {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forget()
	return append(slices.Clone(*r.targets.Load()), r.left...)
}

func (r *route) addresses() []string {
	var addresses []string
	for _, t := range *r.targets.Load() {
		addresses = append(addresses, t.address)
	}
	return addresses
}

// lead finds the target whose turn it is, or the next one that can be reached, and either passes it the client's
// connection or connects to it. In the second case server is that connection, which the target's open connections count
// already. Without a target there is none that can be reached.
func (r *route) lead(ctx context.Context, client *net.TCPConn) (server *net.TCPConn, _ *target) {
	ctx, cancel := context.WithTimeout(ctx, searchLimit)
	defer cancel()
	everSlow := false
	for {
		targets, slow := r.targets.Load(), false
		for _, t := range r.order(*targets) {
			server, err := t.take(ctx, client)
			if err == nil {
				if server == nil {
					r.passed.Add(1)
				}
				return server, t
			}
			r.failed.Add(1)
			slow = slow || errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded)
		}
		everSlow = everSlow || slow
		// Once more, if others have taken their place meanwhile, or one has not said no.
		if r.targets.Load() == targets && !slow || ctx.Err() != nil {
			if everSlow {
				// It may still have a handle of the connection, which keeps it from being reset.
				_ = client.CloseWrite()
			}
			return nil, nil
		}
	}
}

// order is everybody's turn, those last that could not be reached a moment ago.
func (r *route) order(targets []*target) []*target {
	if len(targets) == 0 {
		return nil
	}
	first := int(r.turn.Add(1) % uint64(len(targets)))
	order := append(slices.Clone(targets[first:]), targets[:first]...)
	slices.SortStableFunc(order, func(a, b *target) int { return a.avoided() - b.avoided() })
	return order
}

func (t *target) avoided() int {
	if at := t.failedAt.Load(); at != 0 && time.Since(time.Unix(0, at)) < avoidFor {
		return 1
	}
	return 0
}

// take passes the client's connection to the target or connects to it.
func (t *target) take(ctx context.Context, client *net.TCPConn) (server *net.TCPConn, err error) {
	ctx, cancel := context.WithTimeout(ctx, connectLimit)
	defer cancel()
	if fdpass.Is(t.address) {
		err = fdpass.Send(ctx, t.address, client)
	} else {
		t.open.Add(1)
		var dialer net.Dialer
		var conn net.Conn
		if conn, err = dialer.DialContext(ctx, "tcp", t.address); err == nil {
			server = conn.(*net.TCPConn) // what "tcp" gives
		} else {
			t.open.Add(-1)
		}
	}
	if err != nil {
		t.failed.Add(1)
		t.failedAt.Store(time.Now().UnixNano())
		return nil, err
	}
	t.made.Add(1)
	t.failedAt.Store(0)
	return server, nil
}
