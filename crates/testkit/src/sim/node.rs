//! The server: real logs, the real decision, and readers that are served from them as the protocol says.
//!
//! What it answers is held against the [`Ledger`] on the spot, where the cause is still to be seen.

use std::sync::Arc;

use tricast_core::access::{Identity, Scope};
use tricast_core::channel::{Kind, Retention};
use tricast_core::log::{AppendError, Head, Limit, Log, Stamp};
use tricast_core::message::{Draft, Message};
use tricast_core::position::{Cursor, Epoch, Place, Position, Seq};
use tricast_core::protocol::{GapReason, Start};
use tricast_core::replay::{self, Beginning, Decision};

use super::flaw::Flaw;
use super::ledger::{Item, Keeps, Ledger, Outcome, payload};
use super::violation::{Checked, ensure};

/// An event, as far as a reader is concerned.
#[derive(Debug, Clone)]
pub(super) enum Told {
    Subscribed { channel: usize, position: Position, head: Position },
    Gap { channel: usize, position: Position, head: Position, reason: GapReason },
    Message { channel: usize, epoch: Epoch, message: Arc<Message> },
    Live { channel: usize, position: Position },
}

impl Told {
    pub(super) fn channel(&self) -> usize {
        match self {
            Self::Subscribed { channel, .. }
            | Self::Gap { channel, .. }
            | Self::Message { channel, .. }
            | Self::Live { channel, .. } => *channel,
        }
    }
}

/// A channel that is asked for, and where to start where the reader has no position.
pub(super) type Want = (usize, Start);

pub(super) struct Node {
    channels: Vec<Channel>,
    sessions: Vec<Session>,
    scopes: [Scope; 2],
    limit: Limit,
    epochs: u64,
    begun: u64,
    pub(super) duplicates: u64,
    flaw: Option<Flaw>,
}

struct Channel {
    keeps: Keeps,
    log: Log,
    ledger: Ledger,
}

/// What one connection, or one held poll, reads.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) id: u64,
    pub(super) link: usize,
    pub(super) polls: bool,
    /// A batch is being written.
    pub(super) busy: bool,
    subscriptions: Vec<Subscription>,
}

#[derive(Debug)]
struct Subscription {
    channel: usize,
    position: Position,
    live_at: Option<Seq>,
}

impl Node {
    pub(super) fn new(channels: &[Keeps], limit: Limit, flaw: Option<Flaw>) -> Self {
        let scopes = [Identity::Anonymous.scope(), Identity::Server.scope()];
        let (sessions, epochs) = (Vec::new(), channels.len() as u64);
        let channel = |(nth, keeps): (u64, &Keeps)| Channel::new(*keeps, Epoch::from_bits(nth), flaw);
        let channels = (0..).zip(channels).map(channel).collect();
        Self { channels, sessions, scopes, limit, epochs, begun: 0, duplicates: 0, flaw }
    }

    pub(super) fn ledger(&self, channel: usize) -> &Ledger {
        &self.channels[channel].ledger
    }

    /// The log of a channel is lost, with the ids that it knew.
    pub(super) fn lose(&mut self, channel: usize) {
        self.epochs += 1;
        let (epoch, flaw) = (Epoch::from_bits(self.epochs), self.flaw);
        let Channel { keeps, log, ledger } = &mut self.channels[channel];
        *log = new_log(*keeps, epoch, flaw);
        ledger.restart(epoch);
    }

    /// The process ends and another begins: all logs and connections are lost. Returns the links that were cut.
    pub(super) fn restart(&mut self) -> Vec<usize> {
        for channel in 0..self.channels.len() {
            self.lose(channel);
        }
        self.sessions.drain(..).map(|session| session.link).collect()
    }

    pub(super) fn end(&mut self, link: usize) {
        self.sessions.retain(|session| session.link != link);
    }

    pub(super) fn end_session(&mut self, id: u64) {
        self.sessions.retain(|session| session.id != id);
    }

    pub(super) fn session(&mut self, id: u64) -> Option<&mut Session> {
        self.sessions.iter_mut().find(|session| session.id == id)
    }

    pub(super) fn session_of(&self, link: usize) -> Option<u64> {
        self.sessions.iter().find(|session| session.link == link).map(|session| session.id)
    }

    /// The sessions that a message of this channel is for, and that can be written to.
    pub(super) fn idle_readers(&self, channel: usize) -> Vec<u64> {
        let reads = |session: &&Session| session.subscriptions.iter().any(|it| it.channel == channel);
        self.sessions.iter().filter(reads).filter(|session| !session.busy).map(|session| session.id).collect()
    }

    /// A connection, or a poll, that reads nothing yet.
    pub(super) fn open(&mut self, link: usize, polls: bool) -> u64 {
        self.begun += 1;
        self.sessions.push(Session { id: self.begun, link, polls, busy: false, subscriptions: Vec::new() });
        self.begun
    }

