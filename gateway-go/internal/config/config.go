// Package config reads the gateway's settings: flags over environment over file over defaults. What is unknown or
// contradictory is an error that names it.
package config

import (
	"net"
	"time"

	controlv1 "bimetal.dev/contract/gen/bimetal/control/v1"
)

// Config are the settings, checked.
type Config struct {
	// Instance is the name in logs, metrics and /contract.
	Instance string
	// Listen and AdminListen are host:port; port 0 takes a free one.
	Listen, AdminListen string
	// AllowedHosts are the values of Host, beside loopback, that are served while there is no authentication.
	AllowedHosts []string
	// AllowUnauthenticated permits listeners beyond loopback.
	AllowUnauthenticated bool
	// RunToken gives the right to use ControlService here, and is shown to the nodes. Never logged.
	RunToken string
	// Topology is the one to begin with.
	Topology *controlv1.Topology
	// OTLPEndpoint is where spans go; empty: nowhere.
	OTLPEndpoint string
	// LogFormat is auto, json or pretty; LogLevel is debug, info, warn or error.
	LogFormat, LogLevel string
	// DrainDelay is how long everything is still served when draining begins, DrainTimeout how long what is in flight
	// then has to end.
	DrainDelay, DrainTimeout time.Duration
	// WatchStdin ends the process when its standard input does.
	WatchStdin bool
	// MaxRequests is how many requests may be in flight, MaxWatchers how many of them may be event streams,
	// MaxBodyBytes how much memory large request bodies may take together.
	MaxRequests, MaxWatchers int
	MaxBodyBytes             int64
	// Window is how many batches a Pipeline stream may have unanswered.
	Window int
	// NodeSilence is how long a node may be silent while it owes an answer.
	NodeSilence time.Duration
}

// loopback says whether a listen address can be reached from this machine only.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
