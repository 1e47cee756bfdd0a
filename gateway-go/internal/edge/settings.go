package edge

import (
	"fmt"
	"os"
	"time"

	"bimetal.dev/contract"
	controlv1 "bimetal.dev/contract/gen/bimetal/control/v1"
	"bimetal.dev/gateway/internal/fdpass"
	"bimetal.dev/gateway/internal/settings"
	"github.com/spf13/pflag"
	"google.golang.org/protobuf/encoding/protojson"
)

// Config are the settings of the edge, checked.
type Config struct {
	settings.Process
	// Routes are those to begin with.
	Routes []*controlv1.Route
	// MaxConnections is how many connections may stand at once, over all routes.
	MaxConnections int
}

// Load reads the settings; see settings.Load.
func Load(arguments, environ []string) (*Config, error) {
	r, err := settings.Load(newFlags(), arguments, environ)
	if err != nil {
		return nil, err
	}
	c := &Config{Process: r.Process(), MaxConnections: int(r.Number("max_connections", 1, 1<<20))}
	// A request without its brackets, so that the array is read by the rules of the contract.
	var request controlv1.SetRoutesRequest
	if text := r.Text("routes"); text != "" {
		if err := protojson.Unmarshal([]byte(`{"routes":`+text+`}`), &request); err != nil {
			r.Fail("routes", "is no array of routes in JSON: %v", err)
		} else if err := check(request.GetRoutes(), c.AllowUnauthenticated); err != nil {
			r.Fail("routes", "%s", err.Detail.GetMessage())
		}
	}
	c.Routes = request.GetRoutes()
	for _, route := range c.Routes {
		r.Distinct("admin_listen", c.AdminListen, "the route "+route.GetName(), route.GetListen())
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	return c, nil
}

func newFlags() *pflag.FlagSet {
	flags := pflag.NewFlagSet("bimetal-edge", pflag.ContinueOnError)
	flags.SortFlags = false
	settings.Process{
		Instance: "edge-0", AdminListen: "127.0.0.1:7790", DrainTimeout: 10 * time.Second,
	}.Declare(flags)
	flags.String("routes", "", `where to listen and whom to lead to, as JSON: `+
		`[{"name":"gateway.http","listen":"127.0.0.1:8080","targets":["127.0.0.1:41233"]}]`)
	flags.Int("max-connections", 2048, "connections at once; further ones are reset. Each takes 6 open files and some 60 KiB")
	flags.Usage = func() {
		fmt.Fprintf(os.Stderr, `The TCP forwarder of the platform: fixed addresses, behind which instances come and go.

Usage:
  bimetal-edge [flags]                               serve
  bimetal-edge healthcheck [--address HOST:PORT]     ask /readyz of the admin listener; exit 0 or 1

Every flag --foo-bar is also the environment variable BIMETAL_FOO_BAR and foo_bar in the file of --config; flags go
over the environment, that over the file, that over the defaults. Routes are replaced by EdgeService on the admin
listener.

Exit codes: 0 drained, 1 failed, 2 wrong usage or settings, 3 cannot listen, 130 second signal.

Flags:
%s`, flags.FlagUsages())
	}
	return flags
}

const (
	maxRoutes  = 256
	maxTargets = 64
	maxName    = 63
)

// check says whether routes are such as the contract allows. open permits listeners beyond loopback.
func check(routes []*controlv1.Route, open bool) *contract.Error {
	if len(routes) > maxRoutes {
		return contract.Invalid("routes", "must be at most %d, are %d", maxRoutes, len(routes))
	}
	names, listens := map[string]bool{}, map[string]bool{}
	for _, route := range routes {
		name, listen := route.GetName(), route.GetListen()
		_, port, err := splitAddress(listen)
		switch {
		case !validName(name):
			return contract.Invalid("routes.name", "%q must be 1 to %d bytes of [a-z0-9.-]", name, maxName)
		case names[name]:
			return contract.Invalid("routes.name", "%q stands there twice", name)
		case err != nil:
			return contract.Invalid("routes.listen", "%q of %q must be host:port", listen, name)
		case listens[listen] && port != 0:
			return contract.Invalid("routes.listen", "%q of %q stands there twice", listen, name)
		case !open && !settings.Loopback(listen):
			return contract.Invalid("routes.listen", "%q of %q reaches beyond loopback and nobody has to authenticate; use a "+
				"loopback address, or start with allow_unauthenticated", listen, name)
		case len(route.GetTargets()) > maxTargets:
			return contract.Invalid("routes.targets", "of %q must be at most %d, are %d", name, maxTargets, len(route.GetTargets()))
		}
		names[name], listens[listen] = true, true
		targets := map[string]bool{}
		for _, target := range route.GetTargets() {
			if host, port, err := splitAddress(target); !fdpass.Is(target) && (err != nil || host == "" || port == 0) {
				return contract.Invalid("routes.targets", "%q of %q must be host:port or unix:@NAME", target, name)
			}
			if targets[target] {
				return contract.Invalid("routes.targets", "%q of %q stands there twice", target, name)
			}
			targets[target] = true
		}
	}
	return nil
}
