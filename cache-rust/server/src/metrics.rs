//! What a node counts, in the Prometheus text format.

use crate::node::Node;
use bimetal_contract::errors::ErrorReason;
use bimetal_contract::table;
use bimetal_engine::{EngineStats, NamespaceStats};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// One RPC and how it ended: `OK` or a reason of the error table.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RpcLabels {
    rpc: &'static str,
    reason: String,
}

/// One RPC.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct DurationLabels {
    rpc: &'static str,
}

/// One hand-over.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct HandOverLabels {
    role: &'static str,
    reason: String,
}

/// The operations of a Pipeline, in the order of their field numbers.
pub const OPERATIONS: [&str; 6] = ["get", "put", "delete", "touch", "increment", "throttle"];
const REASONS: usize = 35;

/// Counters of one node.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    rpcs: Family<RpcLabels, Counter>,
    durations: Family<DurationLabels, Histogram, fn() -> Histogram>,
    operations: std::sync::Arc<Operations>,
    /// Batches that were taken from Pipeline streams.
    pub batches: Counter,
    /// Time that batches took from their arrival to their last result.
    pub batch_duration: Histogram,
    /// Pipeline streams that are open.
    pub pipelines: Gauge,
    /// Subscriptions that are open.
    pub watches: Gauge,
    /// Events that were sent to subscribers.
    pub events: Counter,
    /// Resets that were sent to subscribers.
    pub resets: Counter,
    /// Operations that were answered with a stored result.
    pub repeats: Counter,
    hand_overs: Family<HandOverLabels, Counter>,
    hand_over_blocks: Counter,
    hand_over_bytes: Counter,
    hand_over_hold: Histogram,
    /// Streams that had to wait because the buffers had reached their bound.
    pub buffer_waits: Counter,
}

/// Operations by kind and reason; the reason 0 stands for success.
#[derive(Debug)]
struct Operations([[AtomicU64; REASONS]; OPERATIONS.len()]);

fn rpc_histogram() -> Histogram {
    // 50 µs to 1.6 s
    Histogram::new(exponential_buckets(0.000_05, 2.0, 16))
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("bimetal_cache");
        let rpcs = Family::default();
        registry.register("rpcs", "RPCs by how they ended", Family::clone(&rpcs));
        let durations = Family::new_with_constructor(rpc_histogram as fn() -> Histogram);
        registry.register("rpc_duration_seconds", "Time that unary RPCs took", Family::clone(&durations));
        let batches = Counter::default();
        registry.register(
            "pipeline_batches",
            "Batches taken from Pipeline streams",
            Counter::clone(&batches),
        );
        let batch_duration = rpc_histogram();
        registry.register(
            "pipeline_batch_duration_seconds",
            "Time from the arrival of a batch to its last result",
            Histogram::clone(&batch_duration),
        );
        let pipelines = Gauge::default();
        registry.register("pipeline_streams", "Open Pipeline streams", Gauge::clone(&pipelines));
        let watches = Gauge::default();
        registry.register("watch_streams", "Open subscriptions", Gauge::clone(&watches));
        let events = Counter::default();
        registry.register("watch_events", "Events sent to subscribers", Counter::clone(&events));
        let resets = Counter::default();
        registry.register("watch_resets", "Resets sent to subscribers", Counter::clone(&resets));
        let buffer_waits = Counter::default();
        registry.register(
            "buffer_waits",
            "Streams that were not read on until others had been answered, for want of memory",
            Counter::clone(&buffer_waits),
        );
        let repeats = Counter::default();
        registry.register(
            "operation_repeats",
            "Operations with an id that were answered with their stored result",
            Counter::clone(&repeats),
        );
        let hand_overs = Family::default();
        registry.register("hand_overs", "Hand-overs by how they ended", Family::clone(&hand_overs));
        let hand_over_blocks = Counter::default();
        registry.register(
            "hand_over_blocks",
            "Blocks sent or applied in hand-overs",
            Counter::clone(&hand_over_blocks),
        );
        let hand_over_bytes = Counter::default();
        registry.register("hand_over_bytes", "Bytes of those blocks", Counter::clone(&hand_over_bytes));
        let hand_over_hold = Histogram::new(exponential_buckets(0.001, 2.0, 11));
        registry.register(
            "hand_over_hold_seconds",
            "Time for which operations were held at the cut of a hand-over",
            Histogram::clone(&hand_over_hold),
        );
        let zeroes = || std::array::from_fn(|_| AtomicU64::new(0));
        let operations = std::sync::Arc::new(Operations(std::array::from_fn(|_| zeroes())));
        registry.register_collector(Box::new(std::sync::Arc::clone(&operations)));
        Self {
            registry,
            rpcs,
            durations,
            operations,
            batches,
            batch_duration,
            pipelines,
            watches,
            events,
            resets,
            buffer_waits,
            repeats,
            hand_overs,
            hand_over_blocks,
            hand_over_bytes,
            hand_over_hold,
        }
    }
}

