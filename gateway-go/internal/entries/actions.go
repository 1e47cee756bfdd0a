package entries

import (
	"encoding/json"
	"net/http"
	"strconv"

	"bimetal.dev/contract"
	cachev1 "bimetal.dev/contract/gen/bimetal/cache/v1"
	"bimetal.dev/gateway/internal/exchange"
	"bimetal.dev/gateway/internal/problem"
	"bimetal.dev/gateway/internal/syntax"
)

// IncrementBody is the body of …/increment, and an item of a batch with its key.
type IncrementBody struct {
	Delta    *exchange.Int64 `json:"delta"`
	Initial  *exchange.Int64 `json:"initial"`
	TTL      *string         `json:"ttl"`
	RenewTTL bool            `json:"renewTtl"`
}

// Request makes the operation's request; place is where the body stands.
func (b *IncrementBody) Request(namespace string, key []byte, place string) (*cachev1.IncrementRequest, error) {
	if b.Delta == nil {
		return nil, problem.Invalid("", place+"/delta", "is missing")
	}
	delta, err := b.Delta.At(place + "/delta")
	if err != nil {
		return nil, err
	}
	initial, err := b.Initial.At(place + "/initial")
	if err != nil {
		return nil, err
	}
	ttl, err := bodyTTL(b.TTL, place)
	if err != nil {
		return nil, err
	}
	return &cachev1.IncrementRequest{
		Namespace: namespace, Key: key, Delta: delta, Initial: initial, Ttl: ttl, RenewTtl: b.RenewTTL,
	}, nil
}

// TouchBody is the body of …/touch, and an item of a batch with its key.
type TouchBody struct {
	TTL *string `json:"ttl"`
}

// Request makes the operation's request; place is where the body stands.
func (b *TouchBody) Request(namespace string, key []byte, place string) (*cachev1.TouchRequest, error) {
	ttl, err := bodyTTL(b.TTL, place)
	if err != nil {
		return nil, err
	}
	return &cachev1.TouchRequest{Namespace: namespace, Key: key, Ttl: ttl}, nil
}

func bodyTTL(text *string, place string) (*cachev1.Ttl, error) {
	if text == nil {
		return nil, nil
	}
	ttl, err := syntax.ParseTTL(*text)
	if err != nil {
		return nil, problem.Invalid("", place+"/ttl", "%v", err)
	}
	return ttl, nil
}

// Increment answers POST …/increment.
func (h *Handlers) Increment(w http.ResponseWriter, r *http.Request) error {
	var body IncrementBody
	namespace, key, id, err := h.action(w, r, &body)
	if err != nil {
		return err
	}
	request, err := body.Request(namespace, key, "#")
	if err != nil {
		return err
	}
	request.OperationId = id
	result, _, failure := h.cluster.Do(r.Context(),
		&cachev1.Operation{Operation: &cachev1.Operation_Increment{Increment: request}}, exchange.From(w).Traceparent)
	if failure != nil {
		return LocateInBody(failure)
	}
	done := result.GetIncrement()
	return answer(w, done.GetVersion(), map[string]string{
		"value": strconv.FormatInt(done.GetValue(), 10), "version": strconv.FormatUint(done.GetVersion(), 10),
	})
}

// Touch answers POST …/touch.
func (h *Handlers) Touch(w http.ResponseWriter, r *http.Request) error {
	var body TouchBody
	namespace, key, id, err := h.action(w, r, &body)
	if err != nil {
		return err
	}
	request, err := body.Request(namespace, key, "#")
	if err != nil {
		return err
	}
	request.OperationId = id
	result, _, failure := h.cluster.Do(r.Context(),
		&cachev1.Operation{Operation: &cachev1.Operation_Touch{Touch: request}}, exchange.From(w).Traceparent)
	if failure != nil {
		return LocateInBody(failure)
	}
	done := result.GetTouch()
	fields := map[string]string{
		"version": strconv.FormatUint(done.GetVersion(), 10), "expiryVersion": strconv.FormatUint(done.GetExpiryVersion(), 10),
	}
	if done.GetRemainingTtl() != nil {
		fields["ttl"] = syntax.FormatDuration(done.GetRemainingTtl().AsDuration())
	}
	return answer(w, done.GetVersion(), fields)
}

// action reads what the two have in common.
func (h *Handlers) action(w http.ResponseWriter, r *http.Request, body any) (namespace string, key, id []byte, err error) {
	if namespace, key, err = address(r); err != nil {
		return "", nil, nil, err
	}
	if id, err = operationID(r); err != nil {
		return "", nil, nil, err
	}
	if _, err := exchange.Query(r); err != nil {
		return "", nil, nil, err
	}
	for _, name := range []string{"If-Match", "If-None-Match"} {
		if len(r.Header[name]) > 0 {
			return "", nil, nil, problem.Invalid(problem.InHeader, name, "this route takes no precondition")
		}
	}
	return namespace, key, id, h.bodies.ReadJSON(w, r, exchange.MaxJSONBytes, body)
}

func answer(w http.ResponseWriter, version uint64, fields map[string]string) error {
	body, err := json.Marshal(fields)
	if err != nil {
		return contract.Errorf(contract.Internal, "the answer cannot be written as JSON").Because(err)
	}
	header := w.Header()
	header["Etag"] = []string{syntax.FormatETag(version)}
	header["Cache-Control"] = []string{"no-store"}
	exchange.WriteJSON(w, http.StatusOK, body)
	return nil
}
