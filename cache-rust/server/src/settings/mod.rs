//! Settings: flags over environment (`BIMETAL_…`) over file over defaults, checked before anything starts.

mod flags;
mod values;

pub use flags::{Arguments, Command, Eviction, Flags, Healthcheck, LogFormat, LogLevel};

use crate::exit::Failure;
use bimetal_engine::{NamespaceRecord, Policy, Topology};
use std::path::PathBuf;
use std::time::Duration;
use values::{check_listener, hosts, namespaces, size, time, topology};

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
        flags::refuse_unknown_variables(std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()))?;
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

fn bad(setting: &str, message: impl std::fmt::Display) -> Failure {
    Failure::Settings(format!("--{setting}: {message}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use clap::Parser;

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
        let names = |all: &[&str]| flags::refuse_unknown_variables(all.iter().map(|n| (*n).to_owned()));
        assert!(names(&["PATH", "BIMETAL_INSTANCE", "BIMETAL_RUN_TOKEN"]).is_ok());
        assert!(names(&["BIMETAL_INSTANZE"]).unwrap_err().to_string().contains("BIMETAL_INSTANZE"));
    }
}
