package gateway

import (
	"net/http"

	"bimetal.dev/gateway/internal/entries"
	"bimetal.dev/gateway/internal/exchange"
	"bimetal.dev/gateway/internal/middleware"
	"github.com/go-chi/chi/v5"
)

// routes is the public HTTP surface; the OpenAPI document describes exactly these.
func (g *Gateway) routes() *chi.Mux {
	r := chi.NewRouter()
	r.Use(
		g.observer.Observe,
		middleware.Recover,
		middleware.Drain(g.state),
		middleware.Target,
		middleware.Origin(g.config.AllowedHosts),
		middleware.Shed(g.config.MaxRequests, g.metrics),
	)
	r.NotFound(middleware.NotFound)
	r.MethodNotAllowed(middleware.MethodNotAllowed(r))

	single := entries.New(g.cluster, g.bodies)
	in := r.With(middleware.Deadline)
	in.Method(http.MethodGet, "/v1/cache/{namespace}/{key}", exchange.Handler(single.Get))
	in.Method(http.MethodHead, "/v1/cache/{namespace}/{key}", exchange.Handler(single.Get))
	in.Method(http.MethodPut, "/v1/cache/{namespace}/{key}", exchange.Handler(single.Put))
	in.Method(http.MethodDelete, "/v1/cache/{namespace}/{key}", exchange.Handler(single.Delete))
	in.Method(http.MethodPost, "/v1/cache/{namespace}/{key}/increment", exchange.Handler(single.Increment))
	in.Method(http.MethodPost, "/v1/cache/{namespace}/{key}/touch", exchange.Handler(single.Touch))

	for _, method := range []string{http.MethodGet, http.MethodHead} {
		r.Method(method, "/livez", exchange.Handler(g.health.Live))
		r.Method(method, "/readyz", exchange.Handler(g.health.Ready))
	}
	return r
}
