//! One command executed, whoever brought it.
//!
//! The commands of one connection, and of one array, run in order. Within an array, a publish that failed with a code
//! that may be retried stops the later ones to its channel: they answer the same code untried, so that repeating the
//! array cannot reorder a channel (protocol, section 4).

use std::collections::HashMap;

use tricast_core::access::Identity;
use tricast_core::backplane::BackplaneError;
use tricast_core::channel::ChannelName;
use tricast_core::json::Json;
use tricast_core::log::Appended;
use tricast_core::protocol::event::{ErrorEvent, Presence, Published, Unsubscribed};
use tricast_core::protocol::{Batch, ClientId, Code, Command, Event, Publish, Ref, SubscribeTo};

use crate::history::{self, Asked};
use crate::hub::{Hub, PublishError};
use crate::members;
use crate::session::{Outcome, Session};

/// Who brings commands: to an HTTP request only some of them make sense.
pub(crate) enum Bringer<'a> {
    /// A WebSocket, with its reader.
    Socket { session: &'a mut Session, client: &'a ClientId },
    /// A request to `send`.
    Send,
}

/// Executes commands for one caller.
pub(crate) struct Executor<'a> {
    hub: &'a Hub,
    who: &'a Identity,
    bringer: Bringer<'a>,
    /// Channels to which no later publish of the array is tried, with the code that says why.
    stopped: HashMap<ChannelName, Code>,
}

impl<'a> Executor<'a> {
    pub(crate) fn new(hub: &'a Hub, who: &'a Identity, bringer: Bringer<'a>) -> Self {
        Self { hub, who, bringer, stopped: HashMap::new() }
    }

    /// Executes one frame or body; the answers follow in its order.
    ///
    /// # Cancel safety
    /// A dropped call may have executed some commands whose answers are lost.
    pub(crate) async fn run(mut self, batch: Batch) -> Vec<Event> {
        let mut answers = Vec::with_capacity(batch.commands.len());
        for command in batch.commands {
            match command {
                Ok(command) => self.execute(command, &mut answers).await,
                Err(error) => answers.push(Event::Error(error.into())),
            }
        }
        answers
    }

    async fn execute(&mut self, command: Command, answers: &mut Vec<Event>) {
        let name = command.type_name();
        match command {
            Command::Publish(publish) => answers.push(self.publish(publish).await),
            Command::Ping { reference } => answers.push(Event::Pong { reference }),
            Command::Pong { .. } => {}
            Command::Subscribe { channels, reference } => self.subscribe(&channels, reference, answers).await,
            Command::Unsubscribe { channel, reference } => match &mut self.bringer {
                Bringer::Socket { session, .. } => {
                    session.unsubscribe(&channel);
                    answers.push(Event::Unsubscribed(Unsubscribed { channel, code: None, reference }));
                }
                Bringer::Send => answers.push(not_served(name, " on send", reference)),
            },
            Command::Hello { reference, .. } | Command::Auth { reference, .. } => match &self.bringer {
                Bringer::Socket { client, .. } => {
                    answers.push(self.hub.welcome(client, self.hub.config.heartbeat_ws, reference));
                }
                Bringer::Send => answers.push(not_served(name, " on send", reference)),
            },
            Command::History { channel, from, limit, reference } => {
                answers.push(history::answer(self.hub, self.who, Asked { channel, from, limit, reference }).await);
            }
            Command::Presence { channel, data, reference } => {
                answers.push(self.presence(channel, data, reference).await);
            }
            Command::Call { reference, .. } => answers.push(not_served(name, "", reference)),
        }
    }

    async fn publish(&mut self, publish: Publish) -> Event {
        let (channel, reference) = (publish.channel.clone(), publish.reference.clone());
        if let Some(code) = self.stopped.get(&channel) {
            let message = "not tried: an earlier publish of this array to the channel failed".to_owned();
            return error(reference, channel, *code, message);
        }
        match self.append(publish).await {
            Ok(Appended { position, duplicate }) => {
                Event::Published(Published { reference, channel, position, duplicate })
            }
            Err(Failed { code, message }) => {
                if code.may_retry() {
                    self.stopped.insert(channel.clone(), code);
                }
                error(reference, channel, code, message)
            }
        }
    }

