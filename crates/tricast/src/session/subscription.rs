//! One channel of a session: where its reader stands, and what is told of that.

use std::sync::Arc;

use tricast_core::channel::{ChannelName, Kind};
use tricast_core::log::Head;
use tricast_core::position::{Position, Seq};
use tricast_core::protocol::event::{Gap, Subscribed};
use tricast_core::protocol::{Event, GapReason, Ref};

use super::Delivery;
use crate::hub::{Batch, Feed, Hub};
use crate::presence::Membership;

/// One channel of a session. Dropping it leaves the channel.
pub(super) struct Subscription {
    pub(super) hub: Arc<Hub>,
    pub(super) feed: Arc<Feed>,
    pub(super) place: u64,
    pub(super) position: Position,
    /// The life of the log that it was in when the reader last read it.
    pub(super) life: u32,
    /// The reader's place among the channel's members.
    pub(super) membership: Option<Membership>,
    /// On a state: when everything up to here has been told, so is `live`.
    pub(super) live_at: Option<Seq>,
}

impl Subscription {
    pub(super) fn new(hub: Arc<Hub>, feed: Arc<Feed>, place: u64) -> Self {
        let (position, life) = (feed.head().position(), feed.life());
        Self { hub, feed, place, position, life, membership: None, live_at: None }
    }

    pub(super) fn channel(&self) -> &ChannelName {
        &self.feed.topic().name
    }

    pub(super) fn kind(&self) -> Kind {
        self.feed.topic().rule.kind()
    }

    pub(super) fn has_news(&self) -> bool {
        let is_over = self.life != self.feed.life();
        is_over || self.feed.grew_past(self.position.seq) || self.live_at.is_some_and(|live| live <= self.position.seq)
    }

    /// Begins to read a state: a reader who has nothing reads a snapshot, and each is told when it is complete.
    pub(super) fn start(&mut self, head: &Head, resumed: bool, live_for_all: bool) {
        if self.kind() != Kind::State {
            return;
        }
        if !resumed && self.position.seq == Seq::ZERO {
            self.position = Position::snapshot(head.epoch, head.head);
        }
        let told = live_for_all || !resumed || self.position.base.is_some();
        self.live_at = told.then(|| self.position.base.unwrap_or(head.head));
    }

    pub(super) fn messages(&mut self, batch: Batch) -> Delivery {
        let from = self.position;
        self.position = from.advanced(batch.to);
        Delivery::Messages { channel: self.channel().clone(), from, batch }
    }

    pub(super) fn live(&mut self) -> Option<Delivery> {
        self.live_at.take_if(|live| *live <= self.position.seq)?;
        let (channel, position) = (self.channel().clone(), self.position);
        let event = Event::Live { channel: channel.clone(), position };
        Some(Delivery::Live { channel, position, event })
    }

    /// The reader's position is replaced: the backplane itself said that it cannot be continued.
    pub(super) fn lost(&mut self, head: &Head, reason: GapReason, position: Position) -> Delivery {
        self.position = position;
        let event = self.gap(head, reason);
        self.start(head, false, true);
        Delivery::Gap { channel: self.channel().clone(), position: self.position, event }
    }

    pub(super) fn subscribed(&self, head: &Head, recovered: Option<bool>, reference: Option<&Ref>) -> Event {
        Event::Subscribed(Subscribed {
            channel: self.channel().clone(),
            kind: self.kind(),
            position: self.position,
            head: head.position(),
            recovered,
            reference: reference.cloned(),
        })
    }

    pub(super) fn gap(&self, head: &Head, reason: GapReason) -> Event {
        Event::Gap(Gap { channel: self.channel().clone(), position: self.position, head: head.position(), reason })
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.feed.leave(self.place);
        self.hub.logs.feeds.left(&self.feed);
    }
}
