//! Who somebody is, and what a rule lets them do.
//!
//! An [`Identity`] is what authentication found out about a caller; [`Access`] is what a rule asks of it. Both are closed
//! unless said otherwise: nobody is anybody until they proved it, and only the server publishes until a rule says who
//! else may.

mod capabilities;
mod decide;
mod user;

use std::fmt;
use std::sync::Arc;

pub use capabilities::Capabilities;
pub use decide::{Access, AccessRequest, Action, AsyncCondition, Condition, Verdict};
pub use user::{User, UserId, UserIdError};

/// Who is behind a connection or a publish.
///
/// # Examples
/// ```
/// use tricast_core::access::{Identity, User};
/// let ann = Identity::from(User::new("ann".parse()?));
/// assert_eq!(ann.user(), Some("ann"));
/// assert!(ann.is(Some("ann")) && !Identity::Anonymous.is(None));
/// # Ok::<(), tricast_core::access::UserIdError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Identity {
    /// A caller that proved nothing. All anonymous callers are one publisher to the idempotency window.
    #[default]
    Anonymous,
    /// Somebody who signed in.
    User(Arc<User>),
    /// The application itself, publishing from Rust, or a back end that may do anything.
    Server,
}

impl Identity {
    /// The user's id, if somebody signed in.
    ///
    /// To ask whether it is a certain user, prefer [`Identity::is`]: an anonymous caller has no id, and a pattern may
    /// lack the parameter, and `None == None`.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.user_id().map(UserId::as_str)
    }

    /// The user's id, if somebody signed in.
    #[must_use]
    pub fn user_id(&self) -> Option<&UserId> {
        match self {
            Self::User(user) => Some(&user.id),
            Self::Anonymous | Self::Server => None,
        }
    }

    /// Whether this is the user with this id; never so for an anonymous caller, and never where no id is given.
    #[must_use]
    pub fn is(&self, user: Option<&str>) -> bool {
        user.is_some() && self.user() == user
    }

    /// Whether this may do anything that any caller may.
    #[must_use]
    pub fn is_server(&self) -> bool {
        match self {
            Self::Server => true,
            Self::User(user) => user.capabilities.is_server(),
            Self::Anonymous => false,
        }
    }

    /// Whose idempotency ids these are: an id counts only among those of one publisher (protocol, 5.1).
    #[must_use]
    pub fn scope(&self) -> Scope {
        match self {
            Self::Anonymous => Scope(Arc::from("anonymous")),
            Self::Server => Scope(Arc::from("server")),
            // No other scope has a colon, whatever a user is called.
            Self::User(user) => Scope(Arc::from(format!("user:{}", user.id))),
        }
    }
}

impl From<User> for Identity {
    fn from(user: User) -> Self {
        Self::User(Arc::new(user))
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => f.write_str("anonymous"),
            Self::Server => f.write_str("the server"),
            Self::User(user) => write!(f, "user {}", user.id),
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

    /// The scope that a backplane stored as this text.
    #[must_use]
    pub fn stored(text: &str) -> Self {
        Self(Arc::from(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(id: &str) -> Identity {
        User::new(id.parse().unwrap()).into()
    }

    #[test]
    fn every_publisher_has_ids_of_its_own_whatever_a_user_is_called() {
        let all = [Identity::Anonymous, Identity::Server, user("server"), user("anonymous"), user("ann")];
        for (nth, one) in all.iter().enumerate() {
            let alike = all.iter().filter(|other| other.scope() == one.scope()).count();
            assert_eq!(alike, 1, "{nth}: {one}");
        }
        assert_eq!(user("ann").scope(), user("ann").scope());
    }

    #[test]
    fn nobody_is_nobody() {
        assert!(!Identity::Anonymous.is(None) && !Identity::Anonymous.is(Some("")));
        assert!(!Identity::Server.is(None) && !user("ann").is(None) && !user("ann").is(Some("bob")));
        assert!(user("ann").is(Some("ann")));
    }
}
