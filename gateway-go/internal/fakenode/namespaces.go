package fakenode

import (
	"context"
	"slices"
	"strings"

	"bimetal.dev/contract"
	cachev1 "bimetal.dev/contract/gen/bimetal/cache/v1"
	"google.golang.org/protobuf/proto"
)

// CreateNamespace implements NamespaceService.
func (n *Node) CreateNamespace(ctx context.Context, request *cachev1.CreateNamespaceRequest) (*cachev1.CreateNamespaceResponse, error) {
	if err := n.authorize(ctx); err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.away(); err != nil {
		return nil, err
	}
	if err := checkPolicy(request.GetNamespace()); err != nil {
		return nil, err
	}
	name := request.GetNamespace().GetName()
	if space, ok := n.spaces[name]; ok && !space.GetDeleted() {
		return nil, contract.Errorf(contract.NamespaceExists, "%q exists", name)
	}
	record := proto.CloneOf(request.GetNamespace())
	record.Revision = n.draw()
	n.spaces[name] = record
	return &cachev1.CreateNamespaceResponse{Namespace: proto.CloneOf(record)}, nil
}

// checkPolicy is what a node checks of each field by itself.
func checkPolicy(policy *cachev1.Namespace) error {
	for field, value := range map[string]*uint64{"quota_bytes": policy.QuotaBytes, "max_value_bytes": policy.MaxValueBytes} {
		if value != nil && *value == 0 {
			return contract.Invalid("namespace."+field, "greater than zero, or absent")
		}
	}
	if policy.GetMaxValueBytes() > 8<<20 {
		return contract.Invalid("namespace.max_value_bytes", "at most 8 MiB")
	}
	if policy.GetStaleWindow() != nil {
		return contract.Errorf(contract.NotImplemented, "stale_window is not in this release")
	}
	return nil
}

// GetNamespace implements NamespaceService.
func (n *Node) GetNamespace(_ context.Context, request *cachev1.GetNamespaceRequest) (*cachev1.GetNamespaceResponse, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.away(); err != nil {
		return nil, err
	}
	space, ok := n.spaces[request.GetName()]
	if !ok || space.GetDeleted() {
		return nil, contract.Errorf(contract.NamespaceNotFound, "there is no namespace %q", request.GetName())
	}
	return &cachev1.GetNamespaceResponse{Namespace: proto.CloneOf(space)}, nil
}

// ListNamespaces implements NamespaceService.
func (n *Node) ListNamespaces(_ context.Context, request *cachev1.ListNamespacesRequest) (*cachev1.ListNamespacesResponse, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.away(); err != nil {
		return nil, err
	}
	return &cachev1.ListNamespacesResponse{Namespaces: n.records(request.GetIncludeDeleted())}, nil
}

func (n *Node) records(deleted bool) []*cachev1.Namespace {
	var records []*cachev1.Namespace
	for _, space := range n.spaces {
		if deleted || !space.GetDeleted() {
			records = append(records, proto.CloneOf(space))
		}
	}
	slices.SortFunc(records, func(a, b *cachev1.Namespace) int { return strings.Compare(a.GetName(), b.GetName()) })
	return records
}

// UpdateNamespace implements NamespaceService.
func (n *Node) UpdateNamespace(ctx context.Context, request *cachev1.UpdateNamespaceRequest) (*cachev1.UpdateNamespaceResponse, error) {
	if err := n.authorize(ctx); err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.away(); err != nil {
		return nil, err
	}
	space, ok := n.spaces[request.GetNamespace().GetName()]
	if !ok || space.GetDeleted() {
		return nil, contract.Errorf(contract.NamespaceNotFound, "there is no namespace %q", request.GetNamespace().GetName())
	}
	if err := checkPolicy(request.GetNamespace()); err != nil {
		return nil, err
	}
	record, given := proto.CloneOf(space), request.GetNamespace()
	for _, path := range request.GetUpdateMask().GetPaths() {
		switch path {
		case "quota_bytes":
			record.QuotaBytes = given.QuotaBytes
		case "default_ttl":
			record.DefaultTtl = given.GetDefaultTtl()
		case "max_ttl":
			record.MaxTtl = given.GetMaxTtl()
		case "max_value_bytes":
			record.MaxValueBytes = given.MaxValueBytes
		case "stale_window": // checkPolicy lets none pass
		default:
			return nil, contract.Invalid("update_mask", "has no field %q", path)
		}
	}
	record.Revision = n.draw()
	n.spaces[record.GetName()] = record
	return &cachev1.UpdateNamespaceResponse{Namespace: proto.CloneOf(record)}, nil
}

// DeleteNamespace implements NamespaceService.
func (n *Node) DeleteNamespace(ctx context.Context, request *cachev1.DeleteNamespaceRequest) (*cachev1.DeleteNamespaceResponse, error) {
	if err := n.authorize(ctx); err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.away(); err != nil {
		return nil, err
	}
	if request.GetName() == "default" {
		return nil, contract.Invalid("name", "default cannot be deleted")
	}
	space, ok := n.spaces[request.GetName()]
	if !ok || space.GetDeleted() {
		return nil, contract.Errorf(contract.NamespaceNotFound, "there is no namespace %q", request.GetName())
	}
	tombstone := &cachev1.Namespace{Name: request.GetName(), Revision: n.draw(), Deleted: true}
	n.spaces[request.GetName()] = tombstone
	n.erase(request.GetName())
	return &cachev1.DeleteNamespaceResponse{Namespace: proto.CloneOf(tombstone)}, nil
}

// FlushNamespace implements NamespaceService.
func (n *Node) FlushNamespace(ctx context.Context, request *cachev1.FlushNamespaceRequest) (*cachev1.FlushNamespaceResponse, error) {
	if err := n.authorize(ctx); err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.away(); err != nil {
		return nil, err
	}
	if space, ok := n.spaces[request.GetName()]; !ok || space.GetDeleted() {
		return nil, contract.Errorf(contract.NamespaceNotFound, "there is no namespace %q", request.GetName())
	}
	erased := n.erase(request.GetName())
	version := n.draw()
	n.record(&cachev1.Event{Kind: cachev1.EventKind_EVENT_KIND_FLUSHED, Namespace: request.GetName(), Version: version})
	return &cachev1.FlushNamespaceResponse{Version: version, Entries: erased}, nil
}

func (n *Node) erase(namespace string) (erased uint64) {
	for id := range n.entries {
		if id.namespace == namespace {
			delete(n.entries, id)
			erased++
		}
	}
	return erased
}

// SyncNamespaces implements NamespaceService.
func (n *Node) SyncNamespaces(ctx context.Context, request *cachev1.SyncNamespacesRequest) (*cachev1.SyncNamespacesResponse, error) {
	if err := n.authorize(ctx); err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.away(); err != nil {
		return nil, err
	}
	for _, record := range request.GetNamespaces() {
		if record.GetRevision() <= n.spaces[record.GetName()].GetRevision() {
			continue
		}
		n.spaces[record.GetName()] = proto.CloneOf(record)
		if record.GetDeleted() {
			n.erase(record.GetName())
		}
	}
	return &cachev1.SyncNamespacesResponse{Namespaces: n.records(true)}, nil
}
