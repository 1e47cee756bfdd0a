package node

import (
	"net"

	"golang.org/x/sys/unix"
)

// unread says whether the kernel holds bytes that this process has not read yet: then the peer was not silent, this
// process is behind (starved of CPU, for one).
func unread(conn net.Conn) bool {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return false
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return false
	}
	count := 0
	if err := raw.Control(func(fd uintptr) { count, _ = unix.IoctlGetInt(int(fd), unix.TIOCINQ) }); err != nil {
		return false
	}
	return count > 0
}
