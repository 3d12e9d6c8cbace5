//! WebSocket: commands in, one event a frame out, channels added and removed on the living connection.

use std::collections::BTreeMap;
use std::time::Duration;

use tricast_core::channel::ChannelName;
use tricast_core::protocol::event::{ErrorEvent, Welcome};
use tricast_core::protocol::{Command, Event, Ref, Secret, SubscribeTo};

use super::{Context, Effect, silent};
use crate::error::{Failure, Refusal};
use crate::output::{Io, Output, Report};

/// A WebSocket, from its opening on.
#[derive(Debug)]
pub(crate) struct SocketLink {
    io: Io,
    is_open: bool,
    /// The channels that were asked for.
    asked: BTreeMap<ChannelName, Asked>,
    refs: u64,
    /// What was brought last.
    token: Option<Secret>,
    /// `None` before the welcome.
    heartbeat: Option<Duration>,
    ping_at: Option<Duration>,
    /// The next sign of life is due by then.
    dead_at: Duration,
}

#[derive(Debug)]
struct Asked {
    /// That of the newest `subscribe`.
    reference: Ref,
    /// What comes before its answer is of an older subscription.
    answered: bool,
}

impl SocketLink {
    /// Opens a socket, which has `patience` to prove that it delivers.
    pub(crate) fn open(patience: Duration, context: &mut Context<'_>) -> Self {
        let io = context.new_io();
        context.put(Output::OpenSocket { io });
        Self {
            io,
            is_open: false,
            asked: BTreeMap::new(),
            refs: 0,
            token: None,
            heartbeat: None,
            ping_at: None,
            dead_at: context.now + patience,
        }
    }

    pub(crate) fn io(&self) -> Io {
        self.io
    }

    pub(super) fn token(&self) -> Option<&Secret> {
        self.token.as_ref()
    }

    pub(super) fn update(&mut self, wants: &[SubscribeTo], context: &mut Context<'_>) {
        let channels: Vec<_> = wants.iter().filter(|want| !self.asked.contains_key(&want.name)).cloned().collect();
        if !self.is_open || channels.is_empty() {
            return;
        }
        let reference = self.next_ref('s');
        for want in &channels {
            self.asked.insert(want.name.clone(), Asked { reference: reference.clone(), answered: false });
        }
        self.write(&Command::Subscribe { channels, reference: Some(reference) }, context);
    }

    pub(super) fn forget(&mut self, channel: &ChannelName, context: &mut Context<'_>) {
        if self.asked.remove(channel).is_some() {
            let reference = Some(self.next_ref('u'));
            self.write(&Command::Unsubscribe { channel: channel.clone(), reference }, context);
        }
    }

    /// Brings the token that is at hand, if there is one.
    pub(super) fn say_who(&mut self, context: &mut Context<'_>) {
        let (Some(token), true) = (context.token.cloned(), self.is_open) else { return };
        self.token = Some(token.clone());
        let (client, reference) = (Some(context.client.clone()), Ref::text(AUTH));
        let command = match self.heartbeat {
            None => Command::Hello { token: Some(token), client, reference },
            Some(_) => Command::Auth { token, reference },
        };
        self.write(&command, context);
    }

    pub(super) fn report(&mut self, report: Report, context: &mut Context<'_>) -> Vec<Effect> {
        if let Some(heartbeat) = self.heartbeat {
            self.dead_at = context.now + 2 * heartbeat;
        }
        match report {
            Report::Opened => {
                self.is_open = true;
                self.say_who(context);
                vec![Effect::AskAgain]
            }
            Report::Event(event) => self.take(event, context),
            Report::Ended(failure) => vec![Effect::Ended(failure)],
            Report::Heard | Report::Answer(_) => Vec::new(),
        }
    }

    pub(super) fn tick(&mut self, context: &mut Context<'_>) -> Option<Effect> {
        if self.dead_at <= context.now {
            return Some(silent());
        }
        if let (Some(at), Some(heartbeat)) = (self.ping_at, self.heartbeat)
            && at <= context.now
        {
            self.ping_at = Some(context.now + heartbeat);
            self.write(&Command::Ping { reference: None }, context);
        }
        None
    }

