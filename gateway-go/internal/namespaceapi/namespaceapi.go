// Package namespaceapi serves /v1/namespaces: the policies of namespaces as JSON.
package namespaceapi

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"bimetal.dev/contract"
	cachev1 "bimetal.dev/contract/gen/bimetal/cache/v1"
	"bimetal.dev/gateway/internal/exchange"
	"bimetal.dev/gateway/internal/namespaces"
	"bimetal.dev/gateway/internal/problem"
)

// Registry is where records are; see namespaces.Registry.
type Registry interface {
	List(ctx context.Context) ([]*cachev1.Namespace, error)
	Get(ctx context.Context, name string) (*cachev1.Namespace, error)
	Create(ctx context.Context, record *cachev1.Namespace) (*namespaces.Written, error)
	Update(ctx context.Context, record *cachev1.Namespace, fields []string) (*namespaces.Written, error)
	Delete(ctx context.Context, name string) (*namespaces.Written, error)
	Flush(ctx context.Context, name string) ([]namespaces.Flushed, []string, error)
}

// Handlers are the handlers.
type Handlers struct {
	registry Registry
	bodies   *exchange.Bodies
}

// New makes them.
func New(registry Registry, bodies *exchange.Bodies) *Handlers {
	return &Handlers{registry: registry, bodies: bodies}
}

// List answers GET /v1/namespaces.
func (h *Handlers) List(w http.ResponseWriter, r *http.Request) error {
	if _, err := exchange.Query(r); err != nil {
		return err
	}
	records, err := h.registry.List(r.Context())
	if err != nil {
		return err
	}
	bodies := make([]record, 0, len(records))
	for _, one := range records {
		bodies = append(bodies, recordOf(one))
	}
	return answer(w, http.StatusOK, map[string]any{"namespaces": bodies})
}

// Get answers GET /v1/namespaces/{namespace}.
func (h *Handlers) Get(w http.ResponseWriter, r *http.Request) error {
	name, err := target(r)
	if err != nil {
		return err
	}
	one, err := h.registry.Get(r.Context(), name)
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, recordOf(one))
}

// Put makes a namespace or replaces its whole policy. With If-None-Match: * it only makes one.
func (h *Handlers) Put(w http.ResponseWriter, r *http.Request) error {
	name, err := target(r)
	if err != nil {
		return err
	}
	only, err := onlyCreate(r)
	if err != nil {
		return err
	}
	wanted := &cachev1.Namespace{Name: name}
	var given []string // is of no importance: what is absent is cleared
	if err := h.bodies.ReadJSON(w, r, exchange.MaxJSONBytes, policy(wanted, &given)); err != nil {
		return err
	}
	status := http.StatusCreated
	written, err := h.registry.Create(r.Context(), wanted)
	if contract.Is(err, contract.NamespaceExists) && !only {
		status = http.StatusOK
		written, err = h.registry.Update(r.Context(), wanted, namespaces.Fields())
	}
	if err != nil {
		return locate(err)
	}
	return answerWritten(w, status, written)
}

// Patch changes the fields that stand in the body; null clears one (RFC 7396).
func (h *Handlers) Patch(w http.ResponseWriter, r *http.Request) error {
	name, err := target(r)
	if err != nil {
		return err
	}
	if err := exchange.NoPreconditions(r); err != nil {
		return err
	}
	wanted := &cachev1.Namespace{Name: name}
	var fields []string
	if err := h.bodies.ReadJSON(w, r, exchange.MaxJSONBytes, policy(wanted, &fields), "application/merge-patch+json"); err != nil {
		return err
	}
	if len(fields) == 0 {
		return problem.Invalid("", "#", "changes nothing; give one of quotaBytes, defaultTtl, maxTtl, maxValueBytes, staleWindow")
	}
	written, err := h.registry.Update(r.Context(), wanted, fields)
	if err != nil {
		return locate(err)
	}
	return answerWritten(w, http.StatusOK, written)
}

// Delete deletes a namespace with its entries.
func (h *Handlers) Delete(w http.ResponseWriter, r *http.Request) error {
	name, err := target(r)
	if err != nil {
		return err
	}
	if err := exchange.NoPreconditions(r); err != nil {
		return err
	}
	written, err := h.registry.Delete(r.Context(), name)
	if err != nil {
		return locate(err)
	}
	return answerWritten(w, http.StatusOK, written)
}

// Flush erases the entries of a namespace on all nodes.
func (h *Handlers) Flush(w http.ResponseWriter, r *http.Request) error {
	name, err := target(r)
	if err != nil {
		return err
	}
	if err := exchange.NoPreconditions(r); err != nil {
		return err
	}
	flushed, unacknowledged, err := h.registry.Flush(r.Context(), name)
	if err != nil {
		return locate(err)
	}
	type onNode struct {
		Node    string `json:"node"`
		Version string `json:"version"`
		Entries string `json:"entries"`
	}
	nodes := make([]onNode, 0, len(flushed))
	for _, f := range flushed {
		nodes = append(nodes, onNode{f.Node, strconv.FormatUint(f.Version, 10), strconv.FormatUint(f.Entries, 10)})
	}
	return answer(w, http.StatusOK, map[string]any{"flushed": nodes, "unacknowledged": unacknowledged})
}

func target(r *http.Request) (string, error) {
	if _, err := exchange.Query(r); err != nil {
		return "", err
	}
	if len(r.Header.Values("Idempotency-Key")) > 0 {
		return "", problem.Invalid(problem.InHeader, "Idempotency-Key", "this route takes none: repeating its requests is safe")
	}
	return exchange.Namespace(r)
}

// onlyCreate says whether there must be no such namespace yet.
func onlyCreate(r *http.Request) (bool, error) {
	if len(r.Header["If-Match"]) > 0 {
		return false, problem.Invalid(problem.InHeader, "If-Match", "this route takes only If-None-Match: *")
	}
	lines := r.Header["If-None-Match"]
	if len(lines) > 1 || len(lines) == 1 && lines[0] != "*" {
		return false, problem.Invalid(problem.InHeader, "If-None-Match", `on a write only "*" is allowed`)
	}
	return len(lines) == 1, nil
}

func answerWritten(w http.ResponseWriter, status int, written *namespaces.Written) error {
	return answer(w, status, map[string]any{
		"namespace": recordOf(written.Record), "unacknowledged": written.Unacknowledged,
	})
}

func answer(w http.ResponseWriter, status int, body any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	exchange.WriteJSON(w, status, text)
	return nil
}

// locate says where in the JSON body the fields are that a node names by their path in the gRPC request.
func locate(err error) error {
	failure := contract.FromError(err, true)
	if len(failure.Detail.GetViolations()) == 0 {
		return failure
	}
	places := map[string]string{
		"name": problem.InPath + "namespace", "quota_bytes": "#/quotaBytes", "default_ttl": "#/defaultTtl",
		"max_ttl": "#/maxTtl", "max_value_bytes": "#/maxValueBytes", "stale_window": "#/staleWindow",
	}
	for _, violation := range failure.Detail.GetViolations() {
		field := strings.TrimPrefix(violation.GetField(), "namespace.")
		if place, ok := places[field]; ok {
			violation.Field = place
		}
	}
	return failure
}
