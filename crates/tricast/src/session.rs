//! A reader: its cursors, and its next batch. What every transport drives.
//!
//! A session holds no queue. It holds a bell, and per channel a position; when the bell rings it takes what is new,
//! which is at most one batch, shared fairly among its channels, and moves the positions over it. A reader that
//! is slow therefore costs what a fast one costs, and finds a gap where a log has forgotten what it did not take.
//!
//! # Order
//! [`Session::subscribe`] returns the events that begin each subscription, to be written before anything that
//! [`Session::take`] returns. A reader is on its channel's list before it asks where the log stands, so what is
//! appended meanwhile is seen by the first `take`, once.

mod subscription;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tricast_core::channel::{ChannelName, Kind};
use tricast_core::log::{Head, Limit};
use tricast_core::message::Encoding;
use tricast_core::position::{Cursor, Place, Position};
use tricast_core::protocol::event::{Bye, Unsubscribed};
use tricast_core::protocol::{ClientId, Code, Event, Ref, Start, SubscribeTo};
use tricast_core::replay::{self, Beginning};
use tricast_core::wake::Bell;

use crate::auth::Login;
use crate::hub::{Batch, Got, Hub};
use crate::presence::{Membership, Visitor};
use crate::revocation::{Listed, Ordered};
use subscription::Subscription;

pub(crate) struct Session {
    hub: Arc<Hub>,
    login: Login,
    /// Where it is told what is taken back from its user.
    listed: Option<Listed>,
    /// Whether the application is being asked what it may read: what is taken back meanwhile is not to be had by that.
    asking: bool,
    /// Why all of it is over, where that was not ordered but found out here.
    over: Option<Bye>,
    bell: Arc<Bell>,
    /// In which form it takes messages; `None`: as they are.
    encoding: Option<Encoding>,
    subscriptions: Vec<Subscription>,
    /// Which subscription begins the next batch.
    turn: usize,
    /// Who becomes a member of channels with presence; nobody does on a connection without a client id.
    visitor: Option<Visitor>,
    /// Whether a reader of a state who goes on from a position without a base is told `live`.
    live_for_all: bool,
}

/// What became of a channel that was asked for.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) channel: ChannelName,
    pub(crate) result: Result<Begun, Code>,
}

/// A subscription that began, with the events that say so.
#[derive(Debug)]
pub(crate) struct Begun {
    pub(crate) position: Position,
    pub(crate) subscribed: Event,
    pub(crate) gap: Option<Event>,
    /// The reader came with a position, and goes on from it.
    pub(crate) resumed: bool,
}

/// The next thing to write.
#[derive(Debug)]
pub(crate) enum Delivery {
    /// Messages of a channel, for a reader who stood at this position.
    Messages { channel: ChannelName, from: Position, batch: Batch },
    /// The reader's position was replaced.
    Gap { channel: ChannelName, position: Position, event: Event },
    /// The subscription is over, for the reader lost the right to it.
    Ended { channel: ChannelName, code: Code },
    /// The reader has been told all that a state held when it began.
    Live { channel: ChannelName, position: Position, event: Event },
}

impl Delivery {
    /// What tells that a subscription is over.
    pub(crate) fn ended(channel: ChannelName, code: Code) -> Event {
        Event::Unsubscribed(Unsubscribed { channel, code: Some(code), reference: None })
    }
}

/// What one visit found.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    pub(crate) deliveries: Vec<Delivery>,
    /// The batch was cut: there is more without waiting.
    pub(crate) more: bool,
    /// Nothing comes after this: why the whole connection is over.
    pub(crate) over: Option<Bye>,
}

impl Session {
    pub(crate) fn new(hub: Arc<Hub>, login: Login, encoding: Option<Encoding>) -> Self {
        let (bell, subscriptions) = (Arc::default(), Vec::new());
        let listed = hub.list(&login, &bell);
        let (asking, over, turn, visitor, live_for_all) = (false, None, 0, None, true);
        Self { hub, login, listed, asking, over, bell, encoding, subscriptions, turn, visitor, live_for_all }
    }

