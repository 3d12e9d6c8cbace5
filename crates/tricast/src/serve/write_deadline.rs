//! A byte stream whose peer must keep taking bytes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::gate::Place;

/// Fails a write with [`TimedOut`](io::ErrorKind::TimedOut) once it has been pending for the whole limit; each byte
/// taken starts the limit anew.
///
/// There is a timer only while a write is pending, so an idle stream pays for an empty pointer.
#[derive(Debug)]
pub(crate) struct WriteDeadline<IO> {
    io: IO,
    limit: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
    /// An upgraded connection outlives the task that serves its requests, so its place is with the stream.
    _place: Place,
}

impl<IO> WriteDeadline<IO> {
    pub(crate) fn new(io: IO, limit: Duration) -> Self {
        Self { io, limit, stalled: None, _place: Place::default() }
    }

    /// Holds a place among the connections for as long as the stream lives.
    pub(crate) fn holding(self, place: Place) -> Self {
        Self { _place: place, ..self }
    }

    /// Passes a write's outcome on, unless it stays pending beyond the limit.
    fn judge<T>(&mut self, cx: &mut Context<'_>, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.stalled = None;
            return outcome;
        }
        let limit = self.limit;
        let timer = self.stalled.get_or_insert_with(|| Box::pin(sleep(limit)));
        match timer.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "the peer took no byte within the write timeout",
            ))),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for WriteDeadline<IO> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for WriteDeadline<IO> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.judge(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, slices);
        self.judge(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.io).poll_flush(cx);
        // A flush that succeeds with nothing to do is no progress of a stalled write.
        if flushed.is_ready() {
            return flushed;
        }
        self.judge(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.io).poll_shutdown(cx);
        self.judge(cx, shut)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
    use tokio::time::timeout;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn a_write_that_stalls_times_out() {
        let (ours, _peer) = duplex(8);
        let mut io = WriteDeadline::new(ours, LIMIT);
        let error = io.write_all(&[0; 9]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn a_byte_in_time_starts_the_limit_anew() {
        let (ours, mut peer) = duplex(8);
        let mut io = WriteDeadline::new(ours, LIMIT);
        let reader = async move {
            for _ in 0..12 {
                // Virtual time: just before the deadline.
                sleep(LIMIT - Duration::from_millis(1)).await;
                peer.read_u8().await.unwrap();
            }
            peer
        };
        let both = async { tokio::join!(io.write_all(&[0; 20]), reader) };
        let (written, _peer) = timeout(LIMIT * 20, both).await.expect("the watchdog");
        written.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn no_time_is_counted_while_nothing_waits_to_be_written() {
        let (ours, mut peer) = duplex(8);
        let mut io = WriteDeadline::new(ours, LIMIT);
        io.write_all(&[0; 8]).await.unwrap();
        // Virtual time: the pipe is full, but nobody wants to write.
        sleep(LIMIT * 3).await;
        let drained = async { peer.read_exact(&mut [0; 8]).await };
        let (written, read) = tokio::join!(io.write_all(&[0; 8]), drained);
        written.unwrap();
        read.unwrap();
    }
}
