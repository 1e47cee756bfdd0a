//! Records to bytes and back. All numbers are little-endian; `docs/snapshot-format.md` has the layout.

use super::import::Corrupt;
use crate::history::{EventKind, KINDS, Record as Event};
use crate::limits::{MAX_CONTENT_TYPE_BYTES, MAX_KEY_BYTES, MAX_NAMESPACE_BYTES, MAX_VALUE_BYTES};
use crate::namespace::NamespaceRecord;
use crate::results::OperationId;

/// Raised with every change of the layout that an older reader would misread.
pub const FORMAT: u16 = 1;
/// Longest block, unless it holds one entry.
pub const MAX_BLOCK_BYTES: usize = 1 << 20;

/// What is told with each block.
#[must_use]
pub fn checksum(block: &[u8]) -> u64 {
    xxhash_rust::xxh64::xxh64(block, 0)
}

const MAGIC: [u8; 4] = *b"BMTL";

const HEADER: u8 = 1;
const NAMESPACE: u8 = 2;
const SHARD: u8 = 3;
const ENTRY: u8 = 4;
const EVENTS: u8 = 5;
const RESULT: u8 = 6;
/// Longest stored result: one former entry, and what is around it.
const MAX_RESULT_BYTES: usize = MAX_VALUE_BYTES + (1 << 10);

/// What stands first in the first block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) shards: u16,
    pub(crate) hash_seed: u64,
    pub(crate) incarnation: u64,
    /// The writer's clocks as of this record; all expiries are of its monotonic one.
    pub(crate) mono_ms: u64,
    pub(crate) wall_ms: u64,
    pub(crate) node: String,
}

/// An entry as it travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EntryRecord<'a> {
    pub(crate) namespace: u16,
    pub(crate) version: u64,
    pub(crate) expires_at: u64,
    pub(crate) expiry_version: u64,
    pub(crate) key: &'a [u8],
    pub(crate) content_type: &'a [u8],
    pub(crate) value: &'a [u8],
}

/// A stored result of an operation.
pub(crate) struct ResultRecord<'a> {
    pub(crate) namespace: u16,
    pub(crate) operation: OperationId,
    pub(crate) expires_at: u64,
    pub(crate) key: &'a [u8],
    pub(crate) result: &'a [u8],
}

/// One record.
pub(crate) enum Record<'a> {
    Header(Header),
    Namespace {
        index: u16,
        record: NamespaceRecord,
    },
    /// What was sent of this shard is void; its history continues at this sequence.
    Shard {
        shard: u16,
        sequence: u64,
    },
    Entry(EntryRecord<'a>),
    /// Events of one shard from this sequence on.
    Events {
        shard: u16,
        sequence: u64,
        events: Vec<Event<'a>>,
    },
    Result(ResultRecord<'a>),
}

pub(crate) fn put_header(out: &mut Vec<u8>, header: &Header) {
    out.push(HEADER);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&FORMAT.to_le_bytes());
    out.extend_from_slice(&header.shards.to_le_bytes());
    for number in [header.hash_seed, header.incarnation, header.mono_ms, header.wall_ms] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    out.push(header.node.len() as u8);
    out.extend_from_slice(header.node.as_bytes());
}

pub(crate) fn put_namespace(out: &mut Vec<u8>, index: u16, record: &NamespaceRecord) {
    let fields = optional(record);
    let present = fields.iter().enumerate().fold(0, |bits, (i, field)| bits | u8::from(field.is_some()) << i);
    out.push(NAMESPACE);
    out.extend_from_slice(&index.to_le_bytes());
    out.push(u8::from(record.deleted));
    out.extend_from_slice(&record.revision.to_le_bytes());
    out.push(present);
    for field in fields.into_iter().flatten() {
        out.extend_from_slice(&field.to_le_bytes());
    }
    out.push(record.name.len() as u8);
    out.extend_from_slice(record.name.as_bytes());
}

fn optional(record: &NamespaceRecord) -> [Option<u64>; 5] {
    [
        record.quota_bytes,
        record.default_ttl_ms,
        record.max_ttl_ms,
        record.max_value_bytes,
        record.stale_window_ms,
    ]
}

