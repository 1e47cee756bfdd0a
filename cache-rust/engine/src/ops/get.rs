//! Get: the live entry, or none.

use crate::engine::Engine;
use crate::entry::EntryView;
use crate::error::Error;
use crate::limits::check_key;
use crate::time::Now;

/// Which entry.
#[derive(Debug, Clone, Copy)]
pub struct Get<'a> {
    /// Its namespace.
    pub namespace: &'a str,
    /// Its key.
    pub key: &'a [u8],
}

/// What there is; a miss is an answer, not an error.
pub enum GetOutcome<'a> {
    /// A live entry.
    Hit(EntryView<'a>),
    /// None.
    Miss,
}

impl Engine {
    /// Reads an entry. `answer` runs under the shard's lock: it should copy and leave.
    ///
    /// # Errors
    /// INVALID_ARGUMENT, NAMESPACE_NOT_FOUND, WRONG_NODE.
    pub fn get<R>(
        &self,
        get: Get<'_>,
        now: Now,
        answer: impl FnOnce(GetOutcome<'_>) -> R,
    ) -> Result<R, Error> {
        check_key(get.key)?;
        self.shared.registry.with(get.namespace, |namespace| {
            let hash = self.shared.hash(namespace.index, get.key);
            let mut shard = self.lock(self.shard_of(hash));
            shard.judge(&self.shared, namespace, get.key)?;
            let Some(id) = shard.live(&self.shared, namespace.index, get.key, hash, now) else {
                shard.space_mut(namespace.index).misses += 1;
                return Ok(answer(GetOutcome::Miss));
            };
            shard.space_mut(namespace.index).hits += 1;
            shard.access(namespace.index, id);
            Ok(answer(GetOutcome::Hit(EntryView { entry: shard.slab.entry(id), now_ms: now.mono_ms })))
        })
    }
}
