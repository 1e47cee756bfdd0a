//! Operation ids through both ways in, through a hand-over and a snapshot.

use crate::hand_over::{caught_up, new, old, set_topology, topology};
use crate::pipeline::{batch, op, open, take};
use crate::process::Running;
use crate::support::*;
use bimetal_contract::Client;
use bimetal_contract::cache::operation::Operation as Op;
use bimetal_contract::cache::operation_result::Result as Done;
use bimetal_contract::cache::{self, IncrementRequest};
use bimetal_contract::errors::ErrorReason;
use bytes::Bytes;

fn id(n: u8) -> Option<Bytes> {
    Some(Bytes::from(vec![n; 16]))
}

fn add(name: &str, delta: i64, operation_id: Option<Bytes>) -> IncrementRequest {
    IncrementRequest {
        namespace: "default".into(),
        key: key(name),
        delta,
        operation_id,
        ..Default::default()
    }
}

#[tokio::test]
async fn a_repeat_gets_the_same_result_by_either_way_and_has_no_effect() {
    let f = start().await;
    let mut client = f.client.cache();
    let first = client.increment(add("n", 5, id(1))).await.unwrap().into_inner();
    assert_eq!(client.increment(add("n", 5, id(1))).await.unwrap().into_inner(), first);
    let (send, mut results) = open(&f).await;
    let operations = vec![
        op(Op::Increment(add("n", 5, id(1)))),
        op(Op::Increment(add("n", 6, id(1)))),
        op(Op::Increment(add("n", 5, id(2)))),
        op(Op::Increment(add("n", 5, None))),
        op(Op::Put(cache::PutRequest { operation_id: Some(key("short")), ..put("n", "v") })),
        op(Op::Delete(cache::DeleteRequest { operation_id: id(1), ..delete("n") })),
    ];
    send.send(batch(operations)).await.unwrap();
    let done = take(&mut results, 6).await;
    assert_eq!(done[0], Done::Increment(first));
    let reasons = |done: &Done| match done {
        Done::Error(error) => Some((error.reason(), error.violations.first().map(|v| v.field.clone()))),
        _ => None,
    };
    assert_eq!(reasons(&done[1]).unwrap().0, ErrorReason::IdempotencyKeyReused);
    let Done::Increment(second) = &done[2] else { panic!() };
    let Done::Increment(third) = &done[3] else { panic!() };
    assert_eq!((second.value, third.value), (10, 15));
    assert_eq!(reasons(&done[4]).unwrap(), (ErrorReason::InvalidArgument, Some("operation_id".into())));
    assert_eq!(reasons(&done[5]).unwrap().0, ErrorReason::IdempotencyKeyReused);
    let second_again = client.increment(add("n", 5, id(2))).await.unwrap().into_inner();
    assert_eq!(&second_again, second);
    assert_eq!(f.server.node.metrics.repeats.get(), 3);
}

#[tokio::test]
async fn a_refusal_of_the_requests_own_fault_is_its_result_and_others_leave_the_id_free() {
    let f = start().await;
    let mut client = f.client.cache();
    let touch = || cache::TouchRequest {
        namespace: "default".into(),
        key: key("t"),
        ttl: relative(60_000),
        operation_id: id(1),
    };
    assert_eq!(reason(client.touch(touch()).await), ErrorReason::KeyNotFound);
    client.put(put("t", "v")).await.unwrap();
    assert_eq!(reason(client.touch(touch()).await), ErrorReason::KeyNotFound, "the same answer as before");
    let swap = || cache::PutRequest { precondition: versions(&[7]), operation_id: id(2), ..put("t", "w") };
    let refused = error(client.put(swap()).await);
    assert_eq!(refused.reason(), ErrorReason::PreconditionFailed);
    let version = refused.detail().current_version.unwrap();
    client.put(put("t", "x")).await.unwrap();
    assert_eq!(error(client.put(swap()).await).detail().current_version, Some(version));
    let nowhere = |namespace: &str| cache::PutRequest {
        namespace: namespace.into(),
        operation_id: id(3),
        ..put("t", "y")
    };
    assert_eq!(reason(client.put(nowhere("later")).await), ErrorReason::NamespaceNotFound);
    let record = bimetal_engine::NamespaceRecord::new("later");
    f.server.node.engine.apply_namespace(record, f.server.node.now()).unwrap();
    client.put(nowhere("later")).await.unwrap();
}

#[tokio::test]
async fn a_former_entry_of_any_size_is_part_of_the_result() {
    let f = start().await;
    f.client.put("default", b"big", vec![3; 1 << 20].into(), "a/b").await.unwrap();
    let swap = || cache::PutRequest { return_former: true, operation_id: id(1), ..put("big", "new") };
    let first = f.client.cache().put(swap()).await.unwrap().into_inner();
    assert!(first.former.as_ref().unwrap().value == vec![3; 1 << 20]);
    let (send, mut results) = open(&f).await;
    send.send(batch(vec![op(Op::Get(get("big"))), op(Op::Put(swap())), op(Op::Put(swap()))])).await.unwrap();
    let done = take(&mut results, 3).await;
    assert!(done[1] == Done::Put(first.clone()) && done[2] == Done::Put(first));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_result_goes_along_with_a_hand_over_and_a_snapshot() {
    let at = old(&[]).await;
    let client = Client::connect(at.grpc()).unwrap();
    let first = client.cache().increment(add("n", 5, id(1))).await.unwrap().into_inner();
    let next = new(&at, &[]);
    caught_up(&next).await;
    let second = client.cache().increment(add("n", 5, id(2))).await.unwrap().into_inner();
    set_topology(&Client::connect(next.grpc()).unwrap(), topology(2, next.grpc())).await.unwrap();
    let late = error(client.cache().increment(add("n", 5, id(1))).await);
    assert_eq!(late.reason(), ErrorReason::WrongNode, "not this process's to answer any more");
    let client = Client::connect(next.grpc()).unwrap();
    assert_eq!(client.cache().increment(add("n", 5, id(1))).await.unwrap().into_inner(), first);
    assert_eq!(client.cache().increment(add("n", 5, id(2))).await.unwrap().into_inner(), second);
    assert_eq!(client.cache().increment(add("n", 5, id(3))).await.unwrap().into_inner().value, 15);

    let folder = tempfile::tempdir().unwrap();
    let arguments = ["--data-dir", folder.path().to_str().unwrap(), "--drain-delay", "0"];
    let mut node = Running::start(&arguments);
    let client = Client::connect(node.grpc()).unwrap();
    let first = client.cache().increment(add("n", 5, id(1))).await.unwrap().into_inner();
    node.signal("TERM");
    node.wait();
    let node = Running::start(&arguments);
    let client = Client::connect(node.grpc()).unwrap();
    assert_eq!(client.cache().increment(add("n", 5, id(1))).await.unwrap().into_inner(), first);
    assert_eq!(client.cache().increment(add("n", 5, id(2))).await.unwrap().into_inner().value, 10);
}
