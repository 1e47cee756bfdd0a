package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bimetal.dev/gateway/internal/config"
)

const topology = `{"epoch":"1","nodes":[{"name":"cache-0","tag":1,"address":"127.0.0.1:7400"}]}`

func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "gateway.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFlagsGoOverEnvironmentOverFileOverDefaults(t *testing.T) {
	path := file(t, "listen = \"127.0.0.1:1\"\nadmin_listen = \"127.0.0.1:2\"\ninstance = \"of-file\"\nmax_requests = 7\nallowed_hosts = [\"a\", \"b\"]\n")
	c, err := config.Load(
		[]string{"--listen", "127.0.0.1:3", "--config", path},
		[]string{"BIMETAL_LISTEN=127.0.0.1:4", "BIMETAL_ADMIN_LISTEN=127.0.0.1:5", "BIMETAL_TOPOLOGY=" + topology},
	)
	if err != nil {
		t.Fatal(err)
	}
	if c.Listen != "127.0.0.1:3" || c.AdminListen != "127.0.0.1:5" || c.Instance != "of-file" || c.MaxRequests != 7 ||
		c.DrainDelay != 2*time.Second || len(c.AllowedHosts) != 2 || c.Topology.GetEpoch() != 1 {
		t.Errorf("%+v", c)
	}
	c, err = config.Load(nil, []string{"BIMETAL_CONFIG=" + path, "BIMETAL_TOPOLOGY=" + topology, "BIMETAL_ALLOWED_HOSTS=x, y,z"})
	if err != nil || c.Listen != "127.0.0.1:1" || strings.Join(c.AllowedHosts, " ") != "x y z" {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestAWrongSettingIsAnErrorThatNamesIt(t *testing.T) {
	for _, c := range []struct {
		name      string
		arguments []string
		want      string
	}{
		{"no topology", nil, "topology"},
		{"an unknown flag", []string{"--lisen", "x"}, "lisen"},
		{"an argument", []string{"serve"}, `"serve"`},
		{"a topology that is no JSON", []string{"--topology", "{"}, "topology"},
		{"a topology with an unknown field", []string{"--topology", `{"epoch":"1","node":[]}`}, "topology"},
		{"a topology without nodes", []string{"--topology", `{"epoch":"1"}`}, "topology"},
		{"an address", []string{"--listen", "8080"}, "listen"},
		{"a port", []string{"--admin-listen", "127.0.0.1:99999"}, "admin_listen"},
		{"both the same", []string{"--listen", "127.0.0.1:1", "--admin-listen", "127.0.0.1:1"}, "admin_listen"},
		{"beyond loopback", []string{"--listen", "0.0.0.0:1"}, "listen"},
		{"beyond loopback, empty host", []string{"--admin-listen", ":1"}, "admin_listen"},
		{"a duration", []string{"--drain-delay", "2"}, "drain"},
		{"a log format", []string{"--log-format", "xml"}, "log_format"},
		{"a level", []string{"--log-level", "trace"}, "log_level"},
		{"a path for passed connections", []string{"--passed-listen", "unix:/run/x"}, "passed_listen"},
		{"connections", []string{"--max-connections", "0"}, "max_connections"},
		{"a limit", []string{"--max-requests", "0"}, "max_requests"},
		{"an endpoint", []string{"--otlp-endpoint", "127.0.0.1:7717"}, "otlp_endpoint"},
		{"an instance", []string{"--instance", "A"}, "instance"},
		{"a silence", []string{"--node-silence", "1ms"}, "node_silence"},
		{"a file that is not there", []string{"--config", "/nowhere.toml"}, "config"},
		{"a file that is no TOML", []string{"--config", file(t, "{")}, "config"},
		{"an unknown setting in the file", []string{"--config", file(t, "lisen = 1")}, "lisen"},
		{"a setting of the wrong kind in the file", []string{"--config", file(t, "listen = [1]")}, "listen"},
	} {
		arguments := c.arguments
		if c.want != "topology" {
			arguments = append([]string{"--topology", topology}, arguments...)
		}
		if _, err := config.Load(arguments, nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q in it", c.name, err, c.want)
		}
	}
	if _, err := config.Load([]string{"--topology", topology, "--listen", "0.0.0.0:1", "--allow-unauthenticated"}, nil); err != nil {
		t.Errorf("allowed: %v", err)
	}
}

func TestAnUnknownVariableOfThePlatformIsAnErrorThatNamesIt(t *testing.T) {
	known := []string{"BIMETAL_TOPOLOGY=" + topology, "HOME=/", "BIMETALLIC=1"}
	if _, err := config.Load(nil, known); err != nil {
		t.Errorf("only known ones: %v", err)
	}
	for _, name := range []string{"BIMETAL_GATEWAY_URL", "BIMETAL_LISTEN_", "BIMETAL_listen", "BIMETAL_"} {
		if _, err := config.Load(nil, append([]string{name + "=x"}, known...)); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzLoad(f *testing.F) {
	f.Add("--listen", "127.0.0.1:0", "max_requests = 5")
	f.Add("--topology", topology, "allowed_hosts = [1, [2]]")
	f.Add("--drain-delay", "1h", "listen = 5\ntopology = {a = 1}")
	f.Fuzz(func(t *testing.T, flag, value, text string) {
		if strings.ContainsRune(flag+value, 0) {
			return
		}
		c, err := config.Load([]string{flag, value}, []string{"BIMETAL_TOPOLOGY=" + topology, "BIMETAL_CONFIG=" + file(t, text)})
		if (c == nil) == (err == nil) {
			t.Fatalf("%v and %v", c, err)
		}
	})
}
