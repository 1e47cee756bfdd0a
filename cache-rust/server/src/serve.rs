//! The life of the process: make the node, bind, announce, serve, drain, exit.

use crate::clock::Clock;
use crate::exit::Failure;
use crate::hand_over::receive::Receiving;
use crate::lifecycle::Phase;
use crate::node::{EventBell, Node};
use crate::settings::Settings;
use crate::snapshot::{self, Loaded};
use crate::store::Store;
use crate::{admin, connections, grpc, housekeeping, logging, peers, signals, telemetry};
use bimetal_contract::identity;
use bimetal_engine::{Config, Engine};
use serde_json::{Map, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tonic::transport::server::TcpIncoming;

/// Serves until drained.
///
/// # Errors
/// Why the process could not start, or did not end well.
pub fn run(settings: Settings) -> Result<(), Failure> {
    logging::init(&settings);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::Other(format!("no runtime: {e}")))?;
    let outcome = runtime.block_on(async {
        let _telemetry = telemetry::init(&settings)?;
        let signals = signals::Signals::take()?;
        let mut server = Server::start(&settings).await?;
        server.announce();
        server.receive();
        let (life, delay) = (Arc::clone(&server.node), settings.drain_delay);
        tokio::select! {
            outcome = server.ended() => outcome,
            failure = signals::watch(signals, &life.lifecycle, delay, settings.watch_stdin) => Err(failure),
        }
    });
    // A blocking read of stdin must not hold up the end.
    runtime.shutdown_background();
    outcome
}

/// A node that is bound and serves. Dropping it ends everything that it does by itself.
pub struct Server {
    /// The node.
    pub node: Arc<Node>,
    /// Where gRPC listens.
    pub grpc: SocketAddr,
    /// Where the admin port listens.
    pub admin: SocketAddr,
    serving: JoinHandle<Result<(), Failure>>,
    others: Vec<JoinHandle<()>>,
    /// Receives the node from its old process, once it is told to begin.
    receiving: Option<JoinHandle<Result<(), Failure>>>,
    begin_receiving: Option<tokio::sync::oneshot::Sender<()>>,
    drain_timeout: Duration,
    snapshot: bool,
    notes: Vec<Note>,
}

impl Server {
    /// Makes the node, binds both ports and serves: ready when this returns, unless the node is to be taken over from
    /// another process; then it receives.
    ///
    /// # Errors
    /// A data directory or an address that cannot be used; a setting that the engine refuses.
    pub async fn start(settings: &Settings) -> Result<Self, Failure> {
        let (grpc_listener, grpc) = bind("grpc-listen", &settings.grpc_listen).await?;
        let (admin_listener, admin) = bind("admin-listen", &settings.admin_listen).await?;
        let Made { node, receiving, mut notes } = make_node(settings).await?;
        let node = Arc::new(node);

        let mut others = vec![
            tokio::spawn(housekeeping::sweep(Arc::clone(&node))),
            tokio::spawn(leave(Arc::clone(&node))),
        ];
        if settings.data_dir.is_some() {
            others.push(tokio::spawn(housekeeping::keep_version_ceiling(Arc::clone(&node))));
        }
        let admin_routes = admin::router(Arc::clone(&node), settings.allowed_hosts.clone().into());
        others.push(tokio::spawn(async move {
            if let Err(error) = axum::serve(admin_listener, admin_routes).await {
                tracing::error!(%error, "the admin port failed");
            }
        }));

        let (health, routes) = grpc::routes(&node).await.map_err(|e| Failure::Other(e.to_string()))?;
        others.push(tokio::spawn(health));
        let life = Arc::clone(&node);
        let shutdown = async move { life.lifecycle.reached(Phase::Draining).await };
        let incoming = TcpIncoming::from(grpc_listener).with_nodelay(Some(true));
        let incoming = connections::charged(incoming, Arc::clone(&node));
        let serving = tokio::spawn(async move {
            grpc::transport()
                .add_routes(routes)
                .serve_with_incoming_shutdown(incoming, shutdown)
                .await
                .map_err(|e| Failure::Other(format!("gRPC failed: {e}")))
        });
        if receiving.is_none() {
            if let Some(topology) = &settings.topology {
                let told = peers::learn_namespaces(&node, topology).await;
                notes.push(("info", "other nodes were asked for their namespaces", told.into()));
            }
            node.lifecycle.advance(Phase::Serving);
        }
        let (begin_receiving, begun) = tokio::sync::oneshot::channel();
        let receiving = receiving.map(|receiving| {
            let (node, settings) = (Arc::clone(&node), Arc::new(settings.clone()));
            tokio::spawn(async move {
                let _ = begun.await;
                receiving.run(node, settings).await
            })
        });
        Ok(Self {
            node,
            grpc,
            admin,
            serving,
            others,
            receiving,
            begin_receiving: Some(begin_receiving),
            drain_timeout: settings.drain_timeout,
            snapshot: settings.snapshot,
            notes,
        })
    }

