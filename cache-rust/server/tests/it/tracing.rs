//! Spans arrive at an OTLP endpoint, in the caller's trace.

use crate::pipeline::{batch, op};
use crate::process::Running;
use crate::support::*;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::{Request, Response};
use bimetal_contract::cache::operation::Operation as Op;
use bimetal_contract::{Client, cache};
use parking_lot::Mutex;
use std::sync::Arc;
use tonic::transport::server::TcpIncoming;

type Received = Arc<Mutex<Vec<u8>>>;

/// Takes what is exported and answers with an empty message.
async fn collect(State(received): State<Received>, request: Request<Body>) -> Response<Body> {
    assert_eq!(request.uri().path(), "/opentelemetry.proto.collector.trace.v1.TraceService/Export");
    let body = to_bytes(request.into_body(), 1 << 20).await.unwrap();
    received.lock().extend_from_slice(&body);
    let answer = Response::builder().header("content-type", "application/grpc").header("grpc-status", "0");
    answer.body(Body::empty()).unwrap()
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_of_rpcs_and_batches_continue_the_callers_trace() {
    let received = Received::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let routes =
        tonic::service::Routes::from(Router::new().fallback(collect).with_state(Arc::clone(&received)));
    let collector = tonic::transport::Server::builder()
        .add_routes(routes)
        .serve_with_incoming(TcpIncoming::from(listener));
    let collector = tokio::spawn(collector);

    let mut node = Running::start(&["--otlp-endpoint", &endpoint, "--drain-delay", "0"]);
    let client = Client::connect(node.first["addresses"]["grpc"].as_str().unwrap()).unwrap();
    let parent = |digit: &str| format!("00-{}-{}-01", digit.repeat(32), "5".repeat(16));
    let mut request = tonic::Request::new(get("k"));
    request.metadata_mut().insert("traceparent", parent("a").parse().unwrap());
    client.cache().get(request).await.unwrap();
    let traced = cache::PipelineRequest { traceparent: parent("b"), ..batch(vec![op(Op::Get(get("k")))]) };
    let results = client.cache().pipeline(futures::stream::iter([traced])).await.unwrap();
    assert!(results.into_inner().message().await.unwrap().is_some());
    node.signal("TERM");
    assert_eq!(node.wait().code(), Some(0));

    // What is left is sent before the process ends.
    let bytes = received.lock().clone();
    for (trace, name) in [([0xaa; 16], &b"Get"[..]), ([0xbb; 16], b"pipeline batch")] {
        assert!(contains(&bytes, &trace) && contains(&bytes, name), "{} bytes received", bytes.len());
    }
    assert!(contains(&bytes, b"cache-0"));
    collector.abort();
}
