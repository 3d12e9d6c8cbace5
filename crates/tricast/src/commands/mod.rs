//! One command executed, whoever brought it.
//!
//! The commands of one connection, and of one array, run in order. Within an array, a publish that failed with a code
//! that may be retried stops the later ones to its channel: they answer the same code untried, so that repeating the
//! array cannot reorder a channel (protocol, section 4).
//!
//! # Asking the application
//! A command of which a hook is asked may take its time. So [`Work::advance`] does what can be done at once and returns;
//! [`Work::asked`] resolves when the hook has answered. In between a connection goes on delivering, and reads no further
//! command.

mod login;

use std::collections::HashMap;
use std::future::pending;
use std::net::IpAddr;
use std::sync::Arc;
use std::vec;

use tricast_core::backplane::BackplaneError;
use tricast_core::channel::ChannelName;
use tricast_core::json::Json;
use tricast_core::log::Appended;
use tricast_core::position::Cursor;
use tricast_core::protocol::event::{ErrorEvent, Presence, Published, Unsubscribed};
use tricast_core::protocol::{Batch, ClientId, Code, Command, CommandError, Event, Publish, Ref, SubscribeTo};

use crate::auth::Login;
use crate::edge::{Allowance, Counted};
use crate::ending::Ending;
use crate::history::{self, Asked};
use crate::hooks::{Answer, BegunPublish, Opened, Permits, Refused, Subscriber, Transport, refused_by_rule};
use crate::hub::{Hub, PublishError};
use crate::members;
use crate::metrics;
use crate::session::Session;
pub(crate) use login::not_found_out;
use login::{stay, welcome};

/// Who brings commands: to an HTTP request only some of them make sense.
pub(crate) enum Bringer<'a> {
    /// A WebSocket, with its reader.
    Socket { session: &'a mut Session, client: &'a ClientId, ending: &'a mut Ending, allowance: &'a mut Allowance },
    /// A request to `send`, from this address.
    Send { address: Option<IpAddr> },
}

/// For whom commands are executed.
pub(crate) struct Caller<'a> {
    pub(crate) hub: &'a Arc<Hub>,
    pub(crate) login: Login,
    pub(crate) bringer: Bringer<'a>,
}

impl Caller<'_> {
    /// Counts a publish, unless it comes too soon.
    fn check_publish(&mut self) -> Result<(), Refused> {
        let counted = match &mut self.bringer {
            Bringer::Socket { allowance, .. } => Counted::Connection(allowance),
            Bringer::Send { address } => Counted::Caller(*address),
        };
        self.hub.check_publish(&self.login.who, counted)
    }
}

/// The commands of one frame or body, as far as they are not executed yet.
#[derive(Default)]
pub(crate) struct Work {
    left: vec::IntoIter<Result<Command, CommandError>>,
    /// Channels to which no later publish of the array is tried, with the failure that says why.
    stopped: HashMap<ChannelName, Failed>,
    asking: Option<Asking>,
}

/// What somebody wants to read of a channel without subscribing: whoever may subscribe may.
enum Reading {
    History(Asked),
    Members { channel: ChannelName, data: Option<Json>, reference: Option<Ref> },
}

impl Reading {
    fn channel(&self) -> &ChannelName {
        match self {
            Self::History(Asked { channel, .. }) | Self::Members { channel, .. } => channel,
        }
    }

    /// The channel that the caller must be allowed to read.
    fn judged(&self) -> ChannelName {
        match self {
            Self::History(Asked { channel, .. }) => channel.clone(),
            Self::Members { channel, .. } => channel.presence(),
        }
    }

    fn refused(self, refused: Refused) -> Event {
        match self {
            Self::History(Asked { channel, reference, .. }) | Self::Members { channel, reference, .. } => {
                error(reference, Some(channel), refused.into())
            }
        }
    }

    async fn answer(self, caller: &Caller<'_>) -> Event {
        let (channel, data, reference) = match self {
            Self::History(asked) => return history::answer(caller.hub, &caller.login.who, asked).await,
            Self::Members { channel, data, reference } => (channel, data, reference),
        };
        let session = match &caller.bringer {
            Bringer::Socket { session, .. } => Some(&**session),
            Bringer::Send { .. } => None,
        };
        match members::answer(caller.hub, &caller.login.who, session, &channel, data).await {
            Ok(members) => Event::Presence(Presence { reference, channel, members }),
            Err(problem) => {
                let refused = Refused::of(problem.code(), problem.to_string());
                error(reference, Some(channel), refused.into())
            }
        }
    }
}

