package gateway_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	controlv1 "bimetal.dev/contract/gen/bimetal/control/v1"
	"bimetal.dev/gateway/internal/config"
	"bimetal.dev/gateway/internal/fakenode"
	"bimetal.dev/gateway/internal/gateway"
	"bimetal.dev/gateway/internal/settings"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) { exit(code) }))
}

// platform is a gateway before fake nodes.
type platform struct {
	*gateway.Gateway
	t        *testing.T
	nodes    []*fakenode.Node
	topology *controlv1.Topology
	client   *http.Client
}

// start makes a platform of so many nodes and waits until it is ready.
func start(t *testing.T, nodes int, change func(*config.Config)) *platform {
	t.Helper()
	p := &platform{t: t, topology: &controlv1.Topology{Epoch: 1}}
	for i := range nodes {
		fake := fakenode.Start(t, fmt.Sprint("cache-", i))
		p.nodes = append(p.nodes, fake)
		p.topology.Nodes = append(p.topology.Nodes, &controlv1.Node{
			Name: fake.Name(), Tag: uint32(i + 1), Address: fake.Address(),
		})
	}
	c := &config.Config{
		Process: settings.Process{
			Instance: "gateway-0", AdminListen: "127.0.0.1:0", RunToken: fakenode.RunToken, DrainTimeout: 5 * time.Second,
		},
		Listen: "127.0.0.1:0", Topology: p.topology, MaxConnections: 2048, MaxRequests: 4096, MaxWatchers: 16, MaxBodyBytes: 256 << 20,
		Window: 4, NodeSilence: 5 * time.Second, NodePatience: 10 * time.Second, // a loaded machine is not a dead node; tests of that set their own
	}
	if change != nil {
		change(c)
	}
	g, err := gateway.Start(c, slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})))
	if err != nil {
		t.Fatal(err)
	}
	p.Gateway = g
	transport := &http.Transport{}
	p.client = &http.Client{Transport: recording{transport}, Timeout: 20 * time.Second}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		g.State().Drain(0)
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := g.Finish(ctx, 5*time.Second); err != nil {
			t.Error(err)
		}
	})
	waitFor(t, "ready", 5*time.Second, func() bool { return p.do("GET", "/readyz", "").status == 200 })
	return p
}

func waitFor(t *testing.T, what string, limit time.Duration, condition func() bool) {
	t.Helper()
	for start := time.Now(); !condition(); time.Sleep(2 * time.Millisecond) {
		if time.Since(start) > limit {
			t.Fatalf("%s: not within %v", what, limit)
		}
	}
}

// answer is a response with its body.
type answer struct {
	status int
	header http.Header
	body   string
}

// json decodes the body.
func (a answer) json(t *testing.T) map[string]any {
	t.Helper()
	var object map[string]any
	if err := json.Unmarshal([]byte(a.body), &object); err != nil {
		t.Fatalf("%d %q is no JSON object: %v", a.status, a.body, err)
	}
	return object
}

// reason is that of a problem.
func (a answer) reason() string {
	var object struct{ Reason string }
	_ = json.Unmarshal([]byte(a.body), &object) // no problem: no reason
	return object.Reason
}

// do makes one request. Each of fields is "Name: value"; the target is sent as it is.
func (p *platform) do(method, target, body string, fields ...string) answer {
	p.t.Helper()
	a, err := p.try(method, target, body, fields...)
	if err != nil {
		p.t.Fatalf("%s %s: %v", method, target, err)
	}
	return a
}

func (p *platform) try(method, target, body string, fields ...string) (answer, error) {
	request, err := http.NewRequestWithContext(p.t.Context(), method, "http://"+p.Addr()+target, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	for _, field := range fields {
		name, value, _ := strings.Cut(field, ": ")
		if name == "Host" {
			request.Host = value
		}
		request.Header.Add(name, value)
	}
	response, err := p.client.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = response.Body.Close() }()
	read, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header, string(read)}, err
}

// expect checks status and reason of an answer.
func (p *platform) expect(what string, a answer, status int, reason string) {
	p.t.Helper()
	if a.status != status || a.reason() != reason {
		p.t.Errorf("%s: %d %q, want %d %s", what, a.status, a.body, status, reason)
	}
}
