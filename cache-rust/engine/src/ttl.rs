//! How long an entry lives.

use crate::error::Error;
use crate::namespace::Limits;
use crate::time::{NEVER, Now};

/// What a write says about the life of its entry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Ttl {
    /// Nothing: the namespace's default; without one its greatest; without that never.
    #[default]
    Default,
    /// This many milliseconds from now, at least 1.
    Millis(u64),
    /// What the live entry has; without a live entry as `Default`.
    Keep,
    /// The entry does not expire.
    Never,
}

impl Ttl {
    /// From the parts of a protobuf `Duration`, rounded up to a millisecond.
    ///
    /// # Errors
    /// INVALID_ARGUMENT for zero, a negative or a malformed duration.
    pub fn relative(seconds: i64, nanos: i32) -> Result<Self, Error> {
        const MAX_SECONDS: i64 = 315_576_000_000;
        if !(0..=999_999_999).contains(&nanos) && seconds >= 0 {
            return Err(Error::invalid(
                "ttl.relative",
                format!("nanos are 0 to 999999999 here, these are {nanos}"),
            ));
        }
        if seconds < 0 || nanos < 0 || (seconds == 0 && nanos == 0) {
            return Err(Error::invalid(
                "ttl.relative",
                "a TTL is greater than zero; use never for no expiry",
            ));
        }
        if seconds > MAX_SECONDS {
            return Err(Error::invalid(
                "ttl.relative",
                format!("a duration has at most {MAX_SECONDS} seconds"),
            ));
        }
        Ok(Self::Millis(seconds as u64 * 1_000 + (nanos as u64).div_ceil(1_000_000)))
    }

    /// Refuses what no live entry could make right, before any lock is taken.
    pub(crate) fn check(self, limits: &Limits) -> Result<(), Error> {
        match (self, limits.max_ttl_ms) {
            (Self::Millis(0), _) => Err(Error::invalid("ttl.relative", "a TTL is at least 1 ms")),
            (Self::Millis(ms), Some(max)) if ms > max => Err(Error::invalid(
                "ttl.relative",
                format!("{ms} ms is above the namespace's greatest TTL of {max} ms"),
            )),
            (Self::Never, Some(max)) => Err(Error::invalid(
                "ttl.never",
                format!("never is above the namespace's greatest TTL of {max} ms"),
            )),
            _ => Ok(()),
        }
    }

    /// Monotonic millisecond of expiry. `live` is the expiry of the live entry, if there is one.
    pub(crate) fn resolve(self, limits: &Limits, now: Now, live: Option<u64>) -> u64 {
        let after = |ms: u64| now.mono_ms.saturating_add(ms).min(NEVER - 1);
        match (self, live) {
            (Self::Keep, Some(expires_at)) => expires_at,
            (Self::Never, _) => NEVER,
            (Self::Millis(ms), _) => after(ms),
            (Self::Default | Self::Keep, _) => {
                limits.default_ttl_ms.or(limits.max_ttl_ms).map_or(NEVER, after)
            }
        }
    }

    /// Whether the entry may need room for an expiry: asked before the live entry is known.
    pub(crate) fn may_expire(self, limits: &Limits) -> bool {
        match self {
            Self::Never => false,
            Self::Keep | Self::Millis(_) => true,
            Self::Default => limits.default_ttl_ms.or(limits.max_ttl_ms).is_some(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_rounded_up_to_a_millisecond() {
        assert_eq!(Ttl::relative(0, 1), Ok(Ttl::Millis(1)));
        assert_eq!(Ttl::relative(0, 1_000_000), Ok(Ttl::Millis(1)));
        assert_eq!(Ttl::relative(0, 1_000_001), Ok(Ttl::Millis(2)));
        assert_eq!(Ttl::relative(2, 999_999_999), Ok(Ttl::Millis(3_000)));
    }

    #[test]
    fn zero_negative_and_malformed_durations_are_errors() {
        for (seconds, nanos) in [(0, 0), (-1, 0), (0, -1), (1, -1), (0, 1_000_000_000), (i64::MAX, 0)] {
            assert!(Ttl::relative(seconds, nanos).is_err(), "{seconds} {nanos}");
        }
    }

    #[test]
    fn above_the_namespaces_greatest_is_an_error_not_a_clamp() {
        let limits = Limits { max_ttl_ms: Some(1_000), ..Limits::default() };
        assert!(Ttl::Millis(1_000).check(&limits).is_ok());
        assert!(Ttl::Millis(1_001).check(&limits).is_err());
        assert!(Ttl::Never.check(&limits).is_err());
        assert_eq!(Ttl::Default.resolve(&limits, Now::new(5, 0), None), 1_005);
    }
}
