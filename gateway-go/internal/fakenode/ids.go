package fakenode

import (
	"bimetal.dev/contract"
	cachev1 "bimetal.dev/contract/gen/bimetal/cache/v1"
	"google.golang.org/protobuf/proto"
)

// operationKey names what an operation id protects.
type operationKey struct {
	entryKey
	id string
}

type storedResult struct {
	request *cachev1.Operation
	result  *cachev1.OperationResult
	err     *contract.Error
}

// once does an operation with an id that it has not seen, and answers the stored result otherwise. The lock is held.
func (n *Node) once(operation *cachev1.Operation, do func(*cachev1.Operation) (*cachev1.OperationResult, *contract.Error)) (*cachev1.OperationResult, *contract.Error) {
	var id []byte
	var request keyed
	switch o := operation.GetOperation().(type) {
	case *cachev1.Operation_Put:
		id, request = o.Put.GetOperationId(), o.Put
	case *cachev1.Operation_Delete:
		id, request = o.Delete.GetOperationId(), o.Delete
	case *cachev1.Operation_Touch:
		id, request = o.Touch.GetOperationId(), o.Touch
	case *cachev1.Operation_Increment:
		id, request = o.Increment.GetOperationId(), o.Increment
	}
	if id == nil {
		return do(operation)
	}
	if len(id) != 16 {
		return nil, contract.Invalid("operation_id", "must have 16 bytes, has %d", len(id))
	}
	bare := proto.CloneOf(operation)
	bare.TimeoutMs = 0
	key := operationKey{entryKey{request.GetNamespace(), string(request.GetKey())}, string(id)}
	if former, ok := n.results[key]; ok {
		if !proto.Equal(former.request, bare) {
			return nil, contract.Errorf(contract.IdempotencyKeyReused, "the id was used for another request")
		}
		return former.result, former.err
	}
	result, err := do(operation)
	if err == nil || err.Reason() == contract.PreconditionFailed || err.Reason() == contract.NotAnInteger {
		n.results[key] = &storedResult{bare, result, err}
	}
	return result, err
}
