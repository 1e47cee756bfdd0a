package batch

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"bimetal.dev/contract"
)

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		``, `{}`, `[]`, `{"operations":[]}`, `{"operations":[{"get":{"key":"a"}}]}`,
		`{"operations":[{"put":{"key":"%2F","value":{"a":1},"ttl":"5s","ifMatch":"\"1\""}}]}`,
		`{"operations":[{"put":{"key":"a","valueBase64":"AA=="}},{"delete":{"key":"a","ifMatch":"*"}}]}`,
		`{"operations":[{"increment":{"key":"a","delta":"5"}},{"touch":{"key":"a","ttl":"keep"}}]}`,
		`{"operations":[{"increment":{"key":"a","delta":1,"idempotencyKey":"x"}},{"delete":{"key":"a","idempotencyKey":""}}]}`,
		`{"operations":[null]}`, `{"operations":[{"get":null}]}`, `{"operations":5}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		items, err := parse(body, "default")
		if err != nil {
			var own *contract.Error
			if !errors.As(err, &own) || own.Reason() == contract.Internal || own.Detail.GetMessage() == "" {
				t.Fatalf("%q: not an error for a caller: %v", body, err)
			}
			return
		}
		if len(items) == 0 || len(items) > maxOperations {
			t.Fatalf("%q: %d items", body, len(items))
		}
		for _, it := range items {
			if !contract.ValidKey(it.key) || it.operation.GetOperation() == nil {
				t.Fatalf("%q: %v", body, it)
			}
		}
	})
}

func BenchmarkParse(b *testing.B) {
	for _, c := range []struct{ name, operation string }{
		{"get", `{"get":{"key":"user-%d"}}`},
		{"put of 1 KB", `{"put":{"key":"user-%d","value":{"name":"n","list":[` + strings.Repeat("123,", 250) + `1]},"ttl":"60s"}}`},
	} {
		operations := make([]string, 100)
		for i := range operations {
			operations[i] = fmt.Sprintf(c.operation, i)
		}
		body := []byte(`{"operations":[` + strings.Join(operations, ",") + `]}`)
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := parse(body, "default"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
