//! Results of operations that carry an id, so that a repeat gets the same answer and has no effect.
//!
//! Each shard has a store with a lock of its own, which is held from the look-up to the storing, around the
//! operation and its shard's lock: two repeats never run side by side, and whoever takes the lock after a hold
//! began finds the result of every effect before it. Operations without an id never come here.

use crate::engine::Engine;
use crate::error::Error;
use crate::limits::check_key;
use crate::memory::allocation_bytes;
use crate::shard::Shared;
use crate::time::Now;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The stored results may take this part of the memory limit, as a divisor.
const SHARE: usize = 8;
/// A slot of the map and one of the queue, with what they keep free.
const SLOT_BYTES: usize = 160;

/// What makes an operation the same one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OperationId {
    /// The caller's, unique for a key.
    pub id: [u8; 16],
    /// Of everything that the request says.
    pub fingerprint: u64,
}

/// Why there is no result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OnceError<E> {
    /// The engine refused before anything was done.
    Refused(Error),
    /// The operation itself failed in a way that is not stored.
    Failed(E),
}

/// A result, as bytes that only the caller understands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The operation was executed now.
    First(Arc<[u8]>),
    /// It had been before.
    Repeated(Arc<[u8]>),
}

pub(crate) struct Stored {
    pub(crate) namespace: u16,
    pub(crate) key: Box<[u8]>,
    pub(crate) operation: OperationId,
    pub(crate) expires_at: u64,
    pub(crate) result: Arc<[u8]>,
}

impl Stored {
    fn bytes(&self) -> usize {
        SLOT_BYTES + allocation_bytes(self.key.len()) + allocation_bytes(self.result.len() + 16)
    }
}

/// The results of one shard, in the order in which they were stored.
#[derive(Default)]
pub(crate) struct Results {
    queue: VecDeque<Stored>,
    /// Sequence of the queue's front.
    first: u64,
    /// Sequences, by namespace, id and a hash of the key.
    index: HashMap<(u16, [u8; 16], u64), u64, foldhash::fast::RandomState>,
    bytes: usize,
}

impl Results {
    fn get(&self, at: (u16, [u8; 16], u64), key: &[u8], now: Now) -> Option<&Stored> {
        let sequence = *self.index.get(&at)?;
        let stored = self.queue.get((sequence - self.first) as usize)?;
        (stored.expires_at > now.mono_ms && *stored.key == *key).then_some(stored)
    }

    /// Whether this result is there already.
    pub(crate) fn holds(&self, hash: u64, stored: &Stored) -> bool {
        let sequence = self.index.get(&(stored.namespace, stored.operation.id, hash));
        let there = sequence.and_then(|sequence| self.queue.get((sequence - self.first) as usize));
        there.is_some_and(|there| (&there.key, there.expires_at) == (&stored.key, stored.expires_at))
    }

    pub(crate) fn insert(&mut self, shared: &Shared, hash: u64, stored: Stored) {
        let bytes = stored.bytes();
        let sequence = self.first + self.queue.len() as u64;
        self.index.insert((stored.namespace, stored.operation.id, hash), sequence);
        self.queue.push_back(stored);
        self.bytes += bytes;
        shared.memory.change_structure(0, bytes);
        shared.memory.results.add(bytes);
        shared.results_stored.fetch_add(1, Ordering::Relaxed);
    }

    /// Lets go of what is over, from the oldest on.
    fn expire(&mut self, shared: &Shared, now: Now) {
        while self.queue.front().is_some_and(|stored| stored.expires_at <= now.mono_ms) {
            let Some(stored) = self.queue.pop_front() else { return };
            let at = (stored.namespace, stored.operation.id, shared.hash(stored.namespace, &stored.key));
            // The same operation may have been stored again since.
            if self.index.get(&at) == Some(&self.first) {
                self.index.remove(&at);
            }
            self.first += 1;
            let bytes = stored.bytes();
            self.bytes -= bytes;
            shared.memory.change_structure(bytes, 0);
            shared.memory.results.sub(bytes);
            shared.results_stored.fetch_sub(1, Ordering::Relaxed);
        }
        if self.queue.is_empty() {
            self.queue.shrink_to(64);
            self.index.shrink_to(64);
        }
    }

    /// Those from a sequence on; the place moves behind what `sink` was given, until it answers false.
    pub(crate) fn read(&self, place: &mut u64, mut sink: impl FnMut(&Stored) -> bool) {
        *place = (*place).max(self.first);
        while let Some(stored) = self.queue.get((*place - self.first) as usize) {
            *place += 1;
            if !sink(stored) {
                return;
            }
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Engine {
    /// Executes an operation once: `run` does it and gives the result as bytes, refusals for the request's own sake
    /// included. A repeat is answered with these bytes and `run` is not called.
    ///
    /// # Errors
    /// WRONG_NODE, NAMESPACE_NOT_FOUND, IDEMPOTENCY_KEY_REUSED, QUOTA_EXCEEDED when the stored results have no room; or
    /// what `run` failed with, which is not stored.
    pub fn once<E>(
        &self,
        namespace: &str,
        key: &[u8],
        operation: OperationId,
        now: Now,
        run: impl FnOnce() -> Result<Vec<u8>, E>,
    ) -> Result<Answer, OnceError<E>> {
        check_key(key).map_err(OnceError::Refused)?;
        let namespace = self.shared.registry.get(namespace).map_err(OnceError::Refused)?;
        let hash = self.shared.hash(namespace.index, key);
        let home = self.shard_of(hash);
        let at = (namespace.index, operation.id, hash);
        let mut results = self.results[home].lock();
        self.lock(home).judge(&self.shared, &namespace, key).map_err(OnceError::Refused)?;
        if let Some(stored) = results.get(at, key, now) {
            if stored.operation != operation {
                return Err(OnceError::Refused(Error::OperationIdReused));
            }
            return Ok(Answer::Repeated(Arc::clone(&stored.result)));
        }
        let limit = self.shared.config.memory_limit / SHARE;
        if self.shared.memory.results.get() >= limit {
            results.expire(&self.shared, now);
            if self.shared.memory.results.get() >= limit {
                return Err(OnceError::Refused(Error::ResultsFull { limit }));
            }
        }
        let result: Arc<[u8]> = run().map_err(OnceError::Failed)?.into();
        let expires_at = now.mono_ms.saturating_add(self.shared.config.operation_ttl_ms);
        let answer = Arc::clone(&result);
        let stored = Stored { namespace: namespace.index, key: key.into(), operation, expires_at, result };
        results.insert(&self.shared, hash, stored);
        drop(results);
        if self.shared.over_limit() {
            self.make_room_for_buffers(now);
        }
        Ok(Answer::First(answer))
    }

    /// Lets go of the results of one shard that are over.
    pub(crate) fn expire_results(&self, index: usize, now: Now) {
        self.results[index].lock().expire(&self.shared, now);
    }
}
