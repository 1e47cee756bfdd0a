//! The program itself: first log line, exit codes, signals, stdin, health check.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const PROGRAM: &str = env!("CARGO_BIN_EXE_bimetal-cache");

/// The program without the settings that this process may have in its environment.
fn bare() -> Command {
    let mut command = Command::new(PROGRAM);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("BIMETAL_")) {
        command.env_remove(name);
    }
    command
}

fn command(arguments: &[&str]) -> Command {
    let mut command = bare();
    command.args(["--grpc-listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--log-format", "json"]);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

pub struct Running {
    pub child: Child,
    pub first: serde_json::Value,
    log: Arc<Mutex<String>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    pub fn start(arguments: &[&str]) -> Self {
        Self::try_start(arguments).unwrap()
    }

    /// The exit status of one that ended before it listened.
    pub fn try_start(arguments: &[&str]) -> Result<Self, ExitStatus> {
        let mut child = command(arguments).spawn().unwrap();
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut line).unwrap();
        let first: Option<serde_json::Value> = serde_json::from_str(&line).ok();
        let Some(first) = first.filter(|first| first["msg"] == "listening") else {
            return Err(child.wait().unwrap());
        };
        // Somebody has to read on, or the process would stand still when the pipe is full.
        let log = Arc::new(Mutex::new(String::new()));
        let lines = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                lines.lock().unwrap().push_str(&(line + "\n"));
            }
        });
        Ok(Self { child, first, log })
    }

    /// What it has logged since.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Sends a signal; of a STOP it waits for the effect. Until a thread takes that up, all of them run on: on a busy
    /// machine long enough to hand a node over.
    pub fn signal(&self, name: &str) {
        let status =
            Command::new("kill").args([format!("-{name}"), self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
        let started = Instant::now();
        while name == "STOP" && !self.is_at_rest() {
            assert!(started.elapsed() < Duration::from_secs(15), "it does not stop");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Every thread is stopped, or has ended.
    fn is_at_rest(&self) -> bool {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        threads.map_while(Result::ok).all(|thread| {
            let stat = std::fs::read_to_string(thread.path().join("stat"));
            // "id (name) state …"; a thread that ended meanwhile has none.
            stat.map_or(true, |stat| stat.rsplit_once(") ").unwrap().1.starts_with(['T', 'Z', 'X']))
        })
    }

    pub fn wait(&mut self) -> ExitStatus {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(started.elapsed() < Duration::from_secs(5), "it does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn pid(&self) -> u64 {
        u64::from(self.child.id())
    }

    pub fn grpc(&self) -> &str {
        self.first["addresses"]["grpc"].as_str().unwrap()
    }

    pub fn admin(&self) -> &str {
        self.first["addresses"]["admin"].as_str().unwrap()
    }
}

fn ends_with(arguments: &[&str]) -> (Option<i32>, String) {
    let output = command(arguments).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn the_first_log_line_tells_the_addresses_in_use() {
    let mut node = Running::start(&["--instance", "cache-3", "--drain-delay", "0"]);
    assert_eq!((&node.first["msg"], &node.first["level"]), (&"listening".into(), &"info".into()));
    assert_eq!((&node.first["service"], &node.first["instance"]), (&"cache".into(), &"cache-3".into()));
    assert_eq!(node.first["pid"], node.child.id());
    assert!(!node.first["addresses"]["grpc"].as_str().unwrap().ends_with(":0"));
    let check = Command::new(PROGRAM).args(["healthcheck", "--address", node.admin()]).status().unwrap();
    assert_eq!(check.code(), Some(0));
    node.signal("TERM");
    assert_eq!(node.wait().code(), Some(0));
    let check = Command::new(PROGRAM).args(["healthcheck", "--address", node.admin()]).output().unwrap();
    assert_eq!(check.status.code(), Some(1));
}

#[test]
fn a_drain_fails_readiness_first_and_a_second_signal_ends_at_once() {
    let mut node = Running::start(&["--drain-delay", "60s"]);
    node.signal("INT");
    let ready = || {
        let mut stream = std::net::TcpStream::connect(node.admin()).unwrap();
        stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.starts_with("HTTP/1.1 200")
    };
    let started = Instant::now();
    while ready() {
        assert!(started.elapsed() < Duration::from_secs(5), "readiness does not fail");
    }
    // Signals within 500 ms are one; so this is sent until one of them counts.
    let started = Instant::now();
    while node.child.try_wait().unwrap().is_none() {
        let _ =
            Command::new("kill").args(["-INT", &node.child.id().to_string()]).stderr(Stdio::null()).status();
        assert!(started.elapsed() < Duration::from_secs(5), "a second signal does not end it");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(started.elapsed() > Duration::from_millis(300), "one Ctrl-C may arrive several times");
    assert_eq!(node.wait().code(), Some(130));
}

#[test]
fn it_ends_with_the_stdin_that_it_was_told_to_watch() {
    let mut node = Running::start(&["--watch-stdin"]);
    drop(node.child.stdin.take());
    assert_eq!(node.wait().code(), Some(0));
}

#[test]
fn exit_codes_say_why() {
    let (code, text) = ends_with(&["--memory-limit", "some"]);
    assert_eq!(code, Some(2));
    assert!(text.contains("--memory-limit"), "{text}");
    assert_eq!(ends_with(&["--no-such-flag"]).0, Some(2));
    assert_eq!(ends_with(&["--config", "/no/such/file"]).0, Some(2));

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = bare().args(["--grpc-listen", &address, "--admin-listen", "127.0.0.1:0"]).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8(output.stderr).unwrap().contains(&address));

    let (code, text) = ends_with(&["--data-dir", "/dev/null/x"]);
    assert_eq!((code, text.contains("/dev/null/x")), (Some(4), true), "{text}");
}

#[test]
fn an_unknown_variable_is_named() {
    let output = command(&[]).env("BIMETAL_MEMORY_LIMITS", "1GiB").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("BIMETAL_MEMORY_LIMITS"));
}

#[test]
fn the_run_token_is_neither_shown_nor_logged() {
    let output = bare().arg("--help").env("BIMETAL_RUN_TOKEN", "very-secret").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    assert!(help.contains("BIMETAL_RUN_TOKEN") && !help.contains("very-secret"));
    let mut node = Running::start(&["--run-token", "very-secret"]);
    assert!(!node.first.to_string().contains("very-secret"));
    node.signal("KILL");
    node.wait();
}
