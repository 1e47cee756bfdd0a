package process_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"bimetal.dev/contract"
	"bimetal.dev/gateway/internal/edge"
	"bimetal.dev/gateway/internal/fakenode"
	"bimetal.dev/gateway/internal/gateway"
	"bimetal.dev/gateway/internal/process"
)

// The test binary is the program when it is told so: what is tested is a real process.
func TestMain(m *testing.M) {
	switch os.Getenv("RUN_PROGRAM") {
	case "gateway":
		os.Exit(process.Run(gateway.Program(), os.Args[1:]))
	case "edge":
		os.Exit(process.Run(edge.Program(), os.Args[1:]))
	}
	os.Exit(m.Run())
}

type program struct {
	t      *testing.T
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	lines  chan string
	stderr bytes.Buffer
}

func run(t *testing.T, arguments ...string) *program {
	t.Helper()
	return runProgram(t, "gateway", arguments...)
}

func runProgram(t *testing.T, name string, arguments ...string) *program {
	t.Helper()
	p := &program{t: t, lines: make(chan string, 1000)}
	p.cmd = exec.CommandContext(t.Context(), os.Args[0], arguments...)
	// The race detector has every process sleep for a second before it exits.
	p.cmd.Env = append(os.Environ(), "RUN_PROGRAM="+name, "GORACE=atexit_sleep_ms=50 "+os.Getenv("GORACE"))
	p.cmd.Stderr = &p.stderr
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.lines)
		for scanner := bufio.NewScanner(stdout); scanner.Scan(); {
			p.lines <- scanner.Text()
		}
	}()
	return p
}

// startGateway is a program with one fake node, and the addresses of its first log line.
func startGateway(t *testing.T, arguments ...string) (p *program, public, admin string) {
	t.Helper()
	fake := fakenode.Start(t, "cache-0")
	p = run(t, append([]string{
		"--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--log-format", "json",
		"--topology", `{"epoch":"1","nodes":[{"name":"cache-0","tag":1,"address":"` + fake.Address() + `"}]}`,
	}, arguments...)...)
	addresses := p.addresses("gateway")
	return p, addresses["http"], addresses["admin"]
}

// addresses are those of the first log line, which is checked.
func (p *program) addresses(service string) map[string]string {
	p.t.Helper()
	var first struct {
		Time, Level, Msg, Service, Instance string
		Addresses                           map[string]string
		ContractRevision                    uint32 `json:"contract_revision"`
		ContractDigest                      string `json:"contract_digest"`
		PID                                 int
	}
	select {
	case line := <-p.lines:
		if err := json.Unmarshal([]byte(line), &first); err != nil {
			p.t.Fatalf("the first line is %q", line)
		}
	case <-time.After(10 * time.Second):
		p.t.Fatal("no line within 10 s")
	}
	stamp, err := time.Parse("2006-01-02T15:04:05.000Z", first.Time)
	if err != nil || time.Since(stamp) > time.Minute || first.Level != "info" || first.Msg != "listening" ||
		first.Service != service || first.Instance != service+"-0" || first.ContractDigest != contract.Digest ||
		first.ContractRevision != contract.Revision || first.PID != p.cmd.Process.Pid {
		p.t.Errorf("the first line: %+v, %v", first, err)
	}
	return first.Addresses
}

// exit waits for the end and answers the code.
func (p *program) exit(limit time.Duration) int {
	p.t.Helper()
	done := make(chan struct{})
	go func() {
		for range p.lines { // read to its end before Wait closes it
		}
		_ = p.cmd.Wait() // the code says it
		close(done)
	}()
	select {
	case <-done:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(limit):
		p.t.Fatalf("still running after %v", limit)
		return -1
	}
}

