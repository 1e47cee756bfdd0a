//! What connections and batches hold counts against the limit, and is bounded.

use crate::pipeline::{batch, op};
use crate::process::Running;
use crate::support::*;
use bimetal_cache::buffers::{CONNECTION_BYTES, STREAM_BYTES};
use bimetal_contract::cache::operation::Operation as Op;
use bimetal_contract::cache::{self, PipelineRequest};
use bimetal_contract::client::with_token;
use bimetal_contract::control::StatsRequest;
use bimetal_contract::{Client, errors::ErrorReason};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio_stream::wrappers::ReceiverStream;

const MIB: usize = 1 << 20;

fn resident(pid: u64) -> usize {
    let statm = std::fs::read_to_string(format!("/proc/{pid}/statm")).unwrap();
    statm.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 4_096
}

/// 15 values of 1 MiB.
fn large_batch(from: usize) -> PipelineRequest {
    let value = bytes::Bytes::from(vec![b'v'; MIB]);
    batch((from..from + 15).map(|i| op(Op::Put(put(&i.to_string(), value.clone())))).collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_streams_of_large_batches_stay_within_the_limit_and_the_stated_margin() {
    let limit = 128 * MIB;
    let node = Running::start(&["--memory-limit", "128MiB", "--run-token", TOKEN]);
    let (pid, address) = (node.pid(), node.grpc().to_owned());
    let clients: Vec<_> = (0..4).map(|_| Client::connect(&address).unwrap()).collect();
    let done = Arc::new(AtomicBool::new(false));
    let watcher = {
        let (done, client) = (Arc::clone(&done), clients[0].clone());
        tokio::spawn(async move {
            let (mut most, mut buffers) = (0, 0);
            while !done.load(Ordering::Relaxed) {
                most = most.max(resident(pid));
                let stats =
                    client.control().stats(with_token(StatsRequest {}, TOKEN)).await.unwrap().into_inner();
                let entries: u64 = stats.namespaces.iter().map(|n| n.bytes).sum();
                buffers = buffers.max(stats.memory_used_bytes.saturating_sub(entries));
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            (most, buffers)
        })
    };
    let streams: Vec<_> = (0..24)
        .map(|n| {
            let client = clients[n % clients.len()].clone();
            tokio::spawn(async move {
                let (send, requests) = tokio::sync::mpsc::channel(1);
                let mut results =
                    client.cache().pipeline(ReceiverStream::new(requests)).await.unwrap().into_inner();
                for round in 0..2 {
                    send.send(large_batch((n * 2 + round) * 15)).await.unwrap();
                    crate::pipeline::take(&mut results, 15).await;
                }
            })
        })
        .collect();
    for stream in streams {
        stream.await.unwrap();
    }
    done.store(true, Ordering::Relaxed);
    let (most, buffers) = watcher.await.unwrap();
    // docs/operations.md: 16 MiB, a tenth of the limit, and 256 KiB for each stream that waits to be read.
    let margin = 16 * MIB + limit / 10 + 24 * MIB / 4;
    println!("{} MiB resident at most, {} MiB in buffers at most", most / MIB, buffers as usize / MIB);
    assert!(most <= limit + margin, "{} MiB resident", most / MIB);
    assert!(buffers as usize >= 15 * MIB, "the buffers are counted: {buffers}");
}

#[tokio::test]
async fn connections_and_streams_are_counted_while_they_live() {
    let f = start().await;
    f.client.get("default", b"k").await.unwrap();
    let before = f.server.node.engine.buffer_bytes();
    let other = Client::connect(&f.server.grpc.to_string()).unwrap();
    let (send, requests) = tokio::sync::mpsc::channel::<PipelineRequest>(1);
    let results = other.cache().pipeline(ReceiverStream::new(requests)).await.unwrap();
    assert_eq!(f.server.node.engine.buffer_bytes(), before + CONNECTION_BYTES + STREAM_BYTES);
    drop((send, results, other));
    eventually("all is given back", || async { f.server.node.engine.buffer_bytes() == before }).await;
}

#[tokio::test]
async fn a_batch_larger_than_the_bound_is_answered_and_gives_back_what_it_held() {
    let f = start_with(|flags| flags.memory_limit = Some("24MiB".into())).await;
    let (send, mut results) = crate::pipeline::open(&f).await;
    for round in 0..3 {
        send.send(large_batch(round * 15)).await.unwrap();
        crate::pipeline::take(&mut results, 15).await;
    }
    drop((send, results));
    eventually("all is given back", || async { f.server.node.engine.buffer_bytes() <= CONNECTION_BYTES })
        .await;
    f.server.node.engine.audit().unwrap();
}

#[tokio::test]
async fn while_readers_that_stand_still_hold_all_of_it_a_large_batch_is_refused_in_time() {
    let f = start_with(|flags| flags.memory_limit = Some("8MiB".into())).await;
    f.client.put("default", b"m", vec![1; MIB / 2].into(), "").await.unwrap();
    let mut held = vec![];
    for _ in 0..8 {
        let (send, results) = crate::pipeline::open(&f).await;
        let ask = (0..100).map(|_| op(Op::Get(get("m")))).collect();
        send.send(batch(ask)).await.unwrap();
        held.push((send, results));
    }
    eventually("they hold more than the bound", || async { f.server.node.engine.buffer_bytes() > 2 * MIB })
        .await;
    let waits = || async { f.server.node.metrics.buffer_waits.get() > 0 };
    eventually("somebody waits", waits).await;
    let other = Client::connect(&f.server.grpc.to_string()).unwrap();
    let request = cache::PutRequest { value: vec![0; MIB].into(), ..put("late", "") };
    let refused = tokio::time::timeout(Duration::from_secs(8), other.cache().put(request)).await.unwrap();
    assert_eq!(reason(refused), ErrorReason::Overloaded);
    drop(held);
    let back = || async { f.server.node.engine.buffer_bytes() <= 3 * CONNECTION_BYTES };
    eventually("what they held is given back", back).await;
    other.put("default", b"k", vec![0; MIB].into(), "").await.unwrap();
}
