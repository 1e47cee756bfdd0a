//! Pipeline: order, results as results, spanning messages, limits.

use crate::support::*;
use bimetal_contract::cache::operation::Operation as Op;
use bimetal_contract::cache::operation_result::Result as Done;
use bimetal_contract::cache::{self, get_response};
use bimetal_contract::errors::ErrorReason;
use bytes::Bytes;
use tokio::sync::mpsc::Sender;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

pub fn op(operation: Op) -> cache::Operation {
    cache::Operation { operation: Some(operation), timeout_ms: 0 }
}

pub fn batch(operations: Vec<cache::Operation>) -> cache::PipelineRequest {
    cache::PipelineRequest { operations, ..cache::PipelineRequest::default() }
}

pub async fn open(f: &Fixture) -> (Sender<cache::PipelineRequest>, Streaming<cache::PipelineResponse>) {
    let (sender, requests) = tokio::sync::mpsc::channel(64);
    let results = f.client.cache().pipeline(ReceiverStream::new(requests)).await.unwrap().into_inner();
    (sender, results)
}

/// As many results as there were operations.
pub async fn take(results: &mut Streaming<cache::PipelineResponse>, count: usize) -> Vec<Done> {
    let mut all = vec![];
    while all.len() < count {
        let message = results.message().await.unwrap().unwrap();
        assert!(!message.results.is_empty());
        all.extend(message.results.into_iter().map(|r| r.result.unwrap()));
    }
    assert_eq!(all.len(), count);
    all
}

fn value(done: &Done) -> Option<&[u8]> {
    match done {
        Done::Get(response) => match response.result.as_ref().unwrap() {
            get_response::Result::Entry(entry) => Some(&entry.value),
            get_response::Result::Miss(_) => None,
        },
        other => panic!("no answer of Get: {other:?}"),
    }
}

fn failed(done: &Done) -> ErrorReason {
    match done {
        Done::Error(error) => error.reason(),
        other => panic!("no error: {other:?}"),
    }
}

#[tokio::test]
async fn every_operation_answers_in_the_order_sent() {
    let f = start().await;
    let (send, mut results) = open(&f).await;
    let increment = cache::IncrementRequest {
        namespace: "default".into(),
        key: key("n"),
        delta: -5,
        initial: 2,
        ttl: relative(60_000),
        ..cache::IncrementRequest::default()
    };
    let touch = cache::TouchRequest {
        namespace: "default".into(),
        key: key("k"),
        ttl: relative(9_999),
        operation_id: None,
    };
    let operations = vec![
        op(Op::Get(get("k"))),
        op(Op::Put(cache::PutRequest { content_type: "text/plain".into(), ..put("k", "one") })),
        op(Op::Get(get("k"))),
        op(Op::Put(cache::PutRequest { return_former: true, ..put("k", "two") })),
        op(Op::Touch(touch)),
        op(Op::Get(get("k"))),
        op(Op::Delete(delete("k"))),
        op(Op::Get(get("k"))),
        op(Op::Increment(increment)),
        op(Op::Get(cache::GetRequest { omit_value: true, ..get("n") })),
    ];
    send.send(batch(operations)).await.unwrap();
    let done = take(&mut results, 10).await;
    assert_eq!(value(&done[0]), None);
    let Done::Put(first) = &done[1] else { panic!() };
    assert!(first.created && first.former.is_none());
    assert_eq!(value(&done[2]), Some(&b"one"[..]));
    let Done::Put(second) = &done[3] else { panic!() };
    let former = second.former.as_ref().unwrap();
    assert_eq!(
        (former.version, &former.value[..], former.content_type.as_str()),
        (first.version, &b"one"[..], "text/plain")
    );
    let Done::Touch(touched) = &done[4] else { panic!() };
    assert_eq!(touched.version, second.version);
    let left = touched.remaining_ttl.unwrap();
    assert_eq!((left.seconds, left.nanos), (9, 999_000_000));
    assert_eq!(value(&done[5]), Some(&b"two"[..]));
    let Done::Delete(deleted) = &done[6] else { panic!() };
    assert!(deleted.existed && deleted.version > touched.expiry_version);
    assert_eq!(value(&done[7]), None);
    let Done::Increment(sum) = &done[8] else { panic!() };
    assert_eq!((sum.value, sum.created), (-3, true));
    let Done::Get(head) = &done[9] else { panic!() };
    let Some(get_response::Result::Entry(head)) = &head.result else { panic!() };
    assert_eq!((head.size, head.omission()), (2, cache::ValueOmission::Requested));
    assert!(head.remaining_ttl.is_some());
}

