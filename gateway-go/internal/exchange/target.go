package exchange

import (
	"net/http"
	"strings"

	"bimetal.dev/contract"
	"bimetal.dev/gateway/internal/problem"
	"bimetal.dev/gateway/internal/syntax"
	"github.com/go-chi/chi/v5"
)

// Namespace is the path segment {namespace}, checked.
func Namespace(r *http.Request) (string, error) {
	name, err := syntax.DecodeSegment(chi.URLParam(r, "namespace"))
	if err != nil {
		return "", problem.Invalid(problem.InPath, "namespace", "%v", err)
	}
	if !contract.ValidNamespace(string(name)) {
		return "", problem.Invalid(problem.InPath, "namespace", "%q must match [a-z0-9][a-z0-9-]{0,62}", name)
	}
	return string(name), nil
}

// Key is the path segment {key}, decoded once and checked. "." and ".." cannot be written in a path: clients and
// proxies take them for something else, escaped or not.
func Key(r *http.Request) ([]byte, error) {
	key, err := syntax.DecodeSegment(chi.URLParam(r, "key"))
	switch {
	case err != nil:
		return nil, problem.Invalid(problem.InPath, "key", "%v", err)
	case !contract.ValidKey(key):
		return nil, problem.Invalid(problem.InPath, "key", "must have 1 to 1,024 bytes, has %d", len(key))
	case string(key) == "." || string(key) == "..":
		return nil, problem.Invalid(problem.InPath, "key", "%q cannot be written in a path; a batch can hold it", key)
	}
	return key, nil
}

// Query reads the query of a request, in which only these parameters may stand.
func Query(r *http.Request, known ...string) (map[string]string, error) {
	parameters, err := syntax.Query(r.URL.RawQuery)
	if err != nil {
		return nil, contract.Errorf(contract.InvalidArgument, "the query %v", err)
	}
next:
	for name := range parameters {
		for _, k := range known {
			if name == k {
				continue next
			}
		}
		allowed := "this route takes none"
		if len(known) > 0 {
			allowed = "this route takes " + strings.Join(known, ", ")
		}
		return nil, problem.Invalid(problem.InQuery, name, "is not a parameter here; %s", allowed)
	}
	return parameters, nil
}

// NoPreconditions refuses those where they would be passed over: a write that was meant to depend on one must not be
// done without it.
func NoPreconditions(r *http.Request) error {
	for _, name := range []string{"If-Match", "If-None-Match"} {
		if len(r.Header[name]) > 0 {
			return problem.Invalid(problem.InHeader, name, "this route takes no precondition")
		}
	}
	return nil
}
