package syntax

import (
	"errors"
	"fmt"
	"strings"
)

// DecodeSegment decodes the percent-escapes of one path segment or query value, once. "+" is a plus.
func DecodeSegment(raw string) ([]byte, error) {
	if strings.IndexByte(raw, '%') < 0 {
		return []byte(raw), nil
	}
	decoded := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); i++ {
		if raw[i] != '%' {
			decoded = append(decoded, raw[i])
			continue
		}
		if i+2 >= len(raw) {
			return nil, fmt.Errorf("the escape %q is cut off; want %% and two hexadecimal digits", raw[i:])
		}
		high, low := unhex(raw[i+1]), unhex(raw[i+2])
		if high < 0 || low < 0 {
			return nil, fmt.Errorf("%q is no escape; want %% and two hexadecimal digits", raw[i:i+3])
		}
		decoded = append(decoded, byte(high<<4|low))
		i += 2
	}
	return decoded, nil
}

// EncodeSegment is the inverse of DecodeSegment: everything but the unreserved characters of RFC 3986 is escaped.
func EncodeSegment(key []byte) string {
	const digits = "0123456789ABCDEF"
	var encoded strings.Builder
	for _, c := range key {
		if unreserved(c) {
			encoded.WriteByte(c)
			continue
		}
		encoded.WriteByte('%')
		encoded.WriteByte(digits[c>>4])
		encoded.WriteByte(digits[c&15])
	}
	return encoded.String()
}

// Query reads a raw query string. A name may stand there once; names and values are decoded as path segments are.
func Query(raw string) (map[string]string, error) {
	if raw == "" {
		return nil, nil
	}
	if strings.IndexByte(raw, ';') >= 0 {
		return nil, errors.New("has a semicolon; parameters are separated by &, a semicolon in a value is %3B")
	}
	parameters := map[string]string{}
	for part := range strings.SplitSeq(raw, "&") {
		if part == "" {
			continue
		}
		rawName, rawValue, _ := strings.Cut(part, "=")
		name, err := DecodeSegment(rawName)
		if err != nil {
			return nil, err
		}
		value, err := DecodeSegment(rawValue)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if _, twice := parameters[string(name)]; twice {
			return nil, fmt.Errorf("%q stands there twice", name)
		}
		parameters[string(name)] = string(value)
	}
	return parameters, nil
}

func unreserved(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '.' || c == '_' || c == '~'
}

func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
