package gateway_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"syscall"
	"testing"
	"time"

	"bimetal.dev/gateway/internal/config"
	"bimetal.dev/gateway/internal/fdpass"
)

// caller keeps one connection to a listener of the gateway.
type caller struct {
	*http.Client
	address string
}

func call(t *testing.T, address string) caller {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return caller{&http.Client{Transport: transport, Timeout: 10 * time.Second}, address}
}

func (c caller) ask() (*http.Response, error) {
	response, err := c.Get("http://" + c.address + "/livez")
	if err == nil {
		_, err = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
	}
	return response, err
}

func (c caller) mustAsk(t *testing.T) *http.Response {
	t.Helper()
	response, err := c.ask()
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%v, %v", response, err)
	}
	return response
}

// passing accepts connections as the edge does and passes them to the gateway.
func passing(t *testing.T, to string) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			_ = fdpass.Send(ctx, to, conn.(*net.TCPConn)) // the client sees an end
			cancel()
			_ = conn.Close()
		}
	}()
	return l.Addr().String()
}

func TestMoreConnectionsThanTheLimitAreReset(t *testing.T) {
	p := start(t, 1, func(c *config.Config) { c.MaxConnections = 3 }) // one is that of start
	first, second := call(t, p.Addr()), call(t, p.Addr())
	first.mustAsk(t)
	second.mustAsk(t)
	if _, err := call(t, p.Addr()).ask(); !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
		t.Errorf("the one too many: %v", err)
	}
	if open, refused := p.metric("bimetal_gateway_http_connections "), p.metric("bimetal_gateway_http_connections_refused_total"); open != 3 || refused != 1 {
		t.Errorf("%v stand, %v were refused", open, refused)
	}
	first.mustAsk(t) // those that stand notice nothing
	second.CloseIdleConnections()
	waitFor(t, "room again", 5*time.Second, func() bool {
		_, err := call(t, p.Addr()).ask()
		return err == nil
	})
}

func TestConnectionsOfBothKindsAndProtocolsAreCounted(t *testing.T) {
	p := start(t, 1, func(c *config.Config) { c.PassedListen = fdpass.Any })
	at := passing(t, p.PassedAddress())
	protocols := &http.Protocols{}
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: protocols}
	defer transport.CloseIdleConnections()
	for _, address := range []string{p.Addr(), at} {
		call(t, address).mustAsk(t)
		if response := (caller{&http.Client{Transport: transport}, address}).mustAsk(t); response.ProtoMajor != 2 {
			t.Errorf("%s", response.Proto)
		}
	}
	if open := p.metric("bimetal_gateway_http_connections "); open != 5 { // one is that of start
		t.Errorf("%v stand", open)
	}
	transport.CloseIdleConnections()
	waitFor(t, "those of HTTP/2 to end", 5*time.Second, func() bool { return p.metric("bimetal_gateway_http_connections ") == 3 })
}

func TestPassedConnectionsAreToldToLeaveWhenTheGatewayDrains(t *testing.T) {
	p := start(t, 1, func(c *config.Config) { c.PassedListen = fdpass.Any })
	at := passing(t, p.PassedAddress())
	standing := call(t, at)
	standing.mustAsk(t)
	p.State().Drain(200 * time.Millisecond)
	if response := standing.mustAsk(t); !response.Close {
		t.Error("it was not told to leave")
	}
	call(t, at).mustAsk(t) // within the delay
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := p.FinishPublic(ctx, 5*time.Second); err != nil {
		t.Error(err)
	}
	if _, err := call(t, at).ask(); err == nil {
		t.Error("it takes connections although it has drained")
	}
}