impl Metrics {
    /// Counts a unary RPC.
    pub fn rpc(&self, rpc: &'static str, reason: Option<ErrorReason>, took: Duration) {
        self.stream(rpc, reason);
        self.durations.get_or_create(&DurationLabels { rpc }).observe(took.as_secs_f64());
    }

    /// Counts the end of a streaming RPC.
    pub fn stream(&self, rpc: &'static str, reason: Option<ErrorReason>) {
        let reason = reason.map_or("OK", |reason| table::spec_of(reason).name.as_str()).to_owned();
        self.rpcs.get_or_create(&RpcLabels { rpc, reason }).inc();
    }

    /// Counts a hand-over that ended.
    pub fn hand_over(&self, role: &'static str, reason: Option<ErrorReason>) {
        let reason = reason.map_or("OK", |reason| table::spec_of(reason).name.as_str()).to_owned();
        self.hand_overs.get_or_create(&HandOverLabels { role, reason }).inc();
    }

    /// Counts a block of a hand-over.
    pub fn hand_over_block(&self, bytes: usize) {
        self.hand_over_blocks.inc();
        self.hand_over_bytes.inc_by(bytes as u64);
    }

    /// Counts for how long operations were held.
    pub fn hand_over_hold(&self, held: Duration) {
        self.hand_over_hold.observe(held.as_secs_f64());
    }

    /// Counts an operation of a Pipeline.
    pub fn operation(&self, kind: usize, reason: Option<ErrorReason>) {
        let reason = reason.map_or(0, |reason| reason as usize);
        if let Some(count) = self.operations.0.get(kind).and_then(|kind| kind.get(reason)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Everything about a node as text.
    #[must_use]
    pub fn encode(&self, node: &Node) -> String {
        let mut out = String::new();
        let mut engine = Registry::with_prefix("bimetal_cache");
        engine.register_collector(Box::new(EngineCollector(node.engine.stats())));
        if text::encode_registry(&mut out, &self.registry).is_err()
            || text::encode_registry(&mut out, &engine).is_err()
            || text::encode_eof(&mut out).is_err()
        {
            return String::new();
        }
        out
    }
}

impl Collector for Operations {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut family = encoder.encode_descriptor(
            "operations",
            "Operations of Pipeline streams by how they ended",
            None,
            MetricType::Counter,
        )?;
        for (kind, reasons) in OPERATIONS.iter().zip(&self.0) {
            for (number, count) in reasons.iter().enumerate() {
                let count = count.load(Ordering::Relaxed);
                if count == 0 {
                    continue;
                }
                let reason = match ErrorReason::try_from(number as i32) {
                    Ok(reason) if number > 0 => table::spec_of(reason).name.as_str(),
                    _ => "OK",
                };
                family
                    .encode_family(&[("operation", *kind), ("reason", reason)])?
                    .encode_counter::<NoLabelSet, _, u64>(&count, None)?;
            }
        }
        Ok(())
    }
}

#[derive(Debug)]
struct EngineCollector(EngineStats);

/// Name, help, whether it is a counter, and where the figure is.
type Column = (&'static str, &'static str, bool, fn(&NamespaceStats) -> u64);

const COLUMNS: [Column; 6] = [
    ("entries", "Entries held", false, |n| n.entries),
    ("entry_bytes", "Bytes that entries take of their quota", false, |n| n.bytes),
    ("hits", "Reads that found a live entry", true, |n| n.hits),
    ("misses", "Reads that found none", true, |n| n.misses),
    ("evictions", "Entries that made room for others", true, |n| n.evictions),
    ("expirations", "Entries whose time was over", true, |n| n.expirations),
];

impl Collector for EngineCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        for (name, help, value) in [
            ("memory_limit_bytes", "The memory limit", self.0.memory_limit),
            ("memory_used_bytes", "What counts against the memory limit", self.0.memory_used),
            ("memory_structure_bytes", "Of that: slots, tables, queues, history", self.0.memory_structure),
            ("operation_results", "Stored results of operations with an id", self.0.operation_results),
            ("operation_result_bytes", "What they take of the memory", self.0.operation_result_bytes),
            ("memory_buffer_bytes", "Of that: batches, answers, connections", self.0.memory_buffers),
        ] {
            encoder.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(&value)?;
        }
        encoder
            .encode_descriptor(
                "ignored_seen_versions",
                "Versions of senders that were ignored because they were over 60 s ahead",
                None,
                MetricType::Counter,
            )?
            .encode_counter::<NoLabelSet, _, u64>(&self.0.ignored_seen_versions, None)?;
        for (name, help, counter, of) in COLUMNS {
            let kind = if counter { MetricType::Counter } else { MetricType::Gauge };
            let mut family = encoder.encode_descriptor(name, help, None, kind)?;
            for namespace in &self.0.namespaces {
                let labels = [("namespace", namespace.name.as_str())];
                let mut metric = family.encode_family(&labels)?;
                if counter {
                    metric.encode_counter::<NoLabelSet, _, u64>(&of(namespace), None)?;
                } else {
                    metric.encode_gauge(&of(namespace))?;
                }
            }
        }
        Ok(())
    }
}
