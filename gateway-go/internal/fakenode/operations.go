package fakenode

import (
	"slices"
	"strconv"
	"time"

	"bimetal.dev/contract"
	cachev1 "bimetal.dev/contract/gen/bimetal/cache/v1"
	errorsv1 "bimetal.dev/contract/gen/bimetal/errors/v1"
	"google.golang.org/protobuf/types/known/durationpb"
)

// keyed is what all single-key requests have.
type keyed interface {
	GetNamespace() string
	GetKey() []byte
}

// do is one operation under the lock.
func (n *Node) do(operation *cachev1.Operation) (*cachev1.OperationResult, *contract.Error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.away(); err != nil {
		return nil, err
	}
	return n.once(operation, n.perform)
}

func (n *Node) perform(operation *cachev1.Operation) (*cachev1.OperationResult, *contract.Error) {
	switch o := operation.GetOperation().(type) {
	case *cachev1.Operation_Get:
		response, err := n.get(o.Get)
		return &cachev1.OperationResult{Result: &cachev1.OperationResult_Get{Get: response}}, err
	case *cachev1.Operation_Put:
		response, err := n.put(o.Put)
		return &cachev1.OperationResult{Result: &cachev1.OperationResult_Put{Put: response}}, err
	case *cachev1.Operation_Delete:
		response, err := n.delete(o.Delete)
		return &cachev1.OperationResult{Result: &cachev1.OperationResult_Delete{Delete: response}}, err
	case *cachev1.Operation_Touch:
		response, err := n.touch(o.Touch)
		return &cachev1.OperationResult{Result: &cachev1.OperationResult_Touch{Touch: response}}, err
	case *cachev1.Operation_Increment:
		response, err := n.increment(o.Increment)
		return &cachev1.OperationResult{Result: &cachev1.OperationResult_Increment{Increment: response}}, err
	default:
		return nil, contract.Errorf(contract.NotImplemented, "the fake node does not do this")
	}
}

func (n *Node) check(request keyed) (entryKey, *contract.Error) {
	id := entryKey{request.GetNamespace(), string(request.GetKey())}
	if !contract.ValidNamespace(id.namespace) {
		return id, contract.Invalid("namespace", "must match [a-z0-9][a-z0-9-]{0,62}")
	}
	if !contract.ValidKey(request.GetKey()) {
		return id, contract.Invalid("key", "must have 1 to 1,024 bytes, has %d", len(request.GetKey()))
	}
	if space, ok := n.spaces[id.namespace]; !ok || space.GetDeleted() {
		return id, contract.Errorf(contract.NamespaceNotFound, "there is no namespace %q", id.namespace)
	}
	if n.judge.Load() && n.topology != nil {
		var names []string
		for _, node := range n.topology.GetNodes() {
			names = append(names, node.GetName())
		}
		if owner := contract.Owner(names, id.namespace, request.GetKey()); owner < 0 || names[owner] != n.name {
			err := contract.Errorf(contract.WrongNode, "%s does not own the key", n.name)
			if owner >= 0 {
				err.Detail.Owner = &errorsv1.Owner{Name: names[owner], Epoch: n.topology.GetEpoch()}
			}
			return id, err
		}
	}
	return id, nil
}

// live is the entry, or nil when there is none or its time is over.
func (n *Node) live(id entryKey) *stored {
	e := n.entries[id]
	if e == nil || !e.expires.IsZero() && !time.Now().Before(e.expires) {
		return nil
	}
	return e
}

func remaining(e *stored) *durationpb.Duration {
	if e.expires.IsZero() {
		return nil
	}
	return durationpb.New(max(time.Millisecond, time.Until(e.expires)))
}

func hold(e *stored, p *cachev1.Precondition) *contract.Error {
	var ok bool
	switch k := p.GetKind().(type) {
	case nil:
		ok = true
	case *cachev1.Precondition_Absent:
		ok = e == nil
	case *cachev1.Precondition_Present:
		ok = e != nil
	case *cachev1.Precondition_Versions:
		ok = e != nil && slices.Contains(k.Versions.GetVersions(), e.version)
	}
	if ok {
		return nil
	}
	var current uint64
	if e != nil {
		current = e.version
	}
	err := contract.Errorf(contract.PreconditionFailed, "the entry has version %d", current)
	err.Detail.CurrentVersion = &current
	return err
}

func (n *Node) expiry(former *stored, ttl *cachev1.Ttl) (time.Time, *contract.Error) {
	switch k := ttl.GetKind().(type) {
	case *cachev1.Ttl_Relative:
		if k.Relative.AsDuration() <= 0 {
			return time.Time{}, contract.Invalid("ttl.relative", "must be positive")
		}
		return time.Now().Add(k.Relative.AsDuration()), nil
	case *cachev1.Ttl_Keep:
		if former != nil {
			return former.expires, nil
		}
	}
	return time.Time{}, nil
}

