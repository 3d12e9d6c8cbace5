//! One connection to the server, without any I/O: what it writes, and what it makes of what comes.
//!
//! A link holds no position: whoever drives it passes in what is to be read, and from where, whenever it may ask.

mod requests;
mod socket;

use std::collections::VecDeque;
use std::time::Duration;

use tricast_core::channel::ChannelName;
use tricast_core::protocol::event::Welcome;
use tricast_core::protocol::{ClientId, Event, Secret, SubscribeTo};

pub(crate) use requests::RequestLink;
pub(crate) use socket::SocketLink;

use crate::error::{Failure, Refusal};
use crate::limits::LONGEST;
use crate::output::{Io, Output, Report};

/// What a link works with.
pub(crate) struct Context<'a> {
    pub(crate) now: Duration,
    pub(crate) outputs: &'a mut VecDeque<Output>,
    pub(crate) ios: &'a mut u64,
    pub(crate) client: &'a ClientId,
    pub(crate) token: Option<&'a Secret>,
}

impl Context<'_> {
    pub(crate) fn new_io(&mut self) -> Io {
        *self.ios += 1;
        Io(*self.ios)
    }

    fn put(&mut self, output: Output) {
        self.outputs.push_back(output);
    }
}

/// What a link made of a report.
#[derive(Debug)]
pub(crate) enum Effect {
    /// The transport delivers.
    Proven,
    /// The server took the token, which lasts so long where that is known.
    TokenTaken(Option<Duration>),
    /// The server lets these channels be read.
    Accepted(Vec<ChannelName>),
    /// An event that is not the link's own affair.
    Event(Event),
    /// The server does not let these channels be read; the link does not count them as asked for any more.
    Refused(Refusal, Vec<ChannelName>),
    /// What is to be read has to be asked for again.
    AskAgain,
    /// The connection is over.
    Ended(Failure),
}

/// A connection on one of the transports.
#[derive(Debug)]
pub(crate) enum Link {
    Socket(SocketLink),
    Requests(RequestLink),
}

impl Link {
    /// The socket, or the request that counts; `None` while there is none.
    pub(crate) fn io(&self) -> Option<Io> {
        match self {
            Self::Socket(link) => Some(link.io()),
            Self::Requests(link) => link.io(),
        }
    }

    /// The token that was brought last.
    pub(crate) fn token(&self) -> Option<&Secret> {
        match self {
            Self::Socket(link) => link.token(),
            Self::Requests(link) => link.token(),
        }
    }

    /// The channels whose end is the connection's too: those that the request asked for. A socket lives on without any.
    pub(crate) fn ends_with(&self) -> &[ChannelName] {
        match self {
            Self::Socket(_) => &[],
            Self::Requests(link) => link.asked(),
        }
    }

    /// Brings the connection in line with what is to be read.
    pub(crate) fn update(&mut self, wants: &[SubscribeTo], context: &mut Context<'_>) {
        match self {
            Self::Socket(link) => link.update(wants, context),
            Self::Requests(link) => link.update(wants, context),
        }
    }

    /// Does not count this channel as asked for any more: it left, or the next `update` asks for it anew.
    pub(crate) fn forget(&mut self, channel: &ChannelName, context: &mut Context<'_>) {
        match self {
            Self::Socket(link) => link.forget(channel, context),
            Self::Requests(link) => link.forget(channel),
        }
    }

    /// Goes on with the token that is at hand now.
    pub(crate) fn renew(&mut self, context: &mut Context<'_>) {
        match self {
            Self::Socket(link) => link.say_who(context),
            Self::Requests(link) => link.renew(),
        }
    }

    /// Takes what its socket or request brought.
    pub(crate) fn report(&mut self, report: Report, context: &mut Context<'_>) -> Vec<Effect> {
        match self {
            Self::Socket(link) => link.report(report, context),
            Self::Requests(link) => link.report(report, context.now),
        }
    }

    /// Does what is due.
    pub(crate) fn tick(&mut self, context: &mut Context<'_>) -> Option<Effect> {
        match self {
            Self::Socket(link) => link.tick(context),
            Self::Requests(link) => link.tick(context.now),
        }
    }

    /// When [`Link::tick`] has something to do.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        match self {
            Self::Socket(link) => Some(link.deadline()),
            Self::Requests(link) => link.deadline(),
        }
    }
}

/// What a peer that said nothing for too long has come to.
fn silent() -> Effect {
    Effect::Ended(Failure::unreachable("the server is silent"))
}

/// How long the peer may be silent; nobody is pinged more often than is any use.
fn heartbeat(welcome: &Welcome) -> Duration {
    const LEAST: Duration = Duration::from_millis(100);
    welcome.heartbeat.clamp(LEAST, LONGEST)
}
