package contract

import (
	"errors"
	"fmt"
	"time"

	errorsv1 "bimetal.dev/contract/gen/bimetal/errors/v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
)

// Error is an error of the error table, with what the contract's own message carries. It is not changed after it was
// made, so it may be shared.
type Error struct {
	// Detail is never nil; its reason is never ERROR_REASON_UNSPECIFIED.
	Detail *errorsv1.Error
	cause  error
}

// Errorf makes an error with a message for people: what happened, where, and what would be right.
func Errorf(reason Reason, format string, args ...any) *Error {
	return &Error{Detail: &errorsv1.Error{Reason: reason, Message: fmt.Sprintf(format, args...)}}
}

// Invalid is INVALID_ARGUMENT for one field, named by its path in the request message.
func Invalid(field, format string, args ...any) *Error {
	description := fmt.Sprintf(format, args...)
	return &Error{Detail: &errorsv1.Error{
		Reason:     InvalidArgument,
		Message:    field + ": " + description,
		Violations: []*errorsv1.FieldViolation{{Field: field, Description: description}},
	}}
}

// FromDetail takes an error out of a result. A reason that this build does not know is INTERNAL, the text says which.
func FromDetail(detail *errorsv1.Error) *Error {
	if SpecOf(detail.GetReason()).Reason == detail.GetReason() {
		return &Error{Detail: detail}
	}
	known := proto.CloneOf(detail)
	if known == nil {
		known = &errorsv1.Error{}
	}
	known.Message = fmt.Sprintf("the peer answered the unknown reason %d: %s", detail.GetReason(), detail.GetMessage())
	known.Reason = Internal
	return &Error{Detail: known}
}

// Because is the error with what led to it, for logs and errors.Is; the cause never reaches a client.
func (e *Error) Because(cause error) *Error { return &Error{Detail: e.Detail, cause: cause} }

// RetryAfter is the error with the time before which a repeat is useless.
func (e *Error) RetryAfter(delay time.Duration) *Error {
	detail := proto.CloneOf(e.Detail)
	detail.RetryAfter = durationpb.New(delay)
	return &Error{Detail: detail, cause: e.cause}
}

// Reason is the row of the table.
func (e *Error) Reason() Reason { return e.Detail.GetReason() }

// Spec is what the table says of the reason.
func (e *Error) Spec() *Spec { return SpecOf(e.Detail.GetReason()) }

func (e *Error) Error() string {
	text := e.Spec().Name + ": " + e.Detail.GetMessage()
	if e.cause != nil {
		text += ": " + e.cause.Error()
	}
	return text
}

// Unwrap is the cause, if there is one.
func (e *Error) Unwrap() error { return e.cause }

// Is says whether err, or what it wraps, is an error of this reason.
func Is(err error, reason Reason) bool {
	var e *Error
	return errors.As(err, &e) && e.Reason() == reason
}
