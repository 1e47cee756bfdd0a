//! Between messages of the contract and the engine's types. What is refused here names the field by its path.

use bimetal_contract::cache::{self, precondition, ttl};
use bimetal_contract::control;
use bimetal_contract::errors::ErrorReason;
use bimetal_contract::{Error, identity};
use bimetal_engine as engine;
use bytes::Bytes;
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage};
use prost_types::Duration;

/// The engine's refusal as an error of the table.
#[must_use]
pub fn error(error: &engine::Error) -> Error {
    use engine::Error as E;
    let message = error.to_string();
    match error {
        E::KeyNotFound => Error::new(ErrorReason::KeyNotFound, message),
        E::NamespaceNotFound { .. } => Error::new(ErrorReason::NamespaceNotFound, message),
        E::NamespaceExists { .. } => Error::new(ErrorReason::NamespaceExists, message),
        E::InvalidArgument { field, message } => Error::invalid(field, message),
        E::ValueTooLarge { .. } => Error::new(ErrorReason::ValueTooLarge, message),
        E::PreconditionFailed { current_version } => {
            Error::new(ErrorReason::PreconditionFailed, message).with_current_version(*current_version)
        }
        E::NotAnInteger => Error::new(ErrorReason::NotAnInteger, message),
        E::IntegerOverflow { .. } => Error::new(ErrorReason::IntegerOverflow, message),
        E::QuotaExceeded { .. } => Error::new(ErrorReason::QuotaExceeded, message),
        E::Held => Error::new(HELD, message),
        E::OperationIdReused => Error::new(ErrorReason::IdempotencyKeyReused, message),
        E::ResultsFull { .. } => Error::new(ErrorReason::QuotaExceeded, message),
        E::WrongNode { owner, epoch } => {
            Error::new(ErrorReason::WrongNode, message).with_owner(owner.clone(), *epoch)
        }
    }
}

/// Stands for [`engine::Error::Held`] and never leaves the process: whoever meets it waits and asks again.
const HELD: ErrorReason = ErrorReason::Unspecified;

/// Whether the operation was not begun because the node is held.
#[must_use]
pub fn is_held(error: &Error) -> bool {
    error.detail().reason == HELD as i32
}

/// What this release does not do yet.
#[must_use]
pub fn not_implemented(what: &str) -> Error {
    Error::new(ErrorReason::NotImplemented, format!("this release has no {what} yet"))
}

/// Milliseconds as they travel.
#[must_use]
pub fn duration(ms: u64) -> Duration {
    Duration { seconds: (ms / 1_000) as i64, nanos: (ms % 1_000) as i32 * 1_000_000 }
}

/// A TTL. An unset message is the default.
///
/// # Errors
/// INVALID_ARGUMENT.
pub fn ttl(message: Option<&cache::Ttl>) -> Result<engine::Ttl, Error> {
    match message.map(|ttl| &ttl.kind) {
        None => Ok(engine::Ttl::Default),
        Some(None) => Err(Error::invalid("ttl", "exactly one of relative, keep and never")),
        Some(Some(ttl::Kind::Keep(()))) => Ok(engine::Ttl::Keep),
        Some(Some(ttl::Kind::Never(()))) => Ok(engine::Ttl::Never),
        Some(Some(ttl::Kind::Relative(d))) => {
            engine::Ttl::relative(d.seconds, d.nanos).map_err(|e| error(&e))
        }
    }
}

/// A precondition. An unset message is none.
///
/// # Errors
/// INVALID_ARGUMENT; the engine checks the versions themselves.
pub fn precondition(message: Option<&cache::Precondition>) -> Result<engine::Precondition, Error> {
    match message.map(|p| &p.kind) {
        None => Ok(engine::Precondition::None),
        Some(None) => Err(Error::invalid("precondition", "exactly one of absent, present and versions")),
        Some(Some(precondition::Kind::Absent(()))) => Ok(engine::Precondition::Absent),
        Some(Some(precondition::Kind::Present(()))) => Ok(engine::Precondition::Present),
        Some(Some(precondition::Kind::Versions(set))) => {
            Ok(engine::Precondition::Versions(set.versions.clone()))
        }
    }
}

/// What a caller wants of an entry.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wanted {
    /// No value.
    pub omit_value: bool,
    /// No value if the version is this one.
    pub known_version: Option<u64>,
    /// No value beyond this size.
    pub max_value_bytes: Option<u64>,
}

