//! Exit codes, and the failures that they stand for. Documented in `docs/operations.md`.

use thiserror::Error;

/// Why the process ends other than by a completed drain (0).
#[derive(Debug, Error)]
pub enum Failure {
    /// 2: a flag, variable or file that is unknown, malformed or contradictory.
    #[error("{0}")]
    Settings(String),
    /// 3: an address that is taken or cannot be bound.
    #[error("cannot listen on {address} ({setting}): {source}")]
    Bind {
        /// The setting that gave it.
        setting: &'static str,
        /// As given.
        address: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// 4: a data directory that cannot be used.
    #[error("the data directory {path} cannot be used: {message}")]
    DataDirectory {
        /// As given.
        path: String,
        /// What is wrong with it.
        message: String,
    },
    /// 5: the node could not be taken over from its old process, which goes on.
    #[error("the node was not taken over from {from}: {message}")]
    HandOver {
        /// As given.
        from: String,
        /// What came in between.
        message: String,
    },
    /// 130: a second signal, or a drain that took too long after the stdin that was watched had closed.
    #[error("ended before everything in flight was answered: {0}")]
    Interrupted(&'static str),
    /// 1: anything else.
    #[error("{0}")]
    Other(String),
}

impl Failure {
    /// The exit code.
    #[must_use]
    pub fn code(&self) -> u8 {
        match self {
            Self::Settings(_) => 2,
            Self::Bind { .. } => 3,
            Self::DataDirectory { .. } => 4,
            Self::HandOver { .. } => 5,
            Self::Interrupted(_) => 130,
            Self::Other(_) => 1,
        }
    }
}