#[tokio::test]
async fn an_operations_error_is_its_result_and_the_stream_lives_on() {
    let f = start().await;
    let (send, mut results) = open(&f).await;
    let operations = vec![
        op(Op::Get(cache::GetRequest { key: Bytes::new(), ..get("k") })),
        op(Op::Get(cache::GetRequest { namespace: "nobody".into(), ..get("k") })),
        op(Op::Put(cache::PutRequest { precondition: versions(&[7]), ..put("k", "") })),
        op(Op::Put(cache::PutRequest { ttl: Some(cache::Ttl::default()), ..put("k", "") })),
        op(Op::Get(cache::GetRequest { acquire_lease: true, ..get("k") })),
        op(Op::Put(cache::PutRequest { lease: Some(key("token")), ..put("k", "") })),
        op(Op::Throttle(cache::ThrottleRequest::default())),
        cache::Operation::default(),
        op(Op::Put(put("k", "v"))),
    ];
    send.send(batch(operations)).await.unwrap();
    let done = take(&mut results, 9).await;
    use ErrorReason::*;
    let expected = [
        InvalidArgument,
        NamespaceNotFound,
        PreconditionFailed,
        InvalidArgument,
        NotImplemented,
        NotImplemented,
        NotImplemented,
        InvalidArgument,
    ];
    assert_eq!(done[..8].iter().map(failed).collect::<Vec<_>>(), expected);
    assert!(matches!(done[8], Done::Put(_)));
    send.send(batch(vec![])).await.unwrap();
    send.send(batch(vec![op(Op::Get(get("k")))])).await.unwrap();
    assert_eq!(value(&take(&mut results, 1).await[0]), Some(&b"v"[..]), "an empty batch has no answer");
}