impl Wanted {
    /// Why the value is left out, if it is.
    #[must_use]
    pub fn omission(&self, version: u64, size: usize) -> cache::ValueOmission {
        if self.omit_value {
            cache::ValueOmission::Requested
        } else if self.known_version == Some(version) {
            cache::ValueOmission::NotModified
        } else if self.max_value_bytes.is_some_and(|max| size as u64 > max) {
            cache::ValueOmission::TooLarge
        } else {
            cache::ValueOmission::Unspecified
        }
    }
}

/// The value's bytes: copied if small, shared with the engine if large.
#[must_use]
pub fn value(view: &engine::EntryView<'_>) -> Bytes {
    view.share().map_or_else(|| Bytes::copy_from_slice(view.value()), Bytes::from_owner)
}

/// An entry as it travels.
#[must_use]
pub fn entry(view: &engine::EntryView<'_>, wanted: &Wanted) -> cache::Entry {
    let size = view.value().len();
    let omission = wanted.omission(view.version(), size);
    cache::Entry {
        version: view.version(),
        size: size as u64,
        content_type: view.content_type().to_owned(),
        remaining_ttl: view.remaining_ms().map(duration),
        value: if omission == cache::ValueOmission::Unspecified { value(view) } else { Bytes::new() },
        omission: omission as i32,
        stale_for: None,
    }
}

/// A duration field of a policy in milliseconds, rounded up.
fn policy_ms(field: &str, message: Option<&Duration>) -> Result<Option<u64>, Error> {
    let Some(d) = message else { return Ok(None) };
    match engine::Ttl::relative(d.seconds, d.nanos) {
        Ok(engine::Ttl::Millis(ms)) => Ok(Some(ms)),
        _ => Err(Error::invalid(field, "a well-formed duration greater than zero")),
    }
}

/// A namespace record.
///
/// # Errors
/// INVALID_ARGUMENT for a malformed duration; NOT_IMPLEMENTED for a stale window.
pub fn namespace_record(message: &cache::Namespace) -> Result<engine::NamespaceRecord, Error> {
    if message.stale_window.is_some() {
        return Err(not_implemented("stale window"));
    }
    Ok(engine::NamespaceRecord {
        name: message.name.clone(),
        revision: message.revision,
        deleted: message.deleted,
        quota_bytes: message.quota_bytes,
        default_ttl_ms: policy_ms("namespace.default_ttl", message.default_ttl.as_ref())?,
        max_ttl_ms: policy_ms("namespace.max_ttl", message.max_ttl.as_ref())?,
        max_value_bytes: message.max_value_bytes,
        stale_window_ms: None,
    })
}

/// A namespace record as it travels.
#[must_use]
pub fn namespace(record: &engine::NamespaceRecord) -> cache::Namespace {
    cache::Namespace {
        name: record.name.clone(),
        revision: record.revision,
        deleted: record.deleted,
        quota_bytes: record.quota_bytes,
        default_ttl: record.default_ttl_ms.map(duration),
        max_ttl: record.max_ttl_ms.map(duration),
        max_value_bytes: record.max_value_bytes,
        stale_window: record.stale_window_ms.map(duration),
    }
}

/// A topology for the engine.
#[must_use]
pub fn topology(message: control::Topology) -> engine::Topology {
    let nodes = message.nodes.into_iter();
    engine::Topology {
        epoch: message.epoch,
        nodes: nodes.map(|n| engine::Node { name: n.name, tag: n.tag, address: n.address }).collect(),
    }
}

/// A topology as it travels.
#[must_use]
pub fn topology_message(topology: engine::Topology) -> control::Topology {
    let nodes = topology.nodes.into_iter();
    control::Topology {
        epoch: topology.epoch,
        nodes: nodes.map(|n| control::Node { name: n.name, tag: n.tag, address: n.address }).collect(),
    }
}

/// Reads ProtoJSON of a message of the contract; unknown fields are an error.
///
/// # Errors
/// What is wrong with the text.
pub fn from_json<M: Message + Default>(full_name: &str, json: serde_json::Value) -> Result<M, String> {
    let pool = DescriptorPool::decode(identity::DESCRIPTOR_SET).map_err(|e| e.to_string())?;
    let descriptor = pool.get_message_by_name(full_name).ok_or("no such message in the contract")?;
    let message = DynamicMessage::deserialize(descriptor, json).map_err(|e| e.to_string())?;
    message.transcode_to().map_err(|e| e.to_string())
}
