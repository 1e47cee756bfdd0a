package exchange_test

import (
	"errors"
	"strings"
	"testing"

	"bimetal.dev/contract"
	"bimetal.dev/gateway/internal/exchange"
	"github.com/go-json-experiment/json/jsontext"
)

// sample is read from {"text", "flag", "signed", "unsigned", "raw", "list"}.
type sample struct {
	text     string
	flag     bool
	signed   int64
	unsigned *uint64
	raw      []byte
	list     []string
}

func read(body string) (sample, error) {
	var s sample
	same := func(text string) (string, error) { return text, nil }
	return s, exchange.DecodeJSON([]byte(body), exchange.Object(func(name string) exchange.Reader {
		switch name {
		case "text":
			return exchange.Text(&s.text, same)
		case "flag":
			return exchange.Flag(&s.flag)
		case "signed":
			return exchange.Signed(&s.signed)
		case "unsigned":
			return exchange.Unsigned(&s.unsigned)
		case "raw":
			return exchange.Raw(&s.raw)
		case "list":
			return exchange.Array(2, func(d *jsontext.Decoder) error {
				value, err := d.ReadValue()
				s.list = append(s.list, exchange.Place(d)+"="+string(value))
				return err
			})
		}
		return nil
	}, "text"))
}

func TestJSONIsReadStrictly(t *testing.T) {
	for _, c := range []struct{ name, body, reason, place string }{
		{"null for text", `{"text":null}`, "INVALID_ARGUMENT", "#/text"},
		{"null for a flag", `{"text":"","flag":null}`, "INVALID_ARGUMENT", "#/flag"},
		{"null for an integer", `{"text":"","signed":null}`, "INVALID_ARGUMENT", "#/signed"},
		{"null for an array", `{"text":"","list":null}`, "INVALID_ARGUMENT", "#/list"},
		{"null for the object", `null`, "INVALID_ARGUMENT", "#"},
		{"another case", `{"Text":""}`, "INVALID_ARGUMENT", "#/Text"},
		{"an unknown name that a pointer escapes", `{"text":"","a/b~ c":1}`, "INVALID_ARGUMENT", "#/a~1b~0%20c"},
		{"an endless unknown name", `{"text":"","` + strings.Repeat("x", 1000) + `":1}`, "INVALID_ARGUMENT", "#"},
		{"a name that stands there twice", `{"text":"","flag":true,"flag":false}`, "INVALID_ARGUMENT", "#/flag"},
		{"a name that is missing", `{}`, "INVALID_ARGUMENT", "#/text"},
		{"too many", `{"text":"","list":[1,2,3]}`, "INVALID_ARGUMENT", "#/list"},
		{"none", `{"text":"","list":[]}`, "INVALID_ARGUMENT", "#/list"},
		{"more behind it", `{"text":""} {}`, "MALFORMED_BODY", ""},
		{"cut off", `{"text":""`, "MALFORMED_BODY", ""},
		{"nothing", ``, "MALFORMED_BODY", ""},
		{"another encoding", "{\"text\":\"\xff\"}", "MALFORMED_BODY", ""},
	} {
		_, err := read(c.body)
		var own *contract.Error
		if !errors.As(err, &own) || own.Spec().Name != c.reason {
			t.Errorf("%s: %v, want %s", c.name, err, c.reason)
			continue
		}
		var place string
		for _, violation := range own.Detail.GetViolations() {
			place = violation.GetField()
		}
		if place != c.place {
			t.Errorf("%s: at %q, want %q", c.name, place, c.place)
		}
	}
	s, err := read(`{"text":"\u00e4","flag":true,"raw":null,"list":[ {} ,null]}`)
	if err != nil || s.text != "ä" || !s.flag || string(s.raw) != "null" || strings.Join(s.list, " ") != "#/list/0={} #/list/1=null" {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestIntegersAreReadAsJSONSchemaCountsThem(t *testing.T) {
	for text, want := range map[string]int64{
		`5`: 5, `-0`: 0, `0e99`: 0, `5.0`: 5, `50e-1`: 5, `-1.20e2`: -120, `9.223372036854775807e18`: 1<<63 - 1,
		`-9223372036854775808`: -1 << 63, `"9223372036854775807"`: 1<<63 - 1, `"\u0035"`: 5, `"-5"`: -5,
	} {
		if s, err := read(`{"text":"","signed":` + text + `}`); err != nil || s.signed != want {
			t.Errorf("%s: %d, %v, want %d", text, s.signed, err, want)
		}
	}
	for _, text := range []string{
		`5.5`, `1e-1`, `1e19`, `1e999999999`, `1e99999999999999999999`, `9223372036854775808`, `"9223372036854775808"`,
		`"05"`, `"+5"`, `"-0"`, `"5.0"`, `""`, `" 5"`, `true`, `[]`, `{}`,
	} {
		if s, err := read(`{"text":"","signed":` + text + `}`); err == nil {
			t.Errorf("%s: %d, want an error", text, s.signed)
		}
	}
	if s, err := read(`{"text":"","unsigned":18446744073709551615}`); err != nil || *s.unsigned != 1<<64-1 {
		t.Errorf("%v, %v", s.unsigned, err)
	}
	if s, err := read(`{"text":"","unsigned":-1}`); err == nil {
		t.Errorf("%d, want an error", *s.unsigned)
	}
}
