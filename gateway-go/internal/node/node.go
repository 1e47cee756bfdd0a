package node

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"bimetal.dev/contract"
	cachev1 "bimetal.dev/contract/gen/bimetal/cache/v1"
	controlv1 "bimetal.dev/contract/gen/bimetal/control/v1"
)

// Node is a cache node as the gateway sees it. It is safe for concurrent use.
type Node struct {
	options Options
	session atomic.Pointer[session]
	// connected is closed once there has been a session.
	connected chan struct{}
	// failure is why there is no session.
	failure atomic.Pointer[error]
	stop    context.CancelFunc
	stopped chan struct{}
}

// Start makes a Node, which connects in the background until it is closed.
func Start(options Options) *Node {
	ctx, stop := context.WithCancel(context.Background())
	n := &Node{
		options: options.withDefaults(), connected: make(chan struct{}), stop: stop, stopped: make(chan struct{}),
	}
	go n.run(ctx)
	return n
}

// Close ends the session; what is in flight ends by the rule for lost connections.
func (n *Node) Close() {
	n.stop()
	<-n.stopped
	n.options.Metrics.forget(n.options.Name)
}

// Name is the node's name.
func (n *Node) Name() string { return n.options.Name }

// Address is where the node is looked for.
func (n *Node) Address() string { return n.options.Address }

// Up says whether there is a session.
func (n *Node) Up() bool { return n.session.Load() != nil }

// Connected is closed once there has been a session.
func (n *Node) Connected() <-chan struct{} { return n.connected }

// Do brings an operation to the node. bulk chooses the connection for large values. The error is one of:
// NODE_UNAVAILABLE, OVERLOADED, DEADLINE_EXCEEDED, CANCELLED (not begun, or a read) and OUTCOME_UNKNOWN. What the node
// itself refuses is in the result.
func (n *Node) Do(ctx context.Context, operation *cachev1.Operation, bulk bool, traceparent string) (*cachev1.OperationResult, *contract.Error) {
	s := n.session.Load()
	if s == nil {
		return nil, n.unavailable()
	}
	l := s.smallLane
	if bulk {
		l = s.bulkLane
	}
	return l.do(ctx, s.ctx, operation, traceparent)
}

// Unanswered is how many operations have been written and not answered, on both lanes; 0 without a session.
func (n *Node) Unanswered() int {
	s := n.session.Load()
	if s == nil {
		return 0
	}
	return int(s.smallLane.pending.Load() + s.bulkLane.pending.Load())
}

// Control is the connection for everything but the Pipeline; the error is NODE_UNAVAILABLE.
func (n *Node) Control() (*Control, *contract.Error) {
	s := n.session.Load()
	if s == nil {
		return nil, n.unavailable()
	}
	return &Control{
		Cache:      cachev1.NewCacheServiceClient(s.control.grpc),
		Namespaces: cachev1.NewNamespaceServiceClient(s.control.grpc),
		Control:    controlv1.NewControlServiceClient(s.control.grpc),
		Ended:      s.ctx,
	}, nil
}

// Control are the generated clients of one session.
type Control struct {
	Cache      cachev1.CacheServiceClient
	Namespaces cachev1.NamespaceServiceClient
	Control    controlv1.ControlServiceClient
	// Ended ends with the session; context.Cause says why.
	Ended context.Context
}

func (n *Node) unavailable() *contract.Error {
	cause := errors.New("not connected yet")
	if failure := n.failure.Load(); failure != nil {
		cause = *failure
	}
	return unavailable(cause)
}

// run begins sessions until ctx ends. There is no back-off: the contract wants a node that is back to be found within
// 200 ms, and an attempt costs next to nothing.
func (n *Node) run(ctx context.Context) {
	defer close(n.stopped)
	defer n.session.Store(nil)
	up := n.options.Metrics.up.WithLabelValues(n.options.Name)
	connects := n.options.Metrics.connects.WithLabelValues(n.options.Name)
	failures := n.options.Metrics.failures.WithLabelValues(n.options.Name)
	log := n.options.Log.With("node", n.options.Name, "address", n.options.Address)
	up.Set(0)
	reported := false
	first := true
	for ctx.Err() == nil {
		s, err := begin(ctx, n.options)
		if err == nil {
			reported = false
			n.failure.Store(nil)
			n.session.Store(s)
			if first {
				first = false
				close(n.connected) // who was told finds the session
			}
			up.Set(1)
			connects.Inc()
			log.Info("node up", "incarnation", fmt.Sprintf("%016x", s.identity.GetIncarnation()), "contract_revision", s.identity.GetContract().GetRevision())
			<-s.ctx.Done()
			err = context.Cause(s.ctx)
			n.failure.Store(&err)
			n.session.Store(nil)
			up.Set(0)
			s.end(errClosed)
			if ctx.Err() != nil {
				return
			}
			log.Warn("node down", "error", err.Error())
			failures.Inc()
			continue // the first attempt is at once
		}
		if ctx.Err() != nil {
			return
		}
		n.failure.Store(&err)
		failures.Inc()
		if !reported { // once for each outage
			reported = true
			log.Warn("node cannot be reached, trying again", "error", err.Error())
		}
		select {
		case <-ctx.Done():
		case <-time.After(n.options.Redial):
		}
	}
}
