package config

import (
	"fmt"
	"os"
	"time"

	"github.com/spf13/pflag"
)

// newFlags declares every setting with its default: --help is made from this.
func newFlags() *pflag.FlagSet {
	flags := pflag.NewFlagSet("bimetal-gateway", pflag.ContinueOnError)
	flags.SortFlags = false
	flags.String("instance", "gateway-0", "name of this instance")
	flags.String("listen", "127.0.0.1:8080", "host:port of the public HTTP listener; port 0 takes a free one")
	flags.String("admin-listen", "127.0.0.1:8081", "host:port of the admin listener: health, metrics, contract, pprof, ControlService")
	flags.String("topology", "", `the cache nodes, as JSON: {"epoch":"1","nodes":[{"name":"cache-0","tag":1,"address":"127.0.0.1:7400"}]} (required)`)
	flags.String("run-token", "", "secret that ControlService and the nodes' namespace writes need; never logged")
	flags.StringSlice("allowed-hosts", nil, "values of the Host field that are served beside loopback, separated by commas")
	flags.Bool("allow-unauthenticated", false, "permit listeners beyond loopback although nobody has to authenticate")
	flags.String("otlp-endpoint", "", "URL to send spans to by OTLP/gRPC; empty: none are made")
	flags.String("log-format", "auto", "auto (pretty on a terminal), json or pretty")
	flags.String("log-level", "info", "debug, info, warn or error")
	flags.Duration("drain-delay", 2*time.Second, "how long everything is still served after SIGTERM, while readiness fails")
	flags.Duration("drain-timeout", 10*time.Second, "how long what is in flight has to end after that")
	flags.Bool("watch-stdin", false, "drain, within 0.8 s, when standard input ends")
	flags.Int("max-requests", 4096, "requests in flight; further ones are OVERLOADED")
	flags.Int("max-watchers", 256, "event streams; further ones are OVERLOADED")
	flags.Int64("max-body-bytes", 256<<20, "memory for request bodies over 64 KiB together; further ones are OVERLOADED")
	flags.Int("pipeline-window", 2, "unanswered batches on a stream to a node, 1 to 64")
	flags.Duration("node-silence", 500*time.Millisecond, "a node is down when nothing came for so long while an answer was owed")
	flags.String("config", "", "TOML file with the same names in snake_case")
	flags.Usage = func() {
		fmt.Fprintf(os.Stderr, `The HTTP gateway of the platform.

Usage:
  bimetal-gateway [flags]                               serve
  bimetal-gateway healthcheck [--address HOST:PORT]     ask /readyz of the admin listener; exit 0 or 1

Every flag --foo-bar is also the environment variable BIMETAL_FOO_BAR and foo_bar in the file of --config; flags go
over the environment, that over the file, that over the defaults.

Exit codes: 0 drained, 1 failed, 2 wrong usage or settings, 3 cannot listen, 130 second signal.

Flags:
%s`, flags.FlagUsages())
	}
	return flags
}
