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

// freshRedial is the pause between attempts to connect while a node is fresh.
const freshRedial = 20 * time.Millisecond

// Node is a cache node as the gateway sees it. It is safe for concurrent use.
type Node struct {
	options Options
	started time.Time
	phase   atomic.Pointer[phase]
	// connected is closed once there has been a session.
	connected chan struct{}
	// left says that the node is gone from the topology: the end of its session is no failure, and the last one.
	left    atomic.Bool
	stop    context.CancelFunc
	stopped chan struct{}
}

// phase is a stretch of a node's life in which nothing changes; it is never changed itself.
type phase struct {
	session *session // nil: none
	failure error    // why there is none
	failed  int      // attempts since there was one
	over    chan struct{}
}

// Start makes a Node, which connects in the background until it is closed.
func Start(options Options) *Node {
	ctx, stop := context.WithCancel(context.Background())
	n := &Node{
		options: options.withDefaults(), started: time.Now(), connected: make(chan struct{}), stop: stop,
		stopped: make(chan struct{}),
	}
	n.phase.Store(&phase{failure: errors.New("not connected yet"), over: make(chan struct{})})
	go n.run(ctx)
	return n
}

// Leave says that the node is gone from the topology: it is not dialled again, and its end is expected.
func (n *Node) Leave() { n.left.Store(true) }

// Close ends the session; what is in flight ends by the rule for lost connections.
func (n *Node) Close() {
	n.stop()
	<-n.stopped
}

// Forget drops the metrics under the node's name.
func (n *Node) Forget() { n.options.Metrics.forget(n.options.Name) }

// Name is the node's name.
func (n *Node) Name() string { return n.options.Name }

// Address is where the node is looked for.
func (n *Node) Address() string { return n.options.Address }

// Up says whether there is a session.
func (n *Node) Up() bool {
	s := n.phase.Load().session
	return s != nil && s.ctx.Err() == nil
}

// Returning says that the session has just ended, and that the first attempt to begin another one is under way.
func (n *Node) Returning() bool { return !n.Up() && n.phase.Load().failed == 0 }

// Connected is closed once there has been a session.
func (n *Node) Connected() <-chan struct{} { return n.connected }

// Changed is closed when a session begins or ends, or an attempt to begin one fails.
func (n *Node) Changed() <-chan struct{} { return n.phase.Load().over }

// Fresh says that the node has just been made and has not been connected to yet: it is no sign of its death that there is
// no session.
func (n *Node) Fresh() bool {
	select {
	case <-n.connected:
		return false
	default:
		return time.Since(n.started) < n.options.Patience
	}
}

// Do brings an operation to the node. bulk chooses the connection for large values. The error is one of:
// NODE_UNAVAILABLE, OVERLOADED, DEADLINE_EXCEEDED, CANCELLED (not begun, or a read) and OUTCOME_UNKNOWN. What the node
// itself refuses is in the result. Where there was no session the error's cause is a *DownError, where it ended under the
// operation a *LostError.
func (n *Node) Do(ctx context.Context, operation *cachev1.Operation, bulk bool, traceparent string) (*cachev1.OperationResult, *contract.Error) {
	return n.DoAt(ctx, 0, operation, bulk, traceparent)
}

// DoAt is Do for a process of this incarnation alone, if that is not 0. With any other it is as without a session.
func (n *Node) DoAt(ctx context.Context, incarnation uint64, operation *cachev1.Operation, bulk bool, traceparent string) (*cachev1.OperationResult, *contract.Error) {
	p := n.phase.Load()
	s := p.session
	if s == nil {
		return nil, unavailable(&DownError{p.failure})
	}
	if s.ctx.Err() != nil { // it ended, and run has not noticed yet
		return nil, unavailable(&DownError{context.Cause(s.ctx)})
	}
	if incarnation != 0 && incarnation != s.identity.GetIncarnation() {
		return nil, unavailable(&DownError{errReborn})
	}
	l := s.smallLane
	if bulk {
		l = s.bulkLane
	}
	return l.do(ctx, s, operation, traceparent)
}

