//! Makes an engine out of blocks. Blocks are applied in their order; applying one again changes nothing.

use super::format::{EntryRecord, Header, Reader, Record, ResultRecord};
use crate::config::Config;
use crate::engine::Engine;
use crate::entry::{Entry, Parts};
use crate::history::{EventKind, Record as Event};
use crate::namespace::NamespaceRecord;
use crate::results::Stored;
use crate::shard::Shard;
use crate::time::{NEVER, Now};
use thiserror::Error;

/// Bytes that no exporter wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the state of the node cannot be read: {0}")]
pub struct Corrupt(pub &'static str);

/// What the first block says of its writer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received(Header);

impl Received {
    /// Reads the first block.
    ///
    /// # Errors
    /// It is not one, or of another format version.
    pub fn read(block: &[u8]) -> Result<Self, Corrupt> {
        match Reader::new(block).next()? {
            Some(Record::Header(header)) => Ok(Self(header)),
            _ => Err(Corrupt("the first block does not begin with a header")),
        }
    }

    /// The writer's name in the topology.
    #[must_use]
    pub fn node(&self) -> &str {
        &self.0.node
    }

    /// The writer's clocks as of the header.
    #[must_use]
    pub fn written_at(&self) -> Now {
        Now::new(self.0.mono_ms, self.0.wall_ms)
    }
}

/// One import.
pub struct Importer {
    /// What is added to the writer's monotonic milliseconds to get ours.
    offset_ms: i128,
    namespaces: usize,
}

/// What a block held.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Applied {
    /// Entries, repetitions included.
    pub entries: u64,
}

impl Importer {
    /// An engine that follows: shards, hash seed and incarnation are the writer's, the rest is `config`'s. `then`
    /// is our monotonic time at (or before) the moment at which the header was written: what expires does so
    /// no later than at the writer.
    #[must_use]
    pub fn new(received: &Received, config: Config, then: i128) -> (Engine, Self) {
        let header = &received.0;
        let engine = Engine::new(Config {
            shards: usize::from(header.shards),
            hash_seed: header.hash_seed,
            incarnation: header.incarnation,
            ..config
        });
        for index in 0..engine.shards.len() {
            engine.lock(index).following = true;
        }
        // 1 ms for what both clocks round away.
        (engine, Self { offset_ms: then - 1 - i128::from(header.mono_ms), namespaces: 0 })
    }

    /// Applies one block.
    ///
    /// # Errors
    /// The block is none that an exporter wrote; the engine must not serve then.
    pub fn apply(&mut self, engine: &Engine, block: &[u8], now: Now) -> Result<Applied, Corrupt> {
        let mut reader = Reader::new(block);
        let mut applied = Applied::default();
        while let Some(record) = reader.next()? {
            match record {
                Record::Header(_) => {}
                Record::Namespace { index, record } => self.namespace(engine, index, record, now)?,
                Record::Shard { shard, sequence } => begin_shard(engine, usize::from(shard), sequence)?,
                Record::Entry(entry) => {
                    self.entry(engine, &entry, now)?;
                    applied.entries += 1;
                }
                Record::Events { shard, sequence, events } => {
                    self.events(engine, usize::from(shard), sequence, &events)?;
                }
                Record::Result(result) => self.result(engine, &result)?,
            }
        }
        Ok(applied)
    }

    /// The importer's engine is whole: from now on it is an engine like any other, and every version that it
    /// draws is above `last_version`. Quotas are kept from here on.
    pub fn finish(&mut self, engine: &Engine, last_version: u64, now: Now) {
        use std::sync::atomic::Ordering;
        engine.shared.version_floor.fetch_max(last_version, Ordering::Relaxed);
        for index in 0..engine.shards.len() {
            let mut shard = engine.lock(index);
            shard.following = false;
            match shard.evicted_while_following.replace(vec![]) {
                Some(keys) => tell_evicted(engine, &mut shard, keys, now),
                // Removals that no event tells of: whoever stood here has to begin anew.
                None => shard.history.forget(),
            }
            shard.settle(&engine.shared);
        }
        for namespace in engine.shared.registry.all() {
            engine.evict_to_quota(&namespace, now);
        }
    }

    fn expiry(&self, writers: u64) -> u64 {
        if writers == NEVER {
            return NEVER;
        }
        (i128::from(writers) + self.offset_ms).clamp(0, i128::from(NEVER - 1)) as u64
    }

    fn namespace(
        &mut self,
        engine: &Engine,
        index: u16,
        record: NamespaceRecord,
        now: Now,
    ) -> Result<(), Corrupt> {
        let name = record.name.clone();
        // A record of its own that this engine has already (default) yields to an equal revision.
        engine.apply_namespace(record, now).map_err(|_| Corrupt("a namespace record contradicts itself"))?;
        if engine.shared.registry.index_of(&name) != Some(index) {
            return Err(Corrupt("a namespace has another number here than at its writer"));
        }
        self.namespaces = self.namespaces.max(usize::from(index) + 1);
        Ok(())
    }

