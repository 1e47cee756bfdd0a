//! The old side of a hand-over. It serves while it gives; at the word to take over it holds all operations, sends the
//! rest, and only the last acknowledgement, in time, makes it let go.

use super::{HOLD_LIMIT, KEEP_ALIVE, SILENCE_LIMIT, Stage, failed};
use crate::buffers::Charge;
use crate::convert;
use crate::lifecycle::Phase;
use crate::node::Node;
use bimetal_contract::Error;
use bimetal_contract::control::{
    self as api, HandOverBegin, HandOverBlock, HandOverDone, HandOverRequest, HandOverResponse,
    hand_over_request::Request, hand_over_response::Response,
};
use bimetal_engine::{Exporter, Topology, checksum};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tonic::{Status, Streaming};

/// Bytes that may be unacknowledged.
const WINDOW: usize = 8 << 20;
/// Blocks that may be, however small.
const WINDOW_BLOCKS: usize = 256;
/// How often changes are looked for when nothing waits.
const IDLE: Duration = Duration::from_millis(5);

/// Responses on their way to the connection; never full, because the window is smaller.
pub(crate) type Out = mpsc::Sender<Result<HandOverResponse, Status>>;

/// Room in [`Out`].
pub(crate) const QUEUE: usize = WINDOW_BLOCKS + 8;

/// Gives the node's state until another process has taken over, or the hand-over fails.
pub(crate) async fn give(node: Arc<Node>, mut requests: Streaming<HandOverRequest>, out: Out) {
    let started = Instant::now();
    let ended = match begin(&node, &mut requests).await {
        Ok(begin) => {
            let _giving = Reset(Arc::clone(&node));
            let mut giving = Giving::new(Arc::clone(&node), requests, out.clone(), &begin);
            giving.run().await
        }
        Err(error) => Err(error),
    };
    let progress = node.hand_over.progress().unwrap_or_default();
    node.metrics.hand_over("give", ended.as_ref().err().map(Error::reason));
    node.metrics.stream("HandOver", ended.as_ref().err().map(Error::reason));
    match ended {
        Ok(hold) => tracing::info!(
            blocks = progress.blocks,
            bytes = progress.bytes,
            entries = progress.entries,
            hold_ms = hold.as_millis() as u64,
            seconds = started.elapsed().as_secs_f64(),
            "handed over"
        ),
        Err(error) => {
            tracing::warn!(reason = %error, "the hand-over failed; this process goes on");
            let _ = out.try_send(Err(error.into()));
        }
    }
}

/// However giving ends, but by a hand-over: nothing is held and another may begin.
struct Reset(Arc<Node>);

impl Drop for Reset {
    fn drop(&mut self) {
        if !self.0.hand_over.has_ended() {
            self.0.engine.release();
            self.0.hand_over.set(Stage::None);
        }
    }
}

async fn begin(node: &Node, requests: &mut Streaming<HandOverRequest>) -> Result<HandOverBegin, Error> {
    let first = tokio::time::timeout(SILENCE_LIMIT, requests.message()).await;
    let Ok(Ok(Some(HandOverRequest { request: Some(Request::Begin(begin)) }))) = first else {
        return Err(Error::invalid("request", "the first message of a stream is begin"));
    };
    if begin.node != node.instance {
        return Err(failed(format!("this is {:?}, not {:?}", node.instance, begin.node)));
    }
    if node.lifecycle.phase() != Phase::Serving {
        return Err(failed("this process does not serve, so it has nothing to give"));
    }
    if !node.hand_over.begin_giving() {
        return Err(failed("this process gives its state to another one already, or has given it"));
    }
    node.hand_over.reset();
    tracing::info!(max_bytes_per_second = begin.max_bytes_per_second, "a hand-over begins");
    Ok(begin)
}

