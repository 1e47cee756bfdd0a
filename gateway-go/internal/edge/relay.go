package edge

import (
	"io"
	"net"
	"sync"
)

// relay carries bytes both ways until both ends have said that they are done, or one has broken. An end of one
// direction is passed on as that, and a reset as a reset: an answer cut short must not look like a whole one. Between
// two TCP connections io.Copy lets the kernel move the bytes (splice on Linux); Go sets TCP_NODELAY on both.
func relay(client, target *net.TCPConn) {
	var forth sync.WaitGroup
	forth.Go(func() { pour(target, client) })
	pour(client, target)
	forth.Wait()
	_, _ = client.Close(), target.Close()
}

func pour(to, from *net.TCPConn) {
	if _, err := io.Copy(to, from); err == nil && to.CloseWrite() == nil {
		return
	}
	reset(to)
	reset(from)
}

// reset ends a connection so that its other end knows that it was not meant to end.
func reset(conn *net.TCPConn) {
	_ = conn.SetLinger(0) // a connection that is closed already needs none
	_ = conn.Close()
}
