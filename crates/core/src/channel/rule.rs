//! What holds for the channels of a pattern.

use std::time::Duration;

use super::{Kind, Pattern};
use crate::access::Access;
use crate::limits::{STATE_KEEP, STATE_KEEP_BYTES, STREAM_KEEP, STREAM_KEEP_BYTES, STREAM_TTL_MS};

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
    presence_for: Option<Access>,
    show_user: Option<bool>,
    public: bool,
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
        let (subscribe, publish) = (Access::Anyone, Access::default());
        let (presence, presence_for, show_user, public) = (false, None, None, false);
        Self { kind, retention, subscribe, publish, presence, presence_for, show_user, public }
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

    /// Keeps who is there, and says who may see it: those of whoever may subscribe of whom this holds as well.
    pub fn presence_for(mut self, who: Access) -> Self {
        self.presence_for = Some(who);
        self.presence()
    }

    /// Says whether messages and members bear their user's id. They do unless it is said here, or the rule is
    /// [`Rule::public`].
    pub fn show_user(mut self, show: bool) -> Self {
        self.show_user = Some(show);
        self
    }

    /// Lets what polls are answered be kept by caches that many readers share (protocol, section 6). Anyone must be able
    /// to subscribe.
    pub fn public(mut self) -> Self {
        self.public = true;
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

    /// Who of those that may subscribe may see who is there.
    #[must_use]
    pub fn presence_access(&self) -> Option<&Access> {
        self.presence_for.as_ref()
    }

    /// Whether messages and members bear their user's id.
    #[must_use]
    pub fn shows_user(&self) -> bool {
        self.show_user.unwrap_or(!self.public)
    }

    /// Whether what polls are answered may be kept by shared caches.
    #[must_use]
    pub fn is_public(&self) -> bool {
        self.public
    }

    /// Checks what the setters took without a word, for the channels of this pattern.
    ///
    /// # Errors
    /// A bound of zero, under which nothing could ever be read; an owner whom the pattern does not name; a public rule
    /// under which not everybody may read.
    pub fn check(&self, pattern: &Pattern) -> Result<(), RuleError> {
        let Retention { keep, keep_bytes, ttl_ms } = self.retention;
        let mut accesses =
            [Some(&self.subscribe), Some(&self.publish), self.presence_for.as_ref()].into_iter().flatten();
        let unnamed = accesses.find_map(|access| access.needs_param().filter(|param| !pattern.has_param(param)));
        match unnamed {
            _ if keep == 0 => Err(RuleError::Zero("keep")),
            _ if keep_bytes == 0 => Err(RuleError::Zero("keep_bytes")),
            _ if ttl_ms == 0 => Err(RuleError::Zero("ttl")),
            Some(param) => Err(RuleError::NoParam(param)),
            None if self.public && !self.subscribe.is_anyone() => Err(RuleError::NotPublic),
            None => Ok(()),
        }
    }
}

/// A rule that cannot work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RuleError {
    /// This bound is zero.
    #[error("{0} is zero, so nothing could ever be read")]
    Zero(&'static str),
    /// Its channels belong to the user whom a parameter names that the pattern does not have.
    #[error("an owner is whom {{{0}}} stands for, and the pattern has no {{{0}}}")]
    NoParam(&'static str),
    /// What not everybody may read cannot be public.
    #[error("it is public, but not everybody may subscribe")]
    NotPublic,
}
