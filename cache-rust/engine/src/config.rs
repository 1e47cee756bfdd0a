//! What an engine is made with.

use crate::eviction::Policy;
use std::fmt;
use std::sync::Arc;

/// Called, at most once per [`crate::Engine::arm_waker`], after an event was recorded; under a shard's
/// lock, so it must only leave a note.
pub trait Waker: Send + Sync {
    /// There is something to read.
    fn wake(&self);
}

/// Settings of one engine; [`Config::default`] suits a test.
#[derive(Clone)]
pub struct Config {
    /// This node's name in the topology.
    pub node_name: String,
    /// The tag that versions carry until a topology gives one; 0 to 1023.
    pub node_tag: u16,
    /// Bytes that everything together may take.
    pub memory_limit: usize,
    /// Shards; rounded up to a power of two, at most 1,024.
    pub shards: usize,
    /// How room is made.
    pub policy: Policy,
    /// Bytes of event history, all shards together, held once somebody subscribed.
    pub history_bytes: usize,
    /// Most namespaces ever named, tombstones included.
    pub max_namespaces: usize,
    /// 64 random bits per life of the process: what positions and page tokens are bound to.
    pub incarnation: u64,
    /// Random in each process, also where the incarnation is a former one's: whose slots a page token names.
    pub table_id: u32,
    /// Random: keeps callers from choosing keys that collide.
    pub hash_seed: u64,
    /// For how long the result of an operation with an id is kept.
    pub operation_ttl_ms: u64,
    /// No version is drawn at or below this one.
    pub version_floor: u64,
    /// Told when there are events to read.
    pub waker: Option<Arc<dyn Waker>>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            node_name: "cache-0".into(),
            node_tag: 0,
            memory_limit: 256 << 20,
            shards: 8,
            policy: Policy::default(),
            history_bytes: 4 << 20,
            max_namespaces: 4_096,
            incarnation: 1,
            table_id: 1,
            hash_seed: 1,
            operation_ttl_ms: 600_000,
            version_floor: 0,
            waker: None,
        }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("node_name", &self.node_name)
            .field("memory_limit", &self.memory_limit)
            .field("shards", &self.shards)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}