    pub(super) fn deadline(&self) -> Duration {
        self.ping_at.map_or(self.dead_at, |at| at.min(self.dead_at))
    }

    fn take(&mut self, event: Event, context: &mut Context<'_>) -> Vec<Effect> {
        match event {
            Event::Ping { reference } => {
                self.write(&Command::Pong { reference }, context);
                Vec::new()
            }
            Event::Pong { .. } => Vec::new(),
            Event::Welcome(welcome) => self.welcome(welcome, context.now),
            Event::Error(error) => self.error(error),
            Event::Subscribed(event) => match self.asked.get_mut(&event.channel) {
                // Not the answer to a subscription that was ended and asked for again since.
                Some(asked) if event.reference.as_ref() == Some(&asked.reference) => {
                    asked.answered = true;
                    vec![Effect::Accepted(vec![event.channel.clone()]), Effect::Event(Event::Subscribed(event))]
                }
                _ => Vec::new(),
            },
            Event::Unsubscribed(event) => {
                // With a `ref` it was asked for.
                if event.reference.is_some() || self.asked.remove(&event.channel).is_none() {
                    return Vec::new();
                }
                vec![Effect::Event(Event::Unsubscribed(event))]
            }
            Event::Message(ref told) => {
                self.of_channel(&told.channel).then_some(Effect::Event(event)).into_iter().collect()
            }
            Event::Gap(ref told) => {
                self.of_channel(&told.channel).then_some(Effect::Event(event)).into_iter().collect()
            }
            Event::Live { ref channel, .. } => {
                self.of_channel(channel).then_some(Effect::Event(event)).into_iter().collect()
            }
            Event::Published(_) | Event::History(_) | Event::Presence(_) | Event::Result { .. } | Event::Bye(_) => {
                vec![Effect::Event(event)]
            }
        }
    }

    fn of_channel(&self, channel: &ChannelName) -> bool {
        self.asked.get(channel).is_some_and(|asked| asked.answered)
    }

    fn welcome(&mut self, welcome: Welcome, now: Duration) -> Vec<Effect> {
        let heartbeat = super::heartbeat(&welcome);
        self.heartbeat = Some(heartbeat);
        self.dead_at = now + 2 * heartbeat;
        self.ping_at = Some(now + heartbeat);
        let of_token = welcome.reference == Ref::text(AUTH);
        let taken = of_token.then_some(Effect::TokenTaken(welcome.expires_in));
        [Effect::Event(Event::Welcome(welcome)), Effect::Proven].into_iter().chain(taken).collect()
    }

    fn error(&mut self, error: ErrorEvent) -> Vec<Effect> {
        if error.reference.is_some() && error.reference == Ref::text(AUTH) {
            return vec![Effect::Ended(Failure::Refused(error.into()))];
        }
        // One that names no channel speaks of all that its command asked for.
        let is_about = |name: &ChannelName, asked: &Asked| {
            error.reference.as_ref() == Some(&asked.reference) && error.channel.as_ref().is_none_or(|it| it == name)
        };
        let refused: Vec<_> =
            self.asked.iter().filter(|(name, asked)| is_about(name, asked)).map(|(name, _)| name.clone()).collect();
        if refused.is_empty() {
            return vec![Effect::Event(Event::Error(error))];
        }
        for name in &refused {
            self.asked.remove(name);
        }
        vec![Effect::Refused(Refusal::from(error), refused), Effect::AskAgain]
    }

    fn next_ref(&mut self, letter: char) -> Ref {
        self.refs += 1;
        Ref::text(format!("{letter}{}", self.refs)).unwrap_or_else(|| Ref::number(self.refs))
    }

    fn write(&self, command: &Command, context: &mut Context<'_>) {
        if self.is_open {
            context.put(Output::Write { io: self.io, text: command.to_json() });
        }
    }
}

/// The `ref` of what brings a token.
const AUTH: &str = "auth";
