//! The opening handshake, judged by the server itself.
//!
//! Browsers cannot see why an upgrade failed, so only what is malformed is refused here; whoever is not welcome for
//! another reason is accepted first and told so by a `bye`. axum's extractor can do neither that nor answer a plain
//! GET with 426. The rules are those of [RFC 6455, section
//! 4.2.1](https://www.rfc-editor.org/rfc/rfc6455#section-4.2.1).
//!
//! # Subprotocols
//! `tricast.v1` is selected when it is offered. A token may ride along as a second offer, `bearer.<token>`; it is
//! taken out, never selected and never printed.

use axum::body::Body;
use axum::response::Response;
use http::header::{
    ALLOW, CONNECTION, HOST, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION,
    UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Version};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tricast_core::protocol::{SUBPROTOCOL, Secret};

/// What an accepted upgrade leaves to do: send `response`, await `upgrade`, hand its IO to a
/// [`Socket`](super::socket::Socket).
#[derive(Debug)]
pub(crate) struct Accepted {
    /// 101 with the accept key and the selected subprotocol.
    pub(crate) response: Response,
    /// Resolves once `response` has been written.
    pub(crate) upgrade: OnUpgrade,
    /// Whether the peer speaks [`SUBPROTOCOL`]: text pings and pongs.
    pub(crate) tricast_v1: bool,
    /// The token that was offered as `bearer.<token>`.
    pub(crate) bearer: Option<Secret>,
}

/// Judges an upgrade request and takes its connection out of it.
///
/// The request keeps everything else, so that a refused one can still be inspected.
///
/// # Errors
/// The first rule that the request breaks.
pub(crate) fn accept<B>(request: &mut Request<B>) -> Result<Accepted, Refusal> {
    check_request_line(request)?;
    let headers = request.headers();
    check_upgrade(headers)?;
    let accept_key = accept_key(headers)?;
    let offer = Offer::parse(headers)?;
    let upgrade = request.extensions_mut().remove::<OnUpgrade>().ok_or(Refusal::NoConnection)?;

    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept_key);
    if offer.tricast_v1 {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
    }
    Ok(Accepted { response, upgrade, tricast_v1: offer.tricast_v1, bearer: offer.bearer })
}

/// The byte stream of an upgraded connection.
pub(crate) type Io = TokioIo<Upgraded>;

/// Gives the byte stream of an upgraded connection, early bytes included.
pub(crate) fn io_of(upgraded: Upgraded) -> Io {
    TokioIo::new(upgraded)
}

/// Why an upgrade was refused; `Display` names the culprit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("a WebSocket is opened by GET")]
    Method,
    #[error("this endpoint speaks WebSocket over HTTP/1.1 only")]
    HttpVersion,
    #[error("this endpoint speaks WebSocket: `Upgrade: websocket` is missing")]
    NotAnUpgrade,
    #[error("`Connection` does not list `upgrade`")]
    Connection,
    #[error("`Host` is missing")]
    Host,
    #[error("`Sec-WebSocket-Version` is not 13")]
    WebSocketVersion,
    #[error("`Sec-WebSocket-Key` is not the base64 form of 16 bytes")]
    Key,
    #[error("`Sec-WebSocket-Protocol` is not a list of tokens")]
    Protocols,
    #[error("a `bearer.` subprotocol comes once, with a token, beside `tricast.v1`")]
    Bearer,
    #[error("the connection cannot be upgraded")]
    NoConnection,
}

impl Refusal {
    /// The status to answer with.
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::HttpVersion | Self::NotAnUpgrade | Self::WebSocketVersion | Self::NoConnection => {
                StatusCode::UPGRADE_REQUIRED
            }
            Self::Connection | Self::Host | Self::Key | Self::Protocols | Self::Bearer => StatusCode::BAD_REQUEST,
        }
    }

    /// The response: status, the headers that the status demands, and `body`.
    pub(crate) fn response(self, body: impl Into<Body>) -> Response {
        let mut response = Response::new(body.into());
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        if self.status() == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(ALLOW, HeaderValue::from_static("GET"));
        }
        if self.status() == StatusCode::UPGRADE_REQUIRED {
            headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
            headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
            headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        }
        response
    }
}

fn check_request_line<B>(request: &Request<B>) -> Result<(), Refusal> {
    if request.method() != Method::GET {
        return Err(Refusal::Method);
    }
    if request.version() != Version::HTTP_11 {
        return Err(Refusal::HttpVersion);
    }
    Ok(())
}