/// Of what the application is being asked.
enum Asking {
    Publish {
        channel: ChannelName,
        reference: Option<Ref>,
        answer: Answer<Result<Appended, PublishError>>,
    },
    Call {
        reference: Option<Ref>,
        answer: Answer<Result<Json, Refused>>,
    },
    Read {
        reading: Reading,
        answer: Answer<Permits>,
    },
    Subscribe {
        wanted: Wanted,
        answer: Answer<Permits>,
    },
    LogIn {
        reference: Option<Ref>,
        answer: Answer<Result<Option<Login>, Refused>>,
    },
    /// Whether what is read may be read on.
    Stay {
        answer: Answer<Permits>,
    },
}

/// Channels that somebody wants to read.
struct Wanted {
    channels: Vec<SubscribeTo>,
    cursor: Option<Cursor>,
    reference: Option<Ref>,
}

/// Executes a whole body for a request to `send`; the answers follow in its order.
///
/// # Cancel safety
/// A dropped call may have executed some commands whose answers are lost.
pub(crate) async fn execute(batch: Batch, mut caller: Caller<'_>) -> Vec<Event> {
    let mut work = Work::new(batch);
    let mut answers = work.advance(&mut caller).await;
    while work.is_asking() {
        work.asked().await;
        answers.extend(work.advance(&mut caller).await);
    }
    answers
}

impl Work {
    pub(crate) fn new(batch: Batch) -> Self {
        Self { left: batch.commands.into_iter(), ..Self::default() }
    }

    /// Whether it waits for the application: [`Work::asked`], then [`Work::advance`] again. If not, all is done.
    pub(crate) fn is_asking(&self) -> bool {
        self.asking.is_some()
    }

    /// Executes up to the next command of which the application has to be asked; the answers are in order.
    ///
    /// # Cancel safety
    /// A dropped call may have executed some commands whose answers are lost.
    pub(crate) async fn advance(&mut self, caller: &mut Caller<'_>) -> Vec<Event> {
        let mut answers = Vec::with_capacity(self.left.len());
        if let Some(asking) = self.asking.take() {
            self.settle(asking, caller, &mut answers).await;
        }
        while !self.is_asking()
            && let Some(command) = self.left.next()
        {
            match command {
                Ok(command) => self.execute(command, caller, &mut answers).await,
                Err(error) => answers.push(Event::Error(error.into())),
            }
        }
        answers
    }

    /// Resolves when the application has answered; never where it is not asked.
    ///
    /// # Cancel safety
    /// Dropping it loses nothing.
    pub(crate) async fn asked(&mut self) {
        match &mut self.asking {
            None => pending().await,
            Some(Asking::Publish { answer, .. }) => answer.wait().await,
            Some(Asking::Call { answer, .. }) => answer.wait().await,
            Some(Asking::LogIn { answer, .. }) => answer.wait().await,
            Some(Asking::Read { answer, .. } | Asking::Subscribe { answer, .. } | Asking::Stay { answer }) => {
                answer.wait().await;
            }
        }
    }

    async fn settle(&mut self, asking: Asking, caller: &mut Caller<'_>, answers: &mut Vec<Event>) {
        match asking {
            Asking::Publish { channel, reference, answer } => {
                let result = answer.get().await.map_err(PublishError::from).flatten();
                answers.push(self.published(channel, reference, result));
            }
            Asking::Call { reference, answer } => {
                answers.push(result_of(reference, answer.get().await.map_err(Refused::from).flatten()));
            }
            Asking::Read { reading, answer } => {
                let permits = answer.get().await.unwrap_or_else(Permits::from);
                answers.push(match permits.refusal(&reading.judged()) {
                    Some(refused) => reading.refused(refused.clone()),
                    None => reading.answer(caller).await,
                });
            }
            Asking::Subscribe { wanted, answer } => {
                let permits = answer.get().await.unwrap_or_else(Permits::from);
                if let Bringer::Socket { session, .. } = &mut caller.bringer {
                    open(session, &wanted, &permits, answers).await;
                }
            }
            Asking::LogIn { reference, answer } => {
                match answer.get().await.map_err(Refused::from).flatten() {
                    Ok(Some(login)) => self.log_in(login, reference, caller, answers).await,
                    Ok(None) if caller.hub.auth.is_required() => {
                        answers.push(error(reference, None, not_found_out().into()));
                    }
                    // Nothing was found, and nothing has to be.
                    Ok(None) => answers.extend(welcome(caller, reference)),
                    Err(refused) => answers.push(error(reference, None, refused.into())),
                }
            }
            Asking::Stay { answer } => {
                let permits = answer.get().await.unwrap_or_else(Permits::from);
                stay(caller, answers, &permits);
            }
        }
    }

