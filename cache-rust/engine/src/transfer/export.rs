//! Walks the shards while they serve. A lock is held for a bounded number of slots and bytes.

use super::blocks::Blocks;
use super::format::{self, EntryRecord, Header, ResultRecord};
use crate::engine::Engine;
use crate::entry::{Entry, SHARE_FROM, SharedValue};
use crate::history::{EventKind, Place};
use crate::slab::SlotId;
use crate::time::Now;
use std::collections::HashSet;
use std::fmt;

/// Slots that are looked at under one hold of a shard's lock.
const SLOTS_PER_LOCK: SlotId = 1_000;
/// Events that are read under one hold.
const EVENTS_PER_LOCK: usize = 256;
/// What is copied under one hold.
const BYTES_PER_LOCK: usize = 256 << 10;
/// How often a shard is walked anew because its history was overtaken.
const MAX_WALKS: u32 = 16;

/// The hand-over cannot succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExportError {
    /// A shard was walked as often as is allowed, and its history was overtaken each time.
    Overtaken {
        /// Its number.
        shard: usize,
    },
}

impl fmt::Display for ExportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Overtaken { shard } = self;
        write!(
            f,
            "changes came faster than they could be sent: the history of shard {shard} was overtaken {MAX_WALKS} \
             times; a larger --history-limit or a higher rate helps"
        )
    }
}

impl std::error::Error for ExportError {}

/// How far one shard has been sent.
struct Walk {
    /// The next slot; none: every slot was passed.
    slot: Option<SlotId>,
    /// The next event.
    place: Place,
    /// Events below are older than the walk, which meets the entries that they tell of.
    changes_from: u64,
    begun: bool,
    walks: u32,
    /// The next stored result.
    result: u64,
}

/// One export.
pub struct Exporter {
    walks: Vec<Walk>,
    blocks: Blocks,
    begun: bool,
    /// The shard whose turn it is.
    at: usize,
    /// Of the registry, when its records were last sent.
    generation: Option<u64>,
    /// The last round found nothing more to send.
    drained: bool,
}

/// An entry whose value is copied after the lock.
struct Large {
    head: Vec<u8>,
    value: SharedValue,
}

impl Engine {
    /// Begins an export. From now on histories are kept even if nobody ever subscribed.
    #[must_use]
    pub fn export(&self) -> Exporter {
        let walks = (0..self.shards.len())
            .map(|_| Walk {
                slot: Some(0),
                place: Place::default(),
                changes_from: 0,
                begun: false,
                walks: 0,
                result: 0,
            })
            .collect();
        Exporter { walks, blocks: Blocks::default(), begun: false, at: 0, generation: None, drained: false }
    }
}

