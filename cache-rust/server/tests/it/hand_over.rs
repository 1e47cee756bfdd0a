//! Hand-over between two real processes: under load, broken at every stage, with watchers.

use crate::process::Running;
use crate::support::*;
use bimetal_contract::cache::{
    self, get_response, operation::Operation as Op, operation_result::Result as Done,
};
use bimetal_contract::client::with_token;
use bimetal_contract::control::{self as api, ProcessState};
use bimetal_contract::errors::ErrorReason;
use bimetal_contract::{Client, Error};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Mutex;
use tokio_stream::wrappers::ReceiverStream;

const LARGE: &str = r#"[{"name":"large","maxValueBytes":"8388608"}]"#;

pub fn topology(epoch: u64, address: &str) -> api::Topology {
    let node = |name: &str, tag, address: &str| api::Node { name: name.into(), tag, address: address.into() };
    api::Topology { epoch, nodes: vec![node("cache-0", 1, address)] }
}

/// An old process that serves, with topology 1.
pub async fn old(more: &[&str]) -> Running {
    let node = Running::start(
        &[&["--run-token", TOKEN, "--drain-delay", "0", "--namespaces", LARGE], more].concat(),
    );
    let client = Client::connect(node.grpc()).unwrap();
    set_topology(&client, topology(1, node.grpc())).await.unwrap();
    node
}

/// A new process that receives from `old`.
pub fn new(old: &Running, more: &[&str]) -> Running {
    let arguments = ["--run-token", TOKEN, "--drain-delay", "0", "--hand-over-from", old.grpc()];
    Running::start(&[&arguments, more].concat())
}

pub async fn set_topology(client: &Client, topology: api::Topology) -> Result<(), Error> {
    let request = with_token(api::SetTopologyRequest { topology: Some(topology) }, TOKEN);
    client.control().set_topology(request).await.map(drop).map_err(|s| Error::from_status(&s, true))
}

pub async fn state(node: &Running) -> ProcessState {
    let client = Client::connect(node.grpc()).unwrap();
    client.control().describe(api::DescribeRequest::default()).await.unwrap().into_inner().state()
}

pub async fn caught_up(node: &Running) {
    eventually("it has caught up", || async { state(node).await == ProcessState::CaughtUp }).await;
}

async fn take_over(node: &Running, epoch: u64) -> Result<(), Error> {
    set_topology(&Client::connect(node.grpc()).unwrap(), topology(epoch, node.grpc())).await
}

/// Follows the node as a gateway does: WRONG_NODE sends it to Describe, and from there to the new address.
#[derive(Clone)]
pub struct Caller(Arc<Mutex<(String, Client)>>);

impl Caller {
    pub fn new(address: &str) -> Self {
        Self(Arc::new(Mutex::new((address.into(), Client::connect(address).unwrap()))))
    }

    async fn client(&self) -> Client {
        self.0.lock().await.1.clone()
    }

    async fn refresh(&self) {
        let mut at = self.0.lock().await;
        let answer = at.1.control().describe(api::DescribeRequest::default()).await.unwrap().into_inner();
        let address = answer.topology.unwrap().nodes.remove(0).address;
        if address != at.0 {
            *at = (address.clone(), Client::connect(&address).unwrap());
        }
    }

    /// Sends once more on WRONG_NODE; every other error is the test's failure.
    pub async fn increment(&self, key: &str) -> cache::IncrementResponse {
        for _ in 0..3 {
            let request = cache::IncrementRequest {
                namespace: "default".into(),
                key: self::key(key),
                delta: 1,
                ..Default::default()
            };
            match self.client().await.cache().increment(request).await {
                Ok(done) => return done.into_inner(),
                Err(status) => {
                    let error = Error::from_status(&status, true);
                    assert_eq!(error.reason(), ErrorReason::WrongNode, "{status:?}");
                    self.refresh().await;
                }
            }
        }
        panic!("WRONG_NODE again and again")
    }

