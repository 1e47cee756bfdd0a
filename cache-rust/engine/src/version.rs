//! Versions: unique and growing for each key, across deletions, restarts and owners.
//!
//! A version is 42 bits of Unix milliseconds, 12 bits of counter and 10 bits of node tag. The tag
//! makes versions of two nodes unequal, so a key that moves between them never sees one twice; the
//! clock makes them grow. A counter that runs over borrows from the milliseconds.

const COUNTER_BITS: u32 = 12;
const TAG_BITS: u32 = 10;
const TAG_MASK: u64 = (1 << TAG_BITS) - 1;
const MILLIS_SHIFT: u32 = COUNTER_BITS + TAG_BITS;
/// The last millisecond that 42 bits can say: in the year 2109.
const LAST_MILLIS: u64 = (1 << (64 - MILLIS_SHIFT)) - 1;

/// A version that somebody claims to have seen is not believed beyond this distance (ms) from the
/// wall clock: one bad clock must not push every node's versions into the future.
pub const MAX_AHEAD_MS: u64 = 60_000;

/// A version taken apart; on every wire it is the plain `u64`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u64);

impl Version {
    /// Puts the parts together; what exceeds its bits is cut off.
    #[must_use]
    pub fn from_parts(millis: u64, counter: u64, tag: u16) -> Self {
        let counter = counter & ((1 << COUNTER_BITS) - 1);
        Self(millis << MILLIS_SHIFT | counter << TAG_BITS | u64::from(tag) & TAG_MASK)
    }

    /// Unix milliseconds.
    #[must_use]
    pub fn millis(self) -> u64 {
        self.0 >> MILLIS_SHIFT
    }

    /// Counter within the millisecond.
    #[must_use]
    pub fn counter(self) -> u64 {
        self.0 >> TAG_BITS & ((1 << COUNTER_BITS) - 1)
    }

    /// Tag of the node that drew it.
    #[must_use]
    pub fn tag(self) -> u64 {
        self.0 & TAG_MASK
    }
}

/// Whether a version that was reported to this node may raise its clock.
pub(crate) fn believable(seen: u64, wall_ms: u64) -> bool {
    Version(seen).millis() <= wall_ms.saturating_add(MAX_AHEAD_MS)
}

/// Draws versions for the keys of one shard.
#[derive(Debug, Default)]
pub(crate) struct VersionClock {
    last: u64,
}

impl VersionClock {
    /// A version above all that this clock drew, above `floor`, and not before the wall clock.
    pub(crate) fn next(&mut self, wall_ms: u64, floor: u64, tag: u16) -> u64 {
        let after = self.last.max(floor);
        let wall = wall_ms.min(LAST_MILLIS) << MILLIS_SHIFT;
        let base = if wall > after { wall } else { ((after >> TAG_BITS) + 1) << TAG_BITS };
        self.last = base | u64::from(tag) & TAG_MASK;
        self.last
    }

    /// Takes a version that was drawn elsewhere on this node; false if this clock is at or past it.
    pub(crate) fn advance_to(&mut self, version: u64) -> bool {
        let ahead = version > self.last;
        self.last = self.last.max(version);
        ahead
    }

    /// The greatest version drawn, 0 before the first.
    pub(crate) fn last(&self) -> u64 {
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overflow_of_the_counter_borrows_from_the_milliseconds() {
        let mut clock = VersionClock::default();
        let drawn: Vec<_> = (0..5000).map(|_| clock.next(1_000, 0, 7)).collect();
        assert!(drawn.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(Version(drawn[4095]), Version::from_parts(1_000, 4095, 7));
        assert_eq!(Version(drawn[4096]), Version::from_parts(1_001, 0, 7));
    }

    #[test]
    fn a_wall_clock_going_backwards_does_not_take_versions_with_it() {
        let mut clock = VersionClock::default();
        let before = clock.next(10_000, 0, 1);
        assert!(clock.next(5_000, 0, 1) > before);
        assert!(clock.next(0, 0, 1) > before);
    }

    #[test]
    fn a_floor_of_another_tag_is_passed() {
        let mut clock = VersionClock::default();
        let floor = Version::from_parts(20_000, 4095, 1023).0;
        let drawn = clock.next(10_000, floor, 0);
        assert!(drawn > floor);
        assert_eq!(Version(drawn), Version::from_parts(20_001, 0, 0));
    }

    #[test]
    fn a_version_over_60_seconds_ahead_is_not_believed() {
        assert!(believable(Version::from_parts(160_000, 4095, 1).0, 100_000));
        assert!(!believable(Version::from_parts(160_001, 0, 0).0, 100_000));
    }
}
