//! The client without its I/O: what to send, what to deliver, when to try again, and over which transport.
//!
//! # How it is driven
//! Whoever drives it calls what happened ([`Engine::report`], [`Engine::given`], the application's wishes), then
//! [`Engine::flush`], then does each of [`Engine::next_output`], in order; and calls [`Engine::tick`] once
//! [`Engine::deadline`] has come. Time is passed in with every call and never goes back.
//!
//! # What is blamed for an end
//! A transport is blamed only for what is its own: silence, refusal by strangers, a cut before the proof, a message that
//! it cannot carry. Then the next one has its turn. When the server itself says no, the client waits as told, or closes
//! where waiting would be no use. A channel that is in trouble alone is left out for a while of its own.

mod carry;
mod channels;
mod climb;
mod connect;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tricast_core::channel::ChannelName;
use tricast_core::clock::Entropy;
use tricast_core::protocol::{ClientId, Event, SubscribeTo};

use self::carry::Sent;
use self::channels::Channel;
pub(crate) use self::channels::Wish;
use self::climb::Climb;
use crate::backoff::{Backoff, Pace};
use crate::choice::Choice;
use crate::error::{Closed, Failure};
use crate::limits::CHANNELS;
use crate::link::{Context, Effect, Link, RequestLink, SocketLink};
use crate::outbox::Outbox;
use crate::output::{Endpoint, Io, Output, Report, message_limit};
use crate::questions::Questions;
use crate::state::State;
use crate::tokens::{Given, Tokens};
use crate::transport::Transport;

/// What a client is told once.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) client: ClientId,
    pub(crate) transports: Vec<Transport>,
    pub(crate) connect_timeout: Duration,
    pub(crate) pace: Pace,
    pub(crate) outbox: usize,
    pub(crate) has_tokens: bool,
}

/// The whole state of one client.
pub(crate) struct Engine {
    config: Config,
    entropy: Arc<dyn Entropy>,
    outputs: VecDeque<Output>,
    /// The newest [`Io`].
    ios: u64,
    /// The newest `ref` of a command.
    refs: u64,
    tokens: Tokens,
    choice: Choice,
    backoff: Backoff,
    phase: Phase,
    /// The proven transport.
    proven: Option<Transport>,
    proven_at: Duration,
    climb: Climb,
    /// Proven connections that were cut early, in a row.
    short_lives: u32,
    /// What is to be read has changed since the link was told.
    is_stale: bool,
    channels: BTreeMap<ChannelName, Channel>,
    /// How many channels were ever subscribed: the newest has the highest number.
    numbers: u64,
    max_channels: usize,
    outbox: Outbox,
    questions: Questions,
    posts: BTreeMap<Io, Sent>,
}

/// What the connection is about.
#[derive(Debug)]
enum Phase {
    /// There is nothing to read.
    Idle,
    /// The next try needs a token first.
    AwaitingToken,
    Linked(Link),
    Waiting {
        until: Duration,
    },
    Closed(Closed),
}

impl Engine {
    pub(crate) fn new(config: Config, entropy: Arc<dyn Entropy>) -> Self {
        Self {
            entropy,
            outputs: VecDeque::new(),
            ios: 0,
            refs: 0,
            tokens: Tokens::new(config.has_tokens),
            choice: Choice::new(config.transports.clone()),
            backoff: Backoff::default(),
            phase: Phase::Idle,
            proven: None,
            proven_at: Duration::ZERO,
            climb: Climb::default(),
            short_lives: 0,
            is_stale: false,
            channels: BTreeMap::new(),
            numbers: 0,
            max_channels: CHANNELS,
            outbox: Outbox::new(config.outbox, config.pace),
            questions: Questions::default(),
            posts: BTreeMap::new(),
            config,
        }
    }

    /// Why nothing is taken any more.
    pub(crate) fn closed(&self) -> Option<&Closed> {
        match &self.phase {
            Phase::Closed(closed) => Some(closed),
            Phase::Idle | Phase::AwaitingToken | Phase::Linked(_) | Phase::Waiting { .. } => None,
        }
    }

    /// A socket or a request brought something.
    pub(crate) fn report(&mut self, io: Io, report: Report, now: Duration) {
        if self.posts.contains_key(&io) {
            self.posted(io, report, now);
        } else if self.link_io() == Some(io) {
            let effects = self.with_link(now, |link, context| link.report(report, context)).unwrap_or_default();
            self.apply(effects, now);
        } else if self.climb.io() == Some(io) {
            self.tried(report, now);
        }
    }

    /// The token source has answered.
    pub(crate) fn given(&mut self, given: Given, now: Duration) {
        let is_awaited = matches!(self.phase, Phase::AwaitingToken);
        match self.tokens.given(given, now) {
            Ok(()) if is_awaited => self.open(now),
            Ok(()) => {
                self.is_stale = true;
                self.with_link(now, Link::renew);
            }
            Err(error) => {
                tracing::warn!(%error, "the token source failed");
                if is_awaited {
                    self.wait(Failure::Token(error), now);
                }
            }
        }
    }

