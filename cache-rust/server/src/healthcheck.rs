//! The `healthcheck` command: asks /readyz of the admin port. Synchronous and small: a container runs it every
//! second.

use crate::exit::Failure;
use crate::settings::{Flags, Healthcheck};
use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(2);

/// Asks once.
///
/// # Errors
/// The node is not ready, or does not answer.
pub fn run(check: &Healthcheck, flags: &Flags) -> Result<(), Failure> {
    let configured = check.address.as_ref().or(flags.admin_listen.as_ref());
    let address = configured.map_or("127.0.0.1:7402", String::as_str);
    // A listener on all addresses is asked through loopback.
    let address = address.replace("0.0.0.0:", "127.0.0.1:").replace("[::]:", "[::1]:");
    let answer = ask(&address).map_err(|e| Failure::Other(format!("{address} does not answer: {e}")))?;
    if answer.starts_with("HTTP/1.1 200 ") {
        return Ok(());
    }
    let reason = answer.lines().last().unwrap_or_default();
    Err(Failure::Other(format!("{address} is not ready: {reason}")))
}

fn ask(address: &str) -> std::io::Result<String> {
    let target = address.to_socket_addrs()?.next().ok_or(std::io::ErrorKind::AddrNotAvailable)?;
    let mut stream = TcpStream::connect_timeout(&target, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.write_all(
        format!("GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes(),
    )?;
    let mut answer = Vec::new();
    stream.take(64 << 10).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
