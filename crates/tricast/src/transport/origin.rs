//! Where a request comes from, and whether that may be.
//!
//! A browser sends `Origin` with every WebSocket and every cross-site POST; another site's page may open neither.
//! Programs send none. Source: protocol, section 6, "Origin and Host".

use std::net::{IpAddr, SocketAddr};

use axum::extract::Request;
use http::header::{HOST, ORIGIN};
use http::{HeaderMap, Uri};
use tricast_core::protocol::Code;

use super::refusal::Refusal;
use crate::edge::{Origin, host_and_port, origin_of};
use crate::hub::Hub;

/// Refuses a request that a page of another origin made, unless the application lets that origin in.
///
/// # Errors
/// `forbidden`, naming the origin.
pub(crate) fn check_origin(hub: &Hub, request: &Request) -> Result<(), Refusal> {
    let headers = request.headers();
    let Some(first) = headers.get(ORIGIN) else { return Ok(()) };
    let forwarded = hub.edge.proxies.forwarded_host(request.extensions(), headers);
    let own = forwarded.or_else(|| authority(headers, request.uri()));
    let judge = |origin: Origin| own.is_some_and(|own| origin.is_of(own)) || hub.edge.origins.lists(&origin);
    if origin_of(headers).is_some_and(judge) {
        return Ok(());
    }
    let shown: String = first.to_str().unwrap_or_default().chars().take(100).collect();
    Err(Refusal::new(Code::Forbidden, format!("the origin {shown:?} is not this host's")))
}

/// Refuses a request that does not name this machine (DNS rebinding), where that was asked for.
///
/// # Errors
/// `forbidden`, naming the host.
pub(crate) fn check_host(hub: &Hub, request: &Request) -> Result<(), Refusal> {
    let Some(listen) = hub.config.local_only else { return Ok(()) };
    let host = authority(request.headers(), request.uri()).unwrap_or_default();
    if is_local(host, listen) {
        return Ok(());
    }
    let shown: String = host.chars().take(100).collect();
    Err(Refusal::new(Code::Forbidden, format!("the host {shown:?} is not this machine's")))
}

/// The request's own authority: `Host`, or what its request line says.
fn authority<'a>(headers: &'a HeaderMap, uri: &'a Uri) -> Option<&'a str> {
    match headers.get(HOST) {
        Some(host) => host.to_str().ok(),
        None => uri.authority().map(http::uri::Authority::as_str),
    }
}

fn is_local(authority: &str, listen: SocketAddr) -> bool {
    let Some((host, port)) = host_and_port(authority, listen.port()) else { return false };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let loopback_name = bare.eq_ignore_ascii_case("localhost")
        || bare.len() > ".localhost".len() && bare.to_ascii_lowercase().ends_with(".localhost");
    match bare.parse::<IpAddr>() {
        Ok(ip) => ip.is_loopback() || (ip == listen.ip() && port == listen.port()),
        Err(_) => loopback_name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_names_and_the_listen_address_are_local() {
        let listen: SocketAddr = "192.0.2.7:8000".parse().unwrap();
        for host in ["localhost", "localhost:1", "app.localhost:3", "127.0.0.1:99", "[::1]:5", "192.0.2.7:8000"] {
            assert!(is_local(host, listen), "{host}");
        }
        for host in ["evil.example", "localhost.evil.example", "192.0.2.7:1", "192.0.2.8:8000", "", ".localhost", "a:b"]
        {
            assert!(!is_local(host, listen), "{host}");
        }
    }
}
