// Package cluster sends operations to the nodes that own their keys. It holds the topology, one node.Node for each of
// its nodes, and the rules for what is sent once more when a node moves to another process or a connection breaks
// (repeat.go).
package cluster
