package gateway_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestNoRequestFailsWhileTheGatewayDrains(t *testing.T) {
	p := start(t, 1, nil)
	p.do("PUT", entry, "v")
	nothingListens := func(err error) bool { // the end that callers can repeat: nobody took the connection
		var operation *net.OpError
		return errors.As(err, &operation) && operation.Op == "dial"
	}
	var stop atomic.Bool
	var served, closing atomic.Int64
	var callers sync.WaitGroup
	for range 16 {
		callers.Go(func() {
			transport := &http.Transport{}
			defer transport.CloseIdleConnections()
			client := &http.Client{Transport: transport, Timeout: 10 * time.Second}
			for !stop.Load() {
				request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://"+p.Addr()+entry, strings.NewReader("v"))
				if err != nil {
					t.Error(err)
					return
				}
				request.GetBody = nil // or the transport would repeat a failed request by itself
				request.Body = io.NopCloser(strings.NewReader("v"))
				request.ContentLength = 1
				response, err := client.Do(request)
				if err != nil {
					if !nothingListens(err) {
						t.Errorf("a request failed: %v", err)
					}
					return
				}
				_, _ = io.Copy(io.Discard, response.Body)
				_ = response.Body.Close()
				if response.StatusCode != http.StatusNoContent {
					t.Errorf("status %d", response.StatusCode)
					return
				}
				served.Add(1)
				if response.Close {
					closing.Add(1)
				}
			}
		})
	}
	waitFor(t, "load", 5*time.Second, func() bool { return served.Load() > 200 })
	p.State().Drain(500 * time.Millisecond)
	waitFor(t, "readiness to fail", time.Second, func() bool { return p.do("GET", "/readyz", "").reason() == "DRAINING" })
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	before := served.Load()
	ended := make(chan error, 1)
	go func() { ended <- p.FinishPublic(ctx, 5*time.Second) }()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	stop.Store(true)
	callers.Wait()
	if closing.Load() == 0 || served.Load() == before {
		t.Errorf("%d answers said Connection: close, %d were served while draining", closing.Load(), served.Load()-before)
	}
	if _, err := p.try("GET", "/livez", ""); !nothingListens(err) {
		t.Errorf("it still listens: %v", err)
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
