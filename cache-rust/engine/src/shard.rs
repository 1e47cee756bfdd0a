//! What one lock protects: a part of the keys with everything that belongs to them. This file holds the
//! steps that operations are made of; the operations themselves are in `ops/`.

use crate::config::Config;
use crate::entry::{Entry, remaining};
use crate::error::Error;
use crate::eviction::{Eviction, Policy};
use crate::history::{EventKind, History, Record};
use crate::memory::{ENTRY_INDEX_BYTES, NodeMemory, Used, allocation_bytes};
use crate::namespace::Namespace;
use crate::ownership::Topology;
use crate::registry::Registry;
use crate::slab::{Slab, SlotId};
use crate::time::{NEVER, Now};
use crate::transfer::Hold;
use crate::version::VersionClock;
use foldhash::{SharedSeed, quality::FoldHasher};
use hashbrown::HashTable;
use std::hash::Hasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What all shards share. Nothing here is written by an operation but the counts of bytes.
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) memory: NodeMemory,
    pub(crate) registry: Registry,
    /// Every version drawn is above this.
    pub(crate) version_floor: AtomicU64,
    pub(crate) waker_armed: AtomicBool,
    /// How many results of operations are stored.
    pub(crate) results_stored: AtomicU64,
    pub(crate) seed: SharedSeed,
}

impl Placement {
    pub(crate) fn new(topology: Topology, node: &str) -> Self {
        let me = topology.nodes.iter().find(|member| member.name == node);
        let tag = me.map_or(0, |member| member.tag as u16);
        Self { topology, tag }
    }
}

impl Shared {
    pub(crate) fn hash(&self, namespace: u16, key: &[u8]) -> u64 {
        let mut hasher =
            FoldHasher::with_seed(self.config.hash_seed ^ u64::from(namespace) << 32, &self.seed);
        hasher.write(key);
        hasher.finish()
    }

    pub(crate) fn hash_of(&self, entry: &Entry) -> u64 {
        self.hash(entry.namespace(), entry.key())
    }

    pub(crate) fn over_limit(&self) -> bool {
        self.memory.used.get() > self.config.memory_limit
    }

    fn wake(&self) {
        if self.waker_armed.load(Ordering::Acquire)
            && self.waker_armed.swap(false, Ordering::AcqRel)
            && let Some(waker) = &self.config.waker
        {
            waker.wake();
        }
    }
}

/// One namespace's part in one shard.
pub(crate) struct Space {
    pub(crate) policy: Box<dyn Eviction>,
    /// Entries at or below this version were flushed and wait to be erased.
    pub(crate) flushed_at: u64,
    /// False once the namespace was deleted.
    pub(crate) open: bool,
    pub(crate) quota: Option<usize>,
    pub(crate) used: Arc<Used>,
    pub(crate) entries: usize,
    /// As the quota counts them.
    pub(crate) bytes: usize,
    policy_bytes: usize,
    pub(crate) hits: u64,
    pub(crate) misses: u64,
    pub(crate) evictions: u64,
    pub(crate) expirations: u64,
}

/// The topology as this node sees it.
pub(crate) struct Placement {
    pub(crate) topology: Topology,
    /// This node's tag; 0 when it is not a member.
    pub(crate) tag: u16,
}

pub(crate) struct Shard {
    table: HashTable<SlotId>,
    pub(crate) slab: Slab,
    spaces: Vec<Option<Box<Space>>>,
    pub(crate) clock: VersionClock,
    pub(crate) history: History,
    pub(crate) placement: Option<Arc<Placement>>,
    /// Whose operations these are, while the node is handed over.
    pub(crate) hold: Hold,
    /// State is being received: removals are the writer's to record.
    pub(crate) following: bool,
    /// Keys that made room meanwhile; none: more than are remembered.
    pub(crate) evicted_while_following: Option<Vec<(u16, Box<[u8]>)>>,
    /// Entries that will expire: without any the sweeper has nothing to do.
    pub(crate) expiring: usize,
    /// Structure bytes that the node's memory counts for this shard.
    counted: usize,
    policies_bytes: usize,
}

impl Shard {
    pub(crate) fn new(history_bytes: usize) -> Self {
        Self {
            table: HashTable::new(),
            slab: Slab::default(),
            spaces: Vec::new(),
            clock: VersionClock::default(),
            history: History::new(history_bytes),
            placement: None,
            hold: Hold::No,
            following: false,
            evicted_while_following: Some(Vec::new()),
            expiring: 0,
            counted: 0,
            policies_bytes: 0,
        }
    }