    fn known(&self, namespace: u16) -> Result<(), Corrupt> {
        if usize::from(namespace) < self.namespaces {
            return Ok(());
        }
        Err(Corrupt("a record is of a namespace that was not told of"))
    }

    fn entry(&self, engine: &Engine, record: &EntryRecord<'_>, now: Now) -> Result<(), Corrupt> {
        self.known(record.namespace)?;
        let Some(namespace) = engine.shared.registry.by_index(record.namespace) else { return Ok(()) };
        let mut entry = Entry::new(&Parts {
            namespace: record.namespace,
            key: record.key,
            content_type: record.content_type,
            value: record.value,
            may_expire: record.expires_at != NEVER || record.expiry_version != 0,
        });
        entry.set_version(record.version);
        entry.set_expiry(self.expiry(record.expires_at), record.expiry_version);
        let hash = engine.shared.hash(record.namespace, record.key);
        let home = engine.shard_of(hash);
        let room = {
            let mut shard = engine.lock(home);
            let id = match shard.find(record.namespace, record.key, hash) {
                Some(id) => {
                    let there = shard.slab.entry(id);
                    let newer = (there.version(), there.expiry_version());
                    if newer > (record.version, record.expiry_version) {
                        return Ok(());
                    }
                    shard.replace(&engine.shared, id, entry);
                    id
                }
                None => shard.insert(&engine.shared, entry, hash),
            };
            shard.make_room(&engine.shared, &namespace, id, now)
        };
        if !room {
            engine.make_room_elsewhere(&namespace, home, now);
        }
        Ok(())
    }

    fn result(&self, engine: &Engine, record: &ResultRecord<'_>) -> Result<(), Corrupt> {
        self.known(record.namespace)?;
        let hash = engine.shared.hash(record.namespace, record.key);
        let stored = Stored {
            namespace: record.namespace,
            key: record.key.into(),
            operation: record.operation,
            expires_at: self.expiry(record.expires_at),
            result: record.result.into(),
        };
        let mut results = engine.results[engine.shard_of(hash)].lock();
        if !results.holds(hash, &stored) {
            results.insert(&engine.shared, hash, stored);
        }
        Ok(())
    }

    /// Appends events to a shard's history, and removes what they say is gone.
    fn events(
        &self,
        engine: &Engine,
        shard: usize,
        sequence: u64,
        events: &[Event<'_>],
    ) -> Result<(), Corrupt> {
        if shard >= engine.shards.len() {
            return Err(Corrupt("an event of a shard that there is not"));
        }
        for event in events {
            self.known(event.namespace)?;
        }
        for (event, sequence) in events.iter().zip(sequence..) {
            {
                let mut shard = engine.lock(shard);
                match shard.history.next() {
                    next if sequence < next => continue,
                    next if sequence > next => return Err(Corrupt("events are missing")),
                    _ => {}
                }
                shard.history.push(&Event { expires_at: self.expiry(event.expires_at), ..*event });
                if matches!(event.kind, EventKind::Deleted | EventKind::Expired | EventKind::Evicted) {
                    let hash = engine.shared.hash(event.namespace, event.key);
                    if let Some(id) = shard.find(event.namespace, event.key, hash)
                        && shard.slab.entry(id).version() < event.version
                    {
                        shard.remove(&engine.shared, id, hash);
                    }
                }
                shard.settle(&engine.shared);
            }
            if event.kind == EventKind::Flushed {
                engine.erase(shard, None, Now::new(0, 0), |_, entry| {
                    entry.namespace() == event.namespace && entry.version() <= event.version
                });
            }
        }
        Ok(())
    }
}

/// The events of what made room here and was not written again since.
fn tell_evicted(engine: &Engine, shard: &mut Shard, keys: Vec<(u16, Box<[u8]>)>, now: Now) {
    for (namespace, key) in keys {
        if shard.find(namespace, &key, engine.shared.hash(namespace, &key)).is_none() {
            let version = shard.draw(&engine.shared, now);
            let (kind, key) = (EventKind::Evicted, &*key);
            let event = Event { kind, namespace, key, version, expiry_version: 0, expires_at: NEVER };
            shard.record(&engine.shared, &event);
        }
    }
}

fn begin_shard(engine: &Engine, shard: usize, sequence: u64) -> Result<(), Corrupt> {
    if shard >= engine.shards.len() {
        return Err(Corrupt("a shard that there is not"));
    }
    if sequence == 0 {
        return Err(Corrupt("sequences begin at 1"));
    }
    engine.erase(shard, None, Now::new(0, 0), |_, _| true);
    let mut shard = engine.lock(shard);
    shard.history.restart(sequence);
    shard.settle(&engine.shared);
    Ok(())
}
