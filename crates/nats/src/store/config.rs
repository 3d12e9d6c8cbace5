//! The JetStream streams that logs are kept in, and their subjects.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use tricast_core::channel::{ChannelName, Kind};

use super::{Store, StoreError, StreamInfo, api};

/// What all streams and subjects are called.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    prefix: String,
}

impl Names {
    /// `None` where the prefix is not 1 to 32 of `[A-Za-z0-9_-]`.
    pub(crate) fn new(prefix: &str) -> Option<Self> {
        let well_formed = (1..=32).contains(&prefix.len())
            && prefix.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
        well_formed.then(|| Self { prefix: prefix.to_owned() })
    }

    /// The JetStream stream of the channels of a kind.
    pub(crate) fn stream(&self, kind: Kind) -> String {
        match kind {
            Kind::Stream => format!("{}-logs", self.prefix),
            Kind::State => format!("{}-states", self.prefix),
        }
    }

    /// The JetStream stream in which is said which lives the others have had.
    pub(crate) fn lives(&self) -> String {
        format!("{}-lives", self.prefix)
    }

    /// The subject of a channel's entries.
    pub(crate) fn entries(&self, kind: Kind, channel: &ChannelName) -> String {
        format!("{}.{}.{}", self.prefix, word(kind), BASE64URL.encode(channel.as_str()))
    }

    /// The subjects of all entries of a kind.
    pub(crate) fn all_entries(&self, kind: Kind) -> String {
        format!("{}.{}.*", self.prefix, word(kind))
    }

    /// The channel whose entries have this subject.
    pub(crate) fn channel(&self, subject: &str) -> Option<ChannelName> {
        let name = BASE64URL.decode(subject.rsplit('.').next()?).ok()?;
        String::from_utf8(name).ok()?.parse().ok()
    }

    /// The subject on which entries are told when they are stored.
    pub(crate) fn news(&self, kind: Kind, channel: &ChannelName) -> String {
        format!("{}.news.{}.{}", self.prefix, word(kind), BASE64URL.encode(channel.as_str()))
    }

    /// The subject of a part of a checkpoint of a state.
    pub(crate) fn part(&self, channel: &ChannelName, checkpoint: u64, part: usize) -> String {
        format!("{}.{part}", self.parts_below(channel, &format!("{checkpoint:016x}")))
    }

    /// The subjects of all parts of a checkpoint.
    pub(crate) fn parts(&self, channel: &ChannelName, checkpoint: u64) -> String {
        format!("{}.*", self.parts_below(channel, &format!("{checkpoint:016x}")))
    }

    /// The subjects of all parts of all checkpoints of a state.
    pub(crate) fn all_parts(&self, channel: &ChannelName) -> String {
        self.parts_below(channel, ">")
    }

    fn parts_below(&self, channel: &ChannelName, what: &str) -> String {
        format!("{}.part.{}.{what}", self.prefix, BASE64URL.encode(channel.as_str()))
    }

    /// The subject of what is known of the life of a kind's stream.
    pub(crate) fn life(&self, kind: Kind) -> String {
        format!("{}.life.{}", self.prefix, word(kind))
    }

    fn configs(&self, replicas: usize, max_age_ns: u64) -> [StreamConfig; 3] {
        let prefix = &self.prefix;
        let of = |name: String, subjects: &[&str]| StreamConfig {
            name,
            subjects: subjects.iter().map(|subject| format!("{prefix}.{subject}")).collect(),
            num_replicas: replicas,
            ..StreamConfig::default()
        };
        let republish = |kind| Republish {
            src: self.all_entries(kind),
            dest: format!("{prefix}.news.{}.{{{{wildcard(1)}}}}", word(kind)),
        };
        [
            StreamConfig {
                max_age: max_age_ns,
                republish: Some(republish(Kind::Stream)),
                ..of(self.stream(Kind::Stream), &["log.*"])
            },
            StreamConfig {
                republish: Some(republish(Kind::State)),
                ..of(self.stream(Kind::State), &["state.*", "part.>"])
            },
            StreamConfig { max_msgs_per_subject: 1, ..of(self.lives(), &["life.*"]) },
        ]
    }
}

fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Stream => "log",
        Kind::State => "state",
    }
}

/// How a JetStream stream is kept, as far as it is said here. The rest is left as the server has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StreamConfig {
    pub(crate) name: String,
    pub(crate) subjects: Vec<String>,
    pub(crate) num_replicas: usize,
    /// Nanoseconds; 0 is for ever.
    pub(crate) max_age: u64,
    max_msgs_per_subject: i64,
    retention: String,
    storage: String,
    /// Who has no room refuses, and forgets nothing.
    discard: String,
    #[serde(default)]
    allow_direct: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    republish: Option<Republish>,
    /// What is not named here, to be sent back as it was.
    #[serde(flatten)]
    rest: serde_json::Map<String, serde_json::Value>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Republish {
    src: String,
    dest: String,
}

impl Default for StreamConfig {
    fn default() -> Self {
        Self {
            name: String::new(),
            subjects: Vec::new(),
            num_replicas: 1,
            max_age: 0,
            max_msgs_per_subject: -1,
            retention: "limits".to_owned(),
            storage: "file".to_owned(),
            discard: "new".to_owned(),
            allow_direct: true,
            republish: None,
            rest: serde_json::Map::new(),
        }
    }
}

