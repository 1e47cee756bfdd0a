// Command consistency records what concurrent clients of the gateways see, and judges whether it is linearizable; see
// README.md.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// settings are the first line of standard input.
type settings struct {
	URLs      []string `json:"urls"`
	Namespace string   `json:"namespace"`
	// Prefix of the keys, for a run that shares its namespace.
	Prefix  string  `json:"prefix"`
	Keys    int     `json:"keys"`
	Clients int     `json:"clients"`
	Seconds float64 `json:"seconds"`
	Seed    uint64  `json:"seed"`
	// Idempotent makes clients repeat what has no outcome, under an Idempotency-Key.
	Idempotent bool `json:"idempotent"`
	// Corrupt makes one recorded read stale.
	Corrupt bool `json:"corrupt"`
	// Picture is where the history of a key is drawn that is not linearizable.
	Picture string `json:"picture"`
}

// order is any later line.
type order struct {
	Lost string `json:"lost"`
	Stop bool   `json:"stop"`
}

// report is how often progress is written.
const report = 50 * time.Millisecond

func main() {
	if err := run(os.Stdin, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(from io.Reader, to, progress io.Writer) error {
	lines := bufio.NewScanner(from)
	s := settings{Namespace: "default", Prefix: "consistency-", Keys: 4, Clients: 6, Seconds: 3}
	if !lines.Scan() {
		return errors.New("standard input has no settings")
	}
	if err := json.Unmarshal(lines.Bytes(), &s); err != nil {
		return fmt.Errorf("read the settings: %w", err)
	}
	if len(s.URLs) == 0 || s.Keys < 1 || s.Clients < 1 {
		return errors.New("the settings need urls, and at least one key and one client")
	}
	h := newHistory()
	ctx, stop := context.WithTimeout(context.Background(), time.Duration(s.Seconds*float64(time.Second)))
	defer stop()
	go obey(lines, h, stop)
	go tell(ctx, h, progress)
	var clients sync.WaitGroup
	for i := range s.Clients {
		clients.Go(func() { newClient(i, s, h).run(ctx) })
	}
	clients.Wait()
	if s.Corrupt && !corrupt(h) {
		return errors.New("the history has no read that could be made stale")
	}
	v, err := judge(h, s.Picture)
	if err != nil {
		return err
	}
	return json.NewEncoder(to).Encode(v)
}

// obey reads orders until there are none.
func obey(lines *bufio.Scanner, h *history, stop func()) {
	for lines.Scan() {
		var o order
		if json.Unmarshal(lines.Bytes(), &o) != nil {
			continue
		}
		if o.Lost != "" {
			h.lose(o.Lost)
		}
		if o.Stop {
			stop()
		}
	}
}

// tell writes how far the run is, for whoever waits for it.
func tell(ctx context.Context, h *history, to io.Writer) {
	lines := json.NewEncoder(to)
	ticker := time.NewTicker(report)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			_ = lines.Encode(h.progress()) // nobody need listen
		case <-ctx.Done():
			return
		}
	}
}
