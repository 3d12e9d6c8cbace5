//! The codes in which a refusal or an end is told. Adapters map them, they invent nothing.
//!
//! Source: protocol, section 7.

use std::fmt;
use std::str::FromStr;

/// Why a command, a subscription or a connection came to nothing.
///
/// # Examples
/// ```
/// use tricast_core::protocol::{Code, Retry};
/// let code: Code = "unavailable".parse()?;
/// assert_eq!((code.http(), code.close(), code.retry()), (Some(503), 1013, Retry::Yes));
/// # Ok::<(), tricast_core::protocol::code::UnknownCode>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// What was sent cannot be understood or is not served.
    BadRequest,
    /// More channels than a request or a connection may have.
    TooManyChannels,
    /// A token is needed, or the one that came is worth nothing.
    Unauthorized,
    /// The token's time is over.
    TokenExpired,
    /// The caller may not do this.
    Forbidden,
    /// No rule knows the channel.
    UnknownChannel,
    /// It took too long; of a publish: the outcome is unknown.
    Timeout,
    /// A condition does not hold, or a position is of another epoch.
    Conflict,
    /// The payload is over the message limit, or a state is full.
    TooLarge,
    /// Too many connections.
    TooMany,
    /// Too much in too short a time.
    RateLimited,
    /// The reader took no byte for the write timeout.
    SlowReader,
    /// A fault of the server.
    Internal,
    /// The backplane is down, or the server is overloaded; of a publish: the outcome is unknown.
    Unavailable,
    /// The server is going away.
    Draining,
}

/// Whether the same thing may be tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Retry {
    /// No: the same again would fail the same.
    No,
    /// With a new token.
    NewToken,
    /// Yes, after a backoff.
    Yes,
    /// Later, when others have left.
    Later,
    /// After the `retry_after` of the error.
    RetryAfter,
    /// Yes, after the `after` of the `bye`.
    After,
}

impl Code {
    /// Every code, in the order of the protocol's table.
    pub const ALL: [Self; 15] = [
        Self::BadRequest,
        Self::TooManyChannels,
        Self::Unauthorized,
        Self::TokenExpired,
        Self::Forbidden,
        Self::UnknownChannel,
        Self::Timeout,
        Self::Conflict,
        Self::TooLarge,
        Self::TooMany,
        Self::RateLimited,
        Self::SlowReader,
        Self::Internal,
        Self::Unavailable,
        Self::Draining,
    ];

    /// The code as it stands on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::TooManyChannels => "too_many_channels",
            Self::Unauthorized => "unauthorized",
            Self::TokenExpired => "token_expired",
            Self::Forbidden => "forbidden",
            Self::UnknownChannel => "unknown_channel",
            Self::Timeout => "timeout",
            Self::Conflict => "conflict",
            Self::TooLarge => "too_large",
            Self::TooMany => "too_many",
            Self::RateLimited => "rate_limited",
            Self::SlowReader => "slow_reader",
            Self::Internal => "internal",
            Self::Unavailable => "unavailable",
            Self::Draining => "draining",
        }
    }

    /// The HTTP status that tells it; `None` where no answer could carry it any more.
    ///
    /// `bad_request` is also told by 405, 415 and 426, which the adapters choose.
    #[must_use]
    pub const fn http(self) -> Option<u16> {
        match self {
            Self::BadRequest | Self::TooManyChannels => Some(400),
            Self::Unauthorized | Self::TokenExpired => Some(401),
            Self::Forbidden => Some(403),
            Self::UnknownChannel => Some(404),
            Self::Timeout => Some(408),
            Self::Conflict => Some(409),
            Self::TooLarge => Some(413),
            Self::TooMany | Self::RateLimited => Some(429),
            Self::SlowReader => None,
            Self::Internal => Some(500),
            Self::Unavailable | Self::Draining => Some(503),
        }
    }

    /// The close code with which a WebSocket ends for it.
    #[must_use]
    pub const fn close(self) -> u16 {
        match self {
            Self::BadRequest => 4400,
            Self::TooManyChannels => 4406,
            Self::Unauthorized => 4401,
            Self::TokenExpired => 4402,
            Self::Forbidden => 4403,
            Self::UnknownChannel => 4404,
            Self::Timeout => 4408,
            Self::Conflict => 4409,
            Self::TooLarge => 1009,
            Self::TooMany => 4413,
            Self::RateLimited => 4429,
            Self::SlowReader => 4410,
            Self::Internal => 1011,
            Self::Unavailable => 1013,
            Self::Draining => 1001,
        }
    }

    /// Whether the same may be tried again, and when.
    #[must_use]
    pub const fn retry(self) -> Retry {
        match self {
            Self::BadRequest
            | Self::TooManyChannels
            | Self::Forbidden
            | Self::UnknownChannel
            | Self::Conflict
            | Self::TooLarge => Retry::No,
            Self::Unauthorized | Self::TokenExpired => Retry::NewToken,
            Self::Timeout | Self::SlowReader | Self::Internal | Self::Unavailable => Retry::Yes,
            Self::TooMany => Retry::Later,
            Self::RateLimited => Retry::RetryAfter,
            Self::Draining => Retry::After,
        }
    }

    /// Whether it may be tried again at all: after such a failure a batch does not try the channel's later publishes.
    #[must_use]
    pub const fn may_retry(self) -> bool {
        !matches!(self.retry(), Retry::No)
    }

    /// Whether it may be tried again as it is, without a new token: what an SSE stream by GET tells with 200, because
    /// any other status ends an `EventSource` for good.
    #[must_use]
    pub const fn may_retry_as_is(self) -> bool {
        !matches!(self.retry(), Retry::No | Retry::NewToken)
    }

    /// The `reconnect` of a `bye` with this code: false exactly where trying again is no use.
    #[must_use]
    pub const fn reconnect(self) -> bool {
        self.may_retry()
    }
}

impl Retry {
    /// The answer as one word, as the vectors have it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::NewToken => "new_token",
            Self::Yes => "yes",
            Self::Later => "later",
            Self::RetryAfter => "retry_after",
            Self::After => "after",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Code {
    type Err = UnknownCode;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|code| code.as_str() == text).ok_or(UnknownCode)
    }
}

/// A text that is no code of this version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is no code of protocol version 1")]
pub struct UnknownCode;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_reads_back() {
        for code in Code::ALL {
            assert_eq!(code.as_str().parse(), Ok(code));
        }
        assert_eq!("Bad_Request".parse::<Code>(), Err(UnknownCode));
    }

    #[test]
    fn no_two_codes_close_a_socket_alike() {
        let closes: std::collections::HashSet<u16> = Code::ALL.into_iter().map(Code::close).collect();
        assert_eq!(closes.len(), Code::ALL.len());
    }
}
