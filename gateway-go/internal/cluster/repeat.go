package cluster

import (
	"context"
	"errors"
	"time"

	"bimetal.dev/contract"
	cachev1 "bimetal.dev/contract/gen/bimetal/cache/v1"
	"bimetal.dev/gateway/internal/node"
)

const (
	// brokenLimit is how long a read whose session broke waits for another: a node that stands in its tracks must not
	// keep its callers much longer than its silence has.
	brokenLimit = 100 * time.Millisecond
	// firstPause is the pause before a process that does not serve is asked again; each is twice the one before.
	firstPause = 5 * time.Millisecond
	// maxWaiting is how many operations may wait to be repeated, so that callers of a node that does not come leave room
	// for those of the others.
	maxWaiting = 1024
)

// Why an operation is sent once more: the label of the metric.
const (
	causeMoved     = "moved"     // not begun, and the key belongs to another process now
	causeNotBegun  = "not_begun" // the process does not serve, or not yet
	causeBehind    = "behind"    // the process judged by another topology than ours
	causeConnected = "connected" // not sent: there is a session only now
	causeRead      = "read"      // the session broke under a read
	causeProtected = "protected" // the session broke under an operation with an id
)

// attempt is where something was sent, and how it failed.
type attempt struct {
	view  *view
	owner *node.Node
	err   *contract.Error
}

// repetition is an operation that has failed. These are repeated, and nothing else:
//
//   - what was certainly not begun, when the key has got another owner, or the process says that it does not serve (yet);
//   - what could not be sent because there was no session: once there is one, if the node is new and has not been
//     connected to yet, and if there is one by now in any case;
//   - a read whose session broke, once;
//   - an operation with an id whose session broke, by the same incarnation, wherever that is now: it does it only once.
type repetition struct {
	cluster *Cluster
	// choose is the node to ask.
	choose func(*view) *node.Node
	// send is one attempt; with an incarnation, only at the process that has it.
	send func(ctx context.Context, owner *node.Node, incarnation uint64) *contract.Error
	// read says that the operation changes nothing, protected that it has an id.
	read, protected bool

	// broke says that a session ended under the operation; incarnation is that of the process which may have begun it, 0
	// while none can have. unknown is the error that says so: no later failure to send it knows better.
	broke       bool
	incarnation uint64
	unknown     *contract.Error
	pause       time.Duration
}

// run repeats after an attempt that failed, as long as that is right and may help. It answers the last attempt.
func (r *repetition) run(ctx context.Context, a attempt) attempt {
	r.pause = firstPause
	budget, cancel := context.WithTimeout(ctx, r.cluster.patience)
	defer cancel()
	for a.err != nil && budget.Err() == nil {
		cause := r.next(budget, a)
		if cause == "" {
			break
		}
		r.cluster.metrics.repeats.WithLabelValues(cause).Inc()
		a.view = r.cluster.current.Load()
		a.owner = r.choose(a.view)
		a.err = r.send(ctx, a.owner, r.incarnation)
	}
	if r.unknown != nil && a.err != nil && !decided(a.err) {
		a.err = r.unknown
	}
	if a.err != nil && a.err.Reason() == contract.WrongNode {
		a.err = a.err.RetryAfter(time.Second)
	}
	return a
}

// next answers why the operation is to be sent once more, when it is time to; "": it is not.
func (r *repetition) next(budget context.Context, a attempt) string {
	var lost *node.LostError
	var down *node.DownError
	switch reason := a.err.Reason(); {
	case errors.As(a.err, &lost):
		return r.afterLoss(a, lost)
	case errors.As(a.err, &down):
		return r.whileDown(budget, a)
	case reason == contract.WrongNode:
		return r.elsewhere(budget, a)
	case reason == contract.Draining || reason == contract.NodeUnavailable:
		return r.later(budget, a, causeNotBegun)
	}
	return ""
}

// afterLoss is for an operation whose session ended under it.
func (r *repetition) afterLoss(a attempt, lost *node.LostError) string {
	begun := a.err.Reason() == contract.OutcomeUnknown
	switch {
	case r.protected:
		if begun {
			r.unknown, r.incarnation = a.err, lost.Incarnation
		}
		r.broke = true
		return causeProtected
	case r.read && !r.broke:
		r.broke = true
		return causeRead
	case !begun && r.moved(a):
		return causeMoved
	}
	return ""
}

