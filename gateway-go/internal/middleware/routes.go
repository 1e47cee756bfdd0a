package middleware

import (
	"net/http"
	"strings"

	"bimetal.dev/contract"
	"bimetal.dev/gateway/internal/exchange"
	"bimetal.dev/gateway/internal/problem"
	"github.com/go-chi/chi/v5"
)

// NotFound answers paths that no route has. The likely mistakes with keys are named.
func NotFound(w http.ResponseWriter, r *http.Request) {
	path := r.URL.EscapedPath()
	if rest, ok := strings.CutPrefix(path, "/v1/cache/"); ok {
		_, key, separated := strings.Cut(rest, "/")
		if separated && key == "" {
			exchange.Fail(w, problem.Invalid(problem.InPath, "key", "must have 1 to 1,024 bytes, has 0"))
			return
		}
		if separated {
			exchange.Fail(w, contract.Errorf(contract.RouteNotFound, "no route has the path %.200q; a slash in a key is written %%2F", path))
			return
		}
	}
	exchange.Fail(w, contract.Errorf(contract.RouteNotFound, "no route has the path %.200q", path))
}

// MethodNotAllowed answers methods that a route does not take and names those it does.
func MethodNotAllowed(routes chi.Routes) http.HandlerFunc {
	all := []string{
		http.MethodDelete, http.MethodGet, http.MethodHead, http.MethodPatch, http.MethodPost, http.MethodPut,
	}
	return func(w http.ResponseWriter, r *http.Request) {
		var allowed []string
		for _, method := range all {
			if routes.Match(chi.NewRouteContext(), method, r.URL.EscapedPath()) {
				allowed = append(allowed, method)
			}
		}
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		exchange.Fail(w, contract.Errorf(contract.MethodNotAllowed, "the route takes %s", strings.Join(allowed, ", ")))
	}
}
