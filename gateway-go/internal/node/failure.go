package node

import (
	"context"
	"errors"
	"time"

	"bimetal.dev/contract"
	cachev1 "bimetal.dev/contract/gen/bimetal/cache/v1"
	errorsv1 "bimetal.dev/contract/gen/bimetal/errors/v1"
)

// DownError is the cause of a NODE_UNAVAILABLE that says that there was no session: nothing was sent.
type DownError struct{ cause error }

func (d *DownError) Error() string { return d.cause.Error() }
func (d *DownError) Unwrap() error { return d.cause }

// LostError is the cause of an error that says that the session ended under the operation.
type LostError struct {
	// Incarnation is that of the process that the operation may have reached.
	Incarnation uint64
	cause       error
}

func (l *LostError) Error() string { return l.cause.Error() }
func (l *LostError) Unwrap() error { return l.cause }

var errReborn = errors.New("the process there has another incarnation")

// gaveUp is the error of a caller whose own time or patience ended.
func gaveUp(ctx context.Context, state int32, operation *cachev1.Operation) *contract.Error {
	timedOut := errors.Is(ctx.Err(), context.DeadlineExceeded)
	switch {
	case state == written && !isRead(operation) && timedOut:
		return contract.Errorf(contract.OutcomeUnknown, "the operation was sent to its node and not answered in time")
	case timedOut:
		return contract.Errorf(contract.DeadlineExceeded, "the request's time was over before its node answered")
	default:
		return contract.Errorf(contract.Cancelled, "the caller gave up").Because(ctx.Err())
	}
}

// lost is the error of an operation whose session ended under it. Reads change nothing, so for them "not begun" is as
// good as true: the caller may repeat them.
func lost(s *session, state int32, operation *cachev1.Operation) *contract.Error {
	cause := &LostError{Incarnation: s.identity.GetIncarnation(), cause: context.Cause(s.ctx)}
	if state == written && !isRead(operation) {
		return contract.Errorf(contract.OutcomeUnknown, "the operation was sent to its node, whose connection was lost").
			Because(cause)
	}
	return unavailable(cause)
}

func isRead(operation *cachev1.Operation) bool { return operation.GetGet() != nil }

func unavailable(cause error) *contract.Error {
	return (&contract.Error{Detail: &errorsv1.Error{
		Reason:  contract.NodeUnavailable,
		Message: "the node that owns the key cannot be reached",
	}}).RetryAfter(time.Second).Because(cause)
}
