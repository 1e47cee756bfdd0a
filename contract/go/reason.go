package contract

import (
	"fmt"
	"net/http"
	"strings"
	"sync"

	errorsv1 "bimetal.dev/contract/gen/bimetal/errors/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
)

// Reason says why a request failed; its values are the rows of the error table.
type Reason = errorsv1.ErrorReason

// The reasons, under the names that they have on every wire, log and problem.
const (
	KeyNotFound          = errorsv1.ErrorReason_ERROR_REASON_KEY_NOT_FOUND
	NamespaceNotFound    = errorsv1.ErrorReason_ERROR_REASON_NAMESPACE_NOT_FOUND
	NamespaceExists      = errorsv1.ErrorReason_ERROR_REASON_NAMESPACE_EXISTS
	InvalidArgument      = errorsv1.ErrorReason_ERROR_REASON_INVALID_ARGUMENT
	MalformedBody        = errorsv1.ErrorReason_ERROR_REASON_MALFORMED_BODY
	ValueTooLarge        = errorsv1.ErrorReason_ERROR_REASON_VALUE_TOO_LARGE
	UnsupportedMediaType = errorsv1.ErrorReason_ERROR_REASON_UNSUPPORTED_MEDIA_TYPE
	PreconditionFailed   = errorsv1.ErrorReason_ERROR_REASON_PRECONDITION_FAILED
	LeaseOutdated        = errorsv1.ErrorReason_ERROR_REASON_LEASE_OUTDATED
	NotAnInteger         = errorsv1.ErrorReason_ERROR_REASON_NOT_AN_INTEGER
	IntegerOverflow      = errorsv1.ErrorReason_ERROR_REASON_INTEGER_OVERFLOW
	IdempotencyKeyReused = errorsv1.ErrorReason_ERROR_REASON_IDEMPOTENCY_KEY_REUSED
	Unauthenticated      = errorsv1.ErrorReason_ERROR_REASON_UNAUTHENTICATED
	PermissionDenied     = errorsv1.ErrorReason_ERROR_REASON_PERMISSION_DENIED
	RateLimited          = errorsv1.ErrorReason_ERROR_REASON_RATE_LIMITED
	QuotaExceeded        = errorsv1.ErrorReason_ERROR_REASON_QUOTA_EXCEEDED
	ResponseTooLarge     = errorsv1.ErrorReason_ERROR_REASON_RESPONSE_TOO_LARGE
	WrongNode            = errorsv1.ErrorReason_ERROR_REASON_WRONG_NODE
	Overloaded           = errorsv1.ErrorReason_ERROR_REASON_OVERLOADED
	Draining             = errorsv1.ErrorReason_ERROR_REASON_DRAINING
	NodeUnavailable      = errorsv1.ErrorReason_ERROR_REASON_NODE_UNAVAILABLE
	OutcomeUnknown       = errorsv1.ErrorReason_ERROR_REASON_OUTCOME_UNKNOWN
	DeadlineExceeded     = errorsv1.ErrorReason_ERROR_REASON_DEADLINE_EXCEEDED
	Cancelled            = errorsv1.ErrorReason_ERROR_REASON_CANCELLED
	ContractMismatch     = errorsv1.ErrorReason_ERROR_REASON_CONTRACT_MISMATCH
	RouteNotFound        = errorsv1.ErrorReason_ERROR_REASON_ROUTE_NOT_FOUND
	MethodNotAllowed     = errorsv1.ErrorReason_ERROR_REASON_METHOD_NOT_ALLOWED
	NotAcceptable        = errorsv1.ErrorReason_ERROR_REASON_NOT_ACCEPTABLE
	RequestTimeout       = errorsv1.ErrorReason_ERROR_REASON_REQUEST_TIMEOUT
	URITooLong           = errorsv1.ErrorReason_ERROR_REASON_URI_TOO_LONG
	RangeNotSatisfiable  = errorsv1.ErrorReason_ERROR_REASON_RANGE_NOT_SATISFIABLE
	NotImplemented       = errorsv1.ErrorReason_ERROR_REASON_NOT_IMPLEMENTED
	Internal             = errorsv1.ErrorReason_ERROR_REASON_INTERNAL
)

// Spec is one row of the error table.
type Spec struct {
	// Reason is the row's key.
	Reason Reason
	// Name is the text of the reason on every wire, log and problem.
	Name string
	// OnGRPC says whether the reason exists on gRPC; Code is its code there.
	OnGRPC bool
	Code   codes.Code
	// HTTPStatus is 400 to 599.
	HTTPStatus int
	// Title is the same for every occurrence.
	Title string
	// Retry says what a caller may do.
	Retry errorsv1.Retry
}

const reasonPrefix = "ERROR_REASON_"

// ReasonName is the text of a reason: its name without the prefix.
func ReasonName(reason Reason) string { return SpecOf(reason).Name }

// ParseReason is the inverse of ReasonName. Unknown texts are INTERNAL, as the contract says.
func ParseReason(name string) Reason {
	if spec, ok := table().byName[name]; ok {
		return spec.Reason
	}
	return Internal
}

// SpecOf is the row of a reason. Values that the table does not have are treated as INTERNAL.
func SpecOf(reason Reason) *Spec {
	t := table()
	if reason > 0 && int(reason) < len(t.rows) && t.rows[reason] != nil {
		return t.rows[reason]
	}
	return t.rows[Internal]
}

// Specs are all rows in the order of their numbers.
func Specs() []*Spec {
	var specs []*Spec
	for _, row := range table().rows {
		if row != nil {
			specs = append(specs, row)
		}
	}
	return specs
}

type errorTable struct {
	rows   []*Spec // by number; nil where there is no value
	byName map[string]*Spec
}

// table is derived once from the custom options of the descriptor: proto/bimetal/errors/v1/errors.proto is the only
// place where a row is written down. A row that breaks the contract's own rules stops the process at its first use,
// which a unit test makes impossible to ship.
var table = sync.OnceValue(func() errorTable {
	values := errorsv1.ErrorReason(0).Descriptor().Values()
	t := errorTable{byName: make(map[string]*Spec, values.Len())}
	for i := range values.Len() {
		value := values.Get(i)
		number := int(value.Number())
		if number == 0 {
			continue
		}
		row, ok := proto.GetExtension(value.Options(), errorsv1.E_Error).(*errorsv1.ErrorSpec)
		if !ok || row.GetHttpStatus() < http.StatusBadRequest || row.GetHttpStatus() > 599 || row.GetTitle() == "" {
			panic(fmt.Sprintf("contract: %s has no complete row in the error table", value.Name()))
		}
		spec := &Spec{
			Reason:     Reason(value.Number()),
			Name:       strings.TrimPrefix(string(value.Name()), reasonPrefix),
			OnGRPC:     row.GrpcCode != nil,
			Code:       codes.Code(row.GetGrpcCode()),
			HTTPStatus: int(row.GetHttpStatus()),
			Title:      row.GetTitle(),
			Retry:      row.GetRetry(),
		}
		for len(t.rows) <= number {
			t.rows = append(t.rows, nil)
		}
		t.rows[number] = spec
		t.byName[spec.Name] = spec
	}
	return t
})