    /// The reader of this client, who has its place on channels with presence; for `linger` after this session has gone.
    pub(crate) fn of_client(self, client: Option<ClientId>, linger: Duration) -> Self {
        let user = self.login.who.user_id().cloned();
        Self { visitor: client.map(|client| Visitor { user, client, linger }), ..self }
    }

    /// As [`Session::of_client`], of a session that reads nothing yet.
    pub(crate) fn choose(&mut self, client: ClientId, linger: Duration) {
        self.visitor = Some(Visitor { user: self.login.who.user_id().cloned(), client, linger });
    }

    /// Who reads.
    pub(crate) fn login(&self) -> &Login {
        &self.login
    }

    /// The reader has proved who it is, anew or at last: its rights are those of this login from now on.
    ///
    /// What it may not read any more goes on until it is [unsubscribed](Session::unsubscribe): see [`Session::channels`].
    ///
    /// # Cancel safety
    /// A dropped call may have changed the reader's place among the members of some channels.
    pub(crate) async fn log_in(&mut self, login: Login) {
        let is_another = login.who.user_id() != self.login.who.user_id();
        // On the new list before it leaves the old one.
        let listed = self.hub.list(&login, &self.bell);
        if let (Some(listed), Some(old)) = (&listed, &self.listed) {
            listed.orders.inherit(&old.orders);
        }
        self.listed = listed;
        self.login = login;
        let Some(visitor) = self.visitor.as_mut().filter(|_| is_another) else { return };
        visitor.user = self.login.who.user_id().cloned();
        for subscription in &mut self.subscriptions {
            if let Some(membership) = subscription.membership.take() {
                let data = membership.leave();
                let channel = subscription.feed.topic();
                subscription.membership = self.hub.presence.join(channel, visitor, data).await;
            }
        }
    }

    /// Whether the application is being asked about what this reads or is about to.
    pub(crate) fn asking(&mut self, asking: bool) {
        self.asking = asking;
    }

    /// Takes nothing any more but these last words.
    pub(crate) fn end(&mut self, bye: Bye) {
        self.over = Some(bye);
    }

    /// The channels that it reads.
    pub(crate) fn channels(&self) -> impl Iterator<Item = &ChannelName> {
        self.subscriptions.iter().map(Subscription::channel)
    }

    /// A poll's: it comes back again and again, so where nothing began it is told no `live`.
    pub(crate) fn polling(self) -> Self {
        Self { live_for_all: false, ..self }
    }

    /// Subscribes to channels; the outcomes are in their order.
    ///
    /// # Cancel safety
    /// A dropped call may have subscribed to some of them without telling: drop the session as well.
    pub(crate) async fn subscribe(
        &mut self,
        wanted: &[SubscribeTo],
        cursor: Option<&Cursor>,
        reference: Option<&Ref>,
    ) -> Vec<Outcome> {
        let mut entries = Vec::with_capacity(wanted.len());
        let mut room = self.hub.config.channels_per_connection.saturating_sub(self.subscriptions.len());
        let mut asked = HashSet::with_capacity(wanted.len());
        for one in wanted {
            let twice = !asked.insert(&one.name);
            let entry = self.enter(one, room, twice).await;
            room -= usize::from(matches!(entry, Entry::New(..)));
            entries.push(entry);
        }
        let places = cursor.map(|cursor| cursor.place(&epochs(&entries))).unwrap_or_default();
        let mut places = places.into_iter();
        let mut outcomes = Vec::with_capacity(wanted.len());
        for (one, entry) in wanted.iter().zip(entries) {
            let result = match entry {
                Entry::Refused(code) => Err(code),
                Entry::Known(head) => self.known(&one.name, &head, reference).ok_or(Code::Unavailable),
                Entry::New(mut subscription, head) => {
                    subscription.membership = self.join(&subscription, one).await;
                    let place = places.next().unwrap_or(Place::Fresh);
                    Ok(self.begin(subscription, &head, place, one.start, reference))
                }
            };
            outcomes.push(Outcome { channel: one.name.clone(), result });
        }
        outcomes
    }

    /// Ends a subscription; false if there was none.
    pub(crate) fn unsubscribe(&mut self, channel: &ChannelName) -> bool {
        let before = self.subscriptions.len();
        self.subscriptions.retain(|subscription| subscription.channel() != channel);
        self.subscriptions.len() < before
    }

