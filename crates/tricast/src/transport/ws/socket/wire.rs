//! The byte stream below a [`Socket`](super::Socket), in the dress that tungstenite drives.

use std::io::{self, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// The byte stream, and what of a [`Socket::write`](super::Socket::write) has not left yet.
pub(super) struct Wire<IO> {
    pub(super) io: IO,
    /// Goes before anything that the WebSocket's own machinery wants to send.
    pub(super) rest: Bytes,
    pub(super) received: Instant,
    pub(super) sent: Instant,
    pub(super) moved: bool,
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Wire<IO> {
    pub(super) fn new(io: IO) -> Self {
        let now = Instant::now();
        Self { io, rest: Bytes::new(), received: now, sent: now, moved: false }
    }

    /// The wire as tungstenite wants it, for the length of one poll.
    pub(super) fn with<'a, 'b>(&'a mut self, cx: &'a mut Context<'b>) -> Polled<'a, 'b, IO> {
        Polled { wire: self, cx }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let len = ready!(Pin::new(&mut self.io).poll_write(cx, bytes))?;
        if len == 0 && !bytes.is_empty() {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.sent = Instant::now();
        self.moved = true;
        Poll::Ready(Ok(len))
    }

    fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.rest.is_empty() {
            let rest = self.rest.clone();
            let len = ready!(self.poll_write(cx, &rest))?;
            self.rest.advance(len);
        }
        // An empty slice of it would still hold the whole batch.
        self.rest = Bytes::new();
        Poll::Ready(Ok(()))
    }

    /// Reads and drops, until the peer hangs up or `left` bytes have come.
    pub(super) fn poll_discard(&mut self, cx: &mut Context<'_>, left: &mut usize) -> Poll<io::Result<()>> {
        let mut scratch = [0; 4096];
        while *left > 0 {
            let mut buffer = ReadBuf::new(&mut scratch);
            ready!(Pin::new(&mut self.io).poll_read(cx, &mut buffer))?;
            if buffer.filled().is_empty() {
                break;
            }
            *left = left.saturating_sub(buffer.filled().len());
        }
        Poll::Ready(Ok(()))
    }
}

/// A [`Wire`] in the blocking dress that tungstenite drives; `WouldBlock` is pending.
pub(super) struct Polled<'a, 'b, IO> {
    wire: &'a mut Wire<IO>,
    cx: &'a mut Context<'b>,
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Read for Polled<'_, '_, IO> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut buffer = ReadBuf::new(into);
        unless_pending(Pin::new(&mut self.wire.io).poll_read(self.cx, &mut buffer))?;
        let len = buffer.filled().len();
        if len > 0 {
            self.wire.received = Instant::now();
        }
        Ok(len)
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Write for Polled<'_, '_, IO> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        unless_pending(self.wire.poll_rest(self.cx))?;
        unless_pending(self.wire.poll_write(self.cx, bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        unless_pending(self.wire.poll_rest(self.cx))?;
        unless_pending(Pin::new(&mut self.wire.io).poll_flush(self.cx))
    }
}

fn unless_pending<T>(poll: Poll<io::Result<T>>) -> io::Result<T> {
    match poll {
        Poll::Ready(result) => result,
        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
    }
}
