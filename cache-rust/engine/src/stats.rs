//! What the engine holds and has done.

use crate::engine::Engine;
use std::sync::atomic::Ordering;

/// Of one namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NamespaceStats {
    /// The name.
    pub name: String,
    /// Entries; an expired one counts until it is met or swept.
    pub entries: u64,
    /// Bytes of its entries, as its quota counts them.
    pub bytes: u64,
    /// Reads that found a live entry.
    pub hits: u64,
    /// Reads that found none.
    pub misses: u64,
    /// Entries that made room.
    pub evictions: u64,
    /// Entries whose time was over.
    pub expirations: u64,
}

/// Of the whole engine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EngineStats {
    /// The limit.
    pub memory_limit: u64,
    /// What counts against it.
    pub memory_used: u64,
    /// Of that: slots, tables, queues, history, namespaces.
    pub memory_structure: u64,
    /// Of that: what the server holds in batches and answers.
    pub memory_buffers: u64,
    /// Stored results of operations.
    pub operation_results: u64,
    /// What they take of the memory.
    pub operation_result_bytes: u64,
    /// Reported versions that were not believed.
    pub ignored_seen_versions: u64,
    /// Live namespaces, ordered by name.
    pub namespaces: Vec<NamespaceStats>,
}

impl Engine {
    /// Sums over all shards, one lock at a time.
    #[must_use]
    pub fn stats(&self) -> EngineStats {
        let mut namespaces: Vec<_> = self
            .shared
            .registry
            .all()
            .into_iter()
            .map(|n| (n.index, NamespaceStats { name: n.name.to_string(), ..NamespaceStats::default() }))
            .collect();
        for index in 0..self.shards.len() {
            let shard = self.lock(index);
            for (namespace, sum) in &mut namespaces {
                let Some(space) = shard.space(*namespace) else { continue };
                sum.entries += space.entries as u64;
                sum.bytes += space.bytes as u64;
                sum.hits += space.hits;
                sum.misses += space.misses;
                sum.evictions += space.evictions;
                sum.expirations += space.expirations;
            }
        }
        namespaces.sort_by(|a, b| a.1.name.cmp(&b.1.name));
        EngineStats {
            memory_limit: self.shared.config.memory_limit as u64,
            memory_used: self.used_bytes() as u64,
            memory_structure: self.shared.memory.structure.get() as u64,
            memory_buffers: self.buffer_bytes() as u64,
            operation_results: self.shared.results_stored.load(Ordering::Relaxed),
            operation_result_bytes: self.shared.memory.results.get() as u64,
            ignored_seen_versions: self.ignored_seen.load(Ordering::Relaxed),
            namespaces: namespaces.into_iter().map(|(_, sum)| sum).collect(),
        }
    }
}
