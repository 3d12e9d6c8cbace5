//! The subscribe query, as each transport carries it.

use serde_json::{Value, json};

use super::Transport;
use super::http::Request;

/// What a reader asks for. One value serves every transport.
#[derive(Debug, Clone, Default)]
pub(crate) struct Query {
    pub(crate) channels: Vec<String>,
    pub(crate) cursor: Option<String>,
    pub(crate) from: Option<String>,
    pub(crate) client: Option<String>,
    pub(crate) wait: Option<f64>,
    /// Who asks: the token of `Authorization`.
    pub(crate) token: Option<String>,
}

impl Query {
    pub(crate) fn of(channel: &str) -> Self {
        Self { channels: vec![channel.to_owned()], ..Self::default() }
    }

    pub(crate) fn of_all(channels: &[&str]) -> Self {
        Self { channels: channels.iter().map(|&channel| channel.to_owned()).collect(), ..Self::default() }
    }

    pub(crate) fn from(mut self, from: &str) -> Self {
        self.from = Some(from.to_owned());
        self
    }

    pub(crate) fn cursor(mut self, cursor: impl Into<String>) -> Self {
        self.cursor = Some(cursor.into());
        self
    }

    pub(crate) fn client(mut self, client: &str) -> Self {
        self.client = Some(client.to_owned());
        self
    }

    pub(crate) fn wait(mut self, seconds: f64) -> Self {
        self.wait = Some(seconds);
        self
    }

    /// The request by which a transport asks this.
    pub(crate) fn request(&self, transport: Transport) -> Request {
        let request = self.request_of_nobody(transport);
        match &self.token {
            Some(token) => request.bearer(token),
            None => request,
        }
    }

    fn request_of_nobody(&self, transport: Transport) -> Request {
        match transport {
            Transport::Ws => Request::get(self.target("/rt/ws")),
            Transport::RawSse => Request::get(self.target("/rt/sse")),
            Transport::SseGet => Request::get(self.target("/rt/sse") + "&envelope=1"),
            Transport::PollGet => Request::get(self.target("/rt/poll")),
            Transport::SsePost => Request::post("/rt/sse", self.body()),
            Transport::PollPost => Request::post("/rt/poll", self.body()),
        }
    }

    /// The query as an URL's.
    pub(crate) fn target(&self, path: &str) -> String {
        // Canonical order; no value that the tests use needs escaping.
        let channels = self.channels.iter().map(|channel| format!("channel={channel}"));
        let cursor = self.cursor.iter().map(|cursor| format!("cursor={cursor}"));
        let from = self.from.iter().map(|from| format!("from={from}"));
        let client = self.client.iter().map(|client| format!("client={client}"));
        let wait = self.wait.iter().map(|wait| format!("wait={wait}"));
        let parameters: Vec<String> = channels.chain(cursor).chain(from).chain(client).chain(wait).collect();
        format!("{path}?{}", parameters.join("&"))
    }

    fn body(&self) -> String {
        let channel = |name: &String| match &self.from {
            Some(from) => json!({"name": name, "from": from}),
            None => json!({"name": name}),
        };
        let mut body = json!({"channels": self.channels.iter().map(channel).collect::<Vec<_>>()});
        for (name, value) in [("cursor", &self.cursor), ("client", &self.client)] {
            if let Some(value) = value {
                body[name] = Value::from(value.as_str());
            }
        }
        if let Some(wait) = self.wait {
            body["wait"] = Value::from(wait);
        }
        body.to_string()
    }
}
