package gateway_test

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"bimetal.dev/contract"
	"bimetal.dev/gateway/internal/config"
	"bimetal.dev/gateway/internal/node"
)

const entry = "/v1/cache/default/k"

func TestAnEntryIsWrittenReadAndDeletedAsItIs(t *testing.T) {
	p := start(t, 2, nil)
	for i := range 20 {
		target := fmt.Sprint("/v1/cache/default/user%2F", i)
		value := fmt.Sprintf("{\"n\": %d}\n", i)
		made := p.do("PUT", target, value, "Content-Type: application/json; charset=utf-8")
		p.expect("put", made, 201, "")
		read := p.do("GET", target, "")
		if read.status != 200 || read.body != value || read.header.Get("Content-Type") != "application/json; charset=utf-8" ||
			read.header.Get("ETag") != made.header.Get("ETag") || read.header.Get("Cache-Control") != "private, no-cache" ||
			read.header.Get("X-Content-Type-Options") != "nosniff" || read.header.Get("Content-Security-Policy") != "sandbox" ||
			!strings.HasSuffix(read.header.Get("Cache-Status"), "; hit") {
			t.Errorf("get: %+v", read)
		}
		p.expect("put again", p.do("PUT", target, value), 204, "")
		p.expect("delete", p.do("DELETE", target, ""), 204, "")
		p.expect("delete again", p.do("DELETE", target, ""), 204, "")
		miss := p.do("GET", target, "")
		p.expect("get after delete", miss, 404, "KEY_NOT_FOUND")
		if !strings.HasSuffix(miss.header.Get("Cache-Status"), "; fwd=uri-miss") {
			t.Errorf("miss: %v", miss.header)
		}
	}
	for _, n := range p.nodes {
		if n.Operations() == 0 {
			t.Errorf("%s was not asked for anything", n.Name())
		}
	}
}

func TestAValueOfEverySizeComesBackByteForByte(t *testing.T) {
	p := start(t, 1, nil)
	for _, size := range []int{0, 1, node.BulkBytes, node.BulkBytes + 1, 1 << 20, 8 << 20} {
		value := strings.Repeat("\x00\xffab", size/4+1)[:size]
		p.expect("put", p.do("PUT", entry, value), map[bool]int{true: 201, false: 204}[size == 0], "")
		read := p.do("GET", entry, "")
		if read.status != 200 || read.body != value || read.header.Get("Content-Length") != strconv.Itoa(size) {
			t.Errorf("%d bytes: %d, %d bytes", size, read.status, len(read.body))
		}
		head := p.do("HEAD", entry, "")
		if head.status != 200 || head.body != "" || head.header.Get("Content-Length") != strconv.Itoa(size) ||
			head.header.Get("ETag") != read.header.Get("ETag") {
			t.Errorf("HEAD of %d bytes: %+v", size, head)
		}
	}
	p.expect("too large", p.do("PUT", entry, strings.Repeat("a", 8<<20+1)), 413, "VALUE_TOO_LARGE")
}

func TestAValueWithoutContentTypeIsServedAsOctets(t *testing.T) {
	p := start(t, 1, nil)
	p.do("PUT", entry, "<script>")
	if got := p.do("GET", entry, "").header.Get("Content-Type"); got != "application/octet-stream" {
		t.Errorf("got %q", got)
	}
}