// whileDown is for an operation that could not be sent.
func (r *repetition) whileDown(budget context.Context, a attempt) string {
	n := a.owner
	ready, limit := n.Up, r.cluster.patience
	var hopeless func() bool
	switch {
	case r.moved(a):
		return causeMoved
	case n.Up() && !r.broke: // since the attempt
		return causeConnected
	case n.Fresh():
		hopeless = func() bool { return !n.Up() && !n.Fresh() }
	case r.broke && r.protected:
		ready = func() bool { return n.Up() && (r.incarnation == 0 || n.Incarnation() == r.incarnation) }
		hopeless = func() bool { return n.Up() && !ready() }
	case r.broke:
		limit = brokenLimit
		hopeless = func() bool { return !n.Up() && !n.Returning() }
	default:
		return ""
	}
	if r.await(budget, a, limit, ready, hopeless) {
		return causeConnected
	}
	return ""
}

// elsewhere is for an operation whose key the process does not own.
func (r *repetition) elsewhere(budget context.Context, a attempt) string {
	// Between equal topologies there is nothing to wait for.
	if epoch := r.cluster.Topology().GetEpoch(); a.err.Detail.GetOwner().GetEpoch() == epoch && !r.moved(a) {
		return ""
	}
	return r.later(budget, a, causeBehind)
}

// later is for an operation that the process has not begun: it is sent at once to whoever else owns the key, or again to
// the same one after a pause.
func (r *repetition) later(budget context.Context, a attempt, cause string) string {
	if r.cluster.current.Load() == a.view {
		r.cluster.Refresh(budget, a.owner)
	}
	if r.moved(a) {
		return causeMoved
	}
	pause := r.pause
	r.pause *= 2
	if r.await(budget, a, pause, never, never) {
		return causeMoved
	}
	if budget.Err() != nil {
		return ""
	}
	return cause
}

func never() bool { return false }

// moved says whether another process is to be asked now than in the attempt.
func (r *repetition) moved(a attempt) bool {
	present := r.cluster.current.Load()
	if present == a.view {
		return false
	}
	return r.choose(present) != a.owner
}

// await waits until another process is to be asked, or this one is ready, and says whether that came to be before the limit. It gives
// up at once where there is no hope, and when too many operations wait.
func (r *repetition) await(budget context.Context, a attempt, limit time.Duration, ready, hopeless func() bool) bool {
	c := r.cluster
	select {
	case c.waiting <- struct{}{}:
		defer func() { <-c.waiting }()
	default:
		c.metrics.crowded.Inc()
		return false
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for {
		replaced, changed := c.current.Load().replaced, a.owner.Changed() // before the state that they are about
		if r.moved(a) || ready() {
			return true
		}
		if hopeless() {
			return false
		}
		select {
		case <-replaced:
		case <-changed:
		case <-timer.C:
			return false
		case <-budget.Done():
			return false
		}
	}
}

// decided says whether an error of a repeat tells what became of the operation: the node has stored it as the result, so
// that no earlier sending of the same operation can come to another one.
func decided(err *contract.Error) bool {
	switch err.Reason() {
	case contract.NodeUnavailable, contract.Draining, contract.WrongNode, contract.Overloaded, contract.QuotaExceeded,
		contract.DeadlineExceeded, contract.Cancelled, contract.OutcomeUnknown, contract.Internal:
		return false
	}
	return true
}

// operationID is what protects an operation against being done twice; nil: nothing does.
func operationID(operation *cachev1.Operation) []byte {
	switch o := operation.GetOperation().(type) {
	case *cachev1.Operation_Put:
		return o.Put.GetOperationId()
	case *cachev1.Operation_Delete:
		return o.Delete.GetOperationId()
	case *cachev1.Operation_Touch:
		return o.Touch.GetOperationId()
	case *cachev1.Operation_Increment:
		return o.Increment.GetOperationId()
	}
	return nil
}
