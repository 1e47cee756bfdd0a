//! The public face: finds the shard and the namespace of an operation and runs it under one lock.

use crate::config::Config;
use crate::error::Error;
use crate::memory::{NodeMemory, allocation_bytes};
use crate::namespace::{Applied, Namespace, NamespaceRecord};
use crate::ownership::Topology;
use crate::registry::{Change, Registry, not_found};
use crate::results::Results;
use crate::shard::{Shard, Shared};
use crate::time::Now;
use crate::version::believable;
use foldhash::SharedSeed;
use parking_lot::{Mutex, MutexGuard};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// The namespace that always exists.
pub(crate) const DEFAULT_NAMESPACE: &str = "default";

/// A shard on cache lines of its own.
#[repr(align(128))]
pub(crate) struct Cell(Mutex<Shard>);

/// A cache. Every method may be called from any thread.
pub struct Engine {
    pub(crate) shared: Shared,
    pub(crate) shards: Box<[Cell]>,
    /// Stored results, by shard. Locked before the shard, never after it.
    pub(crate) results: Box<[Mutex<Results>]>,
    /// Held while a topology is put in place; the shards hold the copies that are judged by.
    pub(crate) topology: Mutex<Option<Topology>>,
    pub(crate) sweep_at: AtomicUsize,
    /// Held by whoever reads a namespace record to make the next revision of it.
    admin: Mutex<()>,
    pub(crate) ignored_seen: AtomicU64,
}

