//! Touch: gives a live entry a new TTL; value and version stay.

use crate::engine::Engine;
use crate::entry::{Entry, Parts, remaining};
use crate::error::Error;
use crate::history::EventKind;
use crate::limits::check_key;
use crate::time::{NEVER, Now};
use crate::ttl::Ttl;

/// Which entry gets which TTL.
#[derive(Debug, Clone, Copy)]
pub struct Touch<'a> {
    /// Its namespace.
    pub namespace: &'a str,
    /// Its key.
    pub key: &'a [u8],
    /// The new one.
    pub ttl: Ttl,
}

/// What Touch did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Touched {
    /// Of the entry, unchanged.
    pub version: u64,
    /// Orders this touch against others of the key.
    pub expiry_version: u64,
    /// Milliseconds until expiry; none: never.
    pub remaining_ms: Option<u64>,
}

impl Engine {
    /// Sets the expiry of a live entry.
    ///
    /// # Errors
    /// INVALID_ARGUMENT, NAMESPACE_NOT_FOUND, WRONG_NODE, KEY_NOT_FOUND.
    pub fn touch(&self, touch: Touch<'_>, now: Now) -> Result<Touched, Error> {
        check_key(touch.key)?;
        self.shared.registry.with(touch.namespace, |namespace| {
            touch.ttl.check(&namespace.limits)?;
            let hash = self.shared.hash(namespace.index, touch.key);
            let home = self.shard_of(hash);
            let (touched, room) = {
                let mut shard = self.lock(home);
                shard.judge(&self.shared, namespace, touch.key)?;
                let live = shard.live(&self.shared, namespace.index, touch.key, hash, now);
                let id = live.ok_or(Error::KeyNotFound)?;
                let expiry_version = shard.draw(&self.shared, now);
                let before = shard.slab.entry(id).expires_at();
                let expires_at = touch.ttl.resolve(&namespace.limits, now, Some(before));
                if shard.slab.entry(id).has_expiry_room() {
                    shard.expiring -= usize::from(before != NEVER);
                    shard.expiring += usize::from(expires_at != NEVER);
                    shard.slab.entry_mut(id).set_expiry(expires_at, expiry_version);
                } else {
                    let mut entry = with_expiry_room(shard.slab.entry(id));
                    entry.set_expiry(expires_at, expiry_version);
                    shard.replace(&self.shared, id, entry);
                }
                shard.access(namespace.index, id);
                shard.record_slot(&self.shared, EventKind::Touched, id);
                let touched = Touched {
                    version: shard.slab.entry(id).version(),
                    expiry_version,
                    remaining_ms: remaining(expires_at, now.mono_ms),
                };
                (touched, shard.make_room(&self.shared, namespace, id, now))
            };
            if !room {
                self.make_room_elsewhere(namespace, home, now);
            }
            Ok(touched)
        })
    }
}

/// A copy that can expire. Only small entries lack the room.
fn with_expiry_room(entry: &Entry) -> Entry {
    let mut copy = Entry::new(&Parts {
        namespace: entry.namespace(),
        key: entry.key(),
        content_type: entry.content_type(),
        value: entry.value(),
        may_expire: true,
    });
    copy.set_version(entry.version());
    copy
}
