package admin

import (
	"context"
	"crypto/subtle"
	"encoding/hex"
	"strings"
	"time"

	"bimetal.dev/contract"
	controlv1 "bimetal.dev/contract/gen/bimetal/control/v1"
	"bimetal.dev/gateway/internal/lifecycle"
	"bimetal.dev/gateway/internal/process"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Topology is that of a service which follows one; see cluster.Cluster.
type Topology interface {
	Topology() *controlv1.Topology
	SetTopology(topology *controlv1.Topology) *contract.Error
}

// control is ControlService of a process that holds no entries.
type control struct {
	controlv1.UnimplementedControlServiceServer
	service, instance string
	state             *lifecycle.Lifecycle
	topology          Topology
	delay             time.Duration
}

// Describe says what this process is.
func (c *control) Describe(_ context.Context, request *controlv1.DescribeRequest) (*controlv1.DescribeResponse, error) {
	digest, err := hex.DecodeString(contract.Digest)
	if err != nil {
		return nil, contract.Errorf(contract.Internal, "the digest of the contract is no hexadecimal").Because(err)
	}
	identity := &controlv1.ContractIdentity{Revision: contract.Revision, Digest: digest}
	if request.GetIncludeDescriptorSet() {
		identity.DescriptorSet = contract.DescriptorSet()
	}
	response := &controlv1.DescribeResponse{
		Service: c.service, Instance: c.instance, Language: "go", Version: process.Version, Contract: identity,
		State: c.state.State(), StartTime: timestamppb.New(c.state.Started()),
	}
	if c.topology != nil {
		response.Topology = c.topology.Topology()
	}
	return response, nil
}

// Drain begins to drain.
func (c *control) Drain(_ context.Context, request *controlv1.DrainRequest) (*controlv1.DrainResponse, error) {
	delay := c.delay
	if request.GetDelay() != nil {
		if delay = request.GetDelay().AsDuration(); delay < 0 || delay > time.Hour {
			return nil, contract.Invalid("delay", "must be from 0 to 1 hour, is %v", delay)
		}
	}
	c.state.Drain(delay)
	return &controlv1.DrainResponse{}, nil
}

// SetTopology replaces the topology. There are no entries here, so it erases none.
func (c *control) SetTopology(_ context.Context, request *controlv1.SetTopologyRequest) (*controlv1.SetTopologyResponse, error) {
	if c.topology == nil {
		return nil, contract.Errorf(contract.NotImplemented, "the %s follows no topology", c.service)
	}
	if err := c.topology.SetTopology(request.GetTopology()); err != nil {
		return nil, err
	}
	return &controlv1.SetTopologyResponse{Epoch: c.topology.Topology().GetEpoch()}, nil
}

// Stats is for nodes.
func (c *control) Stats(context.Context, *controlv1.StatsRequest) (*controlv1.StatsResponse, error) {
	return nil, contract.Errorf(contract.NotImplemented, "the %s holds no entries; ask a node", c.service)
}

// HandOver is for nodes.
func (c *control) HandOver(grpc.BidiStreamingServer[controlv1.HandOverRequest, controlv1.HandOverResponse]) error {
	return contract.Errorf(contract.NotImplemented, "the %s holds nothing to hand over", c.service)
}

// guard lets callers with the run token use the services of the platform; Describe is for everybody, as are health and
// reflection.
type guard struct{ token string }

func (g guard) check(ctx context.Context, method string) error {
	if !strings.HasPrefix(method, "/bimetal.") ||
		method == controlv1.ControlService_Describe_FullMethodName {
		return nil
	}
	if g.token == "" {
		return contract.Errorf(contract.PermissionDenied, "this process was started without a run token")
	}
	values := metadata.ValueFromIncomingContext(ctx, "authorization")
	if len(values) == 0 {
		return contract.Errorf(contract.Unauthenticated, "the run token is missing (metadata \"authorization: Bearer TOKEN\")")
	}
	if len(values) > 1 || subtle.ConstantTimeCompare([]byte(values[0]), []byte("Bearer "+g.token)) != 1 {
		return contract.Errorf(contract.PermissionDenied, "the run token is wrong")
	}
	return nil
}

func (g guard) unary(ctx context.Context, request any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	if err := g.check(ctx, info.FullMethod); err != nil {
		return nil, err
	}
	return next(ctx, request)
}

func (g guard) stream(server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	if err := g.check(stream.Context(), info.FullMethod); err != nil {
		return err
	}
	return next(server, stream)
}
