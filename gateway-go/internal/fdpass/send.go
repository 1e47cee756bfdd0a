package fdpass

import (
	"context"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"
)

// Send passes the connection to the listener at the address. Without an error the listener has taken it, and the caller
// is to close its own handle without reading or writing; with one, nothing has happened to the connection. ctx limits
// how long an answer is waited for.
func Send(ctx context.Context, address string, conn *net.TCPConn) error {
	var dialer net.Dialer
	dialled, err := dialer.DialContext(ctx, "unix", socketName(address))
	if err != nil {
		return err
	}
	channel := dialled.(*net.UnixConn) // what "unix" gives
	defer func() { _ = channel.Close() }()
	if err := sendFile(channel, conn); err != nil {
		return fmt.Errorf("passing a connection: %w", err)
	}
	given := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		_ = channel.SetReadDeadline(time.Unix(1, 0))
		close(given)
	})
	var answer [1]byte
	_, err = io.ReadFull(channel, answer[:])
	if !stop() {
		<-given // up; its deadline must not come after the one below
	}
	if err == nil {
		return nil
	}
	// An answer may be on its way. Once this end reads no more, the listener cannot send one (EPIPE), and what it has
	// sent before is still there to be read: so both sides know the same.
	if channel.CloseRead() == nil && channel.SetReadDeadline(time.Time{}) == nil {
		if _, late := io.ReadFull(channel, answer[:]); late == nil {
			return nil
		}
	}
	return fmt.Errorf("a connection was not taken: %w", err)
}

func sendFile(channel *net.UnixConn, conn *net.TCPConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var sent error
	if err := raw.Control(func(fd uintptr) {
		// Rights travel with a byte: without one nothing is sent on a stream.
		_, _, sent = channel.WriteMsgUnix([]byte{0}, syscall.UnixRights(int(fd)), nil)
	}); err != nil {
		return err
	}
	return sent
}
