package fdpass

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"syscall"
	"time"
)

// receiveLimit is how long a sender may take from connecting to having sent. It does both at once.
const receiveLimit = time.Second

// Listener accepts connections that others have accepted before. It is a net.Listener whose connections are
// *net.TCPConn.
type Listener struct {
	socket *net.UnixListener
	log    *slog.Logger
}

// Listen listens at an address (see Listenable).
func Listen(address string, log *slog.Logger) (*Listener, error) {
	socket, err := net.ListenUnix("unix", &net.UnixAddr{Name: socketName(address), Net: "unix"})
	if err != nil {
		return nil, err
	}
	return &Listener{socket, log}, nil
}

// Accept takes the next connection. What cannot be taken is left to its sender.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		channel, err := l.socket.AcceptUnix()
		if err != nil {
			return nil, err
		}
		conn, err := receive(channel)
		_ = channel.Close()
		if err == nil {
			return conn, nil
		}
		l.log.Debug("a passed connection was not taken", "error", err.Error())
	}
}

// Close stops listening. Connections that wait are left to their senders.
func (l *Listener) Close() error { return l.socket.Close() }

// Addr is the socket's own address; see Address.
func (l *Listener) Addr() net.Addr { return l.socket.Addr() }

// Address is where it listens, as Send takes it.
func (l *Listener) Address() string { return "unix:" + l.socket.Addr().String() }

func receive(channel *net.UnixConn) (*net.TCPConn, error) {
	// Whoever has a handle of the same open file can make its reads block. Abstract names have no permissions.
	if err := sameUser(channel); err != nil {
		return nil, err
	}
	if err := channel.SetDeadline(time.Now().Add(receiveLimit)); err != nil {
		return nil, err
	}
	var data [1]byte
	rights := make([]byte, syscall.CmsgLen(4)) // for one file; the kernel closes further ones
	_, n, _, _, err := channel.ReadMsgUnix(data[:], rights)
	if err != nil {
		return nil, err
	}
	conn, err := connectionIn(rights[:n])
	if err != nil {
		return nil, err
	}
	if _, err := channel.Write(data[:]); err != nil {
		_ = conn.Close() // this handle of it alone
		return nil, err
	}
	return conn, nil
}

func connectionIn(rights []byte) (*net.TCPConn, error) {
	messages, err := syscall.ParseSocketControlMessage(rights)
	if err != nil {
		return nil, err
	}
	if len(messages) != 1 {
		return nil, errors.New("nothing was passed")
	}
	fds, err := syscall.ParseUnixRights(&messages[0])
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fds[0]), "passed connection")
	defer func() { _ = file.Close() }()
	conn, err := net.FileConn(file)
	if err != nil {
		return nil, err
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		return tcp, nil
	}
	_ = conn.Close()
	return nil, fmt.Errorf("a %s socket was passed, not one of TCP", conn.LocalAddr().Network())
}
