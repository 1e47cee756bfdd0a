package settings

import (
	"net"
	"strings"
	"time"

	"bimetal.dev/contract"
	"github.com/spf13/pflag"
)

// Process are the settings that every program has.
type Process struct {
	// Instance is the name in logs, metrics and /contract.
	Instance string
	// AdminListen is host:port of the admin listener; port 0 takes a free one.
	AdminListen string
	// AllowedHosts are the values of Host, beside loopback, that are served while there is no authentication.
	AllowedHosts []string
	// AllowUnauthenticated permits listeners beyond loopback.
	AllowUnauthenticated bool
	// RunToken gives the right to use the services of the admin listener. Never logged.
	RunToken string
	// LogFormat is auto, json or pretty; LogLevel is debug, info, warn or error.
	LogFormat, LogLevel string
	// DrainDelay is how long everything is still served when draining begins, DrainTimeout how long what is in flight
	// then has to end.
	DrainDelay, DrainTimeout time.Duration
	// WatchStdin ends the process when its standard input does.
	WatchStdin bool
}

// Declare declares them with the program's defaults, and --config.
func (p Process) Declare(flags *pflag.FlagSet) {
	flags.String("instance", p.Instance, "name of this instance")
	flags.String("admin-listen", p.AdminListen, "host:port of the admin listener: health, metrics, contract, pprof, ControlService; port 0 takes a free one")
	flags.String("run-token", "", "secret that ControlService and what else changes something need; never logged")
	flags.StringSlice("allowed-hosts", nil, "values of the Host field that are served beside loopback, separated by commas")
	flags.Bool("allow-unauthenticated", false, "permit listeners beyond loopback although nobody has to authenticate")
	flags.String("log-format", "auto", "auto (pretty on a terminal), json or pretty")
	flags.String("log-level", "info", "debug, info, warn or error")
	flags.Duration("drain-delay", p.DrainDelay, "how long everything is still served after SIGTERM, while readiness fails")
	flags.Duration("drain-timeout", p.DrainTimeout, "how long what is in flight has to end after that")
	flags.Bool("watch-stdin", false, "drain, within 0.8 s, when standard input ends")
	flags.String("config", "", "TOML file with the same names in snake_case")
}

// Process reads them.
func (r *Reader) Process() Process {
	p := Process{
		Instance:             r.Text("instance"),
		AdminListen:          r.Address("admin_listen"),
		AllowedHosts:         r.List("allowed_hosts"),
		AllowUnauthenticated: r.Boolean("allow_unauthenticated"),
		RunToken:             r.Text("run_token"),
		LogFormat:            r.OneOf("log_format", "auto", "json", "pretty"),
		LogLevel:             r.OneOf("log_level", "debug", "info", "warn", "error"),
		DrainDelay:           r.Duration("drain_delay", time.Hour),
		DrainTimeout:         r.Duration("drain_timeout", time.Hour),
		WatchStdin:           r.Boolean("watch_stdin"),
	}
	if !contract.ValidNamespace(p.Instance) {
		r.Fail("instance", "%q must match [a-z0-9][a-z0-9-]{0,62}", p.Instance)
	}
	r.Guard("admin_listen", p.AdminListen, p.AllowUnauthenticated)
	return p
}

// Guard refuses a listener beyond loopback unless that is permitted.
func (r *Reader) Guard(name, address string, permitted bool) {
	if !permitted && !Loopback(address) {
		r.Fail(name, "%q reaches beyond loopback and nobody has to authenticate; use a loopback address, or set "+
			"allow_unauthenticated if something else keeps strangers away", address)
	}
}

// Distinct refuses two listeners at one address.
func (r *Reader) Distinct(name, address, other, otherAddress string) {
	if address == otherAddress && !strings.HasSuffix(address, ":0") {
		r.Fail(name, "%q is the address of %s, too", address, other)
	}
}

// Loopback says whether a listen address can be reached from this machine only.
func Loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
