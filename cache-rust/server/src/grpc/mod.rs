//! The gRPC services, and how they hang together.

mod cache;
mod control;
mod hand_over;
mod metered;
pub(crate) mod namespaces;
pub mod pipeline;
mod unary;
mod watch;

use crate::node::Node;
use bimetal_contract::MAX_MESSAGE_BYTES;
use bimetal_contract::cache::cache_service_server::CacheServiceServer;
use bimetal_contract::cache::namespace_service_server::NamespaceServiceServer;
use bimetal_contract::control::control_service_server::ControlServiceServer;
use bimetal_contract::identity::DESCRIPTOR_SET;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic_health::ServingStatus;

const SERVICES: [&str; 4] = [
    "",
    "bimetal.cache.v1.CacheService",
    "bimetal.cache.v1.NamespaceService",
    "bimetal.control.v1.ControlService",
];

/// HTTP/2 as a gateway's few busy connections want it.
pub fn transport() -> Server {
    // What a caller may have sent before the node reads it; not counted against the memory limit. A stream that
    // waits for memory keeps its window's part of the connection's, so that has to be large enough for many.
    const STREAM_WINDOW: u32 = 256 << 10;
    const CONNECTION_WINDOW: u32 = 16 << 20;
    Server::builder()
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(1_024)
        .max_frame_size(64 << 10)
        .http2_keepalive_interval(Some(Duration::from_secs(30)))
        .http2_keepalive_timeout(Some(Duration::from_secs(10)))
}

/// All services, and a task that keeps `grpc.health.v1` in step with the phase.
///
/// # Errors
/// The descriptor set cannot be served by reflection.
pub async fn routes(
    node: &Arc<Node>,
) -> Result<(impl Future<Output = ()> + Send + 'static, Routes), tonic_reflection::server::Error> {
    let (reporter, health) = tonic_health::server::health_reporter();
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()?;
    let cache = CacheServiceServer::new(cache::Cache::new(Arc::clone(node)))
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    let namespaces = NamespaceServiceServer::new(namespaces::Namespaces::new(Arc::clone(node)))
        .max_decoding_message_size(MAX_MESSAGE_BYTES);
    let control = ControlServiceServer::new(control::Control::new(Arc::clone(node)))
        .max_decoding_message_size(MAX_MESSAGE_BYTES);
    let routes = Routes::new(pipeline::CacheRoutes::new(Arc::clone(node), cache))
        .add_service(namespaces)
        .add_service(control)
        .add_service(health)
        .add_service(reflection);

    let (mut phases, mut stages) = (node.lifecycle.subscribe(), node.hand_over.subscribe());
    let node = Arc::downgrade(node);
    let follow = async move {
        loop {
            phases.mark_unchanged();
            stages.mark_unchanged();
            let Some(ready) = node.upgrade().map(|node| node.is_ready()) else { return };
            let status = if ready { ServingStatus::Serving } else { ServingStatus::NotServing };
            for service in SERVICES {
                reporter.set_service_status(service, status).await;
            }
            tokio::select! {
                Ok(()) = phases.changed() => {}
                Ok(()) = stages.changed() => {}
                else => return,
            }
        }
    };
    Ok((follow, routes))
}
