//! The two clocks, passed in.

/// What the caller's clocks say at the moment of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Monotonic milliseconds since an arbitrary start: for TTLs. Must never go backwards.
    pub mono_ms: u64,
    /// Unix milliseconds: for versions only. May jump either way.
    pub wall_ms: u64,
}

impl Now {
    /// Both clocks.
    #[must_use]
    pub fn new(mono_ms: u64, wall_ms: u64) -> Self {
        Self { mono_ms, wall_ms }
    }
}

/// The expiry of an entry that never expires.
pub(crate) const NEVER: u64 = u64::MAX;
