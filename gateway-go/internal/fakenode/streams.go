package fakenode

import (
	"bytes"
	"context"
	"encoding/binary"
	"slices"
	"time"

	"bimetal.dev/contract"
	cachev1 "bimetal.dev/contract/gen/bimetal/cache/v1"
	"google.golang.org/grpc"
)

// maxResponseBytes is how large an answer of the Pipeline may grow unless it holds one value.
const maxResponseBytes = 1 << 20

// Pipeline implements CacheService.
func (n *Node) Pipeline(stream grpc.BidiStreamingServer[cachev1.PipelineRequest, cachev1.PipelineResponse]) error {
	for {
		request, err := stream.Recv()
		if err != nil {
			return err
		}
		n.batches.Add(1)
		if len(request.GetOperations()) > 1000 {
			return contract.Invalid("operations", "at most 1,000")
		}
		for {
			seen := n.greatest.Load()
			if request.GetSeenVersion() <= seen || n.greatest.CompareAndSwap(seen, request.GetSeenVersion()) {
				break
			}
		}
		n.traceparent.Store(&request.Traceparent)
		if delay := n.delay.Load(); delay > 0 {
			time.Sleep(time.Duration(delay))
		}
		if held := n.hold.Load(); held != nil {
			select {
			case <-*held:
			case <-stream.Context().Done():
				return nil
			}
		}
		response, size := &cachev1.PipelineResponse{}, 0
		for _, operation := range request.GetOperations() {
			result := n.answer(operation)
			if length := len(result.GetGet().GetEntry().GetValue()); len(response.GetResults()) > 0 && size+length > maxResponseBytes {
				if err := stream.Send(response); err != nil {
					return err
				}
				response, size = &cachev1.PipelineResponse{}, 0
			}
			size += len(result.GetGet().GetEntry().GetValue()) + 64
			response.Results = append(response.Results, result)
		}
		if muted := n.mute.Load(); muted != nil {
			select {
			case <-*muted:
			case <-stream.Context().Done():
				return nil
			}
		}
		if len(response.GetResults()) > 0 {
			if err := stream.Send(response); err != nil {
				return err
			}
		}
	}
}

func (n *Node) answer(operation *cachev1.Operation) *cachev1.OperationResult {
	n.operations.Add(1)
	n.lastTimeout.Store(operation.GetTimeoutMs())
	var result *cachev1.OperationResult
	var err *contract.Error
	if reason := n.fail.Load(); reason != 0 {
		err = contract.Errorf(contract.Reason(reason), "told to fail")
	} else {
		result, err = n.do(operation)
	}
	if err != nil {
		return &cachev1.OperationResult{Result: &cachev1.OperationResult_Error{Error: err.Detail}}
	}
	return result
}

// Watch implements CacheService.
func (n *Node) Watch(stream grpc.BidiStreamingServer[cachev1.WatchRequest, cachev1.WatchResponse]) error {
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	subscribe := first.GetSubscribe()
	if subscribe == nil {
		return contract.Invalid("request", "the first message must subscribe")
	}
	go func() { // ticks are read and forgotten
		for {
			if _, err := stream.Recv(); err != nil {
				return
			}
		}
	}()
	n.mu.Lock()
	if err := n.away(); err != nil {
		n.mu.Unlock()
		return err
	}
	if space, ok := n.spaces[subscribe.GetNamespace()]; subscribe.Namespace != nil && (!ok || space.GetDeleted()) {
		n.mu.Unlock()
		return contract.Errorf(contract.NamespaceNotFound, "there is no namespace %q", subscribe.GetNamespace())
	}
	next, lost := len(n.history), false
	if subscribe.Position != nil {
		incarnation, sequence := parsePosition(subscribe.GetPosition())
		if incarnation == n.incarnation && sequence <= len(n.history) {
			next = sequence
		} else {
			lost = true
		}
	}
	at := n.position(next)
	n.mu.Unlock()
	opening := &cachev1.WatchResponse{Response: &cachev1.WatchResponse_Subscribed{Subscribed: &cachev1.Subscribed{Position: at}}}
	if err := stream.Send(opening); err != nil {
		return err
	}
	if lost {
		reset := &cachev1.Reset{Position: at, Message: "the position is of another life"}
		if err := stream.Send(&cachev1.WatchResponse{Response: &cachev1.WatchResponse_Reset_{Reset_: reset}}); err != nil {
			return err
		}
	}
	interval := time.Second
	if subscribe.GetHeartbeatInterval() != nil {
		interval = subscribe.GetHeartbeatInterval().AsDuration()
	}
	heartbeat := time.NewTicker(interval)
	defer heartbeat.Stop()
	for {
		n.mu.Lock()
		events := &cachev1.Events{}
		for ; next < len(n.history); next++ {
			event := n.history[next]
			if subscribe.Namespace != nil && event.GetNamespace() != subscribe.GetNamespace() ||
				!bytes.HasPrefix(event.GetKey(), subscribe.GetPrefix()) {
				continue
			}
			events.Events = append(events.Events, event)
		}
		events.Position = n.position(next)
		changed, ended := n.changed, n.handedOver
		n.mu.Unlock()
		if len(events.GetEvents()) > 0 {
			if err := stream.Send(&cachev1.WatchResponse{Response: &cachev1.WatchResponse_Events{Events: events}}); err != nil {
				return err
			}
		}
		if ended {
			return contract.Errorf(contract.Draining, "another process is the node now")
		}
		select {
		case <-changed:
		case <-stream.Context().Done():
			return nil
		case <-heartbeat.C:
			beat := &cachev1.Heartbeat{Position: events.GetPosition()}
			if err := stream.Send(&cachev1.WatchResponse{Response: &cachev1.WatchResponse_Heartbeat{Heartbeat: beat}}); err != nil {
				return err
			}
		}
	}
}

func (n *Node) position(next int) []byte {
	position := binary.BigEndian.AppendUint64(nil, n.incarnation)
	return binary.BigEndian.AppendUint64(position, uint64(next))
}

func parsePosition(position []byte) (incarnation uint64, sequence int) {
	if len(position) != 16 {
		return 0, 0
	}
	return binary.BigEndian.Uint64(position), int(binary.BigEndian.Uint64(position[8:]))
}

// List implements CacheService. A page token is the last key of the page before.
func (n *Node) List(_ context.Context, request *cachev1.ListRequest) (*cachev1.ListResponse, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.away(); err != nil {
		return nil, err
	}
	if space, ok := n.spaces[request.GetNamespace()]; !ok || space.GetDeleted() {
		return nil, contract.Errorf(contract.NamespaceNotFound, "there is no namespace %q", request.GetNamespace())
	}
	var keys [][]byte
	for id := range n.entries {
		key := []byte(id.key)
		if id.namespace == request.GetNamespace() && n.live(id) != nil && bytes.HasPrefix(key, request.GetPrefix()) &&
			bytes.Compare(key, request.GetPageToken()) > 0 {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, bytes.Compare)
	size := int(request.GetPageSize())
	if size == 0 {
		size = 1000
	}
	if len(keys) <= size {
		return &cachev1.ListResponse{Keys: keys}, nil
	}
	return &cachev1.ListResponse{Keys: keys[:size], NextPageToken: keys[size-1]}, nil
}
