package node

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"bimetal.dev/contract"
	cachev1 "bimetal.dev/contract/gen/bimetal/cache/v1"
	"google.golang.org/grpc"
)

const (
	// maxBatchOperations is the contract's limit for one message.
	maxBatchOperations = 1000
	// maxBatchBytes is well below the contract's 16 MiB: a batch is closed before an operation that would take it
	// there. A single value has at most 8 MiB.
	maxBatchBytes = 1 << 20
)

type pipeline = grpc.BidiStreamingClient[cachev1.PipelineRequest, cachev1.PipelineResponse]

// lane is one Pipeline stream with its queue.
type lane struct {
	queue chan *call
	// window has a token for every batch that is being made or is not fully answered.
	window chan struct{}
	// unanswered are the batches in the order in which they were sent; it has room for a window.
	unanswered chan []*call
	connection *connection
	seen       *Seen
	metrics    laneMetrics
	// pending is how many operations are written and not answered.
	pending atomic.Int64
}

func newLane(options Options, name string, connection *connection) *lane {
	return &lane{
		queue:      make(chan *call, options.Queue),
		window:     make(chan struct{}, options.Window),
		unanswered: make(chan []*call, options.Window),
		connection: connection,
		seen:       options.Seen,
		metrics:    options.Metrics.lane(options.Name, name),
	}
}

// do brings one operation to the node and waits for its result, the end of ctx, or the end of the session.
func (l *lane) do(ctx context.Context, s *session, operation *cachev1.Operation, traceparent string) (*cachev1.OperationResult, *contract.Error) {
	c := newCall(operation)
	c.deadline, _ = ctx.Deadline()
	c.traceparent = traceparent
	select {
	case l.queue <- c:
	default:
		l.metrics.rejected.Inc()
		c.release()
		return nil, contract.Errorf(contract.Overloaded, "the queue to the node is full (%d operations)", cap(l.queue)).
			RetryAfter(time.Second)
	}
	select {
	case <-c.done:
	case <-ctx.Done():
		if state := c.abandon(); state != answered {
			l.metrics.abandoned.Inc()
			return nil, gaveUp(ctx, state, operation)
		}
	case <-s.ctx.Done():
		if state := c.abandon(); state != answered {
			return nil, lost(s, state, operation)
		}
	}
	result := c.result
	c.release()
	return result, nil
}

// write gathers what waits into batches until the session ends. It never sleeps on a timer: one turn of the scheduler
// (Gosched) lets the callers that are already runnable join, and while the window is full, more join by themselves.
func (l *lane) write(session context.Context, stream pipeline) error {
	request := &cachev1.PipelineRequest{}
	var held *call // did not fit into the batch before
	for {
		first := held
		if first == nil {
			select {
			case first = <-l.queue:
			case <-session.Done():
				return context.Cause(session)
			}
		}
		select {
		case l.window <- struct{}{}:
		case <-session.Done():
			return context.Cause(session)
		}
		runtime.Gosched()
		var batch []*call
		batch, held = l.gather(first, request)
		l.metrics.queue.Set(float64(len(l.queue)))
		if len(batch) == 0 {
			<-l.window
			continue
		}
		l.pending.Add(int64(len(batch)))
		l.unanswered <- batch // has room: the window says so
		l.connection.begin()
		request.SeenVersion = l.seen.Greatest()
		if err := stream.Send(request); err != nil {
			return fmt.Errorf("send a batch: %w", err)
		}
		l.metrics.batchSize.Observe(float64(len(batch)))
		l.metrics.operations.Add(float64(len(batch)))
	}
}

// gather fills the request with the first call and what else waits, up to the limits of a batch. Calls whose callers
// have left are dropped. held is a call that was taken from the queue and did not fit.
func (l *lane) gather(first *call, request *cachev1.PipelineRequest) (batch []*call, held *call) {
	request.Operations, request.Traceparent = request.Operations[:0], ""
	size := 0
	for next := first; next != nil; next = l.next() {
		if len(batch) > 0 && size+next.bytes > maxBatchBytes {
			return batch, next
		}
		if !l.admit(next) {
			continue
		}
		batch = append(batch, next)
		size += next.bytes
		request.Operations = append(request.Operations, next.operation)
		if request.Traceparent == "" {
			request.Traceparent = next.traceparent
		}
		if len(batch) == maxBatchOperations {
			break
		}
	}
	return batch, nil
}

// next is a call that waits, or nil.
func (l *lane) next() *call {
	select {
	case c := <-l.queue:
		return c
	default:
		return nil
	}
}

// admit marks a call as written unless its caller has left or its time is over.
func (l *lane) admit(c *call) bool {
	if !c.deadline.IsZero() {
		left := time.Until(c.deadline)
		if left <= 0 {
			return false // its caller's context has ended, or is about to
		}
		// Rounded up: 0 would mean no limit.
		c.operation.TimeoutMs = uint32((left + time.Millisecond - 1) / time.Millisecond)
	}
	return c.begin()
}

// read gives results to calls in the order of their batches until the stream ends.
func (l *lane) read(session context.Context, stream pipeline) error {
	var batch []*call
	for {
		response, err := stream.Recv()
		if err != nil {
			return fmt.Errorf("receive results: %w", err)
		}
		l.pending.Add(-int64(len(response.GetResults())))
		for _, result := range response.GetResults() {
			if len(batch) == 0 {
				select {
				case batch = <-l.unanswered:
				case <-session.Done():
					return context.Cause(session)
				default:
					return errors.New("the node answered more operations than it was sent")
				}
			}
			l.note(result)
			batch[0].answer(result)
			batch = batch[1:]
			if len(batch) == 0 {
				l.connection.end()
				<-l.window
			}
		}
	}
}

// note keeps the greatest version seen.
func (l *lane) note(result *cachev1.OperationResult) {
	switch r := result.GetResult().(type) {
	case *cachev1.OperationResult_Get:
		l.seen.Note(r.Get.GetEntry().GetVersion())
	case *cachev1.OperationResult_Put:
		l.seen.Note(r.Put.GetVersion())
	case *cachev1.OperationResult_Delete:
		l.seen.Note(r.Delete.GetVersion())
	case *cachev1.OperationResult_Touch:
		l.seen.Note(r.Touch.GetExpiryVersion())
	case *cachev1.OperationResult_Increment:
		l.seen.Note(r.Increment.GetVersion())
	case *cachev1.OperationResult_Error:
		l.seen.Note(r.Error.GetCurrentVersion())
	}
}
