//! Gathers records into blocks of at most [`MAX_BLOCK_BYTES`], or of one entry.

use super::format::MAX_BLOCK_BYTES;
use std::collections::VecDeque;

#[derive(Default)]
pub(crate) struct Blocks {
    current: Vec<u8>,
    ready: VecDeque<Vec<u8>>,
    /// Entries written so far.
    pub(crate) entries: u64,
}

impl Blocks {
    /// Where the next `length` bytes, a whole number of records, are to be written.
    pub(crate) fn room_for(&mut self, length: usize) -> &mut Vec<u8> {
        if !self.current.is_empty() && self.current.len() + length > MAX_BLOCK_BYTES {
            self.close();
        }
        &mut self.current
    }

    fn close(&mut self) {
        let next =
            Vec::with_capacity(if self.current.len() > MAX_BLOCK_BYTES / 2 { MAX_BLOCK_BYTES } else { 0 });
        self.ready.push_back(std::mem::replace(&mut self.current, next));
    }

    /// Puts records in front of everything that has not been taken yet.
    pub(crate) fn put_first(&mut self, records: Vec<u8>) {
        if !records.is_empty() {
            self.ready.push_front(records);
        }
    }

    pub(crate) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// The next whole block, or what there is.
    pub(crate) fn take(&mut self) -> Option<Vec<u8>> {
        if self.ready.is_empty() && !self.current.is_empty() {
            self.close();
        }
        self.ready.pop_front()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ready.is_empty() && self.current.is_empty()
    }
}
