//! What ends a process from outside: signals, and the end of a stdin that was asked to be watched.

use crate::exit::Failure;
use crate::lifecycle::{Lifecycle, Phase};
use std::io::Read;
use std::time::{Duration, Instant};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// One Ctrl-C may arrive several times: signals this close together are one.
const ONE_SIGNAL: Duration = Duration::from_millis(500);
/// How long a drain may take when whoever started this process is gone.
const ORPHAN_LIMIT: Duration = Duration::from_millis(800);

/// The signals that end the process. Until this is made they kill it, so it is made before anybody is told where
/// the process listens.
#[derive(Debug)]
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Takes the signals over from the system.
    ///
    /// # Errors
    /// The system does not give them.
    pub fn take() -> Result<Self, Failure> {
        let failed = |e| Failure::Other(format!("signals cannot be watched: {e}"));
        Ok(Self {
            interrupt: signal(SignalKind::interrupt()).map_err(failed)?,
            terminate: signal(SignalKind::terminate()).map_err(failed)?,
        })
    }
}

/// Waits for what begins a drain, and then for what cuts it short. Only the latter returns.
///
/// # Errors
/// Always: why the process ends now.
pub async fn watch(signals: Signals, life: &Lifecycle, delay: Duration, stdin: bool) -> Failure {
    let Signals { mut interrupt, mut terminate } = signals;
    tokio::select! {
        () = either(&mut interrupt, &mut terminate) => {
            tracing::info!(signal = true, "draining");
            let first = Instant::now();
            life.advance(Phase::Leaving(delay));
            loop {
                either(&mut interrupt, &mut terminate).await;
                if first.elapsed() >= ONE_SIGNAL {
                    return Failure::Interrupted("a second signal came");
                }
            }
        }
        () = end_of_stdin(stdin) => {
            tracing::info!(stdin_closed = true, "draining");
            life.advance(Phase::Leaving(Duration::ZERO));
            tokio::time::sleep(ORPHAN_LIMIT).await;
            Failure::Interrupted("stdin had closed and the drain took over 0.8 s")
        }
    }
}

async fn either(a: &mut Signal, b: &mut Signal) {
    tokio::select! {
        _ = a.recv() => {}
        _ = b.recv() => {}
    }
}

/// Never, unless asked for. A thread of its own, because a read of stdin cannot be cancelled.
async fn end_of_stdin(watch: bool) {
    if !watch {
        return std::future::pending().await;
    }
    let (ended, end) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 1024];
        while matches!(std::io::stdin().read(&mut buffer), Ok(n) if n > 0) {}
        let _ = ended.send(());
    });
    let _ = end.await;
}
