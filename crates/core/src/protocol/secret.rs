//! Tokens, which must reach no log.

use std::fmt;

/// A token. Neither `Debug` nor `Display` shows it; only [`Secret::expose`] does.
///
/// # Examples
/// ```
/// use tricast_core::protocol::Secret;
/// let token = Secret::new("eyJhbGciOi");
/// assert!(!format!("{token} {token:?}").contains("eyJ"));
/// assert_eq!(token.expose(), "eyJhbGciOi");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<str>);

impl Secret {
    /// Wraps a token.
    #[must_use]
    pub fn new(token: impl Into<Box<str>>) -> Self {
        Self(token.into())
    }

    /// The token itself, for whoever verifies or sends it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}
