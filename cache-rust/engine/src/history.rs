//! The recent events of one shard, encoded back to back in segments, bounded in bytes. When the bound is
//! reached the oldest segment goes, and whoever had not read it starts over with a reset.

use crate::memory::allocation_bytes;
use std::collections::VecDeque;

/// What happened to a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventKind {
    /// A write: Put or Increment.
    Put,
    /// Its expiry was set anew.
    Touched,
    /// Deleted by a caller, or erased because the key has another owner now.
    Deleted,
    /// Its time ran out.
    Expired,
    /// Room was needed.
    Evicted,
    /// All entries of the namespace in one shard: the event has no key.
    Flushed,
}

pub(crate) const KINDS: [EventKind; 6] = [
    EventKind::Put,
    EventKind::Touched,
    EventKind::Deleted,
    EventKind::Expired,
    EventKind::Evicted,
    EventKind::Flushed,
];

/// An event as it lies in the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    pub(crate) kind: EventKind,
    pub(crate) namespace: u16,
    pub(crate) key: &'a [u8],
    /// Of the entry for put and touched, else the one that the removal drew.
    pub(crate) version: u64,
    /// Drawn by Touch, else 0.
    pub(crate) expiry_version: u64,
    pub(crate) expires_at: u64,
}

const HEAD_BYTES: usize = 1 + 2 + 2 + 8 + 8 + 8;

struct Segment {
    first: u64,
    count: u64,
    bytes: Vec<u8>,
}

/// Sequence numbers start at 1; `next` is the one that the next event gets.
pub(crate) struct History {
    segments: VecDeque<Segment>,
    next: u64,
    segment_bytes: usize,
    max_segments: usize,
    enabled: bool,
}

/// Where a reader was, so that it need not search its segment again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) sequence: u64,
    segment: u64,
    offset: usize,
}

impl Place {
    pub(crate) fn at(sequence: u64) -> Self {
        Self { sequence, segment: 0, offset: 0 }
    }
}

impl History {
    pub(crate) fn new(max_bytes: usize) -> Self {
        const LARGEST: usize = 64 << 10;
        const SMALLEST: usize = 2 << 10;
        let segment_bytes = (max_bytes / 8).clamp(SMALLEST, LARGEST);
        Self {
            segments: VecDeque::new(),
            next: 1,
            segment_bytes,
            max_segments: (max_bytes / segment_bytes).max(2),
            enabled: false,
        }
    }

    /// Until somebody subscribes nobody can hold a position, so nothing needs to be kept.
    pub(crate) fn enable(&mut self) {
        self.enabled = true;
    }

    pub(crate) fn is_enabled(&self) -> bool {
        self.enabled
    }

    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// The first event that is held, or the next one.
    pub(crate) fn oldest(&self) -> u64 {
        self.segments.front().map_or(self.next, |segment| segment.first)
    }

    /// Begins anew with this sequence.
    pub(crate) fn restart(&mut self, sequence: u64) {
        self.segments.clear();
        (self.next, self.enabled) = (sequence, true);
    }

    /// Lets go of everything: nobody can continue here.
    pub(crate) fn forget(&mut self) {
        self.segments.clear();
        self.next += 1;
    }

    pub(crate) fn push(&mut self, record: &Record<'_>) {
        if !self.enabled {
            return;
        }
        let length = HEAD_BYTES + record.key.len();
        let fits = |s: &Segment| s.bytes.len() + length <= s.bytes.capacity();
        if !self.segments.back().is_some_and(fits) {
            if self.segments.len() == self.max_segments {
                self.segments.pop_front();
            }
            let bytes = Vec::with_capacity(self.segment_bytes);
            self.segments.push_back(Segment { first: self.next, count: 0, bytes });
        }
        let Some(segment) = self.segments.back_mut() else { return };
        let out = &mut segment.bytes;
        out.push(record.kind as u8);
        out.extend_from_slice(&record.namespace.to_le_bytes());
        out.extend_from_slice(&(record.key.len() as u16).to_le_bytes());
        out.extend_from_slice(&record.version.to_le_bytes());
        out.extend_from_slice(&record.expiry_version.to_le_bytes());
        out.extend_from_slice(&record.expires_at.to_le_bytes());
        out.extend_from_slice(record.key);
        segment.count += 1;
        self.next += 1;
    }