struct Giving {
    node: Arc<Node>,
    requests: Streaming<HandOverRequest>,
    out: Out,
    exporter: Exporter,
    /// Of the last block sent.
    number: u64,
    acknowledged: u64,
    /// Sizes and charges of the blocks that are not acknowledged.
    window: VecDeque<(usize, Charge)>,
    window_bytes: usize,
    /// A block that did not fit the window.
    pending: Option<Vec<u8>>,
    bytes_per_second: u64,
    /// Not before then, by the rate.
    next_at: Instant,
    last_sent: Instant,
    last_heard: Instant,
}

/// What [`Giving::send_next`] did.
enum Sent {
    Block,
    Nothing,
    WindowFull,
}

impl Giving {
    fn new(node: Arc<Node>, requests: Streaming<HandOverRequest>, out: Out, begin: &HandOverBegin) -> Self {
        let now = Instant::now();
        Self {
            exporter: node.engine.export(),
            node,
            requests,
            out,
            number: 0,
            acknowledged: 0,
            window: VecDeque::new(),
            window_bytes: 0,
            pending: None,
            bytes_per_second: begin.max_bytes_per_second,
            next_at: now,
            last_sent: now,
            last_heard: now,
        }
    }

    /// Until another process has taken over; answers how long operations were held.
    async fn run(&mut self) -> Result<Duration, Error> {
        let node = Arc::clone(&self.node);
        let draining = node.lifecycle.reached(Phase::Draining);
        tokio::pin!(draining);
        let mut wake = Instant::now();
        loop {
            tokio::select! {
                biased;
                () = &mut draining => return Err(failed("this process is draining")),
                request = self.requests.message() => match self.request(request)? {
                    Request::Acknowledge(block) => { self.acknowledge(block.block)?; wake = self.next_at; }
                    Request::Take(take) => return self.take(take).await,
                    Request::Begin(_) => return Err(Error::invalid("request", "begin stands first, once")),
                },
                () = tokio::time::sleep_until(wake.max(self.next_at)) => {
                    wake = match self.send_next()? {
                        Sent::Block => self.next_at,
                        Sent::Nothing | Sent::WindowFull => Instant::now() + IDLE,
                    };
                    self.check_silence()?;
                    // Making a block takes a millisecond: those who are served come first.
                    tokio::task::yield_now().await;
                }
            }
        }
    }

    fn request(&mut self, request: Result<Option<HandOverRequest>, Status>) -> Result<Request, Error> {
        self.last_heard = Instant::now();
        match request {
            Ok(Some(HandOverRequest { request: Some(request) })) => Ok(request),
            Ok(Some(_)) => Err(Error::invalid("request", "always one of begin, acknowledge and take")),
            Ok(None) => Err(failed("the new process ended the stream before it took over")),
            Err(status) => Err(failed(format!("the new process is gone: {}", status.message()))),
        }
    }

    fn check_silence(&self) -> Result<(), Error> {
        if !self.window.is_empty() && self.last_heard.elapsed() > SILENCE_LIMIT {
            return Err(failed(format!("the new process acknowledged nothing for {SILENCE_LIMIT:?}")));
        }
        Ok(())
    }

    /// True: this block had been acknowledged before.
    fn acknowledge(&mut self, block: u64) -> Result<bool, Error> {
        if block < self.acknowledged || block > self.number || block == 0 {
            return Err(Error::invalid("acknowledge.block", "no block of that number waits for it"));
        }
        for _ in self.acknowledged..block {
            if let Some((bytes, _)) = self.window.pop_front() {
                self.window_bytes -= bytes;
            }
        }
        Ok(std::mem::replace(&mut self.acknowledged, block) == block)
    }

