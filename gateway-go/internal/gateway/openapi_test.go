package gateway_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"bimetal.dev/gateway/api"
	"bimetal.dev/gateway/internal/syntax"
	"github.com/go-chi/chi/v5"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

// Every exchange of every test of this package is held against the OpenAPI document: the route, the status, the type
// of the body, its schema, and the required header fields. Findings are reported when all tests have run.

var (
	described = loadDocument()
	findings  = struct {
		sync.Mutex
		texts []string
		seen  map[string]bool
	}{seen: map[string]bool{}}
)

func exit(code int) {
	for _, text := range findings.texts {
		fmt.Println("OpenAPI:", text)
	}
	if len(findings.texts) > 0 {
		code = 1
	}
	os.Exit(code)
}

type document struct {
	tree      map[string]any
	compiling sync.Mutex
	compiler  *jsonschema.Compiler
	schemas   sync.Map                  // JSON pointer → *jsonschema.Schema
	patterns  map[string]*regexp.Regexp // of the targets of each path
}

const documentURL = "https://bimetal.test/openapi.json"

func loadDocument() *document {
	var fromYAML any
	if err := yaml.Unmarshal(api.OpenAPI, &fromYAML); err != nil {
		panic(err)
	}
	text, err := json.Marshal(fromYAML)
	if err != nil {
		panic(err)
	}
	tree, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		panic(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource(documentURL, tree); err != nil {
		panic(err)
	}
	d := &document{tree: tree.(map[string]any), compiler: compiler, patterns: map[string]*regexp.Regexp{}}
	parameter := regexp.MustCompile(`\\\{[a-z]+\\\}`)
	for path := range d.tree["paths"].(map[string]any) {
		d.patterns[path] = regexp.MustCompile("^" + parameter.ReplaceAllString(regexp.QuoteMeta(path), "[^/]+") + "$")
	}
	return d
}

// at is the node at a pointer, references followed; pointer is where it was found in the end.
func (d *document) at(pointer string) (found any, at string) {
	var node any = d.tree
	for part := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		switch inner := node.(type) {
		case map[string]any:
			node = inner[strings.NewReplacer("~1", "/", "~0", "~").Replace(part)]
		case []any:
			index, err := strconv.Atoi(part)
			if err != nil || index >= len(inner) {
				return nil, pointer
			}
			node = inner[index]
		default:
			return nil, pointer
		}
	}
	if object, ok := node.(map[string]any); ok {
		if reference, ok := object["$ref"].(string); ok {
			return d.at(strings.TrimPrefix(reference, "#"))
		}
	}
	return node, pointer
}

func escape(part string) string { return strings.NewReplacer("~", "~0", "/", "~1").Replace(part) }

func (d *document) validate(pointer string, value any) error {
	compiled, ok := d.schemas.Load(pointer)
	if !ok {
		d.compiling.Lock()
		made, err := d.compiler.Compile(documentURL + "#" + pointer)
		d.compiling.Unlock()
		if err != nil {
			return err
		}
		compiled, _ = d.schemas.LoadOrStore(pointer, made)
	}
	return compiled.(*jsonschema.Schema).Validate(value)
}

// route is the path of the document that a request target belongs to.
func (d *document) route(target string) string {
	for path, pattern := range d.patterns {
		if pattern.MatchString(target) {
			return path
		}
	}
	return ""
}

// judge holds one exchange against the document.
func (d *document) judge(request *http.Request, response *http.Response, body []byte) error {
	path := d.route(request.URL.EscapedPath())
	if path == "" {
		if response.StatusCode != http.StatusNotFound && response.StatusCode != http.StatusBadRequest {
			return fmt.Errorf("no path has it")
		}
		return d.judgeProblem(response, body)
	}
	base := "/paths/" + escape(path) + "/" + strings.ToLower(request.Method)
	if operation, _ := d.at(base); operation == nil {
		if response.StatusCode != http.StatusMethodNotAllowed || response.Header.Get("Allow") == "" {
			return fmt.Errorf("the path has no such method, the answer is no 405 with Allow")
		}
		return d.judgeProblem(response, body)
	}
	found, pointer := d.at(base + "/responses/" + fmt.Sprint(response.StatusCode))
	if found == nil {
		return fmt.Errorf("the status is not described")
	}
	described := found.(map[string]any)
	if err := d.judgeHeader(pointer, described, response.Header); err != nil {
		return err
	}
	content, _ := described["content"].(map[string]any)
	essence := syntax.Essence(response.Header.Get("Content-Type"))
	if len(content) == 0 {
		if len(body) > 0 {
			return fmt.Errorf("a body is not described")
		}
		return nil
	}
	if _, any := content["*/*"]; any {
		return nil
	}
	if _, ok := content[essence]; !ok {
		return fmt.Errorf("the type %q is not described", essence)
	}
	if strings.HasSuffix(essence, "json") {
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
		if err != nil {
			return err
		}
		return d.validate(pointer+"/content/"+escape(essence)+"/schema", value)
	}
	return nil
}

