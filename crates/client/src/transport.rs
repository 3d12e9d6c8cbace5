//! The three ways to carry the same events.

pub(crate) mod http;
pub(crate) mod sse;
pub(crate) mod ws;

use std::fmt;
use std::str::FromStr;

/// A way to carry events.
///
/// # Examples
/// ```
/// use tricast_client::Transport;
/// assert_eq!("sse".parse(), Ok(Transport::Sse));
/// assert_eq!(Transport::Ws.to_string(), "ws");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// WebSocket: events and commands on one connection.
    Ws,
    /// Server-sent events; commands go by POST.
    Sse,
    /// Long-polling; commands go by POST.
    Poll,
}

impl Transport {
    /// All of them, best first: what a client tries unless told otherwise.
    pub const ALL: [Self; 3] = [Self::Ws, Self::Sse, Self::Poll];

    /// The name, as the endpoint has it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ws => "ws",
            Self::Sse => "sse",
            Self::Poll => "poll",
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Transport {
    type Err = UnknownTransport;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|transport| transport.as_str() == text).ok_or(UnknownTransport)
    }
}

/// A text that names no transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is none of ws, sse and poll")]
pub struct UnknownTransport;
