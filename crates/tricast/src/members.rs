//! Reading who is on a channel: the `presence` command, and what the application asks from Rust.

use tricast_core::access::{Action, Identity};
use tricast_core::backplane::BackplaneError;
use tricast_core::channel::{ChannelName, Topic};
use tricast_core::json::Json;
use tricast_core::limits::{PRESENCE_BYTES, PRESENCE_MEMBERS};
use tricast_core::log::{Limit, Page};
use tricast_core::message::{Message, Payload};
use tricast_core::protocol::Code;
use tricast_core::protocol::event::Member;

use crate::hub::Hub;
use crate::presence::NotShown;
use crate::session::Session;

/// Why it cannot be told who is on a channel.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PresenceError {
    /// No rule's pattern matches the channel.
    #[error("no rule matches the channel {0}")]
    UnknownChannel(ChannelName),
    /// The channel's rule keeps no presence.
    #[error("presence is off on the channel {0}")]
    Off(ChannelName),
    /// The backplane does not answer.
    #[error("the members of the channel {0} cannot be read now")]
    Unavailable(ChannelName),
}

/// Everything: a state's own bounds hold.
const ALL: Limit = Limit { messages: usize::MAX, bytes: usize::MAX };

/// One answer.
const ANSWER: Limit = Limit { messages: PRESENCE_MEMBERS, bytes: PRESENCE_BYTES };

/// All members of a channel.
pub(crate) async fn all(hub: &Hub, channel: &ChannelName) -> Result<Vec<Member>, PresenceError> {
    Ok(members(&entries(hub, channel).await?))
}

/// How many members a channel has.
pub(crate) async fn count(hub: &Hub, channel: &ChannelName) -> Result<usize, PresenceError> {
    Ok(entries(hub, channel).await?.messages.len())
}

async fn entries(hub: &Hub, channel: &ChannelName) -> Result<Page, PresenceError> {
    let unknown = |_| PresenceError::UnknownChannel(channel.clone());
    if !hub.allow(&Identity::Server, Action::Subscribe, channel).map_err(unknown)?.rule.has_presence() {
        return Err(PresenceError::Off(channel.clone()));
    }
    let topic = hub.presence.topic(channel);
    page(hub, &topic, ALL).await.map_err(|_| PresenceError::Unavailable(channel.clone()))
}

async fn page(hub: &Hub, topic: &Topic, limit: Limit) -> Result<Page, BackplaneError> {
    hub.logs.backplane.read_back(topic, None, limit).await.map(|(_, page)| page)
}

fn members(page: &Page) -> Vec<Member> {
    page.messages.iter().filter_map(|message| member(message)).collect()
}

/// The member of an entry. The hub alone writes them, so each is one.
pub(crate) fn member(message: &Message) -> Option<Member> {
    match message.payload.as_ref()? {
        Payload::Json(json) => Member::parse(json.as_str()).ok(),
        Payload::Binary(_) => None,
    }
}

/// Why a `presence` command failed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Problem {
    #[error("no rule matches the channel")]
    Unknown,
    #[error("reading the channel is not allowed")]
    Forbidden,
    #[error("presence is off on the channel")]
    Off,
    #[error("data is for WebSockets: what a member shows is changed by its own connection")]
    NoConnection,
    #[error("data is for members: this connection is not subscribed to the channel")]
    NotSubscribed,
    #[error("data has {bytes} bytes, at most {most} are allowed")]
    Data { bytes: usize, most: usize },
    #[error("the channel has no room for one more member, or for what it shows")]
    Full,
    #[error(
        "there are more than {PRESENCE_MEMBERS} members, or they show more than {PRESENCE_BYTES} bytes: \
        subscribe to the channel's @presence/ channel"
    )]
    Many,
    #[error("the members cannot be read or written now")]
    Unavailable,
}

impl Problem {
    pub(crate) fn code(&self) -> Code {
        match self {
            Self::Unknown => Code::UnknownChannel,
            Self::Forbidden => Code::Forbidden,
            Self::Off | Self::NoConnection | Self::NotSubscribed => Code::BadRequest,
            Self::Data { .. } | Self::Full | Self::Many => Code::TooLarge,
            Self::Unavailable => Code::Unavailable,
        }
    }
}

/// Executes a `presence` command; `session` is the caller's, if it has a connection of its own.
///
/// # Cancel safety
/// A dropped call may have changed what the member shows.
pub(crate) async fn answer(
    hub: &Hub,
    who: &Identity,
    session: Option<&Session>,
    channel: &ChannelName,
    data: Option<Json>,
) -> Result<Vec<Member>, Problem> {
    let topic = hub.allow(who, Action::Subscribe, channel).map_err(|code| match code {
        Code::Forbidden => Problem::Forbidden,
        _ => Problem::Unknown,
    })?;
    if !topic.rule.has_presence() {
        return Err(Problem::Off);
    }
    hub.allow(who, Action::Subscribe, &channel.presence()).map_err(|_| Problem::Forbidden)?;
    if let Some(data) = data {
        show(hub, session.ok_or(Problem::NoConnection)?, channel, data).await?;
    }
    let page = page(hub, &hub.presence.topic(channel), ANSWER).await.map_err(|_| Problem::Unavailable)?;
    if page.more { Err(Problem::Many) } else { Ok(members(&page)) }
}

async fn show(hub: &Hub, session: &Session, channel: &ChannelName, data: Json) -> Result<(), Problem> {
    let (bytes, most) = (data.as_str().len(), hub.config.message_bytes);
    if bytes > most {
        return Err(Problem::Data { bytes, most });
    }
    session.position(channel).ok_or(Problem::NotSubscribed)?;
    let shown = session.membership(channel).ok_or(Problem::Full)?.show(data).await;
    shown.map_err(|not| match not {
        NotShown::Full => Problem::Full,
        NotShown::Unavailable => Problem::Unavailable,
    })
}