impl Engine {
    /// An engine with the namespace `default` and no topology: it owns every key.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let shards = config.shards.clamp(1, 1_024).next_power_of_two();
        let history = config.history_bytes / shards;
        let shared = Shared {
            memory: NodeMemory::default(),
            registry: Registry::new(config.max_namespaces),
            version_floor: AtomicU64::new(config.version_floor),
            waker_armed: AtomicBool::new(false),
            results_stored: AtomicU64::new(0),
            seed: SharedSeed::from_u64(config.hash_seed),
            config,
        };
        let cells: Box<[Cell]> = (0..shards).map(|_| Cell(Mutex::new(Shard::new(history)))).collect();
        shared.memory.change_structure(0, allocation_bytes(shards * size_of::<Cell>()));
        let engine = Self {
            shared,
            shards: cells,
            results: (0..shards).map(|_| Mutex::default()).collect(),
            topology: Mutex::default(),
            sweep_at: AtomicUsize::new(0),
            admin: Mutex::default(),
            ignored_seen: AtomicU64::new(0),
        };
        let default = NamespaceRecord::new(DEFAULT_NAMESPACE);
        if let Err(error) = engine.apply_namespace(default, Now::new(0, 0)) {
            unreachable!("the default namespace is valid: {error}");
        }
        engine
    }

    pub(crate) fn shard_of(&self, hash: u64) -> usize {
        // hashbrown uses the lowest and the highest seven bits; these are neither.
        (hash >> 44) as usize & (self.shards.len() - 1)
    }

    pub(crate) fn lock(&self, index: usize) -> MutexGuard<'_, Shard> {
        self.shards[index].0.lock()
    }

    /// The settings this engine was made with.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.shared.config
    }

    // --- versions ---

    /// Raises the version clock to what a caller has seen, from any node. A version over 60 s ahead of
    /// the wall clock is ignored and counted: false.
    pub fn raise_clock(&self, seen: u64, now: Now) -> bool {
        let floor = &self.shared.version_floor;
        if seen <= floor.load(Ordering::Relaxed) {
            return true;
        }
        if !believable(seen, now.wall_ms) {
            self.ignored_seen.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        floor.fetch_max(seen, Ordering::Relaxed);
        true
    }

    /// The greatest version that this engine drew or believed.
    #[must_use]
    pub fn greatest_version(&self) -> u64 {
        let drawn = (0..self.shards.len()).map(|i| self.lock(i).clock.last()).max();
        drawn.unwrap_or(0).max(self.shared.version_floor.load(Ordering::Relaxed))
    }

    /// A version above all that any shard drew; every later one is above it. For what concerns all keys.
    pub(crate) fn draw_for_all(&self, now: Now) -> u64 {
        self.shared.version_floor.fetch_max(self.greatest_version(), Ordering::Relaxed);
        let version = self.lock(0).draw(&self.shared, now);
        self.shared.version_floor.fetch_max(version, Ordering::Relaxed);
        version
    }

    // --- namespaces ---

    /// Takes a record from anywhere: the highest revision wins. Lowering a quota evicts, deleting erases,
    /// before this returns.
    ///
    /// # Errors
    /// INVALID_ARGUMENT for a record that contradicts itself or deletes `default`; QUOTA_EXCEEDED when the
    /// table of names is full.
    pub fn apply_namespace(&self, record: NamespaceRecord, now: Now) -> Result<Applied, Error> {
        if record.deleted && record.name == DEFAULT_NAMESPACE {
            return Err(Error::invalid("namespace", "the namespace \"default\" cannot be deleted"));
        }
        let mut writer = self.shared.registry.write();
        let (name, before) = (record.name.clone(), writer.bytes());
        let (applied, change) = writer.apply(record)?;
        self.shared.memory.change_structure(before, writer.bytes());
        match change {
            Change::Created(namespace) => {
                self.open_spaces(&namespace);
                writer.publish(&name, namespace.index, Some(namespace));
            }
            Change::Updated(namespace) => {
                self.open_spaces(&namespace);
                self.evict_to_quota(&namespace, now);
            }
            Change::Deleted(index) if self.lock(0).following => self.close_spaces(index),
            Change::Deleted(index) => {
                self.flush_index(index, true, now);
            }
            Change::Nothing => {}
        }
        Ok(applied)
    }

    fn open_spaces(&self, namespace: &Namespace) {
        for index in 0..self.shards.len() {
            let mut shard = self.lock(index);
            shard.open_space(self.shared.config.policy, namespace);
            shard.settle_space(&self.shared, namespace.index);
        }
    }

    /// Makes a namespace; its revision is drawn from the version clock.
    ///
    /// # Errors
    /// NAMESPACE_EXISTS when a live one has the name; else as [`Engine::apply_namespace`].
    pub fn create_namespace(&self, mut record: NamespaceRecord, now: Now) -> Result<NamespaceRecord, Error> {
        let _one_at_a_time = self.admin.lock();
        if self.namespace(&record.name).is_ok() {
            return Err(Error::NamespaceExists { namespace: record.name });
        }
        (record.revision, record.deleted) = (self.draw_for_all(now), false);
        self.apply_mine(record, now)
    }

    /// Changes a live namespace by `edit`; name, revision and deletion are not its to change.
    ///
    /// # Errors
    /// NAMESPACE_NOT_FOUND, or as [`Engine::apply_namespace`].
    pub fn update_namespace(
        &self,
        name: &str,
        edit: impl FnOnce(&mut NamespaceRecord),
        now: Now,
    ) -> Result<NamespaceRecord, Error> {
        let _one_at_a_time = self.admin.lock();
        let mut record = self.namespace(name)?;
        edit(&mut record);
        (record.name, record.deleted) = (name.into(), false);
        record.revision = self.draw_for_all(now).max(record.revision + 1);
        self.apply_mine(record, now)
    }

    /// Deletes a namespace and erases its entries; answers the tombstone.
    ///
    /// # Errors
    /// NAMESPACE_NOT_FOUND; INVALID_ARGUMENT for `default`.
    pub fn delete_namespace(&self, name: &str, now: Now) -> Result<NamespaceRecord, Error> {
        let _one_at_a_time = self.admin.lock();
        let record = self.namespace(name)?;
        let revision = self.draw_for_all(now).max(record.revision + 1);
        let tombstone =
            NamespaceRecord { name: record.name, revision, deleted: true, ..NamespaceRecord::default() };
        self.apply_mine(tombstone, now)
    }

    /// Somebody else's record may have come in between; then that one stands and is answered.
    fn apply_mine(&self, record: NamespaceRecord, now: Now) -> Result<NamespaceRecord, Error> {
        match self.apply_namespace(record.clone(), now)? {
            Applied::Accepted => Ok(record),
            Applied::Superseded(by) => Ok(by),
        }
    }

    /// The record of a live namespace.
    ///
    /// # Errors
    /// NAMESPACE_NOT_FOUND.
    pub fn namespace(&self, name: &str) -> Result<NamespaceRecord, Error> {
        match self.shared.registry.record(name) {
            Some(record) if !record.deleted => Ok(record),
            _ => Err(not_found(name)),
        }
    }

    /// All records, tombstones included, ordered by name.
    #[must_use]
    pub fn namespaces(&self) -> Vec<NamespaceRecord> {
        self.shared.registry.records()
    }

    // --- memory ---

    /// Bytes that count against the limit now.
    #[must_use]
    pub fn used_bytes(&self) -> usize {
        self.shared.memory.used.get()
    }

    /// Counts bytes that the caller holds outside of the engine against the limit; entries make room for
    /// them with the next write, or with [`Engine::make_room_for_buffers`].
    pub fn charge_buffers(&self, bytes: usize) {
        self.shared.memory.charge_buffers(bytes);
    }

    /// Gives back what was charged.
    pub fn release_buffers(&self, bytes: usize) {
        self.shared.memory.release_buffers(bytes);
    }

    /// Bytes that are charged now.
    #[must_use]
    pub fn buffer_bytes(&self) -> usize {
        self.shared.memory.buffers.get()
    }

    /// Recounts everything and compares it with what was counted; for tests, while nothing else runs.
    ///
    /// # Errors
    /// What does not agree.
    #[doc(hidden)]
    pub fn audit(&self) -> Result<(), String> {
        let mut entries = 0;
        let mut structures = allocation_bytes(self.shards.len() * size_of::<Cell>());
        structures += self.shared.registry.write().bytes();
        for index in 0..self.shards.len() {
            let (e, s) = self.lock(index).audit(&self.shared)?;
            entries += e;
            structures += s + self.results[index].lock().bytes();
        }
        let structure = self.shared.memory.structure.get();
        let used = self.used_bytes() - self.buffer_bytes();
        if used != entries + structures || structure != structures {
            return Err(format!(
                "{used} bytes counted of which {structure} structure; there are {entries} + {structures}"
            ));
        }
        Ok(())
    }
}
