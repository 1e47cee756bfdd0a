//! What every unary RPC has in common: admission, a span in the caller's trace, a count and a duration.

use crate::convert::is_held;
use crate::node::Node;
use crate::telemetry;
use bimetal_contract::Error;
use bimetal_contract::errors::ErrorReason;
use std::sync::Arc;
use std::time::Instant;
use tonic::metadata::MetadataMap;
use tonic::{Response, Status};
use tracing::Instrument;

/// Runs an RPC that waits for nothing but the end of a hold, at which it is asked again.
pub(super) async fn run<T>(
    node: &Node,
    rpc: &'static str,
    metadata: &MetadataMap,
    mut work: impl FnMut() -> Result<T, Error>,
) -> Result<Response<T>, Status> {
    let admitted = async {
        loop {
            match node.admit().and_then(|()| work()) {
                Err(error) if is_held(&error) => node.hand_over.released().await,
                done => return done,
            }
        }
    };
    observe(node, rpc, metadata, admitted).await
}

/// An RPC that is answered in every phase.
pub(super) async fn run_always<T>(
    node: &Node,
    rpc: &'static str,
    metadata: &MetadataMap,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<Response<T>, Status> {
    observe(node, rpc, metadata, work).await
}

/// An RPC that may take long, because many entries are erased or a file is written. None is at work while the node is
/// held.
pub(super) async fn run_slow<T: Send + 'static>(
    node: &Arc<Node>,
    rpc: &'static str,
    metadata: MetadataMap,
    work: impl FnOnce(&Node) -> Result<T, Error> + Send + 'static,
) -> Result<Response<T>, Status> {
    let slow = async {
        let _not_held = node.admin.read().await;
        while let Err(error) = node.admit() {
            if !is_held(&error) {
                return Err(error);
            }
            node.hand_over.released().await;
        }
        let worker = Arc::clone(node);
        let span = tracing::Span::current();
        let work = move || span.in_scope(|| work(&worker));
        let failed = |e| Error::new(ErrorReason::Internal, format!("{rpc} failed: {e}"));
        tokio::task::spawn_blocking(work).await.unwrap_or_else(|e| Err(failed(e)))
    };
    observe(node, rpc, &metadata, slow).await
}

async fn observe<T>(
    node: &Node,
    rpc: &'static str,
    metadata: &MetadataMap,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<Response<T>, Status> {
    let span =
        tracing::info_span!("rpc", otel.name = rpc, otel.kind = "server", reason = tracing::field::Empty);
    telemetry::continue_trace(&span, metadata);
    let started = Instant::now();
    let result = work.instrument(span.clone()).await;
    let reason = result.as_ref().err().map(Error::reason);
    if let Some(reason) = reason {
        span.record("reason", reason.as_str_name());
        span.in_scope(|| tracing::debug!(rpc, reason = reason.as_str_name(), "refused"));
    }
    node.metrics.rpc(rpc, reason, started.elapsed());
    result.map(Response::new).map_err(Status::from)
}
