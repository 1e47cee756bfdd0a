package syntax_test

import (
	"bytes"
	"net/url"
	"strings"
	"testing"
	"time"

	"bimetal.dev/gateway/internal/syntax"
)

func TestSegmentsAreDecodedOnceAndEncodedBack(t *testing.T) {
	for raw, want := range map[string]string{
		"a": "a", "a+b": "a+b", "%2F": "/", "%252F": "%2F", "%00%ff": "\x00\xff", "": "",
	} {
		if got, err := syntax.DecodeSegment(raw); err != nil || string(got) != want {
			t.Errorf("%q: %q, %v", raw, got, err)
		}
	}
	for _, raw := range []string{"%", "%2", "%zz", "a%", "%%41"} {
		if got, err := syntax.DecodeSegment(raw); err == nil {
			t.Errorf("%q: %q, want an error", raw, got)
		}
	}
}

func FuzzDecodeSegment(f *testing.F) {
	for _, seed := range []string{"a", "%2F", "%252F", "%", "a+b", "%00%FF", "é"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		decoded, err := syntax.DecodeSegment(raw)
		want, wantErr := url.PathUnescape(raw)
		if (err == nil) != (wantErr == nil) || err == nil && string(decoded) != want {
			t.Fatalf("%q: %q, %v; net/url says %q, %v", raw, decoded, err, want, wantErr)
		}
		if err != nil {
			return
		}
		again, err := syntax.DecodeSegment(syntax.EncodeSegment(decoded))
		if err != nil || !bytes.Equal(again, decoded) {
			t.Fatalf("%q came back as %q, %v", decoded, again, err)
		}
	})
}

func FuzzQuery(f *testing.F) {
	for _, seed := range []string{"", "ttl=5s", "a=1&b=2", "a&a", "a=%zz", "&&", "=x", "a;b", "prefix=a+b%20"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		if parameters, err := syntax.Query(raw); err == nil && len(parameters) > strings.Count(raw, "&")+1 {
			t.Fatalf("%q: %v", raw, parameters)
		}
	})
}

func FuzzParseTags(f *testing.F) {
	for _, seed := range []string{`*`, `"5"`, `W/"5"`, `"5", "6"`, `"`, `5`, `"0"`, `"05"`, `"18446744073709551615"`, `,,"1",`, "\"a\x7f\"", `* , "1"`, ""} {
		f.Add(seed, "")
		f.Add(seed, `"7"`)
	}
	f.Fuzz(func(t *testing.T, first, second string) {
		tags, err := syntax.ParseTags([]string{first, second})
		if err != nil {
			if tags.Any || tags.Strong != nil || tags.Weak != nil {
				t.Fatalf("an error with a result: %v", tags)
			}
			return
		}
		for _, version := range tags.Strong {
			if version == 0 || !strings.Contains(first+","+second, syntax.FormatETag(version)) {
				t.Fatalf("%q, %q: %d does not stand there", first, second, version)
			}
		}
	})
}

func FuzzParseTTL(f *testing.F) {
	for _, seed := range []string{"never", "keep", "5s", "5ms", "0s", "-1s", "1.5s", "9223372036s", "9223372037s", "9223372036855ms", "s", "ms", "05s", "+5s"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		duration, err := syntax.ParseDuration(text)
		if err != nil {
			return
		}
		if duration < time.Millisecond {
			t.Fatalf("%q: %v", text, duration)
		}
		if again, err := syntax.ParseDuration(syntax.FormatDuration(duration)); err != nil || again != duration {
			t.Fatalf("%q: %v came back as %v, %v", text, duration, again, err)
		}
		if ttl, err := syntax.ParseTTL(text); err != nil || ttl.GetRelative().AsDuration() != duration {
			t.Fatalf("%q: %v, %v", text, ttl, err)
		}
	})
}

func FuzzMaxAge(f *testing.F) {
	for _, seed := range []string{"max-age=5", "MAX-AGE=5", `max-age="5"`, "no-store, max-age=5", "max-age", "max-age=0", `a="x,max-age=5"`, `"\",max-age=1`, "max-age=1,max-age=2", "max-age=99999999999999999999"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		age, found, err := syntax.MaxAge([]string{line})
		if err == nil && found != (age > 0) {
			t.Fatalf("%q: %v, %v", line, age, found)
		}
	})
}

func TestMaxAgeInsideOfAQuotedStringIsNone(t *testing.T) {
	if age, found, err := syntax.MaxAge([]string{`ext="a, max-age=5"`}); found || err != nil {
		t.Errorf("%v, %v", age, err)
	}
}

func FuzzParseRequestTimeout(f *testing.F) {
	for _, seed := range []string{"5", "0.001", "0.0009", "60", "60.000000001", "00.5", "1e1", "-1", "", ".", "1.", ".1", "0x1", "٣"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		timeout, err := syntax.ParseRequestTimeout(text)
		if err == nil && (timeout < time.Millisecond || timeout > time.Minute || len(text) > 12) {
			t.Fatalf("%q: %v", text, timeout)
		}
	})
}

func FuzzParseAccept(f *testing.F) {
	for _, seed := range []string{"", "*/*", "text/event-stream", "text/event-stream;q=0", "application/json;q=0.5, text/*", "x", `a/b;c="d,e/f"`, ";;;q=2"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		accepts := syntax.ParseAccept([]string{line})
		if accepts.Names("text/event-stream") && !strings.Contains(strings.ToLower(line), "text/event-stream") {
			t.Fatalf("%q names what does not stand there", line)
		}
	})
}

func TestAcceptDecidesByTheMostSpecificRange(t *testing.T) {
	for _, c := range []struct {
		line          string
		allows, names bool
	}{
		{"", true, false},
		{"*/*", true, false},
		{"application/json", true, true},
		{"application/*", true, false},
		{"text/html", false, false},
		{"application/json;q=0, */*", false, false},
		{"*/*;q=0", false, false},
		{"TEXT/x, APPLICATION/JSON; q=0.1", true, true},
	} {
		accepts := syntax.ParseAccept([]string{c.line})
		if accepts.Allows("application/json") != c.allows || accepts.Names("application/json") != c.names {
			t.Errorf("%q: allows %v, names %v", c.line, accepts.Allows("application/json"), accepts.Names("application/json"))
		}
	}
}

func TestOnlyWholeJSONTextsAreSpliced(t *testing.T) {
	for text, want := range map[string]bool{
		`{"a": 1}`: true, ` 5 `: true, `null`: true, `"é"`: true, ``: false, `{} {}`: false, `{`: false, "\ufeff{}": false,
		"\"\xff\"": false, `01`: false, `{"a":1,}`: false, strings.Repeat("[", 20000): false,
	} {
		if syntax.IsJSONText([]byte(text)) != want {
			t.Errorf("%.40q: want %v", text, want)
		}
	}
	for contentType, want := range map[string]bool{
		"application/json": true, "Application/JSON; charset=utf-8": true, "application/problem+json": true, "text/json": false,
		"+json": false, "": false, "application/jsonl": false,
	} {
		if syntax.IsJSON(contentType) != want {
			t.Errorf("%q: want %v", contentType, want)
		}
	}
}
