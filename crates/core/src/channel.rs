//! Channels: their names, their kinds, and the rules that decide which of them exist.
//!
//! A channel that no rule matches does not exist. Rules are tried in the order in which they were given, and the
//! first whose [`Pattern`] matches decides everything: kind, retention, who may subscribe and who may publish.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::limits::{CHANNEL_NAME_BYTES, SYSTEM_CHANNEL_NAME_BYTES};

mod pattern;
mod rule;

pub use pattern::{Params, Pattern, PatternError, PatternProblem};
pub use rule::{Retention, Rule, RuleError};

/// The name of a channel: 1 to 255 bytes of `[A-Za-z0-9_.:@/-]`. Cheap to clone.
///
/// A name that begins with `@` is the system's and may have 266 bytes.
///
/// # Examples
/// ```
/// use tricast_core::channel::ChannelName;
/// let name: ChannelName = "chat:lobby".parse()?;
/// assert_eq!(name.as_str(), "chat:lobby");
/// assert!("no spaces".parse::<ChannelName>().is_err());
/// # Ok::<(), tricast_core::channel::NameError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChannelName(Arc<str>);

impl ChannelName {
    /// The name as it stands on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is one of the system's own, which no application's pattern matches.
    #[must_use]
    pub fn is_system(&self) -> bool {
        self.0.starts_with('@')
    }

    /// The state channel of those who are on this one.
    #[must_use]
    pub fn presence(&self) -> Self {
        Self(Arc::from(format!("{PRESENCE}{self}")))
    }

    /// The system's log of rights that were taken back, which all nodes read.
    #[must_use]
    pub fn revoked() -> Self {
        Self(Arc::from("@revoked"))
    }

    /// The channel whose presence this one is.
    #[must_use]
    pub fn presence_of(&self) -> Option<Self> {
        self.0.strip_prefix(PRESENCE)?.parse().ok()
    }
}

/// What the name of a presence channel begins with.
const PRESENCE: &str = "@presence/";

impl FromStr for ChannelName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let most = if text.starts_with('@') { SYSTEM_CHANNEL_NAME_BYTES } else { CHANNEL_NAME_BYTES };
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if text.len() > most {
            return Err(NameError::TooLong { bytes: text.len(), most });
        }
        match text.chars().find(|&c| !is_name_char(c)) {
            Some(culprit) => Err(NameError::Character { culprit }),
            None => Ok(Self(Arc::from(text))),
        }
    }
}

impl fmt::Display for ChannelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ChannelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChannelName({})", self.0)
    }
}

fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | ':' | '@' | '/' | '-')
}

/// Why a text is not a channel name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// It has no characters.
    #[error("a channel name is empty")]
    Empty,
    /// It has too many bytes.
    #[error("a channel name has {bytes} bytes, at most {most} are allowed")]
    TooLong {
        /// Bytes it has.
        bytes: usize,
        /// Bytes it may have.
        most: usize,
    },
    /// A character outside `[A-Za-z0-9_.:@/-]`.
    #[error("a channel name contains {culprit:?}, only letters, digits and _ . : @ / - are allowed")]
    Character {
        /// The first such character.
        culprit: char,
    },
}

/// What a channel keeps: every message, or the newest of each key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Every message matters.
    Stream,
    /// The newest message of each key matters.
    State,
}

impl Kind {
    /// The kind as it stands on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stream => "stream",
            Self::State => "state",
        }
    }
}

/// A channel together with the rule it lives under: what a backplane is given. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Topic {
    /// The channel.
    pub name: ChannelName,
    /// The first rule whose pattern matched.
    pub rule: Arc<Rule>,
}

#[cfg(test)]
mod tests;
