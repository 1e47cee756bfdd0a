//! Putting a topology in place. The order is the promise: a key is refused before it is erased, and erased
//! before the epoch is acknowledged.

use crate::engine::Engine;
use crate::error::Error;
use crate::history::EventKind;
use crate::ownership::Topology;
use crate::shard::Placement;
use crate::time::Now;
use std::sync::Arc;

impl Engine {
    /// Replaces the topology; answers how many entries were erased because they have another owner. The
    /// same epoch with the same nodes does nothing.
    ///
    /// # Errors
    /// INVALID_ARGUMENT for an older epoch, other nodes under the same epoch, or a malformed topology.
    pub fn set_topology(&self, topology: Topology, now: Now) -> Result<usize, Error> {
        topology.check()?;
        let mut current = self.topology.lock();
        if let Some(current) = &*current {
            if *current == topology {
                return Ok(0);
            }
            if topology.epoch <= current.epoch {
                return Err(Error::invalid(
                    "topology.epoch",
                    format!(
                        "epoch {} does not replace epoch {}: a change needs a greater one",
                        topology.epoch, current.epoch
                    ),
                ));
            }
        }
        let placement = Arc::new(Placement::new(topology.clone(), &self.shared.config.node_name));
        let tag = placement.tag;
        for index in 0..self.shards.len() {
            self.lock(index).placement = Some(Arc::clone(&placement));
        }
        *current = Some(topology);
        let erased = (0..self.shards.len())
            .map(|index| {
                self.erase(index, Some(EventKind::Deleted), now, |_, entry| {
                    let name = self.shared.registry.by_index(entry.namespace());
                    name.is_some_and(|namespace| {
                        u32::from(tag) != placement.topology.owner(&namespace.name, entry.key()).tag
                    })
                })
            })
            .sum();
        Ok(erased)
    }

    /// The topology in use.
    #[must_use]
    pub fn topology(&self) -> Option<Topology> {
        self.topology.lock().clone()
    }
}
