package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"bimetal.dev/contract"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
)

// dialTimeout bounds the TCP handshake alone: a lost SYN is sent again by a new attempt, not by the kernel after 1 s.
const dialTimeout = 300 * time.Millisecond

var errUsed = errors.New("a connection is dialled once; the session begins a new one")

// connection is one TCP connection with gRPC on it, and what the silence rule needs to know of it.
type connection struct {
	grpc *grpc.ClientConn
	tcp  atomic.Pointer[net.Conn] // nil until dialled
	// lastRead is when bytes came last, in nanoseconds since epoch.
	lastRead atomic.Int64
	// outstanding is how many things an answer is owed for; since is when that last became more than none.
	outstanding atomic.Int64
	since       atomic.Int64
}

// epoch is the zero of the monotonic times here.
var epoch = time.Now()

func now() int64 { return int64(time.Since(epoch)) }

// connect dials once. failed is called when the connection breaks, from any goroutine, at least once.
func connect(address string, failed func(error)) (*connection, error) {
	c := &connection{}
	var once sync.Once
	dial := func(ctx context.Context, address string) (net.Conn, error) {
		used := true
		once.Do(func() { used = false })
		if used {
			return nil, errUsed
		}
		dialer := net.Dialer{Timeout: dialTimeout, KeepAliveConfig: net.KeepAliveConfig{Enable: false}}
		conn, err := dialer.DialContext(ctx, "tcp", address)
		if err != nil {
			failed(err)
			return nil, err
		}
		c.lastRead.Store(now())
		c.tcp.Store(&conn)
		return &watchedConn{Conn: conn, owner: c, failed: failed}, nil
	}
	client, err := grpc.NewClient("passthrough:///"+address,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(dial),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff: backoff.Config{BaseDelay: time.Hour, MaxDelay: time.Hour}, MinConnectTimeout: time.Second,
		}),
		grpc.WithDisableRetry(),
		grpc.WithDisableServiceConfig(),
		grpc.WithIdleTimeout(0),
		// Fixed windows: the estimator behind the dynamic ones sends a ping for every burst of data.
		grpc.WithStaticStreamWindowSize(contract.MaxMessageBytes),
		grpc.WithStaticConnWindowSize(2*contract.MaxMessageBytes),
		grpc.WithDefaultCallOptions(
			grpc.MaxCallRecvMsgSize(contract.MaxMessageBytes), grpc.MaxCallSendMsgSize(contract.MaxMessageBytes)),
	)
	if err != nil {
		return nil, fmt.Errorf("make a client for %s: %w", address, err)
	}
	c.grpc = client
	return c, nil
}

// begin says that an answer is owed from now on, end that it came.
func (c *connection) begin() {
	if c.outstanding.Load() <= 0 {
		c.since.Store(now()) // before the count: whoever sees the count sees a time that is not too old
	}
	c.outstanding.Add(1)
}

func (c *connection) end() { c.outstanding.Add(-1) }

// silent is how long nothing has come while something was owed.
func (c *connection) silent() time.Duration {
	if c.outstanding.Load() <= 0 {
		return 0
	}
	return time.Duration(now() - max(c.lastRead.Load(), c.since.Load()))
}

// excuse forgives the silence so far.
func (c *connection) excuse() { c.since.Store(now()) }

// behind says whether something has come that this process has not read yet.
func (c *connection) behind() bool {
	conn := c.tcp.Load()
	return conn != nil && unread(*conn)
}

// watchedConn notes when bytes arrive and tells when the connection breaks.
type watchedConn struct {
	net.Conn
	owner  *connection
	failed func(error)
}

func (w *watchedConn) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	if n > 0 {
		w.owner.lastRead.Store(now())
	}
	if err != nil {
		w.failed(fmt.Errorf("the connection broke: %w", err))
	}
	return n, err
}

func (w *watchedConn) Write(p []byte) (int, error) {
	n, err := w.Conn.Write(p)
	if err != nil {
		w.failed(fmt.Errorf("the connection broke: %w", err))
	}
	return n, err
}
