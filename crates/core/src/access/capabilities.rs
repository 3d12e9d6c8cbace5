//! What a token itself lets its bearer do.

use super::Action;
use crate::channel::{ChannelName, Pattern};

/// What a token lets its bearer do, whatever the rules say short of "only the server".
///
/// # Examples
/// ```
/// use tricast_core::access::{Action, Capabilities};
/// let may = Capabilities::default().subscribe("room:{any}".parse()?).publish("room:1".parse()?);
/// assert!(may.allow(Action::Subscribe, &"room:7".parse()?));
/// assert!(!may.allow(Action::Publish, &"room:7".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Capabilities {
    subscribe: Vec<Pattern>,
    publish: Vec<Pattern>,
    server: bool,
}

impl Capabilities {
    /// May do anything that any caller may: a back end's.
    #[must_use]
    pub fn server() -> Self {
        Self { server: true, ..Self::default() }
    }

    /// May subscribe to the channels of this pattern as well.
    #[must_use]
    pub fn subscribe(mut self, pattern: Pattern) -> Self {
        self.subscribe.push(pattern);
        self
    }

    /// May publish to the channels of this pattern as well.
    #[must_use]
    pub fn publish(mut self, pattern: Pattern) -> Self {
        self.publish.push(pattern);
        self
    }

    /// How many patterns there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.subscribe.len() + self.publish.len()
    }

    /// Whether nothing is allowed that the rules do not allow.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0 && !self.server
    }

    /// Whether anything is allowed that any caller may.
    #[must_use]
    pub fn is_server(&self) -> bool {
        self.server
    }

    /// Whether one of the patterns is for this.
    #[must_use]
    pub fn allow(&self, action: Action, channel: &ChannelName) -> bool {
        let patterns = match action {
            Action::Subscribe => &self.subscribe,
            Action::Publish => &self.publish,
        };
        patterns.iter().any(|pattern| pattern.matches(channel.as_str()).is_some())
    }
}