pub(crate) fn put_shard(out: &mut Vec<u8>, shard: u16, sequence: u64) {
    out.push(SHARD);
    out.extend_from_slice(&shard.to_le_bytes());
    out.extend_from_slice(&sequence.to_le_bytes());
}

/// Bytes of an entry's record.
pub(crate) fn entry_len(key: usize, content_type: usize, value: usize) -> usize {
    1 + 2 + 3 * 8 + 2 + 1 + 4 + key + content_type + value
}

pub(crate) fn put_entry(out: &mut Vec<u8>, entry: &EntryRecord<'_>) {
    put_entry_head(out, entry, entry.value.len());
    out.extend_from_slice(entry.value);
}

/// Everything but the value's bytes.
pub(crate) fn put_entry_head(out: &mut Vec<u8>, entry: &EntryRecord<'_>, value_len: usize) {
    out.push(ENTRY);
    out.extend_from_slice(&entry.namespace.to_le_bytes());
    for number in [entry.version, entry.expires_at, entry.expiry_version] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    out.extend_from_slice(&(entry.key.len() as u16).to_le_bytes());
    out.push(entry.content_type.len() as u8);
    out.extend_from_slice(&(value_len as u32).to_le_bytes());
    out.extend_from_slice(entry.key);
    out.extend_from_slice(entry.content_type);
}

/// `events` are `count` events as [`put_event`] writes them.
pub(crate) fn put_events(out: &mut Vec<u8>, shard: u16, sequence: u64, count: u32, events: &[u8]) {
    out.push(EVENTS);
    out.extend_from_slice(&shard.to_le_bytes());
    out.extend_from_slice(&sequence.to_le_bytes());
    out.extend_from_slice(&count.to_le_bytes());
    out.extend_from_slice(events);
}

pub(crate) fn put_event(out: &mut Vec<u8>, event: &Event<'_>) {
    out.push(event.kind as u8);
    out.extend_from_slice(&event.namespace.to_le_bytes());
    for number in [event.version, event.expiry_version, event.expires_at] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    out.extend_from_slice(&(event.key.len() as u16).to_le_bytes());
    out.extend_from_slice(event.key);
}

/// Bytes of a result's record.
pub(crate) fn result_len(key: usize, result: usize) -> usize {
    1 + 2 + 16 + 2 * 8 + 2 + 4 + key + result
}

pub(crate) fn put_result(out: &mut Vec<u8>, record: &ResultRecord<'_>) {
    out.push(RESULT);
    out.extend_from_slice(&record.namespace.to_le_bytes());
    out.extend_from_slice(&record.operation.id);
    for number in [record.operation.fingerprint, record.expires_at] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    out.extend_from_slice(&(record.key.len() as u16).to_le_bytes());
    out.extend_from_slice(&(record.result.len() as u32).to_le_bytes());
    out.extend_from_slice(record.key);
    out.extend_from_slice(record.result);
}

/// Reads the records of one block.
pub(crate) struct Reader<'a> {
    left: &'a [u8],
}

type Read<T> = Result<T, Corrupt>;

impl<'a> Reader<'a> {
    pub(crate) fn new(block: &'a [u8]) -> Self {
        Self { left: block }
    }

    fn take(&mut self, length: usize) -> Read<&'a [u8]> {
        let (taken, left) = self.left.split_at_checked(length).ok_or(Corrupt("a record is cut off"))?;
        self.left = left;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn u8(&mut self) -> Read<u8> {
        Ok(self.array::<1>()?[0])
    }

    fn u16(&mut self) -> Read<u16> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    fn u32(&mut self) -> Read<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Read<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn name(&mut self) -> Read<String> {
        let length = usize::from(self.u8()?);
        if length > MAX_NAMESPACE_BYTES {
            return Err(Corrupt("a name is too long"));
        }
        let name = std::str::from_utf8(self.take(length)?).map_err(|_| Corrupt("a name is not UTF-8"))?;
        Ok(name.to_owned())
    }

