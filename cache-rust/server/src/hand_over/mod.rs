//! Moving a node from its old process to a new one, while it serves (ControlService.HandOver; the rules stand there).
//!
//! | file | what |
//! | --- | --- |
//! | `mod.rs` | how it stands, and who waits for what |
//! | `give.rs` | the old side: blocks, window, rate, hold, cut |
//! | `receive.rs` | the new side: asks, applies, takes over, or says why not |

pub mod give;
pub mod receive;

use crate::convert;
use bimetal_contract::Error;
use bimetal_contract::control::HandOverProgress;
use bimetal_contract::errors::ErrorReason;
use bimetal_engine::Topology;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};

/// How long the operations may be held. Longer, and the old process goes on.
pub const HOLD_LIMIT: Duration = Duration::from_secs(1);
/// The other side says something at least this often.
pub const KEEP_ALIVE: Duration = Duration::from_secs(1);
/// Without a word for so long, the other side is given up.
pub const SILENCE_LIMIT: Duration = Duration::from_secs(5);
/// How long SetTopology waits for a process to catch up, if its caller waits as long.
const TAKE_LIMIT: Duration = Duration::from_secs(600);

/// How a hand-over stands in this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// There is none.
    None,
    /// Giving state while serving.
    Giving,
    /// Giving the rest; operations wait.
    Held,
    /// Another process has taken over, with this epoch.
    HandedOver(u64),
    /// Receiving state; serves nothing.
    CatchingUp,
    /// The same, and close behind.
    CaughtUp,
    /// Everything is here; the old process has not let go yet. Operations wait.
    Taking,
    /// Receiving failed: the process is about to end.
    Failed,
}

/// The word to take over, and where the answer goes.
type Take = (Topology, oneshot::Sender<Result<(), Error>>);

/// The hand-over of one process, of either side.
#[derive(Debug)]
pub struct HandOver {
    stage: watch::Sender<Stage>,
    /// Epoch of the topology by which another process took over; 0: none has.
    handed_over: AtomicU64,
    taking: AtomicBool,
    takes: Mutex<Option<mpsc::Sender<Take>>>,
    blocks: AtomicU64,
    bytes: AtomicU64,
    entries: AtomicU64,
}

impl Default for HandOver {
    fn default() -> Self {
        Self {
            stage: watch::Sender::new(Stage::None),
            handed_over: AtomicU64::new(0),
            taking: AtomicBool::new(false),
            takes: Mutex::default(),
            blocks: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            entries: AtomicU64::new(0),
        }
    }
}

impl HandOver {
    /// How it stands.
    #[must_use]
    pub fn stage(&self) -> Stage {
        *self.stage.borrow()
    }

    fn set(&self, stage: Stage) {
        if let Stage::HandedOver(epoch) = stage {
            self.handed_over.store(epoch, Ordering::SeqCst);
        }
        self.taking.store(stage == Stage::Taking, Ordering::SeqCst);
        self.stage.send_replace(stage);
    }

    /// To follow every change.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Stage> {
        self.stage.subscribe()
    }

    /// Begins to give; false when a hand-over is in progress or done.
    fn begin_giving(&self) -> bool {
        self.stage.send_if_modified(|stage| {
            let free = *stage == Stage::None;
            if free {
                *stage = Stage::Giving;
            }
            free
        })
    }

    /// WRONG_NODE once another process has taken over; to be asked again after [`HandOver::released`] while this one
    /// is about to.
    ///
    /// # Errors
    /// These.
    pub fn admit(&self, node: &str) -> Result<(), Error> {
        if self.taking.load(Ordering::SeqCst) {
            return Err(convert::error(&bimetal_engine::Error::Held));
        }
        match self.handed_over.load(Ordering::SeqCst) {
            0 => Ok(()),
            epoch => Err(Error::new(
                ErrorReason::WrongNode,
                format!("another process of {node:?} has taken over with epoch {epoch}"),
            )
            .with_owner(node, epoch)),
        }
    }

    /// Whether a stream may be opened although the process does not serve: it is about to.
    #[must_use]
    pub fn is_taking(&self) -> bool {
        self.taking.load(Ordering::SeqCst)
    }

    /// Waits while operations are held.
    pub async fn released(&self) {
        let waiting = |stage: &Stage| matches!(stage, Stage::Held | Stage::Taking);
        let _ = self.stage.subscribe().wait_for(|stage| !waiting(stage)).await;
    }

    /// Waits until another process has taken over.
    pub async fn ended(&self) {
        let _ = self.stage.subscribe().wait_for(|stage| matches!(stage, Stage::HandedOver(_))).await;
    }

    /// Whether another process has taken over.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.handed_over.load(Ordering::SeqCst) != 0
    }

    /// As Describe tells it.
    #[must_use]
    pub fn progress(&self) -> Option<HandOverProgress> {
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (self.stage() != Stage::None).then(|| HandOverProgress {
            blocks: load(&self.blocks),
            bytes: load(&self.bytes),
            entries: load(&self.entries),
        })
    }

    fn reset(&self) {
        for count in [&self.blocks, &self.bytes, &self.entries] {
            count.store(0, Ordering::Relaxed);
        }
    }

    fn count_block(&self, bytes: usize, entries: u64) {
        self.blocks.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.entries.fetch_add(entries, Ordering::Relaxed);
    }

    /// Takes over with this topology: waits until this process has caught up, and answers when it serves.
    ///
    /// # Errors
    /// HAND_OVER_FAILED.
    pub async fn take(&self, topology: Topology) -> Result<(), Error> {
        let mut stages = self.stage.subscribe();
        let ready = stages.wait_for(|stage| *stage != Stage::CatchingUp);
        let stage = match tokio::time::timeout(TAKE_LIMIT, ready).await {
            Ok(Ok(stage)) => *stage,
            _ => return Err(failed(format!("it did not catch up within {TAKE_LIMIT:?}"))),
        };
        let takes = self.takes.lock().clone();
        let (Stage::CaughtUp, Some(takes)) = (stage, takes) else {
            return Err(failed("this process receives nothing any more"));
        };
        let (answer, answered) = oneshot::channel();
        let gone = || failed("this process stopped to receive before it could take over");
        takes.try_send((topology, answer)).map_err(|_| failed("it is asked to take over already"))?;
        answered.await.map_err(|_| gone())?
    }
}

/// HAND_OVER_FAILED.
pub(crate) fn failed(why: impl Into<String>) -> Error {
    Error::new(ErrorReason::HandOverFailed, why)
}
