package middleware

import (
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"

	"bimetal.dev/gateway/internal/exchange"
	"github.com/go-chi/chi/v5"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Observer measures requests and carries trace contexts.
type Observer struct {
	// Tracer makes the spans; nil: none are made, and a caller's trace context is passed on as it came.
	Tracer trace.Tracer
	Log    *slog.Logger

	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	inFlight prometheus.Gauge
	series   sync.Map // seriesKey → *series, so that a request costs one look-up
}

type seriesKey struct {
	route, method string
	status        int
}

type series struct {
	requests prometheus.Counter
	duration prometheus.Observer
}

// NewObserver registers its metrics.
func NewObserver(registry prometheus.Registerer, tracer trace.Tracer, log *slog.Logger) *Observer {
	o := &Observer{
		Tracer: tracer, Log: log,
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "bimetal_gateway", Name: "http_requests_total", Help: "Requests answered.",
		}, []string{"route", "method", "status"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "bimetal_gateway", Name: "http_request_duration_seconds", Help: "From the request's header to the end of the answer.",
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"route", "method"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: "bimetal_gateway", Name: "http_requests_in_flight", Help: "Requests that are being answered.",
		}),
	}
	registry.MustRegister(o.requests, o.duration, o.inFlight)
	return o
}

var propagator propagation.TraceContext

// Observe is the outermost middleware.
func (o *Observer) Observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		o.inFlight.Inc()
		defer o.inFlight.Dec()
		ctx := r.Context()
		var span trace.Span
		var traceID, traceparent string
		if o.Tracer != nil || r.Header["Traceparent"] != nil {
			ctx = propagator.Extract(ctx, propagation.HeaderCarrier(r.Header))
			if o.Tracer != nil {
				ctx, span = o.Tracer.Start(ctx, r.Method, trace.WithSpanKind(trace.SpanKindServer),
					trace.WithAttributes(attribute.String("http.request.method", r.Method)))
				defer span.End()
			}
			if current := trace.SpanContextFromContext(ctx); current.IsValid() {
				traceID = current.TraceID().String()
				carrier := propagation.MapCarrier{}
				propagator.Inject(ctx, carrier)
				traceparent = carrier.Get("traceparent")
			}
		}
		x := exchange.New(w, traceID, traceparent)
		if span != nil {
			r = r.WithContext(ctx)
		}
		next.ServeHTTP(x, r)
		if x.Status == 0 {
			x.Status = http.StatusOK
		}
		o.finish(r, x, span, start)
	})
}

// finish counts, and logs what went wrong.
func (o *Observer) finish(r *http.Request, x *exchange.Exchange, span trace.Span, start time.Time) {
	status, took := x.Status, time.Since(start)
	route := "none"
	if rctx := chi.RouteContext(r.Context()); rctx != nil && len(rctx.RoutePatterns) > 0 {
		route = rctx.RoutePattern()
	}
	s := o.lookUp(seriesKey{route, method(r.Method), status})
	s.requests.Inc()
	s.duration.Observe(took.Seconds())
	if span != nil {
		span.SetName(r.Method + " " + route)
		span.SetAttributes(attribute.String("http.route", route), attribute.Int("http.response.status_code", status))
		if x.Failure != nil {
			span.SetAttributes(attribute.String("error.type", x.Failure.Spec().Name))
		}
		if status >= http.StatusInternalServerError {
			span.SetStatus(codes.Error, http.StatusText(status))
		}
	}
	level := slog.LevelDebug
	if status == http.StatusInternalServerError {
		level = slog.LevelError
	}
	if !o.Log.Enabled(r.Context(), level) {
		return
	}
	fields := []any{
		"method", r.Method, "route", route, "status", status, "duration_ms", float64(took.Microseconds()) / 1000,
		"trace_id", x.TraceID(),
	}
	if x.Failure != nil {
		fields = append(fields, "error", x.Failure.Error())
	}
	if span != nil {
		fields = append(fields, "span_id", span.SpanContext().SpanID().String())
	}
	o.Log.Log(r.Context(), level, "request", fields...)
}

func (o *Observer) lookUp(key seriesKey) *series {
	if found, ok := o.series.Load(key); ok {
		return found.(*series)
	}
	made, _ := o.series.LoadOrStore(key, &series{
		requests: o.requests.WithLabelValues(key.route, key.method, strconv.Itoa(key.status)),
		duration: o.duration.WithLabelValues(key.route, key.method),
	})
	return made.(*series)
}

// method keeps the label's values few, whatever callers send.
func method(name string) string {
	switch name {
	case http.MethodGet, http.MethodHead, http.MethodPut, http.MethodPost, http.MethodDelete, http.MethodPatch, http.MethodOptions:
		return name
	}
	return "other"
}
