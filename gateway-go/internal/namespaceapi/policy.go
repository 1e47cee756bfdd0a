package namespaceapi

import (
	"fmt"
	"strconv"
	"time"

	cachev1 "bimetal.dev/contract/gen/bimetal/cache/v1"
	"bimetal.dev/gateway/internal/exchange"
	"bimetal.dev/gateway/internal/syntax"
	"github.com/go-json-experiment/json/jsontext"
	"google.golang.org/protobuf/types/known/durationpb"
)

// policy reads the body of a write into a record and notes the fields that stand in it, by their names in the contract.
// null clears one, where absent leaves it as it is.
func policy(into *cachev1.Namespace, fields *[]string) exchange.Reader {
	return exchange.Object(func(name string) exchange.Reader {
		switch name {
		case "quotaBytes":
			return orNull(fields, "quota_bytes", exchange.Unsigned(&into.QuotaBytes))
		case "defaultTtl":
			return orNull(fields, "default_ttl", exchange.Text(&into.DefaultTtl, parseDuration))
		case "maxTtl":
			return orNull(fields, "max_ttl", exchange.Text(&into.MaxTtl, parseDuration))
		case "maxValueBytes":
			return orNull(fields, "max_value_bytes", exchange.Unsigned(&into.MaxValueBytes))
		case "staleWindow":
			return orNull(fields, "stale_window", exchange.Text(&into.StaleWindow, parseDuration))
		}
		return nil
	})
}

func orNull(fields *[]string, field string, read exchange.Reader) exchange.Reader {
	return func(d *jsontext.Decoder) error {
		*fields = append(*fields, field)
		if d.PeekKind() == 'n' {
			return d.SkipValue()
		}
		return read(d)
	}
}

func parseDuration(text string) (*durationpb.Duration, error) {
	parsed, err := syntax.ParseDuration(text)
	if err != nil {
		return nil, fmt.Errorf("%.40q is no duration; want %w", text, err)
	}
	return durationpb.New(parsed), nil
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
