package gateway_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"bimetal.dev/contract"
)

const (
	space  = "/v1/cache/default"
	asJSON = "Content-Type: application/json"
)

// results are those of a batch, each as its JSON.
func results(t *testing.T, a answer) []string {
	t.Helper()
	var body struct{ Results []json.RawMessage }
	if a.status != 200 || json.Unmarshal([]byte(a.body), &body) != nil {
		t.Fatalf("no results: %d %s", a.status, a.body)
	}
	texts := make([]string, 0, len(body.Results))
	for _, result := range body.Results {
		texts = append(texts, string(result))
	}
	return texts
}

func TestABatchAnswersEachOperationInItsOrder(t *testing.T) {
	p := start(t, 2, nil)
	got := results(t, p.do("POST", space, `{"operations":[
		{"put":{"key":"a%2Fb","value": {"x": [1, 2.50, "é"]} ,"ttl":"60s"}},
		{"get":{"key":"a%2Fb"}},
		{"put":{"key":"bytes","valueBase64":"/wA=","contentType":"image/png"}},
		{"get":{"key":"bytes"}},
		{"put":{"key":"broken","valueBase64":"ew==","contentType":"application/json"}},
		{"get":{"key":"broken"}},
		{"put":{"key":"null","value":null}},
		{"get":{"key":"null"}},
		{"increment":{"key":"n","delta":"5","initial":37}},
		{"touch":{"key":"n","ttl":"90s"}},
		{"put":{"key":"n","value":1,"ifNoneMatch":"*"}},
		{"put":{"key":"n","value":1,"ifMatch":"\"abc\""}},
		{"delete":{"key":"n","ifMatch":"*"}},
		{"get":{"key":"n"}},
		{"touch":{"key":"n"}},
		{"put":{"key":"..","value":"dots"}}
	]}`, asJSON))
	for i, want := range [][]string{
		{`"status":201`, `"etag"`},
		{`"status":200`, `"value":{"x": [1, 2.50, "é"]}`, `"contentType":"application/json"`, `"ttl":"`},
		{`"status":201`},
		{`"status":200`, `"valueBase64":"/wA="`, `"contentType":"image/png"`},
		{`"status":201`},
		{`"status":200`, `"valueBase64":"ew=="`},
		{`"status":201`},
		{`"status":200`, `"value":null`},
		{`"status":200`, `"value":"42"`},
		{`"status":200`, `"ttl":"`},
		{`"status":412`, `"etag"`, `PRECONDITION_FAILED`},
		{`"status":412`, `"etag"`, `PRECONDITION_FAILED`},
		{`"status":204`},
		{`"status":404`, `KEY_NOT_FOUND`},
		{`"status":404`, `KEY_NOT_FOUND`},
		{`"status":201`},
	} {
		for _, part := range want {
			if !strings.Contains(got[i], part) {
				t.Errorf("operation %d: %s, want %s in it", i, got[i], part)
			}
		}
	}
}