    async fn presence(&self, channel: ChannelName, data: Option<Json>, reference: Option<Ref>) -> Event {
        let session = match &self.bringer {
            Bringer::Socket { session, .. } => Some(&**session),
            Bringer::Send => None,
        };
        match members::answer(self.hub, self.who, session, &channel, data).await {
            Ok(members) => Event::Presence(Presence { reference, channel, members }),
            Err(problem) => error(reference, channel, problem.code(), problem.to_string()),
        }
    }

    async fn append(&self, publish: Publish) -> Result<Appended, Failed> {
        let channel = publish.channel.clone();
        Ok(self.hub.publish(self.who, &channel, publish.into_draft()).await?)
    }

    /// Subscribes to what there may be room for; a longer list is refused whole, before anything is done for it.
    async fn subscribe(&mut self, channels: &[SubscribeTo], reference: Option<Ref>, answers: &mut Vec<Event>) {
        let Bringer::Socket { session, .. } = &mut self.bringer else {
            answers.push(not_served("subscribe", " on send", reference));
            return;
        };
        let most = self.hub.config.channels_per_connection;
        if channels.len() > most {
            let message = format!("channels has more than the {most} that a connection may have");
            answers.push(Event::Error(ErrorEvent { reference, ..ErrorEvent::new(Code::TooManyChannels, message) }));
            return;
        }
        let outcomes = session.subscribe(channels, None, reference.as_ref()).await;
        answers.extend(outcomes.into_iter().flat_map(|outcome| told(outcome, reference.as_ref())));
    }
}

/// Why a publish came to nothing, as the wire tells it.
struct Failed {
    code: Code,
    message: String,
}

impl From<PublishError> for Failed {
    fn from(problem: PublishError) -> Self {
        Self { code: problem.code(), message: explain(&problem) }
    }
}

/// The events that tell what became of a channel on a WebSocket.
pub(crate) fn told(outcome: Outcome, reference: Option<&Ref>) -> impl Iterator<Item = Event> {
    let (first, second) = match outcome.result {
        Ok(begun) => (begun.subscribed, begun.gap),
        Err(code) => (Event::Error(refused(outcome.channel, code, reference.cloned())), None),
    };
    std::iter::once(first).chain(second)
}

/// The error of a channel that was refused.
pub(crate) fn refused(channel: ChannelName, code: Code, reference: Option<Ref>) -> ErrorEvent {
    let message = match code {
        Code::UnknownChannel => format!("no rule matches the channel {channel}"),
        Code::Forbidden => format!("subscribing to the channel {channel} is not allowed"),
        Code::TooLarge => format!("what a member of {channel} would show is too large"),
        Code::TooManyChannels => format!("{channel} is one channel more than a connection may have"),
        _ => format!("the channel {channel} cannot be read now"),
    };
    ErrorEvent { reference, channel: Some(channel), ..ErrorEvent::new(code, message) }
}

fn error(reference: Option<Ref>, channel: ChannelName, code: Code, message: String) -> Event {
    Event::Error(ErrorEvent { reference, channel: Some(channel), ..ErrorEvent::new(code, message) })
}

fn not_served(name: &str, place: &str, reference: Option<Ref>) -> Event {
    let message = format!("{name} is not served{place}");
    Event::Error(ErrorEvent { reference, ..ErrorEvent::new(Code::BadRequest, message) })
}

/// The whole chain of causes in one line, for somebody who sees no more of it than this.
fn explain(problem: &PublishError) -> String {
    match problem {
        PublishError::Draft(cause) => cause.to_string(),
        PublishError::Backplane(BackplaneError::Refused(cause)) => cause.to_string(),
        PublishError::Backplane(cause) => cause.to_string(),
        PublishError::Name(_) | PublishError::UnknownChannel(_) | PublishError::Forbidden(_) => problem.to_string(),
    }
}
