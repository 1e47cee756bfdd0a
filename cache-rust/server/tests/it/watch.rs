//! Watch: events, resuming, resets, heartbeats.

use crate::support::*;
use bimetal_contract::cache::{
    self, EventKind, Subscribe, Tick, WatchRequest, watch_request::Request, watch_response::Response,
};
use bimetal_contract::errors::ErrorReason;
use bytes::Bytes;
use tokio::sync::mpsc::Sender;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

struct Watching {
    send: Sender<WatchRequest>,
    responses: Streaming<cache::WatchResponse>,
}

impl Watching {
    async fn open(f: &Fixture, subscribe: Subscribe) -> Self {
        let (send, requests) = tokio::sync::mpsc::channel(64);
        send.send(WatchRequest { request: Some(Request::Subscribe(subscribe)) }).await.unwrap();
        let responses = f.client.cache().watch(ReceiverStream::new(requests)).await.unwrap().into_inner();
        Self { send, responses }
    }

    async fn next(&mut self) -> Response {
        let limit = std::time::Duration::from_secs(5);
        let message = tokio::time::timeout(limit, self.responses.message()).await.unwrap();
        message.unwrap().unwrap().response.unwrap()
    }

    async fn subscribed(&mut self) -> Bytes {
        match self.next().await {
            Response::Subscribed(subscribed) => subscribed.position,
            other => panic!("not subscribed: {other:?}"),
        }
    }

    async fn tick(&self, monotonic_ns: u64) {
        let request = WatchRequest { request: Some(Request::Tick(Tick { monotonic_ns })) };
        self.send.send(request).await.unwrap();
    }

    /// The events up to the heartbeat that echoes `tick`, and the last position.
    async fn events_up_to(&mut self, tick: u64) -> (Vec<cache::Event>, Bytes) {
        let mut all = vec![];
        loop {
            match self.next().await {
                Response::Events(events) => all.extend(events.events),
                Response::Heartbeat(beat) if beat.tick_monotonic_ns == tick => return (all, beat.position),
                Response::Heartbeat(_) => {}
                other => panic!("unexpected: {other:?}"),
            }
        }
    }
}

fn subscribe() -> Subscribe {
    Subscribe { prefix: key("k"), ..Subscribe::default() }
}

#[tokio::test]
async fn a_heartbeat_stands_behind_every_event_of_writes_that_were_answered_before_its_tick() {
    let f = start().await;
    let mut watching = Watching::open(&f, Subscribe { include_values: true, ..subscribe() }).await;
    watching.subscribed().await;
    for round in 1..=200u64 {
        let value = round.to_string();
        f.client.put("default", b"k", value.clone().into(), "text/plain").await.unwrap();
        watching.tick(round).await;
        let (events, _) = watching.events_up_to(round).await;
        assert_eq!(events.len(), 1, "round {round}");
        assert_eq!((events[0].kind(), events[0].value.as_deref()), (EventKind::Put, Some(value.as_bytes())));
        assert_eq!((events[0].content_type.as_str(), events[0].size), ("text/plain", value.len() as u64));
    }
}

#[tokio::test]
async fn a_subscription_resumes_where_it_ended_without_gap_or_repetition() {
    let f = start().await;
    let mut watching = Watching::open(&f, subscribe()).await;
    let start = watching.subscribed().await;
    let mut written = vec![];
    for i in 0..50 {
        written.push(f.client.put("default", format!("k{i}").as_bytes(), "v".into(), "").await.unwrap());
    }
    f.client.put("default", b"other", "v".into(), "").await.unwrap();
    watching.tick(1).await;
    let (first, position) = watching.events_up_to(1).await;
    drop(watching);
    for i in 50..100 {
        written.push(f.client.put("default", format!("k{i}").as_bytes(), "v".into(), "").await.unwrap());
    }
    let mut again = Watching::open(&f, Subscribe { position: Some(position.clone()), ..subscribe() }).await;
    assert_eq!(again.subscribed().await, position);
    again.tick(1).await;
    let (second, _) = again.events_up_to(1).await;
    let mut seen: Vec<_> = first.iter().chain(&second).map(|e| e.version).collect();
    seen.sort_unstable();
    written.sort_unstable();
    assert_eq!(seen, written);
    assert_eq!((first.len(), second.len()), (50, 50));
    let mut all = Watching::open(&f, Subscribe { position: Some(start), ..subscribe() }).await;
    all.subscribed().await;
    all.tick(1).await;
    assert_eq!(all.events_up_to(1).await.0.len(), 100);
}