    /// A Pipeline of increments; a stream that ends is opened anew.
    async fn batch(&self, keys: &[String]) -> Vec<cache::IncrementResponse> {
        let mut left: Vec<_> = keys.to_vec();
        let mut all = vec![];
        for _ in 0..5 {
            let operations = left.iter().map(|key| {
                let request = cache::IncrementRequest {
                    namespace: "default".into(),
                    key: self::key(key),
                    delta: 1,
                    ..Default::default()
                };
                cache::Operation { operation: Some(Op::Increment(request)), timeout_ms: 5_000 }
            });
            let request = cache::PipelineRequest { operations: operations.collect(), ..Default::default() };
            let (send, requests) = tokio::sync::mpsc::channel(1);
            let mut results = self
                .client()
                .await
                .cache()
                .pipeline(ReceiverStream::new(requests))
                .await
                .unwrap()
                .into_inner();
            send.send(request).await.unwrap();
            let mut wrong = vec![];
            let mut at = 0;
            while at < left.len() {
                for result in results.message().await.unwrap().unwrap().results {
                    match result.result.unwrap() {
                        Done::Increment(done) => all.push(done),
                        Done::Error(error) if error.reason() == ErrorReason::WrongNode => {
                            wrong.push(left[at].clone());
                        }
                        other => panic!("unexpected: {other:?}"),
                    }
                    at += 1;
                }
            }
            if wrong.is_empty() {
                return all;
            }
            left = wrong;
            self.refresh().await;
        }
        panic!("WRONG_NODE again and again")
    }
}

/// Constant load, and what it was answered.
pub struct Load {
    stop: Arc<AtomicBool>,
    caller: Caller,
    acknowledged: Arc<AtomicU64>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    pub fn start(address: &str) -> Self {
        let (stop, caller) = (Arc::new(AtomicBool::new(false)), Caller::new(address));
        let acknowledged = Arc::new(AtomicU64::new(0));
        let mut tasks = vec![];
        for n in 0..4 {
            let (stop, caller, acknowledged) = (Arc::clone(&stop), caller.clone(), Arc::clone(&acknowledged));
            tasks.push(tokio::spawn(async move {
                let mut last = HashMap::new();
                let own: Vec<_> = (0..10).map(|i| format!("own-{n}-{i}")).collect();
                let mut round = 0u64;
                while !stop.load(Ordering::Relaxed) {
                    round += 1;
                    let done = caller.increment("shared").await;
                    let before = last.insert("shared".to_owned(), done.version).unwrap_or(0);
                    assert!(done.version > before, "versions grow");
                    acknowledged.fetch_add(1, Ordering::Relaxed);
                    // Nobody else writes these, so each answer is known.
                    for (key, done) in own.iter().zip(caller.batch(&own).await) {
                        assert_eq!(done.value as u64, round, "{key}: a write is lost, or done twice");
                        let before = last.insert(key.clone(), done.version).unwrap_or(0);
                        assert!(done.version > before, "versions grow");
                    }
                }
            }));
        }
        Self { stop, caller, acknowledged, tasks }
    }

