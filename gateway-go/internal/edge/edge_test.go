package edge_test

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"bimetal.dev/contract"
	controlv1 "bimetal.dev/contract/gen/bimetal/control/v1"
)

func TestTargetsTakeTurns(t *testing.T) {
	p := start(t, 100, route("r", named(t, "a"), named(t, "b"), named(t, "c")))
	seen := map[string]int{}
	for range 9 {
		seen[dial(t, p.address("r")).ask("x")]++
	}
	if len(seen) != 3 || seen["a x"] != 3 || seen["b x"] != 3 {
		t.Errorf("%v", seen)
	}
	for _, target := range p.list()["r"].GetTargets() {
		if target.GetOpenConnections() != 3 || target.GetConnections() != 3 || target.GetFailedConnections() != 0 {
			t.Errorf("%v", target)
		}
	}
}

func TestASwitchIsForNewConnectionsAtOnceAndLeavesThoseThatStand(t *testing.T) {
	former, next := named(t, "former"), named(t, "next")
	p := start(t, 1000, route("r", former))
	address := p.address("r")
	standing := dial(t, address)
	standing.ask("x")
	for i := range 100 {
		want, target := "next x", next
		if i%2 == 1 {
			want, target = "former x", former
		}
		p.set(route("r", target))
		if got := dial(t, address).ask("x"); got != want {
			t.Fatalf("after switch %d: %q, want %q", i, got, want)
		}
	}
	p.set(route("r", next))
	if got := standing.ask("y"); got != "former y" {
		t.Errorf("the connection that stood got %q", got)
	}
	known := p.list()["r"]
	if !slices.Equal(known.GetRoute().GetTargets(), []string{next}) || len(known.GetTargets()) != 2 {
		t.Errorf("%v", known)
	}
	p.set() // without its route it still stands
	if got := standing.ask("z"); got != "former z" {
		t.Errorf("the connection that stood got %q", got)
	}
	if _, err := net.Dial("tcp", address); err == nil {
		t.Error("a route that is gone still listens")
	}
}

func TestATargetThatCannotBeReachedIsPassedOver(t *testing.T) {
	dead := nobody(t)
	p := start(t, 100, route("r", dead, named(t, "a")), route("dead", dead), route("none"))
	for range 6 {
		if got := dial(t, p.address("r")).ask("x"); got != "a x" {
			t.Fatal(got)
		}
	}
	for _, name := range []string{"dead", "none"} {
		begin := time.Now()
		if err := outcome(t, p.address(name)); !errors.Is(err, syscall.ECONNRESET) || time.Since(begin) > 5*time.Second {
			t.Errorf("%s: %v after %v", name, err, time.Since(begin))
		}
	}
	_, metrics := p.admin("/metrics")
	for _, line := range []string{
		`bimetal_edge_connections{route="r"} 6`, `bimetal_edge_connections_total{route="dead"} 1`,
		`bimetal_edge_connections_refused_total{cause="unreachable",route="none"} 1`,
		`bimetal_edge_connect_failures_total{route="dead"} 1`,
	} {
		if !strings.Contains(metrics, line+"\n") {
			t.Errorf("no %s", line)
		}
	}
}

func TestTheEndOfOneDirectionIsPassedOn(t *testing.T) {
	target := serve(t, func(conn *net.TCPConn) { // answers once it has all
		defer func() { _ = conn.Close() }()
		all, _ := io.ReadAll(conn)
		_, _ = fmt.Fprintf(conn, "%d bytes\n", len(all))
	})
	p := start(t, 100, route("r", target))
	c := dial(t, p.address("r"))
	_, _ = c.Write(make([]byte, 1000))
	_ = c.CloseWrite()
	all, err := io.ReadAll(c.lines)
	if err != nil || string(all) != "1000 bytes\n" {
		t.Errorf("%q, %v", all, err)
	}
}

func TestAResetIsPassedOnAsAReset(t *testing.T) {
	ended := make(chan error, 1)
	target := serve(t, func(conn *net.TCPConn) {
		_, _ = io.WriteString(conn, "half an answer\n")
		line := make([]byte, 1)
		if _, err := conn.Read(line); err == nil && line[0] == 'r' {
			_ = conn.SetLinger(0)
			_ = conn.Close()
			return
		}
		_, err := io.Copy(io.Discard, conn)
		ended <- err
		_ = conn.Close()
	})
	p := start(t, 100, route("r", target))
	c := dial(t, p.address("r"))
	_, _ = c.lines.ReadString('\n')
	_, _ = io.WriteString(c, "r")
	if err := c.end(); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the client saw %v", err)
	}
	c = dial(t, p.address("r"))
	_, _ = c.lines.ReadString('\n')
	_, _ = io.WriteString(c, "x")
	_ = c.SetLinger(0)
	_ = c.Close()
	select {
	case err := <-ended:
		if !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the target saw %v", err)
		}
	case <-time.After(5 * time.Second):
		t.Error("the target saw nothing")
	}
}

