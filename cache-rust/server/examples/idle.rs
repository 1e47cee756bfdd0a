//! What an idle connection, Pipeline stream and subscription cost a node of resident memory: the constants of
//! `buffers.rs`.
//!
//! ```text
//! idle --address HOST:PORT --pid PID
//! ```
#![allow(clippy::unwrap_used, missing_docs)]

use bimetal_contract::Client;
use bimetal_contract::cache::{
    PipelineRequest, Subscribe, WatchRequest, operation::Operation as Op, watch_request::Request,
};
use clap::Parser;
use tokio_stream::wrappers::ReceiverStream;

const MANY: usize = 500;

#[derive(Debug, Parser)]
struct Settings {
    #[arg(long)]
    address: String,
    #[arg(long)]
    pid: u32,
}

fn resident(pid: u32) -> usize {
    let statm = std::fs::read_to_string(format!("/proc/{pid}/statm")).unwrap();
    statm.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 4_096
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let s = Settings::parse();
    let one = Client::connect(&s.address).unwrap();
    one.put("default", b"k", "v".into(), "").await.unwrap();
    let before = resident(s.pid);
    let mut clients = vec![];
    for _ in 0..MANY {
        let client = Client::connect(&s.address).unwrap();
        client.get("default", b"k").await.unwrap();
        clients.push(client);
    }
    let connections = resident(s.pid);
    println!("connection: {} bytes", (connections - before) / MANY);
    let mut streams = vec![];
    for _ in 0..MANY {
        let (send, requests) = tokio::sync::mpsc::channel(1);
        let mut results = one.cache().pipeline(ReceiverStream::new(requests)).await.unwrap().into_inner();
        let get = bimetal_contract::cache::GetRequest {
            namespace: "default".into(),
            key: "k".into(),
            ..Default::default()
        };
        let operation = bimetal_contract::cache::Operation { operation: Some(Op::Get(get)), timeout_ms: 0 };
        send.send(PipelineRequest { operations: vec![operation; 64], ..Default::default() }).await.unwrap();
        results.message().await.unwrap();
        streams.push((send, results));
    }
    let pipelines = resident(s.pid);
    println!("Pipeline stream: {} bytes", (pipelines - connections) / MANY);
    let mut watches = vec![];
    for _ in 0..MANY {
        let (send, requests) = tokio::sync::mpsc::channel(1);
        let subscribe = WatchRequest { request: Some(Request::Subscribe(Subscribe::default())) };
        send.send(subscribe).await.unwrap();
        let mut responses = one.cache().watch(ReceiverStream::new(requests)).await.unwrap().into_inner();
        responses.message().await.unwrap();
        watches.push((send, responses));
    }
    println!("subscription: {} bytes", (resident(s.pid) - pipelines) / MANY);
}
