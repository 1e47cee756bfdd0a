// Package gateway puts the parts together: listeners, routes, connections to the nodes, and the order in which all of
// that begins and ends.
package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"bimetal.dev/contract"
	controlv1 "bimetal.dev/contract/gen/bimetal/control/v1"
	"bimetal.dev/gateway/internal/admin"
	"bimetal.dev/gateway/internal/cluster"
	"bimetal.dev/gateway/internal/config"
	"bimetal.dev/gateway/internal/exchange"
	"bimetal.dev/gateway/internal/fdpass"
	"bimetal.dev/gateway/internal/health"
	"bimetal.dev/gateway/internal/httpserver"
	"bimetal.dev/gateway/internal/lifecycle"
	"bimetal.dev/gateway/internal/logging"
	"bimetal.dev/gateway/internal/middleware"
	"bimetal.dev/gateway/internal/namespaces"
	"bimetal.dev/gateway/internal/node"
	"bimetal.dev/gateway/internal/process"
	"bimetal.dev/gateway/internal/tracing"
	"github.com/go-chi/chi/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// quietLimit is how long requests that are under way on HTTP/1.1 may keep Shutdown waiting: it does not drop those
// whose handler has begun, so this covers only the time in which a request is being read.
const quietLimit = 500 * time.Millisecond

// Gateway is the whole process but for signals and exit codes.
type Gateway struct {
	config   *config.Config
	log      *slog.Logger
	state    *lifecycle.Lifecycle
	metrics  *prometheus.Registry
	records  *namespaces.Registry
	cluster  *cluster.Cluster
	bodies   *exchange.Bodies
	health   *health.Handlers
	observer *middleware.Observer
	router   *chi.Mux

	endTracing          func(context.Context) error
	stopGRPC            func()
	public, adminServer *http.Server
	publicLn, adminLn   net.Listener
	passedLn            *fdpass.Listener // nil: nobody passes connections
	failed              chan error
	clients             *connections
	closing             atomic.Bool
	accepting           sync.WaitGroup // the listeners of clients
}

// Start binds the listeners, connects to the nodes and serves. The line that says so is the first of the log.
func Start(c *config.Config, log *slog.Logger) (_ *Gateway, err error) {
	g := &Gateway{
		config: c, log: log, state: lifecycle.New(), metrics: prometheus.NewRegistry(),
		bodies: exchange.NewBodies(c.MaxBodyBytes), failed: make(chan error, 3),
	}
	defer func() {
		if err != nil {
			g.closeListeners()
		}
	}()
	addresses, err := g.listen()
	if err != nil {
		return nil, err
	}
	log.Log(context.Background(), logging.Always, "listening", "addresses", addresses, "contract_revision", contract.Revision,
		"contract_digest", contract.Digest, "pid", os.Getpid())

	tracer, endTracing, err := tracing.Start(context.Background(), c.OTLPEndpoint, c.Instance, process.Version)
	if err != nil {
		return nil, err
	}
	g.endTracing = endTracing
	g.metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	g.observer = middleware.NewObserver(g.metrics, tracer, log)
	g.records = namespaces.NewRegistry(c.RunToken, log)
	g.cluster = g.connect()
	g.records.Attach(g.cluster)
	g.health = health.New("gateway", g.state, g.ready)
	if g.router, err = g.routes(); err != nil {
		g.cluster.Close()
		return nil, err
	}
	g.clients = newConnections(c.MaxConnections, g.metrics)
	g.serve()
	return g, nil
}

// listen binds the listeners and answers where, for the log.
func (g *Gateway) listen() (addresses map[string]string, err error) {
	c := g.config
	var binding net.ListenConfig
	if g.publicLn, err = binding.Listen(context.Background(), "tcp", c.Listen); err != nil {
		return nil, fmt.Errorf("%w: listen %s: %w", process.ErrListen, c.Listen, err)
	}
	if g.adminLn, err = binding.Listen(context.Background(), "tcp", c.AdminListen); err != nil {
		return nil, fmt.Errorf("%w: admin-listen %s: %w", process.ErrListen, c.AdminListen, err)
	}
	addresses = map[string]string{"http": g.publicLn.Addr().String(), "admin": g.adminLn.Addr().String()}
	if c.PassedListen == "" {
		return addresses, nil
	}
	if g.passedLn, err = fdpass.Listen(c.PassedListen, g.log); err != nil {
		return nil, fmt.Errorf("%w: passed-listen %s: %w", process.ErrListen, c.PassedListen, err)
	}
	addresses["http.passed"] = g.PassedAddress()
	return addresses, nil
}

