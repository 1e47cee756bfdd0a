//! Who may ask the admin port, which asks nobody who they are: no page of another origin. A Host that is neither
//! loopback nor allowed (DNS rebinding), a foreign Origin, and `Sec-Fetch-Site: cross-site` are refused.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::net::IpAddr;
use std::sync::Arc;

/// Hosts that are served beside loopback's, in small letters.
pub type AllowedHosts = Arc<[String]>;

/// Lets a request through, or answers 403 with a sentence.
pub async fn guard(State(allowed): State<AllowedHosts>, request: Request, next: Next) -> Response {
    match foreign(request.headers(), &allowed) {
        Some(why) => (StatusCode::FORBIDDEN, format!("{why}\n")).into_response(),
        None => next.run(request).await,
    }
}

fn foreign(headers: &HeaderMap, allowed: &[String]) -> Option<String> {
    let may_be = |authority: &str| {
        let host = host_of(authority).to_ascii_lowercase();
        is_loopback(&host) || allowed.contains(&host)
    };
    let host = headers.get(header::HOST).and_then(|value| value.to_str().ok()).unwrap_or("");
    if !may_be(host) {
        return Some(format!("the host {host:?} is neither loopback nor among the allowed hosts"));
    }
    for origin in headers.get_all(header::ORIGIN) {
        let origin = origin.to_str().unwrap_or("");
        if !origin.split_once("://").is_some_and(|(_, authority)| may_be(authority)) {
            return Some(format!("requests from the origin {origin:?} are refused"));
        }
    }
    let is_cross = headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site");
    is_cross.then(|| "cross-site requests are refused".into())
}

/// The host of `HOST`, `HOST:PORT` or `[IPV6]:PORT`.
fn host_of(authority: &str) -> &str {
    match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, _)) => host,
        None => authority.rsplit_once(':').map_or(authority, |(host, _)| host),
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host.ends_with(".localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(fields: &[(&'static str, &'static str)]) -> bool {
        let headers = fields.iter().map(|(name, value)| {
            let name = axum::http::HeaderName::from_static(name);
            (name, axum::http::HeaderValue::from_static(value))
        });
        foreign(&headers.collect(), &["cache-0".into()]).is_some()
    }

    #[test]
    fn pages_of_other_origins_are_refused() {
        for host in ["evil.example", "evil.example:7402", "", "localhost.evil.example", "10.0.0.1:7402"] {
            assert!(refused(&[("host", host)]), "{host}");
        }
        for origin in ["http://evil.example", "null", "https://cache-1:7402"] {
            assert!(refused(&[("host", "localhost:7402"), ("origin", origin)]), "{origin}");
        }
        assert!(refused(&[("host", "localhost"), ("sec-fetch-site", "cross-site")]));
    }

    #[test]
    fn loopback_and_allowed_hosts_are_served() {
        for host in
            ["localhost", "LOCALHOST:7402", "127.0.0.1:7402", "127.8.8.8", "[::1]:7402", "cache-0:7402"]
        {
            assert!(!refused(&[("host", host)]), "{host}");
        }
        assert!(!refused(&[("host", "localhost"), ("origin", "http://localhost:7700")]));
        assert!(!refused(&[("host", "localhost"), ("sec-fetch-site", "same-origin")]));
    }
}
