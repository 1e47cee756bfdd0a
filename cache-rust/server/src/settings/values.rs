//! How the values of settings are written: sizes, times, addresses, hosts, and messages of the contract as ProtoJSON.

use super::bad;
use crate::convert;
use crate::exit::Failure;
use bimetal_contract::{cache, control};
use bimetal_engine::{NamespaceRecord, Topology};
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

/// Loopback, or said to be guarded by somebody else.
pub(super) fn check_listener(setting: &'static str, address: &str, open: bool) -> Result<(), Failure> {
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

pub(super) fn size(setting: &str, text: Option<&str>) -> Result<Option<usize>, Failure> {
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

pub(super) fn time(setting: &str, text: Option<&str>) -> Result<Option<Duration>, Failure> {
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

pub(super) fn topology(text: &str) -> Result<Topology, Failure> {
    let json = serde_json::from_str(text).map_err(|e| bad("topology", e))?;
    convert::from_json::<control::Topology>("bimetal.control.v1.Topology", json)
        .map(convert::topology)
        .map_err(|e| bad("topology", e))
}

pub(super) fn namespaces(text: &str) -> Result<Vec<NamespaceRecord>, Failure> {
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

pub(super) fn hosts(list: Option<&str>) -> Vec<String> {
    let named = list.unwrap_or_default().split(',').map(str::trim).filter(|host| !host.is_empty());
    named.map(str::to_ascii_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

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
