//! What every RPC of a node shares.

use crate::buffers::Buffers;
use crate::clock::Clock;
use crate::hand_over::HandOver;
use crate::keeper::Keeper;
use crate::lifecycle::{Lifecycle, Phase};
use crate::metrics::Metrics;
use crate::store::Store;
use bimetal_contract::Error;
use bimetal_contract::errors::ErrorReason;
use bimetal_engine::{Engine, Now, Waker};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::Notify;
use tonic::metadata::MetadataMap;

/// Tells watchers that there are events to read.
#[derive(Debug, Default)]
pub struct EventBell(pub Notify);

impl Waker for EventBell {
    fn wake(&self) {
        self.0.notify_waiters();
    }
}

/// One cache node.
pub struct Node {
    /// Its name in the topology and in logs.
    pub instance: String,
    /// The entries.
    pub engine: Engine,
    /// The clocks that go into the engine.
    pub clock: Clock,
    /// Whether it serves.
    pub lifecycle: Lifecycle,
    /// What it counts.
    pub metrics: Metrics,
    /// Rung when events were recorded.
    pub bell: Arc<EventBell>,
    /// The data directory, if there is one.
    pub store: Keeper,
    /// Moving the node to another process, or from one.
    pub hand_over: HandOver,
    /// Held for reading by changes of namespaces and of the topology, for writing at the cut of a hand-over.
    pub admin: tokio::sync::RwLock<()>,
    /// The bound on what connections hold.
    pub buffers: Buffers,
    /// When it started.
    pub started: SystemTime,
    /// How long a drain that says nothing else still serves everything.
    pub drain_delay: Duration,
    run_token: Option<String>,
}

impl Node {
    /// Assembles a node; the engine must have been made with `bell` as its waker.
    #[must_use]
    pub fn new(
        engine: Engine,
        clock: Clock,
        bell: Arc<EventBell>,
        store: Option<Store>,
        run_token: Option<String>,
        drain_delay: Duration,
    ) -> Self {
        let buffers = Buffers::new(engine.config().memory_limit);
        Self {
            instance: engine.config().node_name.clone(),
            engine,
            clock,
            lifecycle: Lifecycle::default(),
            metrics: Metrics::default(),
            bell,
            store: Keeper::new(store),
            hand_over: HandOver::default(),
            admin: tokio::sync::RwLock::new(()),
            buffers,
            started: SystemTime::now(),
            drain_delay,
            run_token,
        }
    }

    /// Both clocks, now.
    #[must_use]
    pub fn now(&self) -> Now {
        self.clock.now()
    }

    /// Whether requests should be sent here.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.lifecycle.phase() == Phase::Serving && !self.hand_over.has_ended()
    }

    /// Whether operations are taken.
    ///
    /// # Errors
    /// NODE_UNAVAILABLE before this process serves, WRONG_NODE once another one has taken over, DRAINING.
    pub fn admit(&self) -> Result<(), Error> {
        self.hand_over.admit(&self.instance)?;
        self.lifecycle.admit()
    }

    /// Whether a caller may do what needs the run token.
    ///
    /// # Errors
    /// UNAUTHENTICATED without a token, PERMISSION_DENIED with a wrong one or where this node has none.
    pub fn authorize(&self, metadata: &MetadataMap) -> Result<(), Error> {
        let Some(expected) = &self.run_token else {
            return Err(Error::new(
                ErrorReason::PermissionDenied,
                "this node was started without a run token, so nobody may do this",
            ));
        };
        // Twice is neither: which of the two counts would depend on who reads it.
        let mut values = metadata.get_all("authorization").iter();
        let Some(given) = values.next() else {
            return Err(Error::new(
                ErrorReason::Unauthenticated,
                "this needs the run token: metadata authorization: Bearer TOKEN",
            ));
        };
        let given = given.as_bytes().strip_prefix(b"Bearer ").unwrap_or_default();
        if values.next().is_none() && equal(given, expected.as_bytes()) {
            return Ok(());
        }
        Err(Error::new(ErrorReason::PermissionDenied, "the token is not this run's"))
    }
}

/// Compares in a time that depends on the lengths alone.
fn equal(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |different, (a, b)| different | (a ^ b)) == 0
}
