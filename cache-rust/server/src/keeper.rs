//! Which data directory is open, if any: a process that takes a node over opens it only when the old one has let go.

use crate::node::Node;
use crate::store::Store;
use crate::{exit::Failure, housekeeping, snapshot};
use parking_lot::{Condvar, Mutex};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long the old process's last write may take.
const RELEASE_LIMIT: Duration = Duration::from_secs(1);
/// How long a change of namespaces waits for the directory.
const OPEN_LIMIT: Duration = Duration::from_secs(5);

#[derive(Debug)]
enum State {
    /// There is none, or it is another process's.
    None,
    /// Being opened.
    Opening,
    Open(Arc<Store>),
}

/// The data directory of a node.
#[derive(Debug)]
pub struct Keeper {
    state: Mutex<State>,
    changed: Condvar,
}

impl Keeper {
    /// With an open directory, or with none.
    #[must_use]
    pub fn new(store: Option<Store>) -> Self {
        let state = store.map_or(State::None, |store| State::Open(Arc::new(store)));
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// The directory. While it is being opened this waits: for threads that may block.
    #[must_use]
    pub fn get(&self) -> Option<Arc<Store>> {
        let mut state = self.state.lock();
        let limit = Instant::now() + OPEN_LIMIT;
        while matches!(*state, State::Opening) && !self.changed.wait_until(&mut state, limit).timed_out() {}
        match &*state {
            State::Open(store) => Some(Arc::clone(store)),
            State::None | State::Opening => None,
        }
    }

    /// Gives the directory to another process: its lock is free when this returns, unless a write hangs.
    pub fn release(&self) {
        let State::Open(store) = std::mem::replace(&mut *self.state.lock(), State::None) else { return };
        let limit = Instant::now() + RELEASE_LIMIT;
        while Arc::strong_count(&store) > 1 && Instant::now() < limit {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Opens a directory that another process has just let go, on a thread of its own: the node serves meanwhile. The
    /// ceiling that the old process wrote is seconds ahead.
    pub fn open_behind(&self, node: Arc<Node>, folder: PathBuf) {
        *self.state.lock() = State::Opening;
        std::thread::spawn(move || {
            let opened = Store::open(&folder).and_then(|store| {
                let failure = |e: std::io::Error| Failure::DataDirectory {
                    path: folder.display().to_string(),
                    message: e.to_string(),
                };
                // One of a life before the one that was handed over.
                snapshot::discard(&folder).map_err(failure)?;
                store.keep_namespaces(|| node.engine.namespaces()).map_err(failure)?;
                store.keep_version_ceiling(housekeeping::ceiling(&node)).map_err(failure)?;
                Ok(store)
            });
            let state = match opened {
                Ok(store) => State::Open(Arc::new(store)),
                Err(error) => {
                    tracing::error!(%error, "the node goes on without a data directory");
                    State::None
                }
            };
            *node.store.state.lock() = state;
            node.store.changed.notify_all();
        });
    }
}
