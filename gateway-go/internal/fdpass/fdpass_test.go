package fdpass_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"bimetal.dev/gateway/internal/fdpass"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func listen(t *testing.T) *fdpass.Listener {
	t.Helper()
	l, err := fdpass.Listen(fdpass.Any, slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// echo answers every line until its listener is closed.
func echo(t *testing.T, l net.Listener, name string) {
	t.Helper()
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer func() { _ = conn.Close() }()
				for lines := bufio.NewScanner(conn); lines.Scan(); {
					_, _ = fmt.Fprintln(conn, name, lines.Text())
				}
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		running.Wait()
	})
}

// pair is a connection as its client has it, and as it was accepted.
func pair(t *testing.T) (client, accepted *net.TCPConn) {
	t.Helper()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	dialled, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err = l.AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}
	client = dialled.(*net.TCPConn)
	t.Cleanup(func() { _, _ = client.Close(), accepted.Close() })
	_ = client.SetDeadline(time.Now().Add(10 * time.Second))
	return client, accepted
}

func ask(t *testing.T, client net.Conn, line string) string {
	t.Helper()
	_, _ = fmt.Fprintln(client, line)
	answer, err := bufio.NewReader(client).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

func within(t *testing.T, limit time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	return ctx
}

// files is how many files this process has open.
func files(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

func TestAConnectionChangesHands(t *testing.T) {
	l := listen(t)
	echo(t, l, "other")
	client, accepted := pair(t)
	_, _ = fmt.Fprintln(client, "sent before")
	if err := fdpass.Send(within(t, 5*time.Second), l.Address(), accepted); err != nil {
		t.Fatal(err)
	}
	_ = accepted.Close()
	lines := bufio.NewReader(client)
	if got, err := lines.ReadString('\n'); got != "other sent before\n" {
		t.Errorf("%q, %v", got, err)
	}
	_ = client.CloseWrite() // an end reaches the new reader, and its end the client
	if rest, err := io.ReadAll(lines); err != nil || len(rest) > 0 {
		t.Errorf("%q, %v", rest, err)
	}
}

func TestTheNewHandleIsAnOrdinaryConnection(t *testing.T) {
	l := listen(t)
	client, accepted := pair(t)
	taken := make(chan *net.TCPConn, 1)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			t.Error(err)
			close(taken)
			return
		}
		taken <- conn.(*net.TCPConn)
	}()
	if err := fdpass.Send(within(t, 5*time.Second), l.Address(), accepted); err != nil {
		t.Fatal(err)
	}
	_ = accepted.Close()
	conn := <-taken
	defer func() { _ = conn.Close() }()
	if conn.RemoteAddr().String() != client.LocalAddr().String() {
		t.Errorf("%v is not the client's %v", conn.RemoteAddr(), client.LocalAddr())
	}
	_ = conn.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a deadline does not end a read: %v", err)
	}
	_ = conn.SetLinger(0)
	_ = conn.Close()
	if _, err := client.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the client saw %v", err)
	}
}

func TestWhatNobodyTakesStaysWithItsSender(t *testing.T) {
	gone := listen(t)
	_ = gone.Close()
	silent := listen(t) // accepts nothing
	closing := listen(t)
	time.AfterFunc(50*time.Millisecond, func() { _ = closing.Close() })
	next := listen(t)
	echo(t, next, "next")
	client, accepted := pair(t)
	_, _ = fmt.Fprintln(client, "x")
	for what, l := range map[string]*fdpass.Listener{"gone": gone, "silent": silent, "closing": closing} {
		limit := time.Second
		if what == "silent" {
			limit = 50 * time.Millisecond
		}
		if err := fdpass.Send(within(t, limit), l.Address(), accepted); err == nil {
			t.Errorf("%s: taken", what)
		}
	}
	if err := fdpass.Send(within(t, 5*time.Second), next.Address(), accepted); err != nil {
		t.Fatal(err)
	}
	_ = accepted.Close()
	if got, _ := bufio.NewReader(client).ReadString('\n'); got != "next x\n" {
		t.Errorf("%q", got)
	}
	// Now the silent one gets what it was sent too late to take.
	taken := make(chan error, 1)
	go func() {
		_, err := silent.Accept()
		taken <- err
	}()
	if got := ask(t, client, "y"); got != "next y\n" {
		t.Errorf("%q", got)
	}
	_ = silent.Close()
	if err := <-taken; err == nil {
		t.Error("a connection has two readers")
	}
}

