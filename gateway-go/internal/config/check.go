package config

import (
	"net/url"
	"time"

	controlv1 "bimetal.dev/contract/gen/bimetal/control/v1"
	"bimetal.dev/gateway/internal/cluster"
	"bimetal.dev/gateway/internal/fdpass"
	"bimetal.dev/gateway/internal/settings"
	"google.golang.org/protobuf/encoding/protojson"
)

// ErrHelp says that the help was asked for and printed.
var ErrHelp = settings.ErrHelp

// Load reads the settings; see settings.Load.
func Load(arguments, environ []string) (*Config, error) {
	r, err := settings.Load(newFlags(), arguments, environ)
	if err != nil {
		return nil, err
	}
	return check(r)
}

// check makes a Config of the settings or says which one is wrong.
func check(r *settings.Reader) (*Config, error) {
	c := &Config{
		Process:        r.Process(),
		Listen:         r.Address("listen"),
		PassedListen:   r.Text("passed_listen"),
		OTLPEndpoint:   r.Text("otlp_endpoint"),
		MaxConnections: int(r.Number("max_connections", 1, 1<<20)),
		MaxRequests:    int(r.Number("max_requests", 1, 1<<20)),
		MaxWatchers:    int(r.Number("max_watchers", 0, 1<<20)),
		MaxBodyBytes:   r.Number("max_body_bytes", 16<<20, 1<<40),
		Window:         int(r.Number("pipeline_window", 1, 64)),
		NodeSilence:    r.Duration("node_silence", time.Minute),
		NodePatience:   r.Duration("node_patience", time.Minute),
		Topology:       topology(r),
	}
	if c.NodeSilence < 100*time.Millisecond {
		r.Fail("node_silence", "%v must be at least 100ms", c.NodeSilence)
	}
	if c.PassedListen != "" && !fdpass.Listenable(c.PassedListen) {
		r.Fail("passed_listen", "%q must be unix:@NAME with a name of [A-Za-z0-9._-], or unix:@ for any", c.PassedListen)
	}
	r.Guard("listen", c.Listen, c.AllowUnauthenticated)
	r.Distinct("admin_listen", c.AdminListen, "listen", c.Listen)
	if endpoint, err := url.Parse(c.OTLPEndpoint); c.OTLPEndpoint != "" &&
		(err != nil || endpoint.Host == "" || endpoint.Scheme != "http" && endpoint.Scheme != "https") {
		r.Fail("otlp_endpoint", "%q must be a URL such as http://127.0.0.1:7717", c.OTLPEndpoint)
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	return c, nil
}

func topology(r *settings.Reader) *controlv1.Topology {
	text := r.Text("topology")
	if text == "" {
		r.Fail("topology", "is required: the gateway must know its nodes")
		return nil
	}
	topology := &controlv1.Topology{}
	if err := protojson.Unmarshal([]byte(text), topology); err != nil {
		r.Fail("topology", "is no topology in JSON: %v", err)
		return nil
	}
	if err := cluster.Check(topology); err != nil {
		r.Fail("topology", "%s", err.Detail.GetMessage())
	}
	return topology
}
