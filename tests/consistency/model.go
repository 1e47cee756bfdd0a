package main

import (
	"fmt"

	"github.com/anishathalye/porcupine"
)

// state is one key. It is compared by ==.
type state struct {
	present bool
	value   int64
	// version of the live entry; 0: nobody has seen it yet, because who wrote it got no answer.
	version uint64
	// floor is the greatest version that is known to have been drawn for the key: any new one must be greater, also after
	// a deletion and after the node lost what it held.
	floor uint64
}

// model is the sequential specification of one key.
var model = porcupine.Model{
	Init:              func() any { return state{} },
	Step:              func(before, in, out any) (bool, any) { return step(before.(state), in.(input), out.(output)) },
	DescribeOperation: func(in, out any) string { return describe(in.(input), out.(output)) },
	DescribeState:     func(s any) string { return s.(state).String() },
}

// step says whether an operation may have had this outcome in this state, and what the state is then.
func step(s state, in input, out output) (bool, state) {
	switch in.kind {
	case get:
		if !out.found {
			return !s.present, s
		}
		return s.present && s.value == out.value && s.is(out.version), s.seen(out.version)
	case put:
		return s.write(in.value, out)
	case remove:
		return true, state{floor: s.floor}
	case create:
		return s.conditional(!s.present, in, out)
	case swap:
		return s.conditional(s.present && s.version == in.version, in, out)
	case increment:
		value := int64(1)
		if s.present {
			value = s.value + 1
		}
		if !out.unknown && out.value != value {
			return false, s
		}
		out.created = !s.present // its answer does not say
		return s.write(value, out)
	case vanish:
		return true, state{floor: s.floor}
	}
	return false, s
}

// conditional is a write that happens only if its condition holds.
func (s state) conditional(holds bool, in input, out output) (bool, state) {
	switch {
	case out.unknown && !holds:
		return true, s
	case !out.refused:
		if !holds {
			return false, s
		}
		return s.write(in.value, out)
	case holds:
		return false, s
	case !out.found:
		return !s.present, s
	}
	return s.present && s.is(out.version), s.seen(out.version)
}

// write is a write that happens.
func (s state) write(value int64, out output) (bool, state) {
	if out.unknown {
		return true, state{present: true, value: value, floor: s.floor}
	}
	return out.version > s.floor && out.created == !s.present,
		state{present: true, value: value, version: out.version, floor: out.version}
}

// is says whether the live entry may have this version.
func (s state) is(version uint64) bool {
	if s.version == 0 {
		return version > s.floor
	}
	return s.version == version
}

// seen is the state once its version is known.
func (s state) seen(version uint64) state {
	s.version, s.floor = version, max(s.floor, version)
	return s
}

func (s state) String() string {
	if !s.present {
		return fmt.Sprintf("none, above %d", s.floor)
	}
	return fmt.Sprintf("%d at %d, above %d", s.value, s.version, s.floor)
}

func describe(in input, out output) string {
	asked := string(in.kind)
	switch in.kind {
	case put, create:
		asked += fmt.Sprintf(" %d", in.value)
	case swap:
		asked += fmt.Sprintf(" %d if %d", in.value, in.version)
	}
	switch {
	case out.unknown:
		return asked + " → ?"
	case out.refused:
		return fmt.Sprintf("%s → refused, is %d", asked, out.version)
	case in.kind == get && !out.found:
		return asked + " → none"
	case in.kind == get || in.kind == increment:
		return fmt.Sprintf("%s → %d at %d", asked, out.value, out.version)
	}
	return fmt.Sprintf("%s → %d", asked, out.version)
}
