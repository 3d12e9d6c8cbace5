//! Channels: their names, their kinds, and the rules that decide which of them exist.
//!
//! A channel that no rule matches does not exist. Rules are tried in the order in which they were given, and the
//! first whose [`Pattern`] matches decides everything: kind, retention, who may subscribe and who may publish.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use crate::access::Access;
use crate::limits::{
    CHANNEL_NAME_BYTES, PATTERN_BYTES, STATE_KEEP, STATE_KEEP_BYTES, STREAM_KEEP, STREAM_KEEP_BYTES, STREAM_TTL_MS,
    SYSTEM_CHANNEL_NAME_BYTES,
};

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

/// Which channel names a rule is for: literal text and `{parameters}`.
///
/// A parameter takes at least one character and runs to the next occurrence of the literal behind it; the last one
/// runs to the end. There is no backtracking, so matching is linear in the name. System channels (`@…`) are matched
/// by no pattern.
///
/// # Examples
/// ```
/// use tricast_core::channel::Pattern;
/// let pattern: Pattern = "dm:{a}:{b}".parse()?;
/// let params = pattern.matches("dm:ann:bob").unwrap();
/// assert_eq!((params.get("a"), params.get("b")), (Some("ann"), Some("bob")));
/// assert!(pattern.matches("dm:ann").is_none());
/// # Ok::<(), tricast_core::channel::PatternError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    text: Box<str>,
    parts: Box<[Part]>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(Box<str>),
    Param(Box<str>),
}

/// What the parameters of a [`Pattern`] stood for in a name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Params<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Params<'a> {
    /// The value of a parameter, `None` if the pattern has none of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }
}

impl Pattern {
    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The parameters' values if this pattern is for `name`.
    #[must_use]
    pub fn matches<'a>(&'a self, name: &'a str) -> Option<Params<'a>> {
        if name.starts_with('@') {
            return None;
        }
        let mut params = Params::default();
        let mut rest = name;
        let mut parts = self.parts.iter().peekable();
        while let Some(part) = parts.next() {
            match part {
                Part::Literal(literal) => rest = rest.strip_prefix(&**literal)?,
                Part::Param(param) => {
                    let end = match parts.peek() {
                        // At least one character belongs to the parameter, even where the literal stands there.
                        Some(Part::Literal(next)) => rest.get(1..)?.find(&**next)? + 1,
                        _ => rest.len(),
                    };
                    let (value, after) = rest.split_at_checked(end)?;
                    if value.is_empty() {
                        return None;
                    }
                    params.0.push((param, value));
                    rest = after;
                }
            }
        }
        rest.is_empty().then_some(params)
    }
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fault = |problem| PatternError { pattern: text.to_owned(), problem };
        if text.is_empty() || text.len() > PATTERN_BYTES {
            return Err(fault(PatternProblem::Length));
        }
        if text.starts_with('@') {
            return Err(fault(PatternProblem::System));
        }
        let parts = parse_parts(text).map_err(fault)?;
        Ok(Self { text: text.into(), parts: parts.into() })
    }
}

fn parse_parts(text: &str) -> Result<Vec<Part>, PatternProblem> {
    let mut parts: Vec<Part> = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (literal, after) = rest.split_at(rest.find('{').unwrap_or(rest.len()));
        if let Some(culprit) = literal.chars().find(|&c| !is_name_char(c)) {
            return Err(PatternProblem::Character(culprit));
        }
        if !literal.is_empty() {
            parts.push(Part::Literal(literal.into()));
        }
        let Some(inner) = after.strip_prefix('{') else { break };
        let (name, after) = inner.split_once('}').ok_or(PatternProblem::Unclosed)?;
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            return Err(PatternProblem::ParamName(name.to_owned()));
        }
        if parts.iter().any(|part| matches!(part, Part::Param(known) if **known == *name)) {
            return Err(PatternProblem::ParamTwice(name.to_owned()));
        }
        if matches!(parts.last(), Some(Part::Param(_))) {
            return Err(PatternProblem::Adjacent(name.to_owned()));
        }
        parts.push(Part::Param(name.into()));
        rest = after;
    }
    Ok(parts)
}

/// A pattern that cannot be understood, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("pattern {pattern:?}: {problem}")]
pub struct PatternError {
    /// The pattern as it was written.
    pub pattern: String,
    /// What is wrong with it.
    pub problem: PatternProblem,
}

/// What is wrong with a pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternProblem {
    /// Empty, or longer than a channel name can be.
    #[error("it must have 1 to 255 bytes")]
    Length,
    /// It begins with `@`, where the system's channels are.
    #[error("names that begin with @ are the system's")]
    System,
    /// A character that no channel name contains.
    #[error("no channel name contains {0:?}")]
    Character(char),
    /// A `{` without its `}`.
    #[error("a {{ is not closed")]
    Unclosed,
    /// A parameter's name is not letters, digits and `_`.
    #[error("{0:?} is not a parameter's name")]
    ParamName(String),
    /// Two parameters have one name.
    #[error("the parameter {0:?} stands twice")]
    ParamTwice(String),
    /// Nothing stands between two parameters, so nobody could say where the first ends.
    #[error("nothing separates the parameter {0:?} from the one before it")]
    Adjacent(String),
}