    /// Does what is due.
    pub(crate) fn tick(&mut self, now: Duration) {
        match self.phase {
            Phase::Waiting { until } if until <= now => self.begin(now),
            Phase::Idle | Phase::AwaitingToken | Phase::Linked(_) | Phase::Waiting { .. } | Phase::Closed(_) => {}
        }
        self.wake_channels(now);
        if self.tokens.is_due(now) && self.tokens.ask(now) {
            self.put(Output::FetchToken);
        }
        let effect = self.with_link(now, Link::tick).flatten();
        self.apply(effect.into_iter().collect(), now);
        self.tick_climb(now);
        self.carry_on(now);
    }

    /// When [`Engine::tick`] has something to do.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        let phase = match &self.phase {
            Phase::Linked(link) => link.deadline(),
            Phase::Waiting { until } => Some(*until),
            Phase::Idle | Phase::AwaitingToken => None,
            Phase::Closed(_) => return None,
        };
        let channels = self.channels.values().filter_map(Channel::deadline).min();
        let rest = [self.climb.deadline(), self.tokens.deadline(), self.outbox.deadline(), self.questions.deadline()];
        [phase, channels].into_iter().chain(rest).flatten().min()
    }

    /// Brings the connection in line with the channels, and sends what can be sent.
    pub(crate) fn flush(&mut self, now: Duration) {
        match self.phase {
            Phase::Closed(_) => return,
            Phase::Idle if self.channels.is_empty() => {}
            Phase::Idle => self.begin(now),
            _ if self.channels.is_empty() => self.rest(),
            Phase::Linked(_) if self.is_stale => self.update_link(now),
            Phase::Linked(_) => {}
            Phase::AwaitingToken | Phase::Waiting { .. } => {}
        }
        self.pump(now);
        if self.wants_token() && self.tokens.ask(now) {
            self.put(Output::FetchToken);
        }
    }

    /// The next thing to do.
    pub(crate) fn next_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Ends for good.
    pub(crate) fn close(&mut self, failure: Option<Failure>) {
        if self.closed().is_some() {
            return;
        }
        self.drop_link();
        let closed = Closed(failure.clone());
        self.phase = Phase::Closed(closed.clone());
        self.close_channels(&closed);
        self.close_commands(&closed);
        self.put(Output::State(State::Closed { failure }));
    }

    fn apply(&mut self, effects: Vec<Effect>, now: Duration) {
        let current = self.link_io();
        for effect in effects {
            // What follows an effect that ended the connection, or asked anew, does not count.
            if self.link_io() != current {
                return;
            }
            match effect {
                Effect::Proven => self.prove(now),
                Effect::TokenTaken(expires_in) => self.tokens.accepted(expires_in, now),
                Effect::Accepted(channels) => self.accept(&channels),
                Effect::Event(event) => self.take(event, now),
                Effect::Refused(refusal, channels) => self.refuse(&refusal, &channels, now),
                Effect::AskAgain => self.update_link(now),
                Effect::Ended(failure) => self.lost(failure, now),
            }
        }
    }

    /// Takes an event of the connection, or the answer to a command.
    fn take(&mut self, event: Event, now: Duration) {
        match event {
            Event::Welcome(welcome) => {
                self.max_channels = usize::try_from(welcome.limits.channels).unwrap_or(usize::MAX);
                self.outbox.set_limit(message_limit(&welcome));
            }
            Event::Bye(bye) => {
                let (is_final, refusal) = (!bye.reconnect, bye.into());
                self.said_goodbye(refusal, is_final, now);
            }
            Event::Subscribed(_) | Event::Message(_) | Event::Gap(_) | Event::Live { .. } | Event::Unsubscribed(_) => {
                self.deliver(event, now);
            }
            Event::Published(_)
            | Event::History(_)
            | Event::Presence(_)
            | Event::Result { .. }
            | Event::Error(_)
            | Event::Ping { .. }
            | Event::Pong { .. } => self.answer(event, now),
        }
    }

    fn link_io(&self) -> Option<Io> {
        match &self.phase {
            Phase::Linked(link) => link.io(),
            Phase::Idle | Phase::AwaitingToken | Phase::Waiting { .. } | Phase::Closed(_) => None,
        }
    }

    fn with_link<T>(&mut self, now: Duration, act: impl FnOnce(&mut Link, &mut Context<'_>) -> T) -> Option<T> {
        let Phase::Linked(link) = &mut self.phase else { return None };
        let (outputs, ios, client) = (&mut self.outputs, &mut self.ios, &self.config.client);
        Some(act(link, &mut Context { now, outputs, ios, client, token: self.tokens.at_hand() }))
    }

    /// What a link works with that is not, or not yet, the engine's own.
    fn context(&mut self, now: Duration) -> Context<'_> {
        let (outputs, ios, client) = (&mut self.outputs, &mut self.ios, &self.config.client);
        Context { now, outputs, ios, client, token: self.tokens.at_hand() }
    }

    fn new_link(&mut self, transport: Transport, patience: Duration, now: Duration) -> Link {
        match transport {
            Transport::Ws => Link::Socket(SocketLink::open(patience, &mut self.context(now))),
            Transport::Sse => Link::Requests(RequestLink::new(Endpoint::Sse, patience)),
            Transport::Poll => Link::Requests(RequestLink::new(Endpoint::Poll, patience)),
        }
    }

    fn update_link(&mut self, now: Duration) {
        self.is_stale = false;
        let wants: Vec<SubscribeTo> = self.wants();
        self.with_link(now, |link, context| link.update(&wants, context));
    }

    fn put(&mut self, output: Output) {
        self.outputs.push_back(output);
    }
}