func TestItDrainsAtATerminateSignalAndExitsWithZero(t *testing.T) {
	p, public, _ := startGateway(t, "--drain-delay", "300ms")
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // one Ctrl-C may arrive several times
	response, err := http.Get("http://" + public + "/livez")
	if err != nil || response.StatusCode != http.StatusOK {
		t.Errorf("during the delay: %v, %v", response, err)
	} else {
		_ = response.Body.Close()
	}
	if code := p.exit(10 * time.Second); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

func TestALaterSecondSignalEndsItAtOnce(t *testing.T) {
	p, _, _ := startGateway(t, "--drain-delay", "1m")
	// Those of the first half second count as one; on a busy machine nobody knows when that begins.
	again := time.NewTicker(200 * time.Millisecond)
	defer again.Stop()
	go func() {
		for p.cmd.Process.Signal(syscall.SIGINT) == nil {
			select {
			case <-again.C:
			case <-t.Context().Done():
				return
			}
		}
	}()
	if code := p.exit(10 * time.Second); code != 130 {
		t.Errorf("exit code %d", code)
	}
}

func TestItEndsWhenItsStandardInputDoes(t *testing.T) {
	p, _, _ := startGateway(t, "--watch-stdin", "--drain-delay", "1m")
	_ = p.stdin.Close()
	if code := p.exit(5 * time.Second); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

func TestWrongSettingsAreExitCodeTwoAndNamed(t *testing.T) {
	for _, arguments := range [][]string{{"--nonsense"}, {"--topology", "{"}, {"serve"}, {}} {
		p := run(t, arguments...)
		code := p.exit(10 * time.Second)
		if code != 2 || !strings.Contains(p.stderr.String(), "bimetal-gateway:") {
			t.Errorf("%v: exit code %d, stderr %q", arguments, code, p.stderr.String())
		}
	}
	if code := run(t, "--help").exit(10 * time.Second); code != 0 {
		t.Errorf("--help: exit code %d", code)
	}
}

func TestTheEdgeIsAProgramLikeTheGateway(t *testing.T) {
	_, public, _ := startGateway(t)
	p := runProgram(t, "edge", "--log-format", "json", "--admin-listen", "127.0.0.1:0", "--drain-timeout", "100ms",
		"--routes", `[{"name":"gateway.http","listen":"127.0.0.1:0","targets":["`+public+`"]}]`)
	addresses := p.addresses("edge")
	response, err := http.Get("http://" + addresses["gateway.http"] + "/livez")
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("through the edge: %v, %v", response, err)
	}
	_ = response.Body.Close()
	if code := runProgram(t, "edge", "healthcheck", "--address", addresses["admin"]).exit(5 * time.Second); code != 0 {
		t.Errorf("healthcheck: exit code %d", code)
	}
	taken := runProgram(t, "edge", "--admin-listen", "127.0.0.1:0",
		"--routes", `[{"name":"x","listen":"`+addresses["gateway.http"]+`"}]`)
	if code := taken.exit(10 * time.Second); code != 3 || !strings.Contains(taken.stderr.String(), addresses["gateway.http"]) {
		t.Errorf("an address in use: exit code %d, stderr %q", code, taken.stderr.String())
	}
	if code := runProgram(t, "edge", "--routes", "{").exit(10 * time.Second); code != 2 {
		t.Errorf("wrong settings: exit code %d", code)
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	if code := p.exit(5 * time.Second); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

func TestTheEdgePassesConnectionsToAGatewayThatTakesThem(t *testing.T) {
	gateway := run(t, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--log-format", "json", "--passed-listen", "unix:@",
		"--topology", `{"epoch":"1","nodes":[{"name":"a","tag":1,"address":"127.0.0.1:1"}]}`)
	target := gateway.addresses("gateway")["http.passed"]
	p := runProgram(t, "edge", "--log-format", "json", "--admin-listen", "127.0.0.1:0",
		"--routes", `[{"name":"gateway.http","listen":"127.0.0.1:0","targets":["`+target+`"]}]`)
	url := "http://" + p.addresses("edge")["gateway.http"] + "/livez"
	client := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 1}}
	defer client.CloseIdleConnections()
	ask := func(when string) {
		t.Helper()
		response, err := client.Get(url)
		if err != nil || response.StatusCode != http.StatusOK {
			t.Fatalf("%s: %v, %v", when, response, err)
		}
		_, _ = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
	}
	ask("through the edge")
	_ = p.cmd.Process.Kill()
	p.exit(5 * time.Second)
	ask("on the connection that stands, without the edge")
	taken := run(t, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--passed-listen", target,
		"--topology", `{"epoch":"1","nodes":[{"name":"a","tag":1,"address":"127.0.0.1:1"}]}`)
	if code := taken.exit(10 * time.Second); code != 3 || !strings.Contains(taken.stderr.String(), target) {
		t.Errorf("an address in use: exit code %d, stderr %q", code, taken.stderr.String())
	}
}

func TestAnAddressInUseIsExitCodeThree(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	p := run(t, "--listen", listener.Addr().String(), "--admin-listen", "127.0.0.1:0",
		"--topology", `{"epoch":"1","nodes":[{"name":"a","tag":1,"address":"127.0.0.1:1"}]}`)
	if code := p.exit(10 * time.Second); code != 3 || !strings.Contains(p.stderr.String(), listener.Addr().String()) {
		t.Errorf("exit code %d, stderr %q", code, p.stderr.String())
	}
}

func TestTheHealthcheckTellsReadyFromNot(t *testing.T) {
	p, _, admin := startGateway(t, "--drain-delay", "1m")
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if run(t, "healthcheck", "--address", admin).exit(5*time.Second) == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("never ready")
		}
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if run(t, "healthcheck", "--address", admin).exit(5*time.Second) == 1 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("still ready while draining")
		}
	}
	if code := run(t, "healthcheck", "--address", "x").exit(5 * time.Second); code != 2 {
		t.Errorf("a wrong address: exit code %d", code)
	}
}
