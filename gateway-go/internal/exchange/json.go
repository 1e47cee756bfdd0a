package exchange

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"bimetal.dev/contract"
	"bimetal.dev/gateway/internal/problem"
	"github.com/go-json-experiment/json/jsontext"
)

// Reading of JSON is as strict as the OpenAPI document, where encoding/json is not: names of members are compared
// exactly, none stands there twice, no type is taken for another, and null is a value like others, which is not the
// same as absent. A misread member of a write would store something else than was meant. A body is read once, from its
// begin to its end, and only what is kept of it is copied.

// Reader takes the next JSON value.
type Reader func(d *jsontext.Decoder) error

// maxMemberName is how much of an unknown name is repeated in an error.
const maxMemberName = 64

// DecodeJSON reads a body that is one JSON text. Anything else is MALFORMED_BODY; what the reader does not want is
// INVALID_ARGUMENT.
func DecodeJSON(body []byte, read Reader) error {
	// Of a value that is stored as it is, only the syntax matters; an object that is read looks for itself.
	twiceIsFine := jsontext.AllowDuplicateNames(true)
	d := jsontext.NewDecoder(bytes.NewBuffer(body), twiceIsFine)
	err := read(d)
	if err == nil {
		if _, err = d.ReadToken(); errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = errors.New("there is more behind it")
		}
	}
	// Whatever else is wrong with it: what is no JSON is told first.
	if whole := jsontext.NewDecoder(bytes.NewBuffer(body), twiceIsFine).SkipValue(); whole != nil {
		err = whole
	}
	var own *contract.Error
	if errors.As(err, &own) {
		return err
	}
	return contract.Errorf(contract.MalformedBody, "the body is no JSON text: %s", strings.TrimPrefix(err.Error(), "jsontext: "))
}

// Place is where the value that was read last stands: a JSON pointer as a URI fragment, which is what an error names.
func Place(d *jsontext.Decoder) string { return fragment(d.StackPointer()) }

func fragment(pointer jsontext.Pointer) string {
	u := url.URL{Fragment: string(pointer)}
	return "#" + u.EscapedFragment()
}

// Object reads an object; member tells how a member of that name is read, nil for a name that it may not have.
func Object(member func(name string) Reader, required ...string) Reader {
	return func(d *jsontext.Decoder) error {
		if d.PeekKind() != '{' {
			return wrongType(d, "an object")
		}
		if _, err := d.ReadToken(); err != nil {
			return err
		}
		var room [8]string // as many as most objects have
		seen := room[:0]
		for d.PeekKind() != '}' {
			token, err := d.ReadToken()
			if err != nil {
				return err
			}
			name := token.String()
			read := member(name)
			switch {
			case read == nil && len(name) > maxMemberName:
				return problem.Invalid("", fragment(d.StackPointer().Parent()),
					"has a member with a name of %d bytes, which is not a field of this object", len(name))
			case read == nil:
				return problem.Invalid("", Place(d), "is not a field of this object")
			case slices.Contains(seen, name):
				return problem.Invalid("", Place(d), "stands there twice")
			}
			seen = append(seen, name)
			if err := read(d); err != nil {
				return err
			}
		}
		if _, err := d.ReadToken(); err != nil {
			return err
		}
		for _, name := range required {
			if !slices.Contains(seen, name) {
				return problem.Invalid("", Place(d)+"/"+name, "is missing")
			}
		}
		return nil
	}
}

// Array reads the elements of an array, of which there must be 1 to most.
func Array(most int, element Reader) Reader {
	return func(d *jsontext.Decoder) error {
		if d.PeekKind() != '[' {
			return wrongType(d, "an array")
		}
		if _, err := d.ReadToken(); err != nil {
			return err
		}
		count := 0
		for ; d.PeekKind() != ']'; count++ {
			read := element
			if count >= most {
				read = (*jsontext.Decoder).SkipValue
			}
			if err := read(d); err != nil {
				return err
			}
		}
		if _, err := d.ReadToken(); err != nil {
			return err
		}
		if count == 0 || count > most {
			return problem.Invalid("", Place(d), "must have 1 to %d elements, has %d", most, count)
		}
		return nil
	}
}

// Text reads a string by its own small language; the error of parse is what is wrong with it.
func Text[T any](into *T, parse func(text string) (T, error)) Reader {
	return func(d *jsontext.Decoder) error {
		if d.PeekKind() != '"' {
			return wrongType(d, "a string")
		}
		token, err := d.ReadToken()
		if err != nil {
			return err
		}
		parsed, err := parse(token.String())
		if err != nil {
			return problem.Invalid("", Place(d), "%v", err)
		}
		*into = parsed
		return nil
	}
}

// Flag reads true or false.
func Flag(into *bool) Reader {
	return func(d *jsontext.Decoder) error {
		if kind := d.PeekKind(); kind != 't' && kind != 'f' {
			return wrongType(d, "true or false")
		}
		token, err := d.ReadToken()
		if err == nil {
			*into = token.Bool()
		}
		return err
	}
}

// Raw keeps any value as it is written.
func Raw(into *[]byte) Reader {
	return func(d *jsontext.Decoder) error {
		value, err := d.ReadValue()
		*into = bytes.Clone(value)
		return err
	}
}

// Signed reads a signed 64-bit integer: canonical decimal in a string, as ProtoJSON writes it, or a number.
func Signed(into *int64) Reader {
	return integer(into, "signed", func(decimal string) (int64, string, error) {
		value, err := strconv.ParseInt(decimal, 10, 64)
		return value, strconv.FormatInt(value, 10), err
	})
}

// Unsigned reads an unsigned one.
func Unsigned(into **uint64) Reader {
	return integer(into, "unsigned", func(decimal string) (*uint64, string, error) {
		value, err := strconv.ParseUint(decimal, 10, 64)
		return &value, strconv.FormatUint(value, 10), err
	})
}

// integer reads one; parse answers it and its canonical decimal.
func integer[T any](into *T, kind string, parse func(decimal string) (T, string, error)) Reader {
	return func(d *jsontext.Decoder) error {
		text, err := d.ReadValue()
		if err != nil {
			return err
		}
		decimal, ok := decimalOf(text)
		value, canonical, err := parse(decimal)
		if !ok || err != nil || canonical != decimal {
			return problem.Invalid("", Place(d), "%.40s is no %s 64-bit integer; want a decimal string", text, kind)
		}
		*into = value
		return nil
	}
}

// decimalOf is what a string says, or the decimal of a number that is an integer, however that is written: 5.0 and
// 50e-1 are 5, in JSON Schema, too.
func decimalOf(text jsontext.Value) (string, bool) {
	switch text[0] {
	case '"':
		value, err := jsontext.AppendUnquote(nil, text)
		return string(value), err == nil
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

// wrongType is the error of the next value, whose type is another than the one wanted.
func wrongType(d *jsontext.Decoder, want string) error {
	value, err := d.ReadValue()
	if err != nil {
		return err
	}
	kind := map[jsontext.Kind]string{
		'{': "object", '[': "array", '"': "string", 't': "boolean", 'f': "boolean", 'n': "null", '0': "number",
	}[value.Kind()]
	return problem.Invalid("", Place(d), "has the JSON type %s, want %s", kind, want)
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