func TestKeysArePathSegmentsDecodedExactlyOnce(t *testing.T) {
	p := start(t, 1, nil)
	for _, c := range []struct{ segment, same string }{
		{"a%2Fb", "a%2fb"}, {"%252F", "%25%32F"}, {"a+b", "a%2Bb"}, {"a%20b", "a%20%62"}, {"%00%FF", "%00%ff"},
		{"a;b=c", "a%3Bb%3Dc"}, {"%E2%82%AC", "%e2%82%ac"}, {"...", "%2E.."},
	} {
		p.expect("put "+c.segment, p.do("PUT", "/v1/cache/default/"+c.segment, c.segment), 201, "")
		if read := p.do("GET", "/v1/cache/default/"+c.same, ""); read.body != c.segment {
			t.Errorf("%s read as %s: %d %q", c.segment, c.same, read.status, read.body)
		}
	}
	p.expect("another key", p.do("GET", "/v1/cache/default/a%20%2B", ""), 404, "KEY_NOT_FOUND")
	for _, segment := range []string{"%2E", "%2E%2e", strings.Repeat("k", 1025), ""} {
		p.expect("key "+segment, p.do("GET", "/v1/cache/default/"+segment, ""), 400, "INVALID_ARGUMENT")
	}
	p.expect("the longest key, all escaped", p.do("PUT", "/v1/cache/default/"+strings.Repeat("%2F", 1024), "v"), 201, "")
	p.expect("a slash", p.do("GET", "/v1/cache/default/a/b", ""), 404, "ROUTE_NOT_FOUND")
	p.expect("a longer target", p.do("GET", "/v1/cache/default/"+strings.Repeat("k", 9000), ""), 414, "URI_TOO_LONG")
	p.expect("a bad namespace", p.do("GET", "/v1/cache/Default/k", ""), 400, "INVALID_ARGUMENT")
	p.expect("an unknown namespace", p.do("GET", "/v1/cache/nobody/k", ""), 404, "NAMESPACE_NOT_FOUND")
}

func TestPreconditionsOfWrites(t *testing.T) {
	p := start(t, 1, nil)
	p.expect("If-Match: * on nothing", p.do("PUT", entry, "a", "If-Match: *"), 412, "PRECONDITION_FAILED")
	p.expect("a version of nothing", p.do("PUT", entry, "a", `If-Match: "5"`), 412, "PRECONDITION_FAILED")
	made := p.do("PUT", entry, "a", "If-None-Match: *")
	p.expect("If-None-Match: * on nothing", made, 201, "")
	tag := made.header.Get("ETag")
	for _, c := range []struct {
		name, field string
		status      int
		reason      string
	}{
		{"absent wanted, there", "If-None-Match: *", 412, "PRECONDITION_FAILED"},
		{"another version", `If-Match: "1"`, 412, "PRECONDITION_FAILED"},
		{"a weak tag never matches", "If-Match: W/" + tag, 412, "PRECONDITION_FAILED"},
		{"a foreign tag never matches", `If-Match: "abc"`, 412, "PRECONDITION_FAILED"},
		{"not canonical never matches", `If-Match: "0` + tag[1:], 412, "PRECONDITION_FAILED"},
		{"no quotes", "If-Match: 5", 400, "INVALID_ARGUMENT"},
		{"cut off", `If-Match: "5`, 400, "INVALID_ARGUMENT"},
		{"empty", "If-Match: ,", 400, "INVALID_ARGUMENT"},
		{"a tag in If-None-Match", `If-None-Match: "5"`, 400, "INVALID_ARGUMENT"},
		{"17 versions", "If-Match: " + tags(17), 400, "INVALID_ARGUMENT"},
		{"16 versions", "If-Match: " + tags(16), 412, "PRECONDITION_FAILED"},
	} {
		for _, method := range []string{"PUT", "DELETE"} {
			got := p.do(method, entry, "b", c.field)
			p.expect(method+" "+c.name, got, c.status, c.reason)
			if c.status == 412 && got.header.Get("ETag") != tag {
				t.Errorf("%s: the answer has ETag %q, want %q", c.name, got.header.Get("ETag"), tag)
			}
		}
	}
	p.expect("both", p.do("PUT", entry, "b", "If-Match: *", "If-None-Match: *"), 400, "INVALID_ARGUMENT")
	if read := p.do("GET", entry, ""); read.body != "a" {
		t.Errorf("a refused write changed the entry to %q", read.body)
	}
	p.expect("one of several", p.do("PUT", entry, "b", `If-Match: "1", W/"2"`, "If-Match: "+tag), 204, "")
	p.expect("present", p.do("DELETE", entry, "", "If-Match: *"), 204, "")
	p.expect("present, gone", p.do("DELETE", entry, "", "If-Match: *"), 412, "PRECONDITION_FAILED")
}

