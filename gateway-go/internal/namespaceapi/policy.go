package namespaceapi

import (
	"bytes"
	"encoding/json"
	"strconv"
	"time"

	cachev1 "bimetal.dev/contract/gen/bimetal/cache/v1"
	"bimetal.dev/gateway/internal/exchange"
	"bimetal.dev/gateway/internal/problem"
	"bimetal.dev/gateway/internal/syntax"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
)

// policy is the body of a write. A field is absent, null (cleared), or a value.
type policy struct {
	QuotaBytes    field `json:"quotaBytes"`
	DefaultTTL    field `json:"defaultTtl"`
	MaxTTL        field `json:"maxTtl"`
	MaxValueBytes field `json:"maxValueBytes"`
	StaleWindow   field `json:"staleWindow"`
}

// field keeps apart what encoding/json mixes up: absent and null.
type field struct {
	present bool
	text    json.RawMessage
}

// UnmarshalJSON implements json.Unmarshaler.
func (f *field) UnmarshalJSON(text []byte) error {
	f.present = true
	if !bytes.Equal(text, []byte("null")) {
		f.text = bytes.Clone(text)
	}
	return nil
}

// record makes the record and the names of the fields that stood in the body.
func (p *policy) record(name string) (*cachev1.Namespace, []string, error) {
	record := &cachev1.Namespace{Name: name}
	var fields []string
	for _, f := range []struct {
		field field
		json  string
		proto string
		set   func(text json.RawMessage, place string) error
	}{
		{p.QuotaBytes, "quotaBytes", "quota_bytes", integer(&record.QuotaBytes)},
		{p.DefaultTTL, "defaultTtl", "default_ttl", duration(&record.DefaultTtl)},
		{p.MaxTTL, "maxTtl", "max_ttl", duration(&record.MaxTtl)},
		{p.MaxValueBytes, "maxValueBytes", "max_value_bytes", integer(&record.MaxValueBytes)},
		{p.StaleWindow, "staleWindow", "stale_window", duration(&record.StaleWindow)},
	} {
		if !f.field.present {
			continue
		}
		fields = append(fields, f.proto)
		if f.field.text == nil {
			continue
		}
		if err := f.set(f.field.text, "#/"+f.json); err != nil {
			return nil, nil, err
		}
	}
	return record, fields, nil
}

func integer(into **uint64) func(json.RawMessage, string) error {
	return func(text json.RawMessage, place string) error {
		var value exchange.Uint64
		if err := value.UnmarshalJSON(text); err != nil {
			return err
		}
		number, err := value.At(place)
		*into = proto.Uint64(number)
		return err
	}
}

func duration(into **durationpb.Duration) func(json.RawMessage, string) error {
	return func(text json.RawMessage, place string) error {
		var value string
		if err := json.Unmarshal(text, &value); err != nil {
			return problem.Invalid("", place, `must be text: a positive integer with "ms" or "s"`)
		}
		parsed, err := syntax.ParseDuration(value)
		if err != nil {
			return problem.Invalid("", place, "%.40q is no duration; want %v", value, err)
		}
		*into = durationpb.New(parsed)
		return nil
	}
}

// record is the JSON of a record.
type record struct {
	Name          string `json:"name"`
	Revision      string `json:"revision"`
	Deleted       bool   `json:"deleted,omitempty"`
	QuotaBytes    string `json:"quotaBytes,omitempty"`
	DefaultTTL    string `json:"defaultTtl,omitempty"`
	MaxTTL        string `json:"maxTtl,omitempty"`
	MaxValueBytes string `json:"maxValueBytes,omitempty"`
	StaleWindow   string `json:"staleWindow,omitempty"`
}

func recordOf(n *cachev1.Namespace) record {
	return record{
		Name: n.GetName(), Revision: strconv.FormatUint(n.GetRevision(), 10), Deleted: n.GetDeleted(),
		QuotaBytes: bytesOf(n.QuotaBytes), MaxValueBytes: bytesOf(n.MaxValueBytes),
		DefaultTTL: durationOf(n.GetDefaultTtl()), MaxTTL: durationOf(n.GetMaxTtl()), StaleWindow: durationOf(n.GetStaleWindow()),
	}
}

func bytesOf(count *uint64) string {
	if count == nil {
		return ""
	}
	return strconv.FormatUint(*count, 10)
}

func durationOf(d *durationpb.Duration) string {
	if d == nil {
		return ""
	}
	return syntax.FormatDuration(d.AsDuration().Round(time.Millisecond))
}