func TestMuchIsCarriedBothWaysUnchanged(t *testing.T) {
	p := start(t, 100, route("r", serve(t, func(conn *net.TCPConn) {
		_, _ = io.Copy(conn, conn)
		_ = conn.Close()
	})))
	sent := make([]byte, 32<<20)
	_, _ = rand.Read(sent)
	c := dial(t, p.address("r"))
	go func() {
		_, _ = io.Copy(c, bytes.NewReader(sent))
		_ = c.CloseWrite()
	}()
	got, err := io.ReadAll(c.lines)
	if err != nil || sha256.Sum256(got) != sha256.Sum256(sent) {
		t.Errorf("%d bytes came back, %v", len(got), err)
	}
}

func TestMoreConnectionsThanTheLimitAreReset(t *testing.T) {
	p := start(t, 2, route("r", named(t, "a")))
	first, second := dial(t, p.address("r")), dial(t, p.address("r"))
	first.ask("x")
	second.ask("x")
	if err := outcome(t, p.address("r")); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the third: %v", err)
	}
	if _, metrics := p.admin("/metrics"); !strings.Contains(metrics, `refused_total{cause="limit",route="r"} 1`) {
		t.Error("not counted")
	}
	_ = first.Close()
	eventually(t, "room again", func() bool {
		conn, err := net.Dial("tcp", p.address("r"))
		if err != nil {
			return false
		}
		defer func() { _ = conn.Close() }()
		_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
		_, _ = io.WriteString(conn, "x\n")
		_, err = conn.Read(make([]byte, 1))
		return err == nil
	})
}

func TestWhenAnAddressCannotBeOpenedNothingIsChanged(t *testing.T) {
	a, b := named(t, "a"), named(t, "b")
	p := start(t, 100, route("r", a))
	address := p.address("r")
	_, err := p.try(route("r", b), route("new", b), &controlv1.Route{Name: "taken", Listen: a, Targets: []string{b}})
	failure := contract.FromError(err, true)
	if failure.Reason() != contract.InvalidArgument || !strings.Contains(failure.Error(), a) || !strings.Contains(failure.Error(), "in use") {
		t.Errorf("%v", err)
	}
	if listed := p.list(); len(listed) != 1 || listed["r"].GetRoute().GetListen() != address {
		t.Errorf("%v", listed)
	}
	if got := dial(t, address).ask("x"); got != "a x" {
		t.Error(got)
	}
}

func TestAnAddressIsKeptWhileItIsWantedAlsoUnderAnotherName(t *testing.T) {
	a, b := named(t, "a"), named(t, "b")
	p := start(t, 100, route("first", a), route("second", b))
	first, second := p.address("first"), p.address("second")
	bound := p.set(route("second", b), route("first", b)) // the same again, in another order
	if bound[0].GetListen() != second || bound[1].GetListen() != first {
		t.Errorf("%v", bound)
	}
	p.set(&controlv1.Route{Name: "first", Listen: second, Targets: []string{a}}, &controlv1.Route{Name: "third", Listen: first, Targets: []string{b}})
	if got := dial(t, second).ask("x"); got != "a x" {
		t.Errorf("the address that first has now leads to %q", got)
	}
	if got := dial(t, first).ask("x"); got != "b x" {
		t.Errorf("the address that third has now leads to %q", got)
	}
}

