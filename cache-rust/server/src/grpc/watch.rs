//! Watch: one task a subscription. It takes a frontier, sends every event below it, and only then a heartbeat that
//! echoes the newest tick that had arrived before the frontier was taken.

use crate::buffers::{Charge, SUBSCRIPTION_BYTES};
use crate::convert;
use crate::lifecycle::{Phase, draining};
use crate::node::Node;
use bimetal_contract::Error;
use bimetal_contract::cache::{self, watch_request, watch_response};
use bimetal_contract::errors::ErrorReason;
use bimetal_engine::{EventKind, Interest, Lost, MAX_KEY_BYTES, Position, Progress, Subscription};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{self, Sender};
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Response, Status, Streaming};

/// Subscriptions at once.
const MAX_WATCHES: i64 = 1_024;
/// Messages that wait for a slow subscriber; behind them the history is its buffer.
const QUEUE: usize = 4;
const MAX_EVENTS: usize = 1_000;
const MAX_EVENT_BYTES: usize = 1 << 20;
const MIN_HEARTBEAT: Duration = Duration::from_millis(50);
const MAX_HEARTBEAT: Duration = Duration::from_secs(30);
const DEFAULT_HEARTBEAT: Duration = Duration::from_secs(1);
/// Under a stream of writes events are gathered for this long.
const GATHER: Duration = Duration::from_millis(1);

pub(super) type Responses = ReceiverStream<Result<cache::WatchResponse, Status>>;
type Out = Sender<Result<cache::WatchResponse, Status>>;

/// Begins a subscription; everything wrong with it is the stream's status.
pub(super) async fn open(
    node: &Arc<Node>,
    requests: Streaming<cache::WatchRequest>,
) -> Result<Response<Responses>, Status> {
    while let Err(error) = node.admit() {
        if !convert::is_held(&error) {
            return Err(error.into());
        }
        node.hand_over.released().await;
    }
    if node.metrics.watches.get() >= MAX_WATCHES {
        let error = Error::new(ErrorReason::Overloaded, format!("{MAX_WATCHES} subscriptions are open"))
            .with_retry_after(Duration::from_secs(1));
        node.metrics.stream("Watch", Some(error.reason()));
        return Err(error.into());
    }
    let (out, responses) = mpsc::channel(QUEUE);
    node.metrics.watches.inc();
    let node = Arc::clone(node);
    let charge = Charge::new(&node, SUBSCRIPTION_BYTES);
    tokio::spawn(async move {
        let _charge = charge;
        let ended = follow(&node, requests, &out).await;
        node.metrics.watches.dec();
        node.metrics.stream("Watch", ended.as_ref().err().map(Error::reason));
        if let Err(error) = ended {
            // The subscriber may be gone.
            let _ = out.send(Err(error.into())).await;
        }
    });
    Ok(Response::new(ReceiverStream::new(responses)))
}

struct Asked {
    interest: Interest,
    position: Option<Position>,
    heartbeat: Duration,
    include_values: bool,
}

fn check(node: &Node, request: cache::WatchRequest) -> Result<(Asked, Option<&'static str>), Error> {
    let Some(watch_request::Request::Subscribe(subscribe)) = request.request else {
        return Err(Error::invalid("request", "the first message of a stream is subscribe"));
    };
    if let Some(namespace) = &subscribe.namespace {
        node.engine.namespace(namespace).map_err(|e| convert::error(&e))?;
    }
    if subscribe.prefix.len() > MAX_KEY_BYTES {
        return Err(Error::invalid("subscribe.prefix", format!("at most {MAX_KEY_BYTES} bytes")));
    }
    let heartbeat = match subscribe.heartbeat_interval.map(Duration::try_from) {
        None => DEFAULT_HEARTBEAT,
        Some(Ok(interval)) if (MIN_HEARTBEAT..=MAX_HEARTBEAT).contains(&interval) => interval,
        Some(_) => return Err(Error::invalid("subscribe.heartbeat_interval", "50 ms to 30 s")),
    };
    if subscribe.seen_version > 0 {
        node.engine.raise_clock(subscribe.seen_version, node.now());
    }
    // Bytes that no node gave are as a position of another incarnation: reset, not an error.
    let position = subscribe.position.as_deref().map(Position::decode);
    let foreign = matches!(position, Some(None)).then_some("the position is none that a node gave");
    let asked = Asked {
        interest: Interest { namespace: subscribe.namespace, prefix: subscribe.prefix.to_vec() },
        position: position.flatten(),
        heartbeat,
        include_values: subscribe.include_values,
    };
    Ok((asked, foreign))
}

/// The subscriber is gone.
struct Gone;

async fn send(out: &Out, response: watch_response::Response) -> Result<(), Gone> {
    out.send(Ok(cache::WatchResponse { response: Some(response) })).await.map_err(|_| Gone)
}

