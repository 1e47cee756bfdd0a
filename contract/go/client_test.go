package contract_test

import (
	"context"
	"net"
	"testing"
	"time"

	"bimetal.dev/contract"
	cachev1 "bimetal.dev/contract/gen/bimetal/cache/v1"
	"google.golang.org/grpc"
)

// oneEntry is a node that holds one entry and refuses to write.
type oneEntry struct {
	cachev1.UnimplementedCacheServiceServer
}

func (oneEntry) Get(_ context.Context, request *cachev1.GetRequest) (*cachev1.GetResponse, error) {
	if string(request.GetKey()) != "there" {
		return &cachev1.GetResponse{Result: &cachev1.GetResponse_Miss{Miss: &cachev1.Miss{}}}, nil
	}
	entry := &cachev1.Entry{Version: 5, Size: 1, Value: []byte("v")}
	return &cachev1.GetResponse{Result: &cachev1.GetResponse_Entry{Entry: entry}}, nil
}

func (oneEntry) Put(context.Context, *cachev1.PutRequest) (*cachev1.PutResponse, error) {
	return nil, contract.Invalid("ttl.relative", "must be positive")
}

func TestTheClientAnswersEntriesMissesAndErrorsOfTheTable(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	cachev1.RegisterCacheServiceServer(server, oneEntry{})
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	client, err := contract.Connect(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()

	if entry, err := client.Get(ctx, "default", []byte("there")); err != nil || entry.GetVersion() != 5 {
		t.Errorf("there: %v, %v", entry, err)
	}
	if entry, err := client.Get(ctx, "default", []byte("absent")); err != nil || entry != nil {
		t.Errorf("absent: %v, %v", entry, err)
	}
	_, err = client.Put(ctx, &cachev1.PutRequest{})
	if own := contract.FromError(err, true); own.Reason() != contract.InvalidArgument ||
		len(own.Detail.GetViolations()) != 1 || own.Detail.GetViolations()[0].GetField() != "ttl.relative" {
		t.Errorf("put: %v", err)
	}
	if _, err := client.Delete(ctx, "default", []byte("a")); !contract.Is(err, contract.Internal) {
		t.Errorf("an RPC that the peer does not have, without ErrorInfo: %v", err)
	}
}

func TestACallThatFindsNobodyWasNeverSent(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	client, err := contract.Connect(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if _, err := client.Get(ctx, "default", []byte("a")); !contract.Is(err, contract.NodeUnavailable) {
		t.Errorf("got %v, want NODE_UNAVAILABLE", err)
	}
}