func TestAWrongRequestIsRefusedAndNamed(t *testing.T) {
	p := start(t, 100, route("r", named(t, "a")))
	at := func(listen string, targets ...string) *controlv1.Route {
		return &controlv1.Route{Name: "x", Listen: listen, Targets: targets}
	}
	many := make([]*controlv1.Route, 257)
	for i := range many {
		many[i] = route(fmt.Sprint("r", i))
	}
	for _, c := range []struct {
		what, field string
		routes      []*controlv1.Route
	}{
		{"no name", "routes.name", []*controlv1.Route{route("")}},
		{"a capital", "routes.name", []*controlv1.Route{route("A")}},
		{"a long name", "routes.name", []*controlv1.Route{route(strings.Repeat("a", 64))}},
		{"a name twice", "routes.name", []*controlv1.Route{route("a"), route("a")}},
		{"no address", "routes.listen", []*controlv1.Route{at("")}},
		{"no port", "routes.listen", []*controlv1.Route{at("127.0.0.1")}},
		{"a great port", "routes.listen", []*controlv1.Route{at("127.0.0.1:65536")}},
		{"beyond loopback", "routes.listen", []*controlv1.Route{at("0.0.0.0:0")}},
		{"everywhere", "routes.listen", []*controlv1.Route{at(":0")}},
		{"an address twice", "routes.listen", []*controlv1.Route{at("127.0.0.1:1"), {Name: "y", Listen: "127.0.0.1:1"}}},
		{"no target's port", "routes.targets", []*controlv1.Route{at("127.0.0.1:0", "127.0.0.1:0")}},
		{"no target's host", "routes.targets", []*controlv1.Route{at("127.0.0.1:0", ":1")}},
		{"a target twice", "routes.targets", []*controlv1.Route{at("127.0.0.1:0", "a:1", "a:1")}},
		{"many targets", "routes.targets", []*controlv1.Route{at("127.0.0.1:0", make([]string, 65)...)}},
		{"many", "routes", many},
	} {
		_, err := p.try(c.routes...)
		failure := contract.FromError(err, true)
		if failure.Reason() != contract.InvalidArgument || failure.Detail.GetViolations()[0].GetField() != c.field {
			t.Errorf("%s: %v", c.what, err)
		}
	}
	if listed := p.list(); len(listed) != 1 {
		t.Errorf("%v", listed)
	}
}

func TestOnlyTheRunTokenGivesTheRightToUseTheServices(t *testing.T) {
	p := start(t, 100)
	_, err := p.service.SetRoutes(t.Context(), &controlv1.SetRoutesRequest{})
	_, listing := p.service.ListRoutes(contract.WithRunToken(t.Context(), "x"), &controlv1.ListRoutesRequest{})
	_, draining := p.control.Drain(t.Context(), &controlv1.DrainRequest{})
	if contract.FromError(err, true).Reason() != contract.Unauthenticated ||
		contract.FromError(listing, true).Reason() != contract.PermissionDenied ||
		contract.FromError(draining, true).Reason() != contract.Unauthenticated {
		t.Errorf("%v, %v, %v", err, listing, draining)
	}
	description, err := p.control.Describe(t.Context(), &controlv1.DescribeRequest{})
	if err != nil || description.GetService() != "edge" || description.GetInstance() != "edge-0" ||
		description.GetState() != controlv1.ProcessState_PROCESS_STATE_SERVING || description.GetTopology() != nil {
		t.Errorf("%v, %v", description, err)
	}
	for target, part := range map[string]string{"/livez": "live", "/readyz": "ready", "/contract": `"service":"edge"`} {
		if status, body := p.admin(target); status != 200 || !strings.Contains(body, part) {
			t.Errorf("%s: %d %.100s", target, status, body)
		}
	}
}

func TestItDrainsByLettingConnectionsEndAndResetsTheRest(t *testing.T) {
	p := start(t, 100, route("r", named(t, "a")))
	address := p.address("r")
	ending, standing := dial(t, address), dial(t, address)
	ending.ask("x")
	standing.ask("x")
	if _, err := p.control.Drain(contract.WithRunToken(t.Context(), runToken), &controlv1.DrainRequest{}); err != nil {
		t.Fatal(err)
	}
	<-p.State().Draining()
	if status, _ := p.admin("/readyz"); status != 503 {
		t.Errorf("ready while draining: %d", status)
	}
	finished := make(chan struct{})
	go func() {
		p.finish(500 * time.Millisecond)
		close(finished)
	}()
	eventually(t, "not listening", func() bool {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	})
	if got := ending.ask("y"); got != "a y" {
		t.Errorf("while draining: %q", got)
	}
	_ = ending.CloseWrite()
	if err := ending.end(); err != nil {
		t.Errorf("the one that ends: %v", err)
	}
	if err := standing.end(); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the one that stands: %v", err)
	}
	<-finished
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for start := time.Now(); !condition(); time.Sleep(2 * time.Millisecond) {
		if time.Since(start) > 5*time.Second {
			t.Fatalf("%s: not within 5 s", what)
		}
	}
}
