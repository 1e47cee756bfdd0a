//! What connections and batches hold, counted against the memory limit while it lives, and bounded for the node.
//!
//! A batch is charged before it is read, an answer until it is sent. While more than the bound is held, streams are
//! not read on; one of them at a time has the turn and goes on regardless, so that a batch of any size is
//! answered in the end.

use crate::node::Node;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering, fence};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// A connection with its HTTP/2 state, idle; measured by `examples/idle.rs`, as the next two.
pub const CONNECTION_BYTES: usize = 24 << 10;
/// A Pipeline stream at rest.
pub const STREAM_BYTES: usize = 16 << 10;
/// A subscription at rest.
pub const SUBSCRIPTION_BYTES: usize = 16 << 10;

/// The bound's part of the memory limit, as a divisor.
const SHARE: usize = 4;
/// Smaller ones do not make room at once: the next write does.
const LARGE: usize = 64 << 10;

/// The node's bound.
#[derive(Debug)]
pub struct Buffers {
    bound: usize,
    /// Held by the one that may exceed the bound.
    turn: Arc<Semaphore>,
    waiting: AtomicUsize,
    released: Notify,
}

impl Buffers {
    /// A quarter of the memory limit.
    #[must_use]
    pub fn new(memory_limit: usize) -> Self {
        Self {
            bound: memory_limit / SHARE,
            turn: Arc::new(Semaphore::new(1)),
            waiting: AtomicUsize::new(0),
            released: Notify::new(),
        }
    }

    /// Whether more may be held.
    #[must_use]
    pub fn is_within_bound(&self, node: &Node) -> bool {
        node.engine.buffer_bytes() <= self.bound
    }
}

/// Bytes that count until this is dropped.
pub struct Charge {
    node: Arc<Node>,
    bytes: usize,
    turn: Option<OwnedSemaphorePermit>,
}

impl Charge {
    /// Charges regardless of the bound.
    #[must_use]
    pub fn new(node: &Arc<Node>, bytes: usize) -> Self {
        node.engine.charge_buffers(bytes);
        if bytes >= LARGE {
            node.engine.make_room_for_buffers(node.now());
        }
        Self { node: Arc::clone(node), bytes, turn: None }
    }

    /// None: the bound does not allow it now.
    #[must_use]
    pub fn within_bound(node: &Arc<Node>, bytes: usize) -> Option<Self> {
        (node.engine.buffer_bytes() + bytes <= node.buffers.bound).then(|| Self::new(node, bytes))
    }

    /// Waits until the bound allows it, or until it is this one's turn.
    pub async fn wait(node: Arc<Node>, bytes: usize) -> Self {
        node.metrics.buffer_waits.inc();
        let buffers = &node.buffers;
        let _waiting = Waiting::new(&buffers.waiting);
        let turn = Arc::clone(&buffers.turn).acquire_owned();
        tokio::pin!(turn);
        loop {
            // Listened to before the look at the count: no release in between is missed.
            let released = buffers.released.notified();
            tokio::pin!(released);
            released.as_mut().enable();
            fence(Ordering::SeqCst);
            if let Some(charge) = Self::within_bound(&node, bytes) {
                return charge;
            }
            tokio::select! {
                turn = &mut turn => {
                    let mut charge = Self::new(&node, bytes);
                    charge.turn = turn.ok();
                    return charge;
                }
                () = released => {}
            }
        }
    }

    /// Whether this one goes on although the bound is exceeded.
    #[must_use]
    pub fn has_turn(&self) -> bool {
        self.turn.is_some()
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.node.engine.release_buffers(self.bytes);
        // Either this sees who waits, or the one that waits sees what was given back.
        fence(Ordering::SeqCst);
        if self.node.buffers.waiting.load(Ordering::Relaxed) > 0 {
            self.node.buffers.released.notify_waiters();
        }
    }
}

/// Counts one that waits.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
