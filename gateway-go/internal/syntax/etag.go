package syntax

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Tags is what If-Match or If-None-Match says.
type Tags struct {
	// Any is "*".
	Any bool
	// Count is how many tags there are, whatever they are.
	Count int
	// Strong are the versions of strong tags, Weak those of weak ones, each in order. Tags that are not a version of
	// ours ("abc", "007") can match nothing and are left out.
	Strong, Weak []uint64
}

// FormatETag is a version as a strong entity tag.
func FormatETag(version uint64) string {
	var space [24]byte
	text := append(space[:0], '"')
	text = strconv.AppendUint(text, version, 10)
	return string(append(text, '"'))
}

// ParseTags reads the field's lines: "*" or a list of entity tags (RFC 9110, section 13.1).
func ParseTags(lines []string) (Tags, error) {
	var tags Tags
	rest := strings.Trim(strings.Join(lines, ","), " \t")
	if rest == "*" {
		tags.Any = true
		return tags, nil
	}
	for {
		rest = strings.TrimLeft(rest, " \t,") // empty list elements are allowed
		if rest == "" {
			break
		}
		weak := strings.HasPrefix(rest, "W/")
		if weak {
			rest = rest[2:]
		}
		opaque, after, err := cutTag(rest)
		if err != nil {
			return Tags{}, err
		}
		tags.Count++
		rest = strings.TrimLeft(after, " \t")
		if rest != "" && rest[0] != ',' {
			return Tags{}, fmt.Errorf("has %q behind a tag; tags are separated by commas", clip(rest))
		}
		version, ours := parseVersion(opaque)
		switch {
		case !ours:
		case weak:
			tags.Weak = append(tags.Weak, version)
		default:
			tags.Strong = append(tags.Strong, version)
		}
	}
	if tags.Count == 0 {
		return Tags{}, errors.New(`is empty; want "*" or entity tags in quotes`)
	}
	return tags, nil
}

// cutTag takes one quoted opaque tag off the front.
func cutTag(text string) (opaque, after string, err error) {
	if text == "" || text[0] != '"' {
		return "", "", fmt.Errorf(`%q is no entity tag; want "*" or tags in quotes, such as "5"`, clip(text))
	}
	for i := 1; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			return text[1:i], text[i+1:], nil
		case c < 0x21 || c == 0x7f:
			return "", "", fmt.Errorf("the entity tag %q has a character that is not allowed in one", clip(text))
		}
	}
	return "", "", fmt.Errorf("the entity tag %q has no closing quote", clip(text))
}

// parseVersion takes a canonical decimal above 0.
func parseVersion(opaque string) (uint64, bool) {
	version, err := strconv.ParseUint(opaque, 10, 64)
	if err != nil || version == 0 || opaque[0] == '0' || opaque[0] == '+' {
		return 0, false
	}
	return version, true
}

// clip keeps messages short.
func clip(text string) string {
	if len(text) > 40 {
		return text[:40] + "…"
	}
	return text
}
