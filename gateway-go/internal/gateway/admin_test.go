package gateway_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"bimetal.dev/contract"
	controlv1 "bimetal.dev/contract/gen/bimetal/control/v1"
	"bimetal.dev/gateway/internal/config"
	"bimetal.dev/gateway/internal/fakenode"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
)

// admin asks the admin listener.
func (p *platform) admin(target string, fields ...string) answer {
	p.t.Helper()
	request, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, "http://"+p.AdminAddr()+target, http.NoBody)
	if err != nil {
		p.t.Fatal(err)
	}
	for _, field := range fields {
		name, value, _ := strings.Cut(field, ": ")
		request.Host = value
		request.Header.Set(name, value)
	}
	response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(request)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, string(body)}
}

func (p *platform) control() *contract.Client {
	p.t.Helper()
	client, err := contract.Connect(p.AdminAddr())
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = client.Close() })
	return client
}

// health is grpc.health.v1 of the admin listener.
func (p *platform) health() grpc_health_v1.HealthClient {
	p.t.Helper()
	connection, err := grpc.NewClient("passthrough:///"+p.AdminAddr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = connection.Close() })
	return grpc_health_v1.NewHealthClient(connection)
}

func TestTheAdminListenerAnswersOperators(t *testing.T) {
	p := start(t, 2, nil)
	p.do("PUT", entry, "v")
	for target, part := range map[string]string{
		"/livez": "live", "/readyz": `"cache-1":"up"`, "/debug/pprof/cmdline": "gateway.test", "/debug/pprof/heap?debug=1": "heap",
	} {
		if got := p.admin(target); got.status != 200 || !strings.Contains(got.body, part) {
			t.Errorf("%s: %d %.200s", target, got.status, got.body)
		}
	}
	metrics := p.admin("/metrics").body
	for _, line := range []string{
		`bimetal_gateway_http_requests_total{method="PUT",route="/v1/cache/{namespace}/{key}",status="201"} 1`,
		`bimetal_gateway_node_up{node="cache-0"} 1`, `bimetal_gateway_node_connects_total{node="cache-1"} 1`,
		`bimetal_gateway_pipeline_batch_operations_bucket{lane="small"`, `bimetal_gateway_http_requests_shed_total 0`,
		`bimetal_gateway_pipeline_queue_operations{lane="bulk"`, `bimetal_gateway_http_requests_in_flight 0`, "go_goroutines",
	} {
		if !strings.Contains(metrics, line) {
			t.Errorf("/metrics has no %s", line)
		}
	}
	if got := p.admin("/nothing"); got.reason() != "ROUTE_NOT_FOUND" {
		t.Errorf("%s", got.body)
	}
	if got := p.admin("/livez", "Host: evil.example"); got.reason() != "PERMISSION_DENIED" {
		t.Errorf("%s", got.body)
	}
}

func TestTheIdentityIsServed(t *testing.T) {
	p := start(t, 1, nil)
	body := p.admin("/contract").json(t)
	set, err := base64.StdEncoding.DecodeString(fmt.Sprint(body["descriptorSet"]))
	sum := sha256.Sum256(set)
	if err != nil || body["digest"] != hex.EncodeToString(sum[:]) || body["service"] != "gateway" || body["language"] != "go" ||
		body["revision"] != float64(contract.Revision) || body["instance"] != "gateway-0" || body["version"] == "" {
		t.Errorf("%v, %v", body["digest"], err)
	}
	described, err := p.control().Control.Describe(t.Context(), &controlv1.DescribeRequest{IncludeDescriptorSet: true})
	if err != nil || described.GetService() != "gateway" || !proto.Equal(described.GetTopology(), p.topology) ||
		hex.EncodeToString(described.GetContract().GetDigest()) != contract.Digest || len(described.GetContract().GetDescriptorSet()) == 0 ||
		described.GetState() != controlv1.ProcessState_PROCESS_STATE_SERVING {
		t.Errorf("%v, %v", described.GetInstance(), err)
	}
}

func TestControlServiceWantsTheRunToken(t *testing.T) {
	p := start(t, 1, nil)
	client := p.control()
	request := &controlv1.SetTopologyRequest{Topology: p.topology}
	if _, err := client.Control.SetTopology(t.Context(), request); !contract.Is(err, contract.Unauthenticated) {
		t.Errorf("without: %v", err)
	}
	if _, err := client.Control.SetTopology(contract.WithRunToken(t.Context(), "x"), request); !contract.Is(err, contract.PermissionDenied) {
		t.Errorf("wrong: %v", err)
	}
	authorized := contract.WithRunToken(t.Context(), fakenode.RunToken)
	if _, err := client.Control.SetTopology(authorized, request); err != nil {
		t.Errorf("right: %v", err)
	}
	if _, err := client.Control.Stats(authorized, &controlv1.StatsRequest{}); !contract.Is(err, contract.NotImplemented) {
		t.Errorf("stats: %v", err)
	}
	handOver, err := client.Control.HandOver(authorized)
	if err == nil {
		_, err = handOver.Recv()
	}
	if !contract.Is(contract.FromError(err, true), contract.NotImplemented) {
		t.Errorf("hand-over: %v", err)
	}
	none := start(t, 1, func(c *config.Config) { c.RunToken = "" })
	_, err = none.control().Control.SetTopology(contract.WithRunToken(t.Context(), ""), request)
	if !contract.Is(err, contract.PermissionDenied) {
		t.Errorf("a process without: %v", err)
	}
}

