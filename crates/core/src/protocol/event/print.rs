//! Events as JSON text.

use super::{Bye, ErrorEvent, Event, Gap, History, Member, Presence, Published, Subscribed, Unsubscribed, Welcome};
use crate::json::Json;
use crate::protocol::write::{Writer, to_text};

impl Event {
    /// The event as JSON text.
    #[must_use]
    pub fn to_json(&self) -> String {
        to_text(|out| self.put_json(out))
    }

    /// Appends the event as JSON text, without line breaks.
    pub fn put_json(&self, out: &mut Vec<u8>) {
        if let Self::Message(message) = self {
            return message.fields().put_json(out);
        }
        let event = Writer::typed(out, self.type_name());
        match self {
            Self::Welcome(welcome) => welcome.put(event),
            Self::Subscribed(subscribed) => subscribed.put(event),
            Self::Message(_) => event,
            Self::Gap(gap) => gap.put(event),
            Self::Live { channel, position } => event.token("channel", channel).token("position", position),
            Self::Unsubscribed(unsubscribed) => unsubscribed.put(event),
            Self::Published(published) => published.put(event),
            Self::History(history) => history.put(event),
            Self::Presence(presence) => presence.put(event),
            Self::Result { reference, data } => event.reference(reference.as_ref()).raw("data", data.as_str()),
            Self::Error(error) => error.put(event),
            Self::Ping { reference } | Self::Pong { reference } => event.reference(reference.as_ref()),
            Self::Bye(bye) => bye.put(event),
        }
        .end();
    }
}

impl Welcome {
    fn put<'a>(&self, event: Writer<'a>) -> Writer<'a> {
        let mut event = event
            .number("version", self.version)
            .token("client", &self.client)
            .text("user", self.user.as_deref())
            .seconds("heartbeat", self.heartbeat)
            .seconds("expires_in", self.expires_in)
            .number("time", self.time);
        Writer::object(event.name("limits"))
            .number("message", self.limits.message)
            .number("channels", self.limits.channels)
            .number("batch", self.limits.batch)
            .end();
        event.reference(self.reference.as_ref())
    }
}

impl Subscribed {
    fn put<'a>(&self, event: Writer<'a>) -> Writer<'a> {
        event
            .token("channel", &self.channel)
            .token("kind", self.kind.as_str())
            .token("position", self.position)
            .token("head", self.head)
            .flag("recovered", self.recovered)
            .reference(self.reference.as_ref())
    }
}

impl Gap {
    fn put<'a>(&self, event: Writer<'a>) -> Writer<'a> {
        event
            .token("channel", &self.channel)
            .token("position", self.position)
            .token("head", self.head)
            .token("reason", self.reason)
    }
}

impl Unsubscribed {
    fn put<'a>(&self, event: Writer<'a>) -> Writer<'a> {
        event.token("channel", &self.channel).token_if("code", self.code).reference(self.reference.as_ref())
    }
}

impl Published {
    fn put<'a>(&self, event: Writer<'a>) -> Writer<'a> {
        event
            .reference(self.reference.as_ref())
            .token("channel", &self.channel)
            .token("position", self.position)
            .flag("duplicate", self.duplicate)
    }
}

impl History {
    fn put<'a>(&self, event: Writer<'a>) -> Writer<'a> {
        event
            .reference(self.reference.as_ref())
            .token("channel", &self.channel)
            .list("messages", &self.messages, |message, out| message.fields().put_json(out))
            .token("position", self.position)
            .flag("more", self.more)
            .flag("gap", self.gap.then_some(true))
    }
}

impl Presence {
    fn put<'a>(&self, event: Writer<'a>) -> Writer<'a> {
        event.reference(self.reference.as_ref()).token("channel", &self.channel).list(
            "members",
            &self.members,
            Member::put_json,
        )
    }
}

impl Member {
    /// The member as the data of its entry in the presence channel shows it.
    #[must_use]
    pub fn to_json(&self) -> String {
        to_text(|out| self.put_json(out))
    }

    fn put_json(&self, out: &mut Vec<u8>) {
        Writer::object(out)
            .token("client", &self.client)
            .text("user", self.user.as_deref())
            .raw("data", self.data.as_ref().map(Json::as_str))
            .number("since", self.since)
            .end();
    }
}

impl ErrorEvent {
    fn put<'a>(&self, event: Writer<'a>) -> Writer<'a> {
        event
            .reference(self.reference.as_ref())
            .token_if("channel", self.channel.as_ref())
            .token("code", self.code)
            .text("message", &*self.message)
            .seconds("retry_after", self.retry_after)
    }
}

impl Bye {
    fn put<'a>(&self, event: Writer<'a>) -> Writer<'a> {
        event
            .token("code", self.code)
            .text("reason", &*self.reason)
            .flag("reconnect", self.reconnect)
            .millis("after", self.after)
    }
}
