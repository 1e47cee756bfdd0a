package gateway_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Clients that keep their connections are told to leave on them and are served until then; clients that come anew are
// served for the whole delay.
func TestNoRequestFailsWhileTheGatewayDrains(t *testing.T) {
	p := start(t, 1, nil)
	p.do("PUT", entry, "v")
	var served, told atomic.Int64
	var leave atomic.Bool // shortly before the delay ends: whoever comes anew goes elsewhere
	var callers sync.WaitGroup
	for caller := range 16 {
		anew := caller%4 == 0
		callers.Go(func() {
			transport := &http.Transport{DisableKeepAlives: anew}
			defer transport.CloseIdleConnections()
			client := &http.Client{Transport: transport, Timeout: 10 * time.Second}
			for !anew || !leave.Load() {
				// A body that cannot be read again keeps the transport from repeating a failed request by itself.
				body := io.NopCloser(strings.NewReader("v"))
				request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://"+p.Addr()+entry, body)
				if err != nil {
					t.Error(err)
					return
				}
				request.ContentLength = 1
				response, err := client.Do(request)
				if err != nil {
					t.Errorf("a request failed: %v", err)
					return
				}
				_, _ = io.Copy(io.Discard, response.Body)
				_ = response.Body.Close()
				if response.StatusCode != http.StatusNoContent {
					t.Errorf("status %d", response.StatusCode)
					return
				}
				served.Add(1)
				if response.Close && !anew {
					told.Add(1)
					return
				}
			}
		})
	}
	waitFor(t, "load", 10*time.Second, func() bool { return served.Load() > 200 })
	p.State().Drain(time.Second)
	go func() {
		time.Sleep(700 * time.Millisecond) // of the delay of 1 s
		leave.Store(true)
	}()
	waitFor(t, "readiness to fail", 5*time.Second, func() bool { return p.do("GET", "/readyz", "").reason() == "DRAINING" })
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	before := served.Load()
	if err := p.FinishPublic(ctx, 5*time.Second); err != nil {
		t.Error(err)
	}
	callers.Wait()
	if told.Load() != 12 || served.Load() == before {
		t.Errorf("%d of 12 were told to leave, %d were served while draining", told.Load(), served.Load()-before)
	}
	if _, err := p.try("GET", "/livez", ""); err == nil {
		t.Error("it still listens")
	}
}

func TestAnAnswerInFlightIsFinishedBeforeTheGatewayEnds(t *testing.T) {
	p := start(t, 1, nil)
	release := p.nodes[0].Hold()
	answered := make(chan answer, 1)
	go func() { answered <- p.do("PUT", entry, "v") }()
	waitFor(t, "the operation to be at the node", 5*time.Second, func() bool { return p.nodes[0].Batches() > 0 })
	p.State().Drain(0)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- p.FinishPublic(ctx, 5*time.Second) }()
	waitFor(t, "the listener to be closed", 5*time.Second, func() bool {
		conn, err := net.Dial("tcp", p.Addr())
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	})
	release()
	p.expect("in flight", <-answered, 201, "")
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestAnAnswerThatNeverComesDoesNotHoldUpTheEnd(t *testing.T) {
	p := start(t, 1, nil)
	release := p.nodes[0].Hold()
	defer release()
	go func() { _, _ = p.try("GET", entry, "", "Request-Timeout: 30") }()
	waitFor(t, "the operation to be at the node", 5*time.Second, func() bool { return p.nodes[0].Batches() > 0 })
	p.State().Drain(0)
	if err := p.FinishPublic(t.Context(), 200*time.Millisecond); err == nil {
		t.Error("an incomplete drain must say so")
	}
}
