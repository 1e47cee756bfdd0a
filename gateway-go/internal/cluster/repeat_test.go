package cluster

import (
	"log/slog"
	"testing"
	"time"

	"bimetal.dev/contract"
	cachev1 "bimetal.dev/contract/gen/bimetal/cache/v1"
	controlv1 "bimetal.dev/contract/gen/bimetal/control/v1"
	"bimetal.dev/gateway/internal/fakenode"
	"bimetal.dev/gateway/internal/node"
	"github.com/prometheus/client_golang/prometheus"
)

// A session may begin between the attempt that found none and the question whether to wait for one.
func TestWhatFoundNoSessionIsSentWhenThereIsOneByNow(t *testing.T) {
	fake := fakenode.Start(t, "cache-0")
	topology := &controlv1.Topology{Epoch: 1, Nodes: []*controlv1.Node{{Name: "cache-0", Tag: 1, Address: fake.Address()}}}
	c := New(topology, time.Second, prometheus.NewRegistry(), func(name, address string, _ func(*controlv1.Topology)) *node.Node {
		return node.Start(node.Options{
			Name: name, Address: address, Seen: &node.Seen{}, Metrics: node.NewMetrics(prometheus.NewRegistry()),
			Log: slog.New(slog.DiscardHandler),
		})
	})
	defer c.Close()
	v := c.current.Load()
	owner := v.nodes[0]
	operation := &cachev1.Operation{Operation: &cachev1.Operation_Put{Put: &cachev1.PutRequest{
		Namespace: "default", Key: []byte("k"), Value: []byte("v"),
	}}}
	_, err := do(t.Context(), owner, 0, operation, false, "")
	if err == nil || err.Reason() != contract.NodeUnavailable {
		t.Fatalf("%v, want NODE_UNAVAILABLE of a node that is just being connected to", err)
	}
	<-owner.Connected()
	r := &repetition{
		cluster: c, pause: firstPause, choose: func(v *view) *node.Node { return v.nodes[0] },
	}
	if cause := r.next(t.Context(), attempt{v, owner, err}); cause != causeConnected {
		t.Errorf("%q, want %q", cause, causeConnected)
	}
}