    // --- namespaces ---

    /// Makes the space of a namespace, or opens it again after a deletion, or gives it a new quota.
    pub(crate) fn open_space(&mut self, policy: Policy, namespace: &Namespace) {
        let index = usize::from(namespace.index);
        if self.spaces.len() <= index {
            self.spaces.resize_with(index + 1, || None);
        }
        let space = self.spaces[index].get_or_insert_with(|| {
            Box::new(Space {
                policy: policy.build(),
                flushed_at: 0,
                open: true,
                quota: None,
                used: Arc::clone(&namespace.used),
                entries: 0,
                bytes: 0,
                policy_bytes: 0,
                hits: 0,
                misses: 0,
                evictions: 0,
                expirations: 0,
            })
        });
        space.open = true;
        space.quota = namespace.limits.quota;
    }

    pub(crate) fn space(&self, index: u16) -> Option<&Space> {
        self.spaces.get(usize::from(index))?.as_deref()
    }

    /// The space of an entry, or of a namespace whose space was opened.
    pub(crate) fn space_mut(&mut self, index: u16) -> &mut Space {
        match self.spaces.get_mut(usize::from(index)).and_then(Option::as_deref_mut) {
            Some(space) => space,
            None => {
                unreachable!("the space of namespace {index} is opened before the namespace is published")
            }
        }
    }

    pub(crate) fn spaces(&self) -> impl Iterator<Item = (u16, &Space)> {
        self.spaces.iter().enumerate().filter_map(|(i, s)| Some((i as u16, s.as_deref()?)))
    }

    /// Judged with the operation, under the lock: the namespace may have been deleted and the key may have
    /// moved since the caller looked.
    pub(crate) fn judge(&self, shared: &Shared, namespace: &Namespace, key: &[u8]) -> Result<(), Error> {
        self.hold.check(&shared.config.node_name)?;
        if !self.space(namespace.index).is_some_and(|space| space.open) {
            return Err(Error::NamespaceNotFound { namespace: namespace.name.to_string() });
        }
        if let Some(placement) = &self.placement {
            let owner = placement.topology.owner(&namespace.name, key);
            if u32::from(placement.tag) != owner.tag {
                let epoch = placement.topology.epoch;
                return Err(Error::WrongNode { owner: owner.name.clone(), epoch });
            }
        }
        Ok(())
    }

    // --- versions and events ---

    pub(crate) fn draw(&mut self, shared: &Shared, now: Now) -> u64 {
        let tag = self.placement.as_ref().map_or(shared.config.node_tag, |p| p.tag);
        self.clock.next(now.wall_ms, shared.version_floor.load(Ordering::Relaxed), tag)
    }

    /// `version` itself if this shard is not past it, else one that is above it.
    pub(crate) fn draw_at_least(&mut self, shared: &Shared, version: u64, now: Now) -> u64 {
        if self.clock.advance_to(version) { version } else { self.draw(shared, now) }
    }

    pub(crate) fn record(&mut self, shared: &Shared, record: &Record<'_>) {
        if self.following {
            return;
        }
        if self.history.is_enabled() {
            self.history.push(record);
            shared.wake();
        }
    }

    pub(crate) fn record_entry(&mut self, shared: &Shared, kind: EventKind, entry: &Entry, version: u64) {
        self.record(
            shared,
            &Record {
                kind,
                namespace: entry.namespace(),
                key: entry.key(),
                version,
                expiry_version: 0,
                expires_at: NEVER,
            },
        );
    }

    /// Records what the entry in a slot has become: written or touched.
    pub(crate) fn record_slot(&mut self, shared: &Shared, kind: EventKind, id: SlotId) {
        if self.history.is_enabled() {
            let entry = self.slab.entry(id);
            self.history.push(&Record {
                kind,
                namespace: entry.namespace(),
                key: entry.key(),
                version: entry.version(),
                expiry_version: entry.expiry_version(),
                expires_at: entry.expires_at(),
            });
            shared.wake();
        }
    }

    // --- entries ---

    pub(crate) fn find(&self, namespace: u16, key: &[u8], hash: u64) -> Option<SlotId> {
        self.table
            .find(hash, |&id| {
                let entry = self.slab.entry(id);
                entry.namespace() == namespace && entry.key() == key
            })
            .copied()
    }

