//! Pages of what a channel retains.

use tricast_core::limits::HISTORY_DEFAULT;
use tricast_core::position::Position;
use tricast_core::protocol::HistoryFrom;
use tricast_core::protocol::event::History as WireHistory;

use crate::event::Message;

/// Which page to read.
///
/// # Examples
/// ```
/// use tricast_client::Page;
/// let newest = Page::newest().limit(20);
/// # let last = "3k9x0q7m2b1c-41".parse::<tricast_client::Position>()?;
/// let older = Page::before(last);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Page {
    pub(crate) from: HistoryFrom,
    pub(crate) limit: u64,
}

impl Page {
    /// The newest messages.
    pub fn newest() -> Self {
        Self { from: HistoryFrom::Newest, limit: HISTORY_DEFAULT }
    }

    /// The newest before a position, which is not among them.
    pub fn before(position: Position) -> Self {
        Self { from: HistoryFrom::Before(position), limit: HISTORY_DEFAULT }
    }

    /// The oldest after a position, which is not among them.
    pub fn after(position: Position) -> Self {
        Self { from: HistoryFrom::After(position), limit: HISTORY_DEFAULT }
    }

    /// At most how many messages: 1 to 1,000, default 100.
    pub fn limit(mut self, messages: u64) -> Self {
        self.limit = messages;
        self
    }
}

/// A page of what a channel retains.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct History {
    /// The messages, oldest first.
    pub messages: Vec<Message>,
    /// Where the last of them stands.
    pub position: Position,
    /// Whether more is retained in the direction that was asked for.
    pub more: bool,
    /// Whether messages after the position that was asked for are gone.
    pub gap: bool,
}

impl From<WireHistory> for History {
    fn from(history: WireHistory) -> Self {
        let WireHistory { messages, position, more, gap, .. } = history;
        Self { messages: messages.into_iter().map(Message::from).collect(), position, more, gap }
    }
}
