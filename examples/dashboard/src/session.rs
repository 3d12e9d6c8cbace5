//! The application's own sessions: a cookie, and the middleware that finds out whose it is.
//!
//! Tricast knows nothing of them. It takes the [`Visitor`] that the middleware left in the request.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Extension;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::HeaderMap;
use axum::http::header::COOKIE;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;
use tricast::UserId;

use crate::problem::Problem;

/// Sessions that are remembered; for one more the oldest ends.
const MOST: usize = 10_000;

const NAME: &str = "dashboard";

/// Somebody who opened the page. The number is no secret, the cookie is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Visitor(pub(crate) u64);

impl Visitor {
    /// The visitor as Tricast knows users.
    pub(crate) fn user_id(self) -> Option<UserId> {
        self.to_string().parse().ok()
    }
}

impl fmt::Display for Visitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// As an argument of a handler: whoever is signed in, and 401 if nobody is.
impl<S: Send + Sync> FromRequestParts<S> for Visitor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let found = Extension::<Self>::from_request_parts(parts, state).await;
        found.map(|Extension(visitor)| visitor).map_err(|_| Problem::SignedOut)
    }
}

/// The middleware: whose cookie it is, for the page, the application's routes and all transports alike.
pub(crate) async fn session(State(sessions): State<Sessions>, mut request: Request, next: Next) -> Response {
    if let Some(visitor) = cookie(request.headers()).and_then(|secret| sessions.visitor(secret)) {
        request.extensions_mut().insert(visitor);
    }
    next.run(request).await
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == NAME).map(|(_, value)| value)
}

/// Who is signed in. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Sessions {
    open: Arc<Mutex<Open>>,
}

#[derive(Default)]
struct Open {
    by_secret: HashMap<Arc<str>, Visitor>,
    oldest_first: VecDeque<Arc<str>>,
    last: u64,
}

impl Sessions {
    /// Signs a new visitor in; gives the value of `Set-Cookie` too.
    ///
    /// # Errors
    /// The system has no random bits.
    pub(crate) fn begin(&self) -> Result<(Visitor, String), Problem> {
        let mut bits = [0; 16];
        getrandom::fill(&mut bits)?;
        let secret: Arc<str> = format!("{:032x}", u128::from_ne_bytes(bits)).into();
        let visitor = self.open().add(Arc::clone(&secret));
        Ok((visitor, format!("{NAME}={secret}; Path=/; HttpOnly; SameSite=Lax")))
    }

    /// Whether this visitor's session is remembered.
    pub(crate) fn knows(&self, Visitor(number): Visitor) -> bool {
        let open = self.open();
        // They end in the order in which they began.
        number <= open.last && number > open.last - open.by_secret.len() as u64
    }

    fn visitor(&self, secret: &str) -> Option<Visitor> {
        self.open().by_secret.get(secret).copied()
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    fn add(&mut self, secret: Arc<str>) -> Visitor {
        if self.oldest_first.len() == MOST
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.by_secret.remove(&oldest);
        }
        self.last += 1;
        let visitor = Visitor(self.last);
        self.oldest_first.push_back(Arc::clone(&secret));
        self.by_secret.insert(secret, visitor);
        visitor
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_session_ends_for_one_more_than_are_remembered() {
        let sessions = Sessions::default();
        let (first, cookie) = sessions.begin().unwrap();
        let secret = cookie.split(['=', ';']).nth(1).unwrap().to_owned();
        for _ in 1..MOST {
            sessions.begin().unwrap();
        }
        assert!(sessions.knows(first) && sessions.visitor(&secret) == Some(first));
        sessions.begin().unwrap();
        assert!(!sessions.knows(first) && sessions.visitor(&secret).is_none());
        assert!(sessions.knows(Visitor(2)) && !sessions.knows(Visitor(MOST as u64 + 2)));
        assert_eq!(sessions.open().by_secret.len(), MOST);
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, "theme=dark; mydashboard=no".parse().unwrap());
        assert_eq!(cookie(&headers), None);
        headers.append(COOKIE, "a=b; dashboard=secret".parse().unwrap());
        assert_eq!(cookie(&headers), Some("secret"));
    }
}
