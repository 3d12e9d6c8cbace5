//! Who was let in, and until when: what a node makes of what an [`super::Authenticator`] finds.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt as _;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use http::request::Parts;
use tokio::time::timeout;
use tricast_core::access::Identity;
use tricast_core::limits::{TOKEN_BYTES, TOKEN_LEEWAY_MS};
use tricast_core::protocol::{Code, Secret};

use super::{Authenticated, Credentials};
use crate::hooks::{HookError, Refused, Transport};
use crate::hub::Hub;

/// A caller who was let in. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Login {
    pub(crate) who: Identity,
    /// When it ends, in milliseconds since the Unix epoch.
    expires_ms: Option<u64>,
    /// Since when it holds: a token's `iat`; where nobody says, since it was found out.
    pub(crate) since_ms: u64,
}

impl Login {
    /// The application itself.
    pub(crate) fn server() -> Self {
        Self { who: Identity::Server, ..Self::default() }
    }

    /// How long it holds yet; `None` for as long as the connection does.
    pub(crate) fn expires_in(&self, now_ms: u64) -> Option<Duration> {
        self.expires_ms.map(|at| Duration::from_millis(at.saturating_sub(now_ms)))
    }

    /// How long until its connection is ended: clocks may differ a little. Zero once it is over.
    pub(crate) fn ends_in(&self, now_ms: u64) -> Option<Duration> {
        // The last millisecond of the leeway is within it.
        let at = self.expires_ms?.saturating_add(TOKEN_LEEWAY_MS).saturating_add(1);
        Some(Duration::from_millis(at.saturating_sub(now_ms)))
    }

    /// Whether `other` may take this one's place on a live connection: it is the same user's, or the first.
    pub(crate) fn may_become(&self, other: &Self) -> bool {
        match (&self.who, &other.who) {
            (Identity::Anonymous, _) => true,
            (own, other) => own.user_id() == other.user_id() && own.user_id().is_some() || own == other,
        }
    }
}

impl Hub {
    /// Who brought this; `None` where there was nothing to find anybody out by.
    ///
    /// # Errors
    /// It proves nothing, or not any more, or nobody can tell.
    ///
    /// # Cancel safety
    /// Dropping it changes nothing.
    pub(crate) async fn find_out(&self, credentials: Credentials<'_>) -> Result<Option<Login>, Refused> {
        const NAME: &str = "authenticate";
        if credentials.token.is_some_and(|token| token.expose().len() > TOKEN_BYTES) {
            let message = format!("the token has more than {TOKEN_BYTES} bytes");
            return Err(Refused::of(Code::Unauthorized, message));
        }
        // It may panic before it returns its future.
        let finding = AssertUnwindSafe(async { self.auth.find_out(credentials).await }).catch_unwind();
        let found = timeout(self.hooks.timeout(), finding).await.map_err(|_| HookError::TimedOut(NAME))?;
        let found = found.map_err(|_| {
            tracing::error!("the authenticator panicked");
            HookError::Failed(NAME)
        })?;
        match found {
            Ok(Some(found)) => self.log_in(found, credentials.now_ms).map(Some),
            Ok(None) => Ok(None),
            Err(error) => Err(Refused::of(error.code(), error.to_string())),
        }
    }

    fn log_in(&self, found: Authenticated, now_ms: u64) -> Result<Login, Refused> {
        let Authenticated { identity: who, expires_ms, issued_ms } = found;
        let login = Login { who, expires_ms, since_ms: issued_ms.unwrap_or(now_ms) };
        if login.ends_in(now_ms).is_some_and(|left| left.is_zero()) {
            return Err(Refused::of(Code::TokenExpired, "the token has expired"));
        }
        if login.who.user_id().is_some_and(|user| self.revocations.is_revoked(user, login.since_ms)) {
            return Err(Refused::of(Code::Unauthorized, "what the user had was taken back since this was issued"));
        }
        Ok(login)
    }

    /// Who asks for a WebSocket; `None` where that has to be said by a `hello` yet.
    ///
    /// # Errors
    /// As [`Hub::find_out`].
    pub(crate) async fn log_in_upgrade(
        &self,
        request: &Parts,
        offered: Option<&Secret>,
    ) -> Result<Option<Login>, Refused> {
        // What was meant for this very connection goes before what a browser sends along with every request.
        let header = bearer(&request.headers)?;
        let token = offered.or(header.as_ref());
        let credentials = Credentials::of_request(request, token, Transport::Ws, self.clock.wall_ms());
        let found = self.find_out(credentials).await?;
        Ok(found.or_else(|| (!self.auth.is_required()).then(Login::default)))
    }

