//! Where a request comes from, and whether that may be.
//!
//! A browser sends `Origin` with every WebSocket and every cross-site POST; another site's page may open neither.
//! Programs send none. Source: protocol, section 6, "Origin and Host".

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::header::{HOST, ORIGIN};
use http::{HeaderMap, StatusCode, Uri};
use tricast_core::protocol::Code;

use super::refusal::Refusal;
use crate::hub::Hub;

/// Refuses a request that a page of another origin made.
///
/// # Errors
/// `forbidden`, naming the origin.
pub(crate) fn check_origin(headers: &HeaderMap, uri: &Uri) -> Result<(), Refusal> {
    let mut origins = headers.get_all(ORIGIN).iter();
    let Some(origin) = origins.next() else { return Ok(()) };
    let origin = origin.to_str().unwrap_or_default();
    let own = authority(headers, uri);
    if origins.next().is_none() && own.is_some_and(|own| is_origin_of(origin, own)) {
        return Ok(());
    }
    let shown: String = origin.chars().take(100).collect();
    Err(Refusal::new(Code::Forbidden, format!("the origin {shown:?} is not this host's")))
}

/// A middleware that answers only requests which name this machine (DNS rebinding), where that was asked for.
pub(crate) async fn local_only(State(hub): State<Arc<Hub>>, request: Request, next: Next) -> Response {
    let Some(listen) = hub.config.local_only else { return next.run(request).await };
    match authority(request.headers(), request.uri()) {
        Some(host) if is_local(host, listen) => next.run(request).await,
        host => {
            let shown: String = host.unwrap_or_default().chars().take(100).collect();
            let reason = format!("the host {shown:?} is not this machine's");
            Refusal::new(Code::Forbidden, reason).with_status(StatusCode::FORBIDDEN).response()
        }
    }
}

/// The request's own authority: `Host`, or what its request line says.
fn authority<'a>(headers: &'a HeaderMap, uri: &'a Uri) -> Option<&'a str> {
    match headers.get(HOST) {
        Some(host) => host.to_str().ok(),
        None => uri.authority().map(http::uri::Authority::as_str),
    }
}

/// Whether `scheme://host[:port]` names this authority; a port that the scheme implies may be left out on either side.
fn is_origin_of(origin: &str, own: &str) -> bool {
    let Some((scheme, host)) = origin.split_once("://") else { return false };
    let default = match scheme {
        "http" => 80,
        "https" => 443,
        _ => return false,
    };
    match (host_and_port(host, default), host_and_port(own, default)) {
        (Some((host, port)), Some((own, own_port))) => host.eq_ignore_ascii_case(own) && port == own_port,
        _ => false,
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

/// Splits `host[:port]`, an IPv6 address standing in brackets; `None` where the port is no port.
fn host_and_port(authority: &str, default: u16) -> Option<(&str, u16)> {
    let after_host = authority.rfind(']').map_or(0, |end| end + 1);
    match authority.get(after_host..)?.find(':') {
        Some(colon) => {
            let (host, port) = authority.split_at(after_host + colon);
            Some((host, port.get(1..)?.parse().ok()?))
        }
        None => (!authority.is_empty()).then_some((authority, default)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(origin: &str, host: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(ORIGIN, origin.parse().unwrap());
        headers.insert(HOST, host.parse().unwrap());
        check_origin(&headers, &Uri::from_static("/ws")).is_ok()
    }

    #[test]
    fn a_page_of_the_same_authority_may_and_no_other() {
        assert!(allowed("http://app.example", "app.example"));
        assert!(allowed("https://app.example", "APP.example:443"));
        assert!(allowed("http://app.example:80", "app.example"));
        assert!(allowed("http://[::1]:8000", "[::1]:8000"));
        for foreign in
            ["https://evil.example", "null", "", "http://app.example:8080", "http://app.example.evil.example"]
        {
            assert!(!allowed(foreign, "app.example"), "{foreign}");
        }
        assert!(!allowed("https://app.example", "app.example:80"), "another port is another origin");
        assert!(!allowed("file://app.example", "app.example"));
    }

    #[test]
    fn a_program_without_an_origin_may_and_two_origins_may_not() {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, "app.example".parse().unwrap());
        assert!(check_origin(&headers, &Uri::from_static("/ws")).is_ok());
        headers.append(ORIGIN, "http://app.example".parse().unwrap());
        headers.append(ORIGIN, "http://evil.example".parse().unwrap());
        assert!(check_origin(&headers, &Uri::from_static("/ws")).is_err());
    }

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
