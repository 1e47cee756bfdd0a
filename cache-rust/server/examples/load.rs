//! Load on a node by gRPC, for `docs/performance.md`: closed loop, bounded in time, every answer checked.
//!
//! ```text
//! load --address HOST:PORT --mode unary|pipeline --pid PID [--seconds 10] [--streams 4] [--batch 64] [--reads 90]
//! load --address HOST:PORT --mode fill --pid PID --entries 1000000
//! ```
//!
//! It prints one JSON object: operations, operations a second, CPU seconds of the process PID (from /proc), and
//! operations per CPU second of it; for `fill` also its resident memory before and after.
#![allow(clippy::unwrap_used, missing_docs)]

use bimetal_contract::cache::operation::Operation as Op;
use bimetal_contract::cache::operation_result::Result as Done;
use bimetal_contract::{Client, cache};
use bytes::Bytes;
use clap::{Parser, ValueEnum};
use std::time::{Duration, Instant};
use tokio_stream::wrappers::ReceiverStream;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Mode {
    Unary,
    Pipeline,
    Fill,
}

#[derive(Debug, Clone, Parser)]
struct Settings {
    #[arg(long)]
    address: String,
    #[arg(long, value_enum)]
    mode: Mode,
    #[arg(long)]
    pid: u32,
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Streams, or callers at once.
    #[arg(long, default_value_t = 4)]
    streams: u64,
    #[arg(long, default_value_t = 64)]
    batch: u64,
    /// Batches that a stream has on the way.
    #[arg(long, default_value_t = 4)]
    ahead: usize,
    /// Per cent of Get; the rest is Put.
    #[arg(long, default_value_t = 90)]
    reads: u64,
    #[arg(long, default_value_t = 100_000)]
    entries: u64,
    #[arg(long, default_value_t = 64)]
    value_bytes: usize,
}

/// 20 bytes.
fn key(i: u64) -> Bytes {
    format!("key:{i:016}").into()
}

fn mix(i: u64) -> u64 {
    let x = i.wrapping_add(0x9e37_79b9_7f4a_7c15).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (x ^ x >> 31).wrapping_mul(0x94d0_49bb_1331_11eb) >> 16
}

fn get(i: u64) -> cache::GetRequest {
    cache::GetRequest { namespace: "default".into(), key: key(i), ..Default::default() }
}

fn put(i: u64, value: &Bytes) -> cache::PutRequest {
    cache::PutRequest { namespace: "default".into(), key: key(i), value: value.clone(), ..Default::default() }
}

fn operation(i: u64, s: &Settings, value: &Bytes) -> cache::Operation {
    let at = mix(i) % s.entries;
    let operation = if mix(i ^ 1 << 40) % 100 < s.reads { Op::Get(get(at)) } else { Op::Put(put(at, value)) };
    cache::Operation { operation: Some(operation), timeout_ms: 0 }
}

fn check(results: &[cache::OperationResult]) {
    for result in results {
        assert!(matches!(&result.result, Some(Done::Get(_) | Done::Put(_))), "{result:?}");
    }
}

/// Sends `batches` and reads their answers; at most `ahead` are on the way.
async fn stream(
    client: &Client,
    ahead: usize,
    mut batches: impl FnMut() -> Option<cache::PipelineRequest>,
) -> u64 {
    let (send, requests) = tokio::sync::mpsc::channel(ahead);
    let mut results = client.cache().pipeline(ReceiverStream::new(requests)).await.unwrap().into_inner();
    let (mut sent, mut done) = (0, 0);
    let mut more = true;
    loop {
        while more && sent - done < (ahead * 1_000) as u64 {
            let Some(batch) = batches() else {
                more = false;
                break;
            };
            sent += batch.operations.len() as u64;
            if sent - done > (ahead * batch.operations.len()) as u64 {
                send.send(batch).await.unwrap();
                break;
            }
            send.send(batch).await.unwrap();
        }
        if sent == done {
            return done;
        }
        let message = results.message().await.unwrap().unwrap();
        check(&message.results);
        done += message.results.len() as u64;
    }
}

/// User and system time of a process, in seconds.
fn cpu(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    // Ticks are a hundredth of a second on every Linux that matters.
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}

fn resident(pid: u32) -> u64 {
    let statm = std::fs::read_to_string(format!("/proc/{pid}/statm")).unwrap();
    statm.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 4_096
}

async fn fill(client: &Client, s: &Settings, value_bytes: usize) -> u64 {
    let value = Bytes::from(vec![b'v'; value_bytes]);
    let mut next = 0;
    stream(client, 4, || {
        let end = (next + 500).min(s.entries);
        let one = |i| cache::Operation { operation: Some(Op::Put(put(i, &value))), timeout_ms: 0 };
        let operations: Vec<_> = (next..end).map(one).collect();
        next = end;
        (!operations.is_empty()).then(|| cache::PipelineRequest { operations, ..Default::default() })
    })
    .await
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let s = Settings::parse();
    let client = Client::connect(&s.address).unwrap();
    if s.mode == Mode::Fill {
        client.put("default", b"warm", "up".into(), "").await.unwrap();
        let (before, started) = (resident(s.pid), Instant::now());
        let done = fill(&client, &s, 32).await;
        let after = resident(s.pid);
        let each = (after - before) as f64 / done as f64;
        println!(
            r#"{{"mode":"fill","entries":{done},"seconds":{:.1},"resident_before":{before},"resident_after":{after},"bytes_per_entry":{each:.1},"over_key_and_value":{:.1}}}"#,
            started.elapsed().as_secs_f64(),
            each - 52.0
        );
        return;
    }
    fill(&client, &s, s.value_bytes).await;
    let end = Instant::now() + Duration::from_secs(s.seconds);
    let (cpu_before, started) = (cpu(s.pid), Instant::now());
    let tasks: Vec<_> = (0..s.streams)
        .map(|n| {
            let (s, client) = (s.clone(), Client::connect(&s.address).unwrap());
            let value = Bytes::from(vec![b'v'; s.value_bytes]);
            tokio::spawn(async move {
                let mut i = n << 32;
                if s.mode == Mode::Unary {
                    let mut cache = client.cache();
                    let mut done = 0;
                    while Instant::now() < end {
                        i += 1;
                        match operation(i, &s, &value).operation.unwrap() {
                            Op::Put(put) => drop(cache.put(put).await.unwrap()),
                            Op::Get(get) => drop(cache.get(get).await.unwrap()),
                            _ => unreachable!(),
                        }
                        done += 1;
                    }
                    return done;
                }
                // Encoding on the client is what limits this; so the batches are made once.
                let ready: Vec<_> = (0..64)
                    .map(|_| {
                        let operations = (0..s.batch).map(|_| {
                            i += 1;
                            operation(i, &s, &value)
                        });
                        cache::PipelineRequest { operations: operations.collect(), ..Default::default() }
                    })
                    .collect();
                let mut at = 0;
                let ahead = s.ahead;
                stream(&client, ahead, || {
                    at += 1;
                    (Instant::now() < end).then(|| ready[at % ready.len()].clone())
                })
                .await
            })
        })
        .collect();
    let mut done = 0;
    for task in tasks {
        done += task.await.unwrap();
    }
    let (seconds, used) = (started.elapsed().as_secs_f64(), cpu(s.pid) - cpu_before);
    println!(
        r#"{{"mode":"{:?}","batch":{},"streams":{},"operations":{done},"per_second":{:.0},"server_cpu_seconds":{used:.2},"per_server_cpu_second":{:.0}}}"#,
        s.mode,
        s.batch,
        s.streams,
        done as f64 / seconds,
        done as f64 / used
    );
}
