//! Which entry goes when room is needed. Policies are siblings behind [`Eviction`], one per shard and
//! namespace; their queues are links between slots, so an entry costs them nothing beside its slot.

mod ghost;
mod list;
mod lru;
mod s3_fifo;

use crate::entry::Entry;
use crate::slab::{Slab, SlotId};

/// Which policy an engine evicts by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Policy {
    /// S3-FIFO: scan resistant, and a hit writes nothing but the entry's own mark.
    #[default]
    S3Fifo,
    /// Exact least recently used.
    Lru,
}

impl Policy {
    pub(crate) fn build(self) -> Box<dyn Eviction> {
        match self {
            Self::S3Fifo => Box::new(s3_fifo::S3Fifo::default()),
            Self::Lru => Box::new(lru::Lru::default()),
        }
    }
}

/// The hash of an entry's key, for policies that remember keys that are gone.
pub(crate) type HashOf<'a> = &'a dyn Fn(&Entry) -> u64;

/// Told of everything that happens to the entries of one namespace in one shard.
pub(crate) trait Eviction: Send {
    /// A new entry is in its slot.
    fn insert(&mut self, slab: &mut Slab, id: SlotId, hash: u64);

    /// A live entry was read or written.
    fn access(&mut self, slab: &mut Slab, id: SlotId);

    /// An entry was replaced in its slot by one of another size.
    fn resize(&mut self, slab: &Slab, id: SlotId, before: usize, after: usize);

    /// An entry is about to leave its slot for a reason that is not this policy's.
    fn remove(&mut self, slab: &mut Slab, id: SlotId);

    /// Chooses an entry to evict and forgets it; never `protected`. None when there is no other.
    fn evict(&mut self, slab: &mut Slab, hash_of: HashOf<'_>, protected: SlotId) -> Option<SlotId>;

    /// Bytes held beside the slots.
    fn bytes(&self) -> usize;
}
