package node

import (
	"sync"
	"sync/atomic"
	"time"

	cachev1 "bimetal.dev/contract/gen/bimetal/cache/v1"
)

// The states of a call. Writer, reader and caller agree on them by compare-and-swap, so each call has exactly one end.
const (
	queued    int32 = iota // nobody else has seen it
	written                // handed to the connection: the node may do it
	answered               // result is set; done has a value
	abandoned              // the caller left; whoever comes next drops it
)

// call is one operation on its way. The caller owns it again once it has received from done, or if it abandons it
// while queued or written leaves it to the garbage collector.
type call struct {
	operation *cachev1.Operation
	// deadline is the caller's; zero: none.
	deadline time.Time
	// traceparent of the caller; empty: not traced.
	traceparent string
	// bytes is about what the operation takes in a message.
	bytes  int
	state  atomic.Int32
	result *cachev1.OperationResult
	done   chan struct{}
}

var calls = sync.Pool{New: func() any { return &call{done: make(chan struct{}, 1)} }}

func newCall(operation *cachev1.Operation) *call {
	c := calls.Get().(*call)
	c.operation = operation
	c.bytes = len(operation.GetPut().GetValue()) + 256
	c.state.Store(queued)
	return c
}

// release gives an answered call back.
func (c *call) release() {
	c.operation, c.result, c.deadline, c.traceparent = nil, nil, time.Time{}, ""
	calls.Put(c)
}

// begin says whether the call is still wanted and, if so, marks it as written.
func (c *call) begin() bool { return c.state.CompareAndSwap(queued, written) }

// answer hands over the result unless the caller has left.
func (c *call) answer(result *cachev1.OperationResult) bool {
	c.result = result
	if !c.state.CompareAndSwap(written, answered) {
		return false
	}
	c.done <- struct{}{}
	return true
}

// abandon is the caller's leaving; it answers how far the call had come.
func (c *call) abandon() int32 {
	state := c.state.Swap(abandoned)
	if state == answered {
		<-c.done
	}
	return state
}