    /// Subscribes to channels; returns the events that begin each.
    pub(super) fn subscribe(&mut self, id: u64, wants: &[Want], cursor: &str, now: u64) -> Checked<Vec<Told>> {
        let epochs: Vec<Epoch> = wants.iter().map(|(channel, _)| self.channels[*channel].log.head().epoch).collect();
        let places = Cursor::parse_get(cursor).place(&epochs);
        let mut told = Vec::new();
        let Self { channels, sessions, flaw, .. } = self;
        let Some(session) = sessions.iter_mut().find(|session| session.id == id) else { return Ok(told) };
        for ((index, start), place) in wants.iter().zip(places) {
            if session.subscriptions.iter().any(|it| it.channel == *index) {
                continue;
            }
            let channel = &mut channels[*index];
            let head = channel.head(now)?;
            let (position, gap) = channel.begin(place, *start, &head, *flaw)?;
            let kind = channel.keeps.kind;
            let mut subscription = Subscription { channel: *index, position, live_at: None };
            let resumed = matches!(place, Place::At(_)) && gap.is_none();
            // A poll that goes on is told nothing, so that it can wait.
            if !(session.polls && resumed) {
                told.push(Told::Subscribed { channel: *index, position, head: head.position() });
            }
            if let Some(reason) = gap.filter(|_| *flaw != Some(Flaw::SilentGap)) {
                told.push(Told::Gap { channel: *index, position, head: head.position(), reason });
            }
            subscription.start(kind, &head, resumed, !session.polls);
            session.subscriptions.push(subscription);
        }
        Ok(told)
    }

    /// Takes what is new for a session, at most one batch.
    pub(super) fn take(&mut self, id: u64, now: u64) -> Checked<Vec<Told>> {
        let Self { channels, sessions, flaw, limit, .. } = self;
        let mut told = Vec::new();
        let Some(session) = sessions.iter_mut().find(|session| session.id == id) else { return Ok(told) };
        let mut left = *limit;
        for subscription in &mut session.subscriptions {
            if left.messages == 0 {
                break;
            }
            left.messages -= channels[subscription.channel].take(subscription, left, now, *flaw, &mut told)?;
        }
        // Who was served first is served last the next time.
        if !session.subscriptions.is_empty() {
            session.subscriptions.rotate_left(1);
        }
        Ok(told)
    }

    /// Appends; the position is what is answered, none where there is no room.
    pub(super) fn append(&mut self, channel: usize, item: &Item, now: u64) -> Checked<Option<Position>> {
        let Channel { log, ledger, .. } = &mut self.channels[channel];
        let known = item.id.clone().filter(|_| self.flaw != Some(Flaw::ForgetsIds));
        let key = item.key.map(|key| key.to_string());
        let mut draft = match item.value {
            Some(value) => Draft::new(payload(value)),
            None => Draft::delete(""),
        };
        draft.id = known.map(Into::into);
        draft.key = key.map(Into::into);
        draft.ttl_ms = item.ttl;
        let appended = log.append(draft, &self.scopes[item.scope], Stamp { now_ms: now, tag: 0 });
        let outcome = match appended {
            Ok(it) if it.duplicate => Outcome::Duplicate(it.position.seq.get()),
            Ok(it) if item.value.is_none() && it.position.seq.get() == ledger.head() => {
                Outcome::Nothing(it.position.seq.get())
            }
            Ok(it) => Outcome::Appended(it.position.seq.get()),
            Err(AppendError::Full { .. }) => Outcome::Full,
            Err(error) => return Err(error.to_string().into()),
        };
        self.duplicates += u64::from(matches!(outcome, Outcome::Duplicate(_)));
        let expected = ledger.append(item, now);
        ensure(outcome == expected, || format!("{item:?} was {outcome:?}, not {expected:?}"))?;
        ledger.check_head(&log.head())?;
        Ok(appended.ok().map(|appended| appended.position))
    }

    /// Deletes the keys whose time is over; says whether there were any.
    pub(super) fn expire(&mut self, channel: usize, now: u64) -> Checked<bool> {
        let Channel { log, ledger, .. } = &mut self.channels[channel];
        let expired = log.expire(Stamp { now_ms: now, tag: 0 });
        ensure(ledger.expire(now) == expired, || "keys expire at the wrong time".to_owned())?;
        ledger.check_head(&log.head())?;
        Ok(expired)
    }

    pub(super) fn next_expiry(&self, channel: usize) -> Option<u64> {
        self.channels[channel].log.next_expiry()
    }

    /// Whether there is nothing for a reader who stands here.
    pub(super) fn is_caught_up(&mut self, channel: usize, position: Position, now: u64) -> Checked<bool> {
        let channel = &mut self.channels[channel];
        let head = channel.head(now)?;
        let nothing = channel.log.extent(position, Limit::default()).count == 0;
        let at_head = channel.keeps.kind == Kind::State || position.seq == head.head;
        Ok(position.epoch == head.epoch && nothing && at_head)
    }
}

