package gateway_test

import (
	"strings"
	"testing"
	"time"

	"bimetal.dev/gateway/internal/config"
)

func TestNamespacesAreTheSameOnAllNodes(t *testing.T) {
	p := start(t, 3, nil)
	made := p.do("PUT", "/v1/namespaces/shop", `{"quotaBytes":"1000","defaultTtl":"60s","maxTtl":"3600s","maxValueBytes":100}`, asJSON)
	p.expect("make", made, 201, "")
	if !strings.Contains(made.body, `"unacknowledged":[]`) || !strings.Contains(made.body, `"maxValueBytes":"100"`) {
		t.Errorf("%s", made.body)
	}
	for i := range 30 { // some keys of each node
		p.expect("use", p.do("PUT", "/v1/cache/shop/k"+string(rune('a'+i%26)), "v"), map[bool]int{true: 201, false: 204}[i < 26], "")
	}
	p.expect("replace", p.do("PUT", "/v1/namespaces/shop", `{"quotaBytes":"2000"}`, asJSON), 200, "")
	if got := p.do("GET", "/v1/namespaces/shop", "").body; strings.Contains(got, "defaultTtl") || !strings.Contains(got, `"2000"`) {
		t.Errorf("after replacing: %s", got)
	}
	patched := p.do("PATCH", "/v1/namespaces/shop", `{"maxTtl":"10s","quotaBytes":null}`, "Content-Type: application/merge-patch+json")
	p.expect("patch", patched, 200, "")
	if strings.Contains(patched.body, "quotaBytes") || !strings.Contains(patched.body, `"maxTtl":"10s"`) {
		t.Errorf("after patching: %s", patched.body)
	}
	flushed := p.do("POST", "/v1/namespaces/shop/flush", "")
	p.expect("flush", flushed, 200, "")
	if strings.Count(flushed.body, `"node"`) != 3 {
		t.Errorf("flush: %s", flushed.body)
	}
	p.expect("flushed", p.do("GET", "/v1/cache/shop/ka", ""), 404, "KEY_NOT_FOUND")
	p.expect("delete", p.do("DELETE", "/v1/namespaces/shop", ""), 200, "")
	p.expect("gone", p.do("GET", "/v1/namespaces/shop", ""), 404, "NAMESPACE_NOT_FOUND")
	for _, key := range []string{"a", "b", "c", "d", "e", "f"} {
		p.expect("gone on every node", p.do("PUT", "/v1/cache/shop/k"+key, "v"), 404, "NAMESPACE_NOT_FOUND")
	}
	if list := p.do("GET", "/v1/namespaces", ""); strings.Contains(list.body, "shop") || !strings.Contains(list.body, `"default"`) {
		t.Errorf("list: %s", list.body)
	}
}

func TestNamespaceRequestsAreRefusedSpecifically(t *testing.T) {
	p := start(t, 1, nil)
	for _, c := range []struct {
		method, target, body string
		status               int
		reason, part         string
	}{
		{"PUT", "/v1/namespaces/A", `{}`, 400, "INVALID_ARGUMENT", `"path":"namespace"`},
		{"PUT", "/v1/namespaces/a", `{"quota":1}`, 400, "INVALID_ARGUMENT", `"pointer":"#/quota"`},
		{"PUT", "/v1/namespaces/a", `{"quotaBytes":-1}`, 400, "INVALID_ARGUMENT", `"pointer":"#/quotaBytes"`},
		{"PUT", "/v1/namespaces/a", `{"defaultTtl":60}`, 400, "INVALID_ARGUMENT", `"pointer":"#/defaultTtl"`},
		{"PUT", "/v1/namespaces/a", `{"defaultTtl":"1h"}`, 400, "INVALID_ARGUMENT", `"pointer":"#/defaultTtl"`},
		{"PUT", "/v1/namespaces/a", `x`, 400, "MALFORMED_BODY", ""},
		{"PATCH", "/v1/namespaces/default", `{}`, 400, "INVALID_ARGUMENT", `"pointer":"#"`},
		{"PATCH", "/v1/namespaces/default", `{"staleWindow":"5s"}`, 501, "NOT_IMPLEMENTED", ""},
		{"PATCH", "/v1/namespaces/nobody", `{"maxTtl":"5s"}`, 404, "NAMESPACE_NOT_FOUND", ""},
		{"DELETE", "/v1/namespaces/default", ``, 400, "INVALID_ARGUMENT", `"path":"namespace"`},
		{"DELETE", "/v1/namespaces/nobody", ``, 404, "NAMESPACE_NOT_FOUND", ""},
		{"POST", "/v1/namespaces/nobody/flush", ``, 404, "NAMESPACE_NOT_FOUND", ""},
		{"GET", "/v1/namespaces?x=1", ``, 400, "INVALID_ARGUMENT", `"query":"x"`},
	} {
		got := p.do(c.method, c.target, c.body, asJSON)
		p.expect(c.method+" "+c.target+" "+c.body, got, c.status, c.reason)
		if !strings.Contains(got.body, c.part) {
			t.Errorf("%s %s: %s, want %s in it", c.method, c.target, got.body, c.part)
		}
	}
	p.expect("only make", p.do("PUT", "/v1/namespaces/default", `{}`, asJSON, "If-None-Match: *"), 409, "NAMESPACE_EXISTS")
	p.expect("not JSON", p.do("PUT", "/v1/namespaces/a", `{}`), 415, "UNSUPPORTED_MEDIA_TYPE")
}

func TestANodeThatWasAwayIsNamedAndGetsTheRecordWhenItIsBack(t *testing.T) {
	p := start(t, 2, nil)
	p.nodes[1].Stop()
	waitDown(t, p)
	made := p.do("PUT", "/v1/namespaces/late", `{}`, asJSON)
	p.expect("make", made, 201, "")
	if !strings.Contains(made.body, `"unacknowledged":["cache-1"]`) {
		t.Errorf("%s", made.body)
	}
	p.nodes[1].Restart()
	waitFor(t, "all keys to be writable", 5*time.Second, func() bool {
		for _, key := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
			if p.do("PUT", "/v1/cache/late/"+key, "v").status > 204 {
				return false
			}
		}
		return true
	})
}

func TestAGatewayWithoutTheRunTokenCannotWriteNamespacesButServesEntries(t *testing.T) {
	for _, token := range []string{"", "wrong"} {
		p := start(t, 1, func(c *config.Config) { c.RunToken = token })
		p.expect("write", p.do("PUT", "/v1/namespaces/a", `{}`, asJSON), 403, "PERMISSION_DENIED")
		p.expect("flush", p.do("POST", "/v1/namespaces/default/flush", ``), 403, "PERMISSION_DENIED")
		p.expect("read", p.do("GET", "/v1/namespaces", ""), 200, "")
		p.expect("entry", p.do("PUT", entry, "v"), 201, "")
	}
}
