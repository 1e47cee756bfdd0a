package process

import (
	"os"
	"runtime/debug"
)

const (
	// gcPercent lets the heap grow to five times what is live: these programs hold little, and collect it less often
	// (10 to 20 % of its CPU).
	gcPercent = 400
	// memoryLimit makes the collector work harder before large bodies add up.
	memoryLimit = 1 << 30
)

// tuneMemory sets the collector unless the operator did, by GOGC or GOMEMLIMIT.
func tuneMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
}
