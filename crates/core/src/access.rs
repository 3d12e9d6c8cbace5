//! Who somebody is, and what a rule lets them do.

use std::sync::Arc;

/// Who is behind a connection or a publish.
///
/// Authentication will add users; until then a caller from outside is [`Identity::Anonymous`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Identity {
    /// A caller that proved nothing. All anonymous callers are one publisher to the idempotency window.
    #[default]
    Anonymous,
    /// The application itself, publishing from Rust.
    Server,
}

impl Identity {
    /// Whose idempotency ids these are: an id counts only among those of one publisher (protocol, 5.1).
    #[must_use]
    pub fn scope(&self) -> Scope {
        match self {
            Self::Anonymous => Scope(Arc::from("anonymous")),
            Self::Server => Scope(Arc::from("server")),
        }
    }
}

/// The publisher to whom an idempotency id belongs, so that nobody can squat on another's.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Scope(Arc<str>);

impl Scope {
    /// The scope as text, for a backplane's key.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Who may do something on the channels of a rule. Closed unless said otherwise.
///
/// # Examples
/// ```
/// use tricast_core::access::{Access, Identity};
/// assert!(Access::Anyone.allows(&Identity::Anonymous));
/// assert!(!Access::default().allows(&Identity::Anonymous));
/// assert!(Access::Server.allows(&Identity::Server));
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub enum Access {
    /// Every caller, signed in or not.
    Anyone,
    /// Only the application itself, from Rust.
    #[default]
    Server,
}

impl Access {
    /// Whether this lets `who` in.
    #[must_use]
    pub fn allows(&self, who: &Identity) -> bool {
        match self {
            Self::Anyone => true,
            Self::Server => *who == Identity::Server,
        }
    }
}