func tags(count int) string {
	var list []string
	for i := range count {
		list = append(list, fmt.Sprintf("%q", fmt.Sprint(i+1)))
	}
	return strings.Join(list, ", ")
}

func TestPreconditionsOfReads(t *testing.T) {
	p := start(t, 1, nil)
	tag := p.do("PUT", entry, "a").header.Get("ETag")
	for _, c := range []struct {
		field  string
		status int
		reason string
	}{
		{"If-None-Match: " + tag, 304, ""},
		{"If-None-Match: W/" + tag, 304, ""},
		{`If-None-Match: "1", ` + tag, 304, ""},
		{"If-None-Match: *", 304, ""},
		{`If-None-Match: "1"`, 200, ""},
		{"If-Match: " + tag, 200, ""},
		{"If-Match: *", 200, ""},
		{`If-Match: "1"`, 412, "PRECONDITION_FAILED"},
		{"If-Match: W/" + tag, 412, "PRECONDITION_FAILED"},
		{"If-None-Match: x", 400, "INVALID_ARGUMENT"},
		{"Range: bytes=0-0", 200, ""},
	} {
		got := p.do("GET", entry, "", c.field)
		p.expect(c.field, got, c.status, c.reason)
		if c.status == 200 && got.body != "a" {
			t.Errorf("%s: body %q", c.field, got.body)
		}
		if head := p.do("HEAD", entry, "", c.field); head.status != c.status || head.body != "" {
			t.Errorf("HEAD %s: %+v", c.field, head)
		}
	}
	p.expect("If-Match on nothing", p.do("GET", "/v1/cache/default/none", "", "If-Match: *"), 412, "PRECONDITION_FAILED")
	p.expect("If-None-Match on nothing", p.do("GET", "/v1/cache/default/none", "", "If-None-Match: *"), 404, "KEY_NOT_FOUND")
}

func TestTTLsOfWrites(t *testing.T) {
	p := start(t, 1, nil)
	for _, c := range []struct {
		query, field string
		status       int
		shown        string
	}{
		{"?ttl=60s", "X: y", 201, "; ttl="},
		{"?ttl=1500ms", "X: y", 204, "; ttl=1"},
		{"", "Cache-Control: max-age=60", 204, "; ttl="},
		{"", `Cache-Control: no-store, max-age="60"`, 204, "; ttl="},
		{"?ttl=keep", "X: y", 204, "; ttl="},
		{"?ttl=never", "X: y", 204, "; hit"},
		{"", "Cache-Control: no-cache", 204, "; hit"},
		{"?ttl=60", "X: y", 400, ""},
		{"?ttl=0s", "X: y", 400, ""},
		{"?ttl=-1s", "X: y", 400, ""},
		{"?ttl=1.5s", "X: y", 400, ""},
		{"?ttl=99999999999999999999s", "X: y", 400, ""},
		{"?ttl=1s&ttl=2s", "X: y", 400, ""},
		{"?tll=1s", "X: y", 400, ""},
		{"?ttl=%zz", "X: y", 400, ""},
		{"?ttl=60s", "Cache-Control: max-age=60", 400, ""},
		{"", "Cache-Control: max-age=0", 400, ""},
		{"", "Cache-Control: max-age=-1", 400, ""},
		{"", "Cache-Control: max-age", 400, ""},
		{"", "Cache-Control: max-age=1, max-age=2", 400, ""},
	} {
		what := c.query + " " + c.field
		reason := map[bool]string{true: "INVALID_ARGUMENT"}[c.status == 400]
		p.expect(what, p.do("PUT", entry+c.query, "v", c.field), c.status, reason)
		if c.shown != "" {
			if got := p.do("GET", entry, "").header.Get("Cache-Status"); !strings.Contains(got, c.shown) {
				t.Errorf("%s: Cache-Status %q, want %q in it", what, got, c.shown)
			}
		}
	}
}

