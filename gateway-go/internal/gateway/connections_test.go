package gateway_test

import (
	"bufio"
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

// standing is a connection to the gateway.
type standing struct {
	net.Conn
	t     *testing.T
	lines *bufio.Reader
}

func stand(t *testing.T, address string) *standing {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	return &standing{conn, t, bufio.NewReader(conn)}
}

// ask sends a request and answers what came back.
func (s *standing) ask() (*http.Response, error) {
	if _, err := io.WriteString(s, "GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"); err != nil {
		return nil, err
	}
	response, err := http.ReadResponse(s.lines, nil)
	if err == nil {
		_, err = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
	}
	return response, err
}

// askAnew asks once, over a connection that may be refused while it is made.
func askAnew(address string) error {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	_, err = (&standing{Conn: conn, lines: bufio.NewReader(conn)}).ask()
	return err
}

func (s *standing) mustAsk() *http.Response {
	s.t.Helper()
	response, err := s.ask()
	if err != nil || response.StatusCode != http.StatusOK {
		s.t.Fatalf("%v, %v", response, err)
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
	first, second := stand(t, p.Addr()), stand(t, p.Addr())
	first.mustAsk()
	second.mustAsk()
	if err := askAnew(p.Addr()); !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
		t.Errorf("the one too many: %v", err)
	}
	if open, refused := p.metric("bimetal_gateway_http_connections "), p.metric("bimetal_gateway_http_connections_refused_total"); open != 3 || refused != 1 {
		t.Errorf("%v stand, %v were refused", open, refused)
	}
	first.mustAsk() // those that stand notice nothing
	_ = second.Close()
	waitFor(t, "room again", 5*time.Second, func() bool {
		return askAnew(p.Addr()) == nil
	})
}

func TestConnectionsOfBothKindsAndProtocolsAreCounted(t *testing.T) {
	p := start(t, 1, func(c *config.Config) { c.PassedListen = fdpass.Any })
	at := passing(t, p.PassedAddress())
	stand(t, p.Addr()).mustAsk()
	stand(t, at).mustAsk()
	protocols := &http.Protocols{}
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: protocols}
	defer transport.CloseIdleConnections()
	for _, address := range []string{p.Addr(), at} {
		response, err := (&http.Client{Transport: transport}).Get("http://" + address + "/livez")
		if err != nil || response.ProtoMajor != 2 {
			t.Fatalf("%v, %v", response, err)
		}
		_ = response.Body.Close()
	}
	if open := p.metric("bimetal_gateway_http_connections "); open != 5 { // one is that of start
		t.Errorf("%v stand", open)
	}
	transport.CloseIdleConnections()
	waitFor(t, "those of HTTP/2 to end", 5*time.Second, func() bool { return p.metric("bimetal_gateway_http_connections ") == 3 })
}

func TestPassedConnectionsAreToldToLeaveWhenTheGatewayDrains(t *testing.T) {
	p := start(t, 1, func(c *config.Config) { c.PassedListen = fdpass.Any })
	to := p.PassedAddress()
	at := passing(t, to)
	c := stand(t, at)
	c.mustAsk()
	p.State().Drain(200 * time.Millisecond)
	if response := c.mustAsk(); !response.Close {
		t.Error("it was not told to leave")
	}
	stand(t, at).mustAsk() // within the delay
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := p.FinishPublic(ctx, 5*time.Second); err != nil {
		t.Error(err)
	}
	client, accepted := stand(t, at), make(chan error, 1)
	go func() { accepted <- fdpass.Send(ctx, to, client.Conn.(*net.TCPConn)) }()
	if err := <-accepted; err == nil {
		t.Error("it takes connections although it has drained")
	}
}
