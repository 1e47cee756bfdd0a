//! One entry is one allocation: a thin header, then key, content type and value.
//!
//! ```text
//!  0  version u64        8  value_len u32     12  namespace u16    14  key_len u16
//! 16  content_type_len u8   17  flags u8      18  data, when no optional part is there
//! 24  [EXPIRY: expires_at u64, expiry_version u64]
//!     [SHARED: reference count u32, padded to 8]
//!     key · content type · value
//! ```
//!
//! Most entries need neither optional part, so they pay 18 bytes. Values of [`SHARE_FROM`] bytes and
//! more carry a reference count, so that they can be copied out after the shard's lock is released.
//!
//! All `unsafe` of the engine is in this file, but for the one call in `allocator.rs`.
#![allow(unsafe_code)]

use crate::memory::allocation_bytes;
use crate::time::NEVER;
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering, fence};

/// Values from this size on can outlive the lock. Copying less takes a few microseconds.
pub(crate) const SHARE_FROM: usize = 64 << 10;

const ALIGN: usize = 8;
const PLAIN_DATA: usize = 18;
const OPTIONAL: usize = 24;
const EXPIRY_BYTES: usize = 16;
const SHARED_BYTES: usize = 8;

const HAS_EXPIRY: u8 = 1;
const SHARED: u8 = 2;
/// The eviction policy's three bits: queue and frequency.
const MARK_SHIFT: u8 = 2;
const MARK_MASK: u8 = 0b111 << MARK_SHIFT;

#[repr(C)]
struct Header {
    version: u64,
    value_len: u32,
    namespace: u16,
    key_len: u16,
    content_type_len: u8,
    flags: u8,
}

#[repr(C)]
struct Expiry {
    expires_at: u64,
    expiry_version: u64,
}

/// What a new entry is made of.
pub(crate) struct Parts<'a> {
    pub(crate) namespace: u16,
    pub(crate) key: &'a [u8],
    pub(crate) content_type: &'a [u8],
    pub(crate) value: &'a [u8],
    /// Room for an expiry, so that one can be set without a new allocation.
    pub(crate) may_expire: bool,
}

/// Owns one allocation.
pub(crate) struct Entry(NonNull<Header>);

// SAFETY: the allocation is owned by this value alone, or shared by reference count with
// `SharedValue`s, which only read the value's bytes; those are written once, before `new` returns.
unsafe impl Send for Entry {}
// SAFETY: `&Entry` gives only reads; every write needs `&mut Entry`.
unsafe impl Sync for Entry {}

impl Entry {
    /// Bytes asked of the allocator.
    fn size(flags: u8, key: usize, content_type: usize, value: usize) -> usize {
        Self::data_offset(flags) + key + content_type + value
    }

    fn data_offset(flags: u8) -> usize {
        if flags & (HAS_EXPIRY | SHARED) == 0 {
            return PLAIN_DATA;
        }
        Self::shared_offset(flags) + if flags & SHARED != 0 { SHARED_BYTES } else { 0 }
    }

    fn shared_offset(flags: u8) -> usize {
        OPTIONAL + if flags & HAS_EXPIRY != 0 { EXPIRY_BYTES } else { 0 }
    }

    fn flags_for(may_expire: bool, value: usize) -> u8 {
        // Large entries always have room for an expiry, so that a Touch never copies one under the lock.
        if value >= SHARE_FROM {
            SHARED | HAS_EXPIRY
        } else if may_expire {
            HAS_EXPIRY
        } else {
            0
        }
    }

    /// What an entry of these lengths takes of the limit, allocator rounding included.
    pub(crate) fn footprint_of(key: usize, content_type: usize, value: usize, may_expire: bool) -> usize {
        allocation_bytes(Self::size(Self::flags_for(may_expire, value), key, content_type, value))
    }

