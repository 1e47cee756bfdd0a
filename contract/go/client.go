package contract

import (
	"context"
	"fmt"
	"sync/atomic"

	cachev1 "bimetal.dev/contract/gen/bimetal/cache/v1"
	controlv1 "bimetal.dev/contract/gen/bimetal/control/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/stats"
)

// MaxMessageBytes is the message limit that every client and server sets, in both directions.
const MaxMessageBytes = 17 << 20

// Client speaks to one node. Every error of a unary call is an *Error. It is safe for concurrent use.
type Client struct {
	// Cache, Namespaces and Control are the generated clients; the methods below cover the common calls.
	Cache      cachev1.CacheServiceClient
	Namespaces cachev1.NamespaceServiceClient
	Control    controlv1.ControlServiceClient
	connection *grpc.ClientConn
}

// Connect makes a client of the node at address (host:port). It does not wait for the connection; a call fails with
// NODE_UNAVAILABLE while there is none. Further options come after the client's own and override them.
func Connect(address string, options ...grpc.DialOption) (*Client, error) {
	all := append([]grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDisableRetry(),
		grpc.WithDisableServiceConfig(),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(MaxMessageBytes), grpc.MaxCallSendMsgSize(MaxMessageBytes)),
		grpc.WithChainUnaryInterceptor(mapErrors),
		grpc.WithStatsHandler(sentMarker{}),
	}, options...)
	connection, err := grpc.NewClient("passthrough:///"+address, all...)
	if err != nil {
		return nil, fmt.Errorf("connect to the node at %s: %w", address, err)
	}
	return &Client{
		Cache:      cachev1.NewCacheServiceClient(connection),
		Namespaces: cachev1.NewNamespaceServiceClient(connection),
		Control:    controlv1.NewControlServiceClient(connection),
		connection: connection,
	}, nil
}

// Close ends the connection and what is in flight on it.
func (c *Client) Close() error { return c.connection.Close() }

// Get reads an entry; nil when there is none.
func (c *Client) Get(ctx context.Context, namespace string, key []byte) (*cachev1.Entry, error) {
	response, err := c.Cache.Get(ctx, &cachev1.GetRequest{Namespace: namespace, Key: key})
	if err != nil {
		return nil, err
	}
	return response.GetEntry(), nil
}

// Put writes an entry whole and answers its version and whether it was made.
func (c *Client) Put(ctx context.Context, request *cachev1.PutRequest) (*cachev1.PutResponse, error) {
	return c.Cache.Put(ctx, request)
}

// Delete deletes an entry and says whether there was one.
func (c *Client) Delete(ctx context.Context, namespace string, key []byte) (bool, error) {
	response, err := c.Cache.Delete(ctx, &cachev1.DeleteRequest{Namespace: namespace, Key: key})
	return response.GetExisted(), err
}

// Increment adds to an integer and answers the sum.
func (c *Client) Increment(ctx context.Context, namespace string, key []byte, delta int64) (int64, error) {
	response, err := c.Cache.Increment(ctx, &cachev1.IncrementRequest{Namespace: namespace, Key: key, Delta: delta})
	return response.GetValue(), err
}

// WithRunToken gives a call the right to use ControlService and to write namespaces.
func WithRunToken(ctx context.Context, token string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
}

// sentKey marks, in a call's context, whether its request was handed to a connection: gRPC does not say so in its
// errors, and what was never sent was certainly not begun.
type sentKey struct{}

func mapErrors(ctx context.Context, method string, request, reply any, connection *grpc.ClientConn,
	invoke grpc.UnaryInvoker, options ...grpc.CallOption,
) error {
	sent := new(atomic.Bool)
	err := invoke(context.WithValue(ctx, sentKey{}, sent), method, request, reply, connection, options...)
	if err == nil {
		return nil
	}
	return FromError(err, sent.Load())
}

type sentMarker struct{}

func (sentMarker) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }

func (sentMarker) HandleRPC(ctx context.Context, event stats.RPCStats) {
	if _, ok := event.(*stats.OutPayload); !ok {
		return
	}
	if sent, ok := ctx.Value(sentKey{}).(*atomic.Bool); ok {
		sent.Store(true)
	}
}

func (sentMarker) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (sentMarker) HandleConn(context.Context, stats.ConnStats)                       {}

var _ stats.Handler = sentMarker{}