    /// None at the end of the block.
    pub(crate) fn next(&mut self) -> Read<Option<Record<'a>>> {
        if self.left.is_empty() {
            return Ok(None);
        }
        Ok(Some(match self.u8()? {
            HEADER => Record::Header(self.header()?),
            NAMESPACE => self.namespace()?,
            SHARD => Record::Shard { shard: self.u16()?, sequence: self.u64()? },
            ENTRY => Record::Entry(self.entry()?),
            EVENTS => self.events()?,
            RESULT => Record::Result(self.result()?),
            _ => return Err(Corrupt("a record of a kind that this format has not")),
        }))
    }

    fn header(&mut self) -> Read<Header> {
        if self.array()? != MAGIC {
            return Err(Corrupt("it does not begin as state of a node"));
        }
        if self.u16()? != FORMAT {
            return Err(Corrupt("it is of another format version than this build reads"));
        }
        let shards = self.u16()?;
        if !shards.is_power_of_two() || shards > 1_024 {
            return Err(Corrupt("the number of shards is no power of two up to 1024"));
        }
        Ok(Header {
            shards,
            hash_seed: self.u64()?,
            incarnation: self.u64()?,
            mono_ms: self.u64()?,
            wall_ms: self.u64()?,
            node: self.name()?,
        })
    }

    fn namespace(&mut self) -> Read<Record<'a>> {
        let index = self.u16()?;
        let deleted = self.u8()? != 0;
        let revision = self.u64()?;
        let present = self.u8()?;
        let mut fields = [None; 5];
        for (i, field) in fields.iter_mut().enumerate() {
            if present >> i & 1 == 1 {
                *field = Some(self.u64()?);
            }
        }
        let [quota_bytes, default_ttl_ms, max_ttl_ms, max_value_bytes, stale_window_ms] = fields;
        let record = NamespaceRecord {
            name: self.name()?,
            revision,
            deleted,
            quota_bytes,
            default_ttl_ms,
            max_ttl_ms,
            max_value_bytes,
            stale_window_ms,
        };
        Ok(Record::Namespace { index, record })
    }

    fn entry(&mut self) -> Read<EntryRecord<'a>> {
        let namespace = self.u16()?;
        let (version, expires_at, expiry_version) = (self.u64()?, self.u64()?, self.u64()?);
        let (key, content_type) = (usize::from(self.u16()?), usize::from(self.u8()?));
        let value = self.u32()? as usize;
        if !(1..=MAX_KEY_BYTES).contains(&key)
            || content_type > MAX_CONTENT_TYPE_BYTES
            || value > MAX_VALUE_BYTES
        {
            return Err(Corrupt("an entry is larger than an entry can be"));
        }
        if version == 0 {
            return Err(Corrupt("an entry has no version"));
        }
        let entry = EntryRecord {
            namespace,
            version,
            expires_at,
            expiry_version,
            key: self.take(key)?,
            content_type: self.take(content_type)?,
            value: self.take(value)?,
        };
        if !entry.content_type.is_ascii() {
            return Err(Corrupt("a content type is not ASCII"));
        }
        Ok(entry)
    }

    fn result(&mut self) -> Read<ResultRecord<'a>> {
        let namespace = self.u16()?;
        let operation = OperationId { id: self.array()?, fingerprint: self.u64()? };
        let expires_at = self.u64()?;
        let (key, result) = (usize::from(self.u16()?), self.u32()? as usize);
        if !(1..=MAX_KEY_BYTES).contains(&key) || result > MAX_RESULT_BYTES {
            return Err(Corrupt("a stored result is larger than one can be"));
        }
        Ok(ResultRecord {
            namespace,
            operation,
            expires_at,
            key: self.take(key)?,
            result: self.take(result)?,
        })
    }

    fn events(&mut self) -> Read<Record<'a>> {
        let (shard, sequence, count) = (self.u16()?, self.u64()?, self.u32()?);
        let mut events = vec![];
        for _ in 0..count {
            let kind = *KINDS.get(usize::from(self.u8()?)).ok_or(Corrupt("an event of no kind"))?;
            let namespace = self.u16()?;
            let (version, expiry_version, expires_at) = (self.u64()?, self.u64()?, self.u64()?);
            let length = usize::from(self.u16()?);
            if length > MAX_KEY_BYTES || (length == 0) != (kind == EventKind::Flushed) {
                return Err(Corrupt("an event's key has no key's length"));
            }
            let key = self.take(length)?;
            events.push(Event { kind, namespace, key, version, expiry_version, expires_at });
        }
        Ok(Record::Events { shard, sequence, events })
    }
}
