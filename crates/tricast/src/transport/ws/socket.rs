//! One WebSocket below commands: framing, close codes and deadlines.
//!
//! [`Socket`] knows messages, not what they say. It is driven by one task: [`receive`](Socket::receive) for what the
//! peer sends, [`write`](Socket::write) for frames that were encoded once for all readers, and in the end
//! [`finish`](Socket::finish) or [`close`](Socket::close).
//!
//! # Pings
//! The peer's pings are answered from within `receive` and `write`; a pong that cannot leave yet is replaced by the
//! next one, so they never pile up.
//!
//! # Slow peers
//! A write waits for as long as bytes move. When the peer takes no byte for the write timeout, it fails with
//! [`WriteError::Slow`].
//!
//! # Closing
//! A peer that breaks the protocol is told why by a Close frame (1002, 1007 or 1009), and one that closes gets its
//! own code back. Then the write half is shut down and what still arrives is read and dropped, within a deadline and
//! a byte bound: closing over unread bytes would send a reset, and a reset overtakes the Close frame.
//!
//! # Memory
//! An idle socket holds one read buffer of [`READ_BUFFER`] bytes, and no write buffer until it has sent its first
//! control frame. A larger message grows the read buffer, which then stays: at most to the message limit.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig, WebSocketContext};
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes, error::ProtocolError};

use self::wire::Wire;

mod wire;

/// What a socket is held to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// The longest message accepted, in bytes, whole or in fragments.
    pub(crate) message: usize,
    /// How long the peer may take no byte while some wait to be written.
    pub(crate) write_timeout: Duration,
}

/// Something complete that the peer sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Received {
    Text(Utf8Bytes),
    Binary(Bytes),
    /// Its pong is on its way.
    Ping,
    Pong,
}

/// Why nothing more will be received. Hand it to [`Socket::finish`].
#[derive(Debug)]
pub(crate) enum End {
    /// The peer sent a Close frame, with this code if it gave one.
    Closed(Option<u16>),
    /// The peer broke the protocol.
    Fault(Fault),
    /// The connection is gone without a Close frame.
    Lost(io::Error),
}

/// How a peer broke the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    #[error("protocol error")]
    Protocol,
    #[error("text that is not UTF-8")]
    Utf8,
    #[error("message too long")]
    TooLong,
}

impl Fault {
    /// The close code of [RFC 6455, section 7.4.1](https://www.rfc-editor.org/rfc/rfc6455#section-7.4.1).
    pub(crate) fn code(self) -> u16 {
        match self {
            Self::Protocol => 1002,
            Self::Utf8 => 1007,
            Self::TooLong => 1009,
        }
    }
}

/// Why frames could not be written. The socket is of no further use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    /// The peer took no byte for the write timeout.
    #[error("the peer took no byte within the write timeout")]
    Slow,
    /// The closing handshake has begun.
    #[error("the WebSocket is closed")]
    Closed,
    /// The connection failed.
    #[error("the connection failed")]
    Io(#[from] io::Error),
}

/// One side of a WebSocket, a server's, on a byte stream whose handshake is done.
pub(crate) struct Socket<IO> {
    context: WebSocketContext,
    wire: Wire<IO>,
    write_timeout: Duration,
    ended: bool,
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Socket<IO> {
    /// A socket on `io`, which hands over what the peer sent after its handshake.
    pub(crate) fn new(io: IO, limits: Limits) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(0)
            .max_write_buffer_size(MAX_CONTROL_BYTES)
            .max_message_size(Some(limits.message))
            .max_frame_size(Some(limits.message))
            .accept_unmasked_frames(false);
        Self {
            context: WebSocketContext::new(Role::Server, Some(config)),
            wire: Wire::new(io),
            write_timeout: limits.write_timeout,
            ended: false,
        }
    }

    /// Waits for the next message or control frame.
    ///
    /// # Errors
    /// The [`End`], once; what a later call gives is [`End::Lost`].
    ///
    /// # Cancel safety
    /// A partly received message stays in the socket and the next call goes on with it.
    pub(crate) async fn receive(&mut self) -> Result<Received, End> {
        if self.ended {
            return Err(End::Lost(io::ErrorKind::NotConnected.into()));
        }
        let received = poll_fn(|cx| self.poll_receive(cx)).await;
        self.ended = received.is_err();
        received
    }

