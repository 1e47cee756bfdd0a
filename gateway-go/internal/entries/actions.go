package entries

import (
	"encoding/json"
	"net/http"
	"strconv"

	"bimetal.dev/contract"
	cachev1 "bimetal.dev/contract/gen/bimetal/cache/v1"
	"bimetal.dev/gateway/internal/exchange"
	"bimetal.dev/gateway/internal/syntax"
)

// IncrementMember is how a member of the body of …/increment, and of an item of a batch, is read; delta must be there.
func IncrementMember(request *cachev1.IncrementRequest, name string) exchange.Reader {
	switch name {
	case "delta":
		return exchange.Signed(&request.Delta)
	case "initial":
		return exchange.Signed(&request.Initial)
	case "ttl":
		return exchange.Text(&request.Ttl, syntax.ParseTTL)
	case "renewTtl":
		return exchange.Flag(&request.RenewTtl)
	}
	return nil
}

// TouchMember is how a member of the body of …/touch, and of an item of a batch, is read.
func TouchMember(request *cachev1.TouchRequest, name string) exchange.Reader {
	if name == "ttl" {
		return exchange.Text(&request.Ttl, syntax.ParseTTL)
	}
	return nil
}

// Increment answers POST …/increment.
func (h *Handlers) Increment(w http.ResponseWriter, r *http.Request) error {
	request := &cachev1.IncrementRequest{}
	member := func(name string) exchange.Reader { return IncrementMember(request, name) }
	namespace, key, id, err := h.action(w, r, exchange.Object(member, "delta"))
	if err != nil {
		return err
	}
	request.Namespace, request.Key, request.OperationId = namespace, key, id
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
	request := &cachev1.TouchRequest{}
	member := func(name string) exchange.Reader { return TouchMember(request, name) }
	namespace, key, id, err := h.action(w, r, exchange.Object(member))
	if err != nil {
		return err
	}
	request.Namespace, request.Key, request.OperationId = namespace, key, id
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
func (h *Handlers) action(w http.ResponseWriter, r *http.Request, body exchange.Reader) (namespace string, key, id []byte, err error) {
	if namespace, key, err = address(r); err != nil {
		return "", nil, nil, err
	}
	if id, err = operationID(r); err != nil {
		return "", nil, nil, err
	}
	if _, err := exchange.Query(r); err != nil {
		return "", nil, nil, err
	}
	if err := exchange.NoPreconditions(r); err != nil {
		return "", nil, nil, err
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
