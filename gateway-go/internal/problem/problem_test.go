package problem_test

import (
	"encoding/json"
	"testing"

	"bimetal.dev/gateway/internal/problem"
)

// A field at fault names its place, also when its name is empty, as that of the parameter in `?=1`.
func TestAFieldAtFaultNamesItsPlace(t *testing.T) {
	for _, c := range []struct{ place, name, want string }{
		{problem.InQuery, "ttl", `{"detail":"is wrong","query":"ttl"}`},
		{problem.InQuery, "", `{"detail":"is wrong","query":""}`},
		{problem.InHeader, "If-Match", `{"detail":"is wrong","header":"If-Match"}`},
		{problem.InPath, "key", `{"detail":"is wrong","path":"key"}`},
		{problem.InBody, "delta", `{"detail":"is wrong","pointer":"#/delta"}`},
	} {
		errors := problem.Of(problem.Invalid(c.place, c.name, "is wrong"), "").Errors
		got, err := json.Marshal(errors[0])
		if err != nil || string(got) != c.want {
			t.Errorf("%s%s: got %s (%v), want %s", c.place, c.name, got, err, c.want)
		}
	}
}
