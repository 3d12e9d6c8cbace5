//! Who a caller is: authentication.
//!
//! An [`Authenticator`] is asked about every request, and about every token that comes in band on a WebSocket. What it
//! finds is an [`Authenticated`] caller; where there is nothing to find, the caller is anonymous, or is refused if the
//! authenticator [requires](Authenticator::required) somebody. Without an authenticator every caller is anonymous.
//!
//! # Where a token travels
//! In `Authorization: Bearer …`, in a cookie, in a WebSocket's `hello` and `auth`, or as a second subprotocol,
//! `bearer.<token>`. Never in a URL, and never in a log: it is a [`Secret`].

mod jwt;
mod login;
mod request;

use std::fmt;

use http::request::Parts;
use tricast_core::access::{Identity, User};
use tricast_core::backplane::BoxFuture;
use tricast_core::protocol::{Code, Secret};

use crate::hooks::Transport;

pub use jwt::{Jwt, JwtError, KeyProblem};
pub(crate) use login::Login;
pub use request::FromRequest;

/// What a caller brought to prove who it is. Its `Debug` shows no header, for some of them bear tokens.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Credentials<'a> {
    /// The token of `Authorization: Bearer`, of a subprotocol, or of `hello` and `auth`. One in a cookie is in the
    /// request's headers.
    pub token: Option<&'a Secret>,
    /// The head of the request, with what the application's middleware put into its extensions; `None` where a token
    /// came in band, when the request is long over.
    pub request: Option<&'a Parts>,
    /// On which way.
    pub transport: Transport,
    /// What time it is, in milliseconds since the Unix epoch, by the node's clock.
    pub now_ms: u64,
}

impl<'a> Credentials<'a> {
    /// What a request brings, at this time.
    #[must_use]
    pub fn of_request(request: &'a Parts, token: Option<&'a Secret>, transport: Transport, now_ms: u64) -> Self {
        Self { token, request: Some(request), transport, now_ms }
    }

    /// A token that came in band on a WebSocket.
    #[must_use]
    pub fn of_token(token: &'a Secret, now_ms: u64) -> Self {
        Self { token: Some(token), request: None, transport: Transport::Ws, now_ms }
    }

    /// The value of a cookie of the request.
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<&'a str> {
        let lines = self.request?.headers.get_all(http::header::COOKIE).iter();
        let pairs = lines.filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(';'));
        let mut values = pairs.filter_map(|pair| pair.trim().split_once('=')).filter(|(known, _)| *known == name);
        values.next().map(|(_, value)| value.trim_matches('"'))
    }
}

impl fmt::Debug for Credentials<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("token", &self.token)
            .field("path", &self.request.map(|request| request.uri.path()))
            .field("transport", &self.transport)
            .field("now_ms", &self.now_ms)
            .finish_non_exhaustive()
    }
}

/// A caller who proved who it is, and for how long that holds.
///
/// # Examples
/// ```
/// use tricast::auth::Authenticated;
/// use tricast::User;
/// let ann = Authenticated::user(User::new("ann".parse()?)).until_ms(1_900_000_000_000);
/// assert_eq!(ann.identity.user(), Some("ann"));
/// # Ok::<(), tricast::core::access::UserIdError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Authenticated {
    /// Who.
    pub identity: Identity,
    /// When it ends, in milliseconds since the Unix epoch: a token's `exp`.
    pub expires_ms: Option<u64>,
    /// Since when it holds, in milliseconds since the Unix epoch: a token's `iat`. What was issued before a user was
    /// revoked is refused.
    pub issued_ms: Option<u64>,
}

impl Authenticated {
    /// A caller of this identity, for as long as it is connected.
    #[must_use]
    pub fn new(identity: Identity) -> Self {
        Self { identity, expires_ms: None, issued_ms: None }
    }

    /// A user, for as long as it is connected.
    #[must_use]
    pub fn user(user: User) -> Self {
        Self::new(user.into())
    }

    /// Until this time at most.
    #[must_use]
    pub fn until_ms(self, expires_ms: u64) -> Self {
        Self { expires_ms: Some(expires_ms), ..self }
    }

    /// Since this time.
    #[must_use]
    pub fn since_ms(self, issued_ms: u64) -> Self {
        Self { issued_ms: Some(issued_ms), ..self }
    }
}

