package entries

import (
	"net/http"
	"strconv"

	"bimetal.dev/contract"
	cachev1 "bimetal.dev/contract/gen/bimetal/cache/v1"
	"bimetal.dev/gateway/internal/exchange"
	"bimetal.dev/gateway/internal/syntax"
)

// defaultContentType is what an entry without one is served as.
const defaultContentType = "application/octet-stream"

// The values of header fields that are always the same, shared by all answers and never changed. An entry's value is
// somebody else's: no browser may run it as a page of this origin, or guess what it is.
var (
	privateNoCache = []string{"private, no-cache"}
	noSniff        = []string{"nosniff"}
	sandbox        = []string{"sandbox"}
)

// Get answers GET and HEAD of an entry. Range is not supported and passed over, as RFC 9110 allows.
func (h *Handlers) Get(w http.ResponseWriter, r *http.Request) error {
	namespace, key, err := address(r)
	if err != nil {
		return err
	}
	if _, err := exchange.Query(r); err != nil {
		return err
	}
	c, err := readConditions(r.Header)
	if err != nil {
		return err
	}
	request := &cachev1.GetRequest{
		Namespace: namespace, Key: key, OmitValue: r.Method == http.MethodHead, KnownVersion: c.known(),
	}
	response, node, failure := h.cluster.Get(r.Context(), request, exchange.From(w).Traceparent)
	if failure != nil {
		return locate(failure, func(string) string { return "" })
	}
	header := w.Header()
	entry := response.GetEntry()
	values := new([4]string) // one allocation for all the values that differ from answer to answer
	values[0] = cacheStatus(node, entry)
	header["Cache-Status"] = values[0:1:1]
	failed, notModified := c.judge(entry.GetVersion())
	switch {
	case failed:
		return failedPrecondition(entry.GetVersion())
	case entry == nil:
		return contract.Errorf(contract.KeyNotFound, "the key has no live entry in %q", namespace)
	}
	values[1] = syntax.FormatETag(entry.GetVersion())
	header["Etag"] = values[1:2:2]
	header["Cache-Control"] = privateNoCache
	if notModified {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	if values[2] = entry.GetContentType(); values[2] == "" {
		values[2] = defaultContentType
	}
	values[3] = strconv.FormatUint(entry.GetSize(), 10)
	header["Content-Type"] = values[2:3:3]
	header["Content-Length"] = values[3:4:4]
	header["X-Content-Type-Options"] = noSniff
	header["Content-Security-Policy"] = sandbox
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = w.Write(entry.GetValue()) // a caller that has gone cannot be told
	}
	return nil
}

// cacheStatus is the field of RFC 9211: which cache answered, and whether it had the entry.
func cacheStatus(node string, entry *cachev1.Entry) string {
	name := node
	if name[0] < 'a' { // a token begins with a letter; other names are strings
		name = strconv.Quote(name)
	}
	if entry == nil {
		return name + "; fwd=uri-miss"
	}
	if entry.GetRemainingTtl() == nil {
		return name + "; hit"
	}
	return name + "; hit; ttl=" + strconv.FormatInt(entry.GetRemainingTtl().GetSeconds(), 10)
}
