package edge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"time"

	"bimetal.dev/contract"
	"bimetal.dev/gateway/internal/admin"
	"bimetal.dev/gateway/internal/health"
	"bimetal.dev/gateway/internal/httpserver"
	"bimetal.dev/gateway/internal/lifecycle"
	"bimetal.dev/gateway/internal/logging"
	"bimetal.dev/gateway/internal/process"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

const (
	// filesPerConnection are its two sockets and, for each direction, the pipe that splice needs. One that is passed on
	// takes two, for a moment.
	filesPerConnection = 6
	// otherFiles is room for listeners, logs and the admin listener's connections.
	otherFiles = 2*maxRoutes + 128
)

// Edge is the whole process but for signals and exit codes.
type Edge struct {
	log    *slog.Logger
	state  *lifecycle.Lifecycle
	table  *table
	places chan struct{} // one for each connection that may stand, or look for a target

	// running are the accepting loops and the connections; cutting ends those that would not end by themselves.
	running sync.WaitGroup
	cutting context.Context
	cut     context.CancelFunc

	admin    *http.Server
	adminLn  net.Listener
	stopGRPC func()
	failed   chan error
	closing  chan struct{}
}

// Start binds the listeners and serves. The line that says so is the first of the log.
func Start(c *Config, log *slog.Logger) (*Edge, error) {
	e := &Edge{
		log: log, state: lifecycle.New(), failed: make(chan error, 1), closing: make(chan struct{}),
		places: make(chan struct{}, min(c.MaxConnections, affordable())),
	}
	e.cutting, e.cut = context.WithCancel(context.Background())
	e.table = &table{serve: func(d *door) { e.running.Go(func() { e.accept(d) }) }}
	var binding net.ListenConfig
	var err error
	if e.adminLn, err = binding.Listen(context.Background(), "tcp", c.AdminListen); err != nil {
		return nil, fmt.Errorf("%w: admin-listen %s: %w", process.ErrListen, c.AdminListen, err)
	}
	bound, failure := e.table.set(c.Routes)
	if failure != nil {
		_ = e.adminLn.Close()
		return nil, failure
	}
	addresses := map[string]string{}
	for _, route := range bound {
		addresses[route.GetName()] = route.GetListen()
	}
	addresses["admin"] = e.adminLn.Addr().String()
	log.Log(context.Background(), logging.Always, "listening", "addresses", addresses, "contract_revision", contract.Revision,
		"contract_digest", contract.Digest, "pid", os.Getpid())
	if cap(e.places) < c.MaxConnections {
		log.Warn("fewer connections than max_connections: the limit of open files is low", "connections", cap(e.places))
	}
	e.serveAdmin(c)
	e.state.Serve()
	return e, nil
}

// affordable is how many connections the limit of open files allows. Go has raised it as far as it may.
func affordable() int {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return 1 << 20
	}
	return int(max(1, (int64(min(limit.Cur, 1<<30))-otherFiles)/filesPerConnection))
}

func (e *Edge) serveAdmin(c *Config) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		collector{e.table, cap(e.places)})
	handler, stop := admin.New(admin.Options{
		Service: "edge", Process: c.Process, State: e.state, Registry: registry,
		Health:   health.New("edge", e.state, e.ready),
		Register: (&service{edge: e, open: c.AllowUnauthenticated}).register,
	})
	e.stopGRPC = stop
	e.admin = httpserver.New(handler, e.log)
	go func() {
		err := e.admin.Serve(e.adminLn)
		select {
		case <-e.closing:
		default:
			e.failed <- err
		}
	}()
}

// ready is always true: an edge without routes has been told of none.
func (e *Edge) ready() (map[string]any, error) {
	return map[string]any{"routes": len(e.table.list())}, nil
}

// accept takes connections until the door is closed.
func (e *Edge) accept(d *door) {
	for {
		conn, err := d.listener.AcceptTCP()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // open files, most likely; somebody will close some
			e.log.Warn("a connection was not accepted", "route", d.route.Load().name, "error", err.Error())
			time.Sleep(50 * time.Millisecond)
			continue
		}
		r := d.route.Load()
		select {
		case e.places <- struct{}{}:
			e.running.Go(func() {
				defer func() { <-e.places }()
				e.carry(conn, r)
			})
		default:
			r.limited.Add(1)
			reset(conn)
		}
	}
}

// carry is the life of one connection.
func (e *Edge) carry(client *net.TCPConn, r *route) {
	r.accepted.Add(1)
	r.open.Add(1)
	defer r.open.Add(-1)
	server, t := r.lead(e.cutting, client)
	if t == nil {
		r.lost.Add(1)
		e.log.Debug("no target can be reached", "route", r.name)
		reset(client)
		return
	}
	if server == nil {
		_ = client.Close() // this handle of it: the target has its own
		return
	}
	defer t.open.Add(-1)
	stop := context.AfterFunc(e.cutting, func() {
		reset(client)
		reset(server)
	})
	defer stop()
	relay(client, server)
}

// AdminAddr is where the admin listener is bound.
func (e *Edge) AdminAddr() string { return e.adminLn.Addr().String() }

// State is the life of the process; State().Drain begins its end.
func (e *Edge) State() *lifecycle.Lifecycle { return e.state }

// Failed gets an error when the admin listener breaks.
func (e *Edge) Failed() <-chan error { return e.failed }

// Finish is the second half of draining: it accepts nothing new, lets relayed connections end within the timeout, and
// resets those that have not: most are idle ones that their clients keep, and nothing but their ends can say so.
func (e *Edge) Finish(abort context.Context, timeout time.Duration) error {
	select {
	case <-time.After(e.state.DrainDelay()):
	case <-abort.Done():
	}
	e.table.close()
	ended := make(chan struct{})
	go func() {
		e.running.Wait()
		close(ended)
	}()
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-ended:
	case <-timer.C:
	case <-abort.Done():
	}
	if standing := len(e.places); standing > 0 {
		e.log.Warn("connections that stood were reset", "connections", standing)
	}
	e.cut()
	<-ended
	e.state.Drain(0)
	e.state.End()
	close(e.closing)
	e.stopGRPC()
	_ = e.admin.Close() // whoever still asks it has been told to go
	return nil
}
