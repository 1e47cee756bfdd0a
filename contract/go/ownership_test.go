package contract_test

import (
	"path/filepath"
	"strconv"
	"testing"

	"bimetal.dev/contract"
)

func TestOwnersAreThoseOfTheVectors(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(vectors, "ownership", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no ownership vectors: %v", err)
	}
	for _, file := range files {
		var v struct {
			Cases []struct {
				Nodes     []string
				Namespace string
				Key       []byte
				Owner     string
				Weights   []string
			}
		}
		readJSON(t, file, &v)
		if len(v.Cases) == 0 {
			t.Errorf("%s has no cases", file)
		}
		for _, c := range v.Cases {
			for i, node := range c.Nodes {
				score := strconv.FormatUint(contract.Score(node, c.Namespace, c.Key), 10)
				if i < len(c.Weights) && score != c.Weights[i] {
					t.Errorf("%s of %q in %s: score %s, want %s", node, c.Key, c.Namespace, score, c.Weights[i])
				}
			}
			if owner := contract.Owner(c.Nodes, c.Namespace, c.Key); owner < 0 || c.Nodes[owner] != c.Owner {
				t.Errorf("%q in %s over %v is owned by index %d, want %s", c.Key, c.Namespace, c.Nodes, owner, c.Owner)
			}
		}
	}
}

func TestWithoutNodesNobodyOwnsAKey(t *testing.T) {
	if owner := contract.Owner(nil, "default", []byte("a")); owner != -1 {
		t.Errorf("owner %d, want -1", owner)
	}
}

func TestKeysAndNamespacesAreCheckedAtTheirEdges(t *testing.T) {
	long := string(make([]byte, 63))
	for name, want := range map[string]bool{
		"a": true, "0": true, "a-": true, "default": true, "": false, "-a": false, "A": false, "a_b": false, "é": false,
		long: false,
	} {
		if contract.ValidNamespace(name) != want {
			t.Errorf("namespace %q: want %v", name, want)
		}
	}
	for size, want := range map[int]bool{0: false, 1: true, 1024: true, 1025: false} {
		if contract.ValidKey(make([]byte, size)) != want {
			t.Errorf("a key of %d bytes: want %v", size, want)
		}
	}
}

func BenchmarkOwnerOfTwoNodes(b *testing.B) {
	nodes, key := []string{"cache-0", "cache-1"}, []byte("user:1234567890")
	b.ReportAllocs()
	for b.Loop() {
		contract.Owner(nodes, "default", key)
	}
}