impl Exporter {
    /// Entries written so far, repetitions included.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.blocks.entries
    }

    /// The next block, of at most [`MAX_BLOCK_BYTES`] or one entry. None: nothing waits to be sent, as of a
    /// moment during this call; later changes are for a later call. `None` while the engine is held is the end.
    ///
    /// # Errors
    /// See [`ExportError`].
    pub fn next_block(&mut self, engine: &Engine, now: Now) -> Result<Option<Vec<u8>>, ExportError> {
        if !self.begun {
            self.begun = true;
            self.put_header(engine, now);
        }
        // One round over all shards, or until a block is full.
        let mut idle = 0;
        while !self.blocks.has_ready() && idle < self.walks.len() {
            let index = self.at;
            let progress =
                self.follow(engine, index)? | self.follow_results(engine, index) | self.walk(engine, index);
            idle = if progress { 0 } else { idle + 1 };
            self.at = (index + 1) % self.walks.len();
        }
        self.drained = idle == self.walks.len();
        self.put_namespaces(engine);
        Ok(self.blocks.take())
    }

    /// Whether everything was sent, as of the last call: what follows is changes since.
    #[must_use]
    pub fn is_caught_up(&self) -> bool {
        self.drained && self.blocks.is_empty()
    }

    fn put_header(&mut self, engine: &Engine, now: Now) {
        let config = engine.config();
        let header = Header {
            shards: engine.shards.len() as u16,
            hash_seed: config.hash_seed,
            incarnation: config.incarnation,
            mono_ms: now.mono_ms,
            wall_ms: now.wall_ms,
            node: config.node_name.clone(),
        };
        let mut records = vec![];
        format::put_header(&mut records, &header);
        self.blocks.put_first(records);
    }

    /// All records, if one has changed: in front of entries that may belong to a new one.
    fn put_namespaces(&mut self, engine: &Engine) {
        if self.generation == Some(engine.shared.registry.generation()) {
            return;
        }
        let (generation, records) = engine.shared.registry.by_number();
        let header = if self.generation.is_none() { self.blocks.take() } else { None };
        let mut bytes = vec![];
        for (index, record) in records {
            format::put_namespace(&mut bytes, index, &record);
        }
        self.generation = Some(generation);
        self.blocks.put_first(bytes);
        if let Some(header) = header {
            self.blocks.put_first(header);
        }
    }

    /// Sends events behind the last ones sent, and the entries that they tell of. False: there were none.
    fn follow(&mut self, engine: &Engine, index: usize) -> Result<bool, ExportError> {
        let walk = &mut self.walks[index];
        if !walk.begun {
            return Ok(false);
        }
        let shard = engine.lock(index);
        let (first, changes_from) = (walk.place.sequence, walk.changes_from);
        let (mut events, mut count) = (vec![], 0);
        let (mut entries, mut large, mut wanted) = (vec![], None, 0);
        let mut seen = HashSet::new();
        let read = shard.history.read(&mut walk.place, u64::MAX, |event| {
            format::put_event(&mut events, &event);
            count += 1;
            let changed = first + count as u64 > changes_from
                && matches!(event.kind, EventKind::Put | EventKind::Touched);
            if changed
                && let Some(id) = shard.find_event(&engine.shared, &event)
                && seen.insert(id)
            {
                wanted += 1;
                put(&mut entries, &mut large, shard.slab.entry(id));
            }
            count < EVENTS_PER_LOCK && large.is_none() && events.len() + entries.len() < BYTES_PER_LOCK
        });
        drop(shard);
        if read.is_none() {
            walk.walks += 1;
            if walk.walks == MAX_WALKS {
                return Err(ExportError::Overtaken { shard: index });
            }
            (walk.slot, walk.begun) = (Some(0), false);
            return Ok(true);
        }
        if count == 0 {
            return Ok(false);
        }
        let out = self.blocks.room_for(15 + events.len());
        format::put_events(out, index as u16, first, count as u32, &events);
        self.put_entries(&entries, large, wanted);
        Ok(true)
    }

    /// Sends results that were stored since the last call. False: there were none.
    fn follow_results(&mut self, engine: &Engine, index: usize) -> bool {
        let (walk, blocks) = (&mut self.walks[index], &mut self.blocks);
        let (mut count, mut bytes) = (0, 0);
        engine.results[index].lock().read(&mut walk.result, |stored| {
            let length = format::result_len(stored.key.len(), stored.result.len());
            let record = ResultRecord {
                namespace: stored.namespace,
                operation: stored.operation,
                expires_at: stored.expires_at,
                key: &stored.key,
                result: &stored.result,
            };
            format::put_result(blocks.room_for(length), &record);
            (count, bytes) = (count + 1, bytes + length);
            count < EVENTS_PER_LOCK && bytes < BYTES_PER_LOCK
        });
        count > 0
    }

    /// Sends the next slots. False: every slot was passed.
    fn walk(&mut self, engine: &Engine, index: usize) -> bool {
        let walk = &mut self.walks[index];
        let Some(mut slot) = walk.slot else { return false };
        let mut shard = engine.lock(index);
        if !walk.begun {
            walk.begun = true;
            shard.history.enable();
            let oldest = shard.history.oldest();
            (walk.place, walk.changes_from) = (Place::at(oldest), shard.history.next());
            format::put_shard(self.blocks.room_for(11), index as u16, oldest);
        }
        let end = shard.slab.end();
        let stop = end.min(slot.saturating_add(SLOTS_PER_LOCK));
        let (mut entries, mut large, mut count) = (vec![], None, 0);
        while slot < stop && large.is_none() && entries.len() < BYTES_PER_LOCK {
            if let Some(entry) = shard.slab.get(slot)
                && shard.is_kept(entry)
            {
                count += 1;
                put(&mut entries, &mut large, entry);
            }
            slot += 1;
        }
        walk.slot = (slot < end).then_some(slot);
        drop(shard);
        self.put_entries(&entries, large, count);
        true
    }

    fn put_entries(&mut self, entries: &[u8], large: Option<Large>, count: u64) {
        self.blocks.entries += count;
        if !entries.is_empty() {
            self.blocks.room_for(entries.len()).extend_from_slice(entries);
        }
        if let Some(Large { head, value }) = large {
            let value = value.as_ref();
            let out = self.blocks.room_for(head.len() + value.len());
            out.reserve_exact(head.len() + value.len());
            out.extend_from_slice(&head);
            out.extend_from_slice(value);
        }
    }
}

/// Writes an entry, or its head and a handle of its value if that is large.
fn put(out: &mut Vec<u8>, large: &mut Option<Large>, entry: &Entry) {
    let record = EntryRecord {
        namespace: entry.namespace(),
        version: entry.version(),
        expires_at: entry.expires_at(),
        expiry_version: entry.expiry_version(),
        key: entry.key(),
        content_type: entry.content_type(),
        value: &[],
    };
    if entry.value_len() >= SHARE_FROM
        && let Some(value) = entry.share()
    {
        let mut head = Vec::with_capacity(format::entry_len(record.key.len(), record.content_type.len(), 0));
        format::put_entry_head(&mut head, &record, entry.value_len());
        *large = Some(Large { head, value });
        return;
    }
    format::put_entry(out, &EntryRecord { value: entry.value(), ..record });
}
