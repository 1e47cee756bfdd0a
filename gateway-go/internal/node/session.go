package node

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	cachev1 "bimetal.dev/contract/gen/bimetal/cache/v1"
	controlv1 "bimetal.dev/contract/gen/bimetal/control/v1"
	"google.golang.org/grpc/health/grpc_health_v1"
)

var errClosed = errors.New("the gateway ended the session")

// session is one stretch of life of a node as the gateway sees it. It ends as a whole, with a cause, at the first
// thing that goes wrong on any of its connections.
type session struct {
	// ctx ends with the session; context.Cause says why.
	ctx  context.Context
	fail context.CancelCauseFunc

	control, small, bulk *connection
	smallLane, bulkLane  *lane
	identity             *controlv1.DescribeResponse
	running              sync.WaitGroup
}

// begin connects, asks who is there, exchanges namespaces and opens the lanes. On error nothing is left behind.
func begin(parent context.Context, options Options) (_ *session, err error) {
	ctx, fail := context.WithCancelCause(parent)
	s := &session{ctx: ctx, fail: fail}
	defer func() {
		if err != nil {
			if cause := context.Cause(ctx); cause != nil && parent.Err() == nil {
				err = cause // says more than that a call was cancelled
			}
			s.end(err)
		}
	}()
	for _, target := range []**connection{&s.control, &s.small, &s.bulk} {
		if *target, err = connect(options.Address, fail); err != nil {
			return nil, err
		}
	}
	attempt, cancel := context.WithTimeout(ctx, options.Attempt)
	defer cancel()
	if s.identity, err = controlv1.NewControlServiceClient(s.control.grpc).Describe(attempt, &controlv1.DescribeRequest{}); err != nil {
		return nil, fmt.Errorf("ask who is there: %w", err)
	}
	if s.identity.GetInstance() != options.Name {
		return nil, fmt.Errorf("the process at %s calls itself %q", options.Address, s.identity.GetInstance())
	}
	if options.Learn != nil && s.identity.GetTopology() != nil {
		options.Learn(s.identity.GetTopology())
	}
	if options.Exchange != nil {
		if err = options.Exchange(attempt, options.Name, cachev1.NewNamespaceServiceClient(s.control.grpc)); err != nil {
			return nil, fmt.Errorf("exchange namespaces: %w", err)
		}
	}
	if s.smallLane, err = s.open(attempt, options, "small", s.small); err != nil {
		return nil, err
	}
	if s.bulkLane, err = s.open(attempt, options, "bulk", s.bulk); err != nil {
		return nil, err
	}
	s.running.Go(func() { s.watchSilence(options.Silence) })
	s.running.Go(func() { s.probe(s.control, options.Probe, s.askAgain(options)) })
	for _, c := range []*connection{s.small, s.bulk} {
		health := grpc_health_v1.NewHealthClient(c.grpc)
		s.running.Go(func() {
			s.probe(c, options.Probe, func() { _, _ = health.Check(s.ctx, &grpc_health_v1.HealthCheckRequest{}) })
		})
	}
	return s, nil
}

// open makes the Pipeline stream of a lane. An empty batch, which has no answer, would prove nothing, so the
// connection is first asked for its health: it stands when that is answered.
func (s *session) open(attempt context.Context, options Options, name string, c *connection) (*lane, error) {
	health := grpc_health_v1.NewHealthClient(c.grpc)
	if _, err := health.Check(attempt, &grpc_health_v1.HealthCheckRequest{}); err != nil {
		return nil, fmt.Errorf("connect for %s operations: %w", name, err)
	}
	stream, err := cachev1.NewCacheServiceClient(c.grpc).Pipeline(s.ctx)
	if err != nil {
		return nil, fmt.Errorf("open the stream for %s operations: %w", name, err)
	}
	l := newLane(options, name, c)
	s.running.Go(func() { s.fail(l.write(s.ctx, stream)) })
	s.running.Go(func() { s.fail(l.read(s.ctx, stream)) })
	return l, nil
}

// end ends the session and waits for its goroutines. It may be called more than once.
func (s *session) end(cause error) {
	s.fail(cause)
	for _, c := range []*connection{s.control, s.small, s.bulk} {
		if c != nil {
			_ = c.grpc.Close() // the only error is that it is closed
		}
	}
	s.running.Wait()
}

// watchSilence ends the session when a connection owes something and says nothing for the limit.
func (s *session) watchSilence(limit time.Duration) {
	ticker := time.NewTicker(limit / 20)
	defer ticker.Stop()
	last := now()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-ticker.C:
		}
		// A tick that is late by the whole limit means that this process was halted: that says nothing about the node.
		halted := time.Duration(now()-last) > limit
		last = now()
		for _, c := range []*connection{s.control, s.small, s.bulk} {
			if halted || c.silent() > limit && c.behind() {
				c.excuse()
			}
			if silent := c.silent(); silent > limit {
				s.fail(fmt.Errorf("nothing came for %d ms while an answer was owed", silent.Milliseconds()))
				return
			}
		}
	}
}

// probe asks for a sign of life at intervals, so that a node that stops while nobody talks to it is found, and a node
// that is busy with one long operation is not taken for a stopped one. What it answers does not matter, that it does.
func (s *session) probe(c *connection, interval time.Duration, ask func()) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-ticker.C:
		}
		c.begin()
		ask()
		c.end()
	}
}

// askAgain asks who is there, so that a gateway that nobody talks to, and that was not told, learns of a move before the
// old process has gone.
func (s *session) askAgain(options Options) func() {
	client := controlv1.NewControlServiceClient(s.control.grpc)
	epoch := s.identity.GetTopology().GetEpoch()
	return func() {
		identity, err := client.Describe(s.ctx, &controlv1.DescribeRequest{})
		if topology := identity.GetTopology(); err == nil && options.Learn != nil && topology.GetEpoch() > epoch {
			epoch = topology.GetEpoch()
			options.Learn(topology)
		}
	}
}
