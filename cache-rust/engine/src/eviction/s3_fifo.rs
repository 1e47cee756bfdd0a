//! S3-FIFO: Yang, Zhang, Qiu, Yue, Vinayak, "FIFO queues are all you need for cache eviction",
//! SOSP 2023, pp. 130-149. Sizes are in bytes, where the paper counts objects.
//!
//! A new entry enters the small queue (a tenth of the bytes). At its end it moves to the main queue if
//! it was accessed again, else it is evicted and its fingerprint enters the ghost queue. An entry whose
//! fingerprint is there enters the main queue directly. The main queue gives an accessed entry another
//! round. So one-hit wonders pass through a tenth of the memory only.

use super::ghost::Ghost;
use super::list::List;
use super::{Eviction, HashOf};
use crate::slab::{Slab, SlotId};

/// The small queue's share of the bytes, as a divisor. The paper's value.
const SMALL_SHARE: usize = 10;
/// Accesses while in the small queue that earn a place in the main queue. The paper's value.
const PROMOTE_FROM: u8 = 2;
/// Two bits of frequency. The paper's value.
const MAX_FREQUENCY: u8 = 3;

/// The mark in the entry: bit 2 is the queue, bits 0 and 1 the frequency.
const IN_MAIN: u8 = 0b100;

#[derive(Debug, Default)]
pub(crate) struct S3Fifo {
    small: List,
    main: List,
    ghost: Ghost,
}

impl S3Fifo {
    fn queue_of(&mut self, slab: &Slab, id: SlotId) -> &mut List {
        if slab.entry(id).mark() & IN_MAIN != 0 { &mut self.main } else { &mut self.small }
    }

    fn push_main(&mut self, slab: &mut Slab, id: SlotId, frequency: u8) {
        slab.entry_mut(id).set_mark(IN_MAIN | frequency);
        self.main.push_head(slab, id);
    }

    /// Moves what earned it to the main queue; gives the first that did not.
    fn evict_small(&mut self, slab: &mut Slab, hash_of: HashOf<'_>, protected: SlotId) -> Option<SlotId> {
        while self.small_is_over_its_share() || self.main.len() == 0 {
            let id = self.small.pop_tail(slab)?;
            if id == protected {
                self.small.push_head(slab, id);
                if self.small.len() == 1 {
                    return None;
                }
                continue;
            }
            if slab.entry(id).mark() >= PROMOTE_FROM {
                self.push_main(slab, id, 0);
                continue;
            }
            self.ghost.insert(hash_of(slab.entry(id)), self.main.len().max(self.small.len()));
            return Some(id);
        }
        None
    }

    fn small_is_over_its_share(&self) -> bool {
        self.small.len() > 0 && self.small.bytes() * SMALL_SHARE >= self.small.bytes() + self.main.bytes()
    }

    /// Another round for what was accessed, one less each time; so it ends within four rounds.
    fn evict_main(&mut self, slab: &mut Slab, protected: SlotId) -> Option<SlotId> {
        loop {
            let id = self.main.pop_tail(slab)?;
            let frequency = slab.entry(id).mark() & MAX_FREQUENCY;
            if id == protected {
                self.push_main(slab, id, frequency);
                if self.main.len() == 1 {
                    return None;
                }
            } else if frequency > 0 {
                self.push_main(slab, id, frequency - 1);
            } else {
                return Some(id);
            }
        }
    }
}

impl Eviction for S3Fifo {
    fn insert(&mut self, slab: &mut Slab, id: SlotId, hash: u64) {
        if self.ghost.take(hash) {
            self.push_main(slab, id, 0);
        } else {
            slab.entry_mut(id).set_mark(0);
            self.small.push_head(slab, id);
        }
    }

    fn access(&mut self, slab: &mut Slab, id: SlotId) {
        let mark = slab.entry(id).mark();
        if mark & MAX_FREQUENCY < MAX_FREQUENCY {
            slab.entry_mut(id).set_mark(mark + 1);
        }
    }

    fn resize(&mut self, slab: &Slab, id: SlotId, before: usize, after: usize) {
        self.queue_of(slab, id).resize(before, after);
    }

    fn remove(&mut self, slab: &mut Slab, id: SlotId) {
        self.queue_of(slab, id).unlink(slab, id);
    }

    fn evict(&mut self, slab: &mut Slab, hash_of: HashOf<'_>, protected: SlotId) -> Option<SlotId> {
        self.evict_small(slab, hash_of, protected)
            .or_else(|| self.evict_main(slab, protected))
            // The main queue holds nothing but the protected entry: the small one below its share.
            .or_else(|| {
                let id = self.small.pop_tail(slab)?;
                if id != protected {
                    self.ghost.insert(hash_of(slab.entry(id)), self.small.len());
                    return Some(id);
                }
                self.small.push_head(slab, id);
                None
            })
    }

    fn bytes(&self) -> usize {
        self.ghost.bytes()
    }
}
