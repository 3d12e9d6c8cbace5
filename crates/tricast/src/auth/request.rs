//! The identity that the application's own middleware has found out already.

use std::fmt;
use std::marker::PhantomData;

use axum::extract::FromRequestParts;

use super::{AuthError, Authenticated, Authenticator, Credentials};

/// Takes what an extractor finds in the request: what the application's middleware put there, a session cookie, a header.
///
/// A caller for whom the extractor fails, or whom `into` maps to `None`, brought nothing; so extract what is there for
/// everybody, or make it [optional](FromRequest::optional). A WebSocket's `hello` and `auth` bring no request, and cannot
/// change who the upgrade found.
///
/// # Examples
/// ```
/// use axum::Extension;
/// use tricast::auth::{Authenticated, FromRequest};
/// use tricast::{Tricast, User};
///
/// #[derive(Clone)]
/// struct Account {
///     id: String,
/// }
///
/// let signed_in = FromRequest::new(|Extension(account): Extension<Account>| {
///     Some(Authenticated::user(User::new(account.id.parse().ok()?)))
/// });
/// let builder = Tricast::builder().authenticate(signed_in);
/// # let _ = builder;
/// ```
pub struct FromRequest<E, S, F> {
    state: S,
    into: F,
    required: bool,
    extractor: PhantomData<fn() -> E>,
}

impl<E, F> FromRequest<E, (), F>
where
    E: FromRequestParts<()> + Send + 'static,
    F: Fn(E) -> Option<Authenticated> + Send + Sync + 'static,
{
    /// Extracts an `E`, and takes it for who `into` says.
    pub fn new(into: F) -> Self {
        Self::with_state((), into)
    }
}

impl<E, S, F> FromRequest<E, S, F>
where
    E: FromRequestParts<S> + Send + 'static,
    S: Clone + Send + Sync + 'static,
    F: Fn(E) -> Option<Authenticated> + Send + Sync + 'static,
{
    /// Extracts an `E` that needs the application's state, and takes it for who `into` says.
    pub fn with_state(state: S, into: F) -> Self {
        Self { state, into, required: true, extractor: PhantomData }
    }

    /// Lets callers of whom nothing is found be anonymous.
    #[must_use]
    pub fn optional(self) -> Self {
        Self { required: false, ..self }
    }
}

impl<E, S, F> Authenticator for FromRequest<E, S, F>
where
    E: FromRequestParts<S> + Send + 'static,
    S: Clone + Send + Sync + 'static,
    F: Fn(E) -> Option<Authenticated> + Send + Sync + 'static,
{
    async fn authenticate(&self, credentials: Credentials<'_>) -> Result<Option<Authenticated>, AuthError> {
        let Some(request) = credentials.request else {
            return Err(AuthError::invalid("tokens are not taken here"));
        };
        let mut parts = request.clone();
        Ok(E::from_request_parts(&mut parts, &self.state).await.ok().and_then(|found| (self.into)(found)))
    }

    fn required(&self) -> bool {
        self.required
    }
}

impl<E, S, F> fmt::Debug for FromRequest<E, S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FromRequest").field("required", &self.required).finish_non_exhaustive()
    }
}
