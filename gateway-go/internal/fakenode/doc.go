// Package fakenode is a cache node in a map, for the gateway's tests only: the same services over real connections,
// and faults on demand (late, silent, broken, not the owner). It says nothing about how the real node works; what it
// answers follows the contract closely enough to test a gateway against, and no further.
package fakenode
