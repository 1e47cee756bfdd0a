package config

import (
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"bimetal.dev/contract"
	controlv1 "bimetal.dev/contract/gen/bimetal/control/v1"
	"bimetal.dev/gateway/internal/cluster"
	"github.com/knadh/koanf/v2"
	"google.golang.org/protobuf/encoding/protojson"
)

// reader takes typed settings and keeps the first error, which names the setting.
type reader struct {
	settings *koanf.Koanf
	err      error
}

func (r *reader) fail(name, format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("setting %s: %s", name, fmt.Sprintf(format, args...))
	}
}

func (r *reader) text(name string) string {
	switch value := r.settings.Get(name).(type) {
	case nil:
		return ""
	case string:
		return strings.TrimSpace(value)
	case int64, int, bool, float64, time.Duration:
		return fmt.Sprint(value)
	default:
		r.fail(name, "must be text")
		return ""
	}
}

func (r *reader) list(name string) []string {
	var parts []string
	switch value := r.settings.Get(name).(type) {
	case nil:
	case []string:
		parts = value
	case []any:
		for _, part := range value {
			parts = append(parts, fmt.Sprint(part))
		}
	default:
		parts = strings.Split(fmt.Sprint(value), ",")
	}
	var list []string
	for _, part := range parts {
		if part = strings.TrimSpace(part); part != "" {
			list = append(list, part)
		}
	}
	return list
}

func (r *reader) boolean(name string) bool {
	value, err := strconv.ParseBool(r.text(name))
	if err != nil {
		r.fail(name, "%q must be true or false", r.text(name))
	}
	return value
}

func (r *reader) number(name string, lowest, highest int64) int64 {
	value, err := strconv.ParseInt(r.text(name), 10, 64)
	if err != nil || value < lowest || value > highest {
		r.fail(name, "%q must be an integer from %d to %d", r.text(name), lowest, highest)
	}
	return value
}

func (r *reader) duration(name string, highest time.Duration) time.Duration {
	value, err := time.ParseDuration(r.text(name))
	if err != nil || value < 0 || value > highest {
		r.fail(name, "%q must be a duration from 0s to %v, such as 2s", r.text(name), highest)
	}
	return value
}

func (r *reader) oneOf(name string, allowed ...string) string {
	value := r.text(name)
	for _, a := range allowed {
		if value == a {
			return value
		}
	}
	r.fail(name, "%q must be one of %s", value, strings.Join(allowed, ", "))
	return value
}

func (r *reader) address(name string) string {
	value := r.text(name)
	_, port, err := net.SplitHostPort(value)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		r.fail(name, "%q must be host:port", value)
	}
	return value
}

// check makes a Config of the settings or says which one is wrong.
func check(settings *koanf.Koanf) (*Config, error) {
	r := &reader{settings: settings}
	c := &Config{
		Instance:             r.text("instance"),
		Listen:               r.address("listen"),
		AdminListen:          r.address("admin_listen"),
		AllowedHosts:         r.list("allowed_hosts"),
		AllowUnauthenticated: r.boolean("allow_unauthenticated"),
		RunToken:             r.text("run_token"),
		OTLPEndpoint:         r.text("otlp_endpoint"),
		LogFormat:            r.oneOf("log_format", "auto", "json", "pretty"),
		LogLevel:             r.oneOf("log_level", "debug", "info", "warn", "error"),
		DrainDelay:           r.duration("drain_delay", time.Hour),
		DrainTimeout:         r.duration("drain_timeout", time.Hour),
		WatchStdin:           r.boolean("watch_stdin"),
		MaxRequests:          int(r.number("max_requests", 1, 1<<20)),
		MaxWatchers:          int(r.number("max_watchers", 0, 1<<20)),
		MaxBodyBytes:         r.number("max_body_bytes", 16<<20, 1<<40),
		Window:               int(r.number("pipeline_window", 1, 64)),
	}
	if c.NodeSilence = r.duration("node_silence", time.Minute); c.NodeSilence < 100*time.Millisecond {
		r.fail("node_silence", "%v must be at least 100ms", c.NodeSilence)
	}
	c.Topology = r.topology()
	if !contract.ValidNamespace(c.Instance) {
		r.fail("instance", "%q must match [a-z0-9][a-z0-9-]{0,62}", c.Instance)
	}
	if c.Listen == c.AdminListen && !strings.HasSuffix(c.Listen, ":0") {
		r.fail("admin_listen", "%q is the address of listen, too", c.AdminListen)
	}
	for name, address := range map[string]string{"listen": c.Listen, "admin_listen": c.AdminListen} {
		if !loopback(address) && !c.AllowUnauthenticated {
			r.fail(name, "%q reaches beyond loopback and nobody has to authenticate; use a loopback address, or set "+
				"allow_unauthenticated if something else keeps strangers away", address)
		}
	}
	if endpoint, err := url.Parse(c.OTLPEndpoint); c.OTLPEndpoint != "" &&
		(err != nil || endpoint.Host == "" || endpoint.Scheme != "http" && endpoint.Scheme != "https") {
		r.fail("otlp_endpoint", "%q must be a URL such as http://127.0.0.1:7717", c.OTLPEndpoint)
	}
	if r.err != nil {
		return nil, r.err
	}
	return c, nil
}

func (r *reader) topology() *controlv1.Topology {
	text := r.text("topology")
	if text == "" {
		r.fail("topology", "is required: the gateway must know its nodes")
		return nil
	}
	topology := &controlv1.Topology{}
	if err := protojson.Unmarshal([]byte(text), topology); err != nil {
		r.fail("topology", "is no topology in JSON: %v", err)
		return nil
	}
	if err := cluster.Check(topology); err != nil {
		r.fail("topology", "%s", err.Detail.GetMessage())
	}
	return topology
}
