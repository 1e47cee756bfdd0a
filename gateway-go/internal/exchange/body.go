package exchange

import (
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"bimetal.dev/contract"
	"bimetal.dev/gateway/internal/syntax"
	"golang.org/x/sync/semaphore"
)

const (
	// MaxValueBytes is the largest value that any namespace takes.
	MaxValueBytes = 8 << 20
	// MaxJSONBytes is the largest body of the routes that take one small JSON object.
	MaxJSONBytes = 64 << 10
	// freeBytes is what a request may take without asking the budget.
	freeBytes = 64 << 10
)

// Bodies reads request bodies within a budget, so that many large ones at once are refused and do not exhaust memory.
type Bodies struct{ budget *semaphore.Weighted }

// NewBodies makes a reader with a budget in bytes for all bodies over 64 KiB together.
func NewBodies(budget int64) *Bodies {
	return &Bodies{budget: semaphore.NewWeighted(budget)}
}

// Read reads the whole body, at most limit bytes, in the time that the request has (middleware.Deadline sets that on
// the connection). release gives its memory back to
// the budget; it is never nil.
func (b *Bodies) Read(w http.ResponseWriter, r *http.Request, limit int64) (body []byte, release func(), err error) {
	release = func() {}
	if err := checkCoding(r); err != nil {
		return nil, release, err
	}
	if r.ContentLength > limit {
		return nil, release, tooLarge(limit)
	}
	if r.ContentLength == 0 {
		return nil, release, nil
	}
	size := r.ContentLength
	if size < 0 {
		size = limit
	}
	if size > freeBytes {
		if !b.budget.TryAcquire(size) {
			return nil, release, contract.Errorf(contract.Overloaded, "the gateway holds as many large request bodies as it may").
				RetryAfter(time.Second)
		}
		release = func() { b.budget.Release(size) }
	}
	if r.ContentLength > 0 {
		body = make([]byte, r.ContentLength)
		_, err = io.ReadFull(r.Body, body)
	} else {
		body, err = io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	}
	if err != nil {
		release()
		if r.ProtoMajor == 1 {
			w.Header().Set("Connection", "close") // else the server would wait for the rest before it answers
		}
		return nil, func() {}, bodyError(err, limit)
	}
	// The body is here: from now on the server reads only to see the client leave, which has no deadline.
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{}) // was set by the same way, if it could be
	return body, release, nil
}

// checkCoding refuses content-coded bodies: values are stored as they come.
func checkCoding(r *http.Request) error {
	for _, line := range r.Header.Values("Content-Encoding") {
		for coding := range strings.SplitSeq(line, ",") {
			if coding = strings.Trim(coding, " \t"); coding != "" && !strings.EqualFold(coding, "identity") {
				return contract.Errorf(contract.UnsupportedMediaType,
					"the body is coded (Content-Encoding: %s); send it as it is", coding)
			}
		}
	}
	return nil
}

func tooLarge(limit int64) error {
	return contract.Errorf(contract.ValueTooLarge, "the body is larger than %d bytes", limit)
}

func bodyError(err error, limit int64) error {
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return tooLarge(limit)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return contract.Errorf(contract.RequestTimeout, "the body did not arrive in the request's time")
	default:
		return contract.Errorf(contract.Cancelled, "the body ended early").Because(err)
	}
}

// WantMediaType checks the type of a body that the gateway itself reads.
func WantMediaType(r *http.Request, want ...string) error {
	got := syntax.Essence(r.Header.Get("Content-Type"))
	for _, essence := range want {
		if got == essence {
			return nil
		}
	}
	return contract.Errorf(contract.UnsupportedMediaType, "the body has the type %q; this route takes %s",
		got, want[len(want)-1])
}
