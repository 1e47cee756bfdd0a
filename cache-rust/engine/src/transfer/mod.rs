//! Moving the whole state of a node: to another process that takes it over, or into a file.
//!
//! | file | what |
//! | --- | --- |
//! | `format.rs` | records to bytes and back (`docs/snapshot-format.md`) |
//! | `blocks.rs` | records gathered into blocks |
//! | `export.rs` | walks the shards while they serve, and follows what changes behind the walk |
//! | `import.rs` | makes an engine out of blocks |
//! | `hold.rs` | the cut: operations wait, then belong to somebody else |
//!
//! The log of changes is the shard's event history: every change of an entry is an event in it, recorded under
//! the lock of the change. The exporter reads it as a subscriber does, and sends with each event the entry as it
//! is now. The history is bounded, so this needs no memory of its own; a shard whose history was overtaken is
//! walked anew. The importer numbers shards and hashes keys as the exporter does, so a shard's history goes along
//! with its sequences, and a subscriber's position stays what it was.

mod blocks;
mod export;
mod format;
mod hold;
mod import;

pub use export::{ExportError, Exporter};
pub use format::{FORMAT, MAX_BLOCK_BYTES, checksum};
pub use import::{Applied, Corrupt, Importer, Received};

pub(crate) use hold::Hold;
