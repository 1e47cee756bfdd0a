//! A server, a client, and waiting for a condition with a limit.

use bimetal_cache::serve::Server;
use bimetal_cache::settings::{Flags, Settings};
use bimetal_contract::errors::ErrorReason;
use bimetal_contract::{Client, Error, cache};
use bytes::Bytes;
use std::time::{Duration, Instant};
use tonic::Status;

pub const TOKEN: &str = "run-token-of-this-test";

pub struct Fixture {
    pub server: Server,
    pub client: Client,
}

/// A server as the orchestrator starts one, with `change` made to its settings.
pub async fn start_with(change: impl FnOnce(&mut Flags)) -> Fixture {
    let mut flags = Flags {
        grpc_listen: Some("127.0.0.1:0".into()),
        admin_listen: Some("127.0.0.1:0".into()),
        run_token: Some(TOKEN.into()),
        shards: Some(4),
        ..Flags::default()
    };
    change(&mut flags);
    let server = Server::start(&Settings::check(flags).unwrap()).await.unwrap();
    let client = Client::connect(&server.grpc.to_string()).unwrap();
    Fixture { server, client }
}

pub async fn start() -> Fixture {
    start_with(|_| {}).await
}

pub fn key(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

pub fn get(text: &str) -> cache::GetRequest {
    cache::GetRequest { namespace: "default".into(), key: key(text), ..cache::GetRequest::default() }
}

pub fn put(text: &str, value: impl Into<Bytes>) -> cache::PutRequest {
    cache::PutRequest {
        namespace: "default".into(),
        key: key(text),
        value: value.into(),
        ..cache::PutRequest::default()
    }
}

pub fn delete(text: &str) -> cache::DeleteRequest {
    cache::DeleteRequest { namespace: "default".into(), key: key(text), ..cache::DeleteRequest::default() }
}

pub fn relative(ms: u64) -> Option<cache::Ttl> {
    let kind = cache::ttl::Kind::Relative(bimetal_cache::convert::duration(ms));
    Some(cache::Ttl { kind: Some(kind) })
}

pub fn versions(versions: &[u64]) -> Option<cache::Precondition> {
    let set = cache::VersionSet { versions: versions.to_vec() };
    Some(cache::Precondition { kind: Some(cache::precondition::Kind::Versions(set)) })
}

pub fn absent() -> Option<cache::Precondition> {
    Some(cache::Precondition { kind: Some(cache::precondition::Kind::Absent(())) })
}

/// The error of the table in a status.
pub fn error<T: std::fmt::Debug>(result: Result<T, Status>) -> Error {
    Error::from_status(&result.unwrap_err(), true)
}

pub fn reason<T: std::fmt::Debug>(result: Result<T, Status>) -> ErrorReason {
    error(result).reason()
}

/// Waits until `condition` holds, at most 15 s: a busy machine may take its time.
pub async fn eventually<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let started = Instant::now();
    while !condition().await {
        assert!(started.elapsed() < Duration::from_secs(15), "{what}: not within 15 s");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
