//! Events out of JSON text.

use std::time::Duration;

use super::{
    Bye, ErrorEvent, Event, Gap, History, Limits, Member, MessageEvent, Presence, Published, Subscribed, Unsubscribed,
    Welcome,
};
use crate::channel::Kind;
use crate::position::Seq;
use crate::protocol::read::{Fault, Object, elements, required};

impl Event {
    /// Reads one event; `None` if its type is not of this version, and a client ignores it.
    ///
    /// # Errors
    /// The text is not a JSON object, or lacks a field, or has one of a wrong type.
    pub fn parse(text: &str) -> Result<Option<Self>, EventError> {
        parse(text).map_err(|fault| EventError { message: fault.0 })
    }
}

impl Member {
    /// Reads a member from the data of its entry in the presence channel.
    ///
    /// # Errors
    /// The text is not a JSON object, or lacks a field, or has one of a wrong type.
    pub fn parse(text: &str) -> Result<Self, EventError> {
        let read = Object::parse(text, "the member", MEMBER).and_then(|object| member(&object));
        read.map_err(|fault| EventError { message: fault.0 })
    }
}

/// A text that is no event: what a client reports and otherwise ignores.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct EventError {
    /// What is wrong, naming the field.
    pub message: String,
}

const WHAT: &str = "an event";

/// The fields of all events.
const FIELDS: &[&str] = &[
    "type",
    "ref",
    "version",
    "client",
    "user",
    "heartbeat",
    "expires_in",
    "time",
    "limits",
    "channel",
    "kind",
    "position",
    "head",
    "recovered",
    "epoch",
    "seq",
    "data",
    "data64",
    "deleted",
    "at",
    "event",
    "id",
    "key",
    "reason",
    "code",
    "duplicate",
    "messages",
    "more",
    "gap",
    "members",
    "message",
    "retry_after",
    "reconnect",
    "after",
];

fn parse(text: &str) -> Result<Option<Event>, Fault> {
    // No bound on the depth of the whole: a payload that a log took stands a few levels deeper in its event, and each
    // value that is kept has its own bound.
    let object = Object::parse(text, WHAT, FIELDS)?;
    let event = match &*required("type", object.text("type")?)? {
        "welcome" => Event::Welcome(welcome(&object)?),
        "subscribed" => Event::Subscribed(subscribed(&object)?),
        "message" => Event::Message(message(&object)?),
        "gap" => Event::Gap(gap(&object)?),
        "live" => Event::Live {
            channel: required("channel", object.channel("channel")?)?,
            position: required("position", object.position("position")?)?,
        },
        "unsubscribed" => Event::Unsubscribed(Unsubscribed {
            channel: required("channel", object.channel("channel")?)?,
            code: object.parsed("code")?,
            reference: object.reference()?,
        }),
        "published" => Event::Published(published(&object)?),
        "history" => Event::History(history(&object)?),
        "presence" => Event::Presence(presence(&object)?),
        "result" => Event::Result { reference: object.reference()?, data: required("data", object.json("data")?)? },
        "error" => Event::Error(error(&object)?),
        "ping" => Event::Ping { reference: object.reference()? },
        "pong" => Event::Pong { reference: object.reference()? },
        "bye" => Event::Bye(bye(&object)?),
        _ => return Ok(None),
    };
    Ok(Some(event))
}

fn welcome(object: &Object<'_>) -> Result<Welcome, Fault> {
    const LIMITS: &[&str] = &["message", "channels", "batch"];
    let limits = Object::parse(required("limits", object.get("limits"))?, "limits", LIMITS)?;
    let limit = |name| limits.number(name).and_then(|value| required(name, value)).map_err(|it| it.within("limits"));
    Ok(Welcome {
        version: required("version", object.number("version")?)?,
        client: required("client", object.parsed("client")?)?,
        user: object.boxed("user")?,
        heartbeat: required("heartbeat", object.seconds("heartbeat")?)?,
        expires_in: object.seconds("expires_in")?,
        time: required("time", object.number("time")?)?,
        limits: Limits { message: limit("message")?, channels: limit("channels")?, batch: limit("batch")? },
        reference: object.reference()?,
    })
}

