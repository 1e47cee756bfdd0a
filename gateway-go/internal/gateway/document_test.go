package gateway_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp/syntax"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// What the OpenAPI document allows the gateway takes, and what it does not allow is refused with the problem that it
// describes. The cases come from the document itself: of every parameter and every member of every body, values at
// both sides of each bound that its schema has, and values of every other type. The document judges each of them, and
// the gateway has to agree.

// operation is one of the document, with a request that it allows.
type operation struct {
	method, path string
	pointer      string            // into the document
	where        map[string]string // values of the path's parameters
	body         any               // nil: there is none, or it is no JSON
	bodySchema   string            // pointer
	mediaType    string
}

// parameter is one of an operation.
type parameter struct {
	name, in string
	schema   string // pointer
	opaque   bool   // only what the gateway has given is taken
}

func operations(t *testing.T) []operation {
	t.Helper()
	var all []operation
	for path, item := range described.tree["paths"].(map[string]any) {
		if !strings.HasPrefix(path, "/v1/") {
			continue // takes nothing
		}
		for method := range item.(map[string]any) {
			if method == "parameters" {
				continue
			}
			o := operation{
				method: strings.ToUpper(method), path: path, pointer: "/paths/" + escape(path) + "/" + method,
				where: map[string]string{"namespace": "default", "key": "counter"},
			}
			content, _ := described.at(o.pointer + "/requestBody/content")
			types, _ := content.(map[string]any)
			for _, mediaType := range slices.Sorted(maps.Keys(types)) {
				if o.mediaType = mediaType; strings.HasSuffix(mediaType, "json") {
					o.bodySchema = o.pointer + "/requestBody/content/" + escape(mediaType) + "/schema"
					o.body = types[mediaType].(map[string]any)["example"]
				}
			}
			if strings.HasPrefix(path, "/v1/namespaces/") && method == "delete" {
				o.where["namespace"] = "spare" // default stays
			}
			all = append(all, o)
		}
	}
	slices.SortFunc(all, func(a, b operation) int { return strings.Compare(a.path+a.method, b.path+b.method) })
	return all
}

func (o operation) parameters() []parameter {
	var all []parameter
	for _, pointer := range []string{"/paths/" + escape(o.path) + "/parameters", o.pointer + "/parameters"} {
		found, _ := described.at(pointer)
		list, _ := found.([]any)
		for i := range list {
			one, at := described.at(fmt.Sprintf("%s/%d", pointer, i))
			object := one.(map[string]any)
			opaque, _ := object["x-opaque"].(bool)
			all = append(all, parameter{object["name"].(string), object["in"].(string), at + "/schema", opaque})
		}
	}
	return all
}

// send makes the operation's request with one parameter changed, if there is one.
func (o operation) send(p *platform, changed *parameter, value string, body any) (answer, error) {
	where := maps.Clone(o.where)
	target, query := o.path, ""
	fields := []string{"Connection: keep-alive"}
	if o.mediaType != "" {
		fields = append(fields, "Content-Type: "+strings.Replace(o.mediaType, "*/*", "text/plain", 1))
	}
	if changed != nil {
		switch changed.in {
		case "path":
			where[changed.name] = value
		case "query":
			query = "?" + changed.name + "=" + strings.ReplaceAll(url.QueryEscape(value), "+", "%20")
		case "header":
			fields = append(fields, changed.name+": "+value)
			if changed.name == "Last-Event-ID" {
				fields = append(fields, "Accept: text/event-stream")
			}
		}
	}
	for name, text := range where {
		target = strings.Replace(target, "{"+name+"}", strings.ReplaceAll(url.PathEscape(text), ".", "%2E"), 1)
	}
	text := ""
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return answer{}, err
		}
		text = string(encoded)
	} else if o.mediaType != "" {
		text = "5"
	}
	return p.try(o.method, target+query, text, fields...)
}

// judged compares what the document says with what was answered. A refusal has to point to the place, or, where members
// contradict each other, to the object that they are in.
func judged(allowed bool, a answer, place string) error {
	if allowed {
		if a.status == http.StatusBadRequest || a.status == http.StatusUnsupportedMediaType || strings.Contains(a.body, `"status":400`) {
			return fmt.Errorf("allowed, but refused: %d %.300s", a.status, a.body)
		}
		return nil
	}
	if a.status != http.StatusBadRequest {
		return fmt.Errorf("not allowed, but %d %.300s", a.status, a.body)
	}
	if a.body == "" { // HEAD
		return nil
	}
	var problem struct {
		Reason string
		Errors []map[string]string
	}
	if err := json.Unmarshal([]byte(a.body), &problem); err != nil {
		return err
	}
	if problem.Reason == "INVALID_ARGUMENT" && len(problem.Errors) == 1 {
		for in, name := range problem.Errors[0] {
			if at := in + ":" + name; at == place || at == place[:max(strings.LastIndex(place, "/"), 0)] || strings.HasPrefix(at, place+"/") {
				return nil
			}
		}
	}
	return fmt.Errorf("refused, but not as INVALID_ARGUMENT at %s: %.300s", place, a.body)
}

