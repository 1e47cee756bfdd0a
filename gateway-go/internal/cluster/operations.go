package cluster

import (
	"context"

	"bimetal.dev/contract"
	cachev1 "bimetal.dev/contract/gen/bimetal/cache/v1"
	"bimetal.dev/gateway/internal/node"
	"google.golang.org/protobuf/proto"
)

// Do brings an operation to the owner of its key and answers the result with the name of the node that gave it. What
// the node refused comes back as an error, too; its result is nil then. See repetition for what is sent more than once.
func (c *Cluster) Do(ctx context.Context, operation *cachev1.Operation, traceparent string) (*cachev1.OperationResult, string, *contract.Error) {
	namespace, key, bulk := address(operation)
	v := c.current.Load()
	owner := v.owner(namespace, key)
	result, err := do(ctx, owner, 0, operation, bulk, traceparent)
	if err == nil {
		return result, owner.Name(), nil
	}
	r := &repetition{
		cluster: c, read: operation.GetGet() != nil, protected: operationID(operation) != nil,
		choose: func(v *view) *node.Node { return v.owner(namespace, key) },
		send: func(ctx context.Context, owner *node.Node, incarnation uint64) *contract.Error {
			// A copy: a lane that was lost may still hold the one before.
			again := &cachev1.Operation{Operation: operation.GetOperation()}
			result, err = do(ctx, owner, incarnation, again, bulk, traceparent)
			return err
		},
	}
	a := r.run(ctx, attempt{v, owner, err})
	return result, a.owner.Name(), a.err
}

// Choose takes the node to ask from those of the topology.
type Choose func(nodes []*node.Node) *node.Node

// Call is a call on the control connection of a node.
type Call func(ctx context.Context, control *node.Control) error

// Ask makes a call that changes nothing, and repeats it as Do repeats a read. It answers the node that was asked last.
func (c *Cluster) Ask(ctx context.Context, choose Choose, call Call) (*node.Node, *contract.Error) {
	return c.call(ctx, true, choose, call)
}

// Tell makes a call that changes something, and repeats it as Do repeats a write.
func (c *Cluster) Tell(ctx context.Context, choose Choose, call Call) (*node.Node, *contract.Error) {
	return c.call(ctx, false, choose, call)
}

func (c *Cluster) call(ctx context.Context, read bool, choose Choose, call Call) (*node.Node, *contract.Error) {
	r := &repetition{
		cluster: c, read: read,
		choose: func(v *view) *node.Node { return choose(v.nodes) },
		send: func(ctx context.Context, owner *node.Node, _ uint64) *contract.Error {
			control, unavailable := owner.Control()
			if unavailable != nil {
				return unavailable
			}
			return control.Failure(call(ctx, control), read)
		},
	}
	a := attempt{view: c.current.Load()}
	a.owner = r.choose(a.view)
	if a.err = r.send(ctx, a.owner, 0); a.err != nil {
		a = r.run(ctx, a)
	}
	return a.owner, a.err
}

// Get reads an entry. Values are asked for on the connection for small operations first; one that turns out to be
// large is fetched on the other, so that it delays nobody.
func (c *Cluster) Get(ctx context.Context, request *cachev1.GetRequest, traceparent string) (*cachev1.GetResponse, string, *contract.Error) {
	limit := uint64(node.BulkBytes)
	if request.MaxValueBytes == nil {
		request.MaxValueBytes = &limit
	}
	operation := &cachev1.Operation{Operation: &cachev1.Operation_Get{Get: request}}
	result, name, err := c.Do(ctx, operation, traceparent)
	if err != nil {
		return nil, name, err
	}
	if request.MaxValueBytes == &limit &&
		result.GetGet().GetEntry().GetOmission() == cachev1.ValueOmission_VALUE_OMISSION_TOO_LARGE {
		whole := proto.CloneOf(request)
		whole.MaxValueBytes = nil
		result, name, err = c.Do(ctx, &cachev1.Operation{Operation: &cachev1.Operation_Get{Get: whole}}, traceparent)
		if err != nil {
			return nil, name, err
		}
	}
	return result.GetGet(), name, nil
}

func do(ctx context.Context, owner *node.Node, incarnation uint64, operation *cachev1.Operation, bulk bool, traceparent string) (*cachev1.OperationResult, *contract.Error) {
	result, err := owner.DoAt(ctx, incarnation, operation, bulk, traceparent)
	if err != nil {
		return nil, err
	}
	if refused := result.GetError(); refused != nil {
		return nil, contract.FromDetail(refused)
	}
	if !answers(operation, result) {
		return nil, contract.Errorf(contract.Internal, "%s answered an operation of another kind", owner.Name())
	}
	return result, nil
}

func (v *view) owner(namespace string, key []byte) *node.Node {
	return v.nodes[contract.Owner(v.names, namespace, key)]
}

// address is where an operation goes: the namespace and key that decide the owner, and which connection.
func address(operation *cachev1.Operation) (namespace string, key []byte, bulk bool) {
	switch o := operation.GetOperation().(type) {
	case *cachev1.Operation_Get:
		return o.Get.GetNamespace(), o.Get.GetKey(), o.Get.MaxValueBytes == nil && !o.Get.GetOmitValue()
	case *cachev1.Operation_Put:
		return o.Put.GetNamespace(), o.Put.GetKey(), len(o.Put.GetValue()) > node.BulkBytes
	case *cachev1.Operation_Delete:
		return o.Delete.GetNamespace(), o.Delete.GetKey(), false
	case *cachev1.Operation_Touch:
		return o.Touch.GetNamespace(), o.Touch.GetKey(), false
	case *cachev1.Operation_Increment:
		return o.Increment.GetNamespace(), o.Increment.GetKey(), false
	case *cachev1.Operation_Throttle:
		return o.Throttle.GetNamespace(), o.Throttle.GetKey(), false
	}
	return "", nil, false
}

// answers says whether a result is of the operation's kind.
func answers(operation *cachev1.Operation, result *cachev1.OperationResult) bool {
	switch operation.GetOperation().(type) {
	case *cachev1.Operation_Get:
		return result.GetGet().GetResult() != nil
	case *cachev1.Operation_Put:
		return result.GetPut() != nil
	case *cachev1.Operation_Delete:
		return result.GetDelete() != nil
	case *cachev1.Operation_Touch:
		return result.GetTouch() != nil
	case *cachev1.Operation_Increment:
		return result.GetIncrement() != nil
	}
	return false
}
