package exchange

import (
	"net/http"
	"strconv"

	"bimetal.dev/gateway/internal/problem"
)

// Int64 is a signed 64-bit integer in JSON: a decimal string, as ProtoJSON writes it, or a number. What is wrong with
// it is told by At, which knows the place.
type Int64 struct {
	value int64
	wrong string
}

// UnmarshalJSON implements json.Unmarshaler.
func (i *Int64) UnmarshalJSON(text []byte) error {
	value, err := strconv.ParseInt(unquote(text), 10, 64)
	*i = Int64{value: value}
	if err != nil {
		i.wrong = string(text)
	}
	return nil
}

// At is the integer; nil is 0.
func (i *Int64) At(place string) (int64, error) {
	if i == nil {
		return 0, nil
	}
	if i.wrong != "" {
		return 0, problem.Invalid("", place, "%.40s is no signed 64-bit integer; want a decimal string", i.wrong)
	}
	return i.value, nil
}

// Uint64 is an unsigned one.
type Uint64 struct {
	value uint64
	wrong string
}

// UnmarshalJSON implements json.Unmarshaler.
func (i *Uint64) UnmarshalJSON(text []byte) error {
	value, err := strconv.ParseUint(unquote(text), 10, 64)
	*i = Uint64{value: value}
	if err != nil {
		i.wrong = string(text)
	}
	return nil
}

// At is the integer; nil is 0.
func (i *Uint64) At(place string) (uint64, error) {
	if i == nil {
		return 0, nil
	}
	if i.wrong != "" {
		return 0, problem.Invalid("", place, "%.40s is no unsigned 64-bit integer; want a decimal string", i.wrong)
	}
	return i.value, nil
}

func unquote(text []byte) string {
	if len(text) >= 2 && text[0] == '"' && text[len(text)-1] == '"' {
		return string(text[1 : len(text)-1])
	}
	return string(text)
}

// WriteJSON answers a JSON body that is made already.
func WriteJSON(w http.ResponseWriter, status int, body []byte) {
	header := w.Header()
	header["Content-Type"] = []string{"application/json"}
	header["X-Content-Type-Options"] = []string{"nosniff"}
	header["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(status)
	_, _ = w.Write(body) // a caller that has gone cannot be told
}
