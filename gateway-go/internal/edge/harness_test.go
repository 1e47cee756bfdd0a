package edge_test

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"bimetal.dev/contract"
	controlv1 "bimetal.dev/contract/gen/bimetal/control/v1"
	"bimetal.dev/gateway/internal/edge"
	"bimetal.dev/gateway/internal/fdpass"
	"bimetal.dev/gateway/internal/settings"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const runToken = "edge-run-token"

// platform is an edge and its client.
type platform struct {
	*edge.Edge
	t       *testing.T
	service controlv1.EdgeServiceClient
	control controlv1.ControlServiceClient
	ended   bool
}

func start(t *testing.T, maxConnections int, routes ...*controlv1.Route) *platform {
	t.Helper()
	c := &edge.Config{
		Process:        settings.Process{Instance: "edge-0", AdminListen: "127.0.0.1:0", RunToken: runToken},
		MaxConnections: maxConnections,
	}
	e, err := edge.Start(c, slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})))
	if err != nil {
		t.Fatal(err)
	}
	connection, err := grpc.NewClient("passthrough:///"+e.AdminAddr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	p := &platform{
		Edge: e, t: t, service: controlv1.NewEdgeServiceClient(connection), control: controlv1.NewControlServiceClient(connection),
	}
	t.Cleanup(func() {
		_ = connection.Close()
		if !p.ended {
			p.finish(10 * time.Millisecond)
		}
	})
	p.set(routes...)
	return p
}

func (p *platform) finish(timeout time.Duration) {
	p.t.Helper()
	p.ended = true
	p.State().Drain(0)
	if err := p.Finish(context.Background(), timeout); err != nil {
		p.t.Error(err)
	}
}

func (p *platform) try(routes ...*controlv1.Route) ([]*controlv1.Route, error) {
	response, err := p.service.SetRoutes(contract.WithRunToken(p.t.Context(), runToken), &controlv1.SetRoutesRequest{Routes: routes})
	return response.GetRoutes(), err
}

func (p *platform) set(routes ...*controlv1.Route) []*controlv1.Route {
	p.t.Helper()
	bound, err := p.try(routes...)
	if err != nil {
		p.t.Fatal(err)
	}
	return bound
}

// list is the routes by name.
func (p *platform) list() map[string]*controlv1.RouteStats {
	p.t.Helper()
	response, err := p.service.ListRoutes(contract.WithRunToken(p.t.Context(), runToken), &controlv1.ListRoutesRequest{})
	if err != nil {
		p.t.Fatal(err)
	}
	routes := map[string]*controlv1.RouteStats{}
	for _, stats := range response.GetRoutes() {
		routes[stats.GetRoute().GetName()] = stats
	}
	return routes
}

// address is where a route is bound.
func (p *platform) address(name string) string {
	p.t.Helper()
	return p.list()[name].GetRoute().GetListen()
}

func (p *platform) admin(target string) (int, string) {
	p.t.Helper()
	response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Get("http://" + p.AdminAddr() + target)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

func route(name string, targets ...string) *controlv1.Route {
	return &controlv1.Route{Name: name, Listen: "127.0.0.1:0", Targets: targets}
}

// serve starts a server that gives each connection to handle, and answers its address.
func serve(t *testing.T, handle func(*net.TCPConn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serveAt(t, listener, handle)
	return listener.Addr().String()
}

func serveAt(t *testing.T, listener net.Listener, handle func(*net.TCPConn)) {
	t.Helper()
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go handle(conn.(*net.TCPConn))
		}
	}()
}

// named starts a server that says its name in front of every line that it is sent.
func named(t *testing.T, name string) string { return serve(t, says(name)) }

func says(name string) func(*net.TCPConn) {
	return func(conn *net.TCPConn) {
		defer func() { _ = conn.Close() }()
		for lines := bufio.NewScanner(conn); lines.Scan(); {
			_, _ = io.WriteString(conn, name+" "+lines.Text()+"\n")
		}
	}
}

// passable is a listener to which connections are passed; nobody accepts them yet.
func passable(t *testing.T) *fdpass.Listener {
	t.Helper()
	listener, err := fdpass.Listen(fdpass.Any, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	return listener
}

// takes starts the same server as named; it takes connections over.
func takes(t *testing.T, name string) string {
	t.Helper()
	listener := passable(t)
	serveAt(t, listener, says(name))
	return listener.Address()
}

// nobody is an address at which nobody listens.
func nobody(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = listener.Close()
	return listener.Addr().String()
}

// client is a connection to the edge.
type client struct {
	*net.TCPConn
	t     *testing.T
	lines *bufio.Reader
}

func dial(t *testing.T, address string) *client {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	return &client{conn.(*net.TCPConn), t, bufio.NewReader(conn)}
}

// ask sends a line and answers the one that comes back.
func (c *client) ask(line string) string {
	c.t.Helper()
	if _, err := io.WriteString(c, line+"\n"); err != nil {
		c.t.Fatal(err)
	}
	answer, err := c.lines.ReadString('\n')
	if err != nil {
		c.t.Fatal(err)
	}
	return strings.TrimSuffix(answer, "\n")
}

// end is how the connection ended: nil for an orderly end.
func (c *client) end() error {
	_, err := io.Copy(io.Discard, c.lines)
	return err
}

// outcome is how a connection ends that nothing is sent on; it may be over before dialling is.
func outcome(t *testing.T, address string) error {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	_, err = io.Copy(io.Discard, conn)
	return err
}
