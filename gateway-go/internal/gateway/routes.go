package gateway

import (
	"net/http"

	"bimetal.dev/gateway/internal/batch"
	"bimetal.dev/gateway/internal/document"
	"bimetal.dev/gateway/internal/entries"
	"bimetal.dev/gateway/internal/events"
	"bimetal.dev/gateway/internal/exchange"
	"bimetal.dev/gateway/internal/listing"
	"bimetal.dev/gateway/internal/middleware"
	"bimetal.dev/gateway/internal/namespaceapi"
	"bimetal.dev/gateway/internal/syntax"
	"github.com/go-chi/chi/v5"
)

// routes is the public HTTP surface; the OpenAPI document describes exactly these.
func (g *Gateway) routes() (*chi.Mux, error) {
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
	spaces := namespaceapi.New(g.records, g.bodies)
	for _, route := range []struct {
		method, pattern string
		handler         exchange.Handler
	}{
		{http.MethodGet, "/v1/cache/{namespace}/{key}", single.Get},
		{http.MethodHead, "/v1/cache/{namespace}/{key}", single.Get},
		{http.MethodPut, "/v1/cache/{namespace}/{key}", single.Put},
		{http.MethodDelete, "/v1/cache/{namespace}/{key}", single.Delete},
		{http.MethodPost, "/v1/cache/{namespace}/{key}/increment", single.Increment},
		{http.MethodPost, "/v1/cache/{namespace}/{key}/touch", single.Touch},
		{http.MethodPost, "/v1/cache/{namespace}", batch.New(g.cluster, g.bodies).Serve},
		{http.MethodGet, "/v1/namespaces", spaces.List},
		{http.MethodGet, "/v1/namespaces/{namespace}", spaces.Get},
		{http.MethodPut, "/v1/namespaces/{namespace}", spaces.Put},
		{http.MethodPatch, "/v1/namespaces/{namespace}", spaces.Patch},
		{http.MethodDelete, "/v1/namespaces/{namespace}", spaces.Delete},
		{http.MethodPost, "/v1/namespaces/{namespace}/flush", spaces.Flush},
	} {
		r.Method(route.method, route.pattern, middleware.Deadline(route.handler))
	}
	r.Method(http.MethodGet, "/v1/cache/{namespace}", listOrWatch(
		middleware.Deadline(exchange.Handler(listing.New(g.cluster).Serve)),
		exchange.Handler(events.New(g.cluster, g.state, g.config.MaxWatchers, g.metrics).Serve),
	))

	documents, err := document.New()
	if err != nil {
		return nil, err
	}
	for pattern, handler := range map[string]exchange.Handler{
		"/livez": g.health.Live, "/readyz": g.health.Ready, "/openapi.json": documents.JSON, "/docs": documents.Page,
	} {
		r.Method(http.MethodGet, pattern, handler)
		r.Method(http.MethodHead, pattern, handler)
	}
	return r, nil
}

// listOrWatch answers a stream only to those that name its type: browsers and curl accept everything.
func listOrWatch(list, watch http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if syntax.ParseAccept(r.Header["Accept"]).Names(events.ContentType) {
			watch.ServeHTTP(w, r)
			return
		}
		list.ServeHTTP(w, r)
	})
}