impl Channel {
    fn new(keeps: Keeps, epoch: Epoch, flaw: Option<Flaw>) -> Self {
        Self { keeps, log: new_log(keeps, epoch, flaw), ledger: Ledger::new(keeps, epoch) }
    }

    fn head(&mut self, now: u64) -> Checked<Head> {
        self.log.forget(now);
        self.ledger.forget(now);
        let head = self.log.head();
        self.ledger.check_head(&head)?;
        Ok(head)
    }

    /// Where a reader begins, and why it is told of a gap if it is.
    fn begin(
        &self,
        place: Place,
        start: Start,
        head: &Head,
        flaw: Option<Flaw>,
    ) -> Checked<(Position, Option<GapReason>)> {
        let kind = self.keeps.kind;
        match (place, replay::decide_place(kind, place, head)) {
            (Place::At(asked), Some(Beginning { position, gap })) => {
                let decision = gap.map_or(Decision::Continue, |reason| Decision::Gap { reason, position });
                let decision = flawed(decision, asked, head, flaw);
                self.ledger.judge(asked, decision)?;
                match decision {
                    Decision::Continue => Ok((asked, None)),
                    Decision::Gap { position, reason } => Ok((position, Some(reason))),
                }
            }
            (_, Some(Beginning { position, gap })) => {
                self.ledger.check_start(position)?;
                Ok((position, gap))
            }
            _ => {
                let position = replay::start(kind, start, head);
                match start {
                    Start::Latest => self.ledger.check_newest(position, 0)?,
                    Start::Last(newest) if kind == Kind::Stream => self.ledger.check_newest(position, newest)?,
                    _ => self.ledger.check_start(position)?,
                }
                Ok((position, None))
            }
        }
    }

    /// Takes at most `limit` for a subscription; returns how many messages.
    fn take(
        &mut self,
        subscription: &mut Subscription,
        limit: Limit,
        now: u64,
        flaw: Option<Flaw>,
        told: &mut Vec<Told>,
    ) -> Checked<usize> {
        let head = self.head(now)?;
        let (channel, kind) = (subscription.channel, self.keeps.kind);
        let decision = replay::decide(kind, Some(subscription.position), &head);
        let decision = flawed(decision, subscription.position, &head, flaw);
        self.ledger.judge(subscription.position, decision)?;
        if let Decision::Gap { position, reason } = decision {
            if flaw != Some(Flaw::SilentGap) {
                told.push(Told::Gap { channel, position, head: head.position(), reason });
            }
            subscription.position = position;
            subscription.start(kind, &head, false, true);
        }
        let extent = self.log.extent(subscription.position, limit);
        for message in self.log.read(subscription.position, limit) {
            if flaw == Some(Flaw::SkipsDeletions) && message.payload.is_none() {
                continue;
            }
            told.push(Told::Message { channel, epoch: head.epoch, message });
        }
        subscription.position = subscription.position.advanced(extent.to);
        let (position, reached) = (subscription.position, |live: &mut Seq| *live <= subscription.position.seq);
        if subscription.live_at.take_if(reached).is_some() {
            told.push(Told::Live { channel, position });
        }
        Ok(extent.count)
    }
}

impl Subscription {
    /// Begins to read a state: a reader who has nothing reads a snapshot, and each is told when it is complete. A poll
    /// that goes on from a complete one is told nothing.
    fn start(&mut self, kind: Kind, head: &Head, resumed: bool, live_for_all: bool) {
        if kind == Kind::Stream {
            return;
        }
        if !resumed && self.position.seq == Seq::ZERO {
            self.position = Position::snapshot(head.epoch, head.head);
        }
        let told = live_for_all || !resumed || self.position.base.is_some();
        self.live_at = told.then(|| self.position.base.unwrap_or(head.head));
    }
}

fn new_log(keeps: Keeps, epoch: Epoch, flaw: Option<Flaw>) -> Log {
    let keep = keeps.most + u64::from(flaw == Some(Flaw::KeepsOneMore));
    let retention = Retention { keep, keep_bytes: u64::MAX, ttl_ms: keeps.ttl };
    match keeps.kind {
        Kind::Stream => Log::new(Kind::Stream, epoch, retention),
        Kind::State => Log::remembering(keeps.deletions, epoch, retention),
    }
}

/// The decision, unless it is to be one too strict.
fn flawed(decision: Decision, asked: Position, head: &Head, flaw: Option<Flaw>) -> Decision {
    let strict = flaw == Some(Flaw::GapForNothing) && asked == head.before_first() && head.first.get() > 1;
    if strict { Decision::Gap { reason: GapReason::Expired, position: asked } } else { decision }
}