    async fn execute(&mut self, command: Command, caller: &mut Caller<'_>, answers: &mut Vec<Event>) {
        let name = command.type_name();
        match command {
            Command::Publish(publish) => answers.extend(self.publish(publish, caller).await),
            Command::Call { method, data, reference } => answers.extend(self.call(method, data, reference, caller)),
            Command::Ping { reference } => answers.push(Event::Pong { reference }),
            Command::Pong { .. } => {}
            Command::Subscribe { channels, reference } => {
                self.subscribe(channels, None, reference, caller, answers).await;
            }
            Command::Unsubscribe { channel, reference } => match &mut caller.bringer {
                Bringer::Socket { session, .. } => {
                    session.unsubscribe(&channel);
                    answers.push(Event::Unsubscribed(Unsubscribed { channel, code: None, reference }));
                }
                Bringer::Send { .. } => answers.push(not_served(name, " on send", reference)),
            },
            Command::Hello { token: None, reference, .. } => match &caller.bringer {
                Bringer::Socket { .. } => answers.extend(welcome(caller, reference)),
                Bringer::Send { .. } => answers.push(not_served(name, " on send", reference)),
            },
            Command::Hello { token: Some(token), reference, .. } | Command::Auth { token, reference } => {
                match &caller.bringer {
                    Bringer::Socket { .. } => self.find_out(token, reference, caller.hub),
                    Bringer::Send { .. } => answers.push(not_served(name, " on send", reference)),
                }
            }
            Command::History { channel, from, limit, reference } => {
                let asked = Asked { channel, from, limit, reference };
                answers.extend(self.read(Reading::History(asked), caller).await);
            }
            Command::Presence { channel, data, reference } => {
                answers.extend(self.read(Reading::Members { channel, data, reference }, caller).await);
            }
        }
    }

    /// The answer, unless the application is asked first.
    async fn publish(&mut self, publish: Publish, caller: &mut Caller<'_>) -> Option<Event> {
        let (channel, reference) = (publish.channel.clone(), publish.reference.clone());
        if let Some(failed) = self.stopped.get(&channel) {
            let message = "not tried: an earlier publish of this array to the channel failed".to_owned();
            return Some(error(reference, Some(channel), Failed { message, ..failed.clone() }));
        }
        if let Err(refused) = caller.check_publish() {
            return Some(self.published(channel, reference, Err(refused.into())));
        }
        let result = match caller.hub.begin_publish(&caller.login.who, &channel, publish.into_draft()).await {
            Ok(BegunPublish::Appended(appended)) => Ok(appended),
            Ok(BegunPublish::Asked(answer)) => {
                self.asking = Some(Asking::Publish { channel, reference, answer });
                return None;
            }
            Err(problem) => Err(problem),
        };
        Some(self.published(channel, reference, result))
    }

    fn published(
        &mut self,
        channel: ChannelName,
        reference: Option<Ref>,
        result: Result<Appended, PublishError>,
    ) -> Event {
        match result.map_err(Failed::from) {
            Ok(appended) => {
                metrics::published(&appended);
                let Appended { position, duplicate } = appended;
                Event::Published(Published { reference, channel, position, duplicate })
            }
            Err(failed) => {
                if failed.code.may_retry() {
                    self.stopped.insert(channel.clone(), failed.clone());
                }
                error(reference, Some(channel), failed)
            }
        }
    }

    /// The answer, where nothing is called.
    fn call(
        &mut self,
        method: Box<str>,
        data: Option<Json>,
        reference: Option<Ref>,
        caller: &Caller<'_>,
    ) -> Option<Event> {
        let client = match caller.bringer {
            Bringer::Socket { client, .. } => Some(client),
            Bringer::Send { .. } => None,
        };
        match caller.hub.begin_call(&caller.login.who, client, method, data) {
            Ok(answer) => {
                self.asking = Some(Asking::Call { reference, answer });
                None
            }
            Err(refused) => Some(result_of(reference, Err(refused))),
        }
    }

    /// The answer, unless the application is asked first: whoever may subscribe to a channel may read what it retains.
    async fn read(&mut self, reading: Reading, caller: &Caller<'_>) -> Option<Event> {
        let (client, subscribed, transport) = match &caller.bringer {
            Bringer::Socket { session, client, .. } => {
                (Some(*client), session.position(reading.channel()).is_some(), Transport::Ws)
            }
            Bringer::Send { .. } => (None, false, Transport::Send),
        };
        let subscriber = Subscriber { caller: &caller.login.who, client, transport };
        let judged = reading.judged();
        // Who reads the channel was asked about already, but not whether they may see who is there.
        let settled = subscribed && !caller.hub.asks_of_presence(&judged);
        match caller.hub.begin_permits(subscriber, Some(&judged).filter(|_| !settled).into_iter()) {
            Some(answer) => {
                self.asking = Some(Asking::Read { reading, answer });
                None
            }
            None => Some(reading.answer(caller).await),
        }
    }