    /// Allocates and copies. The lengths have been checked against the limits of the contract.
    pub(crate) fn new(parts: &Parts<'_>) -> Self {
        let flags = Self::flags_for(parts.may_expire, parts.value.len());
        let lengths = (parts.key.len(), parts.content_type.len(), parts.value.len());
        let (Ok(key_len), Ok(content_type_len), Ok(value_len)) =
            (u16::try_from(lengths.0), u8::try_from(lengths.1), u32::try_from(lengths.2))
        else {
            unreachable!("lengths are checked before an entry is made: {lengths:?}")
        };
        let layout = Self::layout(flags, lengths.0, lengths.1, lengths.2);
        // SAFETY: the layout's size is at least PLAIN_DATA, so not zero.
        let raw = unsafe { alloc(layout) };
        let Some(pointer) = NonNull::new(raw.cast::<Header>()) else { handle_alloc_error(layout) };
        let header =
            Header { version: 0, value_len, namespace: parts.namespace, key_len, content_type_len, flags };
        // SAFETY: the allocation is aligned to 8 and at least as long as what is written: the header's
        // fields end at 18 (written one by one, because its padded size is 24), the optional parts lie
        // where `data_offset` leaves room for them, and the data behind has exactly the sum of lengths.
        unsafe {
            let p = pointer.as_ptr();
            (&raw mut (*p).version).write(header.version);
            (&raw mut (*p).value_len).write(header.value_len);
            (&raw mut (*p).namespace).write(header.namespace);
            (&raw mut (*p).key_len).write(header.key_len);
            (&raw mut (*p).content_type_len).write(header.content_type_len);
            (&raw mut (*p).flags).write(header.flags);
            if flags & HAS_EXPIRY != 0 {
                raw.add(OPTIONAL).cast::<Expiry>().write(Expiry { expires_at: NEVER, expiry_version: 0 });
            }
            if flags & SHARED != 0 {
                raw.add(Self::shared_offset(flags)).cast::<AtomicU32>().write(AtomicU32::new(1));
            }
            let mut to = raw.add(Self::data_offset(flags));
            for part in [parts.key, parts.content_type, parts.value] {
                to.copy_from_nonoverlapping(part.as_ptr(), part.len());
                to = to.add(part.len());
            }
        }
        Self(pointer)
    }

    fn layout(flags: u8, key: usize, content_type: usize, value: usize) -> Layout {
        match Layout::from_size_align(Self::size(flags, key, content_type, value), ALIGN) {
            Ok(layout) => layout,
            Err(_) => unreachable!("an entry is far smaller than isize::MAX"),
        }
    }

    fn own_layout(&self) -> Layout {
        Self::layout(self.flags(), self.key_len(), self.content_type_len(), self.value_len())
    }

    // Fields are read through raw pointers to the field alone: a `&Header` would claim the padding
    // behind byte 18, where data may lie and, in a short entry, the allocation may already have ended.

    pub(crate) fn version(&self) -> u64 {
        // SAFETY: written in `new`, lives as long as self.
        unsafe { (&raw const (*self.0.as_ptr()).version).read() }
    }

    pub(crate) fn set_version(&mut self, version: u64) {
        // SAFETY: as above; `&mut self` excludes every reader of the header.
        unsafe { (&raw mut (*self.0.as_ptr()).version).write(version) }
    }

    pub(crate) fn namespace(&self) -> u16 {
        // SAFETY: written in `new`.
        unsafe { (&raw const (*self.0.as_ptr()).namespace).read() }
    }

    fn key_len(&self) -> usize {
        // SAFETY: written in `new`.
        usize::from(unsafe { (&raw const (*self.0.as_ptr()).key_len).read() })
    }

    fn content_type_len(&self) -> usize {
        // SAFETY: written in `new`.
        usize::from(unsafe { (&raw const (*self.0.as_ptr()).content_type_len).read() })
    }

    pub(crate) fn value_len(&self) -> usize {
        // SAFETY: written in `new`.
        (unsafe { (&raw const (*self.0.as_ptr()).value_len).read() }) as usize
    }

    fn flags(&self) -> u8 {
        // SAFETY: written in `new`.
        unsafe { (&raw const (*self.0.as_ptr()).flags).read() }
    }

