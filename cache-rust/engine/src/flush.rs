//! Removing many entries at once: of a namespace, or of keys that moved to another node.

use crate::engine::Engine;
use crate::entry::Entry;
use crate::error::Error;
use crate::history::{EventKind, Record};
use crate::shard::Shard;
use crate::slab::SlotId;
use crate::time::{NEVER, Now};

/// Slots that are looked at under one hold of a shard's lock.
const PER_LOCK: SlotId = 256;

impl Engine {
    /// Erases everything of a namespace: at once for every reader, then slot by slot in short holds of the
    /// lock. Answers the greatest version drawn and how many entries there were.
    pub(crate) fn flush_index(&self, index: u16, close: bool, now: Now) -> (u64, u64) {
        let mut version = self.draw_for_all(now);
        let mut entries = 0;
        for at in 0..self.shards.len() {
            let mut shard = self.lock(at);
            let drawn = shard.draw_at_least(&self.shared, version, now);
            version = version.max(drawn);
            let space = shard.space_mut(index);
            space.flushed_at = drawn;
            space.open = !close;
            entries += space.entries as u64;
            shard.record(
                &self.shared,
                &Record {
                    kind: EventKind::Flushed,
                    namespace: index,
                    key: &[],
                    version: drawn,
                    expiry_version: 0,
                    expires_at: NEVER,
                },
            );
            shard.settle(&self.shared);
        }
        for at in 0..self.shards.len() {
            self.erase(at, None, now, |shard, entry| {
                entry.namespace() == index
                    && shard.space(index).is_some_and(|space| entry.version() <= space.flushed_at)
            });
        }
        (version, entries)
    }

    /// The same for an engine that receives its state: the version and the events are the writer's.
    pub(crate) fn close_spaces(&self, index: u16) {
        for at in 0..self.shards.len() {
            self.lock(at).space_mut(index).open = false;
            self.erase(at, None, Now::new(0, 0), |_, entry| entry.namespace() == index);
        }
    }

    /// Flushes a live namespace: the greatest version drawn, and how many entries it erased.
    ///
    /// # Errors
    /// NAMESPACE_NOT_FOUND.
    pub fn flush(&self, namespace: &str, now: Now) -> Result<(u64, u64), Error> {
        let namespace = self.shared.registry.get(namespace)?;
        Ok(self.flush_index(namespace.index, false, now))
    }

    /// Removes what `gone` says from one shard, in short holds of the lock, each with a version and an event
    /// of this kind, or silently.
    pub(crate) fn erase(
        &self,
        index: usize,
        event: Option<EventKind>,
        now: Now,
        gone: impl Fn(&Shard, &Entry) -> bool,
    ) -> usize {
        let (mut slot, mut erased) = (0, 0);
        loop {
            let mut shard = self.lock(index);
            let stop = shard.slab.end().min(slot + PER_LOCK);
            while slot < stop && slot < shard.slab.end() {
                if let Some(entry) = shard.slab.get(slot)
                    && gone(&shard, entry)
                {
                    let hash = self.shared.hash_of(entry);
                    let entry = shard.remove(&self.shared, slot, hash);
                    if let Some(kind) = event {
                        let version = shard.draw(&self.shared, now);
                        shard.record_entry(&self.shared, kind, &entry, version);
                    }
                    erased += 1;
                }
                slot += 1;
            }
            shard.settle(&self.shared);
            if slot >= shard.slab.end() {
                shard.shrink(&self.shared);
                return erased;
            }
        }
    }
}
