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
	"bimetal.dev/gateway/internal/cluster"
	"bimetal.dev/gateway/internal/node"
	"google.golang.org/protobuf/proto"
)

// spreadTimeout bounds bringing a record to one node.
const spreadTimeout = 2 * time.Second

// Cluster is where the nodes are; see cluster.Cluster.
type Cluster interface {
	Nodes() (nodes []*node.Node, replaced <-chan struct{})
	Ask(ctx context.Context, choose cluster.Choose, call cluster.Call) (*node.Node, *contract.Error)
	Tell(ctx context.Context, choose cluster.Choose, call cluster.Call) (*node.Node, *contract.Error)
}

// Registry is safe for concurrent use.
type Registry struct {
	token string
	log   *slog.Logger

	mu      sync.Mutex
	cluster Cluster // nil before Attach
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
	}
}

// Attach says where the nodes are. To be called once, before requests are served.
func (g *Registry) Attach(cluster Cluster) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.cluster = cluster
}

// present are the nodes of the topology; none before Attach.
func (g *Registry) present() []*node.Node {
	g.mu.Lock()
	c := g.cluster
	g.mu.Unlock()
	if c == nil {
		return nil
	}
	nodes, _ := c.Nodes()
	return nodes
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
	for _, n := range g.present() {
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

// bring is one SyncNamespaces, which does no harm when it is repeated.
func (g *Registry) bring(ctx context.Context, n *node.Node, records []*cachev1.Namespace) error {
	ctx, cancel := context.WithTimeout(ctx, spreadTimeout)
	defer cancel()
	var response *cachev1.SyncNamespacesResponse
	_, failure := g.cluster.Ask(ctx, named(n), func(ctx context.Context, control *node.Control) (err error) {
		response, err = control.Namespaces.SyncNamespaces(g.authorized(ctx), &cachev1.SyncNamespacesRequest{Namespaces: records})
		return err
	})
	if failure != nil {
		return fmt.Errorf("bring namespaces to %s: %w", n.Name(), failure)
	}
	g.learn(response.GetNamespaces())
	return nil
}

// named chooses the node of the same name, wherever it is by now; n itself once it has left.
func named(n *node.Node) cluster.Choose {
	return func(nodes []*node.Node) *node.Node {
		for _, present := range nodes {
			if present.Name() == n.Name() {
				return present
			}
		}
		return n
	}
}

// reachable is an error when no node can be reached, or is just being connected to.
func reachable(nodes []*node.Node) error {
	for _, n := range nodes {
		if n.Up() || n.Fresh() {
			return nil
		}
	}
	return contract.Errorf(contract.NodeUnavailable, "no node can be reached").RetryAfter(time.Second)
}

// firstUp chooses the first node that can be reached, else the first.
func firstUp(nodes []*node.Node) *node.Node {
	for _, n := range nodes {
		if n.Up() {
			return n
		}
	}
	return nodes[0]
}