    /// Whether the entry may be served. A flushed one is gone, an expired one is absent.
    pub(crate) fn is_live(&self, entry: &Entry, now: Now) -> bool {
        entry.expires_at() > now.mono_ms
            && self.space(entry.namespace()).is_some_and(|space| entry.version() > space.flushed_at)
    }

    /// Whether the entry is there, be it expired: what a copy of this shard has to hold.
    pub(crate) fn is_kept(&self, entry: &Entry) -> bool {
        self.space(entry.namespace()).is_some_and(|space| entry.version() > space.flushed_at)
    }

    /// The entry of which an event tells, as it is now.
    pub(crate) fn find_event(&self, shared: &Shared, event: &Record<'_>) -> Option<SlotId> {
        let id = self.find(event.namespace, event.key, shared.hash(event.namespace, event.key))?;
        self.is_kept(self.slab.entry(id)).then_some(id)
    }

    /// The slot of the live entry of a key. A dead one is removed on the way.
    pub(crate) fn live(
        &mut self,
        shared: &Shared,
        namespace: u16,
        key: &[u8],
        hash: u64,
        now: Now,
    ) -> Option<SlotId> {
        let id = self.find(namespace, key, hash)?;
        if self.is_live(self.slab.entry(id), now) {
            return Some(id);
        }
        self.bury(shared, id, hash, now);
        self.settle(shared);
        None
    }

    /// Removes a dead entry: an expired one with its event, a flushed one silently, for its flush had one.
    pub(crate) fn bury(&mut self, shared: &Shared, id: SlotId, hash: u64, now: Now) {
        let entry = self.remove(shared, id, hash);
        if entry.version() > self.space_mut(entry.namespace()).flushed_at {
            self.space_mut(entry.namespace()).expirations += 1;
            let version = self.draw(shared, now);
            self.record_entry(shared, EventKind::Expired, &entry, version);
        }
    }

    /// Counts an access with the eviction policy.
    pub(crate) fn access(&mut self, namespace: u16, id: SlotId) {
        if let Some(space) = self.spaces.get_mut(usize::from(namespace)).and_then(Option::as_deref_mut) {
            space.policy.access(&mut self.slab, id);
        }
    }

    pub(crate) fn insert(&mut self, shared: &Shared, entry: Entry, hash: u64) -> SlotId {
        let (namespace, footprint) = (entry.namespace(), entry.footprint());
        self.expiring += usize::from(entry.expires_at() != NEVER);
        let id = self.slab.insert(entry);
        let slab = &self.slab;
        self.table.insert_unique(hash, id, |&id| shared.hash_of(slab.entry(id)));
        shared.memory.used.add(footprint);
        let slab = &mut self.slab;
        if let Some(space) = self.spaces[usize::from(namespace)].as_deref_mut() {
            space.policy.insert(slab, id, hash);
            space.entries += 1;
            space.bytes += footprint + ENTRY_INDEX_BYTES;
            space.used.add(footprint + ENTRY_INDEX_BYTES);
        }
        id
    }

    /// Puts a new entry in the place of the live one. The caller drops the former after the lock.
    pub(crate) fn replace(&mut self, shared: &Shared, id: SlotId, entry: Entry) -> Entry {
        let (namespace, after) = (entry.namespace(), entry.footprint());
        self.expiring += usize::from(entry.expires_at() != NEVER);
        let former = self.slab.replace(id, entry);
        self.expiring -= usize::from(former.expires_at() != NEVER);
        let before = former.footprint();
        shared.memory.used.change(before, after);
        if let Some(space) = self.spaces[usize::from(namespace)].as_deref_mut() {
            space.policy.resize(&self.slab, id, before, after);
            space.bytes = space.bytes - before + after;
            space.used.change(before, after);
        }
        former
    }

    pub(crate) fn remove(&mut self, shared: &Shared, id: SlotId, hash: u64) -> Entry {
        let namespace = self.slab.entry(id).namespace();
        if let Some(space) = self.spaces[usize::from(namespace)].as_deref_mut() {
            space.policy.remove(&mut self.slab, id);
        }
        self.take_out(shared, id, hash)
    }

    /// Removes an entry that its policy has forgotten already.
    fn take_out(&mut self, shared: &Shared, id: SlotId, hash: u64) -> Entry {
        if let Ok(found) = self.table.find_entry(hash, |&other| other == id) {
            found.remove();
        }
        let entry = self.slab.remove(id);
        self.expiring -= usize::from(entry.expires_at() != NEVER);
        let footprint = entry.footprint();
        shared.memory.used.sub(footprint);
        let space = self.space_mut(entry.namespace());
        space.entries -= 1;
        space.bytes -= footprint + ENTRY_INDEX_BYTES;
        space.used.sub(footprint + ENTRY_INDEX_BYTES);
        entry
    }

