//! A snapshot from one process to the next, by signals and real files.

use crate::process::Running;
use crate::support::*;
use bimetal_contract::Client;
use bimetal_contract::cache::{
    self, Subscribe, WatchRequest, watch_request::Request, watch_response::Response,
};
use bimetal_contract::client::with_token;
use std::path::Path;
use tokio_stream::wrappers::ReceiverStream;

fn node(folder: &Path, more: &[&str]) -> Running {
    let folder = folder.to_str().unwrap();
    Running::start(&[&["--data-dir", folder, "--drain-delay", "0", "--run-token", TOKEN], more].concat())
}

fn end(mut node: Running, signal: &str) {
    node.signal(signal);
    node.wait();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_and_positions_survive_an_ordered_end_and_nothing_survives_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let first = node(folder.path(), &[]);
    let client = Client::connect(first.grpc()).unwrap();
    let version = client.put("default", b"kept", "v".into(), "text/plain").await.unwrap();
    client.cache().put(cache::PutRequest { ttl: relative(60_000), ..put("mortal", "x") }).await.unwrap();
    client.cache().put(cache::PutRequest { ttl: relative(1), ..put("dead", "x") }).await.unwrap();
    let watch = async |client: &Client, position| {
        let subscribe = Subscribe { position, ..Subscribe::default() };
        let (send, requests) = tokio::sync::mpsc::channel(1);
        send.send(WatchRequest { request: Some(Request::Subscribe(subscribe)) }).await.unwrap();
        (send, client.cache().watch(ReceiverStream::new(requests)).await.unwrap().into_inner())
    };
    let (send, mut events) = watch(&client, None).await;
    let Some(Response::Subscribed(subscribed)) = events.message().await.unwrap().unwrap().response else {
        panic!()
    };
    let touched = client.put("default", b"seen later", "v".into(), "").await.unwrap();
    drop((send, events));
    end(first, "TERM");
    assert!(folder.path().join("snapshot").exists());

    let second = node(folder.path(), &["--shards", "16"]);
    assert!(!folder.path().join("snapshot").exists(), "it is gone before the node serves");
    let client = Client::connect(second.grpc()).unwrap();
    let kept = client.get("default", b"kept").await.unwrap().unwrap();
    assert_eq!(
        (kept.version, &kept.value[..], kept.content_type.as_str()),
        (version, &b"v"[..], "text/plain")
    );
    let left = client.get("default", b"mortal").await.unwrap().unwrap().remaining_ttl.unwrap();
    assert!((30..60).contains(&left.seconds), "{left:?}");
    assert_eq!(client.get("default", b"dead").await.unwrap(), None);
    let (_send, mut events) = watch(&client, Some(subscribed.position)).await;
    loop {
        match events.message().await.unwrap().unwrap().response.unwrap() {
            Response::Reset(reset) => panic!("{}", reset.message),
            // "dead" may have expired in between.
            Response::Events(events) if events.events.iter().any(|event| event.version == touched) => break,
            _ => {}
        }
    }
    assert!(client.put("default", b"kept", "w".into(), "").await.unwrap() > version);
    eventually("it says so", || async { second.log().contains("snapshot loaded") }).await;
    end(second, "KILL");

    let third = node(folder.path(), &[]);
    let client = Client::connect(third.grpc()).unwrap();
    assert_eq!(client.get("default", b"kept").await.unwrap(), None, "nothing old after a crash");
    client.put("default", b"kept", "x".into(), "").await.unwrap();
    end(third, "TERM");

    let path = folder.path().join("snapshot");
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let fourth = node(folder.path(), &["--snapshot=false"]);
    assert!(!path.exists(), "it is not left for a later life");
    end(fourth, "TERM");
    assert!(!path.exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_corrupt_snapshot_is_refused_said_aloud_and_kept_aside() {
    let folder = tempfile::tempdir().unwrap();
    let first = node(folder.path(), &[]);
    Client::connect(first.grpc()).unwrap().put("default", b"k", "v".into(), "").await.unwrap();
    end(first, "TERM");
    let path = folder.path().join("snapshot");
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.len() - 40;
    bytes[at] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let second = node(folder.path(), &[]);
    let client = Client::connect(second.grpc()).unwrap();
    assert_eq!(client.get("default", b"k").await.unwrap(), None);
    assert!(folder.path().join("snapshot.refused").exists());
    eventually("it says so", || async { second.log().contains("refused") && second.log().contains("block") })
        .await;
}

/// What is written through such a link meets a full disk (`full(4)`).
fn fill_the_disk(folder: &Path, name: &str) {
    std::os::unix::fs::symlink("/dev/full", folder.join(format!("{name}.new"))).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_full_disk_the_node_serves_says_what_it_cannot_keep_and_leaves_nothing_half_written() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = node(folder.path(), &[]);
    let client = Client::connect(first.grpc()).unwrap();
    fill_the_disk(folder.path(), "namespaces.json");
    let unkept = cache::Namespace { name: "unkept".into(), ..cache::Namespace::default() };
    let create = cache::CreateNamespaceRequest { namespace: Some(unkept) };
    let refused = client.namespaces().create_namespace(with_token(create, TOKEN)).await.unwrap_err();
    assert!(refused.message().contains("could not be written to the data directory"), "{refused}");
    // It is in force all the same.
    let version = client.put("unkept", b"k", "v".into(), "").await.unwrap();
    fill_the_disk(folder.path(), "snapshot");
    first.signal("TERM");
    eventually("it says so", || async { first.log().contains("the snapshot cannot be written") }).await;
    assert!(first.log().contains("No space left"), "{}", first.log());
    first.wait();
    for name in ["snapshot", "snapshot.new", "namespaces.json.new"] {
        assert!(std::fs::symlink_metadata(folder.path().join(name)).is_err(), "{name} is left");
    }

    let second = node(folder.path(), &[]);
    let client = Client::connect(second.grpc()).unwrap();
    assert!(client.get("unkept", b"k").await.is_err(), "nobody knows of it any more");
    assert!(client.put("default", b"k", "v".into(), "").await.unwrap() > version);
    end(second, "TERM");
    assert!(folder.path().join("snapshot").exists(), "there is room again");
}
