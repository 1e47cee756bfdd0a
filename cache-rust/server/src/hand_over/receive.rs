//! The new side of a hand-over: asks the old process for the state, applies it, and serves once the old one has let
//! go. If that cannot be, the process ends and says why; the old one goes on.

use super::{SILENCE_LIMIT, Stage, Take, failed};
use crate::clock::Clock;
use crate::convert;
use crate::exit::Failure;
use crate::lifecycle::Phase;
use crate::node::Node;
use crate::settings::Settings;
use bimetal_contract::client::with_token;
use bimetal_contract::control::{
    DescribeRequest, HandOverAcknowledge, HandOverBegin, HandOverBlock, HandOverDone, HandOverRequest,
    HandOverResponse, HandOverTake, ProcessState, hand_over_request::Request, hand_over_response::Response,
};
use bimetal_contract::{Client, Error};
use bimetal_engine::{Config, Engine, Importer, Received, checksum};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

/// How often the old process is asked how it ended.
const ASK_EVERY: Duration = Duration::from_millis(200);
/// How long.
const ASK_LIMIT: Duration = Duration::from_secs(3);

/// A hand-over from the point of its receiver.
pub struct Receiving {
    from: String,
    client: Client,
    requests: mpsc::Sender<HandOverRequest>,
    responses: Streaming<HandOverResponse>,
    importer: Importer,
    takes: mpsc::Receiver<Take>,
    takes_sender: mpsc::Sender<Take>,
    first: Option<HandOverBlock>,
    number: u64,
    started: Instant,
}

fn ended(from: &str, why: impl std::fmt::Display) -> Failure {
    Failure::HandOver { from: from.to_owned(), message: why.to_string() }
}

impl Receiving {
    /// Asks the old process, and makes an engine that numbers shards and hashes keys as the old one does.
    ///
    /// # Errors
    /// The old process cannot be reached, or refuses.
    pub async fn open(
        from: &str,
        settings: &Settings,
        config: Config,
        clock: Clock,
    ) -> Result<(Engine, Self), Failure> {
        let fail = |why: String| ended(from, why);
        let client = Client::connect(from).map_err(|e| fail(e.to_string()))?;
        let (requests, stream) = mpsc::channel(512);
        let before = clock.now().mono_ms;
        let begin =
            HandOverBegin { node: settings.instance.clone(), max_bytes_per_second: settings.hand_over_rate };
        let _ = requests.send(HandOverRequest { request: Some(Request::Begin(begin)) }).await;
        let stream = ReceiverStream::new(stream);
        let request = match &settings.run_token {
            Some(token) => with_token(stream, token),
            None => tonic::Request::new(stream),
        };
        let mut control = client.control();
        let opened = tokio::time::timeout(SILENCE_LIMIT, control.hand_over(request)).await;
        let opened = opened.map_err(|_| fail(format!("it did not answer within {SILENCE_LIMIT:?}")))?;
        let mut responses = opened.map_err(|s| fail(Error::from_status(&s, true).to_string()))?.into_inner();
        let Some(Response::Block(first)) = next(&mut responses).await.map_err(fail)? else {
            return Err(fail("it sent no block".into()));
        };
        let received = Received::read(&first.data).map_err(|e| fail(e.to_string()))?;
        if received.node() != settings.instance {
            return Err(fail(format!("it is {:?}, not {:?}", received.node(), settings.instance)));
        }
        let (engine, importer) = Importer::new(&received, config, i128::from(before));
        let (takes_sender, takes) = mpsc::channel(1);
        let receiving = Self {
            from: from.to_owned(),
            client,
            requests,
            responses,
            importer,
            takes,
            takes_sender,
            first: Some(first),
            number: 0,
            started: Instant::now(),
        };
        Ok((engine, receiving))
    }

    /// Tells of itself: the process is catching up.
    pub fn begin(&self, node: &Node) {
        *node.hand_over.takes.lock() = Some(self.takes_sender.clone());
        node.hand_over.set(Stage::CatchingUp);
    }

    /// Receives until this process serves.
    ///
    /// # Errors
    /// Why it never will.
    pub async fn run(mut self, node: Arc<Node>, settings: Arc<Settings>) -> Result<(), Failure> {
        tracing::info!(from = self.from, "receiving the state of the node");
        let mut answer = None;
        let outcome = self.follow(&node, &mut answer).await;
        let progress = node.hand_over.progress().unwrap_or_default();
        node.metrics.hand_over("receive", outcome.as_ref().err().map(|_| failed("").reason()));
        match outcome {
            Ok(()) => {
                serve(&node, &settings);
                tracing::info!(
                    blocks = progress.blocks,
                    bytes = progress.bytes,
                    entries = progress.entries,
                    seconds = self.started.elapsed().as_secs_f64(),
                    "taken over"
                );
                if let Some(answer) = answer {
                    let _ = answer.send(Ok(()));
                }
                Ok(())
            }
            Err(why) => {
                // The engine stays held: what waits is refused, not executed.
                node.hand_over.set(Stage::Failed);
                if let Some(answer) = answer {
                    let _ = answer.send(Err(failed(why.clone())));
                }
                Err(ended(&self.from, why))
            }
        }
    }