func TestAProblemSaysWhatAndWhere(t *testing.T) {
	p := start(t, 1, nil)
	trace := "Traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	got := p.do("PUT", entry+"?ttl=x", "v", trace)
	body := got.json(t)
	if body["type"] != "urn:bimetal:error:INVALID_ARGUMENT" || body["title"] != "Invalid argument" || body["status"] != 400.0 ||
		body["reason"] != "INVALID_ARGUMENT" || body["instance"] != "0af7651916cd43dd8448eb211c80319c" ||
		!strings.Contains(fmt.Sprint(body["detail"]), "ttl") || !strings.Contains(fmt.Sprint(body["errors"]), "query:ttl") {
		t.Errorf("%v", body)
	}
	if got.header.Get("Content-Type") != "application/problem+json" || got.header.Get("Cache-Control") != "no-store" {
		t.Errorf("%v", got.header)
	}
	for _, c := range []struct{ what, method, target, body, field, want string }{
		{"a header", "PUT", entry, "v", "If-Match: 5", "header:If-Match"},
		{"another header", "PUT", entry, "v", "Content-Type: " + strings.Repeat("a", 128), "header:Content-Type"},
		{"the path", "GET", "/v1/cache/-/k", "", "X: y", "path:namespace"},
		{"a JSON body", "POST", entry + "/increment", `{"delta":"x"}`, "Content-Type: application/json", "pointer:#/delta"},
		{"a node's violation", "POST", entry + "/increment", `{"delta":1,"ttl":"0s"}`, "Content-Type: application/json", "pointer:#/ttl"},
	} {
		got := p.do(c.method, c.target, c.body, c.field)
		p.expect(c.what, got, 400, "INVALID_ARGUMENT")
		if !strings.Contains(fmt.Sprint(got.json(t)["errors"]), c.want) {
			t.Errorf("%s: %s, want %s in errors", c.what, got.body, c.want)
		}
	}
}

func TestIncrementAndTouch(t *testing.T) {
	p := start(t, 1, nil)
	asJSON := "Content-Type: application/json"
	first := p.do("POST", entry+"/increment", `{"delta":"5","initial":"37","ttl":"60s"}`, asJSON)
	p.expect("increment", first, 200, "")
	if body := first.json(t); body["value"] != "42" || `"`+fmt.Sprint(body["version"])+`"` != first.header.Get("ETag") {
		t.Errorf("%s, ETag %s", first.body, first.header.Get("ETag"))
	}
	if got := p.do("POST", entry+"/increment", `{"delta":-2}`, asJSON).json(t)["value"]; got != "40" {
		t.Errorf("a number as delta: %v", got)
	}
	if read := p.do("GET", entry, ""); read.body != "40" || read.header.Get("Content-Type") != "text/plain" {
		t.Errorf("%+v", read)
	}
	p.expect("overflow", p.do("POST", entry+"/increment", `{"delta":"9223372036854775807"}`, asJSON), 409, "INTEGER_OVERFLOW")
	p.do("PUT", entry, "x")
	p.expect("not an integer", p.do("POST", entry+"/increment", `{"delta":1}`, asJSON), 409, "NOT_AN_INTEGER")
	touched := p.do("POST", entry+"/touch", `{"ttl":"90s"}`, asJSON)
	p.expect("touch", touched, 200, "")
	if body := touched.json(t); body["version"] == nil || body["expiryVersion"] == nil || body["ttl"] == nil {
		t.Errorf("%s", touched.body)
	}
	p.expect("touch nothing", p.do("POST", "/v1/cache/default/none/touch", `{}`, asJSON), 404, "KEY_NOT_FOUND")
	for _, c := range []struct {
		body, field string
		status      int
		reason      string
	}{
		{`{`, asJSON, 400, "MALFORMED_BODY"},
		{``, asJSON, 400, "MALFORMED_BODY"},
		{`{"delta":1} x`, asJSON, 400, "MALFORMED_BODY"},
		{`{}`, asJSON, 400, "INVALID_ARGUMENT"},
		{`[]`, asJSON, 400, "INVALID_ARGUMENT"},
		{`{"delta":1,"dleta":2}`, asJSON, 400, "INVALID_ARGUMENT"},
		{`{"delta":"9223372036854775808"}`, asJSON, 400, "INVALID_ARGUMENT"},
		{`{"delta":1.5}`, asJSON, 400, "INVALID_ARGUMENT"},
		{`{"delta":1,"ttl":"soon"}`, asJSON, 400, "INVALID_ARGUMENT"},
		{`{"delta":1}`, "Content-Type: text/plain", 415, "UNSUPPORTED_MEDIA_TYPE"},
		{`{"delta":1,"ttl":"` + strings.Repeat("x", 70000) + `"}`, asJSON, 413, "VALUE_TOO_LARGE"},
	} {
		p.expect(c.body, p.do("POST", entry+"/increment", c.body, c.field), c.status, c.reason)
	}
	p.expect("a precondition", p.do("POST", entry+"/touch", `{}`, asJSON, "If-Match: *"), 400, "INVALID_ARGUMENT")
}

