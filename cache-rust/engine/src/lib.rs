//! The cache engine: entries in memory under a byte-exact limit, with expiry, eviction, versions,
//! ownership and events. It does no I/O, spawns nothing and reads no clock: both clocks are passed
//! in with each operation ([`Now`]), so every corner can be reached by a test.
//!
//! Where things are:
//!
//! | file | what it decides |
//! | --- | --- |
//! | `engine.rs` | the public face: which shard, which namespace, then the operation |
//! | `shard.rs` | what one lock protects: table, slots, eviction queues, clock, history |
//! | `ops/` | one file per operation: get, put, delete, touch, increment |
//! | `ttl.rs`, `precondition.rs`, `version.rs`, `ownership.rs` | the rules of the contract, each alone |
//! | `eviction/` | S3-FIFO and LRU, siblings behind one trait |
//! | `entry.rs`, `slab.rs` | how an entry lies in memory, and the slots that name entries |
//! | `memory.rs`, `room.rs`, `allocator.rs` | what is counted against the limit, how room is made, how glibc is set |
//! | `namespace.rs`, `registry.rs` | policy records; which record wins |
//! | `history.rs`, `watch.rs` | events, positions, resuming without a gap |
//! | `results.rs` | results of operations with an id, for their repeats |
//! | `transfer/` | the whole state, to another process or into a file |
//! | `list.rs`, `sweep.rs`, `flush.rs`, `stats.rs` | listing by prefix, the sweeper, erasing in bulk, counters |
//!
//! Locking: one mutex per shard and never two at a time (an operation with an id holds that of its shard's results
//! around it); no allocation of a value and no copy of a
//! large one happens under it (see `entry.rs` on shared values).

mod allocator;
mod config;
mod engine;
mod entry;
mod error;
mod eviction;
mod flush;
mod history;
mod limits;
mod list;
mod memory;
mod namespace;
mod ops;
mod ownership;
mod precondition;
mod registry;
mod results;
mod room;
mod shard;
mod slab;
mod stats;
mod sweep;
mod time;
mod topology;
mod transfer;
mod ttl;
mod version;
mod watch;

pub use allocator::fix_mapping_threshold;
pub use config::{Config, Waker};
pub use engine::Engine;
pub use entry::{EntryView, SharedValue};
pub use error::Error;
pub use eviction::Policy;
pub use history::EventKind;
pub use limits::{
    MAX_CONTENT_TYPE_BYTES, MAX_KEY_BYTES, MAX_LIST_PAGE, MAX_NAMESPACE_BYTES, MAX_PRECONDITION_VERSIONS,
    MAX_VALUE_BYTES,
};
pub use list::{ListPage, ListRequest};
pub use memory::{ENTRY_INDEX_BYTES, allocation_bytes, entry_bytes};
pub use namespace::{Applied, NamespaceRecord};
pub use ops::{
    Deleted, Get, GetOutcome, Increment, Incremented, Put, PutOutcome, Touch, Touched, parse_integer,
};
pub use ownership::{Node, Topology, weight};
pub use precondition::Precondition;
pub use results::{Answer, OnceError, OperationId};
pub use stats::{EngineStats, NamespaceStats};
pub use sweep::Swept;
pub use time::Now;
pub use transfer::{
    Applied as AppliedBlock, Corrupt, ExportError, Exporter, FORMAT, Importer, MAX_BLOCK_BYTES, Received,
    checksum,
};
pub use ttl::Ttl;
pub use version::{MAX_AHEAD_MS, Version};
pub use watch::{Event, Frontier, Interest, Lost, Position, Progress, Subscription};
