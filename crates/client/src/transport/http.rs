//! POST requests: commands and polls, whose answers come whole, and event streams.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::mpsc;
use tricast_core::protocol::{Event, Secret};

use super::sse::Parser;
use crate::connector::{Connector, Inner, causes};
use crate::error::{Failure, Refusal, TokenForm};
use crate::limits::{ANSWER_BYTES, ENVELOPE_BYTES, FOREIGN_WAIT, REFUSAL_BYTES};
use crate::output::{Answer, Endpoint, Io, Report};
use crate::url::Mount;

/// Makes requests, over connections that it keeps.
#[derive(Debug, Clone)]
pub(crate) struct Http {
    client: Client<Inner, Full<Bytes>>,
    mount: Mount,
}

/// One request to make.
#[derive(Debug)]
pub(crate) struct Post {
    pub(crate) io: Io,
    pub(crate) endpoint: Endpoint,
    pub(crate) body: String,
    pub(crate) token: Option<Secret>,
}

impl Http {
    pub(crate) fn new(connector: Connector, mount: Mount) -> Self {
        Self { client: Client::builder(TokioExecutor::new()).build(connector.into_inner()), mount }
    }

    /// Makes a request and reports what it brings, its end or its whole answer last.
    ///
    /// # Cancel safety
    /// Dropping it ends the request.
    pub(crate) async fn run(self, post: Post, reports: mpsc::Sender<(Io, Report)>) {
        let io = post.io;
        let last = match self.exchange(post, &reports).await {
            Ok(answer) => Report::Answer(answer),
            Err(failure) => Report::Ended(failure),
        };
        // Who reads no reports any more is not interested.
        drop(reports.send((io, last)).await);
    }

    async fn exchange(self, post: Post, reports: &mpsc::Sender<(Io, Report)>) -> Result<Answer, Failure> {
        let Post { io, endpoint, body, token } = post;
        let request = self.request(endpoint, body, token)?;
        let response = self.client.request(request).await.map_err(|error| Failure::unreachable(causes(&error)))?;
        if response.status() != StatusCode::OK {
            return Err(refusal(response).await);
        }
        match endpoint {
            Endpoint::Sse => Err(stream(response, io, reports).await),
            Endpoint::Poll => poll_answer(&whole(response).await?),
            Endpoint::Send => send_answer(&whole(response).await?),
        }
    }

    fn request(
        &self,
        endpoint: Endpoint,
        body: String,
        token: Option<Secret>,
    ) -> Result<Request<Full<Bytes>>, Failure> {
        let accept = if endpoint == Endpoint::Sse { EVENT_STREAM } else { JSON };
        let mut request = Request::new(Full::new(Bytes::from(body)));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.mount.endpoint(endpoint.as_str());
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
        headers.insert(ACCEPT, HeaderValue::from_static(accept));
        if let Some(token) = token {
            headers.insert(AUTHORIZATION, bearer(&token)?);
        }
        Ok(request)
    }
}

/// A token as a header, which no log shows.
fn bearer(token: &Secret) -> Result<HeaderValue, Failure> {
    let value = HeaderValue::try_from(format!("Bearer {}", token.expose()));
    let mut value = value.map_err(|_| Failure::Token(Arc::new(TokenForm)))?;
    value.set_sensitive(true);
    Ok(value)
}

async fn whole(response: Response<Incoming>) -> Result<String, Failure> {
    let body = Limited::new(response.into_body(), ANSWER_BYTES).collect().await;
    let body = body.map_err(|error| Failure::unreachable(format_args!("the answer broke off: {error}")))?;
    String::from_utf8(body.to_bytes().into()).map_err(|_| Failure::unreachable("the answer is not text"))
}

