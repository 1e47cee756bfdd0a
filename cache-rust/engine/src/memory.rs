//! What is counted against the memory limit, byte by byte.
//!
//! Counted: every entry's allocation with the allocator's rounding, every slot and table of every
//! shard whether full or empty, ghost queues, event history, namespace records, and the buffers that the
//! server says it holds. Not counted, and part of the stated margin: the code, stacks, what the system
//! and HTTP/2 hold for a connection, and the allocator's own fragments.

use crate::allocator::MAPPED_FROM;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What an allocation of `size` bytes takes of the allocator: glibc's chunks are multiples of 16 bytes,
/// hold 8 bytes of bookkeeping, and have at least 32; from 128 KiB on they are mappings of whole pages.
#[must_use]
pub fn allocation_bytes(size: usize) -> usize {
    const PAGE: usize = 4096;
    if size >= MAPPED_FROM {
        return (size + 16).next_multiple_of(PAGE);
    }
    (size + 8).next_multiple_of(16).max(32)
}

/// What an entry takes beside its allocation: its slot, which is exact, and its share of the hash
/// table, which is 5 bytes a bucket at a load of 7/16 to 7/8, so 6 to 12 bytes. A namespace's quota counts
/// this figure for each entry; the node's limit counts the tables as they are.
pub const ENTRY_INDEX_BYTES: usize = 24;

/// What one entry takes of its namespace's quota.
#[must_use]
pub fn entry_bytes(key: usize, content_type: usize, value: usize, may_expire: bool) -> usize {
    crate::entry::Entry::footprint_of(key, content_type, value, may_expire) + ENTRY_INDEX_BYTES
}

/// A count of bytes in use that several shards share.
#[derive(Debug, Default)]
pub(crate) struct Used(AtomicUsize);

impl Used {
    pub(crate) fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn sub(&self, bytes: usize) {
        let before = self.0.fetch_sub(bytes, Ordering::Relaxed);
        debug_assert!(before >= bytes, "{before} bytes in use, {bytes} given back");
    }

    /// Corrects a figure that was counted as `before`.
    pub(crate) fn change(&self, before: usize, after: usize) {
        if after >= before { self.add(after - before) } else { self.sub(before - after) }
    }
}

/// The node's bytes: everything, and of that what no eviction can free.
#[derive(Debug, Default)]
pub(crate) struct NodeMemory {
    /// Entries and structures.
    pub(crate) used: Used,
    /// Slots, tables, queues, history, namespaces.
    pub(crate) structure: Used,
    /// Batches and answers that the server holds. They come and go, so an entry is not refused for them.
    pub(crate) buffers: Used,
    /// Of the structure: stored results of operations.
    pub(crate) results: Used,
}

impl NodeMemory {
    pub(crate) fn charge_buffers(&self, bytes: usize) {
        self.used.add(bytes);
        self.buffers.add(bytes);
    }

    pub(crate) fn release_buffers(&self, bytes: usize) {
        self.used.sub(bytes);
        self.buffers.sub(bytes);
    }

    pub(crate) fn change_structure(&self, before: usize, after: usize) {
        if before != after {
            self.used.change(before, after);
            self.structure.change(before, after);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_is_that_of_glibc() {
        for (asked, taken) in [(0, 32), (24, 32), (25, 48), (40, 48), (72, 80), (73, 96)] {
            assert_eq!(allocation_bytes(asked), taken, "{asked}");
        }
        assert_eq!(allocation_bytes(128 << 10), (128 << 10) + 4096);
    }
}
