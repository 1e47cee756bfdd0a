// Package process is the gateway as a program: arguments, signals, exit codes.
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

	"bimetal.dev/gateway/internal/config"
	"bimetal.dev/gateway/internal/gateway"
	"bimetal.dev/gateway/internal/logging"
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

// Run serves until the process is told to end, and answers its exit code.
func Run(arguments []string) int {
	if len(arguments) > 0 && arguments[0] == "healthcheck" {
		return healthcheck(arguments[1:])
	}
	c, err := config.Load(arguments, os.Environ())
	if errors.Is(err, config.ErrHelp) {
		return exitDrained
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bimetal-gateway:", err)
		logging.New(os.Stdout, "auto", "info", "gateway-0").Error("wrong settings", "error", err.Error())
		return exitUsage
	}
	tuneMemory()
	log := logging.New(os.Stdout, c.LogFormat, c.LogLevel, c.Instance)
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	defer signal.Stop(signals)
	g, err := gateway.Start(c, log)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bimetal-gateway:", err)
		log.Error("cannot start", "error", err.Error())
		if errors.Is(err, gateway.ErrListen) {
			return exitCannotListen
		}
		return exitFailed
	}
	return drain(g, c, log, signals)
}

// drain waits for a reason to end and ends.
func drain(g *gateway.Gateway, c *config.Config, log *slog.Logger, signals <-chan os.Signal) int {
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
		g.State().Drain(c.DrainDelay)
	case <-stdin:
		log.Info("draining: standard input has ended")
		timeout = stdinLimit
		g.State().Drain(0)
	case <-g.State().Draining():
		log.Info("draining: told by ControlService", "delay", g.State().DrainDelay().String())
	case err := <-g.Failed():
		log.Error("a listener broke", "error", err.Error())
		return exitFailed
	}
	ended := make(chan error, 1)
	go func() { ended <- g.Finish(abort, timeout) }()
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
