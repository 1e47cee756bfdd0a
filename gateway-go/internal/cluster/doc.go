// Package cluster sends operations to the nodes that own their keys. It holds the topology, one node.Node for each of
// its nodes, and the rule for WRONG_NODE: refresh the topology from the node that refused, send once more.
package cluster