#[tokio::test]
async fn results_span_messages_of_at_most_1_mib_unless_one_holds_a_value() {
    let f = start_with(|flags| {
        flags.namespaces = Some(r#"[{"name":"large","maxValueBytes":"8388608"}]"#.into());
    })
    .await;
    let sizes = [10, 60_000, 65_535, 65_536, 500_000, 1 << 20, 5_000_000, 3];
    let (send, mut results) = open(&f).await;
    for (i, size) in sizes.iter().enumerate() {
        let request =
            cache::PutRequest { namespace: "large".into(), ..put(&i.to_string(), vec![i as u8; *size]) };
        send.send(batch(vec![op(Op::Put(request))])).await.unwrap();
        take(&mut results, 1).await;
    }
    let mut operations = vec![];
    for _ in 0..5 {
        for i in 0..sizes.len() {
            operations
                .push(op(Op::Get(cache::GetRequest { namespace: "large".into(), ..get(&i.to_string()) })));
        }
    }
    let count = operations.len();
    send.send(batch(operations)).await.unwrap();
    let (mut at, mut messages) = (0, 0);
    while at < count {
        let message = results.message().await.unwrap().unwrap();
        let bytes = prost::Message::encoded_len(&message);
        assert!(
            bytes <= 1 << 20 || message.results.len() == 1,
            "{bytes} bytes, {} results",
            message.results.len()
        );
        for result in message.results {
            let i = at % sizes.len();
            assert!(value(&result.result.unwrap()).unwrap() == vec![i as u8; sizes[i]], "result {at}");
            at += 1;
        }
        messages += 1;
    }
    assert!(messages > 10, "{messages}");
    // A large former entry takes the same way.
    let swap = |i: usize| {
        let request =
            cache::PutRequest { namespace: "large".into(), return_former: true, ..put(&i.to_string(), "") };
        op(Op::Put(request))
    };
    send.send(batch((0..sizes.len()).map(swap).collect())).await.unwrap();
    for (i, done) in take(&mut results, sizes.len()).await.into_iter().enumerate() {
        let Done::Put(done) = done else { panic!() };
        assert!(done.former.unwrap().value == vec![i as u8; sizes[i]], "former {i}");
    }
}

#[tokio::test]
async fn a_malformed_batch_ends_the_stream_and_none_of_it_is_done() {
    let f = start().await;
    let (send, mut results) = open(&f).await;
    let mut operations = vec![op(Op::Put(put("k", "v")))];
    operations.resize(1_001, op(Op::Get(get("k"))));
    send.send(batch(operations)).await.unwrap();
    assert_eq!(reason(results.message().await), ErrorReason::InvalidArgument);
    let (send, mut results) = open(&f).await;
    let huge = vec![0; 1 << 20];
    let operations = (0..17).map(|_| op(Op::Put(put("k", huge.clone())))).collect();
    send.send(batch(operations)).await.unwrap();
    assert!(results.message().await.is_err());
    assert_eq!(f.client.get("default", b"k").await.unwrap(), None);
}

#[tokio::test]
async fn an_operation_whose_time_is_over_is_not_begun() {
    let f = start().await;
    // Execution begins when the answer before has been written, so a batch behind a long one can be too late;
    // here the engine's own clock decides: 1 ms passes within a batch of this size.
    let (send, mut results) = open(&f).await;
    let slow =
        cache::Operation { operation: Some(Op::Put(put("big", vec![1; 16 << 10]))), timeout_ms: 60_000 };
    let mut operations = vec![slow; 999];
    operations.push(cache::Operation { operation: Some(Op::Put(put("late", "v"))), timeout_ms: 1 });
    let mut late = 0;
    for _ in 0..200 {
        send.send(batch(operations.clone())).await.unwrap();
        let done = take(&mut results, 1_000).await;
        assert!(done[..999].iter().all(|d| matches!(d, Done::Put(_))));
        match &done[999] {
            Done::Error(error) => {
                assert_eq!(error.reason(), ErrorReason::DeadlineExceeded);
                late += 1;
                break;
            }
            other => assert!(matches!(other, Done::Put(_))),
        }
    }
    assert_eq!(late, 1);
}

#[tokio::test]
async fn a_seen_version_raises_the_clock_before_the_batch_is_done() {
    let f = start().await;
    let (send, mut results) = open(&f).await;
    let seen = bimetal_engine::Version::from_parts(f.server.node.now().wall_ms + 30_000, 5, 9).0;
    let wild = bimetal_engine::Version::from_parts(f.server.node.now().wall_ms + 90_000, 5, 9).0;
    for (seen_version, above) in [(seen, true), (wild, false)] {
        let request = cache::PipelineRequest { seen_version, ..batch(vec![op(Op::Put(put("k", "v")))]) };
        send.send(request).await.unwrap();
        let Done::Put(done) = &take(&mut results, 1).await[0] else { panic!() };
        assert_eq!(done.version > seen_version, above);
    }
    assert_eq!(f.server.node.engine.stats().ignored_seen_versions, 1);
}

#[tokio::test]
async fn a_reader_that_stands_still_holds_up_nobody_else_and_no_memory() {
    let f = start().await;
    f.client.put("default", b"m", vec![1; 1 << 20].into(), "").await.unwrap();
    let (send, mut results) = open(&f).await;
    // 200 batches ask for 10 MiB each; nobody reads.
    let ask = batch((0..10).map(|_| op(Op::Get(get("m")))).collect());
    let sender = tokio::spawn(async move {
        for _ in 0..200 {
            send.send(ask.clone()).await.unwrap();
        }
        send
    });
    for _ in 0..50 {
        assert!(f.client.get("default", b"m").await.unwrap().is_some());
    }
    let hits = f.server.node.engine.stats().namespaces[0].hits;
    assert!(hits - 50 <= 40, "{hits}: answers are made only as they are read");
    assert_eq!(take(&mut results, 2_000).await.len(), 2_000);
    sender.await.unwrap();
}
