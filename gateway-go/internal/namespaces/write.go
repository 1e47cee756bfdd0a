package namespaces

import (
	"context"
	"slices"
	"sync"

	"bimetal.dev/contract"
	cachev1 "bimetal.dev/contract/gen/bimetal/cache/v1"
	"bimetal.dev/gateway/internal/node"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
)

// Written is a changed record and the nodes that did not acknowledge it.
type Written struct {
	Record         *cachev1.Namespace
	Unacknowledged []string
}

// Fields are the names of all fields of a policy, for Update.
func Fields() []string {
	return []string{"quota_bytes", "default_ttl", "max_ttl", "max_value_bytes", "stale_window"}
}

// Create makes a namespace. NAMESPACE_EXISTS if there is one.
func (g *Registry) Create(ctx context.Context, record *cachev1.Namespace) (*Written, error) {
	return g.write(ctx, func(ctx context.Context, client cachev1.NamespaceServiceClient) (*cachev1.Namespace, error) {
		response, err := client.CreateNamespace(ctx, &cachev1.CreateNamespaceRequest{Namespace: record})
		return response.GetNamespace(), err
	})
}

// Update changes the named fields.
func (g *Registry) Update(ctx context.Context, record *cachev1.Namespace, fields []string) (*Written, error) {
	return g.write(ctx, func(ctx context.Context, client cachev1.NamespaceServiceClient) (*cachev1.Namespace, error) {
		response, err := client.UpdateNamespace(ctx, &cachev1.UpdateNamespaceRequest{
			Namespace: record, UpdateMask: &fieldmaskpb.FieldMask{Paths: fields},
		})
		return response.GetNamespace(), err
	})
}

// Delete deletes a namespace with its entries.
func (g *Registry) Delete(ctx context.Context, name string) (*Written, error) {
	return g.write(ctx, func(ctx context.Context, client cachev1.NamespaceServiceClient) (*cachev1.Namespace, error) {
		response, err := client.DeleteNamespace(ctx, &cachev1.DeleteNamespaceRequest{Name: name})
		return response.GetNamespace(), err
	})
}

// write lets the first node that can be reached make the record, which draws its revision, and brings it to the others.
func (g *Registry) write(ctx context.Context,
	change func(context.Context, cachev1.NamespaceServiceClient) (*cachev1.Namespace, error),
) (*Written, error) {
	if err := reachable(g.present()); err != nil {
		return nil, err
	}
	var record *cachev1.Namespace
	author, failure := g.cluster.Tell(ctx, firstUp, func(ctx context.Context, control *node.Control) (err error) {
		record, err = change(g.authorized(ctx), control.Namespaces)
		return err
	})
	if failure != nil {
		return nil, refused(failure)
	}
	g.learn([]*cachev1.Namespace{record})
	written := &Written{Record: record, Unacknowledged: []string{}}
	var mu sync.Mutex
	var spreading sync.WaitGroup
	for _, n := range g.present() {
		if n.Name() == author.Name() {
			continue
		}
		spreading.Go(func() {
			if err := g.bring(ctx, n, []*cachev1.Namespace{record}); err != nil {
				g.log.Warn("a node did not acknowledge a namespace", "node", n.Name(), "namespace", record.GetName(), "error", err.Error())
				mu.Lock()
				written.Unacknowledged = append(written.Unacknowledged, n.Name())
				mu.Unlock()
			}
		})
	}
	spreading.Wait()
	slices.Sort(written.Unacknowledged)
	return written, nil
}

// List reads all live records, Get one, from the first node that can be reached.
func (g *Registry) List(ctx context.Context) ([]*cachev1.Namespace, error) {
	if err := reachable(g.present()); err != nil {
		return nil, err
	}
	var response *cachev1.ListNamespacesResponse
	_, failure := g.cluster.Ask(ctx, firstUp, func(ctx context.Context, control *node.Control) (err error) {
		response, err = control.Namespaces.ListNamespaces(ctx, &cachev1.ListNamespacesRequest{})
		return err
	})
	if failure != nil {
		return nil, failure
	}
	return response.GetNamespaces(), nil
}

// Get reads one record.
func (g *Registry) Get(ctx context.Context, name string) (*cachev1.Namespace, error) {
	if err := reachable(g.present()); err != nil {
		return nil, err
	}
	var response *cachev1.GetNamespaceResponse
	_, failure := g.cluster.Ask(ctx, firstUp, func(ctx context.Context, control *node.Control) (err error) {
		response, err = control.Namespaces.GetNamespace(ctx, &cachev1.GetNamespaceRequest{Name: name})
		return err
	})
	if failure != nil {
		return nil, failure
	}
	return response.GetNamespace(), nil
}

// Flushed is what one node erased.
type Flushed struct {
	Node    string
	Version uint64
	Entries uint64
}

// Flush erases the entries of a namespace on all nodes. What a node refuses is the error; those that cannot be reached
// are named.
func (g *Registry) Flush(ctx context.Context, name string) (flushed []Flushed, unacknowledged []string, err error) {
	nodes := g.present()
	if err := reachable(nodes); err != nil {
		return nil, nil, err
	}
	type outcome struct {
		flushed Flushed
		err     *contract.Error
	}
	outcomes := make([]outcome, len(nodes))
	var flushing sync.WaitGroup
	for i, n := range nodes {
		flushing.Go(func() {
			var response *cachev1.FlushNamespaceResponse
			_, failure := g.cluster.Tell(ctx, named(n), func(ctx context.Context, control *node.Control) (err error) {
				response, err = control.Namespaces.FlushNamespace(g.authorized(ctx), &cachev1.FlushNamespaceRequest{Name: name})
				return err
			})
			outcomes[i] = outcome{Flushed{Node: n.Name(), Version: response.GetVersion(), Entries: response.GetEntries()}, failure}
		})
	}
	flushing.Wait()
	unacknowledged = []string{}
	for i, o := range outcomes {
		switch {
		case o.err == nil:
			flushed = append(flushed, o.flushed)
		case o.err.Reason() == contract.NodeUnavailable, o.err.Reason() == contract.OutcomeUnknown,
			o.err.Reason() == contract.DeadlineExceeded:
			unacknowledged = append(unacknowledged, nodes[i].Name())
		default:
			return nil, nil, refused(o.err)
		}
	}
	return flushed, unacknowledged, nil
}

// refused explains the one refusal that the caller cannot understand: the nodes want a token from this gateway.
func refused(failure *contract.Error) error {
	if failure.Reason() == contract.Unauthenticated || failure.Reason() == contract.PermissionDenied {
		return contract.Errorf(contract.PermissionDenied,
			"the nodes do not let this gateway write namespaces: it has no run token, or another one").Because(failure)
	}
	return failure
}
