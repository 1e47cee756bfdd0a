// Package exchange is what all HTTP handlers share: handlers that return errors, the identity of the exchange (trace,
// route), and reading of requests by the rules of the contract.
package exchange

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"net/http"
	"sync"

	"bimetal.dev/contract"
	"bimetal.dev/gateway/internal/problem"
)

// Exchange is one request with its answer. The outermost middleware makes it and hands it down as the ResponseWriter:
// that costs neither a context value nor a copy of the request.
type Exchange struct {
	http.ResponseWriter
	// Traceparent goes to the nodes (W3C Trace Context); empty: not traced.
	Traceparent string
	// Status is that of the answer; 0 before it is known.
	Status int
	// Failure is the error that was answered, for logs and spans.
	Failure *contract.Error

	traceID string
	once    sync.Once
}

// New makes an Exchange around a writer; traceID may be empty.
func New(w http.ResponseWriter, traceID, traceparent string) *Exchange {
	return &Exchange{ResponseWriter: w, traceID: traceID, Traceparent: traceparent}
}

// From is the Exchange of a request, by its writer.
func From(w http.ResponseWriter) *Exchange {
	if x, ok := w.(*Exchange); ok {
		return x
	}
	return New(w, "", "")
}

// WriteHeader implements http.ResponseWriter and notes the status.
func (x *Exchange) WriteHeader(status int) {
	if x.Status == 0 && status >= http.StatusOK { // 1xx come before the answer
		x.Status = status
	}
	x.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach the connection.
func (x *Exchange) Unwrap() http.ResponseWriter { return x.ResponseWriter }

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

// Handler is an HTTP handler that may return an error in place of an answer, if it has not begun to write one.
type Handler func(w http.ResponseWriter, r *http.Request) error

// ServeHTTP implements http.Handler.
func (h Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := h(w, r); err != nil {
		Fail(w, err)
	}
}

// Fail answers an error as a problem. Errors that are not of the table are INTERNAL.
func Fail(w http.ResponseWriter, err error) {
	var own *contract.Error
	if !errors.As(err, &own) {
		own = contract.Errorf(contract.Internal, "an unexpected error; the log has it under the trace id").Because(err)
	}
	x := From(w)
	x.Failure = own
	problem.Write(w, own, x.TraceID())
}
