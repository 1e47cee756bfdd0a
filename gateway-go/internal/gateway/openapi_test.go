package gateway_test

import (
	"net/http"
	"os"
)

func exit(code int) { os.Exit(code) }

// recording notes each exchange, to be judged against the OpenAPI document.
type recording struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (r recording) RoundTrip(request *http.Request) (*http.Response, error) {
	return r.next.RoundTrip(request)
}