fn check_upgrade(headers: &HeaderMap) -> Result<(), Refusal> {
    if !lists(headers, UPGRADE, "websocket") {
        return Err(Refusal::NotAnUpgrade);
    }
    if !lists(headers, CONNECTION, "upgrade") {
        return Err(Refusal::Connection);
    }
    if !headers.contains_key(HOST) {
        return Err(Refusal::Host);
    }
    let version = headers.get(SEC_WEBSOCKET_VERSION);
    if version.is_none_or(|version| version != "13") {
        return Err(Refusal::WebSocketVersion);
    }
    Ok(())
}

/// Whether any line of the header lists `token`, in any case.
fn lists(headers: &HeaderMap, name: HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .any(|item| item.trim().eq_ignore_ascii_case(token))
}

fn accept_key(headers: &HeaderMap) -> Result<HeaderValue, Refusal> {
    let mut keys = headers.get_all(SEC_WEBSOCKET_KEY).iter();
    let key = keys.next().ok_or(Refusal::Key)?.as_bytes();
    if keys.next().is_some() || !is_key(key) {
        return Err(Refusal::Key);
    }
    HeaderValue::try_from(derive_accept_key(key)).map_err(|_| Refusal::Key)
}

/// Whether `key` is 16 bytes in base64: 22 characters and two of padding.
fn is_key(key: &[u8]) -> bool {
    let Some((digits, padding)) = key.split_at_checked(22) else {
        return false;
    };
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    padding == b"==" && digits.iter().all(is_digit)
}

/// What the subprotocol header offered that concerns us.
#[derive(Default)]
struct Offer {
    tricast_v1: bool,
    bearer: Option<Secret>,
}

impl Offer {
    fn parse(headers: &HeaderMap) -> Result<Self, Refusal> {
        let mut offer = Self::default();
        for line in headers.get_all(SEC_WEBSOCKET_PROTOCOL) {
            let line = line.to_str().map_err(|_| Refusal::Protocols)?;
            for item in line.split(',').map(str::trim) {
                offer.take(item)?;
            }
        }
        if offer.bearer.is_some() && !offer.tricast_v1 {
            return Err(Refusal::Bearer);
        }
        Ok(offer)
    }

    fn take(&mut self, item: &str) -> Result<(), Refusal> {
        if item == SUBPROTOCOL {
            self.tricast_v1 = true;
        } else if let Some(token) = item.strip_prefix(BEARER_PREFIX) {
            if token.is_empty() || self.bearer.is_some() {
                return Err(Refusal::Bearer);
            }
            self.bearer = Some(Secret::new(token));
        }
        Ok(())
    }
}

