//! Hand-overs broken at every stage: one process goes on, or none; never two; and nothing acknowledged is lost.

use crate::hand_over::{Caller, Load, caught_up, new, old, set_topology, state, topology};
use crate::process::Running;
use crate::support::*;
use bimetal_contract::control::{self as api, ProcessState};
use bimetal_contract::errors::ErrorReason;
use bimetal_contract::{Client, Error, cache};
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};

async fn fill(client: &Client, mebibytes: usize) {
    for i in 0..mebibytes {
        client.put("default", format!("fill-{i}").as_bytes(), vec![5; 1 << 20].into(), "").await.unwrap();
    }
}

/// What a process says of itself, if it says anything.
async fn asked(node: &Running) -> Option<ProcessState> {
    let client = Client::connect(node.grpc()).unwrap();
    let limit = Duration::from_millis(500);
    let mut control = client.control();
    let answer = tokio::time::timeout(limit, control.describe(api::DescribeRequest::default())).await;
    answer.ok()?.ok().map(|answer| answer.into_inner().state())
}

fn take_over(node: &Running, epoch: u64) -> tokio::task::JoinHandle<Result<(), Error>> {
    let (client, topology) = (Client::connect(node.grpc()).unwrap(), topology(epoch, node.grpc()));
    tokio::spawn(async move { set_topology(&client, topology).await })
}

