// Package admin is the listener for operators: health, metrics, identity, pprof, and ControlService by gRPC on the same
// port. Nothing of it belongs on a public address.
package admin

import (
	"encoding/json"
	"net/http"
	"net/http/pprof"
	"strings"

	"bimetal.dev/contract"
	controlv1 "bimetal.dev/contract/gen/bimetal/control/v1"
	"bimetal.dev/gateway/internal/exchange"
	"bimetal.dev/gateway/internal/health"
	"bimetal.dev/gateway/internal/lifecycle"
	"bimetal.dev/gateway/internal/middleware"
	"bimetal.dev/gateway/internal/process"
	"bimetal.dev/gateway/internal/settings"
	"github.com/go-chi/chi/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"google.golang.org/grpc"
	grpchealth "google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"
)

// Options are what the admin listener needs.
type Options struct {
	// Service is "gateway" or "edge".
	Service string
	Process settings.Process
	State   *lifecycle.Lifecycle
	// Topology is nil for a service that follows none.
	Topology Topology
	Health   *health.Handlers
	Registry *prometheus.Registry
	// Register adds gRPC services of the program's own; nil: none. They need the run token.
	Register func(*grpc.Server)
}

// New makes the handler of the listener. stop ends its gRPC side.
func New(options Options) (handler http.Handler, stop func()) {
	grpcServer := newGRPC(options)
	routes := chi.NewRouter()
	routes.Use(middleware.Recover, middleware.Target, middleware.Origin(options.Process.AllowedHosts))
	routes.NotFound(middleware.NotFound)
	routes.MethodNotAllowed(middleware.MethodNotAllowed(routes))
	routes.Method(http.MethodGet, "/livez", exchange.Handler(options.Health.Live))
	routes.Method(http.MethodGet, "/readyz", exchange.Handler(options.Health.Ready))
	routes.Method(http.MethodGet, "/contract", identity(options.Service, options.Process.Instance))
	routes.Method(http.MethodGet, "/metrics", promhttp.HandlerFor(options.Registry, promhttp.HandlerOpts{}))
	routes.HandleFunc("/debug/pprof/*", pprof.Index)
	routes.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	routes.HandleFunc("/debug/pprof/profile", pprof.Profile)
	routes.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	routes.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor == 2 && strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc") {
			grpcServer.ServeHTTP(w, r)
			return
		}
		routes.ServeHTTP(w, r)
	}), grpcServer.Stop
}

func newGRPC(options Options) *grpc.Server {
	g := guard{options.Process.RunToken}
	server := grpc.NewServer(grpc.UnaryInterceptor(g.unary), grpc.StreamInterceptor(g.stream),
		grpc.MaxRecvMsgSize(contract.MaxMessageBytes), grpc.MaxSendMsgSize(contract.MaxMessageBytes))
	controlv1.RegisterControlServiceServer(server, &control{
		service: options.Service, instance: options.Process.Instance, state: options.State, topology: options.Topology,
		delay: options.Process.DrainDelay,
	})
	if options.Register != nil {
		options.Register(server)
	}
	checks := grpchealth.NewServer()
	grpc_health_v1.RegisterHealthServer(server, checks)
	go func() { // ends with the process's life: draining always comes
		<-options.State.Draining()
		checks.Shutdown()
	}()
	reflection.Register(server)
	return server
}

// identity answers /contract, in the shape that all services share.
func identity(service, instance string) exchange.Handler {
	return func(w http.ResponseWriter, _ *http.Request) error {
		body, err := json.Marshal(map[string]any{
			"service": service, "instance": instance, "language": "go", "version": process.Version,
			"revision": contract.Revision, "digest": contract.Digest, "descriptorSet": contract.DescriptorSet(),
		})
		if err != nil {
			return err
		}
		exchange.WriteJSON(w, http.StatusOK, body)
		return nil
	}
}
