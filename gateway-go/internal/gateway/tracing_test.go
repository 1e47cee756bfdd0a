package gateway_test

import (
	"context"
	"encoding/hex"
	"net"
	"strings"
	"testing"
	"time"

	"bimetal.dev/gateway/internal/config"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
)

// spans receives what is exported.
type spans struct {
	collector.UnimplementedTraceServiceServer
	got chan *trace.Span
}

func (s *spans) Export(_ context.Context, request *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	for _, resource := range request.GetResourceSpans() {
		for _, scope := range resource.GetScopeSpans() {
			for _, span := range scope.GetSpans() {
				s.got <- span
			}
		}
	}
	return &collector.ExportTraceServiceResponse{}, nil
}

func TestATraceGoesFromTheCallerThroughTheGatewayToTheNode(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	received := &spans{got: make(chan *trace.Span, 1000)}
	server := grpc.NewServer()
	collector.RegisterTraceServiceServer(server, received)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	p := start(t, 1, func(c *config.Config) { c.OTLPEndpoint = "http://" + listener.Addr().String() })
	const traceID, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	p.do("PUT", entry, "v", "Traceparent: 00-"+traceID+"-"+parent+"-01")
	limit := time.After(10 * time.Second)
	for {
		var span *trace.Span
		select {
		case span = <-received.got:
		case <-limit:
			t.Fatal("no span within 10 s")
		}
		if hex.EncodeToString(span.GetTraceId()) != traceID {
			continue
		}
		if hex.EncodeToString(span.GetParentSpanId()) != parent || span.GetName() != "PUT /v1/cache/{namespace}/{key}" {
			t.Errorf("span %v", span)
		}
		if want := traceID + "-" + hex.EncodeToString(span.GetSpanId()); !strings.Contains(p.nodes[0].Traceparent(), want) {
			t.Errorf("the node was told %q, want %s", p.nodes[0].Traceparent(), want)
		}
		return
	}
}

func TestWithoutAnEndpointTheCallersTraceContextIsPassedOn(t *testing.T) {
	p := start(t, 1, nil)
	const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	p.do("PUT", entry, "v", "Traceparent: "+traceparent)
	if got := p.nodes[0].Traceparent(); got != traceparent {
		t.Errorf("the node was told %q", got)
	}
	p.do("PUT", entry, "v", "Traceparent: nonsense")
	if got := p.nodes[0].Traceparent(); got != "" {
		t.Errorf("the node was told %q", got)
	}
}
