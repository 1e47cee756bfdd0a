package syntax

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"bimetal.dev/contract"
	cachev1 "bimetal.dev/contract/gen/bimetal/cache/v1"
)

// maxSeconds keeps a TTL within time.Duration (292 years).
const maxSeconds = math.MaxInt64 / int64(time.Second)

// ParseTTL reads "never", "keep", or a positive integer with "ms" or "s".
func ParseTTL(text string) (*cachev1.Ttl, error) {
	switch text {
	case "never":
		return contract.NeverExpire(), nil
	case "keep":
		return contract.KeepTTL(), nil
	}
	duration, err := ParseDuration(text)
	if err != nil {
		return nil, fmt.Errorf(`%q is no TTL; want "never", "keep", or %w`, clip(text), err)
	}
	return contract.Expire(duration), nil
}

// ParseDuration reads a positive integer with "ms" or "s". The error reads as the continuation of "want".
func ParseDuration(text string) (time.Duration, error) {
	unit := time.Second
	digits, ok := strings.CutSuffix(text, "ms")
	if ok {
		unit = time.Millisecond
	} else if digits, ok = strings.CutSuffix(text, "s"); !ok {
		return 0, errors.New(`a positive integer with "ms" or "s"`)
	}
	count, err := parseDigits(digits)
	if err != nil || digits[0] == '0' {
		return 0, errors.New(`a positive integer with "ms" or "s"`)
	}
	if count > uint64(math.MaxInt64/int64(unit)) {
		return 0, errors.New("at most 292 years")
	}
	return time.Duration(count) * unit, nil
}

// FormatDuration writes what ParseDuration reads: whole seconds as such, else milliseconds, rounded up to one
// where that is still a time.Duration.
func FormatDuration(d time.Duration) string {
	if d%time.Second == 0 {
		return strconv.FormatInt(int64(d/time.Second), 10) + "s"
	}
	milliseconds := int64(d / time.Millisecond)
	if d%time.Millisecond > 0 {
		milliseconds++
	}
	milliseconds = min(milliseconds, math.MaxInt64/int64(time.Millisecond))
	return strconv.FormatInt(milliseconds, 10) + "ms"
}

// MaxAge finds max-age in the lines of Cache-Control; other directives mean nothing to a write. It says whether there
// is one, and its value, which must be a positive number of seconds.
func MaxAge(lines []string) (time.Duration, bool, error) {
	found := false
	var age time.Duration
	for _, line := range lines {
		for rest := line; rest != ""; {
			var directive string
			var closed bool
			if directive, rest, closed = cutDirective(rest); !closed {
				return 0, false, errors.New("has a quoted string without its end")
			}
			name, value, hasValue := strings.Cut(directive, "=")
			if !strings.EqualFold(strings.TrimSpace(name), "max-age") {
				continue
			}
			if found {
				return 0, false, errors.New("has max-age twice")
			}
			found = true
			value = strings.Trim(value, " \t")
			if len(value) >= 2 && value[0] == '"' && value[len(value)-1] == '"' {
				value = value[1 : len(value)-1] // RFC 9111, section 5.2: recipients take both forms
			}
			seconds, err := parseDigits(value)
			if !hasValue || err != nil || seconds == 0 || seconds > uint64(maxSeconds) {
				return 0, false, fmt.Errorf("max-age %q must be a positive number of seconds", clip(value))
			}
			age = time.Duration(seconds) * time.Second
		}
	}
	return age, found, nil
}

// cutDirective cuts at the first comma outside of quotes; closed says that they end.
func cutDirective(text string) (directive, rest string, closed bool) {
	quoted := false
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '\\' && quoted:
			i++
		case text[i] == '"':
			quoted = !quoted
		case text[i] == ',' && !quoted:
			return text[:i], text[i+1:], true
		}
	}
	return text, "", !quoted
}

func parseDigits(text string) (uint64, error) {
	if text == "" || strings.Trim(text, "0123456789") != "" {
		return 0, errors.New("not a decimal")
	}
	return strconv.ParseUint(text, 10, 64)
}
