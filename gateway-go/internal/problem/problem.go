// Package problem answers errors over HTTP: RFC 9457 problem details, made from the error table.
package problem

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"bimetal.dev/contract"
	errorsv1 "bimetal.dev/contract/gen/bimetal/errors/v1"
	"bimetal.dev/gateway/internal/syntax"
)

// ContentType of a problem.
const ContentType = "application/problem+json"

// Problem is the body.
type Problem struct {
	// Type is a URI for the reason; it need not lead anywhere.
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	// Reason is the name in the error table, what programs should look at.
	Reason string `json:"reason"`
	// Instance is the trace id of the request; empty inside of batch results.
	Instance string `json:"instance,omitempty"`
	// Errors are the fields at fault.
	Errors []Field `json:"errors,omitempty"`
}

// Field is one field at fault: exactly one of Pointer (into the JSON body, RFC 6901 as a URI fragment), Header, Query
// and Path is set.
type Field struct {
	Detail  string `json:"detail"`
	Pointer string `json:"pointer,omitempty"`
	Header  string `json:"header,omitempty"`
	// Query may be the empty name, as in `?=1`.
	Query *string `json:"query,omitempty"`
	Path  string  `json:"path,omitempty"`
}

// The places of fields, as prefixes of the path in a violation. Without one of them it is a path of the request
// message, which a handler should have translated.
const (
	InBody   = "#/"
	InHeader = "header:"
	InQuery  = "query:"
	InPath   = "path:"
)

// Of makes the body of an error.
func Of(err *contract.Error, instance string) *Problem {
	spec := err.Spec()
	p := &Problem{
		Type: "urn:bimetal:error:" + spec.Name, Title: spec.Title, Status: spec.HTTPStatus,
		Detail: err.Detail.GetMessage(), Reason: spec.Name, Instance: instance,
	}
	for _, violation := range err.Detail.GetViolations() {
		p.Errors = append(p.Errors, field(violation))
	}
	return p
}

func field(violation *errorsv1.FieldViolation) Field {
	f := Field{Detail: violation.GetDescription()}
	path := violation.GetField()
	if name, ok := strings.CutPrefix(path, InHeader); ok {
		f.Header = name
	} else if name, ok := strings.CutPrefix(path, InQuery); ok {
		f.Query = &name
	} else if name, ok := strings.CutPrefix(path, InPath); ok {
		f.Path = name
	} else if strings.HasPrefix(path, InBody) || path == "#" {
		f.Pointer = path
	} else {
		f.Pointer = InBody + strings.ReplaceAll(path, ".", "/")
	}
	return f
}

// Invalid is INVALID_ARGUMENT for a field at a place: one of the prefixes above with a name.
func Invalid(place, name, format string, args ...any) *contract.Error {
	err := contract.Invalid(place+name, format, args...)
	err.Detail.Message = strings.TrimPrefix(place, "#") + name + ": " + err.Detail.GetViolations()[0].GetDescription()
	if place != InBody {
		err.Detail.Message = name + ": " + err.Detail.GetViolations()[0].GetDescription()
	}
	return err
}

// Write answers an error.
func Write(w http.ResponseWriter, err *contract.Error, instance string) {
	header := w.Header()
	header.Set("Content-Type", ContentType)
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	if err.Spec().Retry == errorsv1.Retry_RETRY_AFTER_DELAY || err.Detail.GetRetryAfter() != nil {
		header.Set("Retry-After", retryAfter(err))
	}
	if version := err.Detail.GetCurrentVersion(); version != 0 {
		header.Set("ETag", syntax.FormatETag(version))
	}
	body, encodeErr := json.Marshal(Of(err, instance))
	if encodeErr != nil { // a struct of strings and numbers: cannot be
		body = nil
	}
	header.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(err.Spec().HTTPStatus)
	_, _ = w.Write(body) // who has gone cannot be told
}

// retryAfter is in whole seconds, at least 1: HTTP knows nothing finer.
func retryAfter(err *contract.Error) string {
	delay := err.Detail.GetRetryAfter().AsDuration()
	seconds := int64((delay + time.Second - 1) / time.Second)
	return strconv.FormatInt(max(seconds, 1), 10)
}
