package events

import (
	"encoding/base64"
	"maps"
	"slices"

	"bimetal.dev/contract"
	"bimetal.dev/gateway/internal/syntax"
)

// positions are how far a subscriber is, by node.
type positions map[string][]byte

// token is the id of an event: the positions of all nodes, opaque to clients. For each node, by name: one byte with the
// length of the name, the name, one byte with the length of the position, the position.
func (p positions) token() string {
	var raw []byte
	for _, name := range slices.Sorted(maps.Keys(p)) {
		raw = append(raw, byte(len(name)))
		raw = append(raw, name...)
		raw = append(raw, byte(len(p[name])))
		raw = append(raw, p[name]...)
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}

// parseToken is the inverse of token.
func parseToken(text string) (positions, bool) {
	raw, err := syntax.DecodeBase64(base64.RawURLEncoding, text)
	if err != nil {
		return nil, false
	}
	p := positions{}
	for len(raw) > 0 {
		var name, position []byte
		var ok bool
		if name, raw, ok = cut(raw); !ok || !contract.ValidNamespace(string(name)) {
			return nil, false
		}
		if position, raw, ok = cut(raw); !ok {
			return nil, false
		}
		p[string(name)] = position
	}
	return p, true
}

func cut(raw []byte) (part, rest []byte, ok bool) {
	if len(raw) == 0 || len(raw) < 1+int(raw[0]) {
		return nil, nil, false
	}
	return raw[1 : 1+raw[0]], raw[1+raw[0]:], true
}
