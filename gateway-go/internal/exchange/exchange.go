// Package exchange is what all HTTP handlers share: handlers that return errors, the identity of the exchange (trace,
// route), and reading of requests by the rules of the contract.
package exchange

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"net/http"
	"sync"

	"bimetal.dev/contract"
	"bimetal.dev/gateway/internal/problem"
)

// Exchange is one request with its answer. The outermost middleware makes it.
type Exchange struct {
	// Traceparent goes to the nodes (W3C Trace Context); empty: not traced.
	Traceparent string
	// Failure is the error that was answered, for logs and spans.
	Failure *contract.Error

	traceID string
	once    sync.Once
}

// New makes an Exchange; traceID may be empty.
func New(traceID, traceparent string) *Exchange {
	return &Exchange{Traceparent: traceparent, traceID: traceID}
}

// TraceID is what a problem names as its instance: the caller's or span's trace id, else a random one.
func (x *Exchange) TraceID() string {
	x.once.Do(func() {
		if x.traceID == "" {
			var id [16]byte
			_, _ = rand.Read(id[:]) // never fails
			x.traceID = hex.EncodeToString(id[:])
		}
	})
	return x.traceID
}

type contextKey struct{}

// With puts an Exchange into a context.
func With(ctx context.Context, x *Exchange) context.Context {
	return context.WithValue(ctx, contextKey{}, x)
}

// From is the Exchange of a request.
func From(ctx context.Context) *Exchange {
	if x, ok := ctx.Value(contextKey{}).(*Exchange); ok {
		return x
	}
	return New("", "")
}

// Handler is an HTTP handler that may return an error in place of an answer, if it has not begun to write one.
type Handler func(w http.ResponseWriter, r *http.Request) error

// ServeHTTP implements http.Handler.
func (h Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := h(w, r); err != nil {
		Fail(w, r, err)
	}
}

// Fail answers an error as a problem. Errors that are not of the table are INTERNAL.
func Fail(w http.ResponseWriter, r *http.Request, err error) {
	var own *contract.Error
	if !errors.As(err, &own) {
		own = contract.Errorf(contract.Internal, "an unexpected error; the log has it under the trace id").Because(err)
	}
	x := From(r.Context())
	x.Failure = own
	problem.Write(w, own, x.TraceID())
}
