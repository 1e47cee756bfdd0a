package main

import (
	"path/filepath"
	"testing"
)

// at makes an operation of a client, with its times.
func at(client int, called, returned int64, in input, out output) operation {
	in.key = "k"
	return operation{client: client, called: called, returned: returned, in: in, out: out}
}

var unknown = output{unknown: true}

func wrote(version uint64) output { return output{version: version} }
func made(version uint64) output  { return output{version: version, created: true} }
func read(value int64, version uint64) output {
	return output{found: true, value: value, version: version}
}

func TestWhatAHistoryMayBe(t *testing.T) {
	first := at(0, 0, 1, input{kind: put, value: 1}, made(10))
	second := at(0, 2, 3, input{kind: put, value: 2}, wrote(20))
	for _, c := range []struct {
		name       string
		allowed    bool
		operations []operation
		lost       map[string]int64
	}{
		{"a read of what was written", true, []operation{first, second, at(1, 4, 5, input{kind: get}, read(2, 20))}, nil},
		{"a stale read", false, []operation{first, second, at(1, 4, 5, input{kind: get}, read(1, 10))}, nil},
		{"a read during the write", true, []operation{first, second, at(1, 2, 3, input{kind: get}, read(1, 10))}, nil},
		{"a lost write", false, []operation{first, at(1, 4, 5, input{kind: get}, output{})}, nil},
		{"a value under another's version", false, []operation{first, at(1, 4, 5, input{kind: get}, read(1, 11))}, nil},
		{"a version that goes backwards", false, []operation{second, at(0, 4, 5, input{kind: put, value: 3}, wrote(15))}, nil},
		{"a version used again after a deletion", false, []operation{
			first, at(0, 2, 3, input{kind: remove}, output{}), at(0, 4, 5, input{kind: put, value: 2}, made(10)),
		}, nil},
		{"replaced, where there was none", false, []operation{at(0, 0, 1, input{kind: put, value: 1}, wrote(10))}, nil},
		{"a compare-and-swap that fits", true, []operation{first, at(1, 2, 3, input{kind: swap, value: 2, version: 10}, wrote(20))}, nil},
		{"a compare-and-swap of another version", false, []operation{first, second, at(1, 4, 5, input{kind: swap, value: 3, version: 10}, wrote(30))}, nil},
		{"two that fit the same version", false, []operation{
			first, at(1, 2, 9, input{kind: swap, value: 2, version: 10}, wrote(20)), at(2, 2, 9, input{kind: swap, value: 3, version: 10}, wrote(30)),
		}, nil},
		{"refused for the present version", true, []operation{first, second, at(1, 4, 5, input{kind: swap, value: 3, version: 10}, output{refused: true, found: true, version: 20})}, nil},
		{"refused though it fits", false, []operation{first, at(1, 2, 3, input{kind: swap, value: 2, version: 10}, output{refused: true, found: true, version: 10})}, nil},
		{"created twice", false, []operation{first, at(1, 2, 3, input{kind: create, value: 2}, made(20))}, nil},
		{"a lost increment", false, []operation{
			at(0, 0, 9, input{kind: increment}, output{value: 1, version: 10}), at(1, 0, 9, input{kind: increment}, output{value: 1, version: 20}),
		}, nil},
		{"an unknown write that was not done", true, []operation{first, at(1, 2, 3, input{kind: put, value: 2}, unknown), at(0, 4, 5, input{kind: get}, read(1, 10))}, nil},
		{"an unknown write that is done late", true, []operation{
			first, at(1, 2, 3, input{kind: put, value: 2}, unknown),
			at(0, 4, 5, input{kind: get}, read(1, 10)), at(0, 6, 7, input{kind: get}, read(2, 15)), at(0, 8, 9, input{kind: get}, read(2, 15)),
		}, nil},
		{"an unknown write that is done and undone", false, []operation{
			first, at(1, 2, 3, input{kind: put, value: 2}, unknown),
			at(0, 4, 5, input{kind: get}, read(2, 15)), at(0, 6, 7, input{kind: get}, read(1, 10)),
		}, nil},
		{"an unknown increment done twice", false, []operation{
			first, at(1, 2, 3, input{kind: increment}, unknown), at(0, 4, 5, input{kind: increment}, output{value: 4, version: 20}),
		}, nil},
		{"entries of a lost node", true, []operation{first, at(0, 4, 5, input{kind: get}, output{})}, map[string]int64{"cache-0": 3}},
		{"entries that went before the node did", false, []operation{first, at(0, 4, 5, input{kind: get}, output{})}, map[string]int64{"cache-0": 6}},
		{"entries of another node", false, []operation{first, at(0, 4, 5, input{kind: get}, output{})}, map[string]int64{"cache-1": 3}},
		{"entries that went twice", false, []operation{
			first, at(0, 4, 5, input{kind: get}, output{}), at(0, 6, 7, input{kind: put, value: 2}, made(20)), at(0, 8, 9, input{kind: get}, output{}),
		}, map[string]int64{"cache-0": 3}},
		{"entries that came back", false, []operation{
			first, at(0, 4, 5, input{kind: get}, output{}), at(0, 6, 7, input{kind: get}, read(1, 10)),
		}, map[string]int64{"cache-0": 3}},
		{"a version used again by the next life", false, []operation{
			first, at(0, 4, 5, input{kind: get}, output{}), at(0, 6, 7, input{kind: put, value: 2}, made(10)),
		}, map[string]int64{"cache-0": 3}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHistory()
			h.operations, h.lost = c.operations, c.lost
			h.owners["k"] = "cache-0"
			v, err := judge(h, filepath.Join(t.TempDir(), "picture.html"))
			if err != nil || (v.Verdict == "linearizable") != c.allowed {
				t.Errorf("%+v, %v", v, err)
			}
		})
	}
}

func TestAReadThatWasMadeStaleIsFound(t *testing.T) {
	h := newHistory()
	h.operations = []operation{
		at(0, 0, 1, input{kind: put, value: 1}, made(10)), at(0, 2, 3, input{kind: put, value: 2}, wrote(20)),
		at(1, 4, 5, input{kind: get}, read(2, 20)),
	}
	if v, _ := judge(h, ""); v.Verdict != "linearizable" {
		t.Fatalf("before: %+v", v)
	}
	if !corrupt(h) {
		t.Fatal("nothing was made stale")
	}
	if v, _ := judge(h, ""); v.Verdict != "not linearizable" {
		t.Errorf("%+v", v)
	}
}
