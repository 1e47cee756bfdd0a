//! Makes room: after a write the writer evicts until namespace and node are within their limits again,
//! first in the shard whose lock it holds, then elsewhere.
//!
//! The limit is one for all shards, so shards need no fixed shares: each insert that finds the node full
//! takes its room from its own shard, and shards keep the sizes that the keys gave them.

use crate::engine::Engine;
use crate::namespace::Namespace;
use crate::shard::{Shard, Shared};
use crate::slab::{NIL, SlotId};
use crate::time::Now;

impl Shard {
    /// Evicts from this shard until nothing is over its limit. False: there is nothing left to evict here.
    pub(crate) fn make_room(
        &mut self,
        shared: &Shared,
        namespace: &Namespace,
        protected: SlotId,
        now: Now,
    ) -> bool {
        loop {
            self.settle_space(shared, namespace.index);
            let from = if namespace.over_quota() && !self.following {
                Some(namespace.index)
            } else if shared.over_limit() {
                self.fattest(shared, (protected != NIL).then_some(namespace.index))
            } else {
                return true;
            };
            if !from.is_some_and(|from| self.evict(shared, from, protected, now)) {
                return false;
            }
        }
    }

    /// The namespace that uses most of what it may: so a small tenant is not emptied by a large one.
    /// `writer` holds one entry that cannot go.
    fn fattest(&self, shared: &Shared, writer: Option<u16>) -> Option<u16> {
        let limit = shared.config.memory_limit;
        let share = |bytes: usize, quota: Option<usize>| {
            bytes as f64 / quota.map_or(limit, |quota| quota.min(limit)).max(1) as f64
        };
        self.spaces()
            .filter(|(index, space)| space.entries > usize::from(writer == Some(*index)))
            .max_by(|(_, a), (_, b)| share(a.bytes, a.quota).total_cmp(&share(b.bytes, b.quota)))
            .map(|(index, _)| index)
    }
}

impl Engine {
    /// Continues where the writer's shard had nothing left, one lock at a time.
    pub(crate) fn make_room_elsewhere(&self, namespace: &Namespace, full: usize, now: Now) {
        for step in 1..self.shards.len() {
            let index = (full + step) % self.shards.len();
            if self.lock(index).make_room(&self.shared, namespace, NIL, now) {
                return;
            }
        }
    }

    /// Evicts until the node is within its limit, a few entries from each shard in turn.
    pub fn make_room_for_buffers(&self, now: Now) {
        const PER_LOCK: usize = 64;
        let mut evicted = true;
        while evicted && self.shared.over_limit() {
            evicted = false;
            for index in 0..self.shards.len() {
                let mut shard = self.lock(index);
                let mut left = PER_LOCK;
                while left > 0 && self.shared.over_limit() {
                    let from = shard.fattest(&self.shared, None);
                    if !from.is_some_and(|from| shard.evict(&self.shared, from, NIL, now)) {
                        break;
                    }
                    (evicted, left) = (true, left - 1);
                }
                shard.settle(&self.shared);
            }
        }
    }

    /// After a quota was lowered: a few entries from each shard in turn, so that none is emptied first.
    pub(crate) fn evict_to_quota(&self, namespace: &Namespace, now: Now) {
        const PER_LOCK: usize = 64;
        loop {
            let mut evicted = false;
            for index in 0..self.shards.len() {
                let mut shard = self.lock(index);
                for _ in 0..PER_LOCK {
                    if !namespace.over_quota() || shard.following {
                        shard.settle_space(&self.shared, namespace.index);
                        return;
                    }
                    if !shard.evict(&self.shared, namespace.index, NIL, now) {
                        break;
                    }
                    evicted = true;
                }
                shard.settle_space(&self.shared, namespace.index);
            }
            if !evicted {
                return;
            }
        }
    }
}
