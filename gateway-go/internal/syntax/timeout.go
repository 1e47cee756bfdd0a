package syntax

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// The range of Request-Timeout and its value when the field is absent.
const (
	MinRequestTimeout     = time.Millisecond
	MaxRequestTimeout     = 60 * time.Second
	DefaultRequestTimeout = 5 * time.Second
)

// ParseRequestTimeout reads decimal seconds, 0.001 to 60, such as "0.25".
func ParseRequestTimeout(text string) (time.Duration, error) {
	wrong := fmt.Errorf("%q must be decimal seconds, 0.001 to 60", clip(text))
	whole, fraction, dotted := strings.Cut(text, ".")
	if len(whole) == 0 || len(whole) > 2 || strings.Trim(whole+fraction, "0123456789") != "" ||
		dotted && (len(fraction) == 0 || len(fraction) > 9) {
		return 0, wrong
	}
	seconds, err := strconv.ParseInt(whole, 10, 64)
	if err != nil {
		return 0, wrong
	}
	timeout := time.Duration(seconds) * time.Second
	if dotted {
		nanoseconds, err := strconv.ParseInt(fraction+strings.Repeat("0", 9-len(fraction)), 10, 64)
		if err != nil {
			return 0, wrong
		}
		timeout += time.Duration(nanoseconds)
	}
	if timeout < MinRequestTimeout || timeout > MaxRequestTimeout {
		return 0, wrong
	}
	return timeout, nil
}
