package fdpass

import "strings"

const (
	// Any stands, to listen at, for a free name of the kernel's choice, as port 0 does for TCP.
	Any = prefix

	prefix  = "unix:@"
	maxName = 63
)

// Is says whether a connection can be passed to the address.
func Is(address string) bool { return address != Any && Listenable(address) }

// Listenable says whether the address is Any, or "unix:@" and 1 to 63 bytes of [A-Za-z0-9._-].
func Listenable(address string) bool {
	name, found := strings.CutPrefix(address, prefix)
	if !found || len(name) > maxName {
		return false
	}
	for _, c := range []byte(name) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '.' && c != '_' && c != '-' {
			return false
		}
	}
	return true
}

// socketName is the address as package net writes it: "@NAME", or "" for any.
func socketName(address string) string {
	if address == Any {
		return ""
	}
	return strings.TrimPrefix(address, "unix:")
}
