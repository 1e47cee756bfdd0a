//go:build !linux

package fdpass

import (
	"errors"
	"net"
)

// sameUser refuses everybody: abstract names, and with them this package, are Linux's.
func sameUser(*net.UnixConn) error { return errors.ErrUnsupported }