func TestAnInvalidEnvelopeIsRefusedWholeAndNothingIsDone(t *testing.T) {
	p := start(t, 1, nil)
	many := strings.Repeat(`{"get":{"key":"a"}},`, 1001)
	first := `{"put":{"key":"first","value":1}},`
	for _, c := range []struct {
		body, reason, pointer string
		status                int
	}{
		{`{`, "MALFORMED_BODY", "", 400},
		{`{"operations":[]}`, "INVALID_ARGUMENT", "#/operations", 400},
		{`{}`, "INVALID_ARGUMENT", "#/operations", 400},
		{`{"operations":[` + many[:len(many)-1] + `]}`, "INVALID_ARGUMENT", "#/operations", 400},
		{`{"operations":[{}]}`, "INVALID_ARGUMENT", "#/operations/0", 400},
		{`{"operations":[` + first + `{"get":{"key":"a"},"delete":{"key":"a"}}]}`, "INVALID_ARGUMENT", "#/operations/1", 400},
		{`{"operations":[` + first + `{"get":{}}]}`, "INVALID_ARGUMENT", "#/operations/1/get/key", 400},
		{`{"operations":[` + first + `{"get":{"key":"%zz"}}]}`, "INVALID_ARGUMENT", "#/operations/1/get/key", 400},
		{`{"operations":[` + first + `{"get":{"key":""}}]}`, "INVALID_ARGUMENT", "#/operations/1/get/key", 400},
		{`{"operations":[` + first + `{"get":{"key":5}}]}`, "INVALID_ARGUMENT", "#/operations/1/get/key", 400},
		{`{"operations":[` + first + `{"fetch":{"key":"a"}}]}`, "INVALID_ARGUMENT", "#/operations/1/fetch", 400},
		{`{"operations":[` + first + `{"put":{"key":"a"}}]}`, "INVALID_ARGUMENT", "#/operations/1/put", 400},
		{`{"operations":[` + first + `{"put":{"key":"a","value":1,"valueBase64":""}}]}`, "INVALID_ARGUMENT", "#/operations/1/put", 400},
		{`{"operations":[` + first + `{"put":{"key":"a","valueBase64":"*"}}]}`, "INVALID_ARGUMENT", "#/operations/1/put/valueBase64", 400},
		{`{"operations":[` + first + `{"put":{"key":"a","value":1,"ttl":"soon"}}]}`, "INVALID_ARGUMENT", "#/operations/1/put/ttl", 400},
		{`{"operations":[` + first + `{"put":{"key":"a","value":1,"ifMatch":"5"}}]}`, "INVALID_ARGUMENT", "#/operations/1/put/ifMatch", 400},
		{`{"operations":[` + first + `{"increment":{"key":"a"}}]}`, "INVALID_ARGUMENT", "#/operations/1/increment/delta", 400},
		{`{"operations":[` + first + `{"increment":{"key":"a","delta":"1e3"}}]}`, "INVALID_ARGUMENT", "#/operations/1/increment/delta", 400},
		{`{"operations":[` + first + `{"touch":{"key":"a","ttl":60}}]}`, "INVALID_ARGUMENT", "#/operations/1/touch/ttl", 400},
	} {
		got := p.do("POST", space, c.body, asJSON)
		p.expect(fmt.Sprintf("%.80s", c.body), got, c.status, c.reason)
		if c.pointer != "" && !strings.Contains(got.body, `"pointer":"`+c.pointer+`"`) {
			t.Errorf("%.80s: %s, want the pointer %s", c.body, got.body, c.pointer)
		}
	}
	p.expect("the wrong type", p.do("POST", space, `{}`, "Content-Type: text/plain"), 415, "UNSUPPORTED_MEDIA_TYPE")
	p.expect("nothing was done", p.do("GET", space+"/first", ""), 404, "KEY_NOT_FOUND")
}

func TestOperationsOnOneKeyOfABatchKeepTheirOrder(t *testing.T) {
	p := start(t, 2, nil)
	large := strings.Repeat("x", 100<<10) // goes on the other connection
	for range 4 {
		var operations []string
		for i := range 10 {
			operations = append(operations, fmt.Sprintf(`{"put":{"key":"k","value":%q}}`, large+fmt.Sprint(i)),
				fmt.Sprintf(`{"put":{"key":"k","value":%d}}`, i), `{"get":{"key":"k"}}`)
		}
		got := results(t, p.do("POST", space, `{"operations":[`+strings.Join(operations, ",")+`]}`, asJSON))
		for i := range 10 {
			if want := fmt.Sprintf(`"value":%d}`, i); !strings.HasSuffix(got[i*3+2], want) {
				t.Fatalf("read %d: %.200s, want %s", i, got[i*3+2], want)
			}
		}
	}
}

