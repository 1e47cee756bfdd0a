package middleware

import (
	"net"
	"net/http"
	"net/url"
	"strings"

	"bimetal.dev/contract"
	"bimetal.dev/gateway/internal/exchange"
)

// Origin refuses what a web page of another origin could make a browser send, as long as there is no authentication:
// a Host that is neither loopback nor configured (DNS rebinding), a foreign Origin, and Sec-Fetch-Site: cross-site.
func Origin(allowedHosts []string) func(http.Handler) http.Handler {
	allowed := map[string]bool{}
	for _, host := range allowedHosts {
		allowed[strings.ToLower(host)] = true
	}
	mayBe := func(hostport string) bool {
		host := strings.ToLower(hostname(hostport))
		return allowed[host] || isLoopback(host)
	}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.ProtoMajor == 2 && strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc") {
				next.ServeHTTP(w, r) // no page can send this without being asked first; ControlService has its token
				return
			}
			if !mayBe(r.Host) {
				exchange.Fail(w, contract.Errorf(contract.PermissionDenied,
					"the host %q is neither loopback nor among the allowed hosts", r.Host))
				return
			}
			for _, origin := range r.Header["Origin"] {
				if parsed, err := url.Parse(origin); err != nil || parsed.Host == "" || !mayBe(parsed.Host) {
					exchange.Fail(w, contract.Errorf(contract.PermissionDenied, "requests from the origin %q are refused", origin))
					return
				}
			}
			if r.Header.Get("Sec-Fetch-Site") == "cross-site" {
				exchange.Fail(w, contract.Errorf(contract.PermissionDenied, "cross-site requests are refused"))
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// hostname is a Host field without its port and brackets.
func hostname(hostport string) string {
	if host, _, err := net.SplitHostPort(hostport); err == nil {
		return host
	}
	return strings.Trim(hostport, "[]")
}

func isLoopback(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