func TestParametersAreTakenExactlyAsTheDocumentAllows(t *testing.T) {
	t.Parallel()
	p := start(t, 1, nil)
	taken, refused := 0, 0
	tried := map[string]bool{}
	for _, o := range operations(t) {
		for _, changed := range o.parameters() {
			for _, value := range texts(t, changed.schema, tried) {
				if changed.in == "header" {
					value = strings.Trim(value, " \t") // HTTP does that to every field
				}
				if !sendable(changed.in, value) {
					continue
				}
				allowed := described.allows(t, changed.schema, value)
				if changed.opaque && allowed && value != "" {
					continue // only the gateway can say
				}
				if changed.name == "Last-Event-ID" && allowed {
					continue // begins a stream that does not end
				}
				a, err := o.send(p, &changed, value, o.body)
				if err == nil {
					err = judged(allowed, a, fmt.Sprintf("%s:%s", changed.in, changed.name))
				}
				if err != nil {
					t.Errorf("%s %s: %s %s %.80q: %v", o.method, o.path, changed.in, changed.name, value, err)
				}
				if allowed {
					taken++
				} else {
					refused++
				}
			}
		}
	}
	t.Logf("%d taken, %d refused", taken, refused)
	if taken < 500 || refused < 500 {
		t.Errorf("%d taken and %d refused are too few to prove anything", taken, refused)
	}
}

func TestBodiesAreTakenExactlyAsTheDocumentAllows(t *testing.T) {
	t.Parallel()
	p := start(t, 1, nil)
	taken, refused := 0, 0
	tried := map[string]bool{}
	for _, o := range operations(t) {
		if o.body == nil {
			continue
		}
		try := func(body any, place string) {
			allowed := described.validate(o.bodySchema, fromJSON(t, body)) == nil
			a, err := o.send(p, nil, "", body)
			if err == nil {
				err = judged(allowed, a, "pointer:#"+place)
			}
			if err != nil {
				text, _ := json.Marshal(body) // was marshalled before
				t.Errorf("%s %s: %.200s: %v", o.method, o.path, text, err)
			}
			if allowed {
				taken++
			} else {
				refused++
			}
		}
		vary(t, o.bodySchema, o.body, "", tried, try)
	}
	t.Logf("%d taken, %d refused", taken, refused)
	if taken < 500 || refused < 500 {
		t.Errorf("%d taken and %d refused are too few to prove anything", taken, refused)
	}
}

// sendable says whether the value can stand there at all: net/http itself answers other bytes, before any handler.
func sendable(in, value string) bool {
	switch in {
	case "header":
		return !strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
	case "path":
		return value != "" // the path of another route
	}
	return true
}

// allows judges the text of a parameter: that of a number is read as one.
func (d *document) allows(t *testing.T, schema, text string) bool {
	t.Helper()
	if d.validate(schema, text) == nil {
		return true
	}
	number := json.Number(text)
	if _, err := number.Float64(); err != nil || strings.Trim(text, "0123456789-.") != "" || strings.HasPrefix(text, "0") {
		return false
	}
	return d.validate(schema, number) == nil
}

func fromJSON(t *testing.T, value any) any {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	read, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return read
}

// vary tries bodies that differ from one that is allowed in one place.
func vary(t *testing.T, schema string, base any, place string, tried map[string]bool, try func(body any, place string)) {
	t.Helper()
	found, at := described.at(schema)
	object, _ := found.(map[string]any)
	for _, value := range values(t, at, tried) {
		try(value, place)
	}
	if items, is := object["items"]; is && items != nil {
		elements := base.([]any)
		least, most := bound(object, "minItems"), bound(object, "maxItems")
		for _, count := range []int{least - 1, least, most, most + 1} {
			try(slices.Repeat(elements[:1], count), place)
		}
		for _, element := range elements {
			vary(t, at+"/items", element, place+"/0", tried, func(body any, place string) { try([]any{body}, place) })
		}
		return
	}
	properties, _ := object["properties"].(map[string]any)
	members, _ := base.(map[string]any)
	with := func(name string, value any) map[string]any {
		changed := maps.Clone(members)
		changed[name] = value
		return changed
	}
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		inner := at + "/properties/" + name
		value, present := members[name]
		if !present {
			value = example(t, inner)
		}
		if most := bound(object, "maxProperties"); most == 1 {
			try(with(name, value), place)
			members := map[string]any{name: value}
			try(members, place)
			vary(t, inner, value, place+"/"+name, tried, func(body any, place string) { try(map[string]any{name: body}, place) })
			continue
		}
		try(with(name, value), place)
		beside := besides(t, at, with(name, value), name)
		put := func(name string, value any) map[string]any {
			changed := maps.Clone(beside)
			changed[name] = value
			return changed
		}
		try(beside, place)
		try(put(strings.ToUpper(name), value), place)
		vary(t, inner, value, place+"/"+name, tried, func(body any, place string) { try(put(name, body), place) })
	}
	if len(properties) > 0 {
		try(with("unknown", 1), place)
		try(map[string]any{}, place)
	}
}

