//! Users: whoever signed in, by the id that authentication gave them.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::Capabilities;
use crate::limits::USER_ID_BYTES;

/// A user's id, a token's `sub`: 1 to 128 bytes without control characters. Cheap to clone.
///
/// # Examples
/// ```
/// use tricast_core::access::UserId;
/// let ann: UserId = "ann".parse()?;
/// assert_eq!(ann.as_str(), "ann");
/// assert!("".parse::<UserId>().is_err());
/// # Ok::<(), tricast_core::access::UserIdError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserId(Arc<str>);

impl UserId {
    /// The id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for UserId {
    type Err = UserIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() || text.len() > USER_ID_BYTES {
            return Err(UserIdError::Length(text.len()));
        }
        match text.chars().find(|c| c.is_control()) {
            Some(culprit) => Err(UserIdError::Character(culprit)),
            None => Ok(Self(Arc::from(text))),
        }
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UserId({:?})", self.0)
    }
}

/// A text that is no user's id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UserIdError {
    /// It is empty or too long.
    #[error("a user's id has {0} bytes, 1 to {USER_ID_BYTES} are allowed")]
    Length(usize),
    /// It has a control character.
    #[error("a user's id contains the control character {0:?}")]
    Character(char),
}

/// Somebody who signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct User {
    /// Who.
    pub id: UserId,
    /// What the token lets them do, whatever the rules say.
    pub capabilities: Capabilities,
}

impl User {
    /// A user with no capabilities: the rules alone decide.
    #[must_use]
    pub fn new(id: UserId) -> Self {
        Self { id, capabilities: Capabilities::default() }
    }

    /// The user with these capabilities.
    #[must_use]
    pub fn with(self, capabilities: Capabilities) -> Self {
        Self { capabilities, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_1_to_128_bytes_and_no_control_character() {
        assert!("a".repeat(128).parse::<UserId>().is_ok());
        assert_eq!("a".repeat(129).parse::<UserId>(), Err(UserIdError::Length(129)));
        assert_eq!("".parse::<UserId>(), Err(UserIdError::Length(0)));
        for bad in ["a\nb", "\u{0}", "a\u{7f}", "\u{85}"] {
            assert!(matches!(bad.parse::<UserId>(), Err(UserIdError::Character(_))), "{bad:?}");
        }
        assert!("Jörg / ann@example.org".parse::<UserId>().is_ok());
    }
}
