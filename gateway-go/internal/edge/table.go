package edge

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"bimetal.dev/contract"
	controlv1 "bimetal.dev/contract/gen/bimetal/control/v1"
	"bimetal.dev/gateway/internal/process"
)

// table holds the routes. serve is called with every new door, in a goroutine of its own that ends with the door.
type table struct {
	serve func(*door)

	mu     sync.Mutex
	doors  []*door
	closed bool
}

// door is one listener and the route that it serves now.
type door struct {
	// asked is what a route asked for, bound is what came of it; they differ where the port was 0.
	asked, bound string
	listener     *net.TCPListener
	route        atomic.Pointer[route]
}

// set replaces all routes, which are valid (see check), and answers them with the addresses that are bound. When an
// address cannot be bound nothing is changed; the error then wraps process.ErrListen.
func (t *table) set(routes []*controlv1.Route) ([]*controlv1.Route, *contract.Error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil, contract.Errorf(contract.Draining, "the edge is draining")
	}
	doors, opened, err := t.doorsFor(routes)
	if err != nil {
		return nil, err
	}
	former := t.routes()
	bound := make([]*controlv1.Route, len(routes))
	for i, want := range routes {
		r := former[want.GetName()]
		if r == nil {
			r = newRoute(want.GetName())
		}
		r.retarget(want.GetTargets())
		doors[i].route.Store(r)
		bound[i] = &controlv1.Route{Name: want.GetName(), Listen: doors[i].bound, Targets: want.GetTargets()}
	}
	for _, d := range t.doors {
		if !slices.Contains(doors, d) {
			_ = d.listener.Close() // nothing to do about it
		}
	}
	t.doors = doors
	for _, d := range opened {
		t.serve(d)
	}
	return bound, nil
}

func (t *table) routes() map[string]*route {
	routes := make(map[string]*route, len(t.doors))
	for _, d := range t.doors {
		r := d.route.Load()
		routes[r.name] = r
	}
	return routes
}

// doorsFor finds or opens a door for each route, in their order.
func (t *table) doorsFor(routes []*controlv1.Route) (doors, opened []*door, _ *contract.Error) {
	doors = make([]*door, len(routes))
	take := func(i int, fits func(*door) bool) {
		for _, d := range t.doors {
			if doors[i] == nil && fits(d) && !slices.Contains(doors, d) {
				doors[i] = d
			}
		}
	}
	for i, want := range routes { // the route's own
		take(i, func(d *door) bool {
			return d.route.Load().name == want.GetName() && (d.asked == want.GetListen() || d.bound == want.GetListen())
		})
	}
	for i, want := range routes { // one that another route has left at the same address
		if doors[i] == nil {
			take(i, func(d *door) bool { return d.bound == want.GetListen() })
		}
	}
	for i, want := range routes {
		if doors[i] != nil {
			continue
		}
		d, err := open(want.GetListen())
		if err != nil {
			for _, d := range opened {
				_ = d.listener.Close() // nobody has been told of it
			}
			return nil, nil, contract.Invalid("routes.listen", "%q of %q cannot be opened: %v", want.GetListen(), want.GetName(), cause(err)).
				Because(fmt.Errorf("%w: %w", process.ErrListen, err))
		}
		doors[i] = d
		opened = append(opened, d)
	}
	return doors, opened, nil
}

func open(address string) (*door, error) {
	var binding net.ListenConfig
	listener, err := binding.Listen(context.Background(), "tcp", address)
	if err != nil {
		return nil, err
	}
	return &door{asked: address, bound: listener.Addr().String(), listener: listener.(*net.TCPListener)}, nil
}

// cause leaves out what net puts around an error: the address stands in the sentence already.
func cause(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}

// list is all doors, ordered by the names of their routes.
func (t *table) list() []*door {
	t.mu.Lock()
	defer t.mu.Unlock()
	doors := slices.Clone(t.doors)
	slices.SortFunc(doors, func(a, b *door) int { return strings.Compare(a.route.Load().name, b.route.Load().name) })
	return doors
}

// close closes all doors for good; their routes are still listed.
func (t *table) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	for _, d := range t.doors {
		_ = d.listener.Close() // the second time it is closed already
	}
}
