//! The sweeper: removes what has expired and nobody asked for, a bounded number of slots a call. Expiry
//! itself does not depend on it: every operation judges the entry it meets.

use crate::engine::Engine;
use crate::slab::SlotId;
use crate::time::Now;
use crate::transfer::Hold;
use std::sync::atomic::Ordering;

/// Slots that are looked at under one hold of a shard's lock.
const PER_LOCK: SlotId = 256;

/// What one call did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Slots looked at.
    pub examined: usize,
    /// Expired entries removed.
    pub expired: usize,
}

impl Engine {
    /// Looks at up to `budget` slots, continuing where the last call ended; at most once around. Shards in
    /// which nothing will expire are passed over.
    pub fn sweep(&self, budget: usize, now: Now) -> Swept {
        let mut swept = Swept::default();
        let mut at = self.sweep_at.load(Ordering::Relaxed);
        let (mut index, mut slot) = ((at >> 32) % self.shards.len(), at as SlotId);
        for _ in 0..=self.shards.len() {
            self.expire_results(index, now);
            let done = self.sweep_shard(index, &mut slot, budget, &mut swept, now);
            if !done {
                break;
            }
            (index, slot) = ((index + 1) % self.shards.len(), 0);
        }
        at = index << 32 | slot as usize;
        self.sweep_at.store(at, Ordering::Relaxed);
        swept
    }

    /// True: the shard's end was reached.
    fn sweep_shard(
        &self,
        index: usize,
        slot: &mut SlotId,
        budget: usize,
        swept: &mut Swept,
        now: Now,
    ) -> bool {
        loop {
            let mut shard = self.lock(index);
            if shard.hold != Hold::No {
                return true;
            }
            if shard.expiring == 0 || *slot >= shard.slab.end() {
                shard.shrink(&self.shared);
                return true;
            }
            let stop = shard.slab.end().min(*slot + PER_LOCK);
            while *slot < stop && swept.examined < budget {
                // The last removal empties the slab, and with it its end.
                if *slot >= shard.slab.end() {
                    break;
                }
                if let Some(entry) = shard.slab.get(*slot)
                    && !shard.is_live(entry, now)
                {
                    let hash = self.shared.hash_of(entry);
                    shard.bury(&self.shared, *slot, hash, now);
                    swept.expired += 1;
                }
                *slot += 1;
                swept.examined += 1;
            }
            shard.settle(&self.shared);
            if swept.examined >= budget {
                return false;
            }
        }
    }
}
