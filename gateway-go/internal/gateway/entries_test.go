package gateway_test

import (
	"fmt"
	"strings"
	"testing"
)

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
		p.expect("get after delete", p.do("GET", target, ""), 404, "KEY_NOT_FOUND")
	}
	for _, node := range p.nodes {
		if node.Operations() == 0 {
			t.Errorf("%s was not asked for anything", node.Name())
		}
	}
}
