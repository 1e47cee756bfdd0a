//! The operations on one key, one file each. All have the same shape: check what was sent, find the
//! namespace, take the shard's lock, judge (namespace open, owner, precondition, room), take effect,
//! record the event, answer through a closure while the entry can be borrowed, make room, let go.

mod delete;
mod get;
mod increment;
mod put;
mod touch;

pub use delete::Deleted;
pub use get::{Get, GetOutcome};
pub use increment::{Increment, Incremented, parse_integer};
pub use put::{Put, PutOutcome};
pub use touch::{Touch, Touched};

use crate::error::Error;
use crate::memory::ENTRY_INDEX_BYTES;
use crate::namespace::Namespace;
use crate::shard::Shared;

/// Refuses an entry that would not fit if it were alone.
fn check_room(shared: &Shared, namespace: &Namespace, footprint: usize) -> Result<(), Error> {
    let needed = footprint + ENTRY_INDEX_BYTES;
    let node = shared.config.memory_limit.saturating_sub(shared.memory.structure.get());
    let (available, whose) = match namespace.limits.quota {
        Some(quota) if quota < node => (quota, "the namespace"),
        _ => (node, "the node"),
    };
    if needed > available {
        return Err(Error::QuotaExceeded { needed, available, whose });
    }
    Ok(())
}
