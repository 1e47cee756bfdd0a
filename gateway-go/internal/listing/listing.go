// Package listing serves GET /v1/cache/{namespace}: the live keys by prefix, in pages that walk from node to node.
package listing

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"bimetal.dev/contract"
	cachev1 "bimetal.dev/contract/gen/bimetal/cache/v1"
	"bimetal.dev/gateway/internal/cluster"
	"bimetal.dev/gateway/internal/exchange"
	"bimetal.dev/gateway/internal/node"
	"bimetal.dev/gateway/internal/problem"
	"bimetal.dev/gateway/internal/syntax"
	"google.golang.org/protobuf/proto"
)

const (
	maxPageSize = 10_000
	// maxNodeToken is the length of the longest token of a node.
	maxNodeToken = 64
)

// Handler serves listings.
type Handler struct {
	cluster *cluster.Cluster
}

// New makes it.
func New(cluster *cluster.Cluster) *Handler { return &Handler{cluster: cluster} }

type page struct {
	Keys          []string `json:"keys"`
	NextPageToken string   `json:"nextPageToken,omitempty"`
}

// Serve answers one page. It is asked of one node; a page may be short or empty and still have a next one.
func (h *Handler) Serve(w http.ResponseWriter, r *http.Request) error {
	header := w.Header()
	header.Set("Vary", "Accept")
	header.Set("Cache-Control", "no-store")
	namespace, err := exchange.Namespace(r)
	if err != nil {
		return err
	}
	query, err := exchange.Query(r, "prefix", "pageSize", "pageToken")
	if err != nil {
		return err
	}
	if !syntax.ParseAccept(r.Header["Accept"]).Allows("application/json") {
		return contract.Errorf(contract.NotAcceptable, "a listing is application/json; name text/event-stream to watch")
	}
	request, at, err := h.read(namespace, query)
	if err != nil {
		return err
	}
	answer, failure := h.page(r.Context(), request, at)
	if failure != nil {
		return located(failure)
	}
	body, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	exchange.WriteJSON(w, http.StatusOK, body)
	return nil
}

// page asks the node of this name, or the first one behind it in the order of names: one that has left the topology has
// no keys any more.
func (h *Handler) page(ctx context.Context, request *cachev1.ListRequest, at string) (*page, *contract.Error) {
	var rest []*node.Node
	choose := func(nodes []*node.Node) *node.Node {
		rest = slices.SortedFunc(slices.Values(nodes), func(a, b *node.Node) int { return strings.Compare(a.Name(), b.Name()) })
		if behind := slices.IndexFunc(rest, func(n *node.Node) bool { return n.Name() >= at }); behind >= 0 {
			rest = rest[behind:]
			return rest[0]
		}
		rest = nil
		return nodes[0] // is not asked
	}
	var response *cachev1.ListResponse
	asked, failure := h.cluster.Ask(ctx, choose, func(ctx context.Context, control *node.Control) (err error) {
		if len(rest) == 0 {
			return nil
		}
		here := proto.CloneOf(request)
		if rest[0].Name() != at {
			here.PageToken = nil
		}
		response, err = control.Cache.List(ctx, here)
		return err
	})
	if failure != nil {
		return nil, failure
	}
	answer := &page{Keys: []string{}}
	for _, key := range response.GetKeys() {
		answer.Keys = append(answer.Keys, syntax.EncodeSegment(key))
	}
	switch {
	case len(response.GetNextPageToken()) > 0:
		answer.NextPageToken = formatToken(asked.Name(), response.GetNextPageToken())
	case len(rest) > 1:
		answer.NextPageToken = formatToken(rest[1].Name(), nil)
	}
	return answer, nil
}

// read makes the request for a node, and the name of the node where the page begins ("" the first).
func (h *Handler) read(namespace string, query map[string]string) (*cachev1.ListRequest, string, error) {
	request := &cachev1.ListRequest{Namespace: namespace, Prefix: []byte(query["prefix"])}
	if len(request.GetPrefix()) > contract.MaxKeyBytes {
		return nil, "", problem.Invalid(problem.InQuery, "prefix", "must have at most 1,024 bytes, has %d", len(request.GetPrefix()))
	}
	if text, ok := query["pageSize"]; ok {
		size, err := strconv.ParseUint(text, 10, 32)
		if err != nil || size == 0 || size > maxPageSize {
			return nil, "", problem.Invalid(problem.InQuery, "pageSize", "%.40q must be an integer from 1 to 10,000", text)
		}
		request.PageSize = uint32(size)
	}
	at := ""
	if text := query["pageToken"]; text != "" { // empty asks for the first page
		var valid bool
		if at, request.PageToken, valid = parseToken(text); !valid {
			return nil, "", problem.Invalid(problem.InQuery, "pageToken", "is none that a page has given")
		}
	}
	return request, at, nil
}

// located says where in the HTTP request the page token is that a node does not know.
func located(failure *contract.Error) error {
	for _, violation := range failure.Detail.GetViolations() {
		if violation.GetField() == "page_token" {
			return problem.Invalid(problem.InQuery, "pageToken", "is none that a page has given")
		}
	}
	return failure
}

// formatToken is opaque to callers: the node's name, a zero byte, the node's own token.
func formatToken(name string, token []byte) string {
	return base64.RawURLEncoding.EncodeToString(append(append([]byte(name), 0), token...))
}

func parseToken(text string) (name string, token []byte, valid bool) {
	raw, err := syntax.DecodeBase64(base64.RawURLEncoding, text)
	if err != nil {
		return "", nil, false
	}
	name, rest, found := strings.Cut(string(raw), "\x00")
	return name, []byte(rest), found && contract.ValidNamespace(name) && len(rest) <= maxNodeToken
}
