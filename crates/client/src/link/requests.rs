//! What SSE and long-polling share: a request asks for a whole channel set, so another set is another request, which goes
//! on where this one stopped.

use std::time::Duration;

use serde::Serialize;
use serde_json::value::RawValue;
use tricast_core::channel::ChannelName;
use tricast_core::protocol::event::Welcome;
use tricast_core::protocol::{Code, Event, Secret, SubscribeTo};

use super::{Context, Effect, silent};
use crate::error::Failure;
use crate::limits::{POLL_PACE, POLL_WAIT};
use crate::output::{Answer, Endpoint, Io, Output, Report};

/// A series of requests, of which one counts at a time.
#[derive(Debug)]
pub(crate) struct RequestLink {
    endpoint: Endpoint,
    /// How long an answer may take beyond what the server is asked to wait.
    patience: Duration,
    request: Option<Request>,
    /// A poll has been answered: further ones may be held.
    proven: bool,
    /// Something answers polls without holding them: the next one waits until then.
    paced_until: Option<Duration>,
    /// What was asked for is to be asked for anew.
    is_stale: bool,
}

#[derive(Debug)]
struct Request {
    io: Io,
    asked: Vec<ChannelName>,
    asked_at: Duration,
    token: Option<Secret>,
    /// Of an event stream that has welcomed us.
    heartbeat: Option<Duration>,
    /// How long the server may hold it.
    wait: Duration,
    /// The next sign of life is due by then.
    dead_at: Duration,
    /// It is answered, and the next one follows.
    is_over: bool,
}

impl RequestLink {
    /// A link whose first `update` asks; it has `patience` to prove that it delivers.
    pub(crate) fn new(endpoint: Endpoint, patience: Duration) -> Self {
        Self { endpoint, patience, request: None, proven: false, paced_until: None, is_stale: false }
    }

    pub(super) fn io(&self) -> Option<Io> {
        self.request.as_ref().map(|request| request.io)
    }

    pub(super) fn token(&self) -> Option<&Secret> {
        self.request.as_ref()?.token.as_ref()
    }

    pub(super) fn asked(&self) -> &[ChannelName] {
        self.request.as_ref().map_or(&[], |request| &request.asked)
    }

    pub(super) fn update(&mut self, wants: &[SubscribeTo], context: &mut Context<'_>) {
        if self.paced_until.is_some_and(|until| until > context.now) {
            return;
        }
        if let Some(request) = &self.request {
            let same = request.asked.iter().eq(wants.iter().map(|want| &want.name));
            if same && !self.is_stale && !request.is_over && !wants.is_empty() {
                return;
            }
            if !request.is_over {
                context.put(Output::Cancel { io: request.io });
            }
            self.request = None;
        }
        self.is_stale = false;
        self.paced_until = None;
        // Where all channels have left or rest there is nothing to ask for: a later update asks.
        if !wants.is_empty() {
            self.ask(wants, context);
        }
    }

    pub(super) fn forget(&mut self, channel: &ChannelName) {
        self.is_stale |= self.request.as_ref().is_some_and(|request| request.asked.contains(channel));
    }

    /// A request that bears the new token takes the place of the one that bears the old.
    pub(super) fn renew(&mut self) {
        self.is_stale |= self.request.is_some();
    }

    pub(super) fn report(&mut self, report: Report, now: Duration) -> Vec<Effect> {
        let Some(request) = &mut self.request else { return Vec::new() };
        if let Some(heartbeat) = request.heartbeat {
            request.dead_at = now + 2 * heartbeat;
        }
        match report {
            Report::Event(Event::Welcome(welcome)) => {
                let heartbeat = super::heartbeat(&welcome);
                request.heartbeat = Some(heartbeat);
                request.dead_at = now + 2 * heartbeat;
                welcomed(welcome)
            }
            Report::Event(Event::Subscribed(event)) => {
                vec![Effect::Accepted(vec![event.channel.clone()]), Effect::Event(Event::Subscribed(event))]
            }
            Report::Event(event) => vec![Effect::Event(event)],
            Report::Answer(answer) => self.answered(answer, now),
            Report::Ended(failure) => self.ended(failure),
            Report::Opened | Report::Heard => Vec::new(),
        }
    }

    pub(super) fn tick(&mut self, now: Duration) -> Option<Effect> {
        if self.paced_until.is_some_and(|until| until <= now) {
            self.paced_until = None;
            return Some(Effect::AskAgain);
        }
        let dead = self.request.as_ref().is_some_and(|request| !request.is_over && request.dead_at <= now);
        dead.then(silent)
    }

    pub(super) fn deadline(&self) -> Option<Duration> {
        let dead_at = self.request.as_ref().filter(|request| !request.is_over).map(|request| request.dead_at);
        [self.paced_until, dead_at].into_iter().flatten().min()
    }