    /// Sends whole frames, headers included, in one go.
    ///
    /// Control frames that wait go first, so frames never interleave.
    ///
    /// # Errors
    /// After any error the only thing to do is to drop the socket: half a frame may have left.
    ///
    /// # Cancel safety
    /// A dropped call has sent `frames` not at all, in part or whole. The rest of a part is kept and leaves before
    /// anything else does, so the peer always sees whole frames; but the caller cannot tell whether it will see
    /// these.
    pub(crate) async fn write(&mut self, frames: Bytes) -> Result<(), WriteError> {
        self.flush().await?;
        self.wire.rest = frames;
        self.flush().await
    }

    /// Sends a WebSocket ping frame.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    ///
    /// # Cancel safety
    /// As [`write`](Self::write).
    pub(crate) async fn ping(&mut self) -> Result<(), WriteError> {
        self.flush().await?;
        poll_fn(|cx| {
            let ping = Message::Ping(Bytes::new());
            // What does not leave at once is buffered, and flushed below.
            Poll::Ready(match self.context.write(&mut self.wire.with(cx), ping) {
                Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
                other => other.map_err(write_error),
            })
        })
        .await?;
        self.flush().await
    }

    /// When the last byte arrived; at first, when the socket was made.
    pub(crate) fn last_received(&self) -> Instant {
        self.wire.received
    }

    /// When the last byte left; at first, when the socket was made.
    pub(crate) fn last_sent(&self) -> Instant {
        self.wire.sent
    }

    /// Ends the connection in the way that `end` asks for: the peer's Close is answered with its own code, a fault
    /// with the code of the fault.
    ///
    /// Boxed, as [`close`](Self::close) is.
    pub(crate) fn finish(mut self, end: End) -> impl Future<Output = ()> + use<IO> {
        Box::pin(async move {
            match end {
                End::Closed(code) => self.part(code.unwrap_or(NORMAL), "").await,
                End::Fault(fault) => self.part(fault.code(), &fault.to_string()).await,
                End::Lost(_) => {}
            }
        })
    }

    /// Sets frames that leave before anything else when the connection is ended: what was still to be said when
    /// [`receive`](Self::receive) found the end.
    pub(crate) fn last_words(&mut self, frames: Bytes) {
        if self.wire.rest.is_empty() {
            self.wire.rest = frames;
        }
    }

    /// Sends a Close frame and ends the connection.
    ///
    /// Once the peer has sent its own Close, that one's code is echoed in place of `code`. A `reason` beyond the 123
    /// bytes that a Close frame holds is cut. Returns when the peer has hung up, or after the write timeout and
    /// [`LINGER`] at the latest.
    ///
    /// The future is boxed: a connection's task should not set aside, all its life, what it needs at the end.
    pub(crate) fn close(mut self, code: u16, reason: &str) -> impl Future<Output = ()> + use<IO> {
        let reason = shorten(reason).to_owned();
        Box::pin(async move { self.part(code, &reason).await })
    }

