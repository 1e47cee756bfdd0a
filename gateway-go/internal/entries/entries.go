// Package entries serves single entries over HTTP: /v1/cache/{namespace}/{key} and what hangs below it. The value is
// the body, as it is.
package entries

import (
	"context"
	"net/http"
	"strings"

	"bimetal.dev/contract"
	cachev1 "bimetal.dev/contract/gen/bimetal/cache/v1"
	"bimetal.dev/gateway/internal/exchange"
	"bimetal.dev/gateway/internal/problem"
	"bimetal.dev/gateway/internal/syntax"
	"google.golang.org/protobuf/proto"
)

// Cluster is where operations go; see cluster.Cluster.
type Cluster interface {
	Do(ctx context.Context, operation *cachev1.Operation, traceparent string) (*cachev1.OperationResult, string, *contract.Error)
	Get(ctx context.Context, request *cachev1.GetRequest, traceparent string) (*cachev1.GetResponse, string, *contract.Error)
}

// Handlers are the handlers of single entries.
type Handlers struct {
	cluster Cluster
	bodies  *exchange.Bodies
}

// New makes them.
func New(cluster Cluster, bodies *exchange.Bodies) *Handlers {
	return &Handlers{cluster: cluster, bodies: bodies}
}

// address is the namespace and key of a request.
func address(r *http.Request) (string, []byte, error) {
	namespace, err := exchange.Namespace(r)
	if err != nil {
		return "", nil, err
	}
	key, err := exchange.Key(r)
	return namespace, key, err
}

// operationID is that of a request with an Idempotency-Key; nil: it has none.
func operationID(r *http.Request) ([]byte, error) {
	lines := r.Header["Idempotency-Key"]
	if len(lines) == 0 {
		return nil, nil
	}
	if len(lines) > 1 {
		return nil, problem.Invalid(problem.InHeader, "Idempotency-Key", "stands there %d times", len(lines))
	}
	id, err := syntax.OperationID(lines[0])
	if err != nil {
		return nil, problem.Invalid(problem.InHeader, "Idempotency-Key", "%v", err)
	}
	return id, nil
}

// locate says where in the HTTP request the fields are that a node names by their path in the gRPC request.
func locate(err *contract.Error, place func(field string) string) *contract.Error {
	if len(err.Detail.GetViolations()) == 0 {
		return err
	}
	located := contract.FromDetail(proto.CloneOf(err.Detail))
	for _, violation := range located.Detail.GetViolations() {
		field := strings.SplitN(violation.GetField(), ".", 2)[0]
		switch field {
		case "operation_id":
			violation.Field = problem.InHeader + "Idempotency-Key"
		case "namespace", "key":
			violation.Field = problem.InPath + field
		default:
			violation.Field = place(field)
		}
	}
	return located
}

// LocateInBody says where in a JSON body the fields are that a node names by their path in the gRPC request. Inside of
// a batch the pointers are relative to the operation.
func LocateInBody(err *contract.Error) *contract.Error {
	names := map[string]string{
		"content_type": "contentType", "renew_ttl": "renewTtl", "precondition": "ifMatch", "namespace": "key",
	}
	return locate(err, func(field string) string {
		if name, ok := names[field]; ok {
			field = name
		}
		return problem.InBody + field
	})
}
