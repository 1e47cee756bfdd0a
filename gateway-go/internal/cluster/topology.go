package cluster

import (
	"net"

	"bimetal.dev/contract"
	controlv1 "bimetal.dev/contract/gen/bimetal/control/v1"
)

const maxNodes = 1023

// Check says whether a topology is one that the contract allows.
func Check(topology *controlv1.Topology) *contract.Error {
	if topology.GetEpoch() == 0 {
		return contract.Invalid("topology.epoch", "must be 1 or greater")
	}
	if count := len(topology.GetNodes()); count == 0 || count > maxNodes {
		return contract.Invalid("topology.nodes", "must have 1 to 1,023 nodes, has %d", count)
	}
	names, tags := map[string]bool{}, map[uint32]bool{}
	for _, n := range topology.GetNodes() {
		switch host, port, err := net.SplitHostPort(n.GetAddress()); {
		case !contract.ValidNamespace(n.GetName()):
			return contract.Invalid("topology.nodes.name", "%q must match [a-z0-9][a-z0-9-]{0,62}", n.GetName())
		case names[n.GetName()]:
			return contract.Invalid("topology.nodes.name", "%q stands there twice", n.GetName())
		case n.GetTag() == 0 || n.GetTag() > maxNodes:
			return contract.Invalid("topology.nodes.tag", "of %q must be 1 to 1,023, is %d", n.GetName(), n.GetTag())
		case tags[n.GetTag()]:
			return contract.Invalid("topology.nodes.tag", "%d stands there twice", n.GetTag())
		case err != nil || host == "" || port == "":
			return contract.Invalid("topology.nodes.address", "%q of %q must be host:port", n.GetAddress(), n.GetName())
		}
		names[n.GetName()], tags[n.GetTag()] = true, true
	}
	return nil
}
