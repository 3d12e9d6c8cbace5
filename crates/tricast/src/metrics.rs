//! What a node tells of itself through the [`metrics`](https://docs.rs/metrics) facade: names, and what they count.
//!
//! Nothing is exported from here: the application installs the recorder that it likes, and without one nothing is kept.

use metrics::{counter, gauge};
use tricast_core::log::Appended;
use tricast_core::protocol::event::Unsubscribed;
use tricast_core::protocol::{Code, Event};

use crate::hooks::Transport;

/// Counter: how often somebody was told a code, whether a request, a command, a subscription or a connection came to
/// nothing by it. Labels: `code` (protocol, section 7) and `transport` (`ws`, `sse`, `poll`, `send`).
///
/// A `slow_reader` is counted too, though nobody can tell it so, and so is a farewell: a drain shows as `draining`.
pub const REFUSED: &str = "tricast_refused_total";

/// Gauge: connections that were let in. Label: `transport` (`ws`, `sse`, `poll`).
pub const CONNECTIONS: &str = "tricast_connections";

/// Counter: messages that were published and are in the log, by whomever and on whatever way; repeats of an id are not.
pub const PUBLISHED: &str = "tricast_published_total";

/// Counts a code that somebody is told.
pub(crate) fn refused(code: Code, transport: Transport) {
    counter!(REFUSED, "code" => code.as_str(), "transport" => transport.as_str()).increment(1);
}

/// Counts the code that an event tells, if it tells one.
pub(crate) fn told(event: &Event, transport: Transport) {
    match event {
        Event::Error(error) => refused(error.code, transport),
        Event::Bye(bye) => refused(bye.code, transport),
        Event::Unsubscribed(Unsubscribed { code: Some(code), .. }) => refused(*code, transport),
        _ => {}
    }
}

/// Counts a message that was published, unless it was before.
pub(crate) fn published(appended: &Appended) {
    if !appended.duplicate {
        counter!(PUBLISHED).increment(1);
    }
}

/// A connection, as the gauge shows it for as long as this lives.
#[derive(Debug)]
pub(crate) struct Shown(Transport);

impl Shown {
    pub(crate) fn new(transport: Transport) -> Self {
        gauge!(CONNECTIONS, "transport" => transport.as_str()).increment(1);
        Self(transport)
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        gauge!(CONNECTIONS, "transport" => self.0.as_str()).decrement(1);
    }
}