    /// The eviction policy's bits, 0 to 7.
    pub(crate) fn mark(&self) -> u8 {
        (self.flags() & MARK_MASK) >> MARK_SHIFT
    }

    pub(crate) fn set_mark(&mut self, mark: u8) {
        let flags = self.flags() & !MARK_MASK | (mark << MARK_SHIFT) & MARK_MASK;
        // SAFETY: the header was written in `new`; `&mut self` excludes every reader of it.
        unsafe { (&raw mut (*self.0.as_ptr()).flags).write(flags) }
    }

    fn bytes(&self, offset: usize, length: usize) -> &[u8] {
        // SAFETY: callers pass ranges inside the data that `new` initialised; the bytes are never
        // written again, and live as long as self.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().cast::<u8>().add(offset), length) }
    }

    pub(crate) fn key(&self) -> &[u8] {
        self.bytes(Self::data_offset(self.flags()), self.key_len())
    }

    pub(crate) fn content_type(&self) -> &[u8] {
        self.bytes(Self::data_offset(self.flags()) + self.key_len(), self.content_type_len())
    }

    pub(crate) fn value(&self) -> &[u8] {
        self.bytes(self.value_offset(), self.value_len())
    }

    fn value_offset(&self) -> usize {
        Self::data_offset(self.flags()) + self.key_len() + self.content_type_len()
    }

    fn expiry(&self) -> Option<NonNull<Expiry>> {
        (self.flags() & HAS_EXPIRY != 0).then(|| {
            // SAFETY: with HAS_EXPIRY the allocation reaches beyond OPTIONAL + 16, which is 8-aligned.
            unsafe { self.0.cast::<u8>().add(OPTIONAL).cast::<Expiry>() }
        })
    }

    /// Monotonic millisecond, or [`NEVER`].
    pub(crate) fn expires_at(&self) -> u64 {
        // SAFETY: initialised in `new`, written only through `&mut self`.
        self.expiry().map_or(NEVER, |e| unsafe { (*e.as_ptr()).expires_at })
    }

    /// The version that the last Touch drew, 0 before the first.
    pub(crate) fn expiry_version(&self) -> u64 {
        // SAFETY: as above.
        self.expiry().map_or(0, |e| unsafe { (*e.as_ptr()).expiry_version })
    }

    /// Whether `set_expiry` has room.
    pub(crate) fn has_expiry_room(&self) -> bool {
        self.flags() & HAS_EXPIRY != 0
    }

    /// Sets both; the entry was made with room unless there is nothing to say.
    pub(crate) fn set_expiry(&mut self, expires_at: u64, expiry_version: u64) {
        match self.expiry() {
            // SAFETY: as in `expires_at`; `&mut self` excludes every reader of the header.
            Some(e) => unsafe { e.as_ptr().write(Expiry { expires_at, expiry_version }) },
            None => debug_assert!(expires_at == NEVER && expiry_version == 0, "no room for an expiry"),
        }
    }

    /// What this entry takes of the limit.
    pub(crate) fn footprint(&self) -> usize {
        allocation_bytes(self.own_layout().size())
    }

    fn count(&self) -> Option<&AtomicU32> {
        let flags = self.flags();
        (flags & SHARED != 0).then(|| {
            // SAFETY: with SHARED, `new` wrote a count there; it is only used as an atomic.
            unsafe { &*self.0.as_ptr().cast::<u8>().add(Self::shared_offset(flags)).cast::<AtomicU32>() }
        })
    }

    pub(crate) fn share(&self) -> Option<SharedValue> {
        self.count()?.fetch_add(1, Ordering::Relaxed);
        Some(SharedValue(Self(self.0)))
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if let Some(count) = self.count() {
            // As in std's Arc: the last one to leave must see what the others did before they left.
            if count.fetch_sub(1, Ordering::Release) != 1 {
                return;
            }
            fence(Ordering::Acquire);
        }
        // SAFETY: nobody else refers to the allocation, and this is the layout it was made with.
        unsafe { dealloc(self.0.as_ptr().cast(), self.own_layout()) }
    }
}

