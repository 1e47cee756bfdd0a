//! Results to bytes: `PipelineResponse.results`, one after the other. Sizes are known before anything is written,
//! so nothing is moved afterwards.

use super::parse::Kind;
use super::wire::{block_len, number_len, put_block, put_number};
use crate::convert::Wanted;
use bimetal_contract::cache::{self, operation_result};
use bimetal_contract::{Error, cache::ValueOmission};
use bimetal_engine::{Deleted, EntryView, Incremented, SharedValue, Touched};
use bytes::BufMut;
use prost::Message;

/// Longer results are written only where the message has room for them.
const LARGE: usize = 64 << 10;
/// Field of `PipelineResponse`.
const RESULTS: u8 = 1;
/// Field of `OperationResult`.
const GET: u8 = 1;
const PUT: u8 = 2;
/// Fields of `GetResponse`.
const ENTRY: u8 = 1;
const MISS: u8 = 2;
/// Field of `PutResponse`.
const FORMER: u8 = 3;
/// Fields of `Entry`.
const VALUE: u8 = 5;

/// A result whose value is too large to be copied under the lock, or for what is left of the message: its bytes up
/// to the value, and the value.
pub(super) struct Large {
    head: Vec<u8>,
    /// None: it is all in the head.
    value: Option<SharedValue>,
}

impl Large {
    pub(super) fn len(&self) -> usize {
        self.head.len() + self.value.as_ref().map_or(0, |value| value.as_ref().len())
    }

    pub(super) fn write(&self, out: &mut impl BufMut) {
        out.put_slice(&self.head);
        if let Some(value) = &self.value {
            out.put_slice(value.as_ref());
        }
    }
}

/// What an entry's message holds in front of its value. The value is its last field, because an omission stands
/// only where there is none.
struct EntryHead<'a> {
    version: u64,
    size: u64,
    content_type: &'a [u8],
    remaining_ms: Option<u64>,
    omission: ValueOmission,
}

impl<'a> EntryHead<'a> {
    fn of(view: &EntryView<'a>, wanted: &Wanted) -> Self {
        let size = view.value().len();
        Self {
            version: view.version(),
            size: size as u64,
            content_type: view.content_type().as_bytes(),
            remaining_ms: view.remaining_ms(),
            omission: wanted.omission(view.version(), size),
        }
    }

    fn value_len(&self) -> usize {
        if self.omission == ValueOmission::Unspecified { self.size as usize } else { 0 }
    }

    /// Bytes of the whole entry.
    fn len(&self) -> usize {
        let optional = |length: usize| if length == 0 { 0 } else { block_len(length) };
        number_len(self.version)
            + number_len(self.size)
            + optional(self.content_type.len())
            + self.remaining_ms.map_or(0, |ms| block_len(duration_len(ms)))
            + optional(self.value_len())
            + number_len(self.omission as u64)
    }

    /// Everything but the value's bytes.
    fn write(&self, out: &mut impl BufMut) {
        put_number(out, 1, self.version);
        put_number(out, 2, self.size);
        if !self.content_type.is_empty() {
            put_block(out, 3, self.content_type.len());
            out.put_slice(self.content_type);
        }
        if let Some(ms) = self.remaining_ms {
            put_block(out, 4, duration_len(ms));
            put_duration(out, ms);
        }
        if self.value_len() > 0 {
            put_block(out, VALUE, self.value_len());
        }
        put_number(out, 6, self.omission as u64);
    }
}

fn duration_len(ms: u64) -> usize {
    number_len(ms / 1_000) + number_len(ms % 1_000 * 1_000_000)
}

fn put_duration(out: &mut impl BufMut, ms: u64) {
    put_number(out, 1, ms / 1_000);
    put_number(out, 2, ms % 1_000 * 1_000_000);
}

/// The keys and lengths around something of `length` bytes that lies in `fields`, outermost first.
fn put_nested(out: &mut impl BufMut, fields: &[u8], length: usize) {
    let Some((outer, inner)) = fields.split_first() else { return };
    let inside = inner.iter().fold(length, |length, _| block_len(length));
    put_block(out, *outer, inside);
    put_nested(out, inner, length);
}