    /// Gives events from `place` up to (not including) `upto`, until `sink` answers false. The place moves
    /// behind what was given. None when an event at `place` is held no more.
    pub(crate) fn read(
        &self,
        place: &mut Place,
        upto: u64,
        mut sink: impl FnMut(Record<'_>) -> bool,
    ) -> Option<()> {
        let upto = upto.min(self.next);
        if place.sequence >= upto {
            return Some(());
        }
        let index = self.segments.partition_point(|s| s.first <= place.sequence).checked_sub(1)?;
        for segment in self.segments.iter().skip(index) {
            if place.sequence >= upto {
                break;
            }
            let mut offset = if place.segment == segment.first {
                place.offset
            } else {
                skip(&segment.bytes, place.sequence - segment.first)
            };
            while place.sequence < upto && place.sequence < segment.first + segment.count {
                let (record, length) = decode(&segment.bytes[offset..]);
                let more = sink(record);
                offset += length;
                *place = Place { sequence: place.sequence + 1, segment: segment.first, offset };
                if !more {
                    return Some(());
                }
            }
        }
        Some(())
    }

    pub(crate) fn bytes(&self) -> usize {
        let list = self.segments.capacity() * size_of::<Segment>();
        self.segments.len() * allocation_bytes(self.segment_bytes)
            + if list == 0 { 0 } else { allocation_bytes(list) }
    }
}

fn skip(bytes: &[u8], records: u64) -> usize {
    (0..records).fold(0, |offset, _| offset + HEAD_BYTES + usize::from(u16_at(bytes, offset + 3)))
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}

fn decode(bytes: &[u8]) -> (Record<'_>, usize) {
    let length = HEAD_BYTES + usize::from(u16_at(bytes, 3));
    let record = Record {
        kind: KINDS[usize::from(bytes[0])],
        namespace: u16_at(bytes, 1),
        version: u64_at(bytes, 5),
        expiry_version: u64_at(bytes, 13),
        expires_at: u64_at(bytes, 21),
        key: &bytes[HEAD_BYTES..length],
    };
    (record, length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(history: &mut History, i: u64) {
        let key = i.to_string();
        history.push(&Record {
            kind: EventKind::Put,
            namespace: 3,
            key: key.as_bytes(),
            version: i,
            expiry_version: 0,
            expires_at: 9,
        });
    }

    fn read(history: &History, place: &mut Place, upto: u64) -> Option<Vec<u64>> {
        let mut got = vec![];
        history.read(place, upto, |r| {
            assert_eq!(r.key, r.version.to_string().as_bytes());
            got.push(r.version);
            true
        })?;
        Some(got)
    }

    #[test]
    fn nothing_is_kept_before_the_first_subscription() {
        let mut history = History::new(1 << 20);
        push(&mut history, 1);
        assert_eq!((history.next(), history.bytes()), (1, 0));
    }

    #[test]
    fn what_is_read_in_steps_has_no_gap_and_no_repetition() {
        let mut history = History::new(1 << 20);
        history.enable();
        (1..=5_000).for_each(|i| push(&mut history, i));
        let mut place = Place::at(1);
        let mut got = vec![];
        for upto in [2, 2, 100, 4_000, 5_001] {
            got.extend(read(&history, &mut place, upto).expect("held"));
        }
        assert_eq!(got, (1..=5_000).collect::<Vec<_>>());
    }

    #[test]
    fn history_overflow_is_noticed_by_whoever_had_not_read() {
        let mut history = History::new(16 << 10);
        history.enable();
        let mut place = Place::at(1);
        (1..=10).for_each(|i| push(&mut history, i));
        assert_eq!(read(&history, &mut place, 6).map(|g| g.len()), Some(5));
        (11..=10_000).for_each(|i| push(&mut history, i));
        assert!(history.bytes() <= (16 << 10) + 1_000);
        assert_eq!(read(&history, &mut place, 10_001), None);
        let mut young = Place::at(9_990);
        assert_eq!(read(&history, &mut young, 10_001).map(|g| g.len()), Some(11));
    }
}