    /// Where the reader stands on a channel; `None` if it is not subscribed.
    pub(crate) fn position(&self, channel: &ChannelName) -> Option<Position> {
        self.find(channel).map(|subscription| subscription.position)
    }

    /// The caller's place among the members of a channel.
    pub(crate) fn membership(&self, channel: &ChannelName) -> Option<&Membership> {
        self.find(channel)?.membership.as_ref()
    }

    /// Begins with another channel the further the reader has come.
    ///
    /// A poll's session takes once, and were it always from its first channel on, a few busy ones could fill each of
    /// its batches and keep the others waiting for ever. Nothing but the positions decides, so that the same cursor is
    /// answered the same.
    pub(crate) fn turn_by_positions(&mut self) {
        // 2^64 over the golden ratio: whatever the steps in which the sum grows, its multiples go through all turns.
        const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
        let come = self.subscriptions.iter().fold(0, |sum: u64, one| sum.wrapping_add(one.position.seq.get()));
        let turn = ((come.wrapping_mul(SPREAD) >> 32) * self.subscriptions.len() as u64) >> 32;
        self.turn = usize::try_from(turn).unwrap_or(0);
    }

    /// Makes [`Session::rung`] resolve once more: there is more to take.
    pub(crate) fn ring(&self) {
        self.bell.ring();
    }

    /// Resolves when there may be something to take.
    ///
    /// # Cancel safety
    /// Dropping it loses nothing.
    pub(crate) async fn rung(&self) {
        self.bell.rung().await;
    }

    /// Takes what is new, at most one batch, and moves the positions over it.
    ///
    /// # Cancel safety
    /// None: what a dropped call took is lost to this session. Drop the session as well.
    pub(crate) async fn take(&mut self, limit: Limit) -> Taken {
        let mut taken = self.obey();
        if taken.over.is_some() {
            return taken;
        }
        let count = self.subscriptions.len();
        let first = self.turn;
        self.turn = if count == 0 { 0 } else { (first + 1) % count };
        let ready: Vec<usize> = (first..first + count)
            .map(|nth| nth % count)
            .filter(|&index| self.subscriptions[index].has_news())
            .collect();

        let mut left = limit;
        for (done, &index) in ready.iter().enumerate() {
            if left.messages == 0 || (left.bytes == 0 && done > 0) {
                taken.more = true;
                break;
            }
            let sharers = ready.len() - done;
            let share = Limit { messages: left.messages.div_ceil(sharers), bytes: left.bytes.div_ceil(sharers) };
            let subscription = &mut self.subscriptions[index];
            // Before reading: what ends a life from here on is seen the next time.
            subscription.life = subscription.feed.life();
            let feed = &subscription.feed;
            match self.hub.logs.read(feed, subscription.position, share, self.encoding).await {
                Got::Nothing { to } => subscription.position = subscription.position.advanced(to),
                Got::Messages(batch) => {
                    left.messages = left.messages.saturating_sub(batch.count);
                    left.bytes = left.bytes.saturating_sub(batch.size);
                    taken.deliveries.push(subscription.messages(batch));
                }
                Got::Gap { head, reason, position } => {
                    taken.more = true;
                    taken.deliveries.push(subscription.lost(&head, reason, position));
                }
                // Rung when there is an answer.
                Got::Owed => {
                    subscription.life = subscription.life.wrapping_sub(1);
                    continue;
                }
            }
            taken.deliveries.extend(subscription.live());
            taken.more |= subscription.has_news();
        }
        taken
    }

    /// Ends what was taken back from the reader.
    fn obey(&mut self) -> Taken {
        if self.over.is_some() {
            return Taken { over: self.over.take(), ..Taken::default() };
        }
        let Some(listed) = &self.listed else { return Taken::default() };
        let Ordered { over, channels } = if self.asking { listed.orders.look() } else { listed.orders.take() };
        let over = over.map(|code| {
            let reason = if code == Code::Unauthorized { "the user's rights were taken back" } else { DOUBT };
            Bye::new(code, reason)
        });
        let lost = channels.into_iter().filter(|channel| self.unsubscribe(channel));
        let deliveries = lost.map(|channel| Delivery::Ended { channel, code: Code::Forbidden }).collect();
        Taken { deliveries, over, more: false }
    }

