package exchange

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"bimetal.dev/contract"
	"bimetal.dev/gateway/internal/problem"
)

// Reading of JSON is as strict as the OpenAPI document, where encoding/json is not: names of members are compared
// exactly, none stands there twice, no type is taken for another, and null is a value like others, which is not the
// same as absent. A misread member of a write would store something else than was meant.

// Reader takes one JSON value, whose text is known to be valid. place is where it stands: a JSON pointer as a URI
// fragment, which is what an error names.
type Reader func(text json.RawMessage, place string) error

// Members are the members that an object may have.
type Members map[string]Reader

// maxMemberName is how much of an unknown name is repeated in an error.
const maxMemberName = 64

// DecodeJSON reads a body that is one JSON text. Anything else is MALFORMED_BODY; what the reader does not want is
// INVALID_ARGUMENT.
func DecodeJSON(body []byte, read Reader) error {
	var text json.RawMessage
	err := json.Unmarshal(body, &text)
	var malformed *json.SyntaxError
	switch {
	case errors.As(err, &malformed):
		return contract.Errorf(contract.MalformedBody, "the body is no JSON text: %v at byte %d", malformed, malformed.Offset)
	case err != nil:
		return contract.Errorf(contract.MalformedBody, "the body is no JSON text: %v", err)
	case !utf8.Valid(body):
		return contract.Errorf(contract.MalformedBody, "the body is no JSON text: it is not in UTF-8")
	}
	return read(text, "#")
}

// Object reads an object.
func Object(members Members, required ...string) Reader {
	return func(text json.RawMessage, place string) error {
		decoder := json.NewDecoder(bytes.NewReader(text))
		if begin, err := decoder.Token(); err != nil || begin != json.Delim('{') {
			return wrongType(text, place, "an object")
		}
		seen := make([]string, 0, len(members))
		for decoder.More() {
			token, err := decoder.Token()
			name, isName := token.(string)
			if err != nil || !isName {
				return contract.Errorf(contract.Internal, "a member of valid JSON has no name").Because(err)
			}
			read, known := members[name]
			switch {
			case !known && len(name) > maxMemberName:
				return problem.Invalid("", place, "has a member with a name of %d bytes, which is not a field of this object", len(name))
			case !known:
				return problem.Invalid("", place+"/"+pointerPart(name), "is not a field of this object")
			case slices.Contains(seen, name):
				return problem.Invalid("", place+"/"+name, "stands there twice")
			}
			seen = append(seen, name)
			var value json.RawMessage
			if err := decoder.Decode(&value); err != nil {
				return contract.Errorf(contract.Internal, "a member of valid JSON cannot be read").Because(err)
			}
			if err := read(value, place+"/"+name); err != nil {
				return err
			}
		}
		for _, name := range required {
			if !slices.Contains(seen, name) {
				return problem.Invalid("", place+"/"+name, "is missing")
			}
		}
		return nil
	}
}

// Array reads the elements of an array, of which there must be 1 to most.
func Array(most int, element Reader) Reader {
	return func(text json.RawMessage, place string) error {
		if text[0] != '[' {
			return wrongType(text, place, "an array")
		}
		var elements []json.RawMessage
		if err := json.Unmarshal(text, &elements); err != nil {
			return contract.Errorf(contract.Internal, "valid JSON cannot be read").Because(err)
		}
		if len(elements) == 0 || len(elements) > most {
			return problem.Invalid("", place, "must have 1 to %d elements, has %d", most, len(elements))
		}
		for i, one := range elements {
			if err := element(one, place+"/"+strconv.Itoa(i)); err != nil {
				return err
			}
		}
		return nil
	}
}

// Text reads a string by its own small language; the error of parse is what is wrong with it.
func Text[T any](into *T, parse func(text string) (T, error)) Reader {
	return func(text json.RawMessage, place string) error {
		var value string
		if text[0] != '"' {
			return wrongType(text, place, "a string")
		}
		if err := json.Unmarshal(text, &value); err != nil {
			return contract.Errorf(contract.Internal, "valid JSON cannot be read").Because(err)
		}
		parsed, err := parse(value)
		if err != nil {
			return problem.Invalid("", place, "%v", err)
		}
		*into = parsed
		return nil
	}
}

