package middleware

import (
	"net/http"

	"bimetal.dev/contract"
	"bimetal.dev/gateway/internal/exchange"
	"github.com/go-chi/chi/v5"
)

// maxTargetBytes is room for a key of 1,024 bytes, all of them escaped, and a page token.
const maxTargetBytes = 8 << 10

// Target routes by the path as it was sent, so that an escaped slash separates nothing and each segment is decoded
// exactly once, by who uses it.
func Target(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.RequestURI) > maxTargetBytes {
			exchange.Fail(w, contract.Errorf(contract.URITooLong, "the request target has %d bytes; at most %d are read",
				len(r.RequestURI), maxTargetBytes))
			return
		}
		if rctx := chi.RouteContext(r.Context()); rctx != nil {
			rctx.RoutePath = r.URL.EscapedPath()
		}
		next.ServeHTTP(w, r)
	})
}