/// Until the subscriber leaves (Ok), breaks the rules, or the node drains.
async fn follow(node: &Node, mut requests: Streaming<cache::WatchRequest>, out: &Out) -> Result<(), Error> {
    let first = match requests.message().await {
        Ok(Some(first)) => first,
        Ok(None) => return Err(Error::invalid("request", "the first message of a stream is subscribe")),
        Err(_) => return Ok(()),
    };
    let (asked, foreign) = check(node, first)?;
    let (subscription, lost) = node.engine.subscribe(asked.interest.clone(), asked.position.as_ref());
    let lost =
        foreign.or(lost.map(|Lost| "the position is of another incarnation, or older than the history"));
    let mut watch = Watch { node, out, subscription, asked, tick: 0, sent: Instant::now() };
    if watch.begin(lost).await.is_err() {
        return Ok(());
    }
    loop {
        // The bell is listened to before it is armed, and armed before the events are read: none is missed.
        let bell = node.bell.0.notified();
        tokio::pin!(bell);
        bell.as_mut().enable();
        node.engine.arm_waker();
        let ending = node.lifecycle.phase() == Phase::Draining || node.hand_over.has_ended();
        if watch.catch_up().await.is_err() {
            return Ok(());
        }
        if ending {
            // The last position goes out, so that the subscriber can resume elsewhere or later.
            let _ = watch.heartbeat().await;
            return Err(draining());
        }
        tokio::select! {
            () = &mut bell => tokio::time::sleep(GATHER).await,
            () = node.lifecycle.reached(Phase::Draining) => {}
            () = node.hand_over.ended() => {}
            () = out.closed() => return Ok(()),
            () = tokio::time::sleep_until(watch.sent + watch.asked.heartbeat) => {
                if watch.beat().await.is_err() {
                    return Ok(());
                }
            }
            message = requests.message() => match message {
                Ok(Some(request)) => {
                    watch.take_tick(request)?;
                    if watch.beat().await.is_err() {
                        return Ok(());
                    }
                }
                Ok(None) | Err(_) => return Ok(()),
            }
        }
    }
}

struct Watch<'a> {
    node: &'a Node,
    out: &'a Out,
    subscription: Subscription,
    asked: Asked,
    /// The newest tick; 0 before the first.
    tick: u64,
    /// When something was last sent.
    sent: Instant,
}

impl Watch<'_> {
    fn position(&self) -> Bytes {
        self.node.engine.position(&self.subscription).encode().into()
    }

    async fn begin(&mut self, lost: Option<&str>) -> Result<(), Gone> {
        let position = self.position();
        self.send(watch_response::Response::Subscribed(cache::Subscribed { position })).await?;
        match lost {
            Some(why) => self.reset(why).await,
            None => Ok(()),
        }
    }

    async fn send(&mut self, response: watch_response::Response) -> Result<(), Gone> {
        send(self.out, response).await?;
        self.sent = Instant::now();
        Ok(())
    }

    async fn reset(&mut self, why: &str) -> Result<(), Gone> {
        self.node.metrics.resets.inc();
        let reset = cache::Reset { position: self.position(), message: why.into() };
        self.send(watch_response::Response::Reset(reset)).await
    }

    async fn heartbeat(&mut self) -> Result<(), Gone> {
        let heartbeat = cache::Heartbeat { tick_monotonic_ns: self.tick, position: self.position() };
        self.send(watch_response::Response::Heartbeat(heartbeat)).await
    }

    /// A heartbeat, behind every event that was recorded before this call.
    async fn beat(&mut self) -> Result<(), Gone> {
        self.catch_up().await?;
        self.heartbeat().await
    }

    fn take_tick(&mut self, request: cache::WatchRequest) -> Result<(), Error> {
        let Some(watch_request::Request::Tick(tick)) = request.request else {
            return Err(Error::invalid("request", "every message after the first is a tick"));
        };
        if tick.monotonic_ns == 0 || tick.monotonic_ns < self.tick {
            return Err(Error::invalid("tick.monotonic_ns", "never 0 and never smaller than before"));
        }
        // From the hand-over on this process does not know what others see.
        if !self.node.hand_over.has_ended() {
            self.tick = tick.monotonic_ns;
        }
        Ok(())
    }

    /// Sends every event that is recorded now.
    async fn catch_up(&mut self) -> Result<(), Gone> {
        let frontier = self.node.engine.frontier();
        loop {
            let (mut events, mut bytes) = (Vec::new(), 0);
            let include_values = self.asked.include_values;
            let read =
                self.node.engine.read_events(&mut self.subscription, &frontier, self.node.now(), |event| {
                    let event = message(&event, include_values);
                    bytes += event.key.len() + event.value.as_ref().map_or(0, Bytes::len) + 64;
                    events.push(event);
                    events.len() < MAX_EVENTS && bytes < MAX_EVENT_BYTES
                });
            if !events.is_empty() && read.is_ok() {
                self.node.metrics.events.inc_by(events.len() as u64);
                let events = cache::Events { events, position: self.position() };
                self.send(watch_response::Response::Events(events)).await?;
            }
            match read {
                Ok(Progress::Complete) => return Ok(()),
                Ok(Progress::More) => {}
                Err(Lost) => return self.reset("the subscriber was slower than the history is long").await,
            }
        }
    }
}

fn message(event: &bimetal_engine::Event<'_>, include_values: bool) -> cache::Event {
    let kind = match event.kind {
        EventKind::Put => cache::EventKind::Put,
        EventKind::Touched => cache::EventKind::Touched,
        EventKind::Deleted => cache::EventKind::Deleted,
        EventKind::Expired => cache::EventKind::Expired,
        EventKind::Evicted => cache::EventKind::Evicted,
        EventKind::Flushed => cache::EventKind::Flushed,
    };
    let entry = event.entry.as_ref();
    cache::Event {
        kind: kind as i32,
        namespace: event.namespace.to_owned(),
        key: Bytes::copy_from_slice(event.key),
        version: event.version,
        content_type: entry.map(|e| e.content_type().to_owned()).unwrap_or_default(),
        size: entry.map_or(0, |e| e.value().len() as u64),
        value: entry.filter(|_| include_values).map(convert::value),
        remaining_ttl: event.remaining_ms.map(convert::duration),
        expiry_version: event.expiry_version,
    }
}
