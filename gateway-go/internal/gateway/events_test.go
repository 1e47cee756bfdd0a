package gateway_test

import (
	"bufio"
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"bimetal.dev/gateway/internal/config"
)

// event is one server-sent event; a block without data has only its comment and id.
type event struct{ name, data, id, comment string }

// watcher reads a stream in the background.
type watcher struct {
	t      *testing.T
	events chan event
	cancel context.CancelFunc
	lastID string
}

func (p *platform) watch(target, lastID string) *watcher {
	p.t.Helper()
	ctx, cancel := context.WithCancel(p.t.Context())
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.Addr()+target, http.NoBody)
	if err != nil {
		p.t.Fatal(err)
	}
	request.Header.Set("Accept", "text/event-stream")
	if lastID != "" {
		request.Header.Set("Last-Event-ID", lastID)
	}
	client := &http.Client{Transport: p.client.Transport}
	response, err := client.Do(request)
	if err != nil {
		p.t.Fatal(err)
	}
	if response.StatusCode != 200 || response.Header.Get("Content-Type") != "text/event-stream" ||
		response.Header.Get("Cache-Control") != "no-store" || response.Header.Get("Vary") != "Accept" {
		p.t.Fatalf("%d %v", response.StatusCode, response.Header)
	}
	w := &watcher{t: p.t, events: make(chan event, 1000), cancel: cancel, lastID: lastID}
	done := make(chan struct{})
	p.t.Cleanup(func() { cancel(); <-done })
	go func() {
		defer close(done)
		defer close(w.events)
		defer func() { _ = response.Body.Close() }()
		var current event
		for lines := bufio.NewScanner(response.Body); lines.Scan(); {
			field, value, _ := strings.Cut(lines.Text(), ": ")
			switch {
			case lines.Text() == "":
				w.events <- current
				current = event{}
			case field == "event":
				current.name = value
			case field == "data":
				current.data = value
			case field == "id":
				current.id = value
			case field == "":
				current.comment = value
			}
		}
	}()
	return w
}

// next is the next event that has a name, and keeps the id as a browser does.
func (w *watcher) next() event {
	w.t.Helper()
	limit := time.After(10 * time.Second)
	for {
		select {
		case e, open := <-w.events:
			if !open {
				w.t.Fatal("the stream has ended")
			}
			if e.id != "" {
				w.lastID = e.id
			}
			if e.name != "" {
				return e
			}
		case <-limit:
			w.t.Fatal("no event within 10 s")
		}
	}
}

// opening waits for the first id.
func (w *watcher) opening() {
	w.t.Helper()
	limit := time.After(10 * time.Second)
	for w.lastID == "" {
		select {
		case e := <-w.events:
			w.lastID = e.id
		case <-limit:
			w.t.Fatal("no id within 10 s")
		}
	}
}

func (w *watcher) expect(name string, parts ...string) {
	w.t.Helper()
	e := w.next()
	ok := e.name == name
	for _, part := range parts {
		ok = ok && strings.Contains(e.data, part)
	}
	if !ok {
		w.t.Errorf("event %q %s, want %q with %v", e.name, e.data, name, parts)
	}
}

func TestAWatcherSeesWhatHappensToKeysOfItsPrefixOnAllNodes(t *testing.T) {
	p := start(t, 2, nil)
	w := p.watch(space+"?prefix=a%2F", "")
	w.opening()
	for _, key := range []string{"a%2F1", "a%2F2", "a%2F3", "a%2F4"} {
		p.do("PUT", space+"/b"+key, "not watched")
		p.do("PUT", space+"/"+key+"?ttl=60s", "v", "Content-Type: text/plain")
		w.expect("put", `"key":"`+key+`"`, `"version":"`, `"size":"1"`, `"contentType":"text/plain"`, `"ttl":"`)
		p.do("DELETE", space+"/"+key, "")
		w.expect("deleted", `"key":"`+key+`"`)
	}
}

func TestAWatcherContinuesBehindItsLastEventID(t *testing.T) {
	p := start(t, 2, nil)
	w := p.watch(space, "")
	w.opening()
	p.do("PUT", space+"/seen", "v")
	w.expect("put", "seen")
	w.cancel()
	for _, key := range []string{"missed-1", "missed-2", "missed-3", "missed-4"} {
		p.do("PUT", space+"/"+key, "v")
	}
	w = p.watch(space, w.lastID)
	seen := map[string]bool{}
	for range 4 {
		e := w.next()
		for _, key := range []string{"missed-1", "missed-2", "missed-3", "missed-4"} {
			if strings.Contains(e.data, key) {
				seen[key] = true
			}
		}
	}
	if len(seen) != 4 {
		t.Errorf("saw %v", seen)
	}
}

func TestWhatMayHaveBeenMissedIsAnnouncedByAReset(t *testing.T) {
	p := start(t, 2, nil)
	w := p.watch(space, "")
	w.opening()
	w.cancel()
	p.nodes[0].Forget()
	w = p.watch(space, w.lastID)
	w.expect("reset", `"node":"cache-0"`)
	p.nodes[1].Stop()
	waitDown(t, p)
	p.nodes[1].Restart()
	w.expect("reset", `"node":"cache-1"`)
	p.do("PUT", space+"/after", "v")
	w.expect("put", "after")
}

func TestAWatcherThatBeginsWhileANodeIsAwayLearnsOfIt(t *testing.T) {
	p := start(t, 2, nil)
	p.nodes[1].Stop()
	waitDown(t, p)
	w := p.watch(space, "")
	p.nodes[1].Restart()
	w.expect("reset", `"node":"cache-1"`)
}

func TestWatchersAreRefusedSpecifically(t *testing.T) {
	p := start(t, 1, func(c *config.Config) { c.MaxWatchers = 1 })
	stream := "Accept: text/event-stream"
	p.expect("no namespace", p.do("GET", "/v1/cache/nobody", "", stream), 404, "NAMESPACE_NOT_FOUND")
	p.expect("a foreign id", p.do("GET", space, "", stream, "Last-Event-ID: x!"), 400, "INVALID_ARGUMENT")
	p.expect("a parameter of listings", p.do("GET", space+"?pageSize=1", "", stream), 400, "INVALID_ARGUMENT")
	w := p.watch(space, "")
	w.opening()
	p.expect("too many", p.do("GET", space, "", stream), 503, "OVERLOADED")
	w.cancel()
	waitFor(t, "the place to be free", 5*time.Second, func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.Addr()+space, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Accept", "text/event-stream")
		response, err := p.client.Do(request)
		if err != nil {
			return false
		}
		_ = response.Body.Close()
		return response.StatusCode == 200
	})
}

func TestAStreamEndsWithItsLastIDWhenTheGatewayDrains(t *testing.T) {
	p := start(t, 1, nil)
	w := p.watch(space, "")
	w.opening()
	p.do("PUT", space+"/k", "v")
	w.expect("put", "k")
	p.State().Drain(0)
	p.State().End()
	var last event
	for e := range w.events {
		last = e
	}
	if !strings.Contains(last.comment, "ends") {
		t.Errorf("the last block was %+v", last)
	}
}
