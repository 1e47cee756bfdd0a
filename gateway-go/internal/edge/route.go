package edge

import (
	"context"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// connectLimit is how long one target may take to accept.
	connectLimit = time.Second
	// searchLimit is how long a connection looks for a target altogether.
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
	failed   atomic.Uint64 // attempts to connect
	limited  atomic.Uint64 // connections refused because there were too many
	lost     atomic.Uint64 // connections for which no target could be reached
}

// target is one instance. Its counts last as long as it is a target or connections to it stand.
type target struct {
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

// lead gives the route other targets, for new connections; those that stand are left alone.
func (r *route) lead(addresses []string) {
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

// connect reaches the target whose turn it is, or the next one. The target's open connections count this one already.
// nil: there is none that can be reached.
func (r *route) connect(ctx context.Context) (*net.TCPConn, *target) {
	ctx, cancel := context.WithTimeout(ctx, searchLimit)
	defer cancel()
	for {
		targets := r.targets.Load()
		for _, t := range r.order(*targets) {
			t.open.Add(1)
			if conn := t.connect(ctx); conn != nil {
				return conn, t
			}
			t.open.Add(-1)
			r.failed.Add(1)
		}
		if r.targets.Load() == targets || ctx.Err() != nil {
			return nil, nil
		}
		// Others have taken their place while this connection looked for one of them.
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

func (t *target) connect(ctx context.Context) *net.TCPConn {
	dialer := net.Dialer{Timeout: connectLimit}
	conn, err := dialer.DialContext(ctx, "tcp", t.address)
	if err != nil {
		t.failed.Add(1)
		t.failedAt.Store(time.Now().UnixNano())
		return nil
	}
	t.made.Add(1)
	t.failedAt.Store(0)
	return conn.(*net.TCPConn) // what "tcp" gives
}
