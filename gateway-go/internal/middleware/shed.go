package middleware

import (
	"net/http"
	"time"

	"bimetal.dev/contract"
	"bimetal.dev/gateway/internal/exchange"
	"github.com/prometheus/client_golang/prometheus"
)

// Shed refuses requests beyond a number at once: a queue in front of a full gateway would only make everybody late.
func Shed(limit int, registry prometheus.Registerer) func(http.Handler) http.Handler {
	shed := prometheus.NewCounter(prometheus.CounterOpts{
		Namespace: "bimetal_gateway", Name: "http_requests_shed_total", Help: "Requests refused because too many were in flight.",
	})
	registry.MustRegister(shed)
	places := make(chan struct{}, limit)
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			select {
			case places <- struct{}{}:
				defer func() { <-places }()
				next.ServeHTTP(w, r)
			default:
				shed.Inc()
				exchange.Fail(w, contract.Errorf(contract.Overloaded, "the gateway serves %d requests already", limit).
					RetryAfter(time.Second))
			}
		})
	}
}
