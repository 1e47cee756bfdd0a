package middleware

import (
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"

	"bimetal.dev/contract"
	"bimetal.dev/gateway/internal/exchange"
)

// Recover answers INTERNAL for a handler that panics and puts the stack into the error, which the log shows.
// http.ErrAbortHandler passes: it is how a handler ends a connection.
func Recover(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			reason := recover()
			if reason == nil {
				return
			}
			if err, ok := reason.(error); ok && errors.Is(err, http.ErrAbortHandler) {
				panic(reason)
			}
			exchange.Fail(w, contract.Errorf(contract.Internal, "an unexpected error; the log has it under the trace id").
				Because(fmt.Errorf("panic: %v\n%s", reason, debug.Stack())))
		}()
		next.ServeHTTP(w, r)
	})
}
