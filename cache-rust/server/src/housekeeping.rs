//! What a node does by itself: sweeps expired entries, and writes the version ceiling ahead.

use crate::lifecycle::Phase;
use crate::node::Node;
use bimetal_engine::Version;
use std::sync::Arc;
use std::time::Duration;

const SWEEP_EVERY: Duration = Duration::from_millis(100);
/// Slots a sweep looks at: some 1 ms of one core.
const SWEEP_SLOTS: usize = 16_384;
const CEILING_EVERY: Duration = Duration::from_secs(1);
/// The ceiling is this far ahead of what was drawn: several missed writes are needed to reach it.
const CEILING_AHEAD_MS: u64 = 5_000;

/// Sweeps until the process ends.
pub async fn sweep(node: Arc<Node>) {
    let mut timer = tokio::time::interval(SWEEP_EVERY);
    timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        timer.tick().await;
        // What is received expires at its writer until this process serves.
        if node.lifecycle.phase() != Phase::Starting {
            node.engine.sweep(SWEEP_SLOTS, node.now());
        }
    }
}

/// Above every version that is drawn before the next call.
pub(crate) fn ceiling(node: &Node) -> u64 {
    let drawn = Version(node.engine.greatest_version()).millis();
    let ahead = drawn.max(node.now().wall_ms) + CEILING_AHEAD_MS;
    Version::from_parts(ahead, 0, 0).0
}

/// Writes the ceiling, and again before it is reached.
pub async fn keep_version_ceiling(node: Arc<Node>) {
    let mut timer = tokio::time::interval(CEILING_EVERY);
    loop {
        timer.tick().await;
        let writer = Arc::clone(&node);
        let written = tokio::task::spawn_blocking(move || write_ceiling(&writer)).await;
        if let Ok(Err(error)) = written {
            tracing::error!(%error, "the version ceiling cannot be written");
        }
    }
}

/// Writes the ceiling once.
///
/// # Errors
/// It cannot be written.
pub fn write_ceiling(node: &Node) -> std::io::Result<()> {
    match node.store.get() {
        Some(store) => store.keep_version_ceiling(ceiling(node)),
        None => Ok(()),
    }
}
