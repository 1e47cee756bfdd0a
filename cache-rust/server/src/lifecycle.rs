//! The phases of a process, and who waits for them.
//!
//! `Leaving` is the drain delay: readiness fails, so that callers go elsewhere, and everything is still
//! served. `Draining` refuses what is new; what was accepted is answered.

use bimetal_contract::Error;
use bimetal_contract::errors::ErrorReason;
use std::time::Duration;
use tokio::sync::watch;

/// Where a process is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Not ready yet.
    Starting,
    /// Ready.
    Serving,
    /// Not ready any more, still serving, for this long.
    Leaving(Duration),
    /// Refusing what is new.
    Draining,
}

/// Only moves forward.
#[derive(Debug)]
pub struct Lifecycle {
    phase: watch::Sender<Phase>,
}

impl Default for Lifecycle {
    fn default() -> Self {
        Self { phase: watch::Sender::new(Phase::Starting) }
    }
}

impl Lifecycle {
    /// Where it is.
    #[must_use]
    pub fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// Moves forward; a step back is ignored.
    pub fn advance(&self, to: Phase) {
        self.phase.send_if_modified(|phase| {
            let forward = match (*phase, to) {
                (Phase::Leaving(_), Phase::Leaving(_)) => false,
                (now, to) => to > now,
            };
            if forward {
                *phase = to;
            }
            forward
        });
    }

    /// Waits for a phase at or behind the given one.
    pub async fn reached(&self, phase: Phase) {
        let mut receiver = self.phase.subscribe();
        // The sender lives as long as self, so this cannot fail.
        let _ = receiver.wait_for(|now| *now >= phase).await;
    }

    /// To follow every change.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    /// Whether new work is taken.
    ///
    /// # Errors
    /// NODE_UNAVAILABLE before it serves, DRAINING.
    pub fn admit(&self) -> Result<(), Error> {
        match self.phase() {
            Phase::Starting => Err(Error::new(ErrorReason::NodeUnavailable, "this node does not serve yet")
                .with_retry_after(Duration::from_millis(100))),
            Phase::Serving | Phase::Leaving(_) => Ok(()),
            Phase::Draining => Err(draining()),
        }
    }
}

/// The operation was not begun: this process is about to end.
#[must_use]
pub fn draining() -> Error {
    Error::new(ErrorReason::Draining, "this node is draining and takes nothing new")
        .with_retry_after(Duration::from_millis(100))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phase_never_goes_back() {
        let life = Lifecycle::default();
        life.advance(Phase::Serving);
        life.advance(Phase::Leaving(Duration::from_secs(2)));
        life.advance(Phase::Leaving(Duration::ZERO));
        assert_eq!(life.phase(), Phase::Leaving(Duration::from_secs(2)), "the first drain decides the delay");
        life.advance(Phase::Serving);
        assert!(life.admit().is_ok());
        life.advance(Phase::Draining);
        assert!(life.admit().is_err());
    }
}
