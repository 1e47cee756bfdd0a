//! A namespace's policy record, and what the engine keeps beside it.

use crate::error::Error;
use crate::limits::{DEFAULT_MAX_VALUE_BYTES, MAX_VALUE_BYTES, check_namespace_name};
use crate::memory::Used;
use std::sync::Arc;

/// The policy of a namespace, as it travels between nodes and gateways. The highest revision wins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NamespaceRecord {
    /// `[a-z0-9][a-z0-9-]{0,62}`
    pub name: String,
    /// At least 1.
    pub revision: u64,
    /// A tombstone: the name is free, and older records of it stay refused.
    pub deleted: bool,
    /// Bytes on each node; none: the node's limit alone.
    pub quota_bytes: Option<u64>,
    /// TTL of a write that says none, in ms.
    pub default_ttl_ms: Option<u64>,
    /// Greatest TTL a write may ask for, in ms.
    pub max_ttl_ms: Option<u64>,
    /// Greatest value, in bytes; none: 1 MiB.
    pub max_value_bytes: Option<u64>,
    /// How long an expired entry may be given as stale, in ms. Carried and compared, not yet acted on.
    pub stale_window_ms: Option<u64>,
}

impl NamespaceRecord {
    /// A record with no limits of its own, revision 1.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { name: name.into(), revision: 1, ..Self::default() }
    }

    /// # Errors
    /// INVALID_ARGUMENT with the field that is wrong.
    pub fn check(&self) -> Result<(), Error> {
        check_namespace_name(&self.name)?;
        if self.revision == 0 {
            return Err(Error::invalid("namespace.revision", "a revision is at least 1"));
        }
        for (field, value) in [
            ("namespace.quota_bytes", self.quota_bytes),
            ("namespace.default_ttl", self.default_ttl_ms),
            ("namespace.max_ttl", self.max_ttl_ms),
            ("namespace.max_value_bytes", self.max_value_bytes),
            ("namespace.stale_window", self.stale_window_ms),
        ] {
            if value == Some(0) {
                return Err(Error::invalid(field, "greater than zero, or absent for no limit of its own"));
            }
        }
        if let Some(bytes) = self.max_value_bytes
            && bytes > MAX_VALUE_BYTES as u64
        {
            return Err(Error::invalid(
                "namespace.max_value_bytes",
                format!("at most {MAX_VALUE_BYTES} bytes, this is {bytes}"),
            ));
        }
        if let (Some(default), Some(max)) = (self.default_ttl_ms, self.max_ttl_ms)
            && default > max
        {
            return Err(Error::invalid(
                "namespace.default_ttl",
                format!("{default} ms is above the greatest TTL of {max} ms"),
            ));
        }
        Ok(())
    }
}

/// What [`crate::Engine::apply_namespace`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// The record is now in force.
    Accepted,
    /// A record of the same or a higher revision is in force: this one.
    Superseded(NamespaceRecord),
}

/// What an operation asks of the policy.
#[derive(Debug, Clone, Default)]
pub(crate) struct Limits {
    pub(crate) default_ttl_ms: Option<u64>,
    pub(crate) max_ttl_ms: Option<u64>,
    pub(crate) max_value_bytes: usize,
    pub(crate) quota: Option<usize>,
}

/// A namespace that is not deleted. A change of policy makes a new one that shares the counts.
#[derive(Debug)]
pub(crate) struct Namespace {
    /// Bound to the name for the life of the process, also across deletion and re-creation.
    pub(crate) index: u16,
    pub(crate) name: Box<str>,
    pub(crate) limits: Limits,
    /// Bytes of its entries on all shards.
    pub(crate) used: Arc<Used>,
}

impl Namespace {
    pub(crate) fn new(index: u16, record: &NamespaceRecord, used: Arc<Used>) -> Self {
        let bytes = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
        Self {
            index,
            name: record.name.as_str().into(),
            limits: Limits {
                default_ttl_ms: record.default_ttl_ms,
                max_ttl_ms: record.max_ttl_ms,
                max_value_bytes: bytes(record.max_value_bytes.unwrap_or(DEFAULT_MAX_VALUE_BYTES)),
                quota: record.quota_bytes.map(bytes),
            },
            used,
        }
    }

    pub(crate) fn over_quota(&self) -> bool {
        self.limits.quota.is_some_and(|quota| self.used.get() > quota)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_that_contradicts_itself_is_refused() {
        let good = NamespaceRecord::new("a");
        assert!(good.check().is_ok());
        let bad = [
            NamespaceRecord { revision: 0, ..good.clone() },
            NamespaceRecord { name: "A".into(), ..good.clone() },
            NamespaceRecord { quota_bytes: Some(0), ..good.clone() },
            NamespaceRecord { max_value_bytes: Some((8 << 20) + 1), ..good.clone() },
            NamespaceRecord { default_ttl_ms: Some(2), max_ttl_ms: Some(1), ..good },
        ];
        for record in bad {
            assert!(record.check().is_err(), "{record:?}");
        }
    }
}