/// Reads an event stream until it ends, and tells why it did.
async fn stream(response: Response<Incoming>, io: Io, reports: &mpsc::Sender<(Io, Report)>) -> Failure {
    if !has_type(response.headers(), EVENT_STREAM) {
        return Failure::unreachable("not an event stream");
    }
    let mut body = response.into_body();
    let mut parser = Parser::new();
    loop {
        let frame = match body.frame().await {
            None => return Failure::unreachable("the stream ended"),
            Some(Err(error)) => return Failure::unreachable(format_args!("the stream broke off: {}", causes(&error))),
            Some(Ok(frame)) => frame,
        };
        let Ok(chunk) = frame.into_data() else { continue };
        let mut told = vec![Report::Heard];
        let end = read_chunk(&mut parser, &chunk, &mut told).err();
        for report in told {
            if reports.send((io, report)).await.is_err() {
                return Failure::unreachable("nobody listens");
            }
        }
        if let Some(failure) = end {
            return failure;
        }
    }
}

fn read_chunk(parser: &mut Parser, chunk: &[u8], told: &mut Vec<Report>) -> Result<(), Failure> {
    let too_long = |_| Failure::Unfit { what: "a block of the stream is too long".into() };
    for block in parser.push(chunk).map_err(too_long)? {
        let Some(event) = event_of(&block)? else { continue };
        if let Event::Welcome(welcome) = &event {
            // Bytes in base64 are a third longer.
            let bytes = welcome.limits.message.saturating_mul(2).saturating_add(ENVELOPE_BYTES);
            parser.allow(usize::try_from(bytes).unwrap_or(usize::MAX).min(ANSWER_BYTES));
        }
        told.push(Report::Event(event));
    }
    Ok(())
}

/// Reads one event; nothing where its type is of a later version.
pub(crate) fn event_of(bytes: &[u8]) -> Result<Option<Event>, Failure> {
    let text = std::str::from_utf8(bytes).map_err(|_| Failure::unreachable("an event is not text"))?;
    Event::parse(text).map_err(|error| Failure::unreachable(format_args!("not an event: {error}")))
}

#[derive(Deserialize)]
struct PollAnswer<'a> {
    #[serde(borrow)]
    events: Vec<&'a RawValue>,
    expires_in: Option<f64>,
}

fn poll_answer(text: &str) -> Result<Answer, Failure> {
    let PollAnswer { events, expires_in } = serde_json::from_str(text).map_err(not_an_answer)?;
    let expires_in = expires_in.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    Ok(Answer { events: events_of(&events)?, expires_in })
}

fn send_answer(text: &str) -> Result<Answer, Failure> {
    let events: Vec<&RawValue> = serde_json::from_str(text).map_err(not_an_answer)?;
    Ok(Answer { events: events_of(&events)?, expires_in: None })
}

fn events_of(values: &[&RawValue]) -> Result<Vec<Event>, Failure> {
    values.iter().filter_map(|value| event_of(value.get().as_bytes()).transpose()).collect()
}

fn not_an_answer(error: serde_json::Error) -> Failure {
    Failure::unreachable(format_args!("not an answer of a Tricast server: {error}"))
}

/// What an answer other than 200 says, by a Tricast server or by a stranger in its place.
async fn refusal(response: Response<Incoming>) -> Failure {
    let (head, body) = response.into_parts();
    let seconds = head.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    let asked = seconds.map(Duration::from_secs);
    let body = Limited::new(body, REFUSAL_BYTES).collect().await.ok();
    match body.and_then(|body| refusal_of(&body.to_bytes())) {
        Some(refusal) => Failure::Refused(Refusal { retry_after: refusal.retry_after.or(asked), ..refusal }),
        None => Failure::Unreachable {
            what: format!("HTTP {}", head.status).into(),
            retry_after: asked.map(|asked| asked.min(FOREIGN_WAIT)),
        },
    }
}

/// The `error` that a body says, alone or first in an array.
fn refusal_of(body: &[u8]) -> Option<Refusal> {
    let text = std::str::from_utf8(body).ok()?;
    let array: Result<Vec<&RawValue>, _> = serde_json::from_str(text);
    let first = array.ok().and_then(|values| values.first().map(|value| value.get()));
    match Event::parse(first.unwrap_or(text)) {
        Ok(Some(Event::Error(error))) => Some(error.into()),
        _ => None,
    }
}

fn has_type(headers: &HeaderMap, expected: &str) -> bool {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(expected)
}

const JSON: &str = "application/json";
const EVENT_STREAM: &str = "text/event-stream";