    fn ask(&mut self, wants: &[SubscribeTo], context: &mut Context<'_>) {
        // The first poll is not held, for an answer is the proof that polling works.
        let wait = if self.endpoint == Endpoint::Poll && self.proven { POLL_WAIT } else { Duration::ZERO };
        let wait_asked = (self.endpoint == Endpoint::Poll).then_some(wait.as_secs());
        let body = body(context.client.as_str(), wants, wait_asked);
        let io = context.new_io();
        let token = context.token.cloned();
        context.put(Output::Post { io, endpoint: self.endpoint, body, token: token.clone() });
        let asked = wants.iter().map(|want| want.name.clone()).collect();
        let dead_at = context.now + wait + self.patience;
        self.request =
            Some(Request { io, asked, asked_at: context.now, token, heartbeat: None, wait, dead_at, is_over: false });
    }

    fn answered(&mut self, answer: Answer, now: Duration) -> Vec<Effect> {
        let Some(request) = &mut self.request else { return Vec::new() };
        request.is_over = true;
        let Answer { events, expires_in } = answer;
        let mut effects = Vec::with_capacity(events.len() + 4);
        // An answer that only says goodbye proves nothing.
        if !matches!(events.first(), Some(Event::Bye(_))) {
            self.proven = true;
            let accepted = request.asked.iter().filter(|name| !is_refused(name, &events)).cloned().collect();
            effects.extend([Effect::Proven, Effect::TokenTaken(expires_in), Effect::Accepted(accepted)]);
        }
        let is_held_by_nobody = events.is_empty() && !request.wait.is_zero() && now - request.asked_at < POLL_PACE;
        self.paced_until = is_held_by_nobody.then_some(now + POLL_PACE);
        effects.extend(events.into_iter().map(Effect::Event));
        effects.push(Effect::AskAgain);
        effects
    }

    /// Refused channels leave, and the set without them is asked for next; whatever else went wrong is the end.
    fn ended(&mut self, failure: Failure) -> Vec<Effect> {
        let Some(request) = &mut self.request else { return Vec::new() };
        let Failure::Refused(refusal) = failure else { return vec![Effect::Ended(failure)] };
        let culprit = refusal.channel.clone().filter(|channel| request.asked.contains(channel));
        if refusal.may_retry() || culprit.is_none() && refusal.code != Code::TooManyChannels {
            return vec![Effect::Ended(Failure::Refused(refusal))];
        }
        request.is_over = true;
        let refused = culprit.map_or_else(|| std::mem::take(&mut request.asked), |channel| vec![channel]);
        vec![Effect::Refused(refusal, refused), Effect::AskAgain]
    }
}

/// Whether the answer to a request with positions refuses a channel.
fn is_refused(name: &ChannelName, events: &[Event]) -> bool {
    events.iter().any(|event| matches!(event, Event::Unsubscribed(event) if event.channel == *name))
}

fn welcomed(welcome: Welcome) -> Vec<Effect> {
    let expires_in = welcome.expires_in;
    vec![Effect::Event(Event::Welcome(welcome)), Effect::Proven, Effect::TokenTaken(expires_in)]
}

#[derive(Serialize)]
struct Body<'a> {
    client: &'a str,
    channels: Vec<Want<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wait: Option<u64>,
}

#[derive(Serialize)]
struct Want<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    presence: Option<&'a RawValue>,
}

/// The body of `POST sse` and `POST poll`.
fn body(client: &str, wants: &[SubscribeTo], wait: Option<u64>) -> String {
    let channels = wants.iter().map(|want| Want {
        name: want.name.as_str(),
        from: want.start.map(|start| start.to_string()),
        // What was checked to be JSON reads as JSON.
        presence: want.presence.as_ref().and_then(|json| serde_json::from_str(json.as_str()).ok()),
    });
    let body = Body { client, channels: channels.collect(), wait };
    // Strings and numbers always have a JSON form.
    serde_json::to_string(&body).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use tricast_core::json::Json;
    use tricast_core::protocol::{Endpoint as Asked, Start, SubscribeQuery};

    use super::*;

    #[test]
    fn a_server_reads_what_was_asked_for() {
        let mut first = SubscribeTo::new("chat:1".parse().unwrap());
        first.start = Some(Start::Last(5));
        first.presence = Some(Json::parse(r#"{"name":"Ann \"A\""}"#).unwrap());
        let wants = [first, SubscribeTo::new("b".parse().unwrap())];
        let text = body("client-1", &wants, Some(25));
        let query = SubscribeQuery::parse_post(&text, Asked::Poll, 128).unwrap();
        assert_eq!(query.channels, wants);
        assert_eq!((query.client.unwrap().as_str(), query.wait.as_secs()), ("client-1", 25));
    }
}
