// Package contract is what Go services share: the generated messages below gen/, the error table, the identity of the
// contract that this build was made from, and a typed client of a cache node.
package contract
