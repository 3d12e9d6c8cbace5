//! One chunk at a time, whatever the server below would buffer.
//!
//! hyper goes on asking a body for more until it holds some 400 KiB, or whole chunks beyond that: for a peer that reads
//! nothing these would be batches, each of which the log can give later (protocol, 5.1, "Slow readers").

use std::convert::Infallible;

use bytes::Bytes;
use tokio::sync::oneshot;

/// What was given to the server below, until it lets go of it.
#[derive(Debug, Default)]
pub(super) struct InFlight(Option<oneshot::Receiver<Infallible>>);

impl InFlight {
    /// The same bytes, with word of when nobody holds them any more.
    pub(super) fn of(chunk: Bytes) -> (Bytes, Self) {
        let (held, let_go) = oneshot::channel();
        (Bytes::from_owner(Chunk { bytes: chunk, _held: held }), Self(Some(let_go)))
    }

    /// Resolves when the bytes have been written, or copied, or the connection has gone.
    pub(super) async fn written(self) {
        if let Self(Some(let_go)) = self {
            // Nothing is ever sent: its other end goes with the bytes.
            let _ = let_go.await;
        }
    }
}

struct Chunk {
    bytes: Bytes,
    _held: oneshot::Sender<Infallible>,
}

impl AsRef<[u8]> for Chunk {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}