/// A large value that outlives the shard's lock, and its entry if need be.
///
/// It only ever reads the value and the lengths in front of it: version, expiry and the policy's mark
/// of the live entry may change at the same time.
pub struct SharedValue(Entry);

impl AsRef<[u8]> for SharedValue {
    fn as_ref(&self) -> &[u8] {
        self.0.value()
    }
}

/// What a caller sees of a live entry, under the shard's lock: copy out and leave.
#[derive(Clone, Copy)]
pub struct EntryView<'a> {
    pub(crate) entry: &'a Entry,
    pub(crate) now_ms: u64,
}

impl<'a> EntryView<'a> {
    /// Never 0.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.entry.version()
    }

    /// The version that the last Touch drew, 0 before the first since the last write.
    #[must_use]
    pub fn expiry_version(&self) -> u64 {
        self.entry.expiry_version()
    }

    /// As stored; empty when none was given.
    #[must_use]
    pub fn content_type(&self) -> &'a str {
        // Checked to be ASCII when it came in.
        std::str::from_utf8(self.entry.content_type()).unwrap_or_default()
    }

    /// The value's bytes.
    #[must_use]
    pub fn value(&self) -> &'a [u8] {
        self.entry.value()
    }

    /// A handle to copy from after the lock is gone; only large values have one.
    #[must_use]
    pub fn share(&self) -> Option<SharedValue> {
        self.entry.share()
    }

    /// Milliseconds until expiry, at least 1; none when the entry does not expire.
    #[must_use]
    pub fn remaining_ms(&self) -> Option<u64> {
        remaining(self.entry.expires_at(), self.now_ms)
    }
}

/// What is left of a life, as it travels.
pub(crate) fn remaining(expires_at: u64, now_ms: u64) -> Option<u64> {
    (expires_at != NEVER).then(|| expires_at.saturating_sub(now_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(key: &[u8], content_type: &[u8], value: &[u8], may_expire: bool) -> Entry {
        Entry::new(&Parts { namespace: 9, key, content_type, value, may_expire })
    }

    #[test]
    fn what_goes_in_comes_out_for_every_shape() {
        for may_expire in [false, true] {
            for length in [0, 1, 5, 6, 100, SHARE_FROM - 1, SHARE_FROM, SHARE_FROM + 1] {
                let value = vec![0xab; length];
                let mut e = entry(b"k", b"text/plain", &value, may_expire);
                e.set_version(77);
                e.set_mark(5);
                assert_eq!(
                    (e.key(), e.content_type(), e.value()),
                    (&b"k"[..], &b"text/plain"[..], &value[..])
                );
                assert_eq!((e.version(), e.namespace(), e.mark()), (77, 9, 5));
                assert_eq!((e.expires_at(), e.expiry_version()), (NEVER, 0));
                if may_expire {
                    e.set_expiry(123, 456);
                    assert_eq!((e.expires_at(), e.expiry_version()), (123, 456));
                    assert_eq!(e.value(), value);
                }
                assert_eq!(e.footprint(), Entry::footprint_of(1, 10, length, may_expire));
            }
        }
    }

    #[test]
    fn a_shared_value_outlives_its_entry() {
        let value = vec![3; SHARE_FROM];
        let e = entry(b"key", b"", &value, true);
        let shared = EntryView { entry: &e, now_ms: 0 }.share().expect("large values can be shared");
        drop(e);
        let elsewhere = std::thread::spawn(move || shared.as_ref().to_vec()).join().expect("no panic");
        assert_eq!(elsewhere, value);
        assert!(EntryView { entry: &entry(b"k", b"", b"small", false), now_ms: 0 }.share().is_none());
    }

    #[test]
    fn the_shortest_entry_is_shorter_than_its_padded_header() {
        let e = entry(b"k", b"", b"", false);
        assert_eq!(e.own_layout().size(), 19);
        assert!(size_of::<Header>() == 24);
        assert_eq!(e.key(), b"k");
    }
}
