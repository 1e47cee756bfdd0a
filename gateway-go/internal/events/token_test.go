package events

import (
	"maps"
	"testing"
)

func FuzzParseToken(f *testing.F) {
	f.Add("")
	f.Add("AAA")
	f.Add(positions{"cache-0": []byte("0123456789"), "cache-1": {}}.token())
	f.Fuzz(func(t *testing.T, text string) {
		p, ok := parseToken(text)
		if !ok {
			return
		}
		again, ok := parseToken(p.token())
		if !ok || !maps.EqualFunc(p, again, func(a, b []byte) bool { return string(a) == string(b) }) {
			t.Fatalf("%q: %v came back as %v", text, p, again)
		}
	})
}
