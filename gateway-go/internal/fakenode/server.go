package fakenode

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"bimetal.dev/contract"
	cachev1 "bimetal.dev/contract/gen/bimetal/cache/v1"
	controlv1 "bimetal.dev/contract/gen/bimetal/control/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
)

// RunToken is the token that every fake node wants.
const RunToken = "fake-run-token"

// Node is one fake node. Its fields are changed through its methods, also while it serves.
type Node struct {
	cachev1.UnimplementedCacheServiceServer
	cachev1.UnimplementedNamespaceServiceServer
	controlv1.UnimplementedControlServiceServer

	name   string
	tb     testing.TB
	gate   *gate
	server *grpc.Server

	mu          sync.Mutex
	address     string
	entries     map[entryKey]*stored
	spaces      map[string]*cachev1.Namespace
	topology    *controlv1.Topology
	incarnation uint64
	clock       uint64
	history     []*cachev1.Event // index i has sequence i+1
	changed     chan struct{}    // closed and replaced with every event
	results     map[operationKey]*storedResult
	handedOver  bool // another process is the node now; topology says where

	catchingUp  atomic.Bool // serves nothing yet
	judge       atomic.Bool // answer WRONG_NODE by the topology
	delay       atomic.Int64
	hold        atomic.Pointer[chan struct{}] // Pipeline batches wait until it is closed
	mute        atomic.Pointer[chan struct{}] // Pipeline answers, of what is done, wait until it is closed
	fail        atomic.Int32                  // reason that every Pipeline operation gets; 0: none
	greatest    atomic.Uint64                 // greatest seen_version
	lastTimeout atomic.Uint32
	traceparent atomic.Pointer[string]
	operations  atomic.Uint64
	batches     atomic.Uint64
}

type entryKey struct{ namespace, key string }

type stored struct {
	value       []byte
	contentType string
	version     uint64
	expires     time.Time // zero: never
}

// Start makes a node that listens on a free port until the test ends.
func Start(tb testing.TB, name string) *Node {
	tb.Helper()
	n := &Node{
		name: name, tb: tb, incarnation: uint64(time.Now().UnixNano()), clock: 1000,
		entries: map[entryKey]*stored{}, changed: make(chan struct{}), results: map[operationKey]*storedResult{},
		spaces: map[string]*cachev1.Namespace{
			"default": {Name: "default", Revision: 1}, "demo": {Name: "demo", Revision: 1},
		},
	}
	n.listen("127.0.0.1:0")
	tb.Cleanup(n.Stop)
	return n
}

func (n *Node) listen(address string) {
	n.tb.Helper()
	listener, err := (&net.ListenConfig{}).Listen(n.tb.Context(), "tcp", address)
	if err != nil {
		n.tb.Fatal(err)
	}
	n.gate = newGate(listener)
	n.server = grpc.NewServer(grpc.MaxRecvMsgSize(contract.MaxMessageBytes), grpc.MaxSendMsgSize(contract.MaxMessageBytes))
	cachev1.RegisterCacheServiceServer(n.server, n)
	cachev1.RegisterNamespaceServiceServer(n.server, n)
	controlv1.RegisterControlServiceServer(n.server, n)
	grpc_health_v1.RegisterHealthServer(n.server, health.NewServer())
	n.mu.Lock()
	n.address = listener.Addr().String()
	n.mu.Unlock()
	server, gate := n.server, n.gate
	go func() { _ = server.Serve(gate) }()
}

// Name is the node's name.
func (n *Node) Name() string { return n.name }

// Address is where it listens; it stays the same over Stop and Restart.
func (n *Node) Address() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.address
}

// Stop ends it as a crash does: connections break.
func (n *Node) Stop() {
	n.gate.resume()
	n.gate.breakAll()
	n.server.Stop()
}

// Restart begins a new life at the same address: empty, with another incarnation.
func (n *Node) Restart() {
	n.mu.Lock()
	n.entries, n.history, n.results = map[entryKey]*stored{}, nil, map[operationKey]*storedResult{}
	n.incarnation++
	address := n.address
	n.mu.Unlock()
	n.listen(address)
}

// Break cuts all connections; new ones are served.
func (n *Node) Break() { n.gate.breakAll() }

// Pause is SIGSTOP: connections stand, nothing is read or written.
func (n *Node) Pause() { n.gate.pause() }

// Resume is SIGCONT.
func (n *Node) Resume() { n.gate.resume() }

// Delay makes every batch of the Pipeline wait before it is done.
func (n *Node) Delay(d time.Duration) { n.delay.Store(int64(d)) }

// Mute makes the Pipeline do what it is sent and keep the answers until release is called.
func (n *Node) Mute() (release func()) {
	muted := make(chan struct{})
	n.mute.Store(&muted)
	return sync.OnceFunc(func() { n.mute.Store(nil); close(muted) })
}

// Hold makes the batches of the Pipeline wait, not begun, until release is called.
func (n *Node) Hold() (release func()) {
	held := make(chan struct{})
	n.hold.Store(&held)
	return sync.OnceFunc(func() { n.hold.Store(nil); close(held) })
}

// Fail makes every operation of the Pipeline answer this reason; 0 ends that.
func (n *Node) Fail(reason contract.Reason) { n.fail.Store(int32(reason)) }

// Adopt gives the node a topology, by which it refuses keys that it does not own.
func (n *Node) Adopt(topology *controlv1.Topology) {
	n.mu.Lock()
	n.topology = topology
	n.mu.Unlock()
	n.judge.Store(true)
}

// Forget erases the history: positions before now are lost.
func (n *Node) Forget() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.incarnation++
}

// SeenVersion is the greatest version that a sender said it had seen.
func (n *Node) SeenVersion() uint64 { return n.greatest.Load() }

// LastTimeout is the timeout_ms of the operation done last.
func (n *Node) LastTimeout() uint32 { return n.lastTimeout.Load() }

// Traceparent is that of the batch done last.
func (n *Node) Traceparent() string {
	if text := n.traceparent.Load(); text != nil {
		return *text
	}
	return ""
}

// Operations is how many operations of the Pipeline were done, Batches in how many messages they came.
func (n *Node) Operations() uint64 { return n.operations.Load() }

// Batches is how many messages of the Pipeline were read.
func (n *Node) Batches() uint64 { return n.batches.Load() }

// Connections is how many connections stand.
func (n *Node) Connections() int { return n.gate.count() }

func (n *Node) authorize(ctx context.Context) error {
	values := metadata.ValueFromIncomingContext(ctx, "authorization")
	if len(values) == 0 {
		return contract.Errorf(contract.Unauthenticated, "the run token is missing")
	}
	if values[0] != "Bearer "+RunToken {
		return contract.Errorf(contract.PermissionDenied, "the run token is wrong")
	}
	return nil
}

// Describe implements ControlService.
func (n *Node) Describe(context.Context, *controlv1.DescribeRequest) (*controlv1.DescribeResponse, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	state := controlv1.ProcessState_PROCESS_STATE_SERVING
	switch {
	case n.handedOver:
		state = controlv1.ProcessState_PROCESS_STATE_HANDED_OVER
	case n.catchingUp.Load():
		state = controlv1.ProcessState_PROCESS_STATE_CAUGHT_UP
	}
	return &controlv1.DescribeResponse{
		Service: "cache", Instance: n.name, Language: "go", Incarnation: n.incarnation,
		Contract: &controlv1.ContractIdentity{Revision: contract.Revision},
		Topology: proto.CloneOf(n.topology), State: state,
	}, nil
}
