//! Settings: flags over environment (`BIMETAL_…`) over file over defaults, checked before anything starts.

use crate::convert;
use crate::exit::Failure;
use bimetal_contract::{cache, control};
use bimetal_engine::{NamespaceRecord, Policy, Topology};
use clap::{Args, Parser, Subcommand, ValueEnum};
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

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

/// The settings in force.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Name of this node.
    pub instance: String,
    /// As given, for messages; resolved when it is bound.
    pub grpc_listen: String,
    /// As given.
    pub admin_listen: String,
    /// Bytes.
    pub memory_limit: usize,
    /// Bytes.
    pub history_limit: usize,
    /// How room is made.
    pub eviction: Policy,
    /// Shards.
    pub shards: usize,
    /// None: nothing is kept.
    pub data_dir: Option<PathBuf>,
    /// Write and load snapshots.
    pub snapshot: bool,
    /// Whose state to receive.
    pub hand_over_from: Option<String>,
    /// Bytes a second; 0: no limit.
    pub hand_over_rate: u64,
    /// How long results are kept for repeats.
    pub operation_id_ttl: Duration,
    /// No version at or below.
    pub version_floor: u64,
    /// None: this node owns all keys.
    pub topology: Option<Topology>,
    /// Initial ones.
    pub namespaces: Vec<NamespaceRecord>,
    /// None: nobody may do what needs it.
    pub run_token: Option<String>,
    /// Values of Host that the admin port serves beside loopback, in small letters.
    pub allowed_hosts: Vec<String>,
    /// How long everything is still served.
    pub drain_delay: Duration,
    /// How long what is in flight may take then.
    pub drain_timeout: Duration,
    /// End with stdin.
    pub watch_stdin: bool,
    /// Where spans go.
    pub otlp_endpoint: Option<String>,
    /// Never `Auto`.
    pub log_format: LogFormat,
    /// What is logged.
    pub log_level: LogLevel,
}

impl Settings {
    /// Puts the layers together and checks the whole.
    ///
    /// # Errors
    /// A sentence that names the setting at fault.
    pub fn load(flags: Flags) -> Result<Self, Failure> {
        refuse_unknown_variables(std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()))?;
        let flags = match &flags.config {
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|e| bad("config", format!("cannot read {}: {e}", path.display())))?;
                let file: Flags = toml::from_str(&text)
                    .map_err(|e| bad("config", format!("{}: {}", path.display(), e.message())))?;
                flags.over(file)
            }
            None => flags,
        };
        Self::check(flags)
    }

    /// Fills in defaults and refuses what contradicts.
    ///
    /// # Errors
    /// A sentence that names the setting at fault.
    pub fn check(flags: Flags) -> Result<Self, Failure> {
        let instance = flags.instance.unwrap_or_else(|| "cache-0".into());
        let grpc_listen = flags.grpc_listen.unwrap_or_else(|| "127.0.0.1:7400".into());
        let admin_listen = flags.admin_listen.unwrap_or_else(|| "127.0.0.1:7402".into());
        let open = flags.allow_unauthenticated.unwrap_or(false);
        check_listener("grpc-listen", &grpc_listen, open)?;
        check_listener("admin-listen", &admin_listen, open)?;

        let memory_limit = size("memory-limit", flags.memory_limit.as_deref())?.unwrap_or(256 << 20);
        if memory_limit < 1 << 20 {
            return Err(bad("memory-limit", "at least 1MiB"));
        }
        let history_limit = size("history-limit", flags.history_limit.as_deref())?
            .unwrap_or((memory_limit / 32).min(64 << 20));
        if history_limit > memory_limit / 2 {
            return Err(bad("history-limit", "at most half of --memory-limit"));
        }
        let shards = match flags.shards {
            Some(0) => return Err(bad("shards", "at least 1")),
            Some(n) if n > 1_024 => return Err(bad("shards", "at most 1024")),
            Some(n) => n,
            None => std::thread::available_parallelism().map_or(8, |n| n.get() * 4).min(256),
        };
        if flags.run_token.as_deref() == Some("") {
            return Err(bad("run-token", "not empty; leave it out for none"));
        }
        let topology = flags.topology.as_deref().map(topology).transpose()?;
        let namespaces = flags.namespaces.as_deref().map_or(Ok(vec![]), namespaces)?;
        let format = match flags.log_format.unwrap_or(LogFormat::Auto) {
            LogFormat::Auto if std::io::IsTerminal::is_terminal(&std::io::stdout()) => LogFormat::Pretty,
            LogFormat::Auto => LogFormat::Json,
            chosen => chosen,
        };
        Ok(Self {
            instance,
            grpc_listen,
            admin_listen,
            memory_limit,
            history_limit,
            eviction: match flags.eviction {
                Some(Eviction::Lru) => Policy::Lru,
                Some(Eviction::S3Fifo) | None => Policy::S3Fifo,
            },
            shards,
            data_dir: flags.data_dir,
            snapshot: flags.snapshot.unwrap_or(true),
            hand_over_from: flags.hand_over_from.filter(|address| !address.is_empty()),
            hand_over_rate: size("hand-over-rate", flags.hand_over_rate.as_deref())?.unwrap_or(0) as u64,
            operation_id_ttl: match time("operation-id-ttl", flags.operation_id_ttl.as_deref())? {
                None => Duration::from_secs(600),
                Some(Duration::ZERO) => return Err(bad("operation-id-ttl", "longer than 0")),
                Some(ttl) => ttl,
            },
            version_floor: flags.version_floor.unwrap_or(0),
            topology,
            namespaces,
            run_token: flags.run_token,
            allowed_hosts: hosts(flags.allowed_hosts.as_deref()),
            drain_delay: time("drain-delay", flags.drain_delay.as_deref())?.unwrap_or(Duration::from_secs(2)),
            drain_timeout: time("drain-timeout", flags.drain_timeout.as_deref())?
                .unwrap_or(Duration::from_secs(10)),
            watch_stdin: flags.watch_stdin.unwrap_or(false),
            otlp_endpoint: flags.otlp_endpoint.filter(|url| !url.is_empty()),
            log_format: format,
            log_level: flags.log_level.unwrap_or(LogLevel::Info),
        })
    }
}

