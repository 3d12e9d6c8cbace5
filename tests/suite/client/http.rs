//! HTTP/1 over one connection per request, by hand: what is on the wire is what a test sees.

use std::io;
use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::watchdog;

/// A request to be sent.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    method: String,
    target: String,
    version: &'static str,
    host: Option<String>,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
    behind: Vec<u8>,
}

impl Request {
    pub(crate) fn new(method: &str, target: impl Into<String>) -> Self {
        let (method, target) = (method.to_owned(), target.into());
        Self { method, target, version: "HTTP/1.1", host: None, headers: Vec::new(), body: None, behind: Vec::new() }
    }

    pub(crate) fn get(target: impl Into<String>) -> Self {
        Self::new("GET", target)
    }

    /// A POST of JSON text, declared as such.
    pub(crate) fn post(target: impl Into<String>, json: impl Into<Vec<u8>>) -> Self {
        Self::new("POST", target).header("Content-Type", "application/json").body(json)
    }

    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn bearer(self, token: &str) -> Self {
        self.header("Authorization", format!("Bearer {token}"))
    }

    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// Sends bytes behind the request that are none of its body.
    pub(crate) fn followed_by(mut self, bytes: &[u8]) -> Self {
        self.behind = bytes.to_vec();
        self
    }

    /// Sends another `Host` than the address that is connected to.
    pub(crate) fn host(mut self, host: impl Into<String>) -> Self {
        self.host = Some(host.into());
        self
    }

    pub(crate) fn http_1_0(mut self) -> Self {
        self.version = "HTTP/1.0";
        self
    }

    /// Sends it and reads the head of the answer.
    pub(crate) async fn send(self, address: SocketAddr) -> Response {
        let what = format!("{} {}", self.method, self.target);
        let sent = watchdog(&what, self.try_send(address)).await;
        sent.unwrap_or_else(|error| panic!("{what}: {error}"))
    }

    async fn try_send(self, address: SocketAddr) -> io::Result<Response> {
        let mut io = BufReader::new(TcpStream::connect(address).await?);
        // A server that refuses early may close before it has read a long body: its answer counts.
        let written = io.write_all(&self.into_bytes(address)).await;
        match Response::read(io).await {
            Ok(response) => Ok(response),
            Err(error) => Err(written.err().unwrap_or(error)),
        }
    }

    /// The request as it goes out to this address.
    pub(crate) fn into_bytes(self, address: SocketAddr) -> Vec<u8> {
        let host = self.host.unwrap_or_else(|| address.to_string());
        let mut bytes = format!("{} {} {}\r\nHost: {host}\r\n", self.method, self.target, self.version).into_bytes();
        for (name, value) in &self.headers {
            bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        if let Some(body) = &self.body {
            bytes.extend_from_slice(format!("Content-Length: {}\r\n", body.len()).as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend(self.body.unwrap_or_default());
        bytes.extend(self.behind);
        bytes
    }
}

/// An answer whose head has been read, and whose body has not.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) version: String,
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    io: BufReader<TcpStream>,
    framing: Framing,
}

/// How the end of a body is told.
#[derive(Debug)]
enum Framing {
    Length(usize),
    Chunked,
    ToTheEnd,
    Over,
}

impl Response {
    async fn read(mut io: BufReader<TcpStream>) -> io::Result<Self> {
        let status_line = line(&mut io).await?;
        let mut words = status_line.splitn(3, ' ');
        let version = words.next().unwrap_or_default().to_owned();
        let status = words.next().and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| io::Error::other(format!("not a status line: {status_line:?}")))?;
        let mut headers = Vec::new();
        loop {
            let header = line(&mut io).await?;
            let Some((name, value)) = header.split_once(':') else { break };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let mut response = Self { version, status, headers, io, framing: Framing::ToTheEnd };
        if response.header("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
            response.framing = Framing::Chunked;
        } else if let Some(length) = response.header("content-length") {
            response.framing = Framing::Length(length.parse().map_err(io::Error::other)?);
        }
        Ok(response)
    }

    /// A header's value; the name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The next piece of the body, however long; `None` at its end.
    ///
    /// Fails where the connection ends before the body does.
    pub(crate) async fn piece(&mut self) -> io::Result<Option<Vec<u8>>> {
        match self.framing {
            Framing::Over | Framing::Length(0) => Ok(None),
            Framing::Length(left) => {
                let piece = self.some(left).await?;
                if piece.is_empty() {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                self.framing = Framing::Length(left - piece.len());
                Ok(Some(piece))
            }
            Framing::ToTheEnd => Ok(Some(self.some(64 * 1024).await?).filter(|piece| !piece.is_empty())),
            Framing::Chunked => self.chunk().await,
        }
    }

    async fn some(&mut self, most: usize) -> io::Result<Vec<u8>> {
        let mut piece = vec![0; most.min(64 * 1024)];
        let length = self.io.read(&mut piece).await?;
        piece.truncate(length);
        Ok(piece)
    }

    async fn chunk(&mut self) -> io::Result<Option<Vec<u8>>> {
        let size = line(&mut self.io).await?;
        let size = usize::from_str_radix(&size, 16).map_err(|_| io::Error::other(format!("not a chunk: {size:?}")))?;
        let mut chunk = vec![0; size];
        self.io.read_exact(&mut chunk).await?;
        line(&mut self.io).await?;
        if size == 0 {
            self.framing = Framing::Over;
            return Ok(None);
        }
        Ok(Some(chunk))
    }

    /// The whole body.
    pub(crate) async fn text(mut self) -> String {
        let all = async {
            let mut body = Vec::new();
            while let Some(piece) = self.piece().await.unwrap() {
                body.extend(piece);
            }
            body
        };
        String::from_utf8(watchdog("a body", all).await).unwrap()
    }

    pub(crate) async fn json(self) -> Value {
        let text = self.text().await;
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// The connection, with what of it has been read ahead: after a 101 it speaks something else.
    pub(crate) fn into_io(self) -> BufReader<TcpStream> {
        self.io
    }
}

async fn line(io: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut line = String::new();
    if io.read_line(&mut line).await? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line.trim_end().to_owned())
}