    /// Evicts one entry of a namespace, never `protected`. False when there is no other.
    pub(crate) fn evict(&mut self, shared: &Shared, namespace: u16, protected: SlotId, now: Now) -> bool {
        if self.hold != Hold::No {
            return false;
        }
        let Some(space) = self.spaces.get_mut(usize::from(namespace)).and_then(Option::as_deref_mut) else {
            return false;
        };
        let Some(id) = space.policy.evict(&mut self.slab, &|entry| shared.hash_of(entry), protected) else {
            return false;
        };
        let entry = self.take_out(shared, id, shared.hash_of(self.slab.entry(id)));
        if self.following {
            self.remember_evicted(&entry);
        }
        let space = self.space_mut(namespace);
        if entry.version() <= space.flushed_at {
            return true;
        }
        let kind = if remaining(entry.expires_at(), now.mono_ms) == Some(0) {
            space.expirations += 1;
            EventKind::Expired
        } else {
            space.evictions += 1;
            EventKind::Evicted
        };
        let version = self.draw(shared, now);
        self.record_entry(shared, kind, &entry, version);
        true
    }

    fn remember_evicted(&mut self, entry: &Entry) {
        const MOST: usize = 4_096;
        match &mut self.evicted_while_following {
            Some(keys) if keys.len() < MOST => keys.push((entry.namespace(), entry.key().into())),
            keys => *keys = None,
        }
    }

    // --- memory ---

    /// Brings the node's count of structure bytes up to date with this shard.
    pub(crate) fn settle(&mut self, shared: &Shared) {
        let table = match self.table.allocation_size() {
            0 => 0,
            bytes => allocation_bytes(bytes),
        };
        let now = self.slab.bytes() + table + self.history.bytes() + self.policies_bytes;
        shared.memory.change_structure(self.counted, now);
        self.counted = now;
    }

    /// The same, for a namespace whose policy or space may have grown.
    pub(crate) fn settle_space(&mut self, shared: &Shared, namespace: u16) {
        const SPACE_BYTES: usize = 32 + size_of::<Space>() + 128;
        if let Some(space) = self.spaces.get_mut(usize::from(namespace)).and_then(Option::as_deref_mut) {
            let bytes = space.policy.bytes() + SPACE_BYTES;
            self.policies_bytes = self.policies_bytes - space.policy_bytes + bytes;
            space.policy_bytes = bytes;
        }
        self.settle(shared);
    }

    /// Gives back a table that is far too large for what it holds.
    pub(crate) fn shrink(&mut self, shared: &Shared) {
        if self.table.len() * 8 < self.table.capacity() {
            let slab = &self.slab;
            self.table.shrink_to(self.table.len() * 2, |&id| shared.hash_of(slab.entry(id)));
            self.settle(shared);
        }
    }

    /// Recounts everything; for tests.
    pub(crate) fn audit(&self, shared: &Shared) -> Result<(usize, usize), String> {
        let (mut entries, mut expiring) = (0, 0);
        let mut by_space = vec![(0, 0); self.spaces.len()];
        for entry in (0..self.slab.end()).filter_map(|id| self.slab.get(id)) {
            entries += entry.footprint();
            expiring += usize::from(entry.expires_at() != NEVER);
            let space = &mut by_space[usize::from(entry.namespace())];
            space.0 += 1;
            space.1 += entry.footprint() + ENTRY_INDEX_BYTES;
            let found = self.find(entry.namespace(), entry.key(), shared.hash_of(entry));
            if !found.is_some_and(|id| std::ptr::eq(self.slab.entry(id), entry)) {
                return Err(format!("the table does not lead to the entry of {:?}", entry.key()));
            }
        }
        for (index, space) in self.spaces() {
            let counted = (space.entries, space.bytes);
            if counted != by_space[usize::from(index)] {
                return Err(format!(
                    "namespace {index} counts {counted:?}, has {:?}",
                    by_space[usize::from(index)]
                ));
            }
        }
        if self.expiring != expiring || self.slab.len() != self.table.len() {
            return Err(format!("{} expiring counted, {expiring} there", self.expiring));
        }
        Ok((entries, self.counted))
    }
}