func (g *Gateway) closeListeners() {
	g.closePublic()
	if g.adminLn != nil {
		_ = g.adminLn.Close()
	}
}

// closePublic closes those of clients; the second time they are closed already.
func (g *Gateway) closePublic() {
	if g.publicLn != nil {
		_ = g.publicLn.Close()
	}
	if g.passedLn != nil {
		_ = g.passedLn.Close()
	}
}

// connect begins the connections to the nodes.
func (g *Gateway) connect() *cluster.Cluster {
	seen, metrics := &node.Seen{}, node.NewMetrics(g.metrics)
	return cluster.New(g.config.Topology, g.config.NodePatience, g.metrics, func(name, address string, learn func(*controlv1.Topology)) *node.Node {
		return node.Start(node.Options{
			Name: name, Address: address, RunToken: g.config.RunToken, Seen: seen, Metrics: metrics, Log: g.log,
			Exchange: g.records.Exchange, Learn: learn, Window: g.config.Window, Silence: g.config.NodeSilence,
			Patience: g.config.NodePatience,
		})
	})
}

func (g *Gateway) serve() {
	adminHandler, stopGRPC := admin.New(admin.Options{
		Service: "gateway", Process: g.config.Process, State: g.state, Topology: g.cluster, Health: g.health,
		Registry: g.metrics,
	})
	g.stopGRPC = stopGRPC
	g.public, g.adminServer = httpserver.New(g.router, g.log), httpserver.New(adminHandler, g.log)
	g.public.ConnState = g.clients.track
	serve := func(server *http.Server, listener net.Listener) {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) && !g.closing.Load() {
			g.failed <- err
		}
	}
	go serve(g.adminServer, g.adminLn)
	g.accepting.Go(func() { serve(g.public, g.publicLn) })
	if g.passedLn != nil {
		g.accepting.Go(func() { serve(g.public, g.passedLn) })
	}
	g.state.Serve()
}

// Addr is where the public listener is bound.
func (g *Gateway) Addr() string { return g.publicLn.Addr().String() }

// PassedAddress is where connections are passed to, as fdpass has it; only with config.PassedListen.
func (g *Gateway) PassedAddress() string { return g.passedLn.Address() }

// AdminAddr is where the admin listener is bound.
func (g *Gateway) AdminAddr() string { return g.adminLn.Addr().String() }

// Routes are those of the public listener.
func (g *Gateway) Routes() chi.Routes { return g.router }

// State is the life of the process; State().Drain begins its end.
func (g *Gateway) State() *lifecycle.Lifecycle { return g.state }

// Failed gets an error when a listener breaks.
func (g *Gateway) Failed() <-chan error { return g.failed }

// Finish is the second half of draining: after the delay it takes nothing new, lets what is in flight end within the
// timeout, and closes everything. abort cuts both short. It is to be called once.
func (g *Gateway) Finish(abort context.Context, timeout time.Duration) error {
	err := g.FinishPublic(abort, timeout)
	g.state.Drain(0)
	g.state.End()
	g.cluster.Close()
	g.records.Close()
	g.stopGRPC()
	_ = g.adminServer.Close() // whoever still asks it has been told to go
	flush, cancelFlush := context.WithTimeout(context.WithoutCancel(abort), 500*time.Millisecond)
	defer cancelFlush()
	if flushErr := g.endTracing(flush); flushErr != nil {
		g.log.Warn("some spans were not delivered", "error", flushErr.Error())
	}
	return err
}

// FinishPublic is the part of Finish that clients see; the admin listener and the connections to the nodes still stand
// after it. A second call does nothing.
func (g *Gateway) FinishPublic(abort context.Context, timeout time.Duration) error {
	select {
	case <-time.After(g.state.DrainDelay()):
	case <-abort.Done():
	}
	ctx, cancel := context.WithTimeout(abort, timeout)
	defer cancel()
	g.closing.Store(true)
	g.closePublic()
	g.accepting.Wait() // every connection is known now
	g.state.End()      // event streams end by themselves now
	g.clients.quiet(ctx, quietLimit)
	if err := g.public.Shutdown(ctx); err != nil {
		_ = g.public.Close() // its error is the same
		return fmt.Errorf("requests were still in flight after %v", timeout)
	}
	return nil
}