/// What a channel keeps. Of a stream, whatever exceeds one of the three bounds is forgotten, oldest first. Of a state,
/// what would exceed count or bytes is refused, and a key leaves when its time is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Messages, or keys.
    pub keep: u64,
    /// Bytes, as the log accounts for them (payload, names and its own bookkeeping).
    pub keep_bytes: u64,
    /// Milliseconds since a message was appended; `u64::MAX` is for ever.
    pub ttl_ms: u64,
}

impl Retention {
    /// A stream's, unless its rule says otherwise: 1,000 messages, 8 MiB, 24 hours.
    #[must_use]
    pub const fn stream() -> Self {
        Self { keep: STREAM_KEEP, keep_bytes: STREAM_KEEP_BYTES, ttl_ms: STREAM_TTL_MS }
    }

    /// A state's, unless its rule says otherwise: 10,000 keys, 8 MiB, for ever.
    #[must_use]
    pub const fn state() -> Self {
        Self { keep: STATE_KEEP, keep_bytes: STATE_KEEP_BYTES, ttl_ms: u64::MAX }
    }
}

/// What holds for the channels of a pattern.
///
/// Whoever may subscribe may read all that is retained. Unless the rule says otherwise anyone may subscribe and only
/// the server may publish.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use tricast_core::{access::Access, channel::Rule};
/// let chat = Rule::stream().keep(1_000).ttl(Duration::from_secs(3_600)).publish(Access::Anyone);
/// assert_eq!(chat.retention().keep, 1_000);
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Rule {
    kind: Kind,
    retention: Retention,
    subscribe: Access,
    publish: Access,
    presence: bool,
}

impl Rule {
    /// A stream: every message matters. Keeps the newest 1,000 messages, 8 MiB, for 24 hours.
    pub fn stream() -> Self {
        Self::new(Kind::Stream, Retention::stream())
    }

    /// A state: the newest message of each key matters. Keeps 10,000 keys in 8 MiB, for ever.
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    /// use tricast_core::{access::Access, channel::{Kind, Rule}};
    /// let typing = Rule::state().ttl(Duration::from_secs(5)).publish(Access::Anyone);
    /// assert_eq!(typing.kind(), Kind::State);
    /// ```
    pub fn state() -> Self {
        Self::new(Kind::State, Retention::state())
    }

    fn new(kind: Kind, retention: Retention) -> Self {
        Self { kind, retention, subscribe: Access::Anyone, publish: Access::default(), presence: false }
    }

    /// Keeps at most the newest `messages`; of a state, at most so many keys: a new one over it is refused.
    pub fn keep(mut self, messages: u64) -> Self {
        self.retention.keep = messages;
        self
    }

    /// Keeps at most the newest messages that fit into `bytes`; of a state, refuses what does not fit.
    pub fn keep_bytes(mut self, bytes: u64) -> Self {
        self.retention.keep_bytes = bytes;
        self
    }

    /// Keeps a message for at most `ttl`, in whole milliseconds. A state's key is then deleted, unless it was published
    /// with a time of its own.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.retention.ttl_ms = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
        self
    }

    /// Says who may subscribe, and so read what is retained.
    pub fn subscribe(mut self, who: Access) -> Self {
        self.subscribe = who;
        self
    }

    /// Says who may publish.
    pub fn publish(mut self, who: Access) -> Self {
        self.publish = who;
        self
    }

    /// Keeps who is there: each client that is subscribed to a channel `x` is a member of the state `@presence/x`, which
    /// whoever may subscribe to `x` may read.
    pub fn presence(mut self) -> Self {
        self.presence = true;
        self
    }

    /// The kind of the channels.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What they keep.
    #[must_use]
    pub fn retention(&self) -> Retention {
        self.retention
    }

    /// Who may subscribe.
    #[must_use]
    pub fn subscribe_access(&self) -> &Access {
        &self.subscribe
    }

    /// Who may publish.
    #[must_use]
    pub fn publish_access(&self) -> &Access {
        &self.publish
    }

    /// Whether it keeps who is there.
    #[must_use]
    pub fn has_presence(&self) -> bool {
        self.presence
    }

    /// Checks what the setters took without a word.
    ///
    /// # Errors
    /// A bound of zero, under which nothing could ever be read.
    pub fn check(&self) -> Result<(), RuleError> {
        let Retention { keep, keep_bytes, ttl_ms } = self.retention;
        match () {
            () if keep == 0 => Err(RuleError::Zero("keep")),
            () if keep_bytes == 0 => Err(RuleError::Zero("keep_bytes")),
            () if ttl_ms == 0 => Err(RuleError::Zero("ttl")),
            () => Ok(()),
        }
    }
}

/// A rule that cannot work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// This bound is zero.
    #[error("{0} is zero, so nothing could ever be read")]
    Zero(&'static str),
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
