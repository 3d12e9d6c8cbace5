//! What a script is called with.

use redis::Cmd;
use tricast_core::access::Scope;
use tricast_core::channel::{ChannelName, Kind, Retention, Topic};
use tricast_core::limits::{DEDUP_MS, MAX_SEQ};
use tricast_core::log::{self, Limit};
use tricast_core::message::{Draft, Message, stored};
use tricast_core::position::{Epoch, Position, Seq};

use crate::random;
use crate::script::Script;

/// Milliseconds that an epoch lives after its channel was last asked for; its messages may keep it longer.
const IDLE_MS: u64 = 24 * HOUR_MS;

/// How much longer the keys live, so that not each access has to prolong them.
const MARGIN_MS: u64 = 2 * HOUR_MS;

const HOUR_MS: u64 = 60 * 60 * 1_000;

/// Messages of one page, whatever is asked for: a script holds up everybody else.
const PAGE_MESSAGES: usize = 100_000;

/// The key names of a stream, after the channel.
const STREAM_KEYS: &[&str] = &["meta", "log"];

/// The key names of a state, after the channel.
const STATE_KEYS: &[&str] = &["meta", "keys", "seqs", "tomb", "exp", "hold"];

/// How a server stands to what it has: what every call tells the script.
#[derive(Debug, Clone)]
pub(crate) struct Life {
    /// Which life of which server this is.
    pub(crate) server: String,
    /// What is acknowledged now is on disk.
    pub(crate) durable: bool,
    pub(crate) keeps: Keeps,
    /// What the server must still be, where another may have taken its place.
    pub(crate) replid: Option<String>,
}

/// Which epochs of an earlier life go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keeps {
    /// None: something acknowledged may be missing.
    Nothing,
    /// Those that were on disk.
    Durable,
    /// All, because whoever set Tricast up said so.
    Always,
}

/// Where the keys of channels are, and what they are called.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    prefix: String,
}

/// One call of a script.
pub(crate) struct Request {
    pub(crate) script: Script,
    pub(crate) channel: ChannelName,
    keys: Vec<String>,
    arguments: Arguments,
}

/// Byte strings behind each other.
#[derive(Default)]
struct Arguments {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Arguments {
    fn add(&mut self, argument: impl AsRef<[u8]>) {
        self.bytes.extend_from_slice(argument.as_ref());
        self.ends.push(self.bytes.len());
    }

    fn number(&mut self, number: u64) {
        // Lua's numbers are exact up to there.
        self.add(number.min(MAX_SEQ).to_string());
    }

    fn optional(&mut self, number: Option<u64>) {
        match number {
            Some(number) => self.number(number),
            None => self.add(""),
        }
    }
}

impl Names {
    pub(crate) fn new(prefix: String) -> Self {
        Self { prefix }
    }

    /// The channel of Redis on which the news of ours are told.
    pub(crate) fn feed(&self, channel: &ChannelName) -> String {
        format!("{}:{{{channel}}}", self.prefix)
    }

    /// The channel whose news are told there.
    pub(crate) fn channel(&self, feed: &str) -> Option<ChannelName> {
        feed.strip_prefix(&self.prefix)?.strip_prefix(":{")?.strip_suffix('}')?.parse().ok()
    }

    /// The key that says that a replica was there once.
    pub(crate) fn replicated(&self) -> String {
        format!("{}:replicated", self.prefix)
    }

    fn key(&self, channel: &ChannelName, name: &str) -> String {
        format!("{}:{{{channel}}}:{name}", self.prefix)
    }

    /// A call of a script whose own arguments are still to come.
    fn request(&self, script: Script, topic: &Topic) -> Request {
        let (kind, Retention { keep, keep_bytes, ttl_ms }) = (topic.rule.kind(), topic.rule.retention());
        let names = if kind == Kind::State { STATE_KEYS } else { STREAM_KEYS };
        let mut arguments = Arguments::default();
        arguments.add(random::epoch().as_str());
        let (stem, cost) = deletion(kind);
        arguments.add(stem);
        arguments.number(cost);
        arguments.add(self.feed(&topic.name));
        arguments.add(kind.as_str());
        arguments.number(keep);
        arguments.number(keep_bytes);
        arguments.number(ttl_ms);
        match (kind, ttl_ms) {
            (Kind::Stream, u64::MAX) => arguments.add("-1"),
            (Kind::Stream, ttl_ms) => arguments.number(ttl_ms.max(IDLE_MS).saturating_add(MARGIN_MS)),
            // Each key has its own time.
            (Kind::State, _) => arguments.number(IDLE_MS + MARGIN_MS),
        }
        let keys = names.iter().map(|name| self.key(&topic.name, name)).collect();
        Request { script, channel: topic.name.clone(), keys, arguments }
    }

    pub(crate) fn head(&self, topic: &Topic) -> Request {
        self.request(Script::Head, topic)
    }

    pub(crate) fn renew(&self, topic: &Topic, epoch: Epoch) -> Request {
        let mut request = self.request(Script::Renew, topic);
        request.arguments.add(epoch.as_str());
        request
    }

    pub(crate) fn find(&self, topic: &Topic, publisher: &Scope, id: &str) -> Request {
        let mut request = self.request(Script::Find, topic);
        request.keys.push(self.id_key(&topic.name, publisher, id));
        request
    }