func TestATopologyIsReplacedByANewerOneOnly(t *testing.T) {
	p := start(t, 2, nil)
	ctx, client := contract.WithRunToken(t.Context(), fakenode.RunToken), p.control()
	for i := range 20 {
		p.do("PUT", space+fmt.Sprint("/k", i), "v")
	}
	third := fakenode.Start(t, "cache-2")
	next := &controlv1.Topology{Epoch: 5, Nodes: append(proto.CloneOf(p.topology).GetNodes(),
		&controlv1.Node{Name: "cache-2", Tag: 3, Address: third.Address()})}
	if _, err := client.Control.SetTopology(ctx, &controlv1.SetTopologyRequest{Topology: next}); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the third to be up", 5*time.Second, func() bool {
		return strings.Contains(p.do("GET", "/readyz", "").body, `"cache-2":"up"`)
	})
	for i := range 40 {
		p.expect("put", p.do("PUT", space+fmt.Sprint("/again", i), "v"), 201, "")
	}
	if third.Operations() == 0 {
		t.Error("the new node got nothing")
	}
	for what, wrong := range map[string]*controlv1.Topology{
		"an older one":              {Epoch: 4, Nodes: next.GetNodes()},
		"the same epoch, other":     {Epoch: 5, Nodes: next.GetNodes()[:2]},
		"no nodes":                  {Epoch: 6},
		"a name twice":              {Epoch: 6, Nodes: append(next.GetNodes()[:1:1], next.GetNodes()[0])},
		"a tag twice":               {Epoch: 6, Nodes: []*controlv1.Node{next.GetNodes()[0], {Name: "x", Tag: 1, Address: "a:1"}}},
		"no tag":                    {Epoch: 6, Nodes: []*controlv1.Node{{Name: "x", Address: "a:1"}}},
		"no address":                {Epoch: 6, Nodes: []*controlv1.Node{{Name: "x", Tag: 1, Address: "a"}}},
		"no topology (the default)": nil,
	} {
		_, err := client.Control.SetTopology(ctx, &controlv1.SetTopologyRequest{Topology: wrong})
		if !contract.Is(err, contract.InvalidArgument) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := client.Control.SetTopology(ctx, &controlv1.SetTopologyRequest{Topology: next}); err != nil {
		t.Errorf("the same again: %v", err)
	}
}

func TestWrongNodeRefreshesTheTopologyAndSendsOnceMore(t *testing.T) {
	p := start(t, 1, nil)
	second := fakenode.Start(t, "cache-1")
	next := &controlv1.Topology{Epoch: 2, Nodes: append(proto.CloneOf(p.topology).GetNodes(),
		&controlv1.Node{Name: "cache-1", Tag: 2, Address: second.Address()})}
	p.nodes[0].Adopt(next)
	second.Adopt(next)
	waitFor(t, "every key to be served", 10*time.Second, func() bool {
		for i := range 20 {
			if p.do("PUT", space+fmt.Sprint("/k", i), "v").status > 204 {
				return false // the new node's connection is not there yet: NODE_UNAVAILABLE
			}
		}
		return true
	})
	if second.Operations() == 0 {
		t.Error("the new owner got nothing")
	}
}

func TestDrainIsBegunByControlService(t *testing.T) {
	p := start(t, 1, nil)
	client := p.control()
	ctx := contract.WithRunToken(t.Context(), fakenode.RunToken)
	if _, err := client.Control.Drain(ctx, &controlv1.DrainRequest{Delay: durationpb.New(-1)}); !contract.Is(err, contract.InvalidArgument) {
		t.Errorf("a negative delay: %v", err)
	}
	if _, err := client.Control.Drain(ctx, &controlv1.DrainRequest{Delay: durationpb.New(time.Second)}); err != nil {
		t.Fatal(err)
	}
	if !p.State().IsDraining() || p.State().DrainDelay() != time.Second {
		t.Error("not draining")
	}
	got := p.admin("/readyz")
	if got.status != 503 || got.reason() != "DRAINING" || got.header.Get("Retry-After") == "" {
		t.Errorf("%d %s", got.status, got.body)
	}
	p.expect("still served", p.do("GET", "/livez", ""), 200, "")
	checks := p.health()
	waitFor(t, "grpc.health.v1 to say so", 5*time.Second, func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		health, err := checks.Check(ctx, &grpc_health_v1.HealthCheckRequest{})
		return err == nil && health.GetStatus() == grpc_health_v1.HealthCheckResponse_NOT_SERVING
	})
}
