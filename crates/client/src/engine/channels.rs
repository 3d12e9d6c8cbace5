//! The channels that are read, and what becomes of their events.

use std::sync::Arc;
use std::time::Duration;

use tricast_core::channel::ChannelName;
use tricast_core::json::Json;
use tricast_core::protocol::{Code, Event as WireEvent, Start, SubscribeTo};

use super::Engine;
use crate::backoff::Backoff;
use crate::error::{Closed, Refusal, SubscribeError};
use crate::event::{Event, Message};
use crate::inbox::{End, Inbox, Item};
use crate::output::{Output, Reply};
use crate::reader::{Reader, Verdict};

/// One channel that is read, from a position of its own over whatever connection lives.
#[derive(Debug)]
pub(super) struct Channel {
    reader: Reader,
    /// Where to start, as long as there is no position.
    start: Option<Start>,
    presence: Option<Json>,
    inbox: Arc<Inbox>,
    /// The inbox is full.
    is_paused: bool,
    /// Left out until then, because of trouble of its own.
    rests_until: Option<Duration>,
    backoff: Backoff,
    /// Faults since a message was delivered.
    stuck: u32,
    number: u64,
}

/// What an application wants to read.
#[derive(Debug)]
pub(crate) struct Wish {
    pub(crate) start: Option<Start>,
    pub(crate) presence: Option<Json>,
    pub(crate) inbox: Arc<Inbox>,
}

impl Channel {
    pub(super) fn deadline(&self) -> Option<Duration> {
        self.rests_until
    }

    fn want(&self, name: &ChannelName) -> SubscribeTo {
        let mut want = SubscribeTo::new(name.clone());
        want.start = self.reader.position().map(Start::At).or(self.start);
        want.presence = self.presence.clone();
        want
    }

    /// Judges an event, and gives what the application is to be told.
    fn judge(&mut self, event: WireEvent) -> (Verdict, Option<Event>) {
        match event {
            WireEvent::Subscribed(event) => (self.reader.subscribed(&event), Some(Event::Subscribed(event))),
            WireEvent::Gap(event) => (self.reader.gap(&event), Some(Event::Gap(event))),
            WireEvent::Message(event) => (self.reader.message(&event), Some(Event::Message(Message::from(event)))),
            WireEvent::Live { position, .. } => (self.reader.live(position), None),
            _ => (Verdict::Drop, None),
        }
    }
}

impl Engine {
    /// Begins to read a channel.
    pub(crate) fn subscribe(&mut self, name: &ChannelName, wish: Wish) -> Result<(), SubscribeError> {
        if let Some(closed) = self.closed() {
            return Err(SubscribeError::Closed { channel: name.clone(), closed: closed.clone() });
        }
        if self.channels.contains_key(name) {
            return Err(SubscribeError::Twice { channel: name.clone() });
        }
        self.numbers += 1;
        let position = match wish.start {
            Some(Start::At(position)) => Some(position),
            Some(Start::Latest | Start::Earliest | Start::Last(_)) | None => None,
        };
        let channel = Channel {
            reader: Reader::new(position),
            start: wish.start,
            presence: wish.presence,
            inbox: wish.inbox,
            is_paused: false,
            rests_until: None,
            backoff: Backoff::default(),
            stuck: 0,
            number: self.numbers,
        };
        self.channels.insert(name.clone(), channel);
        self.is_stale = true;
        Ok(())
    }

    /// Reads a channel no further, unless it is read for somebody else by now.
    pub(crate) fn leave(&mut self, name: &ChannelName, inbox: &Arc<Inbox>, now: Duration) {
        if self.channels.get(name).is_some_and(|channel| Arc::ptr_eq(&channel.inbox, inbox)) {
            self.channels.remove(name);
            self.is_stale = true;
            self.with_link(now, |link, context| link.forget(name, context));
        }
    }

    /// The inbox of a channel has room again.
    pub(crate) fn resume(&mut self, name: &ChannelName) {
        if let Some(channel) = self.channels.get_mut(name) {
            channel.is_paused = false;
            self.is_stale = true;
        }
    }

    /// What is to be read and where from, the oldest subscription first.
    pub(super) fn wants(&self) -> Vec<SubscribeTo> {
        let awake = self.channels.iter().filter(|(_, channel)| channel.rests_until.is_none() && !channel.is_paused);
        let mut awake: Vec<_> = awake.collect();
        awake.sort_by_key(|(_, channel)| channel.number);
        awake.into_iter().map(|(name, channel)| channel.want(name)).collect()
    }

    /// The server lets these be read.
    pub(super) fn accept(&mut self, names: &[ChannelName]) {
        for name in names {
            let woken = self.channels.get(name).and_then(|channel| channel.inbox.accept());
            self.outputs.extend(woken.map(|waker| Output::Reply(Reply::Wake(waker))));
        }
    }

