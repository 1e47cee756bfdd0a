package contract

import (
	"strings"

	"github.com/cespare/xxhash/v2"
)

// Score is the weight of a node for a key in rendezvous hashing: XXH64 (seed 0) of `name 0x00 namespace 0x00 key`.
func Score(node, namespace string, key []byte) uint64 {
	// Names and namespaces have at most 63 bytes, keys 1,024: this stays on the stack.
	var space [1280]byte
	buffer := append(space[:0], node...)
	buffer = append(buffer, 0)
	buffer = append(buffer, namespace...)
	buffer = append(buffer, 0)
	buffer = append(buffer, key...)
	return xxhash.Sum64(buffer)
}

// Owner is the index of the node that owns the key: the one of the greatest score, ties to the bytewise greater name.
// It is -1 without nodes. It costs one hash for each node. (D. G. Thaler, C. V. Ravishankar: Using name-based mappings
// to increase hit rates, IEEE/ACM Transactions on Networking 6(1), 1998.)
func Owner(nodes []string, namespace string, key []byte) int {
	owner, greatest := -1, uint64(0)
	for i, node := range nodes {
		score := Score(node, namespace, key)
		if owner < 0 || score > greatest || score == greatest && strings.Compare(node, nodes[owner]) > 0 {
			owner, greatest = i, score
		}
	}
	return owner
}

// MaxKeyBytes is the length of the longest key.
const MaxKeyBytes = 1024

// ValidNamespace says whether the text is the name of a namespace or node: [a-z0-9][a-z0-9-]{0,62}.
func ValidNamespace(name string) bool {
	if len(name) == 0 || len(name) > 63 || name[0] == '-' {
		return false
	}
	for _, c := range []byte(name) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

// ValidKey says whether the bytes are a key: 1 to 1,024 of any kind.
func ValidKey(key []byte) bool { return len(key) > 0 && len(key) <= MaxKeyBytes }
