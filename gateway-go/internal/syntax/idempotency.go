package syntax

import (
	"crypto/sha256"
	"fmt"
)

// maxIdempotencyKeyBytes is the length of the longest Idempotency-Key.
const maxIdempotencyKeyBytes = 255

// operationIDBytes is the length of an operation id by the contract.
const operationIDBytes = 16

// OperationID makes the operation id of an Idempotency-Key: the first 16 bytes of its SHA-256, so that callers may choose
// any visible characters, and differ in any of them.
func OperationID(key string) ([]byte, error) {
	if len(key) == 0 || len(key) > maxIdempotencyKeyBytes {
		return nil, fmt.Errorf("must have 1 to %d characters, has %d", maxIdempotencyKeyBytes, len(key))
	}
	for i := range len(key) {
		if key[i] <= ' ' || key[i] > '~' {
			return nil, fmt.Errorf("has the byte 0x%02x; only visible ASCII characters are allowed", key[i])
		}
	}
	sum := sha256.Sum256([]byte(key))
	return sum[:operationIDBytes:operationIDBytes], nil
}
