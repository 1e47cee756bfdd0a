// Package tracing sends spans to an OTLP endpoint, when there is one.
package tracing

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Start makes a tracer for the endpoint (a URL; http is plaintext) and the function that flushes and ends it. Without
// an endpoint the tracer is nil. What cannot be delivered is dropped; requests never wait for it.
func Start(ctx context.Context, endpoint, instance, version string) (trace.Tracer, func(context.Context) error, error) {
	if endpoint == "" {
		return nil, func(context.Context) error { return nil }, nil
	}
	exporter, err := otlptracegrpc.New(ctx, otlptracegrpc.WithEndpointURL(endpoint), otlptracegrpc.WithTimeout(2*time.Second),
		otlptracegrpc.WithRetry(otlptracegrpc.RetryConfig{Enabled: false}))
	if err != nil {
		return nil, nil, fmt.Errorf("make the exporter of spans: %w", err)
	}
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(exporter, sdktrace.WithBatchTimeout(500*time.Millisecond)),
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.AlwaysSample())),
		sdktrace.WithResource(resource.NewSchemaless(
			attribute.String("service.name", "gateway"),
			attribute.String("service.instance.id", instance),
			attribute.String("service.version", version),
		)),
	)
	return provider.Tracer("bimetal.dev/gateway"), provider.Shutdown, nil
}