impl Flags {
    /// These flags, and what they leave open from the file.
    fn over(self, file: Self) -> Self {
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

fn hosts(list: Option<&str>) -> Vec<String> {
    let named = list.unwrap_or_default().split(',').map(str::trim).filter(|host| !host.is_empty());
    named.map(str::to_ascii_lowercase).collect()
}

fn bad(setting: &str, message: impl std::fmt::Display) -> Failure {
    Failure::Settings(format!("--{setting}: {message}"))
}

/// A misspelt variable would silently leave a default in force.
fn refuse_unknown_variables(names: impl Iterator<Item = String>) -> Result<(), Failure> {
    use clap::CommandFactory;
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

/// Loopback, or said to be guarded by somebody else.
fn check_listener(setting: &'static str, address: &str, open: bool) -> Result<(), Failure> {
    let Some((host, port)) = address.rsplit_once(':').filter(|(host, _)| !host.is_empty()) else {
        return Err(bad(setting, format!("{address:?} is no HOST:PORT")));
    };
    if port.parse::<u16>().is_err() {
        return Err(bad(setting, format!("{port:?} is no port")));
    }
    let loopback = match SocketAddr::from_str(address) {
        Ok(address) => address.ip().is_loopback(),
        Err(_) => host == "localhost",
    };
    if !loopback && !open {
        return Err(bad(
            setting,
            format!(
                "{address} is beyond loopback and nothing authenticates its callers; \
                 say --allow-unauthenticated if something else guards it"
            ),
        ));
    }
    Ok(())
}

fn size(setting: &str, text: Option<&str>) -> Result<Option<usize>, Failure> {
    text.map(|text| {
        parse_size(text).ok_or_else(|| bad(setting, format!("{text:?} is no size such as 256MiB")))
    })
    .transpose()
}

fn parse_size(text: &str) -> Option<usize> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let unit: usize = match text[digits..].trim() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "kB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        _ => return None,
    };
    text[..digits].parse::<usize>().ok()?.checked_mul(unit)
}

fn time(setting: &str, text: Option<&str>) -> Result<Option<Duration>, Failure> {
    text.map(|text| {
        parse_time(text).ok_or_else(|| bad(setting, format!("{text:?} is no time such as 500ms or 2s")))
    })
    .transpose()
}

fn parse_time(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    if let Some(ms) = text.strip_suffix("ms") {
        return ms.parse().ok().map(Duration::from_millis);
    }
    let seconds: f64 = text.strip_suffix('s')?.parse().ok()?;
    (seconds <= 86_400.0).then(|| Duration::try_from_secs_f64(seconds).ok()).flatten()
}

fn topology(text: &str) -> Result<Topology, Failure> {
    let json = serde_json::from_str(text).map_err(|e| bad("topology", e))?;
    convert::from_json::<control::Topology>("bimetal.control.v1.Topology", json)
        .map(convert::topology)
        .map_err(|e| bad("topology", e))
}

fn namespaces(text: &str) -> Result<Vec<NamespaceRecord>, Failure> {
    let list: Vec<serde_json::Value> = serde_json::from_str(text).map_err(|e| bad("namespaces", e))?;
    list.into_iter()
        .map(|json| {
            let message: cache::Namespace =
                convert::from_json("bimetal.cache.v1.Namespace", json).map_err(|e| bad("namespaces", e))?;
            let mut record = convert::namespace_record(&message).map_err(|e| bad("namespaces", e))?;
            // What is given at start yields to every later change, whose revision is a version.
            record.revision = record.revision.max(1);
            record.check().map_err(|e| bad("namespaces", e))?;
            Ok(record)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn flags(arguments: &[&str]) -> Flags {
        let all = std::iter::once("bimetal-cache").chain(arguments.iter().copied());
        Arguments::try_parse_from(all).unwrap().flags
    }

    fn refused(arguments: &[&str]) -> String {
        Settings::check(flags(arguments)).unwrap_err().to_string()
    }

    #[test]
    fn a_listener_beyond_loopback_needs_a_word() {
        assert!(refused(&["--grpc-listen", "0.0.0.0:7400"]).contains("--allow-unauthenticated"));
        assert!(refused(&["--admin-listen", "cache-0:1"]).contains("--admin-listen"));
        let open = ["--grpc-listen", "0.0.0.0:7400", "--allow-unauthenticated"];
        assert!(Settings::check(flags(&open)).is_ok());
        for good in ["127.0.0.1:0", "localhost:0", "[::1]:0"] {
            assert!(Settings::check(flags(&["--grpc-listen", good])).is_ok(), "{good}");
        }
    }

    #[test]
    fn a_setting_at_fault_is_named() {
        assert!(refused(&["--memory-limit", "lots"]).contains("--memory-limit"));
        assert!(refused(&["--memory-limit", "1KiB"]).contains("at least 1MiB"));
        assert!(refused(&["--drain-delay", "2"]).contains("--drain-delay"));
        assert!(refused(&["--shards", "0"]).contains("--shards"));
        assert!(refused(&["--topology", "{\"epoch\":\"1\",\"nodez\":[]}"]).contains("nodez"));
        assert!(refused(&["--namespaces", "[{\"name\":\"BAD\"}]"]).contains("BAD"));
        assert!(refused(&["--history-limit", "200MiB"]).contains("--history-limit"));
    }

    #[test]
    fn a_flag_overrides_the_file_and_an_unknown_name_in_it_is_an_error() {
        let file: Flags = toml::from_str("instance = \"from-file\"\nshards = 3\neviction = \"lru\"").unwrap();
        let settings = Settings::check(flags(&["--instance", "from-flag"]).over(file)).unwrap();
        assert_eq!((settings.instance.as_str(), settings.shards), ("from-flag", 3));
        assert_eq!(settings.eviction, Policy::Lru);
        assert!(toml::from_str::<Flags>("instanze = \"x\"").is_err());
    }

    #[test]
    fn an_unknown_variable_is_an_error() {
        let names = |all: &[&str]| refuse_unknown_variables(all.iter().map(|n| (*n).to_owned()));
        assert!(names(&["PATH", "BIMETAL_INSTANCE", "BIMETAL_RUN_TOKEN"]).is_ok());
        assert!(names(&["BIMETAL_INSTANZE"]).unwrap_err().to_string().contains("BIMETAL_INSTANZE"));
    }

    #[test]
    fn sizes_and_times_have_units() {
        assert_eq!(parse_size("1"), Some(1));
        assert_eq!(parse_size("16MiB"), Some(16 << 20));
        assert_eq!(parse_size("99999999999999999999GiB"), None);
        assert_eq!(parse_time("1.5s"), Some(Duration::from_millis(1_500)));
        assert_eq!(parse_time("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(parse_time("-1s"), None);
    }
}