    async fn enter(&self, to: &SubscribeTo, room: usize, twice: bool) -> Entry {
        let topic = match self.hub.allow_subscribe(&self.login.who, to) {
            Ok(topic) => topic,
            Err(code) => return Entry::Refused(code),
        };
        if twice || self.find(&to.name).is_some() {
            return match self.hub.logs.backplane.open(&topic).await {
                Ok(head) => Entry::Known(head),
                Err(_) => Entry::Refused(Code::Unavailable),
            };
        }
        if room == 0 {
            return Entry::Refused(Code::TooManyChannels);
        }
        let Ok(feed) = self.hub.logs.feeds.obtain(&topic) else { return Entry::Refused(Code::Unavailable) };
        // On the list first, then asked where the log stands: see "Order" above.
        let place = feed.readers().join(Arc::clone(&self.bell));
        // In the life that the log has before it is asked where it stands: one that ends meanwhile is seen by the first
        // `take`.
        let subscription = Subscription::new(Arc::clone(&self.hub), feed, place);
        match self.hub.logs.watch(&subscription.feed).await {
            Ok(head) => Entry::New(subscription, head),
            Err(_) => Entry::Refused(Code::Unavailable),
        }
    }

    async fn join(&self, subscription: &Subscription, to: &SubscribeTo) -> Option<Membership> {
        let visitor = self.visitor.as_ref().filter(|_| subscription.feed.topic().rule.has_presence())?;
        self.hub.presence.join(subscription.feed.topic(), visitor, to.presence.clone()).await
    }

    fn begin(
        &mut self,
        mut subscription: Subscription,
        head: &Head,
        place: Place,
        start: Option<Start>,
        reference: Option<&Ref>,
    ) -> Begun {
        let kind = subscription.kind();
        let asked = match (place, start) {
            (Place::At(position), _) | (_, Some(Start::At(position))) => Some(Place::At(position)),
            (Place::Lost { .. }, _) => Some(place),
            (Place::Fresh, _) => None,
        };
        let fresh = || {
            let start = start.unwrap_or(default_start(kind));
            Beginning { position: replay::start(kind, start, head), gap: None }
        };
        let asked_for = asked.and_then(|asked| replay::decide_place(kind, asked, head));
        let Beginning { position, gap } = asked_for.unwrap_or_else(fresh);
        let resumed = asked.is_some() && gap.is_none();
        // Told as it is; what it becomes by reading bears a base.
        subscription.position = position;
        let subscribed = subscription.subscribed(head, asked.map(|_| gap.is_none()), reference);
        let gap = gap.map(|reason| subscription.gap(head, reason));
        subscription.start(head, resumed, self.live_for_all);
        let begun = Begun { position: subscription.position, subscribed, gap, resumed };
        self.subscriptions.push(subscription);
        // The first `take` needs no ring: what is retained after the position is news already.
        self.bell.ring();
        begun
    }

    fn known(&self, channel: &ChannelName, head: &Head, reference: Option<&Ref>) -> Option<Begun> {
        let subscription = self.find(channel)?;
        Some(Begun {
            position: subscription.position,
            subscribed: subscription.subscribed(head, None, reference),
            gap: None,
            resumed: false,
        })
    }

    fn find(&self, channel: &ChannelName) -> Option<&Subscription> {
        self.subscriptions.iter().find(|subscription| subscription.channel() == channel)
    }
}

/// Why every user has to show anew who it is.
const DOUBT: &str = "this node may have missed whose rights were taken back";

enum Entry {
    Refused(Code),
    Known(Head),
    New(Subscription, Head),
}

fn epochs(entries: &[Entry]) -> Vec<tricast_core::position::Epoch> {
    let epoch = |entry: &Entry| match entry {
        Entry::New(_, head) => Some(head.epoch),
        Entry::Refused(_) | Entry::Known(_) => None,
    };
    entries.iter().filter_map(epoch).collect()
}

fn default_start(kind: Kind) -> Start {
    match kind {
        Kind::Stream => Start::Latest,
        Kind::State => Start::Earliest,
    }
}