func TestARequestRepeatedWithItsIdempotencyKeyIsDoneOnce(t *testing.T) {
	p := start(t, 1, nil)
	const key, other = "Idempotency-Key: \"a-1~\"", "Idempotency-Key: a-1~"
	for _, c := range []struct{ method, target, body, changed string }{
		{"PUT", entry, "v", "w"},
		{"POST", entry + "/touch", `{"ttl":"60s"}`, `{"ttl":"61s"}`},
		{"DELETE", entry, "", ""},
		{"POST", entry + "/increment", `{"delta":5}`, `{"delta":6}`},
	} {
		target := strings.Replace(c.target, entry, entry+strconv.Itoa(len(c.method+c.target)), 1)
		if strings.HasSuffix(target, "touch") {
			p.do("PUT", strings.TrimSuffix(target, "/touch"), "v")
		}
		first := p.do(c.method, target, c.body, asJSON, key)
		again := p.do(c.method, target, c.body, asJSON, key)
		if first.status >= 300 || again.status != first.status || again.body != first.body || again.header.Get("Etag") != first.header.Get("Etag") {
			t.Errorf("%s %s: %d %s, then %d %s", c.method, target, first.status, first.body, again.status, again.body)
		}
		if c.changed != c.body {
			p.expect("another request", p.do(c.method, target, c.changed, asJSON, key), 422, "IDEMPOTENCY_KEY_REUSED")
		}
		if next := p.do(c.method, target, c.body, asJSON, other); next.status >= 300 || next.body == first.body && first.body != "" {
			t.Errorf("another key: %d %s", next.status, next.body)
		}
	}
	p.expect("a refusal", p.do("PUT", entry+"9", "v", "If-Match: *", key), 412, "PRECONDITION_FAILED")
	p.do("PUT", entry+"9", "v")
	p.expect("the same refusal", p.do("PUT", entry+"9", "v", "If-Match: *", key), 412, "PRECONDITION_FAILED")
	for _, wrong := range []string{"", "a b", "ä", strings.Repeat("x", 256)} {
		p.expect(wrong, p.do("PUT", entry, "v", "Idempotency-Key: "+wrong), 400, "INVALID_ARGUMENT")
	}
	p.expect("two", p.do("PUT", entry, "v", key, other), 400, "INVALID_ARGUMENT")
	p.expect("the longest", p.do("PUT", entry+"8", "v", "Idempotency-Key: "+strings.Repeat("x", 255)), 201, "")
}