    async fn part(&mut self, code: u16, reason: &str) {
        let frame = CloseFrame { code: CloseCode::from(code), reason: reason.into() };
        let limit = self.write_timeout;
        let farewell = poll_fn(|cx| self.poll_farewell(cx, &frame));
        if let Ok(Ok(())) = timeout(limit, farewell).await {
            let mut left = LINGER_BYTES;
            let hung_up = poll_fn(|cx| self.wire.poll_discard(cx, &mut left));
            let _ = timeout(LINGER, hung_up).await;
        }
    }

    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<Received, End>> {
        loop {
            return Poll::Ready(match self.context.read(&mut self.wire.with(cx)) {
                Ok(Message::Text(text)) => Ok(Received::Text(text)),
                Ok(Message::Binary(bytes)) => Ok(Received::Binary(bytes)),
                Ok(Message::Ping(_)) => Ok(Received::Ping),
                Ok(Message::Pong(_)) => Ok(Received::Pong),
                Ok(Message::Close(frame)) => Err(End::Closed(frame.map(|f| f.code.into()))),
                // Whole messages are read, never single frames.
                Ok(Message::Frame(_)) => continue,
                Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Poll::Pending;
                }
                Err(error) => Err(end_of(error)),
            });
        }
    }

    /// Sends all that waits, under the write deadline.
    async fn flush(&mut self) -> Result<(), WriteError> {
        loop {
            let limit = self.write_timeout;
            let step = poll_fn(|cx| self.poll_progress(cx));
            match timeout(limit, step).await {
                Ok(Ok(true)) => return Ok(()),
                Ok(Ok(false)) => {}
                Ok(Err(error)) => return Err(error),
                Err(_) => return Err(WriteError::Slow),
            }
        }
    }

    /// Ready when everything has left (`true`) or at least one more byte has.
    fn poll_progress(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, WriteError>> {
        self.wire.moved = false;
        match self.context.flush(&mut self.wire.with(cx)) {
            Ok(()) => Poll::Ready(Ok(true)),
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                if self.wire.moved {
                    Poll::Ready(Ok(false))
                } else {
                    Poll::Pending
                }
            }
            Err(error) => Poll::Ready(Err(write_error(error))),
        }
    }

    /// All that waits, the Close frame, and the end of the write half.
    fn poll_farewell(&mut self, cx: &mut Context<'_>, frame: &CloseFrame) -> Poll<io::Result<()>> {
        let mut wire = self.wire.with(cx);
        // A pong that waits would otherwise follow the Close frame.
        let flushed = self.context.flush(&mut wire);
        let closed = flushed.and_then(|()| self.context.close(&mut wire, Some(frame.clone())));
        match closed {
            Ok(()) | Err(Error::ConnectionClosed) => Pin::new(&mut self.wire.io).poll_shutdown(cx),
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
            Err(error) => Poll::Ready(Err(io::Error::other(error))),
        }
    }
}

fn end_of(error: Error) -> End {
    match error {
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => End::Lost(io::ErrorKind::UnexpectedEof.into()),
        Error::Protocol(_) => End::Fault(Fault::Protocol),
        Error::Utf8(_) => End::Fault(Fault::Utf8),
        Error::Capacity(_) => End::Fault(Fault::TooLong),
        Error::Io(error) => End::Lost(error),
        Error::ConnectionClosed | Error::AlreadyClosed => End::Lost(io::ErrorKind::NotConnected.into()),
        Error::Tls(_)
        | Error::WriteBufferFull(_)
        | Error::AttackAttempt
        | Error::Url(_)
        | Error::Http(_)
        | Error::HttpFormat(_) => End::Lost(io::Error::other(error)),
    }
}

fn write_error(error: Error) -> WriteError {
    match error {
        Error::ConnectionClosed | Error::AlreadyClosed | Error::Protocol(ProtocolError::SendAfterClosing) => {
            WriteError::Closed
        }
        // A deadline of the stream's own, or the kernel's.
        Error::Io(error) if error.kind() == io::ErrorKind::TimedOut => WriteError::Slow,
        Error::Io(error) => WriteError::Io(error),
        Error::Protocol(_)
        | Error::Utf8(_)
        | Error::Capacity(_)
        | Error::Tls(_)
        | Error::WriteBufferFull(_)
        | Error::AttackAttempt
        | Error::Url(_)
        | Error::Http(_)
        | Error::HttpFormat(_) => WriteError::Io(io::Error::other(error)),
    }
}

/// The longest start of `reason` that a Close frame holds.
fn shorten(reason: &str) -> &str {
    &reason[..reason.floor_char_boundary(MAX_REASON)]
}

/// What one idle connection pays for reading. tungstenite's default is 128 KiB.
const READ_BUFFER: usize = 1024;

/// Control frames that wait for a slow peer; over it, the newest pong waits alone.
const MAX_CONTROL_BYTES: usize = 1024;

/// How long a peer may take to hang up after the Close frame.
const LINGER: Duration = Duration::from_secs(2);

/// How much a peer may still send after the Close frame.
const LINGER_BYTES: usize = 4 << 20;

/// The code that answers a Close frame without one.
const NORMAL: u16 = 1000;

/// 125 bytes of a control frame less the code.
const MAX_REASON: usize = 123;

#[cfg(test)]
mod tests;
