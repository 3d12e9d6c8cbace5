//! What stands at the edge: whose pages may ask, which proxies are believed, and how much one caller may take.
//!
//! Nothing here knows a channel or a transport. Each part is a small module with settings of its own in the
//! [`Builder`](crate::Builder). The adapters ask before they do anything else: whose page it is (`transport/origin`),
//! and whether there is room ([`Hub::admit`]); a command that publishes asks whether it is too soon
//! ([`Hub::check_publish`]).

mod connections;
mod origins;
mod proxies;
mod publishing;
mod settings;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use http::header::ORIGIN;
use http::request::Parts;
use tricast_core::access::Identity;
use tricast_core::protocol::Code;

use crate::hooks::Refused;
use crate::hub::Hub;

pub(crate) use connections::{Connections, Most, Ticket, TooMany};
pub(crate) use origins::{Origin, Origins, host_and_port};
pub(crate) use proxies::Proxies;
pub(crate) use publishing::{Allowance, Publishing, RetryAfter};
pub(crate) use settings::EdgeSettings;

/// The node's edge.
#[derive(Debug)]
pub(crate) struct Edge {
    pub(crate) origins: Origins,
    pub(crate) proxies: Proxies,
    pub(crate) connections: Arc<Connections>,
    pub(crate) publishing: Publishing,
}

/// Within what time whoever finds no room comes back: 1 to 30 s.
const NO_ROOM: Duration = Duration::from_secs(1);
const NO_ROOM_SPREAD_MS: u64 = 29_000;

/// By what publishes are counted together.
#[derive(Debug)]
pub(crate) enum Counted<'a> {
    /// A connection.
    Connection(&'a mut Allowance),
    /// A caller, without a connection, at this address.
    Caller(Option<IpAddr>),
}

impl Hub {
    /// The address that a request is from, if it can be told.
    pub(crate) fn client_addr(&self, request: &Parts) -> Option<IpAddr> {
        self.edge.proxies.client_addr(&request.extensions, &request.headers)
    }

    /// Finds room for the connection of this request, of whom nobody knows yet who makes it: see [`Hub::claim`].
    ///
    /// # Errors
    /// `too_many`.
    pub(crate) fn admit(&self, request: &Parts) -> Result<Ticket, Refused> {
        self.admit_from(self.client_addr(request), &Identity::Anonymous)
    }

    /// As [`Hub::admit`], of a known caller.
    ///
    /// # Errors
    /// `too_many`.
    pub(crate) fn admit_from(&self, address: Option<IpAddr>, who: &Identity) -> Result<Ticket, Refused> {
        self.edge.connections.admit(address, who).map_err(|too_many| self.no_room(too_many))
    }

    /// Counts a connection as this caller's from now on.
    ///
    /// # Errors
    /// `too_many`; then it counts as before.
    pub(crate) fn claim(&self, ticket: &mut Ticket, who: &Identity) -> Result<(), Refused> {
        ticket.becomes(who).map_err(|too_many| self.no_room(too_many))
    }

    fn no_room(&self, too_many: TooMany) -> Refused {
        let after = NO_ROOM + Duration::from_millis(self.entropy.below(NO_ROOM_SPREAD_MS));
        Refused::of(Code::TooMany, too_many.to_string()).retried(after)
    }

    /// Counts a publish of this caller.
    ///
    /// # Errors
    /// `rate_limited`.
    pub(crate) fn check_publish(&self, who: &Identity, counted: Counted<'_>) -> Result<(), Refused> {
        let publishing = &self.edge.publishing;
        let checked = match counted {
            Counted::Connection(allowance) => publishing.check_connection(allowance, who),
            Counted::Caller(address) => publishing.check_caller(who, address),
        };
        checked.map_err(|RetryAfter(time)| Refused::rate_limited("too many publishes in too short a time", time))
    }
}

/// The origin of the page that made a request, where exactly one is named.
pub(crate) fn origin_of(headers: &HeaderMap) -> Option<Origin> {
    let mut origins = headers.get_all(ORIGIN).iter();
    let only = origins.next().filter(|_| origins.next().is_none())?;
    only.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_origins_neither_counts() {
        let mut headers = HeaderMap::new();
        assert_eq!(origin_of(&headers), None);
        headers.append(ORIGIN, "http://app.example".parse().unwrap());
        assert_eq!(origin_of(&headers), "http://app.example".parse().ok());
        headers.append(ORIGIN, "http://evil.example".parse().unwrap());
        assert_eq!(origin_of(&headers), None);
    }
}
