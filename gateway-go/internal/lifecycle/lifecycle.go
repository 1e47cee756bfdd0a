// Package lifecycle is the state of the process: starting, serving, draining, ended. Everything that behaves
// differently while the gateway drains asks here.
package lifecycle

import (
	"sync"
	"sync/atomic"
	"time"

	controlv1 "bimetal.dev/contract/gen/bimetal/control/v1"
)

// Lifecycle is safe for concurrent use.
type Lifecycle struct {
	started time.Time
	serving atomic.Bool

	once     sync.Once
	draining chan struct{}
	delay    atomic.Int64
	ending   chan struct{}
	endOnce  sync.Once
}

// New is a process that starts.
func New() *Lifecycle {
	return &Lifecycle{started: time.Now(), draining: make(chan struct{}), ending: make(chan struct{})}
}

// Started is when the process began.
func (l *Lifecycle) Started() time.Time { return l.started }

// Serve says that the listeners are bound and requests are served.
func (l *Lifecycle) Serve() { l.serving.Store(true) }

// Drain begins to drain: for delay everything is still served. Only the first call counts.
func (l *Lifecycle) Drain(delay time.Duration) {
	l.once.Do(func() {
		l.delay.Store(int64(delay))
		close(l.draining)
	})
}

// Draining is closed when draining begins.
func (l *Lifecycle) Draining() <-chan struct{} { return l.draining }

// DrainDelay is how long everything is still served when draining has begun.
func (l *Lifecycle) DrainDelay() time.Duration { return time.Duration(l.delay.Load()) }

// End says that nothing new is served; streams that would not end by themselves do so now.
func (l *Lifecycle) End() { l.endOnce.Do(func() { close(l.ending) }) }

// Ending is closed by End.
func (l *Lifecycle) Ending() <-chan struct{} { return l.ending }

// IsDraining says whether draining has begun.
func (l *Lifecycle) IsDraining() bool {
	select {
	case <-l.draining:
		return true
	default:
		return false
	}
}

// State is the state in the terms of the contract.
func (l *Lifecycle) State() controlv1.ProcessState {
	switch {
	case l.IsDraining():
		return controlv1.ProcessState_PROCESS_STATE_DRAINING
	case l.serving.Load():
		return controlv1.ProcessState_PROCESS_STATE_SERVING
	default:
		return controlv1.ProcessState_PROCESS_STATE_STARTING
	}
}
