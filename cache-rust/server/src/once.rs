//! Operations with an id (CacheService: operation_id): the first one is executed and its result stored, a repeat gets
//! the same result. What is stored is the result as it travels: a `PipelineResponse` of one result.

use crate::convert;
use crate::node::Node;
use bimetal_contract::Error;
use bimetal_contract::cache::operation_result::Result as Done;
use bimetal_contract::cache::{OperationResult, PipelineResponse};
use bimetal_contract::errors::ErrorReason;
use bimetal_engine::{Answer, Now, OnceError, OperationId, Precondition, Ttl, checksum};
use prost::Message;
use std::sync::Arc;

/// What a request says beside namespace, key and id: what makes two requests equal.
#[derive(Debug, Clone, Default)]
pub struct Request<'a> {
    /// The number of its field in `Operation`.
    pub kind: u8,
    /// Of Put.
    pub value: &'a [u8],
    /// Of Put.
    pub content_type: &'a str,
    /// Of all but Delete.
    pub ttl: Ttl,
    /// Of Put and Delete.
    pub precondition: Option<&'a Precondition>,
    /// return_former of Put, renew_ttl of Increment.
    pub flag: bool,
    /// Of Increment.
    pub delta: i64,
    /// Of Increment.
    pub initial: i64,
}

impl Request<'_> {
    /// XXH64 of the fields, each with its length.
    fn fingerprint(&self) -> u64 {
        let mut bytes = vec![self.kind, u8::from(self.flag)];
        let mut words =
            vec![self.delta as u64, self.initial as u64, checksum(self.value), self.value.len() as u64];
        match self.ttl {
            Ttl::Default => words.push(0),
            Ttl::Keep => words.push(1),
            Ttl::Never => words.push(2),
            Ttl::Millis(ms) => words.extend([3, ms]),
        }
        match self.precondition {
            None | Some(Precondition::None) => words.push(0),
            Some(Precondition::Absent) => words.push(1),
            Some(Precondition::Present) => words.push(2),
            Some(Precondition::Versions(versions)) => {
                words.extend([3, versions.len() as u64]);
                words.extend(versions);
            }
        }
        bytes.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        bytes.extend_from_slice(self.content_type.as_bytes());
        checksum(&bytes)
    }
}

/// The id of a request.
///
/// # Errors
/// INVALID_ARGUMENT when it has not 16 bytes.
pub fn id(bytes: &[u8]) -> Result<[u8; 16], Error> {
    bytes.try_into().map_err(|_| {
        Error::invalid("operation_id", format!("an id has 16 bytes, this one has {}", bytes.len()))
    })
}

/// Whether a refusal is the request's own fault and would be one again: it is stored as a result is.
#[must_use]
pub fn is_stored(error: &Error) -> bool {
    use ErrorReason::{IntegerOverflow, KeyNotFound, NotAnInteger, PreconditionFailed, ValueTooLarge};
    matches!(
        error.reason(),
        PreconditionFailed | NotAnInteger | IntegerOverflow | KeyNotFound | ValueTooLarge
    )
}

/// Executes an operation once; `run` gives the bytes to be stored.
///
/// # Errors
/// As the contract says; nothing was done or stored.
pub fn execute(
    node: &Node,
    (namespace, key): (&str, &[u8]),
    id: [u8; 16],
    request: &Request<'_>,
    now: Now,
    run: impl FnOnce() -> Result<Vec<u8>, Error>,
) -> Result<Arc<[u8]>, Error> {
    let operation = OperationId { id, fingerprint: request.fingerprint() };
    match node.engine.once(namespace, key, operation, now, run) {
        Ok(Answer::First(bytes)) => Ok(bytes),
        Ok(Answer::Repeated(bytes)) => {
            node.metrics.repeats.inc();
            Ok(bytes)
        }
        Err(OnceError::Refused(error)) => Err(convert::error(&error)),
        Err(OnceError::Failed(error)) => Err(error),
    }
}

/// A response as a result of a batch, and back.
pub type AsResult<R> = (fn(R) -> Done, fn(Done) -> Option<R>);

/// A unary operation, with or without an id.
///
/// # Errors
/// The operation's own, or as [`execute`].
pub fn unary<R>(
    node: &Node,
    at: (&str, &[u8]),
    operation_id: Option<&[u8]>,
    request: &Request<'_>,
    run: impl FnOnce(Now) -> Result<R, Error>,
    (wrap, unwrap): AsResult<R>,
) -> Result<R, Error> {
    let now = node.now();
    let Some(bytes) = operation_id else { return run(now) };
    let stored = execute(node, at, id(bytes)?, request, now, || {
        let done = match run(now) {
            Ok(response) => wrap(response),
            Err(error) if is_stored(&error) => Done::Error(error.into_detail()),
            Err(error) => return Err(error),
        };
        let results = vec![OperationResult { result: Some(done) }];
        Ok(PipelineResponse { results }.encode_to_vec())
    })?;
    let result =
        PipelineResponse::decode(&*stored).ok().and_then(|mut response| response.results.pop()?.result);
    match result {
        Some(Done::Error(detail)) => Err(Error::from_detail(detail)),
        other => other
            .and_then(unwrap)
            .ok_or_else(|| Error::new(ErrorReason::Internal, "a stored result cannot be read")),
    }
}
