package settings

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/knadh/koanf/v2"
)

// Reader takes typed settings and keeps the first error, which names the setting.
type Reader struct {
	settings *koanf.Koanf
	err      error
}

// Fail notes an error of a setting; the first one counts.
func (r *Reader) Fail(name, format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("setting %s: %s", name, fmt.Sprintf(format, args...))
	}
}

// Text is a text without surrounding space; "" when it is not set.
func (r *Reader) Text(name string) string {
	switch value := r.settings.Get(name).(type) {
	case nil:
		return ""
	case string:
		return strings.TrimSpace(value)
	case int64, int, bool, float64, time.Duration:
		return fmt.Sprint(value)
	default:
		r.Fail(name, "must be text")
		return ""
	}
}

// List is a list of texts; as one text its parts are separated by commas.
func (r *Reader) List(name string) []string {
	var parts []string
	switch value := r.settings.Get(name).(type) {
	case nil:
	case []string:
		parts = value
	case []any:
		for _, part := range value {
			parts = append(parts, fmt.Sprint(part))
		}
	default:
		parts = strings.Split(fmt.Sprint(value), ",")
	}
	var list []string
	for _, part := range parts {
		if part = strings.TrimSpace(part); part != "" {
			list = append(list, part)
		}
	}
	return list
}

// Boolean is true or false.
func (r *Reader) Boolean(name string) bool {
	value, err := strconv.ParseBool(r.Text(name))
	if err != nil {
		r.Fail(name, "%q must be true or false", r.Text(name))
	}
	return value
}

// Number is an integer within bounds.
func (r *Reader) Number(name string, lowest, highest int64) int64 {
	value, err := strconv.ParseInt(r.Text(name), 10, 64)
	if err != nil || value < lowest || value > highest {
		r.Fail(name, "%q must be an integer from %d to %d", r.Text(name), lowest, highest)
	}
	return value
}

// Duration is a duration from 0 to the highest.
func (r *Reader) Duration(name string, highest time.Duration) time.Duration {
	value, err := time.ParseDuration(r.Text(name))
	if err != nil || value < 0 || value > highest {
		r.Fail(name, "%q must be a duration from 0s to %v, such as 2s", r.Text(name), highest)
	}
	return value
}

// OneOf is one of the allowed texts.
func (r *Reader) OneOf(name string, allowed ...string) string {
	value := r.Text(name)
	for _, a := range allowed {
		if value == a {
			return value
		}
	}
	r.Fail(name, "%q must be one of %s", value, strings.Join(allowed, ", "))
	return value
}

// Address is host:port.
func (r *Reader) Address(name string) string {
	value := r.Text(name)
	_, port, err := net.SplitHostPort(value)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		r.Fail(name, "%q must be host:port", value)
	}
	return value
}

// Err is the first error.
func (r *Reader) Err() error { return r.err }
