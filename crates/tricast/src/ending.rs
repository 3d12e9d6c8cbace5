//! Why a connection is to end though its peer does nothing: the node drains, or the caller's token is over.
//!
//! A token's end is a time of day, so it is the node's clock that says whether it has come; a timer only wakes whoever
//! waits for it. Whoever asks whether an end is due, before it delivers anything, delivers nothing after it, though the
//! timer be late.

use std::future::{pending, poll_fn};
use std::pin::Pin;
use std::task::{Poll, ready};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep};
use tricast_core::access::Identity;
use tricast_core::protocol::Code;
use tricast_core::protocol::event::Bye;

use crate::auth::Login;
use crate::edge::Ticket;
use crate::hooks::{Refused, Transport};
use crate::hub::{Draining, GOING_AWAY, Hub};
use crate::metrics::Shown;

/// After what time the clock is looked at again: timers stand still while a machine sleeps, and clocks are set.
const LOOK: Duration = Duration::from_secs(60);

/// What ends a connection from this side. It counts as one while this is held.
pub(crate) struct Ending {
    drain: watch::Receiver<Option<Draining>>,
    /// Its place among the connections; none where it is only told that there is no room.
    ticket: Option<(Ticket, Shown)>,
    /// Boxed, for most connections have none.
    expiry: Option<Box<Expiry>>,
}

/// The end of a login.
struct Expiry {
    login: Login,
    timer: Pin<Box<Sleep>>,
}

impl Ending {
    pub(crate) fn new(hub: &Hub) -> Self {
        Self { drain: hub.connect(), ticket: None, expiry: None }
    }

    /// The connection has this place among those that there may be, until it ends.
    pub(crate) fn hold(&mut self, ticket: Ticket, transport: Transport) {
        self.ticket = Some((ticket, Shown::new(transport)));
    }

    /// Counts the connection as this caller's.
    ///
    /// # Errors
    /// They have as many as they may.
    pub(crate) fn claim(&mut self, who: &Identity, hub: &Hub) -> Result<(), Refused> {
        self.ticket.as_mut().map_or(Ok(()), |(ticket, _)| hub.claim(ticket, who))
    }

    /// Ends the connection when this login does.
    pub(crate) fn follow(&mut self, login: &Login, hub: &Hub) {
        let left = login.ends_in(hub.clock.wall_ms());
        self.expiry = left.map(|left| {
            let timer = Box::pin(sleep(left.min(LOOK)));
            Box::new(Expiry { login: login.clone(), timer })
        });
    }

    /// Resolves to the last words when the connection is to end.
    ///
    /// # Cancel safety
    /// Dropping it loses nothing.
    pub(crate) async fn due(&mut self, hub: &Hub) -> Bye {
        tokio::select! {
            biased;
            _ = self.drain.wait_for(Option::is_some) => {}
            () = over(&mut self.expiry, hub) => return Bye::new(Code::TokenExpired, "the token has expired"),
        }
        hub.farewell().unwrap_or_else(|| Bye::new(Code::Draining, GOING_AWAY))
    }
}

/// Looks at the clock whenever it is polled, whatever for.
async fn over(expiry: &mut Option<Box<Expiry>>, hub: &Hub) {
    let Some(expiry) = expiry else { return pending().await };
    poll_fn(|cx| {
        while let Some(left) = expiry.login.ends_in(hub.clock.wall_ms()).filter(|left| !left.is_zero()) {
            ready!(expiry.timer.as_mut().poll(cx));
            expiry.timer.as_mut().reset(Instant::now() + left.min(LOOK));
        }
        Poll::Ready(())
    })
    .await;
}
