// Package namespaces keeps the records of namespaces the same on all nodes. A node draws a record's revision; the
// highest revision wins everywhere. The gateway holds no record that a node does not hold: it learns them from the
// nodes that it connects to and brings them to those that lack them.
package namespaces

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"bimetal.dev/contract"
	cachev1 "bimetal.dev/contract/gen/bimetal/cache/v1"
	"bimetal.dev/gateway/internal/node"
	"google.golang.org/protobuf/proto"
)

// spreadTimeout bounds bringing a record to one node.
const spreadTimeout = 2 * time.Second

// Registry is safe for concurrent use.
type Registry struct {
	token string
	log   *slog.Logger
	// nodes are those of the present topology; set by Attach before anything is spread.
	nodes func() []*node.Node

	mu      sync.Mutex
	records map[string]*cachev1.Namespace

	spreading sync.WaitGroup
	ctx       context.Context
	stop      context.CancelFunc
}

// NewRegistry makes an empty registry; token is the run token, empty if the gateway has none.
func NewRegistry(token string, log *slog.Logger) *Registry {
	ctx, stop := context.WithCancel(context.Background())
	return &Registry{
		token: token, log: log, records: map[string]*cachev1.Namespace{}, ctx: ctx, stop: stop,
		nodes: func() []*node.Node { return nil },
	}
}

// Attach says which nodes there are. To be called once, before requests are served.
func (g *Registry) Attach(nodes func() []*node.Node) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.nodes = nodes
}

// Close ends what is being spread.
func (g *Registry) Close() {
	g.stop()
	g.spreading.Wait()
}

// Exchange brings what is known to a node that was connected to, and takes what it knows. What is news goes on to the
// other nodes. Without a run token the nodes keep their own records, as the operator has chosen.
func (g *Registry) Exchange(ctx context.Context, name string, client cachev1.NamespaceServiceClient) error {
	if g.token == "" {
		return nil
	}
	response, err := client.SyncNamespaces(g.authorized(ctx), &cachev1.SyncNamespacesRequest{Namespaces: g.known()})
	if failure := contract.FromError(err, true); failure != nil {
		if failure.Reason() == contract.PermissionDenied || failure.Reason() == contract.Unauthenticated {
			g.log.Warn("the node refuses the run token: namespaces are not exchanged", "node", name, "error", failure.Error())
			return nil
		}
		return failure
	}
	if news := g.learn(response.GetNamespaces()); len(news) > 0 {
		g.spreadLater(news, name)
	}
	return nil
}

func (g *Registry) authorized(ctx context.Context) context.Context {
	if g.token == "" {
		return ctx
	}
	return contract.WithRunToken(ctx, g.token)
}

// known are all records, ordered by name.
func (g *Registry) known() []*cachev1.Namespace {
	g.mu.Lock()
	defer g.mu.Unlock()
	records := make([]*cachev1.Namespace, 0, len(g.records))
	for _, record := range g.records {
		records = append(records, record)
	}
	slices.SortFunc(records, func(a, b *cachev1.Namespace) int { return strings.Compare(a.GetName(), b.GetName()) })
	return records
}

// learn takes records with higher revisions and answers which these were.
func (g *Registry) learn(records []*cachev1.Namespace) (news []*cachev1.Namespace) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, record := range records {
		if former, ok := g.records[record.GetName()]; ok && former.GetRevision() >= record.GetRevision() {
			continue
		}
		g.records[record.GetName()] = proto.CloneOf(record)
		news = append(news, record)
	}
	return news
}

// spreadLater brings records to all nodes but one in the background. A node that is not up gets them when it connects.
func (g *Registry) spreadLater(records []*cachev1.Namespace, except string) {
	g.mu.Lock()
	nodes := g.nodes()
	g.mu.Unlock()
	for _, n := range nodes {
		if n.Name() == except || !n.Up() {
			continue
		}
		g.spreading.Go(func() {
			if err := g.bring(g.ctx, n, records); err != nil && g.ctx.Err() == nil {
				g.log.Warn("a node did not take namespaces; it gets them when it connects again", "node", n.Name(), "error", err.Error())
			}
		})
	}
}

// bring is one SyncNamespaces.
func (g *Registry) bring(ctx context.Context, n *node.Node, records []*cachev1.Namespace) error {
	control, unavailable := n.Control()
	if unavailable != nil {
		return unavailable
	}
	ctx, cancel := context.WithTimeout(ctx, spreadTimeout)
	defer cancel()
	response, err := control.Namespaces.SyncNamespaces(g.authorized(ctx), &cachev1.SyncNamespacesRequest{Namespaces: records})
	if err != nil {
		return fmt.Errorf("bring namespaces to %s: %w", n.Name(), err)
	}
	g.learn(response.GetNamespaces())
	return nil
}
