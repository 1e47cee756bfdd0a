//! Drain: readiness first, everything served for the delay, then DRAINING, then the end.

use crate::pipeline::{batch, op, open};
use crate::support::*;
use bimetal_contract::Error;
use bimetal_contract::cache::operation::Operation as Op;
use bimetal_contract::cache::operation_result::Result as Done;
use bimetal_contract::client::with_token;
use bimetal_contract::control::{self as api, ProcessState};
use bimetal_contract::errors::ErrorReason;
use std::time::{Duration, Instant};

#[tokio::test]
async fn under_load_every_accepted_operation_is_answered_and_the_process_ends() {
    let f = start().await;
    let (send, mut results) = open(&f).await;
    let load = tokio::spawn(async move {
        let mut counts = [0u64; 2];
        loop {
            let operations: Vec<_> = (0..100).map(|i| op(Op::Put(put(&i.to_string(), "v")))).collect();
            if send.send(batch(operations)).await.is_err() {
                return (counts, None);
            }
            let mut answered = 0;
            while answered < 100 {
                match results.message().await {
                    Ok(Some(message)) => {
                        for result in message.results {
                            answered += 1;
                            match result.result.unwrap() {
                                Done::Put(_) => counts[0] += 1,
                                Done::Error(e) if e.reason() == ErrorReason::Draining => counts[1] += 1,
                                other => panic!("unexpected: {other:?}"),
                            }
                        }
                    }
                    Ok(None) => return (counts, None),
                    Err(status) => return (counts, Some(Error::from_status(&status, true).reason())),
                }
            }
        }
    });
    let delay = Duration::from_millis(150);
    let begun = Instant::now();
    f.server.drain(delay);
    // Readiness fails at once, and everything is still served.
    let ask = api::DescribeRequest::default();
    let state = f.client.control().describe(ask).await.unwrap().into_inner().state();
    assert_eq!(state, ProcessState::Draining);
    assert!(f.client.put("default", b"still", "served".into(), "").await.is_ok());
    f.server.ended().await.unwrap();
    assert!(begun.elapsed() >= delay && begun.elapsed() < Duration::from_secs(5));
    let (counts, end) = load.await.unwrap();
    assert!(counts[0] > 0, "{counts:?}");
    assert!(counts[1] > 0, "what came after the delay was refused: {counts:?}");
    assert_eq!(end, Some(ErrorReason::Draining));
}

#[tokio::test]
async fn a_drain_can_be_asked_for_by_rpc_and_does_not_wait_for_idle_streams() {
    let f = start().await;
    let (_send, mut results) = open(&f).await;
    let delay = Some(bimetal_cache::convert::duration(0));
    f.client.control().drain(with_token(api::DrainRequest { delay }, TOKEN)).await.unwrap();
    f.server.ended().await.unwrap();
    assert_eq!(reason(results.message().await), ErrorReason::Draining);
}

#[tokio::test]
async fn a_stream_that_does_not_end_is_cut_at_the_drain_time_out() {
    let f = start_with(|flags| flags.drain_timeout = Some("300ms".into())).await;
    // A reader that stands still with answers outstanding.
    f.client.put("default", b"m", vec![1; 1 << 20].into(), "").await.unwrap();
    let (send, _results) = open(&f).await;
    send.send(batch((0..100).map(|_| op(Op::Get(get("m")))).collect())).await.unwrap();
    eventually("the batch is begun", || async { f.server.node.engine.stats().namespaces[0].hits > 0 }).await;
    f.server.drain(Duration::ZERO);
    let failure = f.server.ended().await.unwrap_err();
    assert_eq!(failure.code(), 1);
}
