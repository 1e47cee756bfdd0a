package main

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"
)

// patience is how long the judgement of one key may take.
const patience = 30 * time.Second

// verdict is what the program answers.
type verdict struct {
	// Verdict is "linearizable", "not linearizable" or "undecided".
	Verdict string `json:"verdict"`
	// Key is the first one that is not linearizable, Picture where it is drawn.
	Key     string `json:"key,omitempty"`
	Picture string `json:"picture,omitempty"`
	// Operations were answered, by kind; Unknown of them were not. NotBegun were refused, by reason, and left out.
	Operations map[kind]int   `json:"operations"`
	Unknown    int            `json:"unknown"`
	NotBegun   map[string]int `json:"notBegun"`
	// Unexpected are answers that no operation should get.
	Unexpected []string       `json:"unexpected"`
	Owners     map[string]int `json:"owners"`
	// Milliseconds is how long judging took.
	Milliseconds int64 `json:"milliseconds"`
}

// judge judges the history key by key.
func judge(h *history, picture string) (verdict, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	begin := time.Now()
	v := verdict{
		Verdict: "linearizable", Operations: map[kind]int{}, NotBegun: h.notBegun, Unexpected: h.unexpected, Owners: map[string]int{},
	}
	if v.Unexpected == nil {
		v.Unexpected = []string{}
	}
	for _, o := range h.operations {
		if o.out.unknown {
			v.Unknown++
		} else {
			v.Operations[o.in.kind]++
		}
	}
	for _, node := range h.owners {
		v.Owners[node]++
	}
	for _, key := range h.keys() {
		result, info := porcupine.CheckOperationsVerbose(model, h.of(key), patience)
		if result == porcupine.Ok {
			continue
		}
		v.Verdict, v.Key = "not linearizable", key
		if result == porcupine.Unknown {
			v.Verdict = "undecided"
		}
		if picture != "" {
			if err := porcupine.VisualizePath(model, info, picture); err != nil {
				return v, fmt.Errorf("draw the history of %s: %w", key, err)
			}
			v.Picture = picture
		}
		break
	}
	v.Milliseconds = time.Since(begin).Milliseconds()
	return v, nil
}

func (h *history) keys() []string {
	var keys []string
	for _, o := range h.operations {
		if !slices.Contains(keys, o.in.key) {
			keys = append(keys, o.in.key)
		}
	}
	return keys
}

// of is the history of one key. What has no answer lasts until the end: it may have happened at any later time; at the
// very end nothing can tell that it has, so that stands for never, too.
func (h *history) of(key string) []porcupine.Operation {
	var operations []porcupine.Operation
	clients := 0
	for _, o := range h.operations {
		clients = max(clients, o.client+1)
		if o.in.key != key {
			continue
		}
		if o.out.unknown {
			o.returned = math.MaxInt64
		}
		operations = append(operations, porcupine.Operation{
			ClientId: o.client, Input: o.in, Call: o.called, Output: o.out, Return: o.returned,
		})
	}
	owner, known := h.owners[key]
	for node, since := range h.lost {
		if node == owner || !known {
			operations = append(operations, porcupine.Operation{
				ClientId: clients, Input: input{kind: vanish, key: key}, Call: since, Output: output{}, Return: math.MaxInt64,
			})
			clients++
		}
	}
	return operations
}

// corrupt makes one read stale, as a cache would that forgot a write: it gets what the key held before a write that had
// been answered when the read began. It says whether there was one to be had.
func corrupt(h *history) bool {
	for i := len(h.operations) - 1; i >= 0; i-- {
		read := &h.operations[i]
		if read.in.kind != get || !read.out.found {
			continue
		}
		var older, newer *operation
		for j := range h.operations {
			write := &h.operations[j]
			if write.in.key != read.in.key || write.in.kind != put || write.out.unknown || write.returned >= read.called {
				continue
			}
			if older == nil {
				older = write
			} else if write.called > older.returned {
				newer = write
			}
		}
		if newer != nil {
			read.out.value, read.out.version = older.in.value, older.out.version
			return true
		}
	}
	return false
}
