package batch

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strconv"

	"bimetal.dev/contract"
	cachev1 "bimetal.dev/contract/gen/bimetal/cache/v1"
	"bimetal.dev/gateway/internal/entries"
	"bimetal.dev/gateway/internal/problem"
	"bimetal.dev/gateway/internal/syntax"
)

// maxValuesBytes is how many bytes of values one answer holds; the rest are RESPONSE_TOO_LARGE.
const maxValuesBytes = 16 << 20

// result is the JSON of one outcome. Its status and fields are those of the same request by itself.
type result struct {
	Status      int              `json:"status"`
	ETag        string           `json:"etag,omitempty"`
	ContentType string           `json:"contentType,omitempty"`
	TTL         string           `json:"ttl,omitempty"`
	Value       json.RawMessage  `json:"value,omitempty"`
	ValueBase64 *string          `json:"valueBase64,omitempty"`
	Problem     *problem.Problem `json:"problem,omitempty"`
}

// write makes the body of the answer.
func write(outcomes []outcome) []byte {
	size := 0
	body := []byte(`{"results":[`)
	for i, o := range outcomes {
		if i > 0 {
			body = append(body, ',')
		}
		if length := len(o.result.GetGet().GetEntry().GetValue()); o.failure == nil && length > 0 {
			if size += length; size > maxValuesBytes {
				o = outcome{failure: contract.Errorf(contract.ResponseTooLarge,
					"the values before this one fill the answer; ask for fewer keys")}
			}
		}
		r := resultOf(o)
		value := r.Value
		r.Value = nil // spliced below, as it is: json.Marshal would compact it
		text, err := json.Marshal(r)
		if err != nil { // a struct of strings and numbers: cannot be
			text = []byte(`{"status":500}`)
		}
		if value != nil {
			text = append(text[:len(text)-1], `,"value":`...)
			text = append(text, value...)
			text = append(text, '}')
		}
		body = append(body, text...)
	}
	return append(body, ']', '}')
}

func resultOf(o outcome) result {
	if o.failure != nil {
		p := problem.Of(entries.LocateInBody(o.failure), "")
		r := result{Status: p.Status, Problem: p}
		if version := o.failure.Detail.GetCurrentVersion(); version != 0 {
			r.ETag = syntax.FormatETag(version)
		}
		return r
	}
	switch done := o.result.GetResult().(type) {
	case *cachev1.OperationResult_Get:
		return ofGet(done.Get)
	case *cachev1.OperationResult_Put:
		status := http.StatusNoContent
		if done.Put.GetCreated() {
			status = http.StatusCreated
		}
		return result{Status: status, ETag: syntax.FormatETag(done.Put.GetVersion())}
	case *cachev1.OperationResult_Increment:
		return result{
			Status: http.StatusOK, ETag: syntax.FormatETag(done.Increment.GetVersion()),
			Value: json.RawMessage(strconv.Quote(strconv.FormatInt(done.Increment.GetValue(), 10))),
		}
	case *cachev1.OperationResult_Touch:
		r := result{Status: http.StatusOK, ETag: syntax.FormatETag(done.Touch.GetVersion())}
		if ttl := done.Touch.GetRemainingTtl(); ttl != nil {
			r.TTL = syntax.FormatDuration(ttl.AsDuration())
		}
		return r
	default:
		return result{Status: http.StatusNoContent}
	}
}

func ofGet(got *cachev1.GetResponse) result {
	entry := got.GetEntry()
	if entry == nil {
		p := problem.Of(contract.Errorf(contract.KeyNotFound, "the key has no live entry"), "")
		return result{Status: p.Status, Problem: p}
	}
	r := result{
		Status: http.StatusOK, ETag: syntax.FormatETag(entry.GetVersion()), ContentType: entry.GetContentType(),
	}
	if entry.GetRemainingTtl() != nil {
		r.TTL = syntax.FormatDuration(entry.GetRemainingTtl().AsDuration())
	}
	if syntax.IsJSON(entry.GetContentType()) && syntax.IsJSONText(entry.GetValue()) {
		r.Value = entry.GetValue()
	} else {
		encoded := base64.StdEncoding.EncodeToString(entry.GetValue())
		r.ValueBase64 = &encoded
	}
	return r
}