    pub async fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.unwrap();
        }
        let acknowledged = self.acknowledged.load(Ordering::Relaxed);
        let found = self.caller.client().await.get("default", b"shared").await.unwrap().unwrap();
        assert_eq!(String::from_utf8(found.value.to_vec()).unwrap(), acknowledged.to_string());
    }

    pub async fn some_more(&self) {
        let before = self.acknowledged.load(Ordering::Relaxed);
        eventually("the load goes on", || async { self.acknowledged.load(Ordering::Relaxed) > before + 20 })
            .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_moves_from_process_to_process_under_load_and_no_write_is_lost() {
    let mut at = old(&[]).await;
    let load = Load::start(at.grpc());
    let client = Client::connect(at.grpc()).unwrap();
    for i in 0..2_000 {
        client
            .put("default", format!("filler-{i}").as_bytes(), vec![1; 500].into(), "text/plain")
            .await
            .unwrap();
    }
    let large = cache::PutRequest { namespace: "large".into(), ..put("8 MiB", vec![9; 8 << 20]) };
    client.cache().put(large).await.unwrap();
    client.cache().put(cache::PutRequest { ttl: relative(3_600_000), ..put("mortal", "x") }).await.unwrap();
    let incarnation =
        client.control().describe(api::DescribeRequest::default()).await.unwrap().into_inner().incarnation;
    for epoch in 2..5 {
        load.some_more().await;
        let next = new(&at, &[]);
        caught_up(&next).await;
        assert_eq!(
            reason(Client::connect(next.grpc()).unwrap().cache().get(get("k")).await),
            ErrorReason::NodeUnavailable
        );
        take_over(&next, epoch).await.unwrap();
        assert_eq!((state(&at).await, state(&next).await), (ProcessState::HandedOver, ProcessState::Serving));
        load.some_more().await;
        at.signal("TERM");
        assert_eq!(at.wait().code(), Some(0));
        at = next;
    }
    load.end().await;
    let client = Client::connect(at.grpc()).unwrap();
    let described = client.control().describe(api::DescribeRequest::default()).await.unwrap().into_inner();
    assert_eq!(described.incarnation, incarnation);
    for i in 0..2_000 {
        let entry = client.get("default", format!("filler-{i}").as_bytes()).await.unwrap().unwrap();
        assert_eq!((entry.value.len(), entry.content_type.as_str()), (500, "text/plain"));
    }
    let large = cache::GetRequest { namespace: "large".into(), ..get("8 MiB") };
    let Some(get_response::Result::Entry(large)) =
        client.cache().get(large).await.unwrap().into_inner().result
    else {
        panic!("the large entry is lost")
    };
    assert!(large.value == vec![9; 8 << 20]);
    let mortal = client.get("default", b"mortal").await.unwrap().unwrap().remaining_ttl.unwrap();
    assert!((3_500..=3_600).contains(&mortal.seconds), "{mortal:?}");
}

#[tokio::test]
async fn a_watcher_resumes_at_the_new_process_without_gap_or_reset() {
    use cache::{Subscribe, WatchRequest, watch_request::Request, watch_response::Response};
    let old = old(&[]).await;
    let client = Client::connect(old.grpc()).unwrap();
    let open = async |client: &Client, position| {
        let subscribe = Subscribe { position, ..Subscribe::default() };
        let (send, requests) = tokio::sync::mpsc::channel(1);
        send.send(WatchRequest { request: Some(Request::Subscribe(subscribe)) }).await.unwrap();
        (send, client.cache().watch(ReceiverStream::new(requests)).await.unwrap().into_inner())
    };
    let (_send, mut events) = open(&client, None).await;
    let writer = tokio::spawn({
        let caller = Caller::new(old.grpc());
        async move {
            let mut versions = vec![];
            for i in 0..600 {
                versions.push(caller.increment(&format!("k{}", i % 7)).await.version);
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            versions
        }
    });
    let next = new(&old, &[]);
    caught_up(&next).await;
    take_over(&next, 2).await.unwrap();
    let (mut seen, mut position) = (vec![], None);
    let status = loop {
        match events.message().await {
            Ok(Some(message)) => match message.response.unwrap() {
                Response::Subscribed(subscribed) => position = Some(subscribed.position),
                Response::Events(some) => {
                    seen.extend(some.events.iter().map(|e| e.version));
                    position = Some(some.position);
                }
                Response::Heartbeat(beat) => position = Some(beat.position),
                Response::Reset(_) => panic!("a reset"),
            },
            Ok(None) => panic!("it ended well"),
            Err(status) => break status,
        }
    };
    assert_eq!(Error::from_status(&status, true).reason(), ErrorReason::Draining);
    let mut versions = writer.await.unwrap();
    let before = seen.len();
    let (_send, mut events) = open(&Client::connect(next.grpc()).unwrap(), position).await;
    while seen.len() < versions.len() {
        match events.message().await.unwrap().unwrap().response.unwrap() {
            Response::Events(some) => seen.extend(some.events.iter().map(|e| e.version)),
            Response::Reset(reset) => panic!("a reset: {}", reset.message),
            _ => {}
        }
    }
    assert!(before > 0 && before < versions.len(), "{before}");
    seen.sort_unstable();
    versions.sort_unstable();
    assert_eq!(seen, versions);
}

#[tokio::test]
async fn what_does_not_fit_is_refused_and_the_old_process_goes_on() {
    let old = old(&[]).await;
    let started = Instant::now();
    let fails = |instance: &str, token: &str, from: &str| {
        let arguments = ["--instance", instance, "--run-token", token, "--hand-over-from", from];
        Running::try_start(&arguments).err().unwrap().code()
    };
    assert_eq!(fails("cache-9", TOKEN, old.grpc()), Some(5));
    assert_eq!(fails("cache-0", "guess", old.grpc()), Some(5));
    assert_eq!(fails("cache-0", TOKEN, "127.0.0.1:1"), Some(5));
    let first = new(&old, &[]);
    caught_up(&first).await;
    assert_eq!(fails("cache-0", TOKEN, old.grpc()), Some(5), "one at a time");
    // A topology that changes more than the address.
    let mut wrong = topology(2, first.grpc());
    wrong.nodes.push(api::Node { name: "cache-1".into(), tag: 2, address: "127.0.0.1:1".into() });
    let client = Client::connect(first.grpc()).unwrap();
    let refused = set_topology(&client, wrong).await.unwrap_err();
    assert!(
        matches!(refused.reason(), ErrorReason::HandOverFailed | ErrorReason::InvalidArgument),
        "{refused}"
    );
    assert_eq!(state(&old).await, ProcessState::Serving);
    Client::connect(old.grpc()).unwrap().put("default", b"k", "v".into(), "").await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(20));
}
