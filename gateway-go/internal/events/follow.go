package events

import (
	"context"
	"sync"
	"time"

	"bimetal.dev/contract"
	cachev1 "bimetal.dev/contract/gen/bimetal/cache/v1"
	"bimetal.dev/gateway/internal/node"
	"google.golang.org/protobuf/types/known/durationpb"
)

const (
	// nodeHeartbeat is how often a node says how far it is when nothing happens.
	nodeHeartbeat = time.Second
	// followAgain is the pause before a subscription that ended is begun again.
	followAgain = 150 * time.Millisecond
)

// update is what one node has to say; exactly one of response, failure and away is set.
type update struct {
	node     string
	response *cachev1.WatchResponse
	// failure is a refusal that trying again does not change.
	failure *contract.Error
	// away says that the node cannot be subscribed to now; it will be.
	away bool
}

// follower keeps a subscription to one node, also when that moves to another process, and continues it behind what was
// seen whenever it ends.
type follower struct {
	stream *stream
	stop   context.CancelFunc
	// position is how far it is; nil: nothing has been seen. Only follow uses it.
	position []byte
	// missed says that the client may have missed something, because the node was away or there is no position although
	// the client had one: it is told by a reset as soon as the node is there.
	missed bool

	mu    sync.Mutex
	node  *node.Node
	leave context.CancelFunc // ends the present subscription
}

// move makes the follower continue at another process of its node.
func (f *follower) move(n *node.Node) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.node = n
	f.leave()
}

// at is the process to subscribe to, and a context that ends when it is another one.
func (f *follower) at(ctx context.Context) (*node.Node, context.Context) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.leave()
	ctx, f.leave = context.WithCancel(ctx)
	return f.node, ctx
}

// follow runs until ctx ends or the subscription is refused for good.
func (f *follower) follow(ctx context.Context) {
	for {
		n, here := f.at(ctx)
		changed := n.Changed()
		stood, failure := f.subscription(ctx, here, n)
		switch {
		case ctx.Err() != nil:
			return
		case here.Err() != nil:
			continue // it has moved
		case failure != nil && !transient(failure):
			f.stream.push(ctx, update{node: n.Name(), failure: failure})
			return
		case failure != nil && (failure.Reason() == contract.WrongNode || failure.Reason() == contract.Draining):
			f.stream.refresh(ctx, n) // where it is now
		}
		if f.position == nil {
			f.missed = true
		}
		if !stood && !n.Fresh() {
			f.stream.push(ctx, update{node: n.Name(), away: true})
		}
		select {
		case <-here.Done():
		case <-changed: // it may be there now
		case <-time.After(followAgain):
		}
	}
}

// subscription is one Watch, which ends with here. stood says whether it had begun. What has come is handed on even when
// the node has moved meanwhile: the position is behind it.
func (f *follower) subscription(ctx, here context.Context, n *node.Node) (stood bool, failure *contract.Error) {
	control, unavailable := n.Control()
	if unavailable != nil {
		return false, unavailable
	}
	here, cancel := context.WithCancel(here)
	defer cancel()
	watch, err := control.Cache.Watch(here)
	if err != nil {
		return false, contract.FromError(err, false)
	}
	subscribe := &cachev1.Subscribe{
		Namespace: &f.stream.namespace, Prefix: f.stream.prefix, Position: f.position, HeartbeatInterval: durationpb.New(nodeHeartbeat),
	}
	if err := watch.Send(&cachev1.WatchRequest{Request: &cachev1.WatchRequest_Subscribe{Subscribe: subscribe}}); err != nil {
		_, err = watch.Recv() // has the status that Send lacks
		return false, contract.FromError(err, false)
	}
	for {
		response, err := watch.Recv()
		if err != nil {
			return stood, contract.FromError(err, true)
		}
		stood = true
		if subscribed := response.GetSubscribed(); subscribed != nil && f.missed {
			f.missed = false
			response = &cachev1.WatchResponse{Response: &cachev1.WatchResponse_Reset_{Reset_: &cachev1.Reset{
				Position: subscribed.GetPosition(), Message: "the node could not be watched before",
			}}}
		}
		if !f.stream.push(ctx, update{node: n.Name(), response: response}) {
			return stood, nil
		}
		f.position = positionOf(response, f.position)
	}
}

// push hands an update to the writer; a client that reads slowly holds up the node's stream, whose history is bounded.
func (s *stream) push(ctx context.Context, u update) bool {
	select {
	case s.updates <- u:
		return true
	case <-ctx.Done():
		return false
	}
}

func positionOf(response *cachev1.WatchResponse, otherwise []byte) []byte {
	var position []byte
	switch r := response.GetResponse().(type) {
	case *cachev1.WatchResponse_Subscribed:
		position = r.Subscribed.GetPosition()
	case *cachev1.WatchResponse_Reset_:
		position = r.Reset_.GetPosition()
	case *cachev1.WatchResponse_Events:
		position = r.Events.GetPosition()
	case *cachev1.WatchResponse_Heartbeat:
		position = r.Heartbeat.GetPosition()
	}
	if position == nil {
		return otherwise
	}
	return position
}

// transient says whether a subscription may succeed later.
func transient(failure *contract.Error) bool {
	switch failure.Reason() {
	case contract.NamespaceNotFound, contract.InvalidArgument, contract.NotImplemented, contract.PermissionDenied,
		contract.Unauthenticated:
		return false
	}
	return true
}