func TestABatchWhoseAnswerWouldBeTooLargeSaysSoItemByItem(t *testing.T) {
	t.Parallel()
	p := start(t, 1, nil)
	p.do("PUT", space+"/large", strings.Repeat("v", 6<<20))
	got := results(t, p.do("POST", space, `{"operations":[`+strings.Repeat(`{"get":{"key":"large"}},`, 3)+`{"get":{"key":"none"}}]}`, asJSON))
	for i, want := range []string{`"status":200`, `"status":200`, "RESPONSE_TOO_LARGE", "KEY_NOT_FOUND"} {
		if head, tail := got[i][:min(100, len(got[i]))], got[i][max(0, len(got[i])-300):]; !strings.Contains(head+tail, want) {
			t.Errorf("item %d: %s, want %s", i, head, want)
		}
	}
}

func TestAListingWalksAllNodesAndSeesEachKeyOnce(t *testing.T) {
	p := start(t, 3, nil)
	var want []string
	for i := range 50 {
		key := fmt.Sprintf("user%%2F%02d%%FF", i)
		p.do("PUT", space+"/"+key, "v")
		want = append(want, key)
		p.do("PUT", space+fmt.Sprint("/other+", i), "v")
	}
	var got []string
	target := space + "?prefix=user%2F&pageSize=7"
	pages := 0
	for token := ""; ; pages++ {
		page := p.do("GET", target+token, "")
		p.expect("page", page, 200, "")
		var body struct {
			Keys          []string
			NextPageToken string
		}
		if err := json.Unmarshal([]byte(page.body), &body); err != nil {
			t.Fatal(err)
		}
		got = append(got, body.Keys...)
		if body.NextPageToken == "" {
			break
		}
		token = "&pageToken=" + url.QueryEscape(body.NextPageToken)
	}
	slices.Sort(got)
	if !slices.Equal(got, want) || pages < 7 {
		t.Errorf("%d pages, keys %v", pages, got)
	}
	p.expect("none", p.do("GET", space+"?prefix=zzz", ""), 200, "")
	for _, query := range []string{
		"?pageSize=0", "?pageSize=10001", "?pageSize=x", "?pageToken=x", "?pageToken=AA", "?page=1", "?prefix=%z",
		"?prefix=" + strings.Repeat("p", 1025),
	} {
		p.expect(query, p.do("GET", space+query, ""), 400, "INVALID_ARGUMENT")
	}
	p.expect("only XML", p.do("GET", space, "", "Accept: text/xml"), 406, "NOT_ACCEPTABLE")
	p.expect("anything", p.do("GET", space, "", "Accept: text/*;q=0.5, */*"), 200, "")
	p.expect("nobody", p.do("GET", "/v1/cache/nobody", ""), 404, "NAMESPACE_NOT_FOUND")
	p.nodes[2].Stop()
	waitDown(t, p)
	p.expect("a node that is down fails its page", p.do("GET", space+"?pageToken=Y2FjaGUtMgA", ""), 503, "NODE_UNAVAILABLE")
	p.expect("and no other", p.do("GET", space, ""), 200, "")
}

// waitDown waits until the gateway has noticed that a node is gone.
func waitDown(t *testing.T, p *platform) {
	t.Helper()
	waitFor(t, "a node to be down", 5e9, func() bool { return strings.Contains(p.do("GET", "/readyz", "").body, "down") })
}

func TestAKeyWhoseNodeIsDownFailsAtOnceAndNoOther(t *testing.T) {
	p := start(t, 2, nil)
	p.nodes[1].Stop()
	waitDown(t, p)
	names := []string{"cache-0", "cache-1"}
	for i := range 40 {
		key := fmt.Sprint("k", i)
		got := p.do("PUT", space+"/"+key, "v")
		if contract.Owner(names, "default", []byte(key)) == 0 {
			p.expect("of the living", got, 201, "")
			continue
		}
		p.expect("of the dead", got, 503, "NODE_UNAVAILABLE")
		if got.header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
	}
	p.nodes[1].Restart()
	waitFor(t, "both up", 5e9, func() bool { return !strings.Contains(p.do("GET", "/readyz", "").body, "down") })
	for i := range 40 {
		p.expect("after the return", p.do("PUT", space+fmt.Sprint("/again", i), "v"), 201, "")
	}
}
