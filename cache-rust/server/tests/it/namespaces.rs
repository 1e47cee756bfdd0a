//! NamespaceService.

use crate::support::*;
use bimetal_contract::cache::{self as api, Namespace};
use bimetal_contract::client::with_token;
use bimetal_contract::errors::ErrorReason;
use tonic::Request;

fn named(name: &str) -> Namespace {
    Namespace { name: name.into(), ..Namespace::default() }
}

fn create(namespace: Namespace) -> Request<api::CreateNamespaceRequest> {
    with_token(api::CreateNamespaceRequest { namespace: Some(namespace) }, TOKEN)
}

#[tokio::test]
async fn a_namespace_is_made_changed_flushed_and_deleted() {
    let f = start().await;
    let mut client = f.client.namespaces();
    let made =
        client.create_namespace(create(named("tenant"))).await.unwrap().into_inner().namespace.unwrap();
    assert!(made.revision > 0 && !made.deleted);
    assert_eq!(reason(client.create_namespace(create(named("tenant"))).await), ErrorReason::NamespaceExists);

    let new = Namespace { quota_bytes: Some(5_000), max_value_bytes: Some(10), ..named("tenant") };
    let mask = Some(prost_types::FieldMask { paths: vec!["quota_bytes".into()] });
    let update = with_token(api::UpdateNamespaceRequest { namespace: Some(new), update_mask: mask }, TOKEN);
    let changed = client.update_namespace(update).await.unwrap().into_inner().namespace.unwrap();
    assert_eq!(
        (changed.quota_bytes, changed.max_value_bytes),
        (Some(5_000), None),
        "only what the mask names"
    );
    assert!(changed.revision > made.revision);

    f.client.put("tenant", b"k", "v".into(), "").await.unwrap();
    let flush = with_token(api::FlushNamespaceRequest { name: "tenant".into() }, TOKEN);
    let flushed = client.flush_namespace(flush).await.unwrap().into_inner();
    assert_eq!(flushed.entries, 1);
    assert_eq!(f.client.get("tenant", b"k").await.unwrap(), None);

    let delete = with_token(api::DeleteNamespaceRequest { name: "tenant".into() }, TOKEN);
    let tombstone = client.delete_namespace(delete).await.unwrap().into_inner().namespace.unwrap();
    assert!(tombstone.deleted && tombstone.revision > changed.revision);
    let gone = client.get_namespace(api::GetNamespaceRequest { name: "tenant".into() }).await;
    assert_eq!(reason(gone), ErrorReason::NamespaceNotFound);
    assert_eq!(f.client.get("tenant", b"k").await.unwrap_err().reason(), ErrorReason::NamespaceNotFound);

    let names = async |include_deleted| {
        let list =
            client.clone().list_namespaces(api::ListNamespacesRequest { include_deleted }).await.unwrap();
        list.into_inner().namespaces.into_iter().map(|n| n.name).collect::<Vec<_>>()
    };
    assert_eq!(names(false).await, ["default"]);
    assert_eq!(names(true).await, ["default", "tenant"]);
}

#[tokio::test]
async fn records_are_exchanged_and_the_highest_revision_wins() {
    let f = start().await;
    let mut client = f.client.namespaces();
    let mine = client.create_namespace(create(named("a"))).await.unwrap().into_inner().namespace.unwrap();
    let older = Namespace { revision: 1, quota_bytes: Some(1), ..named("a") };
    let newer = Namespace { revision: mine.revision + (1 << 30), quota_bytes: Some(9_999), ..named("b") };
    let sync = with_token(api::SyncNamespacesRequest { namespaces: vec![older, newer.clone()] }, TOKEN);
    let records = client.sync_namespaces(sync).await.unwrap().into_inner().namespaces;
    assert_eq!(records.iter().find(|n| n.name == "a"), Some(&mine));
    assert_eq!(records.iter().find(|n| n.name == "b"), Some(&newer));
    let tombstone = Namespace { revision: newer.revision + 1, deleted: true, ..named("b") };
    let sync = with_token(api::SyncNamespacesRequest { namespaces: vec![tombstone] }, TOKEN);
    client.sync_namespaces(sync).await.unwrap();
    let gone = client.get_namespace(api::GetNamespaceRequest { name: "b".into() }).await;
    assert_eq!(reason(gone), ErrorReason::NamespaceNotFound);
}

/// The nodes of a topology at these addresses, the first of which is `cache-0`.
fn topology(addresses: &[String]) -> String {
    let nodes = addresses.iter().enumerate().map(|(index, address)| {
        serde_json::json!({"name": format!("cache-{index}"), "tag": index + 1, "address": address})
    });
    serde_json::json!({"epoch": "1", "nodes": nodes.collect::<Vec<_>>()}).to_string()
}

