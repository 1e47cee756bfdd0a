//! Delete: removes a live entry, if there is one.

use crate::engine::Engine;
use crate::error::Error;
use crate::history::{EventKind, Record};
use crate::limits::check_key;
use crate::precondition::Precondition;
use crate::time::{NEVER, Now};

/// What Delete did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deleted {
    /// The version that the deletion drew: above the entry's, below every later write's.
    pub version: u64,
    /// There was a live entry.
    pub existed: bool,
}

impl Engine {
    /// Deletes a key; succeeds also when there was nothing.
    ///
    /// # Errors
    /// INVALID_ARGUMENT, NAMESPACE_NOT_FOUND, WRONG_NODE, PRECONDITION_FAILED.
    pub fn delete(
        &self,
        namespace: &str,
        key: &[u8],
        precondition: &Precondition,
        now: Now,
    ) -> Result<Deleted, Error> {
        check_key(key)?;
        precondition.check()?;
        self.shared.registry.with(namespace, |namespace| {
            let hash = self.shared.hash(namespace.index, key);
            // Freed after the lock.
            let _former;
            let mut shard = self.lock(self.shard_of(hash));
            shard.judge(&self.shared, namespace, key)?;
            let live = shard.live(&self.shared, namespace.index, key, hash, now);
            precondition.judge(live.map_or(0, |id| shard.slab.entry(id).version()))?;
            let version = shard.draw(&self.shared, now);
            if let Some(id) = live {
                _former = shard.remove(&self.shared, id, hash);
                shard.record(
                    &self.shared,
                    &Record {
                        kind: EventKind::Deleted,
                        namespace: namespace.index,
                        key,
                        version,
                        expiry_version: 0,
                        expires_at: NEVER,
                    },
                );
                shard.settle(&self.shared);
            }
            Ok(Deleted { version, existed: live.is_some() })
        })
    }
}
