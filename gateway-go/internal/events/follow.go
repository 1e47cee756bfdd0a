package events

import (
	"context"
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

// follow keeps a subscription to one node and continues it, behind what was seen, whenever it ends. whole says that
// nothing may be missed from the beginning on: where that cannot be (the node is away, or there is no position although
// the client had one) the client is told by a reset as soon as the node is there.
func (s *stream) follow(ctx context.Context, n *node.Node, position []byte, missed bool) {
	for {
		ended, failure := s.subscription(ctx, n, &position, &missed)
		if ctx.Err() != nil {
			return
		}
		if failure != nil && !transient(failure) {
			s.push(ctx, update{node: n.Name(), failure: failure})
			return
		}
		if position == nil {
			missed = true
		}
		if !ended {
			s.push(ctx, update{node: n.Name(), away: true})
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(followAgain):
		}
	}
}

// subscription is one Watch. stood says whether it had begun.
func (s *stream) subscription(ctx context.Context, n *node.Node, position *[]byte, missed *bool) (stood bool, failure *contract.Error) {
	control, unavailable := n.Control()
	if unavailable != nil {
		return false, unavailable
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watch, err := control.Cache.Watch(ctx)
	if err != nil {
		return false, contract.FromError(err, false)
	}
	subscribe := &cachev1.Subscribe{
		Namespace: &s.namespace, Prefix: s.prefix, Position: *position, HeartbeatInterval: durationpb.New(nodeHeartbeat),
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
		if subscribed := response.GetSubscribed(); subscribed != nil && *missed {
			*missed = false
			response = &cachev1.WatchResponse{Response: &cachev1.WatchResponse_Reset_{Reset_: &cachev1.Reset{
				Position: subscribed.GetPosition(), Message: "the node could not be watched before",
			}}}
		}
		*position = positionOf(response, *position)
		if !s.push(ctx, update{node: n.Name(), response: response}) {
			return stood, nil
		}
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
