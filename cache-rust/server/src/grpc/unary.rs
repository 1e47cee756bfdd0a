//! What every unary RPC has in common: admission, a span in the caller's trace, a count and a duration.

use crate::node::Node;
use crate::telemetry;
use bimetal_contract::Error;
use std::time::Instant;
use tonic::metadata::MetadataMap;
use tonic::{Response, Status};

/// Runs an RPC that does not wait for anything.
pub(super) fn run<T>(
    node: &Node,
    rpc: &'static str,
    metadata: &MetadataMap,
    work: impl FnOnce() -> Result<T, Error>,
) -> Result<Response<T>, Status> {
    run_always(node, rpc, metadata, || node.lifecycle.admit().and_then(|()| work()))
}

/// The same for what is answered while draining, too.
pub(super) fn run_always<T>(
    node: &Node,
    rpc: &'static str,
    metadata: &MetadataMap,
    work: impl FnOnce() -> Result<T, Error>,
) -> Result<Response<T>, Status> {
    let span =
        tracing::info_span!("rpc", otel.name = rpc, otel.kind = "server", reason = tracing::field::Empty);
    telemetry::continue_trace(&span, metadata);
    let _entered = span.enter();
    let started = Instant::now();
    let result = work();
    let reason = result.as_ref().err().map(Error::reason);
    if let Some(reason) = reason {
        span.record("reason", reason.as_str_name());
        tracing::debug!(rpc, reason = reason.as_str_name(), "refused");
    }
    node.metrics.rpc(rpc, reason, started.elapsed());
    result.map(Response::new).map_err(Status::from)
}

/// The same for what may take long: many entries are erased, or a file is written.
pub(super) async fn run_slow<T: Send + 'static>(
    node: &std::sync::Arc<Node>,
    rpc: &'static str,
    metadata: MetadataMap,
    work: impl FnOnce(&Node) -> Result<T, Error> + Send + 'static,
) -> Result<Response<T>, Status> {
    let node = std::sync::Arc::clone(node);
    tokio::task::spawn_blocking(move || run(&node, rpc, &metadata, || work(&node)))
        .await
        .unwrap_or_else(|e| Err(Status::internal(format!("{rpc} failed: {e}"))))
}