    /// Takes an event of a channel.
    pub(super) fn deliver(&mut self, event: WireEvent, now: Duration) {
        let name = match &event {
            WireEvent::Unsubscribed(event) => {
                let (name, code) = (event.channel.clone(), event.code);
                return self.end_channel(&name, code, None);
            }
            WireEvent::Subscribed(event) => event.channel.clone(),
            WireEvent::Gap(event) => event.channel.clone(),
            WireEvent::Message(event) => event.channel.clone(),
            WireEvent::Live { channel, .. } => channel.clone(),
            _ => return,
        };
        let Some(channel) = self.channels.get_mut(&name) else { return };
        let is_message = matches!(event, WireEvent::Message(_));
        let (verdict, event) = channel.judge(event);
        match verdict {
            Verdict::Fault => return self.fault(&name, now),
            Verdict::Deliver => {
                channel.stuck = if is_message { 0 } else { channel.stuck };
                if channel.stuck == 0 {
                    channel.backoff.reset();
                }
                let position = channel.reader.position();
                let woken = event.and_then(|event| channel.inbox.push(Item { event, position }));
                self.outputs.extend(woken.map(|waker| Output::Reply(Reply::Wake(waker))));
            }
            Verdict::Drop => {}
        }
        self.delivered(&name, now);
    }

    /// After an event: is a snapshot complete, is the inbox full?
    fn delivered(&mut self, name: &ChannelName, now: Duration) {
        let Some(channel) = self.channels.get_mut(name) else { return };
        if channel.reader.became_live()
            && let Some(position) = channel.reader.position()
        {
            let woken = channel.inbox.push(Item { event: Event::Live { position }, position: Some(position) });
            self.outputs.extend(woken.map(|waker| Output::Reply(Reply::Wake(waker))));
        }
        if channel.inbox.is_full() {
            // The log keeps what follows, and reading resumes after the last that was taken in.
            channel.is_paused = true;
            self.with_link(now, |link, context| link.forget(name, context));
            self.update_link(now);
        }
    }

    /// Something is missing and nobody said so: asks again from the position, the second time in a row after a wait.
    fn fault(&mut self, name: &ChannelName, now: Duration) {
        let Some(channel) = self.channels.get_mut(name) else { return };
        channel.stuck += 1;
        tracing::warn!(channel = name.as_str(), position = ?channel.reader.position(), "a hole without a gap");
        if channel.stuck > 1 {
            let wait = channel.backoff.next(self.config.pace, &*self.entropy, None);
            channel.rests_until = Some(now + wait);
        }
        self.with_link(now, |link, context| link.forget(name, context));
        self.update_link(now);
    }

    /// The server refused these channels: for a while, or for good.
    pub(super) fn refuse(&mut self, refusal: &Refusal, names: &[ChannelName], now: Duration) {
        // Where nobody is named there were too many at once, and the newest are surplus.
        let is_surplus = refusal.code == Code::TooManyChannels && refusal.channel.is_none();
        let spared = if is_surplus { self.max_channels.min(names.len().saturating_sub(1)) } else { 0 };
        let mut names = names.to_vec();
        names.sort_by_key(|name| self.channels.get(name).map(|channel| channel.number));
        for name in &names[spared..] {
            let refusal = refusal.clone().about(name);
            if !refusal.may_retry() {
                self.end_channel(name, Some(refusal.code), Some(refusal));
                continue;
            }
            let Some(channel) = self.channels.get_mut(name) else { continue };
            self.is_stale = true;
            let wait = channel.backoff.next(self.config.pace, &*self.entropy, refusal.retry_after);
            channel.rests_until = Some(now + wait);
            // What failed is told once until it is taken: a full inbox would otherwise grow with each try.
            if !channel.inbox.is_full() {
                let position = channel.reader.position();
                let woken = channel.inbox.push(Item { event: Event::Failed(refusal), position });
                self.outputs.extend(woken.map(|waker| Output::Reply(Reply::Wake(waker))));
            }
        }
    }

    /// Lets channels be asked for whose rest is over.
    pub(super) fn wake_channels(&mut self, now: Duration) {
        for channel in self.channels.values_mut() {
            if channel.rests_until.is_some_and(|until| until <= now) {
                channel.rests_until = None;
                self.is_stale = true;
            }
        }
    }

    pub(super) fn close_channels(&mut self, closed: &Closed) {
        for (_, channel) in std::mem::take(&mut self.channels) {
            let told = channel.inbox.push(Item { event: Event::Unsubscribed { code: None }, position: None });
            let ended = channel.inbox.end(End::Closed(closed.clone()));
            let woken = told.or(ended);
            self.outputs.extend(woken.map(|waker| Output::Reply(Reply::Wake(waker))));
        }
    }

    /// The server wants this channel to be read no further.
    fn end_channel(&mut self, name: &ChannelName, code: Option<Code>, refusal: Option<Refusal>) {
        let Some(channel) = self.channels.remove(name) else { return };
        self.is_stale = true;
        let position = channel.reader.position();
        let told = channel.inbox.push(Item { event: Event::Unsubscribed { code }, position });
        let refusal = refusal.unwrap_or_else(|| {
            Refusal::new(code.unwrap_or(Code::Forbidden), "the server ended the subscription").about(name)
        });
        let ended = channel.inbox.end(End::Refused(refusal));
        self.outputs.extend(told.or(ended).map(|waker| Output::Reply(Reply::Wake(waker))));
    }
}
