//! What can be set: flags, and the same by environment (`BIMETAL_…`) and file.

use crate::exit::Failure;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use serde::Deserialize;
use std::path::PathBuf;

const PREFIX: &str = "BIMETAL_";

/// A Bimetal cache node. Without a command it serves.
///
/// Every flag can also be given as the environment variable that is shown with it, or in a TOML file (--config)
/// under the same name in snake_case. Flags override the environment, which overrides the file.
#[derive(Debug, Parser)]
#[command(
    name = "bimetal-cache",
    version,
    after_help = "Exit codes: 0 drained; 1 other failure; 2 usage or settings; 3 address cannot be bound; \
                  4 data directory cannot be used; 5 the node could not be taken over; 130 second signal, or the drain after --watch-stdin took too long."
)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// How.
    #[command(flatten)]
    pub flags: Flags,
}

/// What else the program can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Asks a node whether it is ready: exit 0 if so, 1 if not. For container health checks.
    Healthcheck(Healthcheck),
}

/// Whom to ask.
#[derive(Debug, Args)]
pub struct Healthcheck {
    /// HOST:PORT of the admin listener. Default: what --admin-listen says.
    #[arg(long)]
    pub address: Option<String>,
}

/// Everything that can be set; what is absent has its default.
#[derive(Debug, Clone, Default, Args, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flags {
    /// Name of this node, in the topology and in logs [default: cache-0]
    #[arg(long, env = "BIMETAL_INSTANCE", global = true)]
    pub instance: Option<String>,
    /// Where gRPC listens; port 0 takes a free one [default: 127.0.0.1:7400]
    #[arg(long, value_name = "HOST:PORT", env = "BIMETAL_GRPC_LISTEN", global = true)]
    pub grpc_listen: Option<String>,
    /// Where /livez, /readyz, /metrics and /contract are [default: 127.0.0.1:7402]
    #[arg(long, value_name = "HOST:PORT", env = "BIMETAL_ADMIN_LISTEN", global = true)]
    pub admin_listen: Option<String>,
    /// Bytes that entries, tables, queues and history may take together [default: 256MiB]
    #[arg(long, value_name = "SIZE", env = "BIMETAL_MEMORY_LIMIT", global = true)]
    pub memory_limit: Option<String>,
    /// Bytes of event history, within the memory limit [default: a 32nd of it, at most 64MiB]
    #[arg(long, value_name = "SIZE", env = "BIMETAL_HISTORY_LIMIT", global = true)]
    pub history_limit: Option<String>,
    /// How room is made [default: s3-fifo]
    #[arg(long, value_enum, env = "BIMETAL_EVICTION", global = true)]
    pub eviction: Option<Eviction>,
    /// Shards, rounded up to a power of two, at most 1024 [default: four for each core]
    #[arg(long, env = "BIMETAL_SHARDS", global = true)]
    pub shards: Option<usize>,
    /// Keeps namespace records and a ceiling of versions across restarts, and entries if the process ends in order
    /// (--snapshot) [default: none]
    #[arg(long, value_name = "DIR", env = "BIMETAL_DATA_DIR", global = true)]
    pub data_dir: Option<PathBuf>,
    /// With --data-dir: writes a snapshot of all entries when the process ends in order; the next one loads and removes
    /// it before it serves [default: true]
    #[arg(long, env = "BIMETAL_SNAPSHOT", num_args = 0..=1, default_missing_value = "true", global = true)]
    pub snapshot: Option<bool>,
    /// Takes the node over from its old process, whose gRPC listener this is: receives its state, and serves when
    /// SetTopology gives the word [default: none; starts by itself]
    #[arg(long, value_name = "HOST:PORT", env = "BIMETAL_HAND_OVER_FROM", global = true)]
    pub hand_over_from: Option<String>,
    /// Bytes a second that the old process may send; 0 for no limit [default: 0]
    #[arg(long, value_name = "SIZE", env = "BIMETAL_HAND_OVER_RATE", global = true)]
    pub hand_over_rate: Option<String>,
    /// For how long the result of an operation with an id is kept for its repeats, such as 10s [default: 600s]
    #[arg(long, value_name = "TIME", env = "BIMETAL_OPERATION_ID_TTL", global = true)]
    pub operation_id_ttl: Option<String>,
    /// No version is drawn at or below this one [default: 0]
    #[arg(long, env = "BIMETAL_VERSION_FLOOR", global = true)]
    pub version_floor: Option<u64>,
    /// Who owns which keys: ProtoJSON of bimetal.control.v1.Topology [default: none; this node owns all keys]
    #[arg(long, value_name = "JSON", env = "BIMETAL_TOPOLOGY", global = true)]
    pub topology: Option<String>,
    /// Initial namespaces: a JSON array of ProtoJSON bimetal.cache.v1.Namespace [default: only "default"]
    #[arg(long, value_name = "JSON", env = "BIMETAL_NAMESPACES", global = true)]
    pub namespaces: Option<String>,
    /// Secret for ControlService (but Describe) and writes of NamespaceService [default: none; nobody may]
    #[arg(long, value_name = "TOKEN", env = "BIMETAL_RUN_TOKEN", hide_env_values = true, global = true)]
    pub run_token: Option<String>,
    /// Permits listeners beyond loopback although nothing authenticates their callers [default: false]
    #[arg(long, env = "BIMETAL_ALLOW_UNAUTHENTICATED", num_args = 0..=1, default_missing_value = "true", global = true)]
    pub allow_unauthenticated: Option<bool>,
    /// Values of Host that the admin port serves beside loopback, separated by commas [default: none]
    #[arg(long, value_name = "HOSTS", env = "BIMETAL_ALLOWED_HOSTS", global = true)]
    pub allowed_hosts: Option<String>,
    /// How long everything is still served after readiness began to fail, such as 500ms or 2s [default: 2s]
    #[arg(long, value_name = "TIME", env = "BIMETAL_DRAIN_DELAY", global = true)]
    pub drain_delay: Option<String>,
    /// How long what is in flight may take after that [default: 10s]
    #[arg(long, value_name = "TIME", env = "BIMETAL_DRAIN_TIMEOUT", global = true)]
    pub drain_timeout: Option<String>,
    /// Drains (within 0.8 s) when stdin reaches its end: a child that outlives nobody [default: false]
    #[arg(long, env = "BIMETAL_WATCH_STDIN", num_args = 0..=1, default_missing_value = "true", global = true)]
    pub watch_stdin: Option<bool>,
    /// Where spans go by OTLP/gRPC, such as http://127.0.0.1:7717 [default: nowhere]
    #[arg(long, value_name = "URL", env = "BIMETAL_OTLP_ENDPOINT", global = true)]
    pub otlp_endpoint: Option<String>,
    /// json, or pretty for people; auto is pretty on a terminal [default: auto]
    #[arg(long, value_enum, env = "BIMETAL_LOG_FORMAT", global = true)]
    pub log_format: Option<LogFormat>,
    /// What is logged [default: info]
    #[arg(long, value_enum, env = "BIMETAL_LOG_LEVEL", global = true)]
    pub log_level: Option<LogLevel>,
    /// A TOML file with any of these [default: none]
    #[arg(long, value_name = "FILE", env = "BIMETAL_CONFIG", global = true)]
    #[serde(skip)]
    pub config: Option<PathBuf>,
}