/// Writes a hit, or gives it back to be written after the lock is gone.
pub(super) fn hit(out: &mut impl BufMut, view: &EntryView<'_>, wanted: &Wanted) -> Result<usize, Large> {
    let entry = EntryHead::of(view, wanted);
    let length = entry.len();
    let fields = [RESULTS, GET, ENTRY];
    if entry.value_len() > 0
        && let Some(value) = view.share()
    {
        let mut head = Vec::with_capacity(256);
        put_nested(&mut head, &fields, length);
        entry.write(&mut head);
        return Err(Large { head, value: Some(value) });
    }
    put_nested(out, &fields, length);
    entry.write(out);
    if entry.value_len() > 0 {
        out.put_slice(view.value());
    }
    Ok(fields.iter().fold(length, |length, _| block_len(length)))
}

/// Writes a miss.
pub(super) fn miss(out: &mut impl BufMut) -> usize {
    put_nested(out, &[RESULTS, GET, MISS], 0);
    6
}

/// Writes what Put did; with a large former entry it is given back.
pub(super) fn put(
    out: &mut impl BufMut,
    version: u64,
    created: bool,
    former: Option<&EntryView<'_>>,
) -> Result<usize, Large> {
    let former = former.map(|view| (view, EntryHead::of(view, &Wanted::default())));
    let length = number_len(version)
        + number_len(u64::from(created))
        + former.as_ref().map_or(0, |(_, entry)| block_len(entry.len()));
    let fields = [RESULTS, PUT];
    let total = fields.iter().fold(length, |length, _| block_len(length));
    let head = |out: &mut dyn BufMut| {
        let mut out = out;
        put_nested(&mut out, &fields, length);
        put_number(&mut out, 1, version);
        put_number(&mut out, 2, u64::from(created));
        if let Some((_, entry)) = &former {
            put_block(&mut out, FORMER, entry.len());
            entry.write(&mut out);
        }
    };
    if let Some((view, entry)) = &former
        && entry.value_len() > 0
    {
        if let Some(value) = view.share() {
            let mut bytes = Vec::with_capacity(256);
            head(&mut bytes);
            return Err(Large { head: bytes, value: Some(value) });
        }
        head(out);
        out.put_slice(view.value());
    } else {
        head(out);
    }
    Ok(total)
}

/// Writes any other result by the generated code.
fn message(out: &mut impl BufMut, result: operation_result::Result) -> usize {
    let result = cache::OperationResult { result: Some(result) };
    let length = result.encoded_len();
    put_block(out, RESULTS, length);
    // It has room for as much as it is given.
    let _ = result.encode(out);
    block_len(length)
}

pub(super) fn deleted(out: &mut impl BufMut, done: Deleted) -> usize {
    let response = cache::DeleteResponse { version: done.version, existed: done.existed };
    message(out, operation_result::Result::Delete(response))
}

pub(super) fn touched(out: &mut impl BufMut, done: Touched) -> usize {
    let response = cache::TouchResponse {
        version: done.version,
        expiry_version: done.expiry_version,
        remaining_ttl: done.remaining_ms.map(crate::convert::duration),
    };
    message(out, operation_result::Result::Touch(response))
}

pub(super) fn incremented(out: &mut impl BufMut, done: Incremented) -> usize {
    let response = cache::IncrementResponse {
        value: done.value,
        version: done.version,
        created: done.created,
        remaining_ttl: done.remaining_ms.map(crate::convert::duration),
    };
    message(out, operation_result::Result::Increment(response))
}

/// Writes a result that was stored as it travels; a large one is given back.
pub(super) fn stored(out: &mut impl BufMut, result: &[u8]) -> Result<usize, Large> {
    if result.len() >= LARGE {
        return Err(Large { head: result.to_vec(), value: None });
    }
    out.put_slice(result);
    Ok(result.len())
}

pub(super) fn error(out: &mut impl BufMut, error: Error) -> usize {
    message(out, operation_result::Result::Error(error.into_detail()))
}

/// The number by which an operation is counted.
pub(super) fn metric(kind: Kind) -> usize {
    kind as usize
}