    /// The first line of the log: written when both ports are bound.
    pub fn announce(&self) {
        let mut fields = Map::new();
        fields.insert(
            "addresses".into(),
            json!({"grpc": self.grpc.to_string(), "admin": self.admin.to_string()}),
        );
        fields.insert("contract_revision".into(), json!(identity::REVISION));
        fields.insert("contract_digest".into(), json!(identity::DIGEST));
        fields.insert("pid".into(), json!(std::process::id()));
        let config = self.node.engine.config();
        fields.insert("memory_limit_bytes".into(), json!(config.memory_limit));
        fields.insert("shards".into(), json!(config.shards));
        logging::line("info", "listening", fields);
        for (level, message, fields) in &self.notes {
            if let serde_json::Value::Object(fields) = fields {
                logging::line(level, message, fields.clone());
            }
        }
    }

    /// Begins to receive, where the node is to be taken over: after the first line of the log.
    pub fn receive(&mut self) {
        if let Some(begin) = self.begin_receiving.take() {
            let _ = begin.send(());
        }
    }

    /// Begins a drain as if by a signal.
    pub fn drain(&self, delay: Duration) {
        self.node.lifecycle.advance(Phase::Leaving(delay));
    }

    /// Waits until everything that was accepted is answered.
    ///
    /// # Errors
    /// That took longer than the drain time-out, or serving failed.
    pub async fn ended(mut self) -> Result<(), Failure> {
        let limit = async {
            self.node.lifecycle.reached(Phase::Draining).await;
            tokio::time::sleep(self.drain_timeout).await;
        };
        let outcome = tokio::select! {
            done = &mut self.serving => done.unwrap_or_else(|e| Err(Failure::Other(format!("gRPC failed: {e}")))),
            failure = not_taken_over(self.receiving.as_mut()) => Err(failure),
            () = limit => Err(Failure::Other(format!(
                "what was in flight took longer than the drain time-out of {:?}", self.drain_timeout
            ))),
        };
        if self.snapshot {
            let node = Arc::clone(&self.node);
            let _ = tokio::task::spawn_blocking(move || write_snapshot(&node)).await;
        }
        if outcome.is_ok() {
            tracing::info!("drained");
        }
        outcome
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.serving.abort();
        self.receiving.iter().for_each(JoinHandle::abort);
        self.others.iter().for_each(JoinHandle::abort);
    }
}

/// Only if the node could not be taken over.
async fn not_taken_over(receiving: Option<&mut JoinHandle<Result<(), Failure>>>) -> Failure {
    /// So that whoever asked for it hears of it.
    const LAST_WORDS: Duration = Duration::from_millis(50);
    if let Some(receiving) = receiving
        && let Ok(Err(failure)) = receiving.await
    {
        tokio::time::sleep(LAST_WORDS).await;
        return failure;
    }
    std::future::pending().await
}

async fn bind(setting: &'static str, address: &str) -> Result<(TcpListener, SocketAddr), Failure> {
    let failure = |source| Failure::Bind { setting, address: address.to_owned(), source };
    let listener = TcpListener::bind(address).await.map_err(failure)?;
    let bound = listener.local_addr().map_err(failure)?;
    Ok((listener, bound))
}

/// From the drain delay to the drain.
async fn leave(node: Arc<Node>) {
    let mut phases = node.lifecycle.subscribe();
    loop {
        let phase = *phases.borrow_and_update();
        if let Phase::Leaving(delay) = phase {
            tokio::time::sleep(delay).await;
            node.lifecycle.advance(Phase::Draining);
        }
        if phase == Phase::Draining || phases.changed().await.is_err() {
            return;
        }
    }
}

/// Level, message and fields of a line that has to wait for the first one.
type Note = (&'static str, &'static str, serde_json::Value);

/// A node, and how it came to what it holds.
struct Made {
    node: Node,
    receiving: Option<Receiving>,
    notes: Vec<Note>,
}