impl StreamConfig {
    /// What of it is not as it should be, if anything is.
    fn differs_from(&self, wanted: &Self) -> Option<String> {
        let differs = [
            ("subjects", self.subjects != wanted.subjects),
            ("num_replicas", self.num_replicas != wanted.num_replicas),
            ("storage", self.storage != wanted.storage),
            ("discard", self.discard != wanted.discard),
            ("retention", self.retention != wanted.retention),
            ("max_msgs_per_subject", self.max_msgs_per_subject != wanted.max_msgs_per_subject),
            ("allow_direct", self.allow_direct != wanted.allow_direct),
            ("republish", self.republish != wanted.republish),
        ];
        let what: Vec<_> = differs.iter().filter(|(_, differs)| *differs).map(|(what, _)| *what).collect();
        (!what.is_empty()).then(|| format!("the JetStream stream {} has another {}", self.name, what.join(", ")))
    }
}

impl Store {
    /// Creates the streams that are not there, and lets those keep longer that keep too short. Says what of them is not as
    /// it should be.
    pub(crate) async fn ensure_streams(
        &self,
        replicas: usize,
        max_age_ns: u64,
        deadline: Instant,
    ) -> Result<Option<String>, StoreError> {
        let mut differs = None;
        let mut direct = true;
        self.takes_replicas(replicas)?;
        for wanted in self.names.configs(replicas, max_age_ns) {
            let info = match self.info_of(&wanted.name, deadline).await {
                Ok(info) => info,
                Err(StoreError::Absent(_)) => self.create(&wanted, deadline).await?,
                Err(error) => return Err(error),
            };
            self.takes_replicas(info.config.num_replicas)?;
            direct &= info.config.allow_direct && info.config.num_replicas == 1;
            if keeps_longer(wanted.max_age, info.config.max_age) {
                let longer = StreamConfig { max_age: wanted.max_age, ..info.config.clone() };
                let update = format!("STREAM.UPDATE.{}", longer.name);
                self.api::<StreamInfo>(&update, &longer, deadline).await?;
            }
            differs = differs.or(info.config.differs_from(&wanted));
        }
        self.read_directly(direct);
        Ok(differs)
    }

    /// Asks the leader from here on where a stream has replicas, and refuses them on servers that let two entries in under
    /// one number when nodes write at once. What is looked at is the server that this node is connected to.
    pub(crate) fn takes_replicas(&self, replicas: usize) -> Result<(), StoreError> {
        if replicas > 1 {
            self.read_directly(false);
        }
        let version = self.client.server_info().version;
        if !is_too_old(&version, replicas) {
            return Ok(());
        }
        let (major, minor, patch) = REPLICAS_SINCE;
        Err(StoreError::Refused(format!(
            "{replicas} replicas need nats-server {major}.{minor}.{patch} or later: {version} may store two messages \
            where one was to be stored"
        )))
    }

    async fn create(&self, wanted: &StreamConfig, deadline: Instant) -> Result<StreamInfo, StoreError> {
        match self.api(&format!("STREAM.CREATE.{}", wanted.name), wanted, deadline).await {
            // Another node was faster, with another age perhaps.
            Err(StoreError::Refused(why)) => match self.info_of(&wanted.name, deadline).await {
                Err(StoreError::Absent(_)) => Err(StoreError::Absent(why)),
                info => info,
            },
            created => created,
        }
    }

    pub(crate) async fn info(&self, kind: Kind, deadline: Instant) -> Result<StreamInfo, StoreError> {
        self.info_of(&self.names.stream(kind), deadline).await
    }

    async fn info_of(&self, name: &str, deadline: Instant) -> Result<StreamInfo, StoreError> {
        self.api(&format!("STREAM.INFO.{name}"), &api::InfoOf { subjects_filter: None, offset: 0 }, deadline).await
    }

    /// The channels of a kind that have entries; asked for page by page.
    pub(crate) async fn channels(&self, kind: Kind, deadline: Instant) -> Result<Vec<ChannelName>, StoreError> {
        let filter = self.names.all_entries(kind);
        let name = format!("STREAM.INFO.{}", self.names.stream(kind));
        let (mut channels, mut offset) = (Vec::new(), 0);
        loop {
            let request = api::InfoOf { subjects_filter: Some(&filter), offset };
            let info: StreamInfo = self.api(&name, &request, deadline).await?;
            let page = info.state.subjects.unwrap_or_default();
            if page.is_empty() {
                return Ok(channels);
            }
            offset += page.len();
            channels.extend(page.into_keys().filter_map(|subject| self.names.channel(&subject)));
        }
    }
}

/// The first version of which it was seen that a replicated stream stores one of several messages that expect the same last
/// one. Of 2.9.10 was seen that it stores them all (nats-server issue 4320).
const REPLICAS_SINCE: (u32, u32, u32) = (2, 10, 25);

/// Whether a server of this version is not to keep so many replicas.
fn is_too_old(version: &str, replicas: usize) -> bool {
    replicas > 1 && version_of(version).is_some_and(|version| version < REPLICAS_SINCE)
}

/// Its three numbers; `None` where it has others, as what somebody built for themselves.
fn version_of(text: &str) -> Option<(u32, u32, u32)> {
    let mut numbers = text.split(['.', '-']).map(|part| part.parse().ok());
    Some((numbers.next()??, numbers.next()??, numbers.next()??))
}

/// Whether one age is longer than another; 0 is for ever.
pub(crate) fn keeps_longer(one: u64, other: u64) -> bool {
    other != 0 && (one == 0 || one > other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replicas_are_refused_on_old_servers_by_their_numbers() {
        for old in ["2.9.10", "2.10.3", "2.10.24", "2.10.25"] {
            assert_eq!(is_too_old(old, 3), old != "2.10.25", "{old}");
            assert!(!is_too_old(old, 1), "{old}");
        }
        assert!(["2.12.0-RC.1", "3.0.0", "dev"].iter().all(|version| !is_too_old(version, 5)));
        assert_eq!((version_of("dev"), version_of("2.10")), (None, None));
    }
}
