package admin

import (
	"context"
	"crypto/subtle"
	"encoding/hex"
	"strings"
	"time"

	"bimetal.dev/contract"
	controlv1 "bimetal.dev/contract/gen/bimetal/control/v1"
	"bimetal.dev/gateway/internal/cluster"
	"bimetal.dev/gateway/internal/lifecycle"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Version is that of the build.
const Version = "0.1.0"

// control is ControlService of a gateway.
type control struct {
	controlv1.UnimplementedControlServiceServer
	instance string
	state    *lifecycle.Lifecycle
	cluster  *cluster.Cluster
	delay    time.Duration
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
	return &controlv1.DescribeResponse{
		Service: "gateway", Instance: c.instance, Language: "go", Version: Version, Contract: identity,
		Topology: c.cluster.Topology(), State: c.state.State(), StartTime: timestamppb.New(c.state.Started()),
	}, nil
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

// SetTopology replaces the topology. A gateway holds no entries, so it erases none.
func (c *control) SetTopology(_ context.Context, request *controlv1.SetTopologyRequest) (*controlv1.SetTopologyResponse, error) {
	if err := c.cluster.SetTopology(request.GetTopology()); err != nil {
		return nil, err
	}
	return &controlv1.SetTopologyResponse{Epoch: c.cluster.Topology().GetEpoch()}, nil
}

// Stats is for nodes.
func (c *control) Stats(context.Context, *controlv1.StatsRequest) (*controlv1.StatsResponse, error) {
	return nil, contract.Errorf(contract.NotImplemented, "a gateway holds no entries; ask a node")
}

// HandOver is for nodes, and not in this release.
func (c *control) HandOver(grpc.BidiStreamingServer[controlv1.HandOverRequest, controlv1.HandOverResponse]) error {
	return contract.Errorf(contract.NotImplemented, "a gateway holds nothing to hand over")
}

// guard lets callers with the run token use ControlService; Describe is for everybody.
type guard struct{ token string }

func (g guard) check(ctx context.Context, method string) error {
	if !strings.HasPrefix(method, "/"+controlv1.ControlService_ServiceDesc.ServiceName+"/") ||
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