/// As [`Running::wait`], with the time that a silent peer may take.
async fn exits(node: &mut Running) -> Option<i32> {
    let started = Instant::now();
    loop {
        if let Some(status) = node.child.try_wait().unwrap() {
            return status.code();
        }
        assert!(started.elapsed() < Duration::from_secs(15), "it does not end:\n{}", node.log());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_new_process_dies_while_it_catches_up_or_stands_ready_and_the_old_one_goes_on() {
    let at = old(&[]).await;
    fill(&Client::connect(at.grpc()).unwrap(), 8).await;
    let load = Load::start(at.grpc());
    // In the midst of the walk.
    let mut next = new(&at, &["--hand-over-rate", "4MiB"]);
    eventually("some blocks are there", || async { asked(&next).await == Some(ProcessState::CatchingUp) })
        .await;
    next.signal("KILL");
    next.wait();
    load.some_more().await;
    // Caught up. A second one may begin as soon as the old one has noticed.
    let again = || async {
        let started = Running::try_start(&["--run-token", TOKEN, "--hand-over-from", at.grpc()]);
        let Ok(mut next) = started else { return false };
        caught_up(&next).await;
        next.signal("KILL");
        next.wait();
        true
    };
    eventually("another may begin", again).await;
    load.some_more().await;
    eventually("the old one serves", || async { asked(&at).await == Some(ProcessState::Serving) }).await;
    load.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_old_process_dies_while_it_gives_and_the_new_one_ends_with_a_sentence() {
    let mut at = old(&[]).await;
    fill(&Client::connect(at.grpc()).unwrap(), 8).await;
    let mut next = new(&at, &["--hand-over-rate", "4MiB"]);
    at.signal("KILL");
    at.wait();
    assert_eq!(exits(&mut next).await, Some(5));
    let mut at = old(&[]).await;
    let mut next = new(&at, &[]);
    caught_up(&next).await;
    at.signal("KILL");
    at.wait();
    assert_eq!(exits(&mut next).await, Some(5));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_old_process_is_given_up_and_goes_on_when_it_continues() {
    let at = old(&[]).await;
    let client = Client::connect(at.grpc()).unwrap();
    client.put("default", b"k", "v".into(), "").await.unwrap();
    let mut next = new(&at, &[]);
    caught_up(&next).await;
    at.signal("STOP");
    let taking = take_over(&next, 2);
    assert_eq!(exits(&mut next).await, Some(5));
    assert!(taking.await.unwrap().is_err());
    at.signal("CONT");
    eventually("it serves", || async { asked(&at).await == Some(ProcessState::Serving) }).await;
    assert!(client.get("default", b"k").await.unwrap().is_some());
}

/// Ends or stops one of the two at some moment around the cut, and sees who is left.
async fn around_the_cut(victim: usize, signal: &str, delay: Duration) -> &'static str {
    let at = old(&[]).await;
    let caller = Caller::new(at.grpc());
    let mut written = 0;
    for _ in 0..20 {
        written = caller.increment("n").await.value;
    }
    // 50 ms each way: take at 50, done at 100, the last acknowledgement at 150, the end of the stream at 200.
    let (address, _wire) = wire(at.grpc().to_owned(), Duration::from_millis(50)).await;
    let next = Running::start(&["--run-token", TOKEN, "--drain-delay", "0", "--hand-over-from", &address]);
    caught_up(&next).await;
    let taking = take_over(&next, 2);
    tokio::time::sleep(delay).await;
    [&at, &next][victim].signal(signal);
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    if signal == "STOP" {
        // The other one must not think that it is alone with what the stopped one has.
        [&at, &next][victim].signal("CONT");
    }
    let _ = taking.await.unwrap();
    let [mut at, mut next] = [at, next];
    let started = Instant::now();
    let left = loop {
        let ended = [&mut at, &mut next].map(|node| node.child.try_wait().unwrap().is_some());
        // The new one first: if that serves, the old one has let go before.
        let after = asked(&next).await;
        let states = [asked(&at).await, after];
        let serving = states.iter().filter(|state| **state == Some(ProcessState::Serving)).count();
        assert!(serving <= 1, "two owners: {states:?}");
        let settled = |(ended, state): (bool, &Option<ProcessState>)| {
            ended || matches!(state, Some(ProcessState::Serving | ProcessState::HandedOver))
        };
        if ended.into_iter().zip(&states).all(settled) {
            break states;
        }
        assert!(started.elapsed() < Duration::from_secs(20), "{states:?}\n{}", next.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    // Nobody serves only if the owner was killed: the old one, or the new one after the old one had let go.
    let let_go = left[0] == Some(ProcessState::HandedOver);
    let killed = signal == "KILL" && (victim == 0 || let_go);
    let given_up = signal == "STOP" && victim == 0 && let_go;
    assert!(killed || given_up || left.contains(&Some(ProcessState::Serving)), "{left:?}\n{}", next.log());
    let find = |state: ProcessState| left.iter().position(|s| *s == Some(state));
    match find(ProcessState::Serving) {
        Some(who) => {
            let client = Client::connect([&at, &next][who].grpc()).unwrap();
            let found = client.get("default", b"n").await.unwrap().expect("what was acknowledged is there");
            assert_eq!(String::from_utf8(found.value.to_vec()).unwrap(), written.to_string());
            ["old", "new"][who]
        }
        None => "none",
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_around_the_cut_there_are_never_two_owners() {
    let mut outcomes = std::collections::BTreeMap::new();
    for (victim, signal) in [(0, "KILL"), (1, "KILL"), (0, "STOP"), (1, "STOP")] {
        let delays = [0, 30, 75, 125, 140, 160, 175, 220].map(Duration::from_millis);
        let runs = delays.map(|delay| around_the_cut(victim, signal, delay));
        for who in futures::future::join_all(runs).await {
            *outcomes.entry((victim, signal, who)).or_insert(0) += 1;
        }
    }
    println!("{outcomes:?}");
}

/// Passes bytes on, each way with a delay, until it is aborted.
async fn wire(to: String, delay: Duration) -> (String, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let task = tokio::spawn(async move {
        let mut pairs = tokio::task::JoinSet::new();
        loop {
            let (a, _) = listener.accept().await.unwrap();
            let Ok(b) = TcpStream::connect(&to).await else { continue };
            let ((a_in, a_out), (b_in, b_out)) = (a.into_split(), b.into_split());
            pairs.spawn(carry(a_in, b_out, delay));
            pairs.spawn(carry(b_in, a_out, delay));
        }
    });
    (address, task)
}

/// What comes in goes out after the delay, as much as there is on the way.
async fn carry(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    delay: Duration,
) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (send, mut receive) = tokio::sync::mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    let reading = async move {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(length @ 1..) = from.read(&mut buffer).await {
            let _ = send.send((Instant::now() + delay, buffer[..length].to_vec()));
        }
    };
    let writing = async move {
        while let Some((at, bytes)) = receive.recv().await {
            tokio::time::sleep_until(at.into()).await;
            if to.write_all(&bytes).await.is_err() {
                return;
            }
        }
    };
    tokio::join!(reading, writing);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_cut_costs_the_new_process_alone() {
    let at = old(&[]).await;
    fill(&Client::connect(at.grpc()).unwrap(), 4).await;
    let load = Load::start(at.grpc());
    for wait_until_caught_up in [false, true] {
        let (address, wire) = wire(at.grpc().to_owned(), Duration::ZERO).await;
        let begin = || async {
            let rate = if wait_until_caught_up { "0" } else { "2MiB" };
            let arguments = ["--run-token", TOKEN, "--hand-over-from", &address, "--hand-over-rate", rate];
            Running::try_start(&arguments).ok()
        };
        let mut next = None;
        let started = Instant::now();
        while next.is_none() {
            assert!(started.elapsed() < Duration::from_secs(5));
            next = begin().await;
        }
        let mut next = next.unwrap();
        if wait_until_caught_up {
            caught_up(&next).await;
        }
        wire.abort();
        assert_eq!(exits(&mut next).await, Some(5));
        load.some_more().await;
    }
    assert_eq!(asked(&at).await, Some(ProcessState::Serving));
    load.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_entries_go_over_with_the_memory_full() {
    let limit = ["--memory-limit", "64MiB"];
    let at = old(&limit).await;
    let client = Client::connect(at.grpc()).unwrap();
    for i in 0..20 {
        let request =
            cache::PutRequest { namespace: "large".into(), ..put(&format!("l{i}"), vec![i as u8; 8 << 20]) };
        client.cache().put(request).await.unwrap();
    }
    for i in 0..20_000 {
        if i % 100 == 0 {
            client.put("default", format!("s{i}").as_bytes(), vec![1; 900].into(), "").await.unwrap();
        }
    }
    let next = new(&at, &limit);
    caught_up(&next).await;
    take_over(&next, 2).await.unwrap().unwrap();
    let client = Client::connect(next.grpc()).unwrap();
    let mut found = 0;
    for i in 0..20 {
        let request = cache::GetRequest { namespace: "large".into(), ..get(&format!("l{i}")) };
        let answer = client.cache().get(request).await.unwrap().into_inner();
        if let Some(cache::get_response::Result::Entry(entry)) = answer.result {
            assert!(entry.value == vec![i as u8; 8 << 20]);
            found += 1;
        }
    }
    assert!(found >= 4, "{found} of 8 MiB each of a limit of 64 MiB");
    assert_eq!(state(&next).await, ProcessState::Serving);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operation_whose_time_is_over_while_it_is_held_is_not_begun() {
    use crate::pipeline::{batch, take};
    use cache::{operation::Operation as Op, operation_result::Result as Done};
    let at = old(&[]).await;
    let next = new(&at, &[]);
    caught_up(&next).await;
    let client = Client::connect(at.grpc()).unwrap();
    let (send, requests) = tokio::sync::mpsc::channel(4);
    let requests = tokio_stream::wrappers::ReceiverStream::new(requests);
    let mut results = client.cache().pipeline(requests).await.unwrap().into_inner();
    // Stopped, the new one acknowledges nothing: the old one holds for its second, and goes on.
    let taking = take_over(&next, 2);
    let mut seen = false;
    let started = Instant::now();
    while !seen && started.elapsed() < Duration::from_secs(3) {
        next.signal("STOP");
        for (name, timeout_ms) in [("soon", 50), ("late", 5_000)] {
            let operation = cache::Operation { operation: Some(Op::Put(put(name, "v"))), timeout_ms };
            send.send(batch(vec![operation])).await.unwrap();
        }
        let done = [take(&mut results, 1).await.remove(0), take(&mut results, 1).await.remove(0)];
        seen = matches!(&done[0], Done::Error(e) if e.reason() == ErrorReason::DeadlineExceeded);
        assert!(
            seen || !matches!(done[0], Done::Error(_))
                || matches!(&done[0], Done::Error(e) if e.reason() == ErrorReason::WrongNode)
        );
        if matches!(&done[0], Done::Error(e) if e.reason() == ErrorReason::WrongNode) {
            // It was quicker than the stop: that is a hand-over like any other.
            break;
        }
        assert!(matches!(done[1], Done::Put(_)), "what waited is executed when the hold ends: {:?}", done[1]);
    }
    next.signal("CONT");
    let _ = taking.await.unwrap();
}