    /// Subscribes to what there may be room for; a longer list is refused whole, before anything is done for it.
    ///
    /// Where the application is asked about any of them, the answers come later.
    pub(crate) async fn subscribe(
        &mut self,
        channels: Vec<SubscribeTo>,
        cursor: Option<Cursor>,
        reference: Option<Ref>,
        caller: &mut Caller<'_>,
        answers: &mut Vec<Event>,
    ) {
        let Bringer::Socket { session, client, .. } = &mut caller.bringer else {
            answers.push(not_served("subscribe", " on send", reference));
            return;
        };
        let most = caller.hub.config.channels_per_connection;
        if channels.len() > most {
            let message = format!("channels has more than the {most} that a connection may have");
            answers.push(error(reference, None, Refused::of(Code::TooManyChannels, message).into()));
            return;
        }
        let subscriber = Subscriber { caller: &caller.login.who, client: Some(client), transport: Transport::Ws };
        // What is subscribed already is only told of.
        let new = channels.iter().map(|to| &to.name).filter(|name| session.position(name).is_none());
        let answer = caller.hub.begin_permits(subscriber, new);
        let wanted = Wanted { channels, cursor, reference };
        match answer {
            Some(answer) => self.asking = Some(Asking::Subscribe { wanted, answer }),
            None => open(session, &wanted, &Permits::default(), answers).await,
        }
    }
}

async fn open(session: &mut Session, wanted: &Wanted, permits: &Permits, answers: &mut Vec<Event>) {
    let Wanted { channels, cursor, reference } = wanted;
    let opened = permits.subscribe(session, channels, cursor.as_ref(), reference.as_ref()).await;
    answers.extend(opened.into_iter().flat_map(|opened| told(opened, reference.as_ref())));
}

/// The events that tell what became of a channel on a WebSocket.
fn told(opened: Opened, reference: Option<&Ref>) -> impl Iterator<Item = Event> {
    let (first, second) = match opened.result {
        Ok(begun) => (begun.subscribed, begun.gap),
        Err(refused) => (error(reference.cloned(), Some(opened.channel), refused.into()), None),
    };
    std::iter::once(first).chain(second)
}

/// Why something came to nothing, as the wire tells it.
#[derive(Debug, Clone)]
struct Failed {
    code: Code,
    message: String,
    retry_after: Option<std::time::Duration>,
}

impl From<PublishError> for Failed {
    fn from(problem: PublishError) -> Self {
        Self { code: problem.code(), message: explain(&problem), retry_after: problem.retry_after() }
    }
}

impl From<Refused> for Failed {
    fn from(refused: Refused) -> Self {
        let message = refused.message().to_owned();
        Self { code: refused.code(), message, retry_after: refused.retry_after() }
    }
}

/// The error of a channel that the rules refuse, or that cannot be read.
pub(crate) fn refused(channel: ChannelName, code: Code, reference: Option<Ref>) -> ErrorEvent {
    let message = refused_by_rule(&channel, code).message().to_owned();
    ErrorEvent { reference, channel: Some(channel), ..ErrorEvent::new(code, message) }
}

fn error(reference: Option<Ref>, channel: Option<ChannelName>, failed: Failed) -> Event {
    let Failed { code, message, retry_after } = failed;
    Event::Error(ErrorEvent { reference, channel, retry_after, ..ErrorEvent::new(code, message) })
}

fn result_of(reference: Option<Ref>, result: Result<Json, Refused>) -> Event {
    match result {
        Ok(data) => Event::Result { reference, data },
        Err(refused) => error(reference, None, refused.into()),
    }
}

fn not_served(name: &str, place: &str, reference: Option<Ref>) -> Event {
    error(reference, None, Refused::of(Code::BadRequest, format!("{name} is not served{place}")).into())
}

/// The whole chain of causes in one line, for somebody who sees no more of it than this.
fn explain(problem: &PublishError) -> String {
    match problem {
        PublishError::Draft(cause) => cause.to_string(),
        PublishError::Refused(refused) => refused.message().to_owned(),
        PublishError::Hook(cause) => cause.to_string(),
        PublishError::Backplane(BackplaneError::Refused(cause)) => cause.to_string(),
        // Why may name what is behind this server, and everybody may publish: it is told to operators.
        PublishError::Backplane(cause) => {
            tracing::debug!(%cause, "a message was not appended");
            "the backplane is unavailable".to_owned()
        }
        PublishError::Name(_) | PublishError::UnknownChannel(_) | PublishError::Forbidden(_) => problem.to_string(),
    }
}
