package fdpass

import (
	"fmt"
	"net"
	"os"
	"syscall"
)

// sameUser says whether the other end is a process of this one's user.
func sameUser(channel *net.UnixConn) error {
	raw, err := channel.SyscallConn()
	if err != nil {
		return err
	}
	var peer *syscall.Ucred
	var failed error
	if err := raw.Control(func(fd uintptr) {
		peer, failed = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	}); err != nil {
		return err
	}
	if failed != nil {
		return failed
	}
	if own := os.Geteuid(); int(peer.Uid) != own {
		return fmt.Errorf("process %d is of user %d, not of %d", peer.Pid, peer.Uid, own)
	}
	return nil
}