func TestOperationsOfABatchHaveTheirOwnIdempotencyKeys(t *testing.T) {
	p := start(t, 1, nil)
	body := `{"operations":[
		{"increment":{"key":"n","delta":1,"idempotencyKey":"a"}},{"increment":{"key":"n","delta":1,"idempotencyKey":"a"}},
		{"increment":{"key":"n","delta":1,"idempotencyKey":"b"}},{"increment":{"key":"n","delta":2,"idempotencyKey":"b"}},
		{"put":{"key":"p","value":1,"idempotencyKey":"a"}},{"touch":{"key":"p","idempotencyKey":"a2"}},{"delete":{"key":"p","idempotencyKey":"a3"}}]}`
	for range 2 {
		var states []string
		for _, result := range p.do("POST", "/v1/cache/default", body, asJSON).json(t)["results"].([]any) {
			states = append(states, fmt.Sprintf("%v:%v", result.(map[string]any)["status"], result.(map[string]any)["value"]))
		}
		if got := strings.Join(states, " "); got != "200:1 200:1 200:2 422:<nil> 201:<nil> 200:<nil> 204:<nil>" {
			t.Error(got)
		}
	}
	p.expect("a header", p.do("POST", "/v1/cache/default", body, asJSON, "Idempotency-Key: a"), 400, "INVALID_ARGUMENT")
	for _, operation := range []string{`{"get":{"key":"a","idempotencyKey":"a"}}`, `{"delete":{"key":"a","idempotencyKey":""}}`} {
		p.expect(operation, p.do("POST", "/v1/cache/default", `{"operations":[`+operation+`]}`, asJSON), 400, "INVALID_ARGUMENT")
	}
}

func TestBodiesAreStoredAsTheyComeOrNotAtAll(t *testing.T) {
	p := start(t, 1, nil)
	p.expect("coded", p.do("PUT", entry, "v", "Content-Encoding: gzip"), 415, "UNSUPPORTED_MEDIA_TYPE")
	p.expect("not coded", p.do("PUT", entry, "v", "Content-Encoding: identity"), 201, "")
	p.expect("a part", p.do("PUT", entry, "v", "Content-Range: bytes 0-0/2"), 400, "INVALID_ARGUMENT")
	long := p.do("PUT", entry, "v", "Content-Type: "+strings.Repeat("a", 127))
	p.expect("the longest type", long, 204, "")
}

func TestEveryErrorOfANodeIsAProblem(t *testing.T) {
	p := start(t, 1, func(c *config.Config) { c.NodePatience = 50 * time.Millisecond }) // then it fails
	p.client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}        // most of these the document excludes
	for _, spec := range contract.Specs() {
		if !spec.OnGRPC || spec.Reason == contract.Cancelled {
			continue
		}
		p.nodes[0].Fail(spec.Reason)
		var asking sync.WaitGroup
		for _, method := range []string{"GET", "PUT"} {
			asking.Go(func() {
				got, err := p.try(method, entry, "v")
				if err != nil || got.status != spec.HTTPStatus || got.reason() != spec.Name {
					t.Errorf("%s %s: %d %s, %v", method, spec.Name, got.status, got.body, err)
				}
			})
		}
		asking.Wait()
	}
	p.nodes[0].Fail(0)
}

func TestConcurrentCallersEachGetTheirOwn(t *testing.T) {
	p := start(t, 2, nil)
	failures := make(chan string, 64)
	for caller := range 64 {
		go func() {
			target := fmt.Sprint("/v1/cache/default/c", caller)
			value := bytes.Repeat([]byte{byte(caller)}, caller*1500)
			for range 5 {
				if made, err := p.try("PUT", target, string(value), "Request-Timeout: 20"); err != nil || made.status > 204 {
					failures <- fmt.Sprint(err, made)
					return
				}
				if read, err := p.try("GET", target, "", "Request-Timeout: 20"); err != nil || read.body != string(value) {
					failures <- fmt.Sprintf("%v: %d bytes, want %d", err, len(read.body), len(value))
					return
				}
			}
			failures <- ""
		}()
	}
	for range 64 {
		if failure := <-failures; failure != "" {
			t.Error(failure)
		}
	}
}
