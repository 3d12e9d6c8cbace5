//! Commands as JSON text.

use super::{Command, HistoryFrom, Publish, SubscribeTo};
use crate::json::Json;
use crate::limits::HISTORY_DEFAULT;
use crate::position::Seq;
use crate::protocol::Secret;
use crate::protocol::write::{Writer, to_text};

impl Command {
    /// The command as JSON text, tokens included; what has a default and bears it is left out.
    #[must_use]
    pub fn to_json(&self) -> String {
        to_text(|out| self.put_json(out))
    }

    /// Appends the command as JSON text.
    pub fn put_json(&self, out: &mut Vec<u8>) {
        let command = Writer::typed(out, self.type_name());
        match self {
            Self::Hello { token, client, .. } => {
                command.text("token", token.as_ref().map(Secret::expose)).token_if("client", client.as_ref())
            }
            Self::Auth { token, .. } => command.text("token", token.expose()),
            Self::Subscribe { channels, .. } => match channels.as_slice() {
                [only] => subscribe_to(command.token("channel", &only.name), only),
                several => command.list("channels", several, |one, out| {
                    subscribe_to(Writer::object(out).token("name", &one.name), one).end();
                }),
            },
            Self::Unsubscribe { channel, .. } => command.token("channel", channel),
            Self::Publish(publish) => publish.put(command),
            Self::History { channel, from, limit, .. } => {
                let command = command.token("channel", channel);
                let command = match from {
                    HistoryFrom::Newest => command,
                    HistoryFrom::Before(position) => command.token("before", position),
                    HistoryFrom::After(position) => command.token("after", position),
                };
                command.number("limit", (*limit != HISTORY_DEFAULT).then_some(*limit))
            }
            Self::Presence { channel, data, .. } => {
                command.token("channel", channel).raw("data", data.as_ref().map(Json::as_str))
            }
            Self::Call { method, data, .. } => {
                command.text("method", &**method).raw("data", data.as_ref().map(Json::as_str))
            }
            Self::Ping { .. } | Self::Pong { .. } => command,
        }
        .reference(self.reference())
        .end();
    }
}

fn subscribe_to<'a>(object: Writer<'a>, one: &SubscribeTo) -> Writer<'a> {
    object.token_if("from", one.start).raw("presence", one.presence.as_ref().map(Json::as_str))
}

impl Publish {
    fn put<'a>(&self, command: Writer<'a>) -> Writer<'a> {
        let command = command.token("channel", &self.channel);
        let command = match &self.payload {
            Some(payload) => command.payload(payload),
            None => command,
        };
        command
            .text("event", self.event.as_deref())
            .text("id", self.id.as_deref())
            .text("key", self.key.as_deref())
            .flag("deleted", self.payload.is_none().then_some(true))
            .seconds("ttl", self.ttl)
            .number("if", self.condition.map(Seq::get))
    }
}
