package entries

import (
	"net/http"

	"bimetal.dev/contract"
	cachev1 "bimetal.dev/contract/gen/bimetal/cache/v1"
	"bimetal.dev/gateway/internal/exchange"
	"bimetal.dev/gateway/internal/problem"
	"bimetal.dev/gateway/internal/syntax"
)

// Put answers PUT of an entry.
func (h *Handlers) Put(w http.ResponseWriter, r *http.Request) error {
	namespace, key, err := address(r)
	if err != nil {
		return err
	}
	id, err := operationID(r)
	if err != nil {
		return err
	}
	ttl, ttlPlace, err := readTTL(r)
	if err != nil {
		return err
	}
	contentType, err := readContentType(r)
	if err != nil {
		return err
	}
	if r.Header.Get("Content-Range") != "" {
		return problem.Invalid(problem.InHeader, "Content-Range", "a value is written whole")
	}
	precondition, err := h.writePrecondition(w, r, namespace, key)
	if err != nil {
		return err
	}
	value, release, err := h.bodies.Read(w, r, exchange.MaxValueBytes)
	defer release()
	if err != nil {
		return err
	}
	result, _, failure := h.cluster.Do(r.Context(), &cachev1.Operation{Operation: &cachev1.Operation_Put{
		Put: &cachev1.PutRequest{
			Namespace: namespace, Key: key, Value: value, ContentType: contentType, Ttl: ttl, Precondition: precondition,
			OperationId: id,
		},
	}}, exchange.From(w).Traceparent)
	if failure != nil {
		return locate(failure, func(field string) string {
			switch field {
			case "ttl":
				return ttlPlace
			case "content_type":
				return problem.InHeader + "Content-Type"
			default:
				return problem.InHeader + "If-Match"
			}
		})
	}
	w.Header()["Etag"] = []string{syntax.FormatETag(result.GetPut().GetVersion())}
	if result.GetPut().GetCreated() {
		w.WriteHeader(http.StatusCreated)
	} else {
		w.WriteHeader(http.StatusNoContent)
	}
	return nil
}

// Delete answers DELETE of an entry; whether there was one makes no difference.
func (h *Handlers) Delete(w http.ResponseWriter, r *http.Request) error {
	namespace, key, err := address(r)
	if err != nil {
		return err
	}
	id, err := operationID(r)
	if err != nil {
		return err
	}
	if _, err := exchange.Query(r); err != nil {
		return err
	}
	precondition, err := h.writePrecondition(w, r, namespace, key)
	if err != nil {
		return err
	}
	_, _, failure := h.cluster.Do(r.Context(), &cachev1.Operation{Operation: &cachev1.Operation_Delete{
		Delete: &cachev1.DeleteRequest{Namespace: namespace, Key: key, Precondition: precondition, OperationId: id},
	}}, exchange.From(w).Traceparent)
	if failure != nil {
		return locate(failure, func(string) string { return problem.InHeader + "If-Match" })
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// writePrecondition reads the conditions of a write. Where none of the tags could ever match, the write has failed
// already; the current version is read for the answer.
func (h *Handlers) writePrecondition(w http.ResponseWriter, r *http.Request, namespace string, key []byte) (*cachev1.Precondition, error) {
	c, err := readConditions(r.Header)
	if err != nil {
		return nil, err
	}
	precondition, never, err := c.forWrite()
	if err != nil || !never {
		return precondition, err
	}
	request := &cachev1.GetRequest{Namespace: namespace, Key: key, OmitValue: true}
	response, _, failure := h.cluster.Get(r.Context(), request, exchange.From(w).Traceparent)
	if failure != nil {
		return nil, failure
	}
	return nil, failedPrecondition(response.GetEntry().GetVersion())
}

// readTTL takes the TTL of a write from Cache-Control: max-age or ?ttl=, and says where it stood.
func readTTL(r *http.Request) (*cachev1.Ttl, string, error) {
	query, err := exchange.Query(r, "ttl")
	if err != nil {
		return nil, "", err
	}
	age, aged, err := syntax.MaxAge(r.Header["Cache-Control"])
	if err != nil {
		return nil, "", problem.Invalid(problem.InHeader, "Cache-Control", "%v", err)
	}
	text, asked := query["ttl"]
	switch {
	case asked && aged:
		return nil, "", problem.Invalid(problem.InQuery, "ttl", "contradicts Cache-Control: max-age; give one of the two")
	case aged:
		return contract.Expire(age), problem.InHeader + "Cache-Control", nil
	case asked:
		ttl, err := syntax.ParseTTL(text)
		if err != nil {
			return nil, "", problem.Invalid(problem.InQuery, "ttl", "%v", err)
		}
		return ttl, problem.InQuery + "ttl", nil
	}
	return nil, problem.InQuery + "ttl", nil
}

func readContentType(r *http.Request) (string, error) {
	lines := r.Header["Content-Type"]
	if len(lines) == 0 {
		return "", nil
	}
	if len(lines) > 1 {
		return "", problem.Invalid(problem.InHeader, "Content-Type", "stands there %d times", len(lines))
	}
	if err := syntax.CheckContentType(lines[0]); err != nil {
		return "", problem.Invalid(problem.InHeader, "Content-Type", "%v", err)
	}
	return lines[0], nil
}
