//! Why a connection is to end though its peer does nothing: the node drains, or the caller's token is over.

use std::future::pending;
use std::pin::Pin;

use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep_until};
use tricast_core::access::Identity;
use tricast_core::protocol::Code;
use tricast_core::protocol::event::Bye;

use crate::auth::Login;
use crate::edge::Ticket;
use crate::hooks::{Refused, Transport};
use crate::hub::{Draining, GOING_AWAY, Hub};
use crate::metrics::Shown;

/// What ends a connection from this side. It counts as one while this is held.
pub(crate) struct Ending {
    drain: watch::Receiver<Option<Draining>>,
    /// Its place among the connections; none where it is only told that there is no room.
    ticket: Option<(Ticket, Shown)>,
    /// Boxed, for most connections have none.
    expiry: Option<Pin<Box<Sleep>>>,
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
        // A token that outlives the runtime's clock never ends a connection.
        let at = login.ends_in(hub.clock.wall_ms()).and_then(|left| Instant::now().checked_add(left));
        self.expiry = at.map(|at| Box::pin(sleep_until(at)));
    }

    /// Resolves to the last words when the connection is to end.
    ///
    /// # Cancel safety
    /// Dropping it loses nothing.
    pub(crate) async fn due(&mut self, hub: &Hub) -> Bye {
        tokio::select! {
            biased;
            _ = self.drain.wait_for(Option::is_some) => {}
            () = over(&mut self.expiry) => return Bye::new(Code::TokenExpired, "the token has expired"),
        }
        hub.farewell().unwrap_or_else(|| Bye::new(Code::Draining, GOING_AWAY))
    }
}

async fn over(expiry: &mut Option<Pin<Box<Sleep>>>) {
    match expiry {
        Some(expiry) => expiry.await,
        None => pending().await,
    }
}
