//! An event stream, read block by block.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::http::{Request, Response};
use super::{Query, Transport, watchdog};

/// An open event stream.
#[derive(Debug)]
pub(crate) struct Sse {
    pub(crate) response: Response,
    transport: Transport,
    channel: String,
    text: String,
    /// How much of `text` has been taken.
    taken: usize,
    last_id: Option<String>,
}

/// What stands between two empty lines.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Block {
    /// As it was written, without the empty line.
    pub(crate) text: String,
    pub(crate) id: Option<String>,
    pub(crate) event: Option<String>,
    pub(crate) data: Option<String>,
    pub(crate) retry: Option<u64>,
}

impl Block {
    fn parse(text: &str) -> Self {
        let mut block = Self { text: text.to_owned(), ..Self::default() };
        for line in text.lines() {
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value).to_owned();
            match name {
                "id" => block.id = Some(value),
                "event" => block.event = Some(value),
                "data" => {
                    assert!(block.data.is_none(), "payloads have no line breaks: {text}");
                    block.data = Some(value);
                }
                "retry" => block.retry = Some(value.parse().unwrap()),
                // A comment.
                "" => {}
                other => panic!("a field {other:?} in {text}"),
            }
        }
        block
    }

    /// What an `EventSource` would parse out of `data`.
    pub(crate) fn json(&self) -> Value {
        let data = self.data.as_deref().unwrap_or_else(|| panic!("a block without data: {self:?}"));
        serde_json::from_str(data).unwrap_or_else(|error| panic!("{error}: {data}"))
    }

    /// A comment and nothing else: a heartbeat.
    pub(crate) fn is_comment(&self) -> bool {
        self.text.lines().all(|line| line.starts_with(':'))
    }
}

impl Sse {
    pub(crate) async fn open(transport: Transport, address: SocketAddr, query: &Query) -> Self {
        let mut sse = Self::of(query.request(transport), address).await;
        (sse.transport, sse.channel) = (transport, query.channels[0].clone());
        sse
    }

    /// Opens the stream that a request is answered with; raw, unless told otherwise.
    pub(crate) async fn of(request: Request, address: SocketAddr) -> Self {
        let response = request.send(address).await;
        if response.status != 200 {
            let status = response.status;
            panic!("{status}: {}", response.text().await);
        }
        Self::over(Transport::RawSse, response)
    }

    /// Reads the stream of an answer.
    pub(crate) fn over(transport: Transport, response: Response) -> Self {
        assert_eq!(response.header("content-type"), Some("text/event-stream"));
        let (channel, text) = (String::new(), String::new());
        Self { response, transport, channel, text, taken: 0, last_id: None }
    }

    /// Reads what follows as envelopes.
    pub(crate) fn expect_envelopes(&mut self) {
        self.transport = Transport::SseGet;
    }

    pub(crate) fn is_raw(&self) -> bool {
        self.transport == Transport::RawSse
    }

    pub(crate) fn has_ids(&self) -> bool {
        self.transport != Transport::SsePost
    }

    /// What an `EventSource` would bring as `Last-Event-ID`.
    pub(crate) fn last_id(&self) -> Option<&str> {
        self.last_id.as_deref()
    }

    /// The next block; `None` at the end of the stream.
    pub(crate) async fn try_block(&mut self) -> Option<Block> {
        loop {
            if let Some((block, _)) = self.text[self.taken..].split_once("\n\n") {
                self.taken += block.len() + 2;
                let block = Block::parse(block);
                if let Some(id) = &block.id {
                    self.last_id = Some(id.clone());
                }
                return Some(block);
            }
            self.text.drain(..std::mem::take(&mut self.taken));
            let piece = watchdog("a block of an event stream", self.response.piece()).await;
            match piece.unwrap_or_else(|error| panic!("the stream broke: {error}")) {
                // A piece of ours never ends in the middle of a character: events are written whole.
                Some(piece) => self.text.push_str(std::str::from_utf8(&piece).unwrap()),
                None => {
                    assert_eq!(self.text, "", "the stream ended within a block");
                    return None;
                }
            }
        }
    }

    pub(crate) async fn block(&mut self) -> Block {
        self.try_block().await.expect("the stream goes on")
    }

    /// Waits for the reader's place on a raw stream: an id-only block, or the gap that stands in for it.
    pub(super) async fn starting_event(&mut self) -> Option<Value> {
        loop {
            let block = self.block().await;
            match block {
                Block { data: Some(_), .. } => return Some(self.event(&block)),
                Block { id: Some(_), .. } => return None,
                _ => {}
            }
        }
    }

    /// The next block that is an event, as an event of section 3.
    pub(crate) async fn next_event(&mut self) -> Value {
        loop {
            let block = self.block().await;
            if block.data.is_some() {
                return self.event(&block);
            }
        }
    }

    fn event(&self, block: &Block) -> Value {
        let is_system = block.event.as_deref().is_some_and(|event| event.starts_with("tricast:"));
        if !self.is_raw() || is_system {
            return block.json();
        }
        // A raw stream says no more than this of a message; the rest is what its reader asked for.
        let position = block.id.as_deref().expect("a raw message has an id");
        let (epoch, seq) = position.split_once('-').expect("an id is a position");
        let mut message =
            json!({"type": "message", "channel": self.channel, "epoch": epoch, "seq": seq.parse::<u64>().unwrap()});
        match block.json() {
            Value::Object(object) if object.len() == 1 && object.contains_key("data64") => {
                message["data64"] = object["data64"].clone();
            }
            data => message["data"] = data,
        }
        if let Some(event) = &block.event {
            message["event"] = Value::from(event.as_str());
        }
        message
    }
}