// besides are the members beside one, without another where the two exclude each other.
func besides(t *testing.T, schema string, members map[string]any, name string) map[string]any {
	t.Helper()
	beside := maps.Clone(members)
	delete(beside, name)
	if described.validate(schema, fromJSON(t, members)) == nil {
		return beside
	}
	for other := range beside {
		fewer := maps.Clone(members)
		delete(fewer, other)
		if described.validate(schema, fromJSON(t, fewer)) == nil {
			delete(fewer, name)
			return fewer
		}
	}
	return beside
}

func bound(schema map[string]any, name string) int {
	number, _ := schema[name].(json.Number)
	count, _ := number.Int64()
	return int(count)
}

// example is any value that the schema allows.
func example(t *testing.T, schema string) any {
	t.Helper()
	for _, value := range values(t, schema, map[string]bool{schema: true}) {
		if described.validate(schema, fromJSON(t, value)) == nil {
			return value
		}
	}
	found, at := described.at(schema)
	object := map[string]any{}
	required, _ := found.(map[string]any)["required"].([]any)
	for _, name := range required {
		object[name.(string)] = example(t, at+"/properties/"+name.(string))
	}
	if oneOf, is := found.(map[string]any)["oneOf"].([]any); is { // of one member more
		for _, name := range oneOf[0].(map[string]any)["required"].([]any) {
			object[name.(string)] = example(t, at+"/properties/"+name.(string))
		}
	}
	return object
}

// values are some of each type, and those at the bounds of the schema.
func values(t *testing.T, schema string, tried map[string]bool) []any {
	t.Helper()
	all := []any{nil, true, json.Number("5"), json.Number("-1"), json.Number("0"), json.Number("2.5"), json.Number("5.0"), []any{}, []any{"x"}}
	_, at := described.at(schema)
	for _, text := range texts(t, at, tried) {
		all = append(all, text)
		if strings.Trim(text, "-0123456789") == "" && json.Valid([]byte(text)) {
			all = append(all, json.Number(text))
		}
	}
	return all
}

// texts are strings and numbers at both sides of each bound that the schema has, those of the schemas that it is made of
// included. In places that have a schema which another place had before, few of them are tried: the gateway reads both
// with the same code.
func texts(t *testing.T, schema string, tried map[string]bool) []string {
	t.Helper()
	_, at := described.at(schema)
	edges, beside := bounds(t, at)
	if tried[at] {
		return append(thin(edges, 15), thin(beside, 5)...)
	}
	tried[at] = true
	return append(edges, thin(beside, mostBeside)...)
}

// mostBeside is how many of a schema's texts beside its edges are tried. With 10,000 it is all of them.
const mostBeside = 250

// thin takes every nth, so that there are not many more than most of them.
func thin(all []string, most int) []string {
	kept := all[:0]
	for i, one := range all {
		if i%(len(all)/most+1) == 0 {
			kept = append(kept, one)
		}
	}
	return kept
}

// known are the results of bounds, by schema.
var known sync.Map

func bounds(t *testing.T, schema string) (edges, beside []string) {
	t.Helper()
	if found, is := known.Load(schema); is {
		both := found.([2][]string)
		return slices.Clone(both[0]), slices.Clone(both[1])
	}
	defer func() { known.Store(schema, [2][]string{slices.Clone(edges), slices.Clone(beside)}) }()
	found, at := described.at(schema)
	object, _ := found.(map[string]any)
	edges = []string{"", "x", "5"}
	for _, keyword := range []string{"anyOf", "oneOf", "allOf"} {
		branches, _ := object[keyword].([]any)
		for i := range branches {
			more, near := bounds(t, fmt.Sprintf("%s/%s/%d", at, keyword, i))
			edges, beside = append(edges, more...), append(beside, near...)
		}
	}
	if _, is := object["not"]; is {
		more, near := bounds(t, at+"/not")
		edges, beside = append(edges, more...), append(beside, near...)
	}
	if pattern, is := object["pattern"].(string); is {
		parsed, err := syntax.Parse(pattern, syntax.Perl)
		if err != nil {
			t.Fatal(err)
		}
		samples := matching(parsed)
		edges = append(edges, samples...)
		edges = append(edges, samples[0]+"\n") // what some readers pass over
		for _, sample := range samples {
			beside = append(beside, neighbours(sample)...)
		}
	}
	for _, name := range []string{"minLength", "maxLength"} {
		if _, is := object[name]; is {
			for _, length := range []int{bound(object, name) - 1, bound(object, name), bound(object, name) + 1} {
				edges = append(edges, strings.Repeat("a", max(length, 0)))
			}
		}
	}
	for _, name := range []string{"minimum", "maximum"} {
		if number, is := object[name].(json.Number); is {
			edges = append(edges, decimalNeighbours(number.String())...)
		}
	}
	list, _ := object["enum"].([]any)
	for _, value := range list {
		if text, is := value.(string); is {
			edges = append(edges, text)
			beside = append(beside, neighbours(text)...)
		}
	}
	slices.Sort(edges)
	slices.Sort(beside)
	return slices.Compact(edges), slices.Compact(beside)
}
