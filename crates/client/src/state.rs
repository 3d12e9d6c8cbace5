//! What a client is doing.

use std::time::Duration;

use crate::error::Failure;
use crate::transport::Transport;

/// What a client is doing (protocol, section 9).
#[derive(Debug, Clone)]
pub enum State {
    /// There is nothing to read, hence no connection. Publishes and questions go by POST.
    Idle,
    /// It tries transports, one after the other.
    Connecting,
    /// The server has spoken on this connection.
    Connected {
        /// The transport that delivers.
        transport: Transport,
    },
    /// No transport delivered, or the server asked to stay away for a while.
    Waiting {
        /// How long after this was said the next try begins.
        retry_in: Duration,
        /// Why it waits.
        failure: Failure,
    },
    /// It is over for good.
    Closed {
        /// Why the client gave up; `None` where the application closed it.
        failure: Option<Failure>,
    },
}

impl State {
    /// The transport that delivers, while one does.
    #[must_use]
    pub const fn transport(&self) -> Option<Transport> {
        match self {
            Self::Connected { transport } => Some(*transport),
            Self::Idle | Self::Connecting | Self::Waiting { .. } | Self::Closed { .. } => None,
        }
    }

    /// Whether it is over for good.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        matches!(self, Self::Closed { .. })
    }

    /// The status as one word, as the protocol has it.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Connecting => "connecting",
            Self::Connected { .. } => "connected",
            Self::Waiting { .. } => "waiting",
            Self::Closed { .. } => "closed",
        }
    }
}
