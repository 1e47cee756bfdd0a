//! The admin port: /livez, /readyz, /metrics, /contract.

use crate::hand_over::Stage;
use crate::lifecycle::Phase;
use crate::node::Node;
use crate::origin::{self, AllowedHosts};
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::middleware;
use axum::response::IntoResponse;
use axum::routing::get;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use bimetal_contract::identity;
use std::sync::Arc;

/// The routes; what they serve, no page of another origin may read.
pub fn router(node: Arc<Node>, allowed: AllowedHosts) -> Router {
    Router::new()
        .route("/livez", get(async || "alive\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route("/contract", get(contract))
        .with_state(node)
        .layer(middleware::from_fn_with_state(allowed, origin::guard))
}

async fn ready(State(node): State<Arc<Node>>) -> (StatusCode, &'static str) {
    if node.hand_over.has_ended() {
        return (StatusCode::SERVICE_UNAVAILABLE, "handed over\n");
    }
    match node.lifecycle.phase() {
        Phase::Starting if node.hand_over.stage() != Stage::None => {
            (StatusCode::SERVICE_UNAVAILABLE, "catching up\n")
        }
        Phase::Starting => (StatusCode::SERVICE_UNAVAILABLE, "starting\n"),
        Phase::Serving => (StatusCode::OK, "ready\n"),
        Phase::Leaving(_) | Phase::Draining => (StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
    }
}

async fn metrics(State(node): State<Arc<Node>>) -> impl IntoResponse {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], node.metrics.encode(&node))
}

async fn contract() -> impl IntoResponse {
    let body = serde_json::json!({
        "service": "cache",
        "language": "rust",
        "version": env!("CARGO_PKG_VERSION"),
        "revision": identity::REVISION,
        "digest": identity::DIGEST,
        "descriptorSet": BASE64_STANDARD.encode(identity::DESCRIPTOR_SET),
    });
    ([(header::CONTENT_TYPE, "application/json")], body.to_string())
}
