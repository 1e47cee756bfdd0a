package fakenode

import (
	"time"

	"bimetal.dev/contract"
	controlv1 "bimetal.dev/contract/gen/bimetal/control/v1"
	errorsv1 "bimetal.dev/contract/gen/bimetal/errors/v1"
	"google.golang.org/protobuf/proto"
)

// Successor starts the next process of the node beside it: it catches up, and serves nothing yet.
func (n *Node) Successor() *Node {
	next := Start(n.tb, n.name)
	next.catchingUp.Store(true)
	return next
}

// MoveTo makes next the node, by a topology with its address: operations are held for so long, and answered WRONG_NODE
// then. next serves a gap later, as a process does that learns of its success last.
func (n *Node) MoveTo(next *Node, topology *controlv1.Topology, hold, gap time.Duration) {
	n.mu.Lock()
	time.Sleep(hold)
	next.mu.Lock()
	next.entries, next.spaces, next.history, next.results = n.entries, n.spaces, n.history, n.results
	next.incarnation, next.clock, next.topology = n.incarnation, n.clock, topology
	next.judge.Store(true)
	next.mu.Unlock()
	n.handedOver, n.topology = true, topology
	close(n.changed)
	n.changed = make(chan struct{})
	n.mu.Unlock()
	time.Sleep(gap)
	next.catchingUp.Store(false)
}

// Moved is the topology after this one, with the node at its new process.
func (n *Node) Moved(topology *controlv1.Topology) *controlv1.Topology {
	moved := proto.CloneOf(topology)
	moved.Epoch++
	for _, node := range moved.GetNodes() {
		if node.GetName() == n.name {
			node.Address = n.Address()
		}
	}
	return moved
}

// away is why nothing is served; nil: it is. The lock is held.
func (n *Node) away() *contract.Error {
	if n.catchingUp.Load() {
		return contract.Errorf(contract.NodeUnavailable, "%s catches up", n.name)
	}
	if n.handedOver {
		err := contract.Errorf(contract.WrongNode, "another process is %s now", n.name)
		err.Detail.Owner = &errorsv1.Owner{Name: n.name, Epoch: n.topology.GetEpoch()}
		return err
	}
	return nil
}