    /// Until the old process has let go.
    async fn follow(
        &mut self,
        node: &Node,
        answer: &mut Option<tokio::sync::oneshot::Sender<Result<(), Error>>>,
    ) -> Result<(), String> {
        if let Some(first) = self.first.take() {
            self.apply(node, &first).await?;
        }
        let mut topology = None;
        let done = loop {
            tokio::select! {
                response = next(&mut self.responses) => match response? {
                    Some(Response::Block(block)) => self.apply(node, &block).await?,
                    Some(Response::Done(done)) => break done,
                    None => return Err("it ended the stream before it was done".into()),
                },
                take = self.takes.recv(), if topology.is_none() => {
                    let Some((next, sender)) = take else { continue };
                    *answer = Some(sender);
                    let message = convert::topology_message(next.clone());
                    topology = Some(next);
                    self.request(Request::Take(HandOverTake { topology: Some(message) })).await?;
                }
            }
        };
        let topology = topology.ok_or("it was done before it was asked to be")?;
        self.finish(node, &done)?;
        node.engine.adopt_topology(topology);
        // Callers may be here before the old process's last word is: they wait for it.
        node.engine.hold();
        node.hand_over.set(Stage::Taking);
        self.request(Request::Acknowledge(HandOverAcknowledge { block: self.number })).await?;
        match next(&mut self.responses).await {
            Ok(None) => Ok(()),
            Ok(Some(_)) => Err("it sent more behind done".into()),
            // It may have let go or not: only it can tell.
            Err(why) => self.ask(&why).await,
        }
    }

    async fn request(&mut self, request: Request) -> Result<(), String> {
        let gone = |_| "the connection to it is gone".to_owned();
        self.requests.send(HandOverRequest { request: Some(request) }).await.map_err(gone)
    }

    async fn apply(&mut self, node: &Node, block: &HandOverBlock) -> Result<(), String> {
        if block.number != self.number + 1 {
            return Err(format!("block {} came behind block {}", block.number, self.number));
        }
        if checksum(&block.data) != block.checksum {
            return Err(format!("block {} is not what was sent: its checksum differs", block.number));
        }
        let applied = self.importer.apply(&node.engine, &block.data, node.now());
        let applied = applied.map_err(|e| format!("block {}: {e}", block.number))?;
        self.number = block.number;
        node.hand_over.count_block(block.data.len(), applied.entries);
        node.metrics.hand_over_block(block.data.len());
        if block.caught_up && node.hand_over.stage() == Stage::CatchingUp {
            node.hand_over.set(Stage::CaughtUp);
            tracing::info!(seconds = self.started.elapsed().as_secs_f64(), "caught up");
        }
        self.request(Request::Acknowledge(HandOverAcknowledge { block: block.number })).await
    }

    fn finish(&mut self, node: &Node, done: &HandOverDone) -> Result<(), String> {
        if done.incarnation != node.engine.config().incarnation {
            return Err("its incarnation changed on the way".into());
        }
        self.importer.finish(&node.engine, done.last_version, node.now());
        Ok(())
    }

    /// Asks the old process whether it has let go.
    async fn ask(&self, why: &str) -> Result<(), String> {
        let limit = Instant::now() + ASK_LIMIT;
        loop {
            let asked = self.client.control();
            let described = async { asked.clone().describe(DescribeRequest::default()).await };
            match tokio::time::timeout(ASK_LIMIT, described).await {
                Ok(Ok(answer)) => {
                    return match answer.into_inner().state() {
                        ProcessState::HandedOver => Ok(()),
                        state => Err(format!("{why}; and it is {}", state.as_str_name())),
                    };
                }
                _ if Instant::now() >= limit => {
                    return Err(format!("{why}; and it does not say whether it has let go"));
                }
                _ => tokio::time::sleep(ASK_EVERY).await,
            }
        }
    }
}

/// The next message, with a limit.
async fn next(responses: &mut Streaming<HandOverResponse>) -> Result<Option<Response>, String> {
    match tokio::time::timeout(SILENCE_LIMIT, responses.message()).await {
        Err(_) => Err(format!("it was silent for {SILENCE_LIMIT:?}")),
        Ok(Err(status)) => Err(Error::from_status(&status, true).to_string()),
        Ok(Ok(None)) => Ok(None),
        Ok(Ok(Some(message))) => message.response.map(Some).ok_or_else(|| "it sent an empty message".into()),
    }
}

/// The old process has let go.
fn serve(node: &Arc<Node>, settings: &Arc<Settings>) {
    let now = node.now();
    for record in settings.namespaces.iter().cloned() {
        // Those that the old process knew are there, with the same revision or a higher one.
        if let Err(error) = node.engine.apply_namespace(record, now) {
            tracing::error!(%error, "an initial namespace was not taken");
        }
    }
    node.engine.release();
    node.lifecycle.advance(Phase::Serving);
    node.hand_over.set(Stage::None);
    if let Some(folder) = settings.data_dir.clone() {
        node.store.open_behind(Arc::clone(node), folder);
    }
}
