//! Bytes of a batch to operations. Nothing is copied: an operation holds ranges of the batch.
//!
//! What breaks the wire format ends the stream, and nothing of the batch is done. What is wrong with one
//! operation is that operation's result.

use super::wire::{Field, Malformed, Reader, zigzag};
use super::{MAX_BATCH_BYTES, MAX_OPERATIONS};
use crate::convert::{Wanted, not_implemented};
use crate::once;
use bimetal_contract::Error;
use bimetal_engine as engine;
use bytes::Bytes;
use std::ops::Range;

type Span = Range<u32>;

/// What an operation does; the discriminants are the field numbers in `Operation`, less one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Kind {
    #[default]
    Get,
    Put,
    Delete,
    Touch,
    Increment,
    Throttle,
}

/// One operation, as ranges of its batch.
#[derive(Debug, Clone, Default)]
pub(super) struct Operation {
    pub(super) kind: Kind,
    pub(super) timeout_ms: u32,
    namespace: Span,
    key: Span,
    value: Span,
    content_type: Span,
    pub(super) wanted: Wanted,
    pub(super) ttl: engine::Ttl,
    pub(super) precondition: engine::Precondition,
    pub(super) return_former: bool,
    pub(super) renew_ttl: bool,
    pub(super) delta: i64,
    pub(super) initial: i64,
    pub(super) id: Option<[u8; 16]>,
    /// Why it is not done, if that is known from its bytes alone.
    pub(super) refused: Option<Error>,
}

/// A batch and its operations.
#[derive(Debug, Default)]
pub(super) struct Batch {
    bytes: Bytes,
    pub(super) operations: Vec<Operation>,
    pub(super) seen_version: u64,
    traceparent: Span,
}

impl Batch {
    /// Takes the place of the former batch; the list of operations is used again.
    pub(super) fn parse(&mut self, bytes: Bytes) -> Result<(), Error> {
        self.operations.clear();
        (self.seen_version, self.traceparent) = (0, 0..0);
        self.bytes = bytes;
        if self.bytes.len() > MAX_BATCH_BYTES {
            let size = self.bytes.len();
            return Err(Error::invalid(
                "operations",
                format!("a batch has at most {MAX_BATCH_BYTES} bytes, this one has {size}"),
            ));
        }
        self.fields().map_err(|malformed| match malformed {
            Malformed(TOO_MANY) => Error::invalid("operations", TOO_MANY),
            Malformed(why) => Error::invalid("operations", format!("the batch is no PipelineRequest: {why}")),
        })
    }

    fn fields(&mut self) -> Result<(), Malformed> {
        let mut reader = Reader::new(&self.bytes, 0..self.bytes.len() as u32);
        while let Some(field) = reader.next()? {
            match field {
                (1, Field::Bytes(range)) => {
                    if self.operations.len() == MAX_OPERATIONS {
                        return Err(Malformed(TOO_MANY));
                    }
                    self.operations.push(operation(&self.bytes, range)?);
                }
                (2, Field::Varint(version)) => self.seen_version = version,
                (3, Field::Bytes(range)) => self.traceparent = range,
                _ => {}
            }
        }
        Ok(())
    }

    pub(super) fn traceparent(&self) -> &str {
        std::str::from_utf8(self.slice(&self.traceparent)).unwrap_or_default()
    }

    fn slice(&self, span: &Span) -> &[u8] {
        &self.bytes[span.start as usize..span.end as usize]
    }

    pub(super) fn namespace(&self, op: &Operation) -> Result<&str, Error> {
        std::str::from_utf8(self.slice(&op.namespace))
            .map_err(|_| Error::invalid("namespace", "it is not UTF-8"))
    }

    pub(super) fn content_type(&self, op: &Operation) -> Result<&str, Error> {
        std::str::from_utf8(self.slice(&op.content_type))
            .map_err(|_| Error::invalid("content_type", "it is not UTF-8"))
    }

    pub(super) fn key(&self, op: &Operation) -> &[u8] {
        self.slice(&op.key)
    }

    pub(super) fn value(&self, op: &Operation) -> &[u8] {
        self.slice(&op.value)
    }

    /// Lets go of the bytes.
    pub(super) fn clear(&mut self) {
        self.bytes = Bytes::new();
        self.operations.clear();
        self.traceparent = 0..0;
    }
}

const TOO_MANY: &str = "a batch has at most 1000 operations";

fn operation(buffer: &[u8], range: Span) -> Result<Operation, Malformed> {
    let mut op = Operation::default();
    let mut kinds = 0;
    let mut reader = Reader::new(buffer, range);
    while let Some(field) = reader.next()? {
        match field {
            (number @ 1..=6, Field::Bytes(range)) => {
                // A oneof: the last one counts.
                let timeout_ms = op.timeout_ms;
                op = Operation { timeout_ms, ..Operation::default() };
                kinds += 1;
                op.kind = KINDS[number as usize - 1];
                request(buffer, range, &mut op)?;
            }
            (15, Field::Varint(ms)) => op.timeout_ms = u32::try_from(ms).unwrap_or(u32::MAX),
            _ => {}
        }
    }
    if kinds == 0 {
        op.refuse(Error::invalid(
            "operation",
            "an operation is one of get, put, delete, touch, increment, throttle",
        ));
    }
    Ok(op)
}

