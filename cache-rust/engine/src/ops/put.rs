//! Put: writes an entry, whole.

use super::check_room;
use crate::engine::Engine;
use crate::entry::{Entry, EntryView, Parts};
use crate::error::Error;
use crate::history::EventKind;
use crate::limits::{check_content_type, check_key};
use crate::precondition::Precondition;
use crate::time::Now;
use crate::ttl::Ttl;

/// What to write.
#[derive(Debug, Clone)]
pub struct Put<'a> {
    /// Its namespace.
    pub namespace: &'a str,
    /// Its key.
    pub key: &'a [u8],
    /// The value.
    pub value: &'a [u8],
    /// Empty: none given.
    pub content_type: &'a str,
    /// How long it lives.
    pub ttl: Ttl,
    /// What must hold.
    pub precondition: Precondition,
}

/// What Put did.
pub struct PutOutcome<'a> {
    /// Of the new entry.
    pub version: u64,
    /// There was no live entry before.
    pub created: bool,
    /// The live entry that was replaced.
    pub former: Option<EntryView<'a>>,
}

impl Engine {
    /// Writes an entry. `answer` runs under the shard's lock: it should copy and leave.
    ///
    /// # Errors
    /// INVALID_ARGUMENT, NAMESPACE_NOT_FOUND, VALUE_TOO_LARGE, WRONG_NODE, PRECONDITION_FAILED, QUOTA_EXCEEDED.
    pub fn put<R>(
        &self,
        put: &Put<'_>,
        now: Now,
        answer: impl FnOnce(PutOutcome<'_>) -> R,
    ) -> Result<R, Error> {
        check_key(put.key)?;
        check_content_type(put.content_type)?;
        put.precondition.check()?;
        self.shared.registry.with(put.namespace, |namespace| {
            let limit = namespace.limits.max_value_bytes;
            if put.value.len() > limit {
                return Err(Error::ValueTooLarge { size: put.value.len(), limit });
            }
            put.ttl.check(&namespace.limits)?;
            let hash = self.shared.hash(namespace.index, put.key);
            let home = self.shard_of(hash);
            // Allocated and copied before the lock, freed after it.
            let mut entry = Entry::new(&Parts {
                namespace: namespace.index,
                key: put.key,
                content_type: put.content_type.as_bytes(),
                value: put.value,
                may_expire: put.ttl.may_expire(&namespace.limits),
            });
            let former;
            let (reply, room) = {
                let mut shard = self.lock(home);
                shard.judge(&self.shared, namespace, put.key)?;
                let live = shard.live(&self.shared, namespace.index, put.key, hash, now);
                put.precondition.judge(live.map_or(0, |id| shard.slab.entry(id).version()))?;
                check_room(&self.shared, namespace, entry.footprint())?;

                let version = shard.draw(&self.shared, now);
                let expires_at = live.map(|id| shard.slab.entry(id).expires_at());
                entry.set_version(version);
                entry.set_expiry(put.ttl.resolve(&namespace.limits, now, expires_at), 0);
                let id = if let Some(id) = live {
                    former = Some(shard.replace(&self.shared, id, entry));
                    shard.access(namespace.index, id);
                    id
                } else {
                    former = None;
                    shard.insert(&self.shared, entry, hash)
                };
                shard.record_slot(&self.shared, EventKind::Put, id);
                let reply = answer(PutOutcome {
                    version,
                    created: live.is_none(),
                    former: former.as_ref().map(|entry| EntryView { entry, now_ms: now.mono_ms }),
                });
                (reply, shard.make_room(&self.shared, namespace, id, now))
            };
            if !room {
                self.make_room_elsewhere(namespace, home, now);
            }
            Ok(reply)
        })
    }
}
