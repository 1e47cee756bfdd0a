package gateway_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"bimetal.dev/gateway/internal/config"
)

func TestRoutesAndMethodsThatAreNotThereAreProblems(t *testing.T) {
	p := start(t, 1, nil)
	p.expect("no route", p.do("GET", "/v2/x", ""), 404, "ROUTE_NOT_FOUND")
	p.expect("no cleaning", p.do("GET", "//livez", ""), 404, "ROUTE_NOT_FOUND")
	p.expect("the root", p.do("GET", "/", ""), 404, "ROUTE_NOT_FOUND")
	for _, c := range []struct{ method, target, allow string }{
		{"PATCH", entry, "DELETE, GET, HEAD, PUT"},
		{"OPTIONS", entry, "DELETE, GET, HEAD, PUT"},
		{"GET", entry + "/touch", "POST"},
		{"DELETE", "/v1/cache/default", "GET, POST"},
		{"POST", "/v1/namespaces", "GET"},
		{"POST", "/livez", "GET, HEAD"},
		{"BREW", "/docs", "GET, HEAD"},
	} {
		got := p.do(c.method, c.target, "")
		p.expect(c.method+" "+c.target, got, 405, "METHOD_NOT_ALLOWED")
		if got.header.Get("Allow") != c.allow {
			t.Errorf("%s %s: Allow %q, want %q", c.method, c.target, got.header.Get("Allow"), c.allow)
		}
	}
}

func TestBrowsersOfOtherOriginsAreRefused(t *testing.T) {
	p := start(t, 1, func(c *config.Config) { c.AllowedHosts = []string{"cache.example"} })
	for _, c := range []struct {
		field string
		ok    bool
	}{
		{"Host: localhost:8080", true},
		{"Host: [::1]:8080", true},
		{"Host: 127.1.2.3", true},
		{"Host: app.localhost", true},
		{"Host: Cache.Example", true},
		{"Host: evil.example", false},
		{"Host: 127.0.0.1.evil.example", false},
		{"Host: 192.0.2.1", false},
		{"Origin: http://localhost:3000", true},
		{"Origin: https://cache.example", true},
		{"Origin: https://evil.example", false},
		{"Origin: null", false},
		{"Sec-Fetch-Site: cross-site", false},
		{"Sec-Fetch-Site: same-origin", true},
	} {
		got := p.do("GET", "/livez", "", c.field)
		if c.ok != (got.status == 200) || !c.ok && got.reason() != "PERMISSION_DENIED" {
			t.Errorf("%s: %d %s", c.field, got.status, got.body)
		}
	}
}

func TestTheRequestTimeoutBoundsARequestAndTravels(t *testing.T) {
	p := start(t, 1, nil)
	for _, text := range []string{"0", "0.0001", "61", "-1", "1e1", "x", "", "1.", ".5", "1 "} {
		if text == "1 " || text == "" {
			continue // clients trim, and drop empty fields
		}
		p.expect("Request-Timeout "+text, p.do("GET", entry, "", "Request-Timeout: "+text), 400, "INVALID_ARGUMENT")
	}
	p.do("GET", entry, "", "Request-Timeout: 20.5")
	if left := p.nodes[0].LastTimeout(); left < 19000 || left > 20500 {
		t.Errorf("the node was told %d ms", left)
	}
	p.do("GET", entry, "")
	if left := p.nodes[0].LastTimeout(); left < 4000 || left > 5000 {
		t.Errorf("without the field the node was told %d ms", left)
	}
	release := p.nodes[0].Hold()
	defer release()
	p.expect("a read", p.do("GET", entry, "", "Request-Timeout: 0.05"), 504, "DEADLINE_EXCEEDED")
	p.expect("a write", p.do("PUT", entry, "v", "Request-Timeout: 0.05"), 504, "OUTCOME_UNKNOWN")
}

func TestABodyThatDoesNotArriveIsARequestTimeout(t *testing.T) {
	p := start(t, 1, nil)
	conn, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := fmt.Fprintf(conn, "PUT %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nRequest-Timeout: 0.1\r\n\r\nab", entry); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != 408 {
		t.Errorf("status %d", response.StatusCode)
	}
	p.expect("nothing was written", p.do("GET", entry, ""), 404, "KEY_NOT_FOUND")
}

func TestMoreRequestsThanTheLimitAreShed(t *testing.T) {
	p := start(t, 1, func(c *config.Config) { c.MaxRequests, c.MaxWatchers = 2, 1 })
	release := p.nodes[0].Hold()
	results := make(chan answer, 12)
	for range 12 {
		go func() {
			got, err := p.try("GET", entry, "")
			if err != nil {
				t.Error(err)
			}
			results <- got
		}()
	}
	for range 10 {
		got := <-results
		p.expect("beyond the limit", got, 503, "OVERLOADED")
	}
	release()
	for range 2 {
		p.expect("within the limit", <-results, 404, "KEY_NOT_FOUND")
	}
}

func TestHTTP2WithoutTLSIsServed(t *testing.T) {
	p := start(t, 1, nil)
	protocols := &http.Protocols{}
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: protocols}
	defer transport.CloseIdleConnections()
	p.client = &http.Client{Transport: recording{transport}}
	p.expect("put", p.do("PUT", "/v1/cache/default/a%2Fb", "v"), 201, "")
	if read := p.do("GET", "/v1/cache/default/a%2fb", ""); read.body != "v" {
		t.Errorf("%+v", read)
	}
	p.expect("405", p.do("PATCH", entry, ""), 405, "METHOD_NOT_ALLOWED")
}

func TestLargeBodiesHaveABudget(t *testing.T) {
	p := start(t, 1, func(c *config.Config) { c.MaxBodyBytes = 1 << 20 })
	p.expect("more than the budget", p.do("PUT", entry, strings.Repeat("a", 2<<20)), 503, "OVERLOADED")
	p.expect("within", p.do("PUT", entry, strings.Repeat("a", 1<<20)), 201, "")
	p.expect("given back", p.do("PUT", entry, strings.Repeat("a", 1<<20)), 204, "")
	p.expect("small ones are free", p.do("PUT", entry, "a"), 204, "")
}
