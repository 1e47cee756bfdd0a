package main

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// kind is what an operation does.
type kind string

const (
	get       kind = "get"
	put       kind = "put"
	remove    kind = "delete"
	swap      kind = "compare-and-swap" // a put if the version is this
	create    kind = "create"           // a put if there is none
	increment kind = "increment"        // by 1
	vanish    kind = "vanish"           // the node lost what it held
)

// input is what was asked.
type input struct {
	kind    kind
	key     string
	value   int64  // of put, swap and create
	version uint64 // of swap: what must be there
}

// output is what was answered.
type output struct {
	// unknown says that there was no answer: it may have happened at any later time, or never.
	unknown bool
	// found says that there was an entry: for get that it was read, for the conditional writes, where refused is set, that
	// it is why they were.
	found   bool
	refused bool
	created bool
	value   int64
	version uint64
}

// operation is one line of the history; times are nanoseconds since the start.
type operation struct {
	client           int
	called, returned int64
	in               input
	out              output
}

// history is safe for concurrent use.
type history struct {
	start time.Time

	mu         sync.Mutex
	operations []operation
	owners     map[string]string // by key
	lost       map[string]int64  // when, by node
	notBegun   map[string]int    // by reason
	unexpected []string
	done       int
}

func newHistory() *history {
	return &history{start: time.Now(), owners: map[string]string{}, lost: map[string]int64{}, notBegun: map[string]int{}}
}

// now is read from the monotonic clock.
func (h *history) now() int64 { return int64(time.Since(h.start)) }

func (h *history) add(o operation) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !o.out.unknown {
		h.done++
	} else if o.in.kind == get {
		return // says nothing
	}
	h.operations = append(h.operations, o)
}

// own notes which node answered for a key.
func (h *history) own(key, node string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.owners[key] = node
}

func (h *history) lose(node string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lost[node] = h.now()
}

func (h *history) skip(reason string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.notBegun[reason]++
}

func (h *history) surprise(what string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.unexpected = append(h.unexpected, what)
}

// progress is how far a run is.
type progress struct {
	// Answered is how many operations have been answered, Lost which nodes were said to be lost.
	Answered int      `json:"answered"`
	Lost     []string `json:"lost"`
}

func (h *history) progress() progress {
	h.mu.Lock()
	defer h.mu.Unlock()
	return progress{Answered: h.done, Lost: slices.Sorted(maps.Keys(h.lost))}
}