// Incarnation is that of the process that there is a session with; 0 without one.
func (n *Node) Incarnation() uint64 {
	if s := n.phase.Load().session; s != nil {
		return s.identity.GetIncarnation()
	}
	return 0
}

// Unanswered is how many operations have been written and not answered, on both lanes; 0 without a session.
func (n *Node) Unanswered() int {
	s := n.phase.Load().session
	if s == nil {
		return 0
	}
	return int(s.smallLane.pending.Load() + s.bulkLane.pending.Load())
}

// Control is the connection for everything but the Pipeline; the error is NODE_UNAVAILABLE.
func (n *Node) Control() (*Control, *contract.Error) {
	p := n.phase.Load()
	if p.session == nil {
		return nil, unavailable(&DownError{p.failure})
	}
	if p.session.ctx.Err() != nil {
		return nil, unavailable(&DownError{context.Cause(p.session.ctx)})
	}
	return &Control{
		Cache:      cachev1.NewCacheServiceClient(p.session.control.grpc),
		Namespaces: cachev1.NewNamespaceServiceClient(p.session.control.grpc),
		Control:    controlv1.NewControlServiceClient(p.session.control.grpc),
		Ended:      p.session.ctx,
		session:    p.session,
	}, nil
}

// Control are the generated clients of one session.
type Control struct {
	Cache      cachev1.CacheServiceClient
	Namespaces cachev1.NamespaceServiceClient
	Control    controlv1.ControlServiceClient
	// Ended ends with the session; context.Cause says why.
	Ended   context.Context
	session *session
}

// Failure is the error of a call. For one that changes nothing, not to know its outcome is the same as that it was not
// begun.
func (c *Control) Failure(err error, read bool) *contract.Error {
	failure := contract.FromError(err, true)
	if failure == nil || failure.Reason() != contract.OutcomeUnknown {
		return failure
	}
	cause := &LostError{Incarnation: c.session.identity.GetIncarnation(), cause: failure}
	if read {
		return unavailable(cause)
	}
	return failure.Because(cause)
}

// enter begins another phase; only run does.
func (n *Node) enter(s *session, failure error) {
	former := n.phase.Load()
	next := &phase{session: s, failure: failure, over: make(chan struct{})}
	if s == nil && former.session == nil {
		next.failed = former.failed + 1
	}
	n.phase.Store(next)
	close(former.over)
}

// run begins sessions until ctx ends. There is no back-off: the contract wants a node that is back to be found within
// 200 ms, and an attempt costs next to nothing.
func (n *Node) run(ctx context.Context) {
	defer close(n.stopped)
	connects := n.options.Metrics.connects.WithLabelValues(n.options.Name)
	failures := n.options.Metrics.failures.WithLabelValues(n.options.Name)
	log := n.options.Log.With("node", n.options.Name, "address", n.options.Address)
	reported := false
	first := true
	for ctx.Err() == nil && !n.left.Load() {
		s, err := begin(ctx, n.options)
		if err == nil {
			reported = false
			n.enter(s, nil)
			if first {
				first = false
				close(n.connected) // who was told finds the session
			}
			connects.Inc()
			log.Info("node up", "incarnation", fmt.Sprintf("%016x", s.identity.GetIncarnation()), "contract_revision", s.identity.GetContract().GetRevision())
			<-s.ctx.Done()
			err = context.Cause(s.ctx)
			n.enter(nil, err)
			s.end(errClosed)
			if ctx.Err() != nil {
				return
			}
			if n.left.Load() {
				log.Info("a node that left the topology ended", "error", err.Error())
				return
			}
			log.Warn("node down", "error", err.Error())
			failures.Inc()
			continue // the first attempt is at once
		}
		if ctx.Err() != nil {
			return
		}
		n.enter(nil, err)
		failures.Inc()
		if !reported { // once for each outage
			reported = true
			log.Warn("node cannot be reached, trying again", "error", err.Error())
		}
		pause := n.options.Redial
		if n.Fresh() { // it is waited for
			pause = min(pause, freshRedial)
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}
