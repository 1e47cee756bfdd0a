//! Following events. A position is the incarnation and one sequence per shard; a subscription reads each
//! shard's history up to a frontier. An event is recorded under the lock of the write that it tells of, so
//! a frontier taken now lies behind every event of every write that anybody has seen: a heartbeat sent after
//! reading up to it is proof of freshness.

use crate::engine::Engine;
use crate::entry::{EntryView, remaining};
use crate::history::{EventKind, Place, Record};
use crate::time::Now;
use std::sync::atomic::Ordering;

/// Where a subscriber stands, opaque on the wire: what is at or below it has been sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    incarnation: u64,
    sequences: Vec<u64>,
}

impl Position {
    /// For the wire.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let words = std::iter::once(&self.incarnation).chain(&self.sequences);
        words.flat_map(|word| word.to_le_bytes()).collect()
    }

    /// None for bytes that no node can have given.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        if bytes.len() < 16 || !bytes.len().is_multiple_of(8) || bytes.len() > 8 * 1_025 {
            return None;
        }
        let mut words = bytes.chunks_exact(8).map(|chunk| {
            let mut word = [0; 8];
            word.copy_from_slice(chunk);
            u64::from_le_bytes(word)
        });
        Some(Self { incarnation: words.next()?, sequences: words.collect() })
    }
}

/// Which events somebody wants.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Interest {
    /// None: all.
    pub namespace: Option<String>,
    /// Empty: all keys.
    pub prefix: Vec<u8>,
}

/// What a subscriber is told; borrowed while a shard is locked.
pub struct Event<'a> {
    /// What happened.
    pub kind: EventKind,
    /// In which namespace.
    pub namespace: &'a str,
    /// To which key; empty for a flush.
    pub key: &'a [u8],
    /// The version that the event drew; of the entry for touched.
    pub version: u64,
    /// Drawn by a touch, else 0.
    pub expiry_version: u64,
    /// For put and touched: milliseconds until expiry, as of now; none: never.
    pub remaining_ms: Option<u64>,
    /// For put: the entry, if it is still the live one.
    pub entry: Option<EntryView<'a>>,
}

/// One subscriber's way through the histories.
#[derive(Debug)]
pub struct Subscription {
    interest: Interest,
    places: Vec<Place>,
    at: usize,
}

/// How far events have been recorded in each shard, at one instant or later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frontier(Vec<u64>);

/// What [`Engine::read_events`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Everything below the frontier was given.
    Complete,
    /// The sink had enough: call again.
    More,
}

/// Events were recorded that are held no more: send a reset and go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lost;

impl Engine {
    /// Begins a subscription behind a position, or at the present. `Lost` beside it: the position was of
    /// another incarnation or too old, and the subscription begins at the present.
    pub fn subscribe(&self, interest: Interest, from: Option<&Position>) -> (Subscription, Option<Lost>) {
        let heads: Vec<_> = (0..self.shards.len())
            .map(|index| {
                let mut shard = self.lock(index);
                shard.history.enable();
                Place::at(shard.history.next())
            })
            .collect();
        let mut subscription = Subscription { interest, places: heads, at: 0 };
        let Some(position) = from else { return (subscription, None) };
        if position.incarnation != self.shared.config.incarnation
            || position.sequences.len() != self.shards.len()
            || position.sequences.iter().zip(&subscription.places).any(|(want, head)| *want >= head.sequence)
        {
            return (subscription, Some(Lost));
        }
        let wanted: Vec<_> = position.sequences.iter().map(|sequence| Place::at(sequence + 1)).collect();
        let held = wanted.iter().enumerate().all(|(index, place)| {
            let mut probe = *place;
            self.lock(index).history.read(&mut probe, u64::MAX, |_| false).is_some()
        });
        if !held {
            return (subscription, Some(Lost));
        }
        subscription.places = wanted;
        (subscription, None)
    }

    /// The frontier of now.
    #[must_use]
    pub fn frontier(&self) -> Frontier {
        Frontier((0..self.shards.len()).map(|index| self.lock(index).history.next()).collect())
    }

    /// Asks for one call of the waker when an event is recorded. Arm first, read then: nothing is missed.
    pub fn arm_waker(&self) {
        self.shared.waker_armed.store(true, Ordering::Release);
    }

    /// Gives events below the frontier until `sink` answers false. `sink` runs under a shard's lock: it
    /// should copy and leave.
    ///
    /// # Errors
    /// [`Lost`] when events below the frontier are held no more; the subscription then stands at the
    /// present.
    pub fn read_events(
        &self,
        subscription: &mut Subscription,
        frontier: &Frontier,
        now: Now,
        mut sink: impl FnMut(Event<'_>) -> bool,
    ) -> Result<Progress, Lost> {
        /// Records that are looked at under one hold of a shard's lock, wanted or not.
        const PER_LOCK: usize = 256;
        for _ in 0..self.shards.len() {
            let index = subscription.at;
            let (interest, place) = (&subscription.interest, &mut subscription.places[index]);
            while place.sequence < frontier.0[index] {
                let shard = self.lock(index);
                let (mut more, mut left) = (true, PER_LOCK);
                let read = shard.history.read(place, frontier.0[index], |record| {
                    left -= 1;
                    more = self.give(&shard, interest, &record, now, &mut sink);
                    more && left > 0
                });
                if read.is_none() {
                    drop(shard);
                    let heads = self.frontier();
                    subscription.places = heads.0.into_iter().map(Place::at).collect();
                    return Err(Lost);
                }
                if !more {
                    return Ok(Progress::More);
                }
            }
            subscription.at = (index + 1) % self.shards.len();
        }
        Ok(Progress::Complete)
    }

    fn give(
        &self,
        shard: &crate::shard::Shard,
        interest: &Interest,
        record: &Record<'_>,
        now: Now,
        sink: &mut impl FnMut(Event<'_>) -> bool,
    ) -> bool {
        let Some(namespace) = self.shared.registry.name_of(record.namespace) else { return true };
        let wanted = interest.namespace.as_deref().is_none_or(|name| name == &*namespace)
            && (record.kind == EventKind::Flushed || record.key.starts_with(&interest.prefix));
        if !wanted {
            return true;
        }
        let entry = (record.kind == EventKind::Put)
            .then(|| {
                let hash = self.shared.hash(record.namespace, record.key);
                let entry = shard.slab.entry(shard.find(record.namespace, record.key, hash)?);
                let current = entry.version() == record.version && shard.is_live(entry, now);
                current.then_some(EntryView { entry, now_ms: now.mono_ms })
            })
            .flatten();
        sink(Event {
            kind: record.kind,
            namespace: &namespace,
            key: record.key,
            version: record.version,
            expiry_version: record.expiry_version,
            remaining_ms: remaining(record.expires_at, now.mono_ms),
            entry,
        })
    }

    /// Where a subscription stands.
    #[must_use]
    pub fn position(&self, subscription: &Subscription) -> Position {
        Position {
            incarnation: self.shared.config.incarnation,
            sequences: subscription.places.iter().map(|place| place.sequence - 1).collect(),
        }
    }
}
