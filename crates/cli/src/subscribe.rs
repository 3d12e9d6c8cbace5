//! `tricast sub`.

mod screen;

use std::io;
use std::pin::Pin;

use clap::{Args, ValueEnum};
use futures_util::stream::{self, Stream, StreamExt as _};
use tricast_client::{
    BuildError, Channel, ChannelName, Client, Event, Failure, NameError, Start, State, SubscribeError, Transport,
};

use self::screen::Screen;
use crate::outcome::{Outcome, interrupt, tell};
use crate::remote::Remote;

/// What `sub` is told on the command line.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// The channels to read.
    #[arg(value_name = "CHANNEL", required = true)]
    channels: Vec<ChannelName>,

    /// Where to start: latest, earliest, last:N, or after a position [default: latest; a state's snapshot].
    #[arg(long, value_name = "START")]
    from: Option<Start>,

    /// The one transport to use, rather than the first of ws, sse and poll that works.
    #[arg(long, value_enum)]
    transport: Option<Way>,

    /// Stops after so many messages.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,

    /// Prints each event (message, gap, live, unsubscribed) as a line of JSON, as it is on the wire.
    #[arg(long)]
    json: bool,

    /// Says nothing of the connection on stderr; of gaps and errors all the same.
    #[arg(long, short)]
    quiet: bool,

    #[command(flatten)]
    remote: Remote,
}

/// A transport by its name.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Way {
    /// WebSocket
    Ws,
    /// Server-sent events
    Sse,
    /// Long-polling
    Poll,
}

impl From<Way> for Transport {
    fn from(way: Way) -> Self {
        match way {
            Way::Ws => Self::Ws,
            Way::Sse => Self::Sse,
            Way::Poll => Self::Poll,
        }
    }
}

/// Why there is nothing more to read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SubError {
    #[error(transparent)]
    Client(#[from] BuildError),
    #[error(transparent)]
    Name(#[from] NameError),
    #[error("the connection was given up")]
    GivenUp(#[source] Failure),
    #[error("no channel is left to read")]
    NothingLeft,
    #[error("cannot write to standard output")]
    Write(#[source] io::Error),
}

/// Prints what is published, until Ctrl-C or until there is nothing more to read.
///
/// # Errors
/// The server refused every channel or ended its subscription, or said no for good.
pub(crate) async fn run(options: Options) -> Result<Outcome, SubError> {
    let mut builder = options.remote.client();
    if let Some(way) = options.transport {
        builder = builder.transports([way.into()]);
    }
    let client = builder.build()?;
    let outcome = tokio::select! {
        biased;
        () = interrupt() => Ok(Outcome::Interrupted),
        outcome = read(&client, &options) => outcome.map(|()| Outcome::Done),
    };
    client.close().await;
    outcome
}

async fn read(client: &Client, options: &Options) -> Result<(), SubError> {
    let mut screen = Screen::new(options.json, options.quiet, options.remote.url.clone());
    let mut names = options.channels.clone();
    names.sort_unstable();
    names.dedup();
    let mut states = client.states().fuse();
    let mut heard = stream::SelectAll::new();
    for name in names {
        heard.push(events(client.channel(name.as_str())?, name, options.from));
    }
    let mut left = options.count;
    let (mut is_closed, mut end) = (false, None);
    while left != Some(0) {
        let heard = tokio::select! {
            biased;
            Some(state) = states.next() => {
                screen.state(&state);
                if let State::Closed { failure } = state {
                    end = Some(given_up(failure));
                }
                continue;
            }
            heard = heard.next() => heard,
        };
        match heard {
            None if is_closed && end.is_none() => return Err(why_closed(&mut states).await),
            None => return Err(end.unwrap_or(SubError::NothingLeft)),
            Some(Heard::Refused(SubscribeError::Closed { .. })) => is_closed = true,
            Some(Heard::Refused(error)) => tell(&error),
            Some(Heard::Event(channel, event)) => {
                match event {
                    Event::Message(_) => left = left.map(|left| left.saturating_sub(1)),
                    Event::Unsubscribed { code: None } => is_closed = true,
                    _ => {}
                }
                match screen.event(&channel, &event) {
                    Ok(()) => {}
                    // Who reads no further has seen what they wanted.
                    Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
                    Err(error) => return Err(SubError::Write(error)),
                }
            }
        }
    }
    Ok(())
}

/// What the client says of its end, which it says soon after its channels have ended.
async fn why_closed(states: &mut (impl Stream<Item = State> + Unpin)) -> SubError {
    while let Some(state) = states.next().await {
        if let State::Closed { failure } = state {
            return given_up(failure);
        }
    }
    SubError::NothingLeft
}

fn given_up(failure: Option<Failure>) -> SubError {
    failure.map_or(SubError::NothingLeft, SubError::GivenUp)
}

/// What is heard of a channel.
enum Heard {
    Event(ChannelName, Event),
    Refused(SubscribeError),
}

type Events = Pin<Box<dyn Stream<Item = Heard> + Send>>;

/// Subscribes, and then tells all that follows.
fn events(channel: Channel, name: ChannelName, from: Option<Start>) -> Events {
    let subscribed = async move {
        match channel.subscribe(from).await {
            Ok(subscription) => subscription.map(move |event| Heard::Event(name.clone(), event)).boxed(),
            Err(error) => stream::iter([Heard::Refused(error)]).boxed(),
        }
    };
    Box::pin(stream::once(subscribed).flatten())
}

const EXAMPLES: &str = "\
Examples:
  tricast sub chat:lobby
  tricast sub chat:lobby chat:help --from last:10
  tricast sub state:cpu --json | jq .data

A lost connection is replaced, and reading goes on after the last message. Where messages are missing,
a gap is told: on stderr, or with --json as a line among the others.";
