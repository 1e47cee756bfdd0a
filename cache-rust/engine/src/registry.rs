//! All namespace records a node knows, tombstones included, and the live namespaces for the hot path.

use crate::error::Error;
use crate::limits::check_namespace_name;
use crate::memory::{Used, allocation_bytes};
use crate::namespace::{Applied, Namespace, NamespaceRecord};
use arc_swap::ArcSwap;
use hashbrown::HashMap;
use parking_lot::{Mutex, MutexGuard};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

type Live = HashMap<Box<str>, Arc<Namespace>, foldhash::fast::RandomState>;

struct Known {
    record: NamespaceRecord,
    index: u16,
    used: Arc<Used>,
}

/// Readers take one snapshot; writers are serialised by [`Registry::write`].
pub(crate) struct Registry {
    live: ArcSwap<Live>,
    /// Live namespaces by index, for events and eviction.
    by_index: ArcSwap<Vec<Option<Arc<Namespace>>>>,
    /// Names by index, also of deleted namespaces.
    names: ArcSwap<Vec<Arc<str>>>,
    known: Mutex<BTreeMap<String, Known>>,
    limit: usize,
    /// Grows with every record that is taken.
    generation: AtomicU64,
}

/// What a record changed.
pub(crate) enum Change {
    Created(Arc<Namespace>),
    Updated(Arc<Namespace>),
    /// Its index; the name is gone from the snapshot already.
    Deleted(u16),
    /// A tombstone of a name that had no live namespace.
    Nothing,
}

impl Registry {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            live: ArcSwap::default(),
            by_index: ArcSwap::default(),
            names: ArcSwap::default(),
            known: Mutex::default(),
            limit: limit.min(usize::from(u16::MAX)),
            generation: AtomicU64::new(0),
        }
    }

    pub(crate) fn get(&self, name: &str) -> Result<Arc<Namespace>, Error> {
        match self.live.load().get(name) {
            Some(namespace) => Ok(Arc::clone(namespace)),
            None => Err(not_found(name)),
        }
    }

    /// Runs `f` with the namespace and without touching its reference count.
    pub(crate) fn with<R>(
        &self,
        name: &str,
        f: impl FnOnce(&Arc<Namespace>) -> Result<R, Error>,
    ) -> Result<R, Error> {
        match self.live.load().get(name) {
            Some(namespace) => f(namespace),
            None => Err(not_found(name)),
        }
    }

    pub(crate) fn by_index(&self, index: u16) -> Option<Arc<Namespace>> {
        self.by_index.load().get(usize::from(index)).cloned().flatten()
    }

    /// The name that an index is bound to, deleted or not. Takes no lock, so it may be asked under a shard's.
    pub(crate) fn name_of(&self, index: u16) -> Option<Arc<str>> {
        self.names.load().get(usize::from(index)).cloned()
    }

    pub(crate) fn all(&self) -> Vec<Arc<Namespace>> {
        self.by_index.load().iter().flatten().cloned().collect()
    }

    /// All records in the order of their names.
    pub(crate) fn records(&self) -> Vec<NamespaceRecord> {
        self.known.lock().values().map(|known| known.record.clone()).collect()
    }

    pub(crate) fn record(&self, name: &str) -> Option<NamespaceRecord> {
        self.known.lock().get(name).map(|known| known.record.clone())
    }

    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// The generation, and all records in the order of their numbers.
    pub(crate) fn by_number(&self) -> (u64, Vec<(u16, NamespaceRecord)>) {
        let known = self.known.lock();
        let mut records: Vec<_> = known.values().map(|known| (known.index, known.record.clone())).collect();
        records.sort_by_key(|(index, _)| *index);
        (self.generation(), records)
    }

    pub(crate) fn index_of(&self, name: &str) -> Option<u16> {
        self.known.lock().get(name).map(|known| known.index)
    }

    pub(crate) fn write(&self) -> Writer<'_> {
        Writer { registry: self, known: self.known.lock() }
    }

    /// Bytes that records and snapshots take, estimated from above.
    fn bytes(known: &BTreeMap<String, Known>) -> usize {
        const BESIDE_NAME: usize = 2 * size_of::<Known>() + size_of::<Namespace>() + 128;
        known.keys().map(|name| allocation_bytes(BESIDE_NAME + 4 * name.len())).sum()
    }
}

pub(crate) fn not_found(name: &str) -> Error {
    if let Err(malformed) = check_namespace_name(name) {
        return malformed;
    }
    Error::NamespaceNotFound { namespace: name.chars().take(80).collect() }
}

/// Exclusive use of the registry.
pub(crate) struct Writer<'a> {
    registry: &'a Registry,
    known: MutexGuard<'a, BTreeMap<String, Known>>,
}

impl Writer<'_> {
    pub(crate) fn bytes(&self) -> usize {
        Registry::bytes(&self.known)
    }

    /// The highest revision wins; an equal one changes nothing.
    pub(crate) fn apply(&mut self, record: NamespaceRecord) -> Result<(Applied, Change), Error> {
        record.check()?;
        let former = self.known.get(&record.name);
        if let Some(former) = former
            && former.record.revision >= record.revision
        {
            return Ok((Applied::Superseded(former.record.clone()), Change::Nothing));
        }
        let (index, used, was_live) = match former {
            Some(former) => (former.index, Arc::clone(&former.used), !former.record.deleted),
            None if self.known.len() >= self.registry.limit => {
                return Err(Error::QuotaExceeded {
                    needed: self.known.len() + 1,
                    available: self.registry.limit,
                    whose: "the table of namespace names",
                });
            }
            None => (self.known.len() as u16, Arc::default(), false),
        };
        let namespace = Arc::new(Namespace::new(index, &record, Arc::clone(&used)));
        let change = match (record.deleted, was_live) {
            (false, false) => Change::Created(namespace),
            (false, true) => Change::Updated(namespace),
            (true, true) => Change::Deleted(index),
            (true, false) => Change::Nothing,
        };
        let name = record.name.clone();
        if former.is_none() {
            let mut names = Vec::clone(&self.registry.names.load());
            names.push(name.as_str().into());
            self.registry.names.store(Arc::new(names));
        }
        self.known.insert(name.clone(), Known { record, index, used });
        self.registry.generation.fetch_add(1, Ordering::Release);
        match &change {
            Change::Updated(namespace) => self.publish(&name, index, Some(Arc::clone(namespace))),
            Change::Deleted(index) => self.publish(&name, *index, None),
            // A created namespace is published once its shards are ready for it.
            Change::Created(_) | Change::Nothing => {}
        }
        Ok((Applied::Accepted, change))
    }

    pub(crate) fn publish(&self, name: &str, index: u16, namespace: Option<Arc<Namespace>>) {
        let mut live = Live::clone(&self.registry.live.load());
        let mut by_index = Vec::clone(&self.registry.by_index.load());
        if by_index.len() <= usize::from(index) {
            by_index.resize(usize::from(index) + 1, None);
        }
        by_index[usize::from(index)].clone_from(&namespace);
        match namespace {
            Some(namespace) => live.insert(name.into(), namespace),
            None => live.remove(name),
        };
        self.registry.by_index.store(Arc::new(by_index));
        self.registry.live.store(Arc::new(live));
    }
}