/// Why nobody was found out. What it says is shown to the caller, so it never bears the token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthError {
    /// What was brought proves nothing.
    #[error("{0}")]
    Invalid(Box<str>),
    /// It proved something until lately.
    #[error("the token has expired")]
    Expired,
    /// Nobody can tell at the moment.
    #[error("{0}")]
    Unavailable(Box<str>),
}

impl AuthError {
    /// What was brought proves nothing, for this reason.
    pub fn invalid(reason: impl Into<Box<str>>) -> Self {
        Self::Invalid(reason.into())
    }

    /// The code of the wire.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Invalid(_) => Code::Unauthorized,
            Self::Expired => Code::TokenExpired,
            Self::Unavailable(_) => Code::Unavailable,
        }
    }
}

/// Finds out who a caller is: [`FromRequest`], [`Jwt`], or a type of the application.
///
/// # Examples
/// ```
/// use tricast::auth::{AuthError, Authenticated, Authenticator, Credentials};
/// use tricast::User;
///
/// struct ApiKeys;
///
/// impl Authenticator for ApiKeys {
///     async fn authenticate(&self, credentials: Credentials<'_>) -> Result<Option<Authenticated>, AuthError> {
///         match credentials.token.map(|token| token.expose()) {
///             None => Ok(None),
///             Some("correct horse") => Ok(Some(Authenticated::user(User::new("ann".parse().unwrap())))),
///             Some(_) => Err(AuthError::invalid("this key is not known")),
///         }
///     }
/// }
/// # let _ = tricast::Tricast::builder().authenticate(ApiKeys);
/// ```
pub trait Authenticator: Send + Sync + 'static {
    /// Finds out who brought this; `None` where there is nothing to find anybody out by.
    ///
    /// # Errors
    /// What was brought proves nothing.
    ///
    /// # Cancel safety
    /// It is dropped when it takes longer than a hook may.
    fn authenticate(
        &self,
        credentials: Credentials<'_>,
    ) -> impl Future<Output = Result<Option<Authenticated>, AuthError>> + Send;

    /// Whether a caller of whom nothing is found is refused, rather than anonymous. Refused, unless said otherwise.
    fn required(&self) -> bool {
        true
    }
}

/// An [`Authenticator`] as a node keeps it.
pub(crate) trait AnyAuthenticator: Send + Sync {
    fn find_out<'a>(&'a self, credentials: Credentials<'a>) -> BoxFuture<'a, Result<Option<Authenticated>, AuthError>>;

    fn is_required(&self) -> bool;
}

impl<A: Authenticator> AnyAuthenticator for A {
    fn find_out<'a>(&'a self, credentials: Credentials<'a>) -> BoxFuture<'a, Result<Option<Authenticated>, AuthError>> {
        Box::pin(self.authenticate(credentials))
    }

    fn is_required(&self) -> bool {
        self.required()
    }
}

/// Everybody is anonymous.
pub(crate) struct Nobody;

impl Authenticator for Nobody {
    async fn authenticate(&self, _: Credentials<'_>) -> Result<Option<Authenticated>, AuthError> {
        Ok(None)
    }

    fn required(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_show_no_token_wherever_it_stands() {
        let request = http::Request::get("/rt/sse?x=SECRET")
            .header("authorization", "Bearer SECRET")
            .header("cookie", "session=SECRET")
            .header("sec-websocket-protocol", "tricast.v1, bearer.SECRET");
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let token = Secret::new("SECRET");
        let credentials = Credentials::of_request(&parts, Some(&token), Transport::Sse, 7);
        let shown = format!("{credentials:?}");
        assert!(shown.contains("/rt/sse") && !shown.contains("SECRET"), "{shown}");
        assert_eq!(credentials.cookie("session"), Some("SECRET"));
    }

    #[test]
    fn a_cookie_is_found_among_others_by_its_whole_name() {
        let request =
            http::Request::get("/").header("cookie", "a=1; xsession=no").header("cookie", "session=\"yes\";b=2");
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let credentials = Credentials::of_request(&parts, None, Transport::Poll, 0);
        assert_eq!((credentials.cookie("session"), credentials.cookie("sess")), (Some("yes"), None));
        assert_eq!(Credentials { request: None, ..credentials }.cookie("session"), None);
    }
}
