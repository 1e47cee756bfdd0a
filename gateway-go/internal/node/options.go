package node

import (
	"context"
	"log/slog"
	"time"

	cachev1 "bimetal.dev/contract/gen/bimetal/cache/v1"
	controlv1 "bimetal.dev/contract/gen/bimetal/control/v1"
)

// BulkBytes is the size of a value from which on it travels on the connection for bulk, so that small operations do
// not wait behind it.
const BulkBytes = 64 << 10

// Options are what a Node needs. Every duration and limit that is zero gets its default.
type Options struct {
	// Name is the node's name in the topology; a process at the address that calls itself otherwise is not talked to.
	Name string
	// Address is host:port of the node's gRPC listener.
	Address string
	// RunToken gives the right to exchange namespaces. Empty: the exchange is left out.
	RunToken string
	// Seen is shared by all nodes of a gateway.
	Seen *Seen
	// Exchange is called with every new session before it serves. Nil: nothing to exchange.
	Exchange func(ctx context.Context, name string, namespaces cachev1.NamespaceServiceClient) error
	// Learn is called with the topology of the process, with every new session, even if that comes to nothing: a process
	// that is the node no longer says where it is. Nil: nobody asks.
	Learn func(topology *controlv1.Topology)
	// Metrics and Log are never nil.
	Metrics *Metrics
	Log     *slog.Logger

	// Silence is how long nothing may come while something is outstanding. Default 500 ms.
	Silence time.Duration
	// Patience is how long a new node may take to be connected to before its absence counts. Default 1 s.
	Patience time.Duration
	// Redial is the pause between two attempts to connect. Default 150 ms.
	Redial time.Duration
	// Attempt bounds one attempt. Default 1 s.
	Attempt time.Duration
	// Probe is how often an idle connection is asked for a sign of life. Default 200 ms.
	Probe time.Duration
	// Queue is how many operations may wait for one lane's writer; further ones are OVERLOADED. Default 4,096.
	Queue int
	// Window is how many batches a lane may have unanswered. Default 2.
	Window int
}

func (o Options) withDefaults() Options {
	o.Silence = orDefault(o.Silence, 500*time.Millisecond)
	o.Patience = orDefault(o.Patience, time.Second)
	o.Redial = orDefault(o.Redial, 150*time.Millisecond)
	o.Attempt = orDefault(o.Attempt, time.Second)
	o.Probe = orDefault(o.Probe, 200*time.Millisecond)
	o.Queue = orDefault(o.Queue, 4096)
	o.Window = orDefault(o.Window, 2)
	return o
}

func orDefault[T ~int | ~int64](value, otherwise T) T {
	if value == 0 {
		return otherwise
	}
	return value
}
