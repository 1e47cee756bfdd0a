package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	// answerLimit is how long the gateway may take, which is told it; the client waits a little longer.
	answerLimit = 2 * time.Second
	// repeatFor is how long an operation with an Idempotency-Key is repeated.
	repeatFor = 10 * time.Second
	// restAfterRefusal keeps clients of a node that is away from asking without end.
	restAfterRefusal = 10 * time.Millisecond
	// longestThought is the longest pause between two operations of a client.
	longestThought = 4 * time.Millisecond
)

// client does one operation after the other.
type client struct {
	number   int
	settings settings
	random   *rand.Rand
	http     *http.Client
	history  *history
	written  int64
	repeated int
	// versions are those that it has seen last, by key: what a compare-and-swap expects.
	versions map[string]uint64
}

func newClient(number int, s settings, h *history) *client {
	return &client{
		number: number, settings: s, random: rand.New(rand.NewPCG(s.Seed, uint64(number))), history: h,
		http:     &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 2}, Timeout: answerLimit + time.Second},
		versions: map[string]uint64{},
	}
}

// run works until ctx ends. The operation under way is brought to its end.
func (c *client) run(ctx context.Context) {
	defer c.http.CloseIdleConnections()
	for ctx.Err() == nil {
		if !c.one() {
			c.rest(ctx, restAfterRefusal)
		}
		c.rest(ctx, time.Duration(c.random.Int64N(int64(longestThought))))
	}
}

func (c *client) rest(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// choose draws an operation.
func (c *client) choose() input {
	in := input{key: fmt.Sprint(c.settings.Prefix, c.random.IntN(c.settings.Keys))}
	c.written++
	in.value = (int64(c.number+1)*1_000_000 + c.written) * 1_000 // increments in between do not make two equal
	switch n := c.random.IntN(100); {
	case n < 35:
		in.kind = get
	case n < 55:
		in.kind = put
	case n < 60:
		in.kind = remove
	case n < 80:
		in.kind, in.version = swap, c.versions[in.key]
		if in.version == 0 {
			in.kind = create
		}
	default:
		in.kind = increment
	}
	return in
}

// one does one operation and says whether it was begun.
func (c *client) one() bool {
	in := c.choose()
	key := ""
	if c.settings.Idempotent && in.kind != get {
		key = fmt.Sprintf("%s-%d-%d", c.settings.Prefix, c.number, c.written)
	}
	o := operation{client: c.number, in: in, called: c.history.now()}
	begun := false
	for {
		answer, reason := c.send(in, key)
		o.out = answer
		begun = begun || reason == "" || answer.unknown
		again := key != "" && begun && reason != "" && time.Duration(c.history.now()-o.called) < repeatFor
		if !again {
			if reason != "" && !answer.unknown && !begun {
				c.history.skip(reason)
				return false
			}
			o.out.unknown = reason != ""
			break
		}
		c.repeated++
		time.Sleep(restAfterRefusal)
	}
	o.returned = c.history.now()
	if o.out.version != 0 {
		c.versions[in.key] = o.out.version
	}
	c.history.add(o)
	return true
}

// send is one request. reason is empty when its outcome is known; else it is why not, and unknown says whether it may
// have happened all the same.
func (c *client) send(in input, idempotencyKey string) (output, string) {
	request, err := c.request(in)
	if err != nil {
		panic(err) // of addresses that were given and names that are made here
	}
	request.Header.Set("Request-Timeout", strconv.FormatFloat(answerLimit.Seconds(), 'f', -1, 64))
	if idempotencyKey != "" {
		request.Header.Set("Idempotency-Key", idempotencyKey)
	}
	response, err := c.http.Do(request)
	if err != nil {
		var dial *net.OpError
		if errors.As(err, &dial) && dial.Op == "dial" {
			return output{}, "cannot connect"
		}
		return output{unknown: true}, "the connection broke"
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return output{unknown: true}, "the answer broke off"
	}
	if node, _, found := strings.Cut(response.Header.Get("Cache-Status"), ";"); found {
		c.history.own(in.key, node)
	}
	return c.read(in, response, body)
}

func (c *client) request(in input) (*http.Request, error) {
	method, target, body := http.MethodGet, "/v1/cache/"+c.settings.Namespace+"/"+in.key, ""
	header := http.Header{}
	switch in.kind {
	case put, swap, create:
		method, body = http.MethodPut, strconv.FormatInt(in.value, 10)
		header.Set("Content-Type", "text/plain")
	case remove:
		method = http.MethodDelete
	case increment:
		method, target, body = http.MethodPost, target+"/increment", `{"delta":"1"}`
		header.Set("Content-Type", "application/json")
	}
	if in.kind == swap {
		header.Set("If-Match", fmt.Sprintf(`"%d"`, in.version))
	}
	if in.kind == create {
		header.Set("If-None-Match", "*")
	}
	gateway := c.settings.URLs[(c.number+int(c.written))%len(c.settings.URLs)]
	request, err := http.NewRequestWithContext(context.Background(), method, gateway+target, strings.NewReader(body))
	if err == nil {
		request.Header = header
	}
	return request, err
}

// read sorts an answer.
func (c *client) read(in input, response *http.Response, body []byte) (output, string) {
	version, _ := strconv.ParseUint(strings.Trim(response.Header.Get("ETag"), `"`), 10, 64) // 0: none
	out := output{version: version}
	status := response.StatusCode
	switch {
	case status == http.StatusNotFound && in.kind == get:
		return output{}, ""
	case status == http.StatusPreconditionFailed && (in.kind == swap || in.kind == create):
		out.refused, out.found = true, version != 0
		if version == 0 {
			delete(c.versions, in.key)
		}
		return out, ""
	case status == http.StatusOK && in.kind == get:
		value, err := strconv.ParseInt(string(body), 10, 64)
		if err != nil {
			return c.unexpected(in, response, body)
		}
		out.found, out.value = true, value
		return out, ""
	case status == http.StatusOK && in.kind == increment:
		var sum struct{ Value string }
		if json.NewDecoder(bytes.NewReader(body)).Decode(&sum) != nil {
			return c.unexpected(in, response, body)
		}
		out.value, _ = strconv.ParseInt(sum.Value, 10, 64)
		return out, ""
	case status == http.StatusCreated || status == http.StatusNoContent:
		out.created = status == http.StatusCreated
		return out, ""
	}
	var problem struct{ Reason string }
	_ = json.Unmarshal(body, &problem) // no problem: no reason
	switch problem.Reason {
	case "OUTCOME_UNKNOWN":
		return output{unknown: true}, problem.Reason
	case "NODE_UNAVAILABLE", "DRAINING", "OVERLOADED", "WRONG_NODE", "DEADLINE_EXCEEDED":
		return output{}, problem.Reason
	}
	return c.unexpected(in, response, body)
}

func (c *client) unexpected(in input, response *http.Response, body []byte) (output, string) {
	c.history.surprise(fmt.Sprintf("%s %s: %d %.200s", in.kind, in.key, response.StatusCode, body))
	return output{unknown: true}, "unexpected"
}