#[tokio::test]
async fn an_unknown_position_is_answered_by_reset() {
    let f = start().await;
    for position in [&b"nonsense"[..], &[9; 40]] {
        let position = Some(Bytes::from_static(position));
        let mut watching = Watching::open(&f, Subscribe { position, ..subscribe() }).await;
        watching.subscribed().await;
        assert!(matches!(watching.next().await, Response::Reset(_)));
        f.client.put("default", b"k", "v".into(), "").await.unwrap();
        watching.tick(1).await;
        assert_eq!(watching.events_up_to(1).await.0.len(), 1);
    }
}

#[tokio::test]
async fn a_position_that_the_history_has_left_behind_is_answered_by_reset() {
    let f = start_with(|flags| flags.history_limit = Some("32KiB".into())).await;
    let mut watching = Watching::open(&f, subscribe()).await;
    let position = watching.subscribed().await;
    drop(watching);
    for i in 0..3_000 {
        f.client.put("default", format!("k{i}").as_bytes(), "v".into(), "").await.unwrap();
    }
    let mut late = Watching::open(&f, Subscribe { position: Some(position), ..subscribe() }).await;
    late.subscribed().await;
    assert!(matches!(late.next().await, Response::Reset(_)));
}

#[tokio::test]
async fn heartbeats_come_by_themselves_and_events_without_ticks() {
    let f = start().await;
    let interval = Some(bimetal_cache::convert::duration(50));
    let mut watching = Watching::open(&f, Subscribe { heartbeat_interval: interval, ..subscribe() }).await;
    watching.subscribed().await;
    for _ in 0..3 {
        assert!(matches!(watching.next().await, Response::Heartbeat(beat) if beat.tick_monotonic_ns == 0));
    }
    let request = cache::PutRequest { ttl: relative(30), ..put("k", "v") };
    f.client.cache().put(request).await.unwrap();
    f.client.delete("default", b"k-none").await.unwrap();
    let mut kinds = vec![];
    while kinds.len() < 2 {
        if let Response::Events(events) = watching.next().await {
            kinds.extend(events.events.iter().map(cache::Event::kind));
        }
    }
    assert_eq!(kinds, [EventKind::Put, EventKind::Expired], "the sweeper expires what nobody asks for");
}

#[tokio::test]
async fn what_breaks_the_rules_of_a_subscription_ends_it_with_the_field() {
    let f = start().await;
    let fails = async |requests: Vec<WatchRequest>| {
        let mut responses = match f.client.cache().watch(futures::stream::iter(requests)).await {
            Ok(responses) => responses.into_inner(),
            Err(status) => return error(Err::<(), _>(status)),
        };
        loop {
            match responses.message().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("it ended well"),
                Err(status) => return error(Err::<(), _>(status)),
            }
        }
    };
    let subscribe_with = |change: fn(&mut Subscribe)| {
        let mut message = subscribe();
        change(&mut message);
        WatchRequest { request: Some(Request::Subscribe(message)) }
    };
    let tick = |monotonic_ns| WatchRequest { request: Some(Request::Tick(Tick { monotonic_ns })) };
    assert_eq!(fails(vec![tick(1)]).await.reason(), ErrorReason::InvalidArgument);
    let unknown = subscribe_with(|s| s.namespace = Some("nobody".into()));
    assert_eq!(fails(vec![unknown]).await.reason(), ErrorReason::NamespaceNotFound);
    let often = subscribe_with(|s| s.heartbeat_interval = Some(bimetal_cache::convert::duration(49)));
    assert_eq!(fails(vec![often]).await.detail().violations[0].field, "subscribe.heartbeat_interval");
    let backwards = vec![subscribe_with(|_| {}), tick(5), tick(4)];
    assert_eq!(fails(backwards).await.detail().violations[0].field, "tick.monotonic_ns");
    let twice = vec![subscribe_with(|_| {}), subscribe_with(|_| {})];
    assert_eq!(fails(twice).await.reason(), ErrorReason::InvalidArgument);
}
