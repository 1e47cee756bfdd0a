// Package config is the gateway's settings.
package config

import (
	"time"

	controlv1 "bimetal.dev/contract/gen/bimetal/control/v1"
	"bimetal.dev/gateway/internal/settings"
)

// Config are the settings, checked. The run token is shown to the nodes, too.
type Config struct {
	settings.Process
	// Listen is host:port of the public listener; port 0 takes a free one.
	Listen string
	// PassedListen is an address of fdpass, by which connections come that the edge has accepted; empty: nowhere.
	PassedListen string
	// Topology is the one to begin with.
	Topology *controlv1.Topology
	// OTLPEndpoint is where spans go; empty: nowhere.
	OTLPEndpoint string
	// MaxConnections is how many connections of clients may stand at once.
	MaxConnections int
	// MaxRequests is how many requests may be in flight, MaxWatchers how many of them may be event streams,
	// MaxBodyBytes how much memory large request bodies may take together.
	MaxRequests, MaxWatchers int
	MaxBodyBytes             int64
	// Window is how many batches a Pipeline stream may have unanswered.
	Window int
	// NodeSilence is how long a node may be silent while it owes an answer.
	NodeSilence time.Duration
	// NodePatience is how long an operation waits for a node that moves to another process or was just added.
	NodePatience time.Duration
}
