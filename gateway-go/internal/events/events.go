// Package events serves GET /v1/cache/{namespace} with Accept: text/event-stream: what happens to keys, as server-sent
// events, from all nodes in one stream. The id of an event is a token of one position for each node; a client that sends
// it as Last-Event-ID continues behind it. What may have been missed is announced by an event "reset", never passed over.
package events

import (
	"context"
	"net/http"
	"time"

	"bimetal.dev/contract"
	"bimetal.dev/gateway/internal/exchange"
	"bimetal.dev/gateway/internal/lifecycle"
	"bimetal.dev/gateway/internal/node"
	"bimetal.dev/gateway/internal/problem"
	"github.com/prometheus/client_golang/prometheus"
)

// ContentType of event streams.
const ContentType = "text/event-stream"

// Cluster is where the nodes are; see cluster.Cluster.
type Cluster interface {
	Nodes() (nodes []*node.Node, replaced <-chan struct{})
	Refresh(ctx context.Context, n *node.Node)
}

// Handler serves event streams.
type Handler struct {
	cluster  Cluster
	state    *lifecycle.Lifecycle
	places   chan struct{}
	watchers prometheus.Gauge
}

// New makes it; limit is how many streams there may be at once.
func New(cluster Cluster, state *lifecycle.Lifecycle, limit int, registry prometheus.Registerer) *Handler {
	watchers := prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: "bimetal_gateway", Name: "event_streams", Help: "Event streams that are open.",
	})
	registry.MustRegister(watchers)
	return &Handler{cluster: cluster, state: state, places: make(chan struct{}, limit), watchers: watchers}
}

// Serve answers one stream, which lasts until the client leaves or the gateway ends.
func (h *Handler) Serve(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Vary", "Accept")
	w.Header().Set("Cache-Control", "no-store")
	s, err := newStream(w, r)
	if err != nil {
		return err
	}
	s.refresh = h.cluster.Refresh
	select {
	case h.places <- struct{}{}:
		defer func() { <-h.places }()
	default:
		return contract.Errorf(contract.Overloaded, "%d event streams are open already", cap(h.places)).RetryAfter(time.Second)
	}
	h.watchers.Inc()
	defer h.watchers.Dec()

	ctx, cancel := context.WithCancel(r.Context())
	defer func() {
		cancel()
		s.following.Wait()
	}()
	running := followers{}
	nodes, replaced := h.cluster.Nodes()
	s.adjust(ctx, running, nodes, true)
	early, failure := s.open(ctx, len(nodes))
	if failure != nil {
		return failure
	}
	w.Header().Set("Content-Type", ContentType)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(http.StatusOK)
	s.out.WriteString("retry: 1000\n")
	for _, u := range early {
		s.take(u)
	}
	s.comment("watching")
	heartbeat := time.NewTicker(clientHeartbeat)
	defer heartbeat.Stop()
	for {
		if err := s.flush(); err != nil {
			return nil // the client has gone; nothing can be answered
		}
		select {
		case u := <-s.updates:
			if u.failure != nil { // the namespace was deleted, for one
				s.event("end", map[string]string{"node": u.node, "reason": u.failure.Spec().Name, "message": u.failure.Detail.GetMessage()}, true)
				_ = s.flush()
				return nil
			}
			s.take(u)
		case <-heartbeat.C:
			s.comment("heartbeat")
		case <-replaced:
			nodes, replaced = h.cluster.Nodes()
			s.adjust(ctx, running, nodes, false)
		case <-h.state.Ending():
			s.comment("the gateway ends; connect again with this id")
			_ = s.flush()
			return nil
		case <-ctx.Done():
			return nil
		}
	}
}

func newStream(w http.ResponseWriter, r *http.Request) (*stream, error) {
	namespace, err := exchange.Namespace(r)
	if err != nil {
		return nil, err
	}
	query, err := exchange.Query(r, "prefix")
	if err != nil {
		return nil, err
	}
	s := &stream{
		namespace: namespace, prefix: []byte(query["prefix"]), seen: positions{}, updates: make(chan update, pendingUpdates),
		w: w, control: http.NewResponseController(w),
	}
	if len(s.prefix) > contract.MaxKeyBytes {
		return nil, problem.Invalid(problem.InQuery, "prefix", "must have at most 1,024 bytes, has %d", len(s.prefix))
	}
	if last := r.Header.Get("Last-Event-ID"); last != "" {
		seen, ok := parseToken(last)
		if !ok {
			return nil, problem.Invalid(problem.InHeader, "Last-Event-ID", "is no id that a stream has given")
		}
		s.seen, s.resumed = seen, true
	}
	return s, nil
}