const KINDS: [Kind; 6] = [Kind::Get, Kind::Put, Kind::Delete, Kind::Touch, Kind::Increment, Kind::Throttle];

impl Operation {
    /// The first reason counts.
    fn refuse(&mut self, error: Error) {
        self.refused.get_or_insert(error);
    }
}

fn request(buffer: &[u8], range: Span, op: &mut Operation) -> Result<(), Malformed> {
    use Kind::{Delete, Get, Increment, Put, Throttle, Touch};
    if op.kind == Throttle {
        op.refuse(not_implemented("Throttle"));
        return Ok(());
    }
    let mut reader = Reader::new(buffer, range);
    while let Some((number, field)) = reader.next()? {
        match (op.kind, number, field) {
            (_, 1, Field::Bytes(range)) => op.namespace = range,
            (_, 2, Field::Bytes(range)) => op.key = range,

            (Get, 3, Field::Varint(v)) => op.wanted.omit_value = v != 0,
            (Get, 4, Field::Varint(v)) => op.wanted.known_version = Some(v),
            (Get, 5, Field::Varint(v)) => op.wanted.max_value_bytes = Some(v),
            (Get, 6, Field::Varint(v)) if v != 0 => op.refuse(not_implemented("stale answer")),
            (Get, 7, Field::Varint(v)) if v != 0 => op.refuse(not_implemented("lease")),

            (Put, 3, Field::Bytes(range)) => op.value = range,
            (Put, 4, Field::Bytes(range)) => op.content_type = range,
            (Put, 5, Field::Bytes(range))
            | (Touch, 3, Field::Bytes(range))
            | (Increment, 5, Field::Bytes(range)) => match ttl(buffer, range)? {
                Ok(ttl) => op.ttl = ttl,
                Err(error) => op.refuse(error),
            },
            (Put, 6, Field::Bytes(range)) | (Delete, 3, Field::Bytes(range)) => {
                match precondition(buffer, range)? {
                    Ok(precondition) => op.precondition = precondition,
                    Err(error) => op.refuse(error),
                }
            }
            (Put, 7, Field::Bytes(_)) => op.refuse(not_implemented("lease")),
            (Put, 8, Field::Bytes(range))
            | (Delete | Touch, 4, Field::Bytes(range))
            | (Increment, 7, Field::Bytes(range)) => {
                match once::id(&buffer[range.start as usize..range.end as usize]) {
                    Ok(id) => op.id = Some(id),
                    Err(error) => op.refuse(error),
                }
            }
            (Put, 9, Field::Varint(v)) => op.return_former = v != 0,

            (Increment, 3, Field::Varint(v)) => op.delta = zigzag(v),
            (Increment, 4, Field::Varint(v)) => op.initial = zigzag(v),
            (Increment, 6, Field::Varint(v)) => op.renew_ttl = v != 0,
            _ => {}
        }
    }
    Ok(())
}

fn ttl(buffer: &[u8], range: Span) -> Result<Result<engine::Ttl, Error>, Malformed> {
    let mut found = Err(Error::invalid("ttl", "exactly one of relative, keep and never"));
    let mut reader = Reader::new(buffer, range);
    while let Some(field) = reader.next()? {
        match field {
            (1, Field::Bytes(range)) => {
                let (mut seconds, mut nanos) = (0, 0);
                let mut duration = Reader::new(buffer, range);
                while let Some(field) = duration.next()? {
                    match field {
                        (1, Field::Varint(v)) => seconds = v as i64,
                        (2, Field::Varint(v)) => nanos = v as i32,
                        _ => {}
                    }
                }
                found = engine::Ttl::relative(seconds, nanos).map_err(|e| crate::convert::error(&e));
            }
            (2, Field::Bytes(_)) => found = Ok(engine::Ttl::Keep),
            (3, Field::Bytes(_)) => found = Ok(engine::Ttl::Never),
            _ => {}
        }
    }
    Ok(found)
}

fn precondition(buffer: &[u8], range: Span) -> Result<Result<engine::Precondition, Error>, Malformed> {
    let mut found = Err(Error::invalid("precondition", "exactly one of absent, present and versions"));
    let mut reader = Reader::new(buffer, range);
    while let Some(field) = reader.next()? {
        match field {
            (1, Field::Bytes(_)) => found = Ok(engine::Precondition::Absent),
            (2, Field::Bytes(_)) => found = Ok(engine::Precondition::Present),
            (3, Field::Bytes(range)) => found = Ok(engine::Precondition::Versions(versions(buffer, range)?)),
            _ => {}
        }
    }
    Ok(found)
}

/// Packed or not; no more than the engine needs to refuse too many.
fn versions(buffer: &[u8], range: Span) -> Result<Vec<u64>, Malformed> {
    let mut all = vec![];
    let mut push = |version| {
        if all.len() <= engine::MAX_PRECONDITION_VERSIONS {
            all.push(version);
        }
    };
    let mut reader = Reader::new(buffer, range);
    while let Some(field) = reader.next()? {
        match field {
            (1, Field::Varint(version)) => push(version),
            (1, Field::Bytes(range)) => {
                let mut packed = Reader::new(buffer, range);
                while let Some(version) = packed.next_varint()? {
                    push(version);
                }
            }
            _ => {}
        }
    }
    Ok(all)
}
