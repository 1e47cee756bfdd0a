package config

import (
	"fmt"
	"os"
	"time"

	"bimetal.dev/gateway/internal/settings"
	"github.com/spf13/pflag"
)

// newFlags declares every setting with its default: --help is made from this.
func newFlags() *pflag.FlagSet {
	flags := pflag.NewFlagSet("bimetal-gateway", pflag.ContinueOnError)
	flags.SortFlags = false
	settings.Process{
		Instance: "gateway-0", AdminListen: "127.0.0.1:8081", DrainDelay: 2 * time.Second, DrainTimeout: 10 * time.Second,
	}.Declare(flags)
	flags.String("listen", "127.0.0.1:8080", "host:port of the public HTTP listener; port 0 takes a free one")
	flags.String("passed-listen", "", "unix:@NAME, where the edge passes accepted connections on as open sockets (Linux); unix:@ takes a free name; empty: nowhere")
	flags.String("topology", "", `the cache nodes, as JSON: {"epoch":"1","nodes":[{"name":"cache-0","tag":1,"address":"127.0.0.1:7400"}]} (required)`)
	flags.String("otlp-endpoint", "", "URL to send spans to by OTLP/gRPC; empty: none are made")
	flags.Int("max-connections", 2048, "connections of clients at once; further ones are reset")
	flags.Int("max-requests", 4096, "requests in flight; further ones are OVERLOADED")
	flags.Int("max-watchers", 256, "event streams; further ones are OVERLOADED")
	flags.Int64("max-body-bytes", 256<<20, "memory for request bodies over 64 KiB together; further ones are OVERLOADED")
	flags.Int("pipeline-window", 2, "unanswered batches on a stream to a node, 1 to 64")
	flags.Duration("node-silence", 500*time.Millisecond, "a node is down when nothing came for so long while an answer was owed")
	flags.Duration("node-patience", time.Second, "how long an operation waits for a node that moves to another process or was just added")
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
