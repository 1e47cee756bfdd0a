//! Every way in which the engine refuses, one variant per reason of the contract's error table.

use thiserror::Error;

/// A refusal. Nothing was changed by the operation that was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Error {
    /// KEY_NOT_FOUND: Touch of a key that has no live entry.
    #[error("the key has no live entry to touch")]
    KeyNotFound,
    /// NAMESPACE_NOT_FOUND.
    #[error("there is no namespace {namespace:?}")]
    NamespaceNotFound {
        /// As it was asked for.
        namespace: String,
    },
    /// NAMESPACE_EXISTS.
    #[error("the namespace {namespace:?} exists already")]
    NamespaceExists {
        /// As it was asked for.
        namespace: String,
    },
    /// INVALID_ARGUMENT.
    #[error("{field}: {message}")]
    InvalidArgument {
        /// Path of the field in the request.
        field: &'static str,
        /// What is wrong and what would be right.
        message: String,
    },
    /// VALUE_TOO_LARGE.
    #[error("the value has {size} bytes; this namespace takes at most {limit}")]
    ValueTooLarge {
        /// Bytes sent.
        size: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// PRECONDITION_FAILED.
    #[error("the precondition does not hold; the current version is {current_version} (0: absent)")]
    PreconditionFailed {
        /// Version of the live entry, 0 when there is none.
        current_version: u64,
    },
    /// NOT_AN_INTEGER.
    #[error("the stored value is no canonical decimal 64-bit integer")]
    NotAnInteger,
    /// INTEGER_OVERFLOW.
    #[error("{value} + {delta} does not fit a signed 64-bit integer")]
    IntegerOverflow {
        /// The stored or initial value.
        value: i64,
        /// What was to be added.
        delta: i64,
    },
    /// QUOTA_EXCEEDED.
    #[error("the entry takes {needed} bytes; {available} are the most that {whose} can ever free")]
    QuotaExceeded {
        /// Bytes that the entry takes, all overhead included.
        needed: usize,
        /// Bytes that would be there with everything else evicted.
        available: usize,
        /// "the namespace" or "the node".
        whose: &'static str,
    },
    /// IDEMPOTENCY_KEY_REUSED.
    #[error("the operation id was used for another request on this key")]
    OperationIdReused,
    /// QUOTA_EXCEEDED: of stored results.
    #[error(
        "the stored results of operations fill the {limit} bytes that they may take; the oldest end first"
    )]
    ResultsFull {
        /// An eighth of the memory limit.
        limit: usize,
    },
    /// The node is at the cut of a hand-over: not begun, and to be asked again within a second.
    #[error("the node is being handed over")]
    Held,
    /// WRONG_NODE.
    #[error("the key belongs to the node {owner:?} by the topology of epoch {epoch}")]
    WrongNode {
        /// Name of the owner.
        owner: String,
        /// Epoch of the topology by which it was judged.
        epoch: u64,
    },
}

impl Error {
    pub(crate) fn invalid(field: &'static str, message: impl Into<String>) -> Self {
        Self::InvalidArgument { field, message: message.into() }
    }
}
