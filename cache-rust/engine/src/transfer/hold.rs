//! The cut of a hand-over, one point in the order of each shard's operations: from there on they are held, and
//! then they either go on here or belong to the process that took over.

use crate::engine::Engine;
use crate::error::Error;
use crate::ownership::Topology;
use crate::shard::Placement;
use std::sync::Arc;

/// Who executes the operations of a shard.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Hold {
    /// This engine.
    #[default]
    No,
    /// Nobody now; nothing in the shard changes, and nothing is recorded.
    Held,
    /// Another process of this node, since this epoch. Nothing in the shard changes any more.
    HandedOver(u64),
}

impl Hold {
    pub(crate) fn check(self, node: &str) -> Result<(), Error> {
        match self {
            Self::No => Ok(()),
            Self::Held => Err(Error::Held),
            Self::HandedOver(epoch) => Err(Error::WrongNode { owner: node.to_owned(), epoch }),
        }
    }
}

impl Engine {
    fn set_hold(&self, hold: Hold) {
        for index in 0..self.shards.len() {
            self.lock(index).hold = hold;
        }
    }

    /// From its return on every operation is refused as [`Error::Held`], none is in execution, nothing expires
    /// and nothing is evicted.
    pub fn hold(&self) {
        self.set_hold(Hold::Held);
    }

    /// Goes on as before [`Engine::hold`].
    pub fn release(&self) {
        self.set_hold(Hold::No);
    }

    /// Another process has taken over: puts its topology in place and answers every operation WRONG_NODE.
    pub fn hand_over(&self, topology: Topology) {
        let epoch = topology.epoch;
        self.adopt_topology(topology);
        self.set_hold(Hold::HandedOver(epoch));
    }

    /// Puts a topology in place by which this node owns what it owned before, so nothing is erased.
    pub fn adopt_topology(&self, topology: Topology) {
        let mut current = self.topology.lock();
        let placement = Arc::new(Placement::new(topology.clone(), &self.shared.config.node_name));
        for index in 0..self.shards.len() {
            self.lock(index).placement = Some(Arc::clone(&placement));
        }
        *current = Some(topology);
    }

    /// Whether `next` may follow the present topology with a hand-over: a greater epoch, and no change but in
    /// this node's address.
    ///
    /// # Errors
    /// INVALID_ARGUMENT with what differs.
    pub fn check_successor(&self, next: &Topology) -> Result<(), Error> {
        next.check()?;
        let me = self.shared.config.node_name.as_str();
        let wrong = |what: String| Err(Error::invalid("topology", what));
        if !next.nodes.iter().any(|node| node.name == me) {
            return wrong(format!("the node {me:?} is not in it"));
        }
        let Some(now) = self.topology() else {
            return match &next.nodes[..] {
                [_] => Ok(()),
                _ => wrong(format!("this node has none yet, so the new one may have the node {me:?} alone")),
            };
        };
        if next.epoch <= now.epoch {
            return wrong(format!("epoch {} does not replace epoch {}", next.epoch, now.epoch));
        }
        let same = now.nodes.len() == next.nodes.len()
            && now.nodes.iter().all(|before| {
                next.nodes.iter().any(|after| {
                    (&after.name, after.tag) == (&before.name, before.tag)
                        && (after.name == me || after.address == before.address)
                })
            });
        if same { Ok(()) } else { wrong(format!("it changes more than the address of {me:?}")) }
    }
}
