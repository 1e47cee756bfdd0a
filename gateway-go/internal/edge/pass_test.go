package edge_test

import (
	"errors"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestATargetThatTakesConnectionsOverIsPassedThem(t *testing.T) {
	p := start(t, 2, route("r", takes(t, "taker")))
	address := p.address("r")
	var standing []*client
	for range 5 { // more than may stand at the edge
		c := dial(t, address)
		if got := c.ask("x"); got != "taker x" {
			t.Fatal(got)
		}
		standing = append(standing, c)
	}
	eventually(t, "none to stand at the edge", func() bool {
		_, metrics := p.admin("/metrics")
		return strings.Contains(metrics, `bimetal_edge_connections{route="r"} 0`+"\n") &&
			strings.Contains(metrics, `bimetal_edge_connections_passed_total{route="r"} 5`+"\n")
	})
	if target := p.list()["r"].GetTargets()[0]; target.GetConnections() != 5 || target.GetOpenConnections() != 0 {
		t.Errorf("%v", target)
	}
	p.finish(10 * time.Millisecond) // the edge ends, and they stand
	for _, c := range standing {
		if got := c.ask("y"); got != "taker y" {
			t.Error(got)
		}
		_ = c.CloseWrite()
		if err := c.end(); err != nil {
			t.Error(err)
		}
	}
}

func TestTargetsOfBothKindsTakeTurns(t *testing.T) {
	p := start(t, 100, route("r", takes(t, "a"), named(t, "b")))
	seen := map[string]int{}
	for range 6 {
		seen[dial(t, p.address("r")).ask("x")]++
	}
	if seen["a x"] != 3 || seen["b x"] != 3 {
		t.Errorf("%v", seen)
	}
}

// A target that ends leaves those connections that it has not taken: the edge still has them, with all that was sent.
func TestWhatATargetHasNotTakenGoesToTheNext(t *testing.T) {
	ending := passable(t)
	p := start(t, 100, route("r", ending.Address()))
	c := dial(t, p.address("r"))
	_, _ = io.WriteString(c, "x\n")
	eventually(t, "the edge to wait for an answer", func() bool {
		_, metrics := p.admin("/metrics")
		return strings.Contains(metrics, `bimetal_edge_connections{route="r"} 1`+"\n")
	})
	p.set(route("r", takes(t, "next")))
	_ = ending.Close()
	if got, err := c.lines.ReadString('\n'); got != "next x\n" {
		t.Errorf("%q, %v", got, err)
	}
	if got := c.ask("y"); got != "next y" {
		t.Error(got)
	}
}

func TestASlowTargetIsPassedOverAndWaitedForIfThereIsNoOther(t *testing.T) {
	slow := passable(t)
	p := start(t, 100, route("both", slow.Address(), named(t, "b")), route("alone", slow.Address()))
	for range 2 { // the second finds that it was slow a moment ago
		if got := dial(t, p.address("both")).ask("x"); got != "b x" {
			t.Error(got)
		}
	}
	time.AfterFunc(1500*time.Millisecond, func() { serveAt(t, slow, says("slow")) })
	if got := dial(t, p.address("alone")).ask("x"); got != "slow x" {
		t.Error(got)
	}
}

func TestATargetThatNeverTakesIsGivenUp(t *testing.T) {
	silent := passable(t)
	p := start(t, 100, route("r", silent.Address()))
	begin := time.Now()
	err := outcome(t, p.address("r"))
	if took := time.Since(begin); err != nil && !errors.Is(err, syscall.ECONNRESET) || took < 4*time.Second || took > 8*time.Second {
		t.Errorf("%v after %v", err, took)
	}
}

func TestWhatASlowTargetHoldsIsEndedAlsoWhenItIsATargetNoLonger(t *testing.T) {
	silent := passable(t)
	p := start(t, 100, route("r", silent.Address()))
	c := dial(t, p.address("r"))
	eventually(t, "the edge to wait for an answer", func() bool {
		_, metrics := p.admin("/metrics")
		return strings.Contains(metrics, `bimetal_edge_connections{route="r"} 1`+"\n")
	})
	p.set(route("r"))
	if err := c.end(); err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Error(err)
	}
}
