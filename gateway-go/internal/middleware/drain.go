package middleware

import (
	"net/http"

	"bimetal.dev/gateway/internal/lifecycle"
)

// Drain makes clients of HTTP/1.1 leave while the gateway drains: each answer says Connection: close, and idle
// connections stay open, because closing one resets the request that may be on its way on it. HTTP/2 has GOAWAY, which
// http.Server.Shutdown sends.
func Drain(state *lifecycle.Lifecycle) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.ProtoMajor == 1 && state.IsDraining() {
				w.Header().Set("Connection", "close")
			}
			next.ServeHTTP(w, r)
		})
	}
}