    /// Who makes a request; anonymous where that is allowed and nothing else is found.
    ///
    /// # Errors
    /// As [`Hub::find_out`], and where somebody is required.
    pub(crate) async fn log_in_request(&self, request: &Parts, transport: Transport) -> Result<Login, Refused> {
        let token = bearer(&request.headers)?;
        let credentials = Credentials::of_request(request, token.as_ref(), transport, self.clock.wall_ms());
        match self.find_out(credentials).await? {
            Some(login) => Ok(login),
            None if self.auth.is_required() => Err(Refused::of(Code::Unauthorized, "a token is required")),
            None => Ok(Login::default()),
        }
    }
}

/// The token of `Authorization: Bearer`. Another scheme is the application's own affair.
fn bearer(headers: &HeaderMap) -> Result<Option<Secret>, Refused> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        // A proxy may have judged the other one.
        return Err(Refused::of(Code::Unauthorized, "there is more than one Authorization header"));
    }
    let malformed = || Refused::of(Code::Unauthorized, "the Authorization header is not `Bearer` and a token");
    let Some((scheme, token)) = value.as_bytes().split_at_checked(7) else { return Ok(None) };
    if !scheme.eq_ignore_ascii_case(b"bearer ") {
        return Ok(None);
    }
    let token = str::from_utf8(token).map_err(|_| malformed())?.trim();
    if token.is_empty() {
        return Err(malformed());
    }
    Ok(Some(Secret::new(token)))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use tricast_core::access::{Capabilities, User};

    use super::*;

    fn token_of(value: &[u8]) -> Result<Option<String>, Code> {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_bytes(value).unwrap());
        let token = bearer(&headers).map_err(|refused| refused.code())?;
        Ok(token.map(|token| token.expose().to_owned()))
    }

    #[test]
    fn a_bearer_token_is_taken_and_other_schemes_are_the_applications() {
        assert_eq!(token_of(b"Bearer a.b.c"), Ok(Some("a.b.c".to_owned())));
        assert_eq!(token_of(b"bearer  a.b.c "), Ok(Some("a.b.c".to_owned())));
        assert_eq!(token_of(b"Basic YTpi"), Ok(None));
        assert_eq!(token_of(b"Bearer"), Ok(None));
        assert_eq!(token_of(b"Bearer  "), Err(Code::Unauthorized));
        assert_eq!(token_of(b"Bearer \xff"), Err(Code::Unauthorized));
        assert_eq!(bearer(&HeaderMap::new()).unwrap(), None);
    }

    #[test]
    fn of_two_tokens_none_is_taken() {
        let mut headers = HeaderMap::new();
        for value in ["Bearer a", "Bearer b"] {
            headers.append(AUTHORIZATION, HeaderValue::from_static(value));
        }
        assert_eq!(bearer(&headers).map_err(|refused| refused.code()), Err(Code::Unauthorized));
    }

    #[test]
    fn a_token_takes_the_place_of_one_of_the_same_user_only() {
        let login = |who: Identity| Login { who, ..Login::default() };
        let user = |id: &str| login(User::new(id.parse().unwrap()).into());
        let able = login(User::new("ann".parse().unwrap()).with(Capabilities::server()).into());
        assert!(login(Identity::Anonymous).may_become(&user("ann")));
        assert!(user("ann").may_become(&user("ann")) && user("ann").may_become(&able));
        assert!(!user("ann").may_become(&user("bob")));
        assert!(!user("ann").may_become(&login(Identity::Anonymous)));
        assert!(!user("ann").may_become(&Login::server()) && !Login::server().may_become(&user("ann")));
        assert!(Login::server().may_become(&Login::server()));
    }

    #[test]
    fn a_token_ends_with_leeway_that_nobody_is_told_of() {
        let login = Login { expires_ms: Some(10_000), ..Login::default() };
        assert_eq!(login.expires_in(9_000), Some(Duration::from_secs(1)));
        assert_eq!(login.ends_in(9_000), Some(Duration::from_millis(6_001)));
        assert_eq!((login.expires_in(11_000), login.ends_in(15_001)), (Some(Duration::ZERO), Some(Duration::ZERO)));
        assert_eq!(Login::default().ends_in(u64::MAX), None);
    }
}