// Flag reads true or false.
func Flag(into *bool) Reader {
	return func(text json.RawMessage, place string) error {
		if text[0] != 't' && text[0] != 'f' {
			return wrongType(text, place, "true or false")
		}
		*into = text[0] == 't'
		return nil
	}
}

// Raw keeps any value as it is written.
func Raw(into *json.RawMessage) Reader {
	return func(text json.RawMessage, _ string) error {
		*into = text
		return nil
	}
}

// Signed reads a signed 64-bit integer: canonical decimal in a string, as ProtoJSON writes it, or a number.
func Signed(into *int64) Reader {
	return func(text json.RawMessage, place string) error {
		decimal, ok := decimalOf(text)
		value, err := strconv.ParseInt(decimal, 10, 64)
		if !ok || err != nil || strconv.FormatInt(value, 10) != decimal {
			return problem.Invalid("", place, "%.40s is no signed 64-bit integer; want a decimal string", text)
		}
		*into = value
		return nil
	}
}

// Unsigned reads an unsigned one.
func Unsigned(into **uint64) Reader {
	return func(text json.RawMessage, place string) error {
		decimal, ok := decimalOf(text)
		value, err := strconv.ParseUint(decimal, 10, 64)
		if !ok || err != nil || strconv.FormatUint(value, 10) != decimal {
			return problem.Invalid("", place, "%.40s is no unsigned 64-bit integer; want a decimal string", text)
		}
		*into = &value
		return nil
	}
}

// decimalOf is what a string says, or the decimal of a number that is an integer, however that is written: 5.0 and
// 50e-1 are 5, in JSON Schema, too.
func decimalOf(text json.RawMessage) (string, bool) {
	switch text[0] {
	case '"':
		var value string
		err := json.Unmarshal(text, &value)
		return value, err == nil
	case '{', '[', 't', 'f', 'n':
		return "", false
	}
	number, sign := string(text), ""
	if number[0] == '-' {
		number, sign = number[1:], "-"
	}
	shift := 0 // powers of ten to multiply the digits by
	if at := strings.IndexAny(number, "eE"); at >= 0 {
		exponent, err := strconv.Atoi(number[at+1:])
		if err != nil {
			return "", false
		}
		number, shift = number[:at], exponent
	}
	whole, fraction, _ := strings.Cut(number, ".")
	digits := strings.TrimLeft(whole+fraction, "0")
	significant := strings.TrimRight(digits, "0")
	shift += len(digits) - len(significant) - len(fraction)
	const longest = 20 // digits of 2^64
	switch {
	case significant == "":
		return "0", true
	case shift < 0 || shift > longest:
		return "", false
	}
	return sign + significant + strings.Repeat("0", shift), true
}

func wrongType(text json.RawMessage, place, want string) error {
	kind, named := map[byte]string{'{': "object", '[': "array", '"': "string", 't': "boolean", 'f': "boolean", 'n': "null"}[text[0]]
	if !named {
		kind = "number"
	}
	return problem.Invalid("", place, "has the JSON type %s, want %s", kind, want)
}

// pointerPart is a name as a part of a JSON pointer in a URI fragment.
func pointerPart(name string) string {
	fragment := url.URL{Fragment: strings.NewReplacer("~", "~0", "/", "~1").Replace(name)}
	return fragment.EscapedFragment()
}

// ReadJSON reads a small JSON body.
func (b *Bodies) ReadJSON(w http.ResponseWriter, r *http.Request, limit int64, read Reader, mediaTypes ...string) error {
	if err := WantMediaType(r, append(mediaTypes, "application/json")...); err != nil {
		return err
	}
	body, release, err := b.Read(w, r, limit)
	defer release()
	if err != nil {
		return err
	}
	return DecodeJSON(body, read)
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