    pub(crate) fn read(&self, topic: &Topic, after: Position, limit: Limit) -> Request {
        let mut request = self.request(Script::Read, topic);
        let arguments = &mut request.arguments;
        arguments.add(after.epoch.as_str());
        arguments.number(after.seq.get());
        arguments.optional(after.base.map(Seq::get));
        add_limit(arguments, limit);
        request
    }

    pub(crate) fn read_back(&self, topic: &Topic, before: Option<Seq>, limit: Limit) -> Request {
        let mut request = self.request(Script::ReadBack, topic);
        request.arguments.optional(before.map(Seq::get));
        add_limit(&mut request.arguments, limit);
        request
    }

    pub(crate) fn append(&self, topic: &Topic, mut draft: Draft, publisher: &Scope) -> Request {
        let mut request = self.request(Script::Append, topic);
        let kind = topic.rule.kind();
        let rule_ttl = Some(topic.rule.retention().ttl_ms).filter(|ttl| kind == Kind::State && *ttl != u64::MAX);
        draft.ttl_ms = draft.ttl_ms.filter(|_| kind == Kind::State);
        let tag = random::tag();
        let bytes = stored::encode(&draft, tag, rule_ttl);
        // What leaves after the end of numbers never leaves.
        let ttl = draft.ttl_ms.or(rule_ttl).filter(|ttl| draft.payload.is_some() && *ttl < MAX_SEQ / 2);
        if let Some(id) = &draft.id {
            request.keys.push(self.id_key(&topic.name, publisher, id));
        }
        let (condition, hold, has_id) = (draft.condition, draft.hold.clone(), draft.id.is_some());
        let message = message(draft, tag);
        let arguments = &mut request.arguments;
        arguments.add(bytes);
        arguments.number(message.size() as u64);
        arguments.number(log::cost(kind, &message));
        arguments.add(if has_id { "1" } else { "0" });
        arguments.number(DEDUP_MS);
        arguments.add(message.key.as_deref().unwrap_or_default());
        arguments.add(if message.payload.is_none() { "1" } else { "0" });
        arguments.optional(condition.map(Seq::get));
        arguments.optional(ttl);
        arguments.add(hold.as_ref().map_or("", |hold| &hold.holder));
        arguments.add(hold.and_then(|hold| hold.shows).map_or_else(String::new, |shows| shows.to_string()));
        request
    }

    fn id_key(&self, channel: &ChannelName, publisher: &Scope, id: &str) -> String {
        // Both may have colons: the length says where one ends.
        let publisher = publisher.as_str();
        format!("{}:{{{channel}}}:id:{}:{publisher}:{id}", self.prefix, publisher.len())
    }
}

impl Request {
    /// The command that calls the script with this digest on a server in this life.
    pub(crate) fn command(&self, digest: &str, life: &Life) -> Cmd {
        let mut command = Cmd::with_capacity(16 + self.arguments.ends.len(), 512 + self.arguments.bytes.len());
        command.arg("EVALSHA").arg(digest).arg(self.keys.len()).arg(&self.keys);
        command.arg(&life.server).arg(if life.durable { "1" } else { "0" });
        command.arg(match life.keeps {
            Keeps::Nothing => "",
            Keeps::Durable => "durable",
            Keeps::Always => "always",
        });
        command.arg(life.replid.as_deref().unwrap_or_default());
        let mut start = 0;
        for end in &self.arguments.ends {
            command.arg(&self.arguments.bytes[start..*end]);
            start = *end;
        }
        command
    }
}

fn add_limit(arguments: &mut Arguments, limit: Limit) {
    arguments.number(limit.messages.clamp(1, PAGE_MESSAGES) as u64);
    arguments.number(limit.bytes as u64);
}

/// What a message costs before it has a number and a time.
fn message(draft: Draft, tag: u32) -> Message {
    let Draft { payload, event, id, key, user, .. } = draft;
    Message { payload, event, id, key, user, ..Message::deletion(Seq::ZERO, 0, tag) }
}

/// The deletion of a key whose time is over, as it is stored, up to the key's length; and what it costs without the key.
fn deletion(kind: Kind) -> (Vec<u8>, u64) {
    let tag = random::tag();
    let draft = Draft::delete("");
    let mut stem = stored::encode(&draft, tag, None);
    stem.truncate(stem.len() - size_of::<u16>());
    (stem, log::cost(kind, &message(draft, tag)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_leaves_by_itself_does_so_by_a_deletion_like_any_other() {
        let (mut bytes, cost) = deletion(Kind::State);
        bytes.extend([0, 3]);
        bytes.extend(b"key");
        let stored = stored::decode(&bytes, Seq::ZERO, 7).unwrap();
        let tag = stored.tag;
        assert_eq!(stored, Message { key: Some("key".into()), ..Message::deletion(Seq::ZERO, 7, tag) });
        assert_eq!(cost + 3, log::cost(Kind::State, &stored));
    }

    #[test]
    fn all_keys_of_a_channel_are_in_its_slot() {
        let names = Names::new("tc".to_owned());
        let channel: ChannelName = "chat:1".parse().unwrap();
        assert_eq!(names.key(&channel, "meta"), "tc:{chat:1}:meta");
        assert_eq!(names.feed(&channel), "tc:{chat:1}");
        assert_eq!(names.channel("tc:{chat:1}"), Some(channel.clone()));
        let scope = tricast_core::access::Identity::Server.scope();
        assert_eq!(names.id_key(&channel, &scope, "a}{b"), "tc:{chat:1}:id:6:server:a}{b");
    }
}
