//! The process's two clocks, as the engine wants them.

use bimetal_engine::Now;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Monotonic milliseconds since the start of the process, and wall milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// Starts to count.
    #[must_use]
    pub fn start() -> Self {
        Self { start: Instant::now() }
    }

    /// Both clocks, now.
    #[must_use]
    pub fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as u64);
        Now::new(self.start.elapsed().as_millis() as u64, wall)
    }
}
