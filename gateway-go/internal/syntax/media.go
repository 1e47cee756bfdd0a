package syntax

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// MaxContentTypeBytes is the length of the longest media type that is stored.
const MaxContentTypeBytes = 127

// CheckContentType says whether a media type can be stored: up to 127 bytes of printable ASCII.
func CheckContentType(text string) error {
	if len(text) > MaxContentTypeBytes {
		return fmt.Errorf("has %d bytes; at most %d are stored", len(text), MaxContentTypeBytes)
	}
	for i := range len(text) {
		if text[i] < 0x20 || text[i] > 0x7e {
			return fmt.Errorf("has the byte 0x%02x; only printable ASCII is stored", text[i])
		}
	}
	return nil
}

// IsJSON says whether a media type is application/json or ends in +json; parameters do not matter.
func IsJSON(contentType string) bool {
	essence := Essence(contentType)
	return essence == "application/json" || strings.HasSuffix(essence, "+json") && strings.IndexByte(essence, '/') > 0
}

// Essence is a media type in lower case without its parameters.
func Essence(contentType string) string {
	essence, _, _ := strings.Cut(contentType, ";")
	return strings.ToLower(strings.Trim(essence, " \t"))
}

// IsJSONText says whether the bytes are exactly one JSON text in UTF-8 (RFC 8259), so that they can stand inside another.
func IsJSONText(value []byte) bool { return utf8.Valid(value) && json.Valid(value) }

// Accepts is what an Accept field allows.
type Accepts struct{ ranges []mediaRange }

type mediaRange struct {
	essence string
	quality float64
}

// ParseAccept reads the lines of Accept. Ranges that make no sense are passed over, as RFC 9110 leaves open.
func ParseAccept(lines []string) Accepts {
	var accepts Accepts
	for _, line := range lines {
		for rest := line; rest != ""; {
			var element string
			element, rest, _ = cutDirective(rest)
			essence, parameters, _ := strings.Cut(element, ";")
			essence = strings.ToLower(strings.Trim(essence, " \t"))
			if strings.Count(essence, "/") != 1 {
				continue
			}
			quality := 1.0
			for parameter := range strings.SplitSeq(parameters, ";") {
				name, value, _ := strings.Cut(strings.Trim(parameter, " \t"), "=")
				if strings.EqualFold(name, "q") {
					if q, err := strconv.ParseFloat(value, 64); err == nil && q >= 0 && q <= 1 {
						quality = q
					}
				}
			}
			accepts.ranges = append(accepts.ranges, mediaRange{essence, quality})
		}
	}
	return accepts
}

// Names says whether the type itself stands there, not only a range that covers it.
func (a Accepts) Names(essence string) bool {
	for _, r := range a.ranges {
		if r.essence == essence && r.quality > 0 {
			return true
		}
	}
	return false
}

// Allows says whether the type is acceptable; without the field everything is. The most specific range decides.
func (a Accepts) Allows(essence string) bool {
	if len(a.ranges) == 0 {
		return true
	}
	major, _, _ := strings.Cut(essence, "/")
	for _, candidate := range []string{essence, major + "/*", "*/*"} {
		for _, r := range a.ranges {
			if r.essence == candidate {
				return r.quality > 0
			}
		}
	}
	return false
}