async fn make_node(settings: &Settings) -> Result<Made, Failure> {
    let clock = Clock::start();
    let bell = Arc::new(EventBell::default());
    let config = Config {
        node_name: settings.instance.clone(),
        node_tag: 0,
        memory_limit: settings.memory_limit,
        shards: settings.shards,
        policy: settings.eviction,
        history_bytes: settings.history_limit,
        max_namespaces: 10_000,
        incarnation: random()?,
        table_id: random()? as u32,
        hash_seed: random()?,
        operation_ttl_ms: settings.operation_id_ttl.as_millis() as u64,
        version_floor: settings.version_floor,
        waker: Some(Arc::clone(&bell) as Arc<dyn bimetal_engine::Waker>),
    };
    let node = |engine, store| {
        Node::new(engine, clock, bell, store, settings.run_token.clone(), settings.drain_delay)
    };
    // The data directory is the old process's until it has let go; the topology comes with the word to take over.
    if let Some(from) = &settings.hand_over_from {
        let (engine, receiving) = Receiving::open(from, settings, config, clock).await?;
        let node = node(engine, None);
        receiving.begin(&node);
        return Ok(Made { node, receiving: Some(receiving), notes: vec![] });
    }
    let store = settings.data_dir.as_deref().map(Store::open).transpose()?;
    let kept_ceiling = store.as_ref().map_or(Ok(0), Store::version_ceiling)?;
    let config = Config { version_floor: settings.version_floor.max(kept_ceiling), ..config };
    let (engine, note) = match &store {
        Some(store) => last_life(store, settings.snapshot, config, clock)?,
        None => (Engine::new(config), None),
    };
    let (refused, now) = (
        |e: bimetal_engine::Error| Failure::Settings(format!("--namespaces or --topology: {e}")),
        clock.now(),
    );
    let kept = store.as_ref().map_or(Ok(vec![]), Store::namespaces)?;
    for record in kept.into_iter().chain(settings.namespaces.iter().cloned()) {
        engine.apply_namespace(record, now).map_err(refused)?;
    }
    if let Some(topology) = settings.topology.clone() {
        engine.set_topology(topology, now).map_err(refused)?;
    }
    let node = node(engine, store);
    housekeeping::write_ceiling(&node).map_err(|e| Failure::DataDirectory {
        path: settings.data_dir.as_ref().map_or_else(String::new, |path| path.display().to_string()),
        message: e.to_string(),
    })?;
    Ok(Made { node, receiving: None, notes: note.into_iter().collect() })
}

/// The engine of the last life, if that ended in order; else an empty one. Either way no snapshot is left.
fn last_life(
    store: &Store,
    wanted: bool,
    config: Config,
    clock: Clock,
) -> Result<(Engine, Option<Note>), Failure> {
    let failure = |e| store.failure(format!("{}: {e}", snapshot::FILE));
    if !wanted {
        snapshot::discard(store.folder()).map_err(failure)?;
        return Ok((Engine::new(config), None));
    }
    let started = Instant::now();
    match snapshot::load(store.folder(), config.clone(), clock.now()).map_err(failure)? {
        Loaded::None => Ok((Engine::new(config), None)),
        Loaded::Engine(engine, figures) => {
            let (entries, bytes) = (figures.entries, figures.bytes);
            let seconds = started.elapsed().as_secs_f64();
            let fields = json!({"entries": entries, "bytes": bytes, "seconds": seconds});
            Ok((*engine, Some(("info", "snapshot loaded", fields))))
        }
        Loaded::Refused(why) => {
            let fields = json!({"file": snapshot::REFUSED, "reason": why});
            let message = "the snapshot is refused and kept aside; this node starts empty";
            Ok((Engine::new(config), Some(("error", message, fields))))
        }
    }
}

/// Writes a snapshot, unless the node is another process's by now.
fn write_snapshot(node: &Node) {
    if node.hand_over.has_ended() || node.lifecycle.phase() != Phase::Draining {
        return;
    }
    let Some(store) = node.store.get() else { return };
    node.engine.hold();
    let started = Instant::now();
    match snapshot::write(&node.engine, store.folder(), node.now()) {
        Ok(figures) => tracing::info!(
            entries = figures.entries,
            bytes = figures.bytes,
            blocks = figures.blocks,
            seconds = started.elapsed().as_secs_f64(),
            "snapshot written"
        ),
        Err(error) => {
            tracing::error!(%error, "the snapshot cannot be written: the next process starts empty");
        }
    }
}

fn random() -> Result<u64, Failure> {
    getrandom::u64().map_err(|e| Failure::Other(format!("the system gives no random numbers: {e}")))
}
