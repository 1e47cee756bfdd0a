package node

import "sync/atomic"

// Seen is the greatest version that a gateway has seen from any node. It goes with every batch, so that a node whose
// wall clock is behind never draws a version below one that the gateway's clients know.
type Seen struct{ greatest atomic.Uint64 }

// Note takes a version into account.
func (s *Seen) Note(version uint64) {
	for {
		greatest := s.greatest.Load()
		if version <= greatest || s.greatest.CompareAndSwap(greatest, version) {
			return
		}
	}
}

// Greatest is the greatest version noted; 0 without any.
func (s *Seen) Greatest() uint64 { return s.greatest.Load() }