    /// Sends the next block, or one without content when nothing was sent for long.
    fn send_next(&mut self) -> Result<Sent, Error> {
        let before = self.exporter.entries();
        let data = match self.pending.take() {
            Some(data) => data,
            None => {
                let next = self.exporter.next_block(&self.node.engine, self.node.now());
                match next.map_err(|e| failed(e.to_string()))? {
                    Some(data) => data,
                    None if self.last_sent.elapsed() < KEEP_ALIVE && self.number > 0 => {
                        return Ok(Sent::Nothing);
                    }
                    None => vec![],
                }
            }
        };
        let fits = self.window.is_empty() || self.window_bytes + data.len() <= WINDOW;
        if !fits || self.window.len() >= WINDOW_BLOCKS {
            self.pending = Some(data);
            return Ok(Sent::WindowFull);
        }
        self.node.hand_over.count_block(data.len(), self.exporter.entries() - before);
        self.node.metrics.hand_over_block(data.len());
        self.number += 1;
        self.window_bytes += data.len();
        self.window.push_back((data.len(), Charge::new(&self.node, data.len())));
        self.last_sent = Instant::now();
        if let Some(micros) = (data.len() as u64 * 1_000_000).checked_div(self.bytes_per_second) {
            self.next_at = self.next_at.max(self.last_sent) + Duration::from_micros(micros);
        }
        let block = HandOverBlock {
            number: self.number,
            checksum: checksum(&data),
            caught_up: self.exporter.is_caught_up(),
            data: data.into(),
        };
        self.send(Response::Block(block))?;
        Ok(Sent::Block)
    }

    fn send(&self, response: Response) -> Result<(), Error> {
        self.out
            .try_send(Ok(HandOverResponse { response: Some(response) }))
            .map_err(|_| failed("the new process is gone"))
    }

    /// The cut. Until the last acknowledgement has come in time, this process is the owner.
    async fn take(&mut self, take: api::HandOverTake) -> Result<Duration, Error> {
        let topology = convert::topology(take.topology.ok_or_else(|| failed("take has no topology"))?);
        let node = Arc::clone(&self.node);
        node.engine.check_successor(&topology).map_err(|e| failed(e.to_string()))?;
        let admin = tokio::time::timeout(HOLD_LIMIT, node.admin.write()).await;
        let _admin = admin.map_err(|_| failed("a change of namespaces or of the topology takes too long"))?;

        let began = Instant::now();
        node.hand_over.set(Stage::Held);
        node.engine.hold();
        let in_time = tokio::time::timeout_at(began + HOLD_LIMIT, self.finish()).await;
        let hold = began.elapsed();
        node.metrics.hand_over_hold(hold);
        // Judged by the clock, too, not only by which was looked at first: this process may have been stopped.
        let (Ok(finished), true) = (in_time, hold < HOLD_LIMIT) else {
            return Err(failed(format!("the hold took longer than {HOLD_LIMIT:?}")));
        };
        finished?;
        self.let_go(topology);
        Ok(hold)
    }

    /// Sends the rest, and waits for the acknowledgement that completes the hand-over.
    async fn finish(&mut self) -> Result<(), Error> {
        loop {
            match self.send_next()? {
                Sent::Block => {}
                Sent::Nothing => break,
                Sent::WindowFull => drop(self.next_acknowledge().await?),
            }
            // Acknowledgements and the connection's own task get their turn.
            tokio::task::yield_now().await;
        }
        self.send(Response::Done(HandOverDone {
            incarnation: self.node.engine.config().incarnation,
            last_version: self.node.engine.greatest_version(),
        }))?;
        while !(self.next_acknowledge().await? && self.acknowledged == self.number) {}
        Ok(())
    }

    async fn next_acknowledge(&mut self) -> Result<bool, Error> {
        let request = self.requests.message().await;
        match self.request(request)? {
            Request::Acknowledge(block) => self.acknowledge(block.block),
            _ => Err(Error::invalid("request", "behind take there are acknowledgements alone")),
        }
    }

    /// From here on the other process is the owner.
    fn let_go(&self, topology: Topology) {
        let epoch = topology.epoch;
        self.node.engine.hand_over(topology);
        self.node.hand_over.set(Stage::HandedOver(epoch));
        // The data directory is the other's when the stream ends.
        self.node.store.release();
    }
}