const BEARER_PREFIX: &str = "bearer.";

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 6455, section 1.3.
    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
    const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

    fn request(headers: &[(&str, &str)]) -> Request<()> {
        let mut request = Request::new(());
        for (name, value) in headers {
            request.headers_mut().append(HeaderName::try_from(*name).unwrap(), HeaderValue::from_str(value).unwrap());
        }
        // What `on` gives for a request that hyper did not serve is enough here:
        // it fails only when awaited.
        let upgrade = hyper::upgrade::on(Request::new(()));
        request.extensions_mut().insert(upgrade);
        request
    }

    const GOOD: [(&str, &str); 5] = [
        ("host", "example.com"),
        ("connection", "keep-alive, Upgrade"),
        ("upgrade", "WebSocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", KEY),
    ];

    /// The good request with one header replaced, or left out where `value` is empty.
    fn with(name: &str, value: &str) -> Request<()> {
        let mut headers: Vec<_> = GOOD.into_iter().filter(|(n, _)| *n != name).collect();
        if !value.is_empty() {
            headers.push((name, value));
        }
        request(&headers)
    }

    fn refusal(mut request: Request<()>) -> Refusal {
        accept(&mut request).err().unwrap()
    }

    #[test]
    fn a_good_request_is_answered_with_the_key_of_the_rfc() {
        let accepted = accept(&mut request(&GOOD)).unwrap();
        let response = accepted.response;
        assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
        assert_eq!(response.headers()[SEC_WEBSOCKET_ACCEPT], ACCEPT);
        assert_eq!(response.headers()[UPGRADE], "websocket");
        assert_eq!(response.headers()[CONNECTION], "upgrade");
        assert!(!response.headers().contains_key(SEC_WEBSOCKET_PROTOCOL));
        assert!(!accepted.tricast_v1);
    }

    #[test]
    fn a_plain_get_is_told_to_upgrade() {
        let refusal = refusal(request(&[("host", "example.com")]));
        assert_eq!(refusal, Refusal::NotAnUpgrade);
        let response = refusal.response("");
        assert_eq!(response.status(), StatusCode::UPGRADE_REQUIRED);
        assert_eq!(response.headers()[UPGRADE], "websocket");
    }

    #[test]
    fn another_websocket_version_is_told_which_one_is_spoken() {
        for version in ["", "8", "13, 8"] {
            let refusal = refusal(with("sec-websocket-version", version));
            assert_eq!(refusal, Refusal::WebSocketVersion, "{version:?}");
            let response = refusal.response("");
            assert_eq!(response.status(), StatusCode::UPGRADE_REQUIRED);
            assert_eq!(response.headers()[SEC_WEBSOCKET_VERSION], "13");
        }
    }

    #[test]
    fn other_methods_and_http_versions_are_refused() {
        let mut post = request(&GOOD);
        *post.method_mut() = Method::POST;
        let refused = refusal(post);
        assert_eq!(refused.response("").headers()[ALLOW], "GET");
        assert_eq!(refused.status(), StatusCode::METHOD_NOT_ALLOWED);

        let mut old = request(&GOOD);
        *old.version_mut() = Version::HTTP_10;
        assert_eq!(refusal(old), Refusal::HttpVersion);
    }

    #[test]
    fn each_malformed_header_is_named() {
        let cases = [
            ("connection", "keep-alive", Refusal::Connection),
            ("host", "", Refusal::Host),
            ("sec-websocket-key", "", Refusal::Key),
            ("sec-websocket-key", "c2hvcnQ=", Refusal::Key),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZ!==", Refusal::Key),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQAA", Refusal::Key),
        ];
        for (name, value, expected) in cases {
            let refusal = refusal(with(name, value));
            assert_eq!(refusal, expected, "{name}: {value}");
            assert_eq!(refusal.status(), StatusCode::BAD_REQUEST);
        }
    }

    #[test]
    fn two_keys_are_one_too_many() {
        let mut twice = GOOD.to_vec();
        twice.push(("sec-websocket-key", KEY));
        assert_eq!(refusal(request(&twice)), Refusal::Key);
    }

    #[test]
    fn our_subprotocol_is_selected_among_others() {
        for offered in ["tricast.v1", "graphql-ws,tricast.v1", "tricast.v1 , bearer.abc"] {
            let accepted = accept(&mut with("sec-websocket-protocol", offered)).unwrap();
            assert!(accepted.tricast_v1, "{offered}");
            assert_eq!(accepted.response.headers()[SEC_WEBSOCKET_PROTOCOL], "tricast.v1");
        }
    }

    #[test]
    fn an_unknown_subprotocol_is_not_selected() {
        let accepted = accept(&mut with("sec-websocket-protocol", "graphql-ws")).unwrap();
        assert!(!accepted.response.headers().contains_key(SEC_WEBSOCKET_PROTOCOL));
    }

    #[test]
    fn a_token_is_taken_from_the_offer_and_never_shown() {
        let offered = "tricast.v1, bearer.eyJh.b-c_d";
        let accepted = accept(&mut with("sec-websocket-protocol", offered)).unwrap();
        assert_eq!(accepted.bearer.as_ref().unwrap().expose(), "eyJh.b-c_d");
        assert!(!format!("{accepted:?}").contains("eyJh"));
    }

    #[test]
    fn a_token_alone_twice_or_empty_is_refused() {
        for offered in ["bearer.abc", "tricast.v1, bearer.", "tricast.v1, bearer.a, bearer.b"] {
            let refusal = refusal(with("sec-websocket-protocol", offered));
            assert_eq!(refusal, Refusal::Bearer, "{offered}");
            assert_eq!(refusal.status(), StatusCode::BAD_REQUEST);
        }
    }

    #[test]
    fn a_request_without_a_connection_behind_it_is_refused() {
        let mut request = request(&GOOD);
        request.extensions_mut().clear();
        assert_eq!(refusal(request), Refusal::NoConnection);
    }
}
