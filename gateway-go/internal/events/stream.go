package events

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"bimetal.dev/contract"
	cachev1 "bimetal.dev/contract/gen/bimetal/cache/v1"
	"bimetal.dev/gateway/internal/node"
	"bimetal.dev/gateway/internal/syntax"
)

const (
	// clientHeartbeat is how often something is written, so that both ends notice when the other is gone.
	clientHeartbeat = time.Second
	// openingLimit is how long the answer waits for nodes to accept the subscription: a refusal can still be a problem
	// then.
	openingLimit = 2 * time.Second
	// writeLimit is how long a client may take to read what it is sent.
	writeLimit = 30 * time.Second
	// pendingUpdates is how many updates wait for the client before the nodes' streams are held up.
	pendingUpdates = 16
)

// stream is one client's subscription to all nodes.
type stream struct {
	namespace string
	prefix    []byte
	seen      positions
	resumed   bool
	updates   chan update
	following sync.WaitGroup
	// refresh asks a node for the topology, so that followers of one that has moved learn where it is.
	refresh func(context.Context, *node.Node)

	w       http.ResponseWriter
	control *http.ResponseController
	out     bytes.Buffer
	sent    string // the token that was written last
}

// followers are the subscriptions by the name of the node.
type followers map[string]*follower

// adjust begins and ends subscriptions after a change of the topology. first says that this is the beginning: nodes
// that come later bring keys whose events nobody has watched, so they begin with a reset.
func (s *stream) adjust(ctx context.Context, f followers, nodes []*node.Node, first bool) {
	present := map[string]bool{}
	for _, n := range nodes {
		present[n.Name()] = true
		if running, ok := f[n.Name()]; ok {
			if running.node != n { // only this goroutine writes it
				running.move(n)
			}
			continue
		}
		position := s.seen[n.Name()]
		following, stop := context.WithCancel(ctx)
		begun := &follower{
			stream: s, stop: stop, node: n, leave: func() {}, position: position,
			missed: position == nil && (s.resumed || !first),
		}
		f[n.Name()] = begun
		s.following.Go(func() { begun.follow(following) })
	}
	for name, running := range f {
		if !present[name] {
			running.stop()
			delete(f, name)
			delete(s.seen, name)
		}
	}
	for name := range s.seen {
		if !present[name] {
			delete(s.seen, name) // from a token of an older topology
		}
	}
}

// open waits until every node has accepted the subscription or is known to be away; what comes with it is kept.
func (s *stream) open(ctx context.Context, count int) ([]update, *contract.Error) {
	timer := time.NewTimer(openingLimit)
	defer timer.Stop()
	var early []update
	heard := map[string]bool{}
	for len(heard) < count {
		select {
		case u := <-s.updates:
			if u.failure != nil {
				return nil, u.failure
			}
			heard[u.node] = true
			early = append(early, u)
		case <-timer.C:
			return early, nil
		case <-ctx.Done():
			return nil, contract.Errorf(contract.Cancelled, "the caller gave up")
		}
	}
	return early, nil
}

// take writes an update into the buffer; flush sends it.
func (s *stream) take(u update) {
	if u.response == nil {
		return
	}
	if position := positionOf(u.response, nil); position != nil {
		s.seen[u.node] = position
	}
	switch r := u.response.GetResponse().(type) {
	case *cachev1.WatchResponse_Reset_:
		s.event("reset", map[string]string{"node": u.node, "message": r.Reset_.GetMessage()}, true)
	case *cachev1.WatchResponse_Events:
		for i, event := range r.Events.GetEvents() {
			// Only behind the last of them all have been seen, so only that has an id.
			s.event(describe(event), fieldsOf(event), i == len(r.Events.GetEvents())-1)
		}
	}
}

func (s *stream) event(name string, fields map[string]string, last bool) {
	data, err := json.Marshal(fields)
	if err != nil { // a map of strings: cannot be
		return
	}
	s.out.WriteString("event: " + name + "\ndata: ")
	s.out.Write(data)
	s.out.WriteByte('\n')
	if last {
		s.id()
	}
	s.out.WriteByte('\n')
}

// id writes the token if it has changed.
func (s *stream) id() {
	if token := s.seen.token(); token != s.sent {
		s.out.WriteString("id: " + token + "\n")
		s.sent = token
	}
}

// comment writes a line that clients ignore, with the id.
func (s *stream) comment(text string) {
	s.out.WriteString(": " + text + "\n")
	s.id()
	s.out.WriteByte('\n')
}

func (s *stream) flush() error {
	if s.out.Len() == 0 {
		return nil
	}
	_ = s.control.SetWriteDeadline(time.Now().Add(writeLimit)) // a writer that cannot is bounded by the server's own
	if _, err := s.w.Write(s.out.Bytes()); err != nil {
		return err
	}
	s.out.Reset()
	return s.control.Flush()
}

// describe is the name of an event: that of its kind.
func describe(event *cachev1.Event) string {
	return strings.ToLower(strings.TrimPrefix(event.GetKind().String(), "EVENT_KIND_"))
}

func fieldsOf(event *cachev1.Event) map[string]string {
	fields := map[string]string{"version": strconv.FormatUint(event.GetVersion(), 10)}
	if event.GetKind() != cachev1.EventKind_EVENT_KIND_FLUSHED {
		fields["key"] = syntax.EncodeSegment(event.GetKey())
	}
	if event.GetKind() == cachev1.EventKind_EVENT_KIND_PUT {
		fields["size"] = strconv.FormatUint(event.GetSize(), 10)
		if event.GetContentType() != "" {
			fields["contentType"] = event.GetContentType()
		}
	}
	if event.GetRemainingTtl() != nil {
		fields["ttl"] = syntax.FormatDuration(event.GetRemainingTtl().AsDuration())
	}
	if event.GetExpiryVersion() != 0 {
		fields["expiryVersion"] = strconv.FormatUint(event.GetExpiryVersion(), 10)
	}
	return fields
}
