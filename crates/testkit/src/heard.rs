//! What a backplane told a node, remembered.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::timeout;
use tricast_core::backplane::{Events, News, Uncertain};
use tricast_core::channel::{ChannelName, Topic};
use tricast_core::message::Message;
use tricast_core::position::Position;

use crate::WATCHDOG;

/// One of the things that a node is told.
#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    /// A log grew.
    Grew(Grew),
    /// What was told before may be incomplete: of one channel, or of all.
    Uncertain(Option<ChannelName>),
}

/// News of a channel.
#[derive(Debug, Clone, PartialEq)]
pub struct Grew {
    /// Whose log.
    pub channel: ChannelName,
    /// To where.
    pub at: Position,
    /// The message there, where the news bear it.
    pub message: Option<Arc<Message>>,
}

/// Remembers all that it is told, for who waits for it.
///
/// # Examples
/// ```
/// use tricast_core::backplane::{Events, Uncertain};
/// use tricast_testkit::heard::Heard;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let heard = Heard::default();
/// heard.uncertain(Uncertain::All);
/// heard.doubt_of("chat").await;
/// assert!(heard.all().is_empty());
/// # }
/// ```
#[derive(Debug, Default)]
pub struct Heard(watch::Sender<Vec<Told>>);

impl Heard {
    /// All that was told and not taken.
    #[must_use]
    pub fn all(&self) -> Vec<Told> {
        self.0.borrow().clone()
    }

    /// The news of a channel that were told and not taken.
    #[must_use]
    pub fn of(&self, topic: &Topic) -> Vec<Grew> {
        self.0.borrow().iter().filter_map(Told::grew).filter(|grew| grew.channel == topic.name).cloned().collect()
    }

    /// Whether it was told that a channel grew to this position.
    #[must_use]
    pub fn has(&self, topic: &Topic, position: Position) -> bool {
        self.0.borrow().iter().any(|told| told.is(topic, position))
    }

    /// Waits until it was told that a channel grew to this position.
    ///
    /// # Panics
    /// It is not told.
    pub async fn reaches(&self, topic: &Topic, position: Position) {
        self.until(&format!("{position} of {}", topic.name), |told| told.is(topic, position)).await;
    }

    /// Waits until this seq of a channel is told, and takes it.
    ///
    /// # Panics
    /// It is not told.
    pub async fn seq(&self, name: &str, seq: u64) -> Grew {
        let is_it = |told: &Told| told.grew().is_some_and(|it| it.channel.as_str() == name && it.at.seq.get() == seq);
        match self.take(&format!("{name} grew to {seq}"), is_it).await {
            Told::Grew(grew) => grew,
            Told::Uncertain(_) => unreachable!("it was taken for what it is"),
        }
    }

    /// Waits until a channel is told to be uncertain, or all are, and takes that.
    ///
    /// # Panics
    /// It is not told.
    pub async fn doubt_of(&self, name: &str) {
        let is_it = |told: &Told| match told {
            Told::Uncertain(channel) => channel.as_ref().is_none_or(|it| it.as_str() == name),
            Told::Grew(_) => false,
        };
        self.take(&format!("{name} is uncertain"), is_it).await;
    }

    /// Forgets all that was told.
    pub fn forget(&self) {
        self.0.send_replace(Vec::new());
    }

    async fn take(&self, what: &str, is_it: impl Fn(&Told) -> bool) -> Told {
        loop {
            self.until(what, &is_it).await;
            let mut taken = None;
            self.0.send_modify(|all| taken = all.iter().position(&is_it).map(|index| all.remove(index)));
            // Somebody else may have taken it.
            if let Some(taken) = taken {
                return taken;
            }
        }
    }

    async fn until(&self, what: &str, is_it: impl Fn(&Told) -> bool) {
        let mut told = self.0.subscribe();
        let heard = timeout(WATCHDOG, told.wait_for(|told| told.iter().any(&is_it))).await;
        assert!(heard.is_ok(), "not told: {what}; but {:?}", self.0.borrow());
    }
}

impl Told {
    fn grew(&self) -> Option<&Grew> {
        match self {
            Self::Grew(grew) => Some(grew),
            Self::Uncertain(_) => None,
        }
    }

    fn is(&self, topic: &Topic, position: Position) -> bool {
        self.grew().is_some_and(|grew| grew.channel == topic.name && grew.at == position)
    }
}

impl Events for Heard {
    fn grew(&self, News { channel, epoch, seq, message }: News<'_>) {
        let at = Position::new(epoch, seq);
        let grew = Grew { channel: channel.clone(), at, message: message.cloned() };
        self.0.send_modify(|all| all.push(Told::Grew(grew)));
    }

    fn uncertain(&self, what: Uncertain<'_>) {
        let channel = match what {
            Uncertain::All => None,
            Uncertain::Channel(channel) => Some(channel.clone()),
        };
        self.0.send_modify(|all| all.push(Told::Uncertain(channel)));
    }
}