func (d *document) judgeHeader(pointer string, described map[string]any, header http.Header) error {
	headers, _ := described["headers"].(map[string]any)
	for name := range headers {
		found, at := d.at(pointer + "/headers/" + escape(name))
		required, _ := found.(map[string]any)["required"].(bool)
		value := header.Get(name)
		if value == "" && required {
			return fmt.Errorf("%s is missing", name)
		}
		if value != "" {
			if err := d.validate(at+"/schema", value); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return nil
}

func (d *document) judgeProblem(response *http.Response, body []byte) error {
	if response.Request.Method == http.MethodHead {
		return nil
	}
	if got := response.Header.Get("Content-Type"); got != "application/problem+json" {
		return fmt.Errorf("%q is no problem", got)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return err
	}
	return d.validate("/components/schemas/Problem", value)
}

// recording is the transport of the tests' client.
type recording struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (r recording) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := r.next.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	response.Request = request
	var body []byte
	if !strings.HasPrefix(response.Header.Get("Content-Type"), "text/event-stream") {
		if body, err = io.ReadAll(response.Body); err != nil {
			return nil, err
		}
		_ = response.Body.Close()
		response.Body = io.NopCloser(bytes.NewReader(body))
	}
	if wrong := described.judge(request, response, body); wrong != nil {
		text := fmt.Sprintf("%s %s → %d: %v", request.Method, described.route(request.URL.EscapedPath()), response.StatusCode, wrong)
		findings.Lock()
		defer findings.Unlock()
		if !findings.seen[text] {
			findings.seen[text] = true
			findings.texts = append(findings.texts, text+fmt.Sprintf(" (%s, body %.300s)", request.URL, body))
		}
	}
	return response, nil
}

func TestTheDocumentHasExactlyTheRoutesThatThereAre(t *testing.T) {
	p := start(t, 1, nil)
	var routes, written []string
	if err := chi.Walk(p.Routes(), func(method, route string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		routes = append(routes, method+" "+route)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for path, item := range described.tree["paths"].(map[string]any) {
		for method := range item.(map[string]any) {
			if method != "parameters" {
				written = append(written, strings.ToUpper(method)+" "+path)
			}
		}
	}
	slices.Sort(routes)
	slices.Sort(written)
	if !slices.Equal(routes, written) {
		t.Errorf("routes    %v\ndescribed %v", routes, written)
	}
}

func TestTheJudgeOfTheDocumentFindsWhatIsWrong(t *testing.T) {
	request := func(method, target string) *http.Request {
		r, err := http.NewRequestWithContext(t.Context(), method, "http://gateway"+target, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	problem := http.Header{"Content-Type": {"application/problem+json"}}
	for _, c := range []struct {
		name     string
		request  *http.Request
		response *http.Response
		body     string
	}{
		{"an undescribed status", request("DELETE", "/v1/cache/default/a"), &http.Response{StatusCode: 418}, ""},
		{"a 200 without ETag", request("GET", "/v1/cache/default/a"), &http.Response{StatusCode: 200}, ""},
		{
			"a problem without its reason", request("GET", "/v1/cache/default/a"),
			&http.Response{StatusCode: 404, Header: problem}, `{"type":"urn:bimetal:error:A","title":"t","status":404,"detail":""}`,
		},
		{"a 503 without Retry-After", request("GET", "/readyz"), &http.Response{StatusCode: 503, Header: problem}, `{}`},
		{
			"an unknown field", request("POST", "/v1/cache/default"),
			&http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"application/json"}}}, `{"results":[{"status":200,"x":1}]}`,
		},
	} {
		c.response.Request = c.request
		if described.judge(c.request, c.response, []byte(c.body)) == nil {
			t.Errorf("%s: not found", c.name)
		}
	}
}

func TestTheDocumentAndItsPageAreServed(t *testing.T) {
	p := start(t, 1, nil)
	if served := p.do("GET", "/openapi.json", "").json(t); served["openapi"] != "3.1.0" {
		t.Errorf("openapi: %v", served["openapi"])
	}
	page := p.do("GET", "/docs", "")
	if page.status != 200 || !strings.Contains(page.body, "openapi.json") || strings.Contains(page.body, "https://") ||
		!strings.Contains(page.header.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Errorf("docs: %d %v", page.status, page.header)
	}
	for _, target := range []string{"/docs", "/openapi.json", "/livez", "/readyz"} {
		if head := p.do("HEAD", target, ""); head.status != 200 || head.body != "" {
			t.Errorf("HEAD %s: %+v", target, head)
		}
	}
}
