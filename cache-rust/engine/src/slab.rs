//! Slots name entries: an entry keeps its slot from its first write to its removal, whatever the hash
//! table does meanwhile. Listing and sweeping walk the slots, so table growth disturbs neither, and the
//! eviction queues are links between slots.

use crate::entry::Entry;

/// Index of a slot within its shard.
pub(crate) type SlotId = u32;
/// No slot.
pub(crate) const NIL: SlotId = SlotId::MAX;

/// Slots are added by the chunk, so growth costs 8 KiB and moves nothing.
const CHUNK: usize = 512;

struct Slot {
    entry: Option<Entry>,
    /// Towards the head of the queue.
    prev: SlotId,
    /// Towards the tail of the queue; of a free slot, the next free one.
    next: SlotId,
}

#[derive(Default)]
pub(crate) struct Slab {
    chunks: Vec<Box<[Slot]>>,
    free: Option<SlotId>,
    live: usize,
}

impl Slab {
    fn slot(&self, id: SlotId) -> &Slot {
        &self.chunks[id as usize / CHUNK][id as usize % CHUNK]
    }

    fn slot_mut(&mut self, id: SlotId) -> &mut Slot {
        &mut self.chunks[id as usize / CHUNK][id as usize % CHUNK]
    }

    /// The entry in a slot that is known to be in use.
    pub(crate) fn entry(&self, id: SlotId) -> &Entry {
        match &self.slot(id).entry {
            Some(entry) => entry,
            None => unreachable!("slot {id} is in use"),
        }
    }

    pub(crate) fn entry_mut(&mut self, id: SlotId) -> &mut Entry {
        match &mut self.slot_mut(id).entry {
            Some(entry) => entry,
            None => unreachable!("slot {id} is in use"),
        }
    }

    /// The entry in any slot below [`Slab::end`].
    pub(crate) fn get(&self, id: SlotId) -> Option<&Entry> {
        self.slot(id).entry.as_ref()
    }

    /// One past the last slot.
    pub(crate) fn end(&self) -> SlotId {
        (self.chunks.len() * CHUNK) as SlotId
    }

    pub(crate) fn insert(&mut self, entry: Entry) -> SlotId {
        let id = match self.free {
            Some(id) => id,
            None => self.grow(),
        };
        let slot = self.slot_mut(id);
        let next = slot.next;
        *slot = Slot { entry: Some(entry), prev: NIL, next: NIL };
        self.free = (next != NIL).then_some(next);
        self.live += 1;
        id
    }

    fn grow(&mut self) -> SlotId {
        let first = self.end();
        let chunk = (1..=CHUNK as SlotId)
            .map(|i| Slot { entry: None, prev: NIL, next: if i as usize == CHUNK { NIL } else { first + i } })
            .collect();
        self.chunks.push(chunk);
        first
    }

    /// Puts a new entry in the place of the former; the slot keeps its place in its queue, and the policy
    /// keeps its mark.
    pub(crate) fn replace(&mut self, id: SlotId, mut entry: Entry) -> Entry {
        let former = self.entry_mut(id);
        entry.set_mark(former.mark());
        std::mem::replace(former, entry)
    }

    /// Frees a slot that is in no queue any more.
    pub(crate) fn remove(&mut self, id: SlotId) -> Entry {
        let next = self.free.unwrap_or(NIL);
        let slot = self.slot_mut(id);
        let entry = slot.entry.take();
        (slot.prev, slot.next) = (NIL, next);
        self.free = Some(id);
        self.live -= 1;
        if self.live == 0 {
            // Nothing refers to any slot: give all of them back.
            self.chunks = Vec::new();
            self.free = None;
        }
        match entry {
            Some(entry) => entry,
            None => unreachable!("slot {id} is in use"),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.live
    }

    pub(crate) fn links(&self, id: SlotId) -> (SlotId, SlotId) {
        let slot = self.slot(id);
        (slot.prev, slot.next)
    }

    pub(crate) fn set_prev(&mut self, id: SlotId, prev: SlotId) {
        self.slot_mut(id).prev = prev;
    }

    pub(crate) fn set_next(&mut self, id: SlotId, next: SlotId) {
        self.slot_mut(id).next = next;
    }

    /// Bytes held, entries not included.
    pub(crate) fn bytes(&self) -> usize {
        use crate::memory::allocation_bytes;
        let list = if self.chunks.capacity() == 0 {
            0
        } else {
            allocation_bytes(self.chunks.capacity() * size_of::<Box<[Slot]>>())
        };
        self.chunks.len() * allocation_bytes(CHUNK * size_of::<Slot>()) + list
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::Parts;

    fn entry(key: &[u8]) -> Entry {
        Entry::new(&Parts { namespace: 0, key, content_type: b"", value: b"", may_expire: false })
    }

    #[test]
    fn a_slot_is_16_bytes() {
        assert_eq!(size_of::<Slot>(), 16);
    }

    #[test]
    fn a_freed_slot_is_used_again_before_the_slab_grows() {
        let mut slab = Slab::default();
        let ids: Vec<_> = (0..513u32).map(|i| slab.insert(entry(&i.to_le_bytes()))).collect();
        assert_eq!((slab.len(), slab.end()), (513, 1024));
        assert_eq!(slab.remove(ids[7]).key(), 7u32.to_le_bytes());
        assert_eq!(slab.insert(entry(b"new")), ids[7]);
        assert_eq!(slab.entry(ids[7]).key(), b"new");
    }

    #[test]
    fn an_empty_slab_holds_no_memory() {
        let mut slab = Slab::default();
        let id = slab.insert(entry(b"k"));
        assert!(slab.bytes() > 0);
        slab.remove(id);
        assert_eq!((slab.bytes(), slab.end()), (0, 0));
    }
}
