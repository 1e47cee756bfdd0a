package fdpass_test

import (
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"

	"bimetal.dev/gateway/internal/fdpass"
)

func TestOtherUsersAreNotListenedTo(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can be another user for a moment")
	}
	l := listen(t)
	echo(t, l, "other")
	client, accepted := pair(t)
	sent := make(chan error)
	go func() {
		// By the bare call this thread alone changes its user, and it ends with the goroutine that is locked to it.
		runtime.LockOSThread()
		const nobody = 65534
		if _, _, failed := syscall.RawSyscall(syscall.SYS_SETRESUID, nobody, nobody, nobody); failed != 0 {
			sent <- failed
			return
		}
		sent <- fdpass.Send(within(t, 5*time.Second), l.Address(), accepted)
	}()
	if err := <-sent; err == nil {
		t.Error("it took a connection from another user")
	} else {
		t.Log(err)
	}
	if err := fdpass.Send(within(t, 5*time.Second), l.Address(), accepted); err != nil {
		t.Fatal(err)
	}
	_ = accepted.Close()
	if got := ask(t, client, "x"); got != "other x\n" {
		t.Errorf("%q", got)
	}
}
