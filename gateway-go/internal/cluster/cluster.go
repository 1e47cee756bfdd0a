package cluster

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"bimetal.dev/contract"
	controlv1 "bimetal.dev/contract/gen/bimetal/control/v1"
	"bimetal.dev/gateway/internal/node"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/singleflight"
	"google.golang.org/protobuf/proto"
)

// removalDelay is how long a node that left the topology is still talked to, so that what is in flight can end.
const removalDelay = 5 * time.Second

// Cluster is safe for concurrent use.
type Cluster struct {
	start     Start
	patience  time.Duration
	metrics   *metrics
	current   atomic.Pointer[view]
	refreshes singleflight.Group
	// waiting has a place for each operation that waits before it is repeated.
	waiting chan struct{}

	mu      sync.Mutex // one change at a time
	closed  chan struct{}
	leaving sync.WaitGroup
}

// view is one topology with its nodes; it is never changed.
type view struct {
	topology *controlv1.Topology
	names    []string
	nodes    []*node.Node
	replaced chan struct{} // closed when another view takes its place
}

// Start makes the connection to one node; learn takes the topologies that its processes have.
type Start func(name, address string, learn func(*controlv1.Topology)) *node.Node

// New makes a Cluster of a valid topology (see Check). patience is how long after its first failure an operation may still
// be repeated.
func New(topology *controlv1.Topology, patience time.Duration, registry prometheus.Registerer, start Start) *Cluster {
	c := &Cluster{start: start, patience: patience, closed: make(chan struct{}), waiting: make(chan struct{}, maxWaiting)}
	c.current.Store(&view{replaced: make(chan struct{})})
	c.metrics = newMetrics(registry, c)
	c.mu.Lock() // a node may have a newer topology before this one is in place
	defer c.mu.Unlock()
	c.replace(topology)
	return c
}

// Close ends all connections.
func (c *Cluster) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.closed)
	c.leaving.Wait()
	var closing sync.WaitGroup
	for _, n := range c.current.Load().nodes {
		closing.Go(n.Close)
	}
	closing.Wait()
}

// Topology is the one in use. Not to be changed.
func (c *Cluster) Topology() *controlv1.Topology { return c.current.Load().topology }

// Nodes are those of the topology, in its order. replaced is closed when that is out of date.
func (c *Cluster) Nodes() (nodes []*node.Node, replaced <-chan struct{}) {
	v := c.current.Load()
	return v.nodes, v.replaced
}

// SetTopology replaces the topology. A lower epoch than the present one is INVALID_ARGUMENT, and so is the same epoch
// with other nodes; the same again does nothing.
func (c *Cluster) SetTopology(topology *controlv1.Topology) *contract.Error {
	if err := Check(topology); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.closed:
		return contract.Errorf(contract.Draining, "the gateway is draining")
	default:
	}
	present := c.current.Load().topology
	switch {
	case topology.GetEpoch() < present.GetEpoch():
		return contract.Invalid("topology.epoch", "%d is lower than the present %d", topology.GetEpoch(), present.GetEpoch())
	case topology.GetEpoch() == present.GetEpoch() && !proto.Equal(topology, present):
		return contract.Invalid("topology.epoch", "%d is in use with other nodes", topology.GetEpoch())
	case topology.GetEpoch() > present.GetEpoch():
		c.replace(topology)
	}
	return nil
}

// learn takes a topology if it is newer. Nobody waits for it: a node that begins a session calls it, and a change of the
// topology may be waiting for that node to end.
func (c *Cluster) learn(topology *controlv1.Topology) {
	if topology.GetEpoch() > c.Topology().GetEpoch() {
		go func() { _ = c.SetTopology(topology) }() // what a node takes for valid is; one that is older by now is not needed
	}
}

// replace makes the view of a topology, keeping the nodes that stay where they are. One that has moved gets a new
// connection; the old one ends with the process behind it.
func (c *Cluster) replace(topology *controlv1.Topology) {
	former := c.current.Load()
	next := &view{topology: proto.CloneOf(topology), replaced: make(chan struct{})}
	kept := map[*node.Node]bool{}
	for _, want := range topology.GetNodes() {
		var n *node.Node
		for _, old := range former.nodes {
			if old.Name() == want.GetName() && old.Address() == want.GetAddress() {
				n = old
				kept[old] = true
			}
		}
		if n == nil {
			n = c.start(want.GetName(), want.GetAddress(), c.learn)
			if slices.Contains(former.names, want.GetName()) {
				c.metrics.moves.WithLabelValues(want.GetName()).Inc()
			}
		}
		next.names = append(next.names, want.GetName())
		next.nodes = append(next.nodes, n)
	}
	c.current.Store(next)
	close(former.replaced)
	for _, old := range former.nodes {
		if !kept[old] {
			old.Leave()
			c.leaving.Go(func() { c.remove(old) })
		}
	}
}

// remove ends the connection to a node that left, once what is in flight has had time to end.
func (c *Cluster) remove(old *node.Node) {
	select {
	case <-time.After(removalDelay):
	case <-c.closed:
	}
	old.Close()
	if !slices.Contains(c.current.Load().names, old.Name()) {
		old.Forget()
		c.metrics.forget(old.Name())
	}
}

// Refresh asks the process behind a node for its topology and takes it if it is newer. Many may ask at once; one does
// it. It ends with ctx, or after a second.
func (c *Cluster) Refresh(ctx context.Context, n *node.Node) {
	asked := c.refreshes.DoChan(n.Address(), func() (any, error) {
		control, unavailable := n.Control()
		if unavailable != nil {
			return nil, unavailable
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		description, err := control.Control.Describe(ctx, &controlv1.DescribeRequest{})
		if err != nil {
			return nil, err
		}
		if topology := description.GetTopology(); topology.GetEpoch() > c.Topology().GetEpoch() {
			if err := c.SetTopology(topology); err != nil {
				return nil, err
			}
		}
		return nil, nil
	})
	select {
	case <-asked: // what went wrong shows in what is asked of the node next
	case <-ctx.Done():
	}
}