/// An eviction policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Eviction {
    /// Scan resistant; hits write nothing shared.
    S3Fifo,
    /// Exact least recently used.
    Lru,
}

/// A log format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// Pretty on a terminal, else JSON.
    Auto,
    /// One JSON object a line.
    Json,
    /// For people.
    Pretty,
}

/// A log level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogLevel {
    /// Everything.
    Debug,
    /// What an operator wants to know.
    Info,
    /// What may need attention.
    Warn,
    /// What needs attention.
    Error,
}

impl Flags {
    /// These flags, and what they leave open from the file.
    pub(super) fn over(self, file: Self) -> Self {
        Self {
            instance: self.instance.or(file.instance),
            grpc_listen: self.grpc_listen.or(file.grpc_listen),
            admin_listen: self.admin_listen.or(file.admin_listen),
            memory_limit: self.memory_limit.or(file.memory_limit),
            history_limit: self.history_limit.or(file.history_limit),
            eviction: self.eviction.or(file.eviction),
            shards: self.shards.or(file.shards),
            data_dir: self.data_dir.or(file.data_dir),
            snapshot: self.snapshot.or(file.snapshot),
            hand_over_from: self.hand_over_from.or(file.hand_over_from),
            hand_over_rate: self.hand_over_rate.or(file.hand_over_rate),
            operation_id_ttl: self.operation_id_ttl.or(file.operation_id_ttl),
            version_floor: self.version_floor.or(file.version_floor),
            topology: self.topology.or(file.topology),
            namespaces: self.namespaces.or(file.namespaces),
            run_token: self.run_token.or(file.run_token),
            allow_unauthenticated: self.allow_unauthenticated.or(file.allow_unauthenticated),
            allowed_hosts: self.allowed_hosts.or(file.allowed_hosts),
            drain_delay: self.drain_delay.or(file.drain_delay),
            drain_timeout: self.drain_timeout.or(file.drain_timeout),
            watch_stdin: self.watch_stdin.or(file.watch_stdin),
            otlp_endpoint: self.otlp_endpoint.or(file.otlp_endpoint),
            log_format: self.log_format.or(file.log_format),
            log_level: self.log_level.or(file.log_level),
            config: self.config,
        }
    }
}

/// A misspelt variable would silently leave a default in force.
pub(super) fn refuse_unknown_variables(names: impl Iterator<Item = String>) -> Result<(), Failure> {
    let command = Arguments::command();
    let known: Vec<_> = command.get_arguments().filter_map(|a| a.get_env()?.to_str()).collect();
    for name in names.filter(|name| name.starts_with(PREFIX)) {
        if !known.contains(&name.as_str()) {
            return Err(Failure::Settings(format!(
                "the environment variable {name} is no setting; see --help"
            )));
        }
    }
    Ok(())
}
