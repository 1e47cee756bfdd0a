//! Increment: adds to a signed 64-bit integer that is kept as canonical decimal ASCII.

use super::check_room;
use crate::engine::Engine;
use crate::entry::{Entry, Parts, remaining};
use crate::error::Error;
use crate::history::EventKind;
use crate::limits::check_key;
use crate::time::Now;
use crate::ttl::Ttl;

/// What to add to which key.
#[derive(Debug, Clone, Copy)]
pub struct Increment<'a> {
    /// Its namespace.
    pub namespace: &'a str,
    /// Its key.
    pub key: &'a [u8],
    /// What is added.
    pub delta: i64,
    /// What it is added to without a live entry.
    pub initial: i64,
    /// Of an entry that this creates, or with `renew_ttl`.
    pub ttl: Ttl,
    /// Give a live entry the TTL, too.
    pub renew_ttl: bool,
}

/// What Increment did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Incremented {
    /// The sum.
    pub value: i64,
    /// Of the entry now.
    pub version: u64,
    /// There was no live entry before.
    pub created: bool,
    /// Milliseconds until expiry; none: never.
    pub remaining_ms: Option<u64>,
}

/// Canonical decimal: no plus, no leading zeros, no -0, nothing around it.
#[must_use]
pub fn parse_integer(text: &[u8]) -> Option<i64> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let canonical = match digits {
        [b'0'] => digits.len() == text.len(),
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    if !canonical {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

impl Engine {
    /// Adds, in one atomic step.
    ///
    /// # Errors
    /// INVALID_ARGUMENT, NAMESPACE_NOT_FOUND, WRONG_NODE, NOT_AN_INTEGER, INTEGER_OVERFLOW, VALUE_TOO_LARGE,
    /// QUOTA_EXCEEDED.
    pub fn increment(&self, request: Increment<'_>, now: Now) -> Result<Incremented, Error> {
        check_key(request.key)?;
        self.shared.registry.with(request.namespace, |namespace| {
            request.ttl.check(&namespace.limits)?;
            let hash = self.shared.hash(namespace.index, request.key);
            let home = self.shard_of(hash);
            let (done, room) = {
                let mut shard = self.lock(home);
                shard.judge(&self.shared, namespace, request.key)?;
                let live = shard.live(&self.shared, namespace.index, request.key, hash, now);
                let before = match live {
                    Some(id) => parse_integer(shard.slab.entry(id).value()).ok_or(Error::NotAnInteger)?,
                    None => request.initial,
                };
                let value = before
                    .checked_add(request.delta)
                    .ok_or(Error::IntegerOverflow { value: before, delta: request.delta })?;
                let text = value.to_string();
                let limit = namespace.limits.max_value_bytes;
                if text.len() > limit {
                    return Err(Error::ValueTooLarge { size: text.len(), limit });
                }
                let ttl = if live.is_some() && !request.renew_ttl { Ttl::Keep } else { request.ttl };
                let expires_at =
                    ttl.resolve(&namespace.limits, now, live.map(|id| shard.slab.entry(id).expires_at()));
                // At most some 1,200 bytes: cheap enough to allocate under the lock.
                let mut entry = Entry::new(&Parts {
                    namespace: namespace.index,
                    key: request.key,
                    content_type: live.map_or(b"text/plain", |id| shard.slab.entry(id).content_type()),
                    value: text.as_bytes(),
                    may_expire: ttl.may_expire(&namespace.limits),
                });
                check_room(&self.shared, namespace, entry.footprint())?;
                let version = shard.draw(&self.shared, now);
                entry.set_version(version);
                entry.set_expiry(expires_at, 0);
                let id = if let Some(id) = live {
                    shard.replace(&self.shared, id, entry);
                    shard.access(namespace.index, id);
                    id
                } else {
                    shard.insert(&self.shared, entry, hash)
                };
                shard.record_slot(&self.shared, EventKind::Put, id);
                let done = Incremented {
                    value,
                    version,
                    created: live.is_none(),
                    remaining_ms: remaining(expires_at, now.mono_ms),
                };
                (done, shard.make_room(&self.shared, namespace, id, now))
            };
            if !room {
                self.make_room_elsewhere(namespace, home, now);
            }
            Ok(done)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_canonical_decimal_is_an_integer() {
        for good in ["0", "1", "-1", "9223372036854775807", "-9223372036854775808"] {
            assert_eq!(parse_integer(good.as_bytes()), good.parse().ok(), "{good}");
        }
        for bad in ["", "-", "+1", "-0", "00", "01", " 1", "1 ", "1.0", "1e3", "0x1", "9223372036854775808"] {
            assert_eq!(parse_integer(bad.as_bytes()), None, "{bad}");
        }
    }
}