fn subscribed(object: &Object<'_>) -> Result<Subscribed, Fault> {
    Ok(Subscribed {
        channel: required("channel", object.channel("channel")?)?,
        kind: match &*required("kind", object.text("kind")?)? {
            "stream" => Kind::Stream,
            "state" => Kind::State,
            _ => return Err(Fault::new("kind must be stream or state")),
        },
        position: required("position", object.position("position")?)?,
        head: required("head", object.position("head")?)?,
        recovered: object.choice("recovered")?,
        reference: object.reference()?,
    })
}

fn message(object: &Object<'_>) -> Result<MessageEvent, Fault> {
    Ok(MessageEvent {
        channel: required("channel", object.channel("channel")?)?,
        epoch: required("epoch", object.parsed("epoch")?)?,
        seq: required("seq", object.number("seq")?.and_then(Seq::new))?,
        payload: object.payload()?,
        at: required("at", object.number("at")?)?,
        event: object.boxed("event")?,
        id: object.boxed("id")?,
        key: object.boxed("key")?,
        user: object.boxed("user")?,
    })
}

fn gap(object: &Object<'_>) -> Result<Gap, Fault> {
    Ok(Gap {
        channel: required("channel", object.channel("channel")?)?,
        position: required("position", object.position("position")?)?,
        head: required("head", object.position("head")?)?,
        reason: required("reason", object.parsed("reason")?)?,
    })
}

fn published(object: &Object<'_>) -> Result<Published, Fault> {
    Ok(Published {
        reference: object.reference()?,
        channel: required("channel", object.channel("channel")?)?,
        position: required("position", object.position("position")?)?,
        duplicate: object.flag("duplicate")?,
    })
}

fn history(object: &Object<'_>) -> Result<History, Fault> {
    let mut messages = Vec::new();
    elements(required("messages", object.get("messages"))?, "messages", |text| {
        let at = format!("messages[{}]", messages.len());
        let object = Object::parse(text, &at, FIELDS)?;
        messages.push(message(&object).map_err(|fault| fault.within(at))?);
        Ok(())
    })?;
    Ok(History {
        reference: object.reference()?,
        channel: required("channel", object.channel("channel")?)?,
        messages,
        position: required("position", object.position("position")?)?,
        more: required("more", object.choice("more")?)?,
        gap: object.flag("gap")?,
    })
}

fn presence(object: &Object<'_>) -> Result<Presence, Fault> {
    let mut members = Vec::new();
    elements(required("members", object.get("members"))?, "members", |text| {
        let at = format!("members[{}]", members.len());
        members.push(member(&Object::parse(text, &at, MEMBER)?).map_err(|fault| fault.within(at))?);
        Ok(())
    })?;
    let channel = required("channel", object.channel("channel")?)?;
    Ok(Presence { reference: object.reference()?, channel, members })
}

const MEMBER: &[&str] = &["client", "user", "data", "since"];

fn member(object: &Object<'_>) -> Result<Member, Fault> {
    Ok(Member {
        client: required("client", object.parsed("client")?)?,
        user: object.boxed("user")?,
        data: object.json("data")?,
        since: required("since", object.number("since")?)?,
    })
}

fn error(object: &Object<'_>) -> Result<ErrorEvent, Fault> {
    Ok(ErrorEvent {
        reference: object.reference()?,
        channel: object.channel("channel")?,
        code: required("code", object.parsed("code")?)?,
        message: required("message", object.boxed("message")?)?,
        retry_after: object.seconds("retry_after")?,
    })
}

fn bye(object: &Object<'_>) -> Result<Bye, Fault> {
    Ok(Bye {
        code: required("code", object.parsed("code")?)?,
        reason: required("reason", object.boxed("reason")?)?,
        reconnect: required("reconnect", object.choice("reconnect")?)?,
        after: object.number("after")?.map(Duration::from_millis),
    })
}
