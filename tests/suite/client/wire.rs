//! A WebSocket by hand, for what a correct client never sends and never shows.

use std::io;
use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::http::Request;
use super::watchdog;

/// The bytes of an upgraded connection.
#[derive(Debug)]
pub(crate) struct Wire {
    io: BufReader<TcpStream>,
}

/// A frame of the server's.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// The first byte: FIN, reserved bits, opcode.
    pub(crate) head: u8,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    pub(crate) const TEXT: u8 = 0x81;
    pub(crate) const CLOSE: u8 = 0x88;
    pub(crate) const PING: u8 = 0x89;

    /// The event in a text frame.
    pub(crate) fn event(&self) -> Value {
        assert_eq!(self.head, Self::TEXT, "{self:?}");
        serde_json::from_slice(&self.payload).unwrap()
    }

    /// The code in a Close frame.
    pub(crate) fn close_code(&self) -> u16 {
        assert_eq!(self.head, Self::CLOSE, "{self:?}");
        u16::from_be_bytes([self.payload[0], self.payload[1]])
    }
}

/// An upgrade request that asks for nothing special.
pub(crate) fn upgrade(target: &str) -> Request {
    Request::get(target)
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
}

impl Wire {
    pub(crate) async fn open(address: SocketAddr, target: &str) -> Self {
        Self::of(upgrade(target), address).await
    }

    pub(crate) async fn of(request: Request, address: SocketAddr) -> Self {
        let response = request.send(address).await;
        assert_eq!(response.status, 101);
        Self { io: response.into_io() }
    }

    /// Sends bytes as they are.
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        watchdog("bytes being taken", self.io.get_mut().write_all(bytes)).await.unwrap();
    }

    /// Sends a frame with this first byte, masked as a client's must be.
    pub(crate) async fn send_frame(&mut self, head: u8, payload: &[u8]) {
        self.send(&frame(head, payload)).await;
    }

    /// The next frame; `None` at the end of the connection.
    pub(crate) async fn try_frame(&mut self) -> Option<Frame> {
        match watchdog("a frame", self.read_frame()).await {
            Ok(frame) => Some(frame),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => None,
            Err(error) => panic!("the connection broke: {error}"),
        }
    }

    pub(crate) async fn frame(&mut self) -> Frame {
        self.try_frame().await.expect("the connection goes on")
    }

    /// Waits for the connection's end; nothing may come before it.
    pub(crate) async fn ended(&mut self) {
        assert_eq!(self.try_frame().await, None);
    }

    async fn read_frame(&mut self) -> io::Result<Frame> {
        let head = self.io.read_u8().await?;
        let length = match self.io.read_u8().await? {
            126 => usize::from(self.io.read_u16().await?),
            127 => usize::try_from(self.io.read_u64().await?).unwrap(),
            short => usize::from(short),
        };
        assert!(length < 1 << 24, "a server's frames are unmasked and bounded: {length}");
        let mut payload = vec![0; length];
        self.io.read_exact(&mut payload).await?;
        Ok(Frame { head, payload })
    }
}

/// A client's frame: masked, by a mask that changes nothing.
pub(crate) fn frame(head: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![head];
    match u16::try_from(payload.len()) {
        Ok(length) if length < 126 => bytes.push(0x80 | length.to_be_bytes()[1]),
        Ok(length) => {
            bytes.push(0x80 | 126);
            bytes.extend(length.to_be_bytes());
        }
        Err(_) => {
            bytes.push(0x80 | 127);
            bytes.extend(u64::try_from(payload.len()).unwrap().to_be_bytes());
        }
    }
    bytes.extend([0; 4]);
    bytes.extend(payload);
    bytes
}