// The limit falls at every moment of the exchange: whatever it finds, one side has the connection, not both, not none.
func TestBothSidesAgreeWhoHasIt(t *testing.T) {
	l := listen(t)
	var taken atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			taken.Add(1)
			_ = conn.Close()
		}
	}()
	_, accepted := pair(t)
	passed := int64(0)
	const rounds = 3000
	for i := range rounds {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i%150)*2*time.Microsecond)
		if fdpass.Send(ctx, l.Address(), accepted) == nil {
			passed++
		}
		cancel()
	}
	_ = l.Close()
	<-done
	if passed != taken.Load() || passed == 0 || passed == rounds {
		t.Errorf("of %d, %d were passed and %d taken", rounds, passed, taken.Load())
	}
}

func TestWhatIsNoConnectionIsNotTaken(t *testing.T) {
	l := listen(t)
	echo(t, l, "other")
	datagrams, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = datagrams.Close() }()
	socket, err := datagrams.(*net.UDPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = socket.Close() }()
	file, err := os.Open("fdpass_test.go")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	_, accepted := pair(t)
	connection, err := accepted.File()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = connection.Close() }()
	before := files(t)
	for what, rights := range map[string][]byte{
		"nothing":                      nil,
		"a file":                       syscall.UnixRights(int(file.Fd())),
		"a socket of UDP":              syscall.UnixRights(int(socket.Fd())),
		"a file before the connection": syscall.UnixRights(int(file.Fd()), int(connection.Fd())),
		"credentials":                  syscall.UnixCredentials(&syscall.Ucred{Pid: int32(os.Getpid()), Uid: uint32(os.Getuid()), Gid: uint32(os.Getgid())}),
	} {
		channel, err := net.Dial("unix", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_ = channel.SetDeadline(time.Now().Add(5 * time.Second))
		if _, _, err := channel.(*net.UnixConn).WriteMsgUnix([]byte{0}, rights, nil); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if n, err := channel.Read(make([]byte, 1)); n > 0 || err == nil {
			t.Errorf("%s was taken", what)
		}
		_ = channel.Close()
	}
	if after := files(t); after != before {
		t.Errorf("%d files were open, %d are", before, after)
	}
	client, accepted := pair(t)
	if err := fdpass.Send(within(t, 5*time.Second), l.Address(), accepted); err != nil {
		t.Fatal(err)
	}
	_ = accepted.Close()
	if got := ask(t, client, "still there"); got != "other still there\n" {
		t.Errorf("%q", got)
	}
}

func TestWhoeverSendsNothingHoldsNobodyUpForLong(t *testing.T) {
	l := listen(t)
	echo(t, l, "other")
	for range 2 {
		idle, err := net.Dial("unix", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = idle.Close() }()
	}
	client, accepted := pair(t)
	if err := fdpass.Send(within(t, 10*time.Second), l.Address(), accepted); err != nil {
		t.Fatal(err)
	}
	_ = accepted.Close()
	if got := ask(t, client, "x"); got != "other x\n" {
		t.Errorf("%q", got)
	}
}

func TestAddresses(t *testing.T) {
	for address, want := range map[string][2]bool{ // listen, send
		"unix:@": {true, false}, "unix:@0001f": {true, true}, "unix:@a.b_C-9": {true, true}, "unix:@a/b": {}, "unix:@\x00": {},
		"unix:/run/x": {}, "@x": {}, "": {}, "127.0.0.1:80": {}, "unix:@" + string(make([]byte, 64)): {},
	} {
		if got := [2]bool{fdpass.Listenable(address), fdpass.Is(address)}; got != want {
			t.Errorf("%q: %v", address, got)
		}
	}
}
