package middleware

import (
	"context"
	"net/http"
	"time"

	"bimetal.dev/gateway/internal/exchange"
	"bimetal.dev/gateway/internal/problem"
	"bimetal.dev/gateway/internal/syntax"
)

// Deadline bounds a request by its Request-Timeout field, 5 s without one. What remains travels to the nodes.
func Deadline(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		timeout := syntax.DefaultRequestTimeout
		if lines := r.Header["Request-Timeout"]; len(lines) > 0 {
			var err error
			if timeout, err = syntax.ParseRequestTimeout(lines[0]); err != nil || len(lines) > 1 {
				exchange.Fail(w, problem.Invalid(problem.InHeader, "Request-Timeout",
					"must stand there once, as decimal seconds, 0.001 to 60"))
				return
			}
		}
		ctx, cancel := context.WithTimeout(r.Context(), timeout)
		defer cancel()
		if r.ContentLength != 0 { // the body has to arrive in that time, too, whether it is read or thrown away
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(timeout)) // all our writers can
		}
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}
