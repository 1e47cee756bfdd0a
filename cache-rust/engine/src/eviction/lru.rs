//! Exact least recently used: the yardstick. Every access moves the entry to the head.

use super::list::List;
use super::{Eviction, HashOf};
use crate::slab::{Slab, SlotId};

#[derive(Debug, Default)]
pub(crate) struct Lru {
    list: List,
}

impl Eviction for Lru {
    fn insert(&mut self, slab: &mut Slab, id: SlotId, _hash: u64) {
        self.list.push_head(slab, id);
    }

    fn access(&mut self, slab: &mut Slab, id: SlotId) {
        self.list.unlink(slab, id);
        self.list.push_head(slab, id);
    }

    fn resize(&mut self, _slab: &Slab, _id: SlotId, before: usize, after: usize) {
        self.list.resize(before, after);
    }

    fn remove(&mut self, slab: &mut Slab, id: SlotId) {
        self.list.unlink(slab, id);
    }

    fn evict(&mut self, slab: &mut Slab, _hash_of: HashOf<'_>, protected: SlotId) -> Option<SlotId> {
        let id = self.list.pop_tail(slab)?;
        if id != protected {
            return Some(id);
        }
        // The protected entry was just written, so it is at the tail only when it is alone.
        let other = self.list.pop_tail(slab);
        self.list.push_head(slab, id);
        other
    }

    fn bytes(&self) -> usize {
        0
    }
}
