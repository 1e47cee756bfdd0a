//! The ghost queue of S3-FIFO: which keys were evicted of late, as fingerprints.
//!
//! A set-associative table in place of a queue and an index: a key's bucket holds eight cells of a 16-bit
//! fingerprint and a 16-bit age, 4 bytes a ghost instead of some twenty. A cell counts while it is younger
//! than the queue would be long. The paper (section 5.4) proposes the same.

use crate::memory::allocation_bytes;

const WAYS: usize = 8;
const MIN_CELLS: usize = 64;
/// Ages are counted in steps of a 1,024th of the table, so that 16 bits last for 64 generations.
const AGE_STEPS_LOG2: u32 = 10;

#[derive(Debug, Clone, Copy, Default)]
struct Cell {
    /// 0 is an empty cell.
    fingerprint: u16,
    born: u16,
}

/// Holds up to `len` fingerprints, where `len` follows the length of the main queue.
#[derive(Debug, Default)]
pub(crate) struct Ghost {
    cells: Box<[Cell]>,
    /// Fingerprints ever inserted.
    inserted: u64,
    len: usize,
}

impl Ghost {
    /// Remembers a key. `len` is how many the queue should hold now.
    pub(crate) fn insert(&mut self, hash: u64, len: usize) {
        self.len = len;
        self.fit(len);
        self.inserted += 1;
        let now = self.step();
        let bucket = self.bucket(hash);
        let Some(oldest) = self.cells[bucket].iter_mut().max_by_key(|cell| match cell.fingerprint {
            0 => u16::MAX,
            _ => now.wrapping_sub(cell.born),
        }) else {
            return;
        };
        *oldest = Cell { fingerprint: fingerprint(hash), born: now };
    }

    /// Whether the key is remembered; it is forgotten by the question.
    pub(crate) fn take(&mut self, hash: u64) -> bool {
        if self.cells.is_empty() {
            return false;
        }
        let (now, oldest, wanted) = (self.step(), self.len >> self.shift(), fingerprint(hash));
        let bucket = self.bucket(hash);
        for cell in &mut self.cells[bucket] {
            if cell.fingerprint == wanted && usize::from(now.wrapping_sub(cell.born)) <= oldest {
                *cell = Cell::default();
                return true;
            }
        }
        false
    }

    pub(crate) fn bytes(&self) -> usize {
        if self.cells.is_empty() { 0 } else { allocation_bytes(size_of_val(&*self.cells)) }
    }

    /// Grows to a power of two of cells. What was remembered is forgotten: it happens only while the
    /// cache itself doubles, and costs one generation of ghosts.
    fn fit(&mut self, len: usize) {
        if self.cells.len() < len.max(MIN_CELLS) {
            let cells = len.max(MIN_CELLS).next_power_of_two();
            self.cells = vec![Cell::default(); cells].into_boxed_slice();
        }
    }

    fn shift(&self) -> u32 {
        self.cells.len().trailing_zeros().saturating_sub(AGE_STEPS_LOG2)
    }

    fn step(&self) -> u16 {
        (self.inserted >> self.shift()) as u16
    }

    fn bucket(&self, hash: u64) -> std::ops::Range<usize> {
        let first = (hash as usize & (self.cells.len() / WAYS - 1)) * WAYS;
        first..first + WAYS
    }
}

fn fingerprint(hash: u64) -> u16 {
    ((hash >> 28) as u16).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(i: u64) -> u64 {
        (i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31).wrapping_mul(0xbf58_476d_1ce4_e5b9)
    }

    #[test]
    fn it_remembers_about_as_many_as_it_was_told_and_forgets_the_older() {
        let mut ghost = Ghost::default();
        (0..10_000).for_each(|i| ghost.insert(hash(i), 1_000));
        let young = (9_100..10_000).filter(|i| ghost.take(hash(*i))).count();
        let old = (0..8_900).filter(|i| ghost.take(hash(*i))).count();
        assert!(young > 800, "{young} of 900");
        assert!(old < 20, "{old} of 8900");
    }

    #[test]
    fn a_key_is_remembered_once() {
        let mut ghost = Ghost::default();
        ghost.insert(hash(1), 10);
        assert!(ghost.take(hash(1)));
        assert!(!ghost.take(hash(1)));
        assert!(!Ghost::default().take(hash(1)));
    }
}