func (n *Node) get(request *cachev1.GetRequest) (*cachev1.GetResponse, *contract.Error) {
	id, err := n.check(request)
	if err != nil {
		return nil, err
	}
	e := n.live(id)
	if e == nil {
		return &cachev1.GetResponse{Result: &cachev1.GetResponse_Miss{Miss: &cachev1.Miss{}}}, nil
	}
	entry := &cachev1.Entry{
		Version: e.version, Size: uint64(len(e.value)), ContentType: e.contentType, RemainingTtl: remaining(e),
	}
	switch {
	case request.KnownVersion != nil && request.GetKnownVersion() == e.version:
		entry.Omission = cachev1.ValueOmission_VALUE_OMISSION_NOT_MODIFIED
	case request.GetOmitValue():
		entry.Omission = cachev1.ValueOmission_VALUE_OMISSION_REQUESTED
	case request.MaxValueBytes != nil && uint64(len(e.value)) > request.GetMaxValueBytes():
		entry.Omission = cachev1.ValueOmission_VALUE_OMISSION_TOO_LARGE
	default:
		entry.Value = e.value
	}
	return &cachev1.GetResponse{Result: &cachev1.GetResponse_Entry{Entry: entry}}, nil
}

func (n *Node) put(request *cachev1.PutRequest) (*cachev1.PutResponse, *contract.Error) {
	id, err := n.check(request)
	if err != nil {
		return nil, err
	}
	if len(request.GetValue()) > 8<<20 {
		return nil, contract.Errorf(contract.ValueTooLarge, "the value has %d bytes", len(request.GetValue()))
	}
	former := n.live(id)
	if err := hold(former, request.GetPrecondition()); err != nil {
		return nil, err
	}
	expires, err := n.expiry(former, request.GetTtl())
	if err != nil {
		return nil, err
	}
	e := &stored{value: request.GetValue(), contentType: request.GetContentType(), version: n.draw(), expires: expires}
	n.entries[id] = e
	n.record(&cachev1.Event{
		Kind: cachev1.EventKind_EVENT_KIND_PUT, Namespace: id.namespace, Key: []byte(id.key), Version: e.version,
		ContentType: e.contentType, Size: uint64(len(e.value)), RemainingTtl: remaining(e),
	})
	return &cachev1.PutResponse{Version: e.version, Created: former == nil}, nil
}

func (n *Node) delete(request *cachev1.DeleteRequest) (*cachev1.DeleteResponse, *contract.Error) {
	id, err := n.check(request)
	if err != nil {
		return nil, err
	}
	former := n.live(id)
	if err := hold(former, request.GetPrecondition()); err != nil {
		return nil, err
	}
	delete(n.entries, id)
	version := n.draw()
	n.record(&cachev1.Event{
		Kind: cachev1.EventKind_EVENT_KIND_DELETED, Namespace: id.namespace, Key: []byte(id.key), Version: version,
	})
	return &cachev1.DeleteResponse{Version: version, Existed: former != nil}, nil
}

func (n *Node) touch(request *cachev1.TouchRequest) (*cachev1.TouchResponse, *contract.Error) {
	id, err := n.check(request)
	if err != nil {
		return nil, err
	}
	e := n.live(id)
	if e == nil {
		return nil, contract.Errorf(contract.KeyNotFound, "there is no live entry")
	}
	if e.expires, err = n.expiry(e, request.GetTtl()); err != nil {
		return nil, err
	}
	return &cachev1.TouchResponse{Version: e.version, ExpiryVersion: n.draw(), RemainingTtl: remaining(e)}, nil
}

func (n *Node) increment(request *cachev1.IncrementRequest) (*cachev1.IncrementResponse, *contract.Error) {
	id, err := n.check(request)
	if err != nil {
		return nil, err
	}
	former := n.live(id)
	value := request.GetInitial()
	if former != nil {
		parsed, bad := strconv.ParseInt(string(former.value), 10, 64)
		if bad != nil {
			return nil, contract.Errorf(contract.NotAnInteger, "the value is not a 64-bit integer")
		}
		value = parsed
	}
	sum := value + request.GetDelta()
	if (sum > value) != (request.GetDelta() > 0) && request.GetDelta() != 0 {
		return nil, contract.Errorf(contract.IntegerOverflow, "the sum leaves 64 bits")
	}
	e := &stored{value: strconv.AppendInt(nil, sum, 10), contentType: "text/plain", version: n.draw()}
	if former != nil && !request.GetRenewTtl() {
		e.expires = former.expires
	} else if e.expires, err = n.expiry(former, request.GetTtl()); err != nil {
		return nil, err
	}
	n.entries[id] = e
	return &cachev1.IncrementResponse{
		Value: sum, Version: e.version, Created: former == nil, RemainingTtl: remaining(e),
	}, nil
}

func (n *Node) draw() uint64 {
	n.clock = max(n.clock, n.greatest.Load()) + 1
	return n.clock
}

// record appends to the history and wakes the watchers. The lock is held.
func (n *Node) record(event *cachev1.Event) {
	n.history = append(n.history, event)
	close(n.changed)
	n.changed = make(chan struct{})
}
