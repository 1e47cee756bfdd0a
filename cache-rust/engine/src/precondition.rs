//! What makes a write a compare-and-swap.

use crate::error::Error;
use crate::limits::MAX_PRECONDITION_VERSIONS;

/// Judged against the live entry: an expired one is absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Precondition {
    /// Always holds.
    #[default]
    None,
    /// There must be no live entry.
    Absent,
    /// There must be a live entry.
    Present,
    /// The live entry must have one of these versions (1 to 16, none of them 0).
    Versions(Vec<u64>),
}

impl Precondition {
    pub(crate) fn check(&self) -> Result<(), Error> {
        let Self::Versions(versions) = self else { return Ok(()) };
        if versions.is_empty() || versions.len() > MAX_PRECONDITION_VERSIONS {
            return Err(Error::invalid(
                "precondition.versions",
                format!("1 to {MAX_PRECONDITION_VERSIONS} versions, these are {}", versions.len()),
            ));
        }
        if versions.contains(&0) {
            return Err(Error::invalid(
                "precondition.versions",
                "0 means absent and is no version; use absent",
            ));
        }
        Ok(())
    }

    /// `current` is the version of the live entry, 0 when there is none.
    pub(crate) fn judge(&self, current: u64) -> Result<(), Error> {
        let holds = match self {
            Self::None => true,
            Self::Absent => current == 0,
            Self::Present => current != 0,
            Self::Versions(versions) => current != 0 && versions.contains(&current),
        };
        if holds { Ok(()) } else { Err(Error::PreconditionFailed { current_version: current }) }
    }
}
