package edge_test

import (
	"strings"
	"testing"

	"bimetal.dev/gateway/internal/edge"
)

func TestRoutesAreReadAsTheContractWritesThem(t *testing.T) {
	c, err := edge.Load([]string{"--routes", `[{"name":"gateway.http","listen":"127.0.0.1:0","targets":["gateway:8080","b:1"]},{"name":"x","listen":"[::1]:0"}]`}, nil)
	if err != nil || len(c.Routes) != 2 || c.Routes[0].GetTargets()[0] != "gateway:8080" || c.MaxConnections != 2048 || c.Instance != "edge-0" {
		t.Errorf("%+v, %v", c, err)
	}
	if c, err = edge.Load(nil, []string{"BIMETAL_ROUTES=", "BIMETAL_MAX_CONNECTIONS=5"}); err != nil || len(c.Routes) != 0 || c.MaxConnections != 5 {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestAWrongSettingIsAnErrorThatNamesIt(t *testing.T) {
	for _, c := range []struct{ name, value, want string }{
		{"--routes", `{}`, "routes"},
		{"--routes", `[{"nam":"x"}]`, "routes"},
		{"--routes", `[],"routes":[]`, "routes"},
		{"--routes", `[{"name":"x","listen":"127.0.0.1:0","targets":["unix:@"]}]`, "unix:@NAME"},
		{"--routes", `[{"name":"x","listen":"127.0.0.1:0","targets":["unix:/run/x"]}]`, "unix:@NAME"},
		{"--routes", `[{"name":"x","listen":"0.0.0.0:1"}]`, "allow_unauthenticated"},
		{"--routes", `[{"name":"x","listen":"127.0.0.1:7790"}]`, "admin_listen"},
		{"--admin-listen", "0.0.0.0:1", "admin_listen"},
		{"--max-connections", "0", "max_connections"},
	} {
		if _, err := edge.Load([]string{c.name, c.value}, nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %s: %v, want %q in it", c.name, c.value, err, c.want)
		}
	}
	if _, err := edge.Load(nil, []string{"BIMETAL_TOPOLOGY=x"}); err == nil || !strings.Contains(err.Error(), "BIMETAL_TOPOLOGY") {
		t.Errorf("an unknown variable: %v", err)
	}
}

func FuzzLoad(f *testing.F) {
	f.Add(`[{"name":"a","listen":"127.0.0.1:0","targets":["b:1"]}]`)
	f.Add(`[{"name":"a","listen":":0"},null]`)
	f.Add(`[]`)
	f.Fuzz(func(t *testing.T, routes string) {
		if strings.ContainsRune(routes, 0) {
			return
		}
		c, err := edge.Load([]string{"--routes", routes}, nil)
		if (c == nil) == (err == nil) {
			t.Fatalf("%v and %v", c, err)
		}
	})
}