#[tokio::test]
async fn a_node_that_comes_back_knows_before_it_is_ready_what_the_others_know() {
    let peer = start_with(|flags| flags.instance = Some("cache-1".into())).await;
    let mut client = peer.client.namespaces();
    let made = client.create_namespace(create(named("made"))).await.unwrap().into_inner().namespace.unwrap();
    client.create_namespace(create(named("deleted"))).await.unwrap();
    let delete = with_token(api::DeleteNamespaceRequest { name: "deleted".into() }, TOKEN);
    client.delete_namespace(delete).await.unwrap();

    // Nobody listens at the third one's.
    let addresses = ["127.0.0.1:1".into(), peer.server.grpc.to_string(), "127.0.0.1:1".into()];
    let f = start_with(|flags| flags.topology = Some(topology(&addresses))).await;
    assert_eq!(f.server.node.engine.namespace("made").unwrap().revision, made.revision);
    let records = f.server.node.engine.namespaces();
    assert!(records.iter().any(|record| record.name == "deleted" && record.deleted));
}

#[tokio::test]
async fn a_peer_that_says_nothing_holds_up_no_start() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addresses = ["127.0.0.1:1".into(), silent.local_addr().unwrap().to_string()];
    let begun = std::time::Instant::now();
    let f = start_with(|flags| flags.topology = Some(topology(&addresses))).await;
    assert!(begun.elapsed() < std::time::Duration::from_secs(5));
    assert_eq!(f.server.node.lifecycle.phase(), bimetal_cache::lifecycle::Phase::Serving);
}

#[tokio::test]
async fn a_wrong_policy_is_refused_and_changes_nothing() {
    let f = start().await;
    let mut client = f.client.namespaces();
    let day = prost_types::Duration { seconds: 86_400, nanos: 0 };
    let window = Namespace { stale_window: Some(day), ..named("a") };
    assert_eq!(reason(client.create_namespace(create(window)).await), ErrorReason::NotImplemented);
    for bad in [
        named("Bad"),
        Namespace { quota_bytes: Some(0), ..named("a") },
        Namespace { revision: 5, ..named("a") },
        Namespace {
            default_ttl: Some(day),
            max_ttl: Some(prost_types::Duration { seconds: 1, nanos: 0 }),
            ..named("a")
        },
    ] {
        assert_eq!(reason(client.create_namespace(create(bad)).await), ErrorReason::InvalidArgument);
    }
    let mask = Some(prost_types::FieldMask { paths: vec!["name".into()] });
    let update = api::UpdateNamespaceRequest { namespace: Some(named("default")), update_mask: mask };
    let refused = error(client.update_namespace(with_token(update, TOKEN)).await);
    assert_eq!(refused.detail().violations[0].field, "update_mask");
    let delete = with_token(api::DeleteNamespaceRequest { name: "default".into() }, TOKEN);
    assert_eq!(reason(client.delete_namespace(delete).await), ErrorReason::InvalidArgument);
    assert_eq!(f.server.node.engine.namespaces().len(), 1);
}

#[tokio::test]
async fn writes_need_the_run_token_and_reads_do_not() {
    let f = start().await;
    let mut client = f.client.namespaces();
    let bare = api::CreateNamespaceRequest { namespace: Some(named("a")) };
    assert_eq!(reason(client.create_namespace(bare.clone()).await), ErrorReason::Unauthenticated);
    let wrong = with_token(bare.clone(), "guess");
    assert_eq!(reason(client.create_namespace(wrong).await), ErrorReason::PermissionDenied);
    let flush = api::FlushNamespaceRequest { name: "default".into() };
    assert_eq!(reason(client.flush_namespace(flush).await), ErrorReason::Unauthenticated);
    let delete = api::DeleteNamespaceRequest { name: "default".into() };
    assert_eq!(reason(client.delete_namespace(delete).await), ErrorReason::Unauthenticated);
    let sync = api::SyncNamespacesRequest::default();
    assert_eq!(reason(client.sync_namespaces(sync).await), ErrorReason::Unauthenticated);
    assert!(client.list_namespaces(api::ListNamespacesRequest::default()).await.is_ok());

    let open = start_with(|flags| flags.run_token = None).await;
    let refused = open.client.namespaces().create_namespace(with_token(bare, "any")).await;
    assert_eq!(reason(refused), ErrorReason::PermissionDenied, "a node without a token lets nobody");
}

#[tokio::test(flavor = "multi_thread")]
async fn records_and_the_version_ceiling_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_owned();
    let f = start_with(|flags| flags.data_dir = Some(path.clone())).await;
    let made = f.client.namespaces().create_namespace(create(named("kept"))).await.unwrap();
    let last = f.client.put("kept", b"k", "v".into(), "").await.unwrap();
    drop(f);
    let f = start_with(|flags| flags.data_dir = Some(path)).await;
    let record = f.server.node.engine.namespace("kept").unwrap();
    assert_eq!(record.revision, made.into_inner().namespace.unwrap().revision);
    assert_eq!(f.client.get("kept", b"k").await.unwrap(), None, "entries are not kept");
    assert!(f.client.put("kept", b"k", "v".into(), "").await.unwrap() > last);
}
