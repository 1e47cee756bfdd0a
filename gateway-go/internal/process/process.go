// Package process is what the programs share: arguments, signals, exit codes. What they serve is theirs.
package process

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"bimetal.dev/gateway/internal/lifecycle"
	"bimetal.dev/gateway/internal/logging"
	"bimetal.dev/gateway/internal/settings"
)

// Exit codes; those that all services share stand in docs/operations.md.
const (
	exitDrained      = 0
	exitFailed       = 1
	exitUsage        = 2
	exitCannotListen = 3
	exitSecondSignal = 130
)

const (
	// stdinLimit is how long draining may take when standard input has ended: whoever held it is gone.
	stdinLimit = 800 * time.Millisecond
	// sameSignal is the time in which several signals count as one: a terminal and each parent may send their own.
	sameSignal = 500 * time.Millisecond
)

// Version is that of the build.
const Version = "0.1.0"

// ErrListen says that an address cannot be bound.
var ErrListen = errors.New("cannot listen")

// Program is one of the programs.
type Program struct {
	// Name is that of the binary, Service what it is called in logs, AdminListen the default of --admin-listen.
	Name, Service, AdminListen string
	// Load reads the settings.
	Load func(arguments, environ []string) (settings.Process, Start, error)
}

// Start begins to serve. What it logs first is where it listens. Its error wraps ErrListen if that is the reason.
type Start func(log *slog.Logger) (Service, error)

// Service is a program that serves.
type Service interface {
	State() *lifecycle.Lifecycle
	// Failed gets an error when a listener breaks.
	Failed() <-chan error
	// Finish drains, within the timeout after the delay; abort cuts both short.
	Finish(abort context.Context, timeout time.Duration) error
}

// Run serves until the process is told to end, and answers its exit code.
func Run(program Program, arguments []string) int {
	if len(arguments) > 0 && arguments[0] == "healthcheck" {
		return healthcheck(program, arguments[1:])
	}
	c, start, err := program.Load(arguments, os.Environ())
	if errors.Is(err, settings.ErrHelp) {
		return exitDrained
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, program.Name+":", err)
		logging.New(os.Stdout, "auto", "info", program.Service, program.Service+"-0").Error("wrong settings", "error", err.Error())
		return exitUsage
	}
	tuneMemory()
	log := logging.New(os.Stdout, c.LogFormat, c.LogLevel, program.Service, c.Instance)
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	defer signal.Stop(signals)
	service, err := start(log)
	if err != nil {
		fmt.Fprintln(os.Stderr, program.Name+":", err)
		log.Error("cannot start", "error", err.Error())
		if errors.Is(err, ErrListen) {
			return exitCannotListen
		}
		return exitFailed
	}
	return drain(service, c, log, signals)
}

// drain waits for a reason to end and ends.
func drain(service Service, c settings.Process, log *slog.Logger, signals <-chan os.Signal) int {
	stdin := make(chan struct{})
	if c.WatchStdin {
		go func() {
			_, _ = io.Copy(io.Discard, bufio.NewReader(os.Stdin))
			close(stdin)
		}()
	}
	timeout, first := c.DrainTimeout, time.Time{}
	abort, cancel := context.WithCancel(context.Background())
	defer cancel()
	select {
	case received := <-signals:
		first = time.Now()
		log.Info("draining", "signal", received.String(), "delay", c.DrainDelay.String())
		service.State().Drain(c.DrainDelay)
	case <-stdin:
		log.Info("draining: standard input has ended")
		timeout = stdinLimit
		service.State().Drain(0)
	case <-service.State().Draining():
		log.Info("draining: told by ControlService", "delay", service.State().DrainDelay().String())
	case err := <-service.Failed():
		log.Error("a listener broke", "error", err.Error())
		return exitFailed
	}
	ended := make(chan error, 1)
	go func() { ended <- service.Finish(abort, timeout) }()
	for {
		select {
		case err := <-ended:
			if err != nil {
				log.Error("drained incompletely", "error", err.Error())
				return exitFailed
			}
			log.Info("drained")
			return exitDrained
		case <-signals:
			if first.IsZero() || time.Since(first) < sameSignal {
				if first.IsZero() {
					first = time.Now()
				}
				continue
			}
			log.Warn("a second signal: ending at once")
			return exitSecondSignal
		}
	}
}
