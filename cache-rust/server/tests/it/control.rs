//! ControlService, health, reflection and the admin port.

use crate::support::*;
use bimetal_contract::client::with_token;
use bimetal_contract::control::{self as api, ProcessState};
use bimetal_contract::errors::ErrorReason;
use bimetal_contract::identity;
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client as Http;
use hyper_util::rt::TokioExecutor;

fn topology(epoch: u64, names: &[&str]) -> api::SetTopologyRequest {
    let nodes = names.iter().zip(1..);
    let nodes =
        nodes.map(|(name, tag)| api::Node { name: (*name).into(), tag, address: "127.0.0.1:1".into() });
    api::SetTopologyRequest { topology: Some(api::Topology { epoch, nodes: nodes.collect() }) }
}

async fn admin(f: &Fixture, path: &str) -> (u16, String) {
    let http = Http::builder(TokioExecutor::new()).build_http::<Empty<bytes::Bytes>>();
    let answer = http.get(format!("http://{}{path}", f.server.admin).parse().unwrap()).await.unwrap();
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn describe_needs_no_token_and_tells_the_contract() {
    let f = start_with(|flags| flags.instance = Some("cache-7".into())).await;
    let ask = api::DescribeRequest { include_descriptor_set: true };
    let node = f.client.control().describe(ask).await.unwrap().into_inner();
    assert_eq!(
        (node.service.as_str(), node.instance.as_str(), node.language.as_str()),
        ("cache", "cache-7", "rust")
    );
    let contract = node.contract.clone().unwrap();
    assert_eq!((contract.revision, &contract.digest[..]), (identity::REVISION, &identity::digest()[..]));
    assert_eq!(&contract.descriptor_set[..], identity::DESCRIPTOR_SET);
    assert_eq!((node.state(), node.topology.clone()), (ProcessState::Serving, None));
    assert_ne!(node.incarnation, 0);
}

#[tokio::test]
async fn everything_else_needs_the_token() {
    let f = start().await;
    let mut client = f.client.control();
    for token in [None, Some("guess")] {
        let expected =
            if token.is_some() { ErrorReason::PermissionDenied } else { ErrorReason::Unauthenticated };
        macro_rules! refused {
            ($method:ident, $message:expr) => {
                let request = match token {
                    Some(token) => with_token($message, token),
                    None => tonic::Request::new($message),
                };
                assert_eq!(reason(client.$method(request).await), expected, stringify!($method));
            };
        }
        refused!(drain, api::DrainRequest::default());
        refused!(stats, api::StatsRequest {});
        refused!(set_topology, topology(1, &["cache-0"]));
        refused!(hand_over, futures::stream::empty());
    }
    let hand_over = client.hand_over(with_token(futures::stream::empty(), TOKEN)).await;
    let first = hand_over.unwrap().into_inner().message().await;
    assert_eq!(reason(first), ErrorReason::InvalidArgument, "begin is missing");
    assert!(client.stats(with_token(api::StatsRequest {}, TOKEN)).await.is_ok());
}

#[tokio::test]
async fn a_topology_makes_keys_of_others_wrong_and_erases_them() {
    let f = start().await;
    for i in 0..100 {
        f.client.put("default", i.to_string().as_bytes(), "v".into(), "").await.unwrap();
    }
    let mut client = f.client.control();
    let set = client.set_topology(with_token(topology(3, &["cache-0", "cache-1"]), TOKEN)).await.unwrap();
    let erased = set.into_inner().erased_entries;
    assert!((20..80).contains(&erased), "{erased}");
    let mut wrong = 0;
    for i in 0..100 {
        if let Err(error) = f.client.get("default", i.to_string().as_bytes()).await {
            assert_eq!(error.reason(), ErrorReason::WrongNode);
            let owner = error.detail().owner.clone().unwrap();
            assert_eq!((owner.name.as_str(), owner.epoch), ("cache-1", 3));
            wrong += 1;
        }
    }
    assert_eq!(wrong, erased);
    let older = client.set_topology(with_token(topology(2, &["cache-0"]), TOKEN)).await;
    assert_eq!(reason(older), ErrorReason::InvalidArgument);
    let empty = client.set_topology(with_token(api::SetTopologyRequest::default(), TOKEN)).await;
    assert_eq!(reason(empty), ErrorReason::InvalidArgument);
}

#[tokio::test]
async fn statistics_count_what_was_done() {
    let f = start().await;
    f.client.put("default", b"k", "v".into(), "").await.unwrap();
    f.client.get("default", b"k").await.unwrap();
    f.client.get("default", b"x").await.unwrap();
    let stats = f.client.control().stats(with_token(api::StatsRequest {}, TOKEN)).await.unwrap().into_inner();
    assert_eq!(stats.memory_limit_bytes, 256 << 20);
    let default = &stats.namespaces[0];
    assert_eq!((default.entries, default.hits, default.misses), (1, 1, 1));
}

#[tokio::test]
async fn the_admin_port_tells_health_metrics_and_contract() {
    let f = start().await;
    f.client.put("default", b"k", "v".into(), "").await.unwrap();
    let _ = f.client.get("nobody", b"k").await;
    assert_eq!(admin(&f, "/livez").await.0, 200);
    assert_eq!(admin(&f, "/readyz").await, (200, "ready\n".into()));
    let (_, metrics) = admin(&f, "/metrics").await;
    for line in [
        "bimetal_cache_entries{namespace=\"default\"} 1",
        "bimetal_cache_rpcs_total{rpc=\"Put\",reason=\"OK\"} 1",
        "bimetal_cache_rpcs_total{rpc=\"Get\",reason=\"NAMESPACE_NOT_FOUND\"} 1",
        "bimetal_cache_rpc_duration_seconds_count{rpc=\"Put\"} 1",
        "bimetal_cache_memory_limit_bytes 268435456",
    ] {
        assert!(metrics.lines().any(|l| l == line), "{line} is not in\n{metrics}");
    }
    let (_, contract) = admin(&f, "/contract").await;
    let contract: serde_json::Value = serde_json::from_str(&contract).unwrap();
    assert_eq!(contract["digest"], identity::DIGEST);
}

#[tokio::test]
async fn health_and_reflection_answer_by_their_standard_protocols() {
    use tonic_health::pb::{
        HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
    };
    use tonic_reflection::pb::v1::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
        server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
    };
    let f = start().await;
    let channel =
        tonic::transport::Endpoint::from_shared(format!("http://{}", f.server.grpc)).unwrap().connect_lazy();
    for service in ["", "bimetal.cache.v1.CacheService"] {
        let check = || async {
            let request = HealthCheckRequest { service: service.into() };
            let answer = HealthClient::new(channel.clone()).check(request).await;
            answer.is_ok_and(|a| a.into_inner().status() == ServingStatus::Serving)
        };
        eventually("the service is healthy", check).await;
    }
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let requests = futures::stream::iter([request]);
    let mut answers =
        ServerReflectionClient::new(channel).server_reflection_info(requests).await.unwrap().into_inner();
    let Some(MessageResponse::ListServicesResponse(list)) =
        answers.message().await.unwrap().unwrap().message_response
    else {
        panic!("no list of services")
    };
    let names: Vec<_> = list.service.iter().map(|s| s.name.as_str()).collect();
    for service in
        ["bimetal.cache.v1.CacheService", "bimetal.control.v1.ControlService", "grpc.health.v1.Health"]
    {
        assert!(names.contains(&service), "{names:?}");
    }
}
