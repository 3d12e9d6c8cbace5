//! `history`: what is retained, a page at a time, without subscribing.

use tricast_core::access::{Action, Identity};
use tricast_core::backplane::BackplaneError;
use tricast_core::channel::{ChannelName, Kind, Topic};
use tricast_core::limits::BATCH_BYTES;
use tricast_core::log::{Head, Limit, Page};
use tricast_core::position::Position;
use tricast_core::protocol::event::{ErrorEvent, History};
use tricast_core::protocol::{Code, Event, HistoryFrom, MessageEvent, Ref};
use tricast_core::replay::{Decision, decide, is_given};

use crate::commands::refused;
use crate::hub::Hub;

/// What somebody asks for.
pub(crate) struct Asked {
    pub(crate) channel: ChannelName,
    pub(crate) from: HistoryFrom,
    /// At most so many messages; a page is cut at [`BATCH_BYTES`] as well, and says that there is more.
    pub(crate) limit: u64,
    pub(crate) reference: Option<Ref>,
}

/// A page, where it ends, and whether something before it is gone.
struct Found {
    head: Head,
    page: Page,
    end: Position,
    gap: bool,
}

/// Answers a `history` command with `history` or `error`.
pub(crate) async fn answer(hub: &Hub, who: &Identity, asked: Asked) -> Event {
    let Asked { channel, from, limit, reference } = asked;
    let topic = match hub.allow(who, Action::Subscribe, &channel) {
        Ok(topic) => topic,
        Err(code) => return Event::Error(refused(channel, code, reference)),
    };
    let limit = Limit { messages: usize::try_from(limit).unwrap_or(usize::MAX), bytes: BATCH_BYTES };
    match find(hub, &topic, from, limit).await {
        Ok(Some(Found { head, page, end, gap })) => Event::History(History {
            reference,
            messages: page.messages.iter().map(|message| MessageEvent::of(message, &channel, head.epoch)).collect(),
            channel,
            position: end,
            more: page.more,
            gap,
        }),
        Ok(None) => {
            let message = "the position is of another epoch of the channel, or beyond its head";
            let error = ErrorEvent::new(Code::Conflict, message);
            Event::Error(ErrorEvent { reference, channel: Some(channel), ..error })
        }
        Err(_) => Event::Error(refused(channel, Code::Unavailable, reference)),
    }
}

/// `None` for a position that the log never gave, or not in this epoch: what it means to its reader, nobody knows.
async fn find(hub: &Hub, topic: &Topic, from: HistoryFrom, limit: Limit) -> Result<Option<Found>, BackplaneError> {
    let before = match from {
        HistoryFrom::After(after) => return find_after(hub, topic, after, limit).await,
        HistoryFrom::Before(before) => Some(before),
        HistoryFrom::Newest => None,
    };
    let (head, page) = hub.logs.backplane.read_back(topic, before.map(|before| before.seq), limit).await?;
    if before.is_some_and(|before| !is_given(topic.rule.kind(), before, &head)) {
        return Ok(None);
    }
    let last = page.messages.last().map(|last| Position::new(head.epoch, last.seq));
    let end = last.or(before).unwrap_or(head.position());
    Ok(Some(Found { head, page, end, gap: false }))
}

async fn find_after(hub: &Hub, topic: &Topic, after: Position, limit: Limit) -> Result<Option<Found>, BackplaneError> {
    let kind = topic.rule.kind();
    let head = hub.logs.backplane.open(topic).await?;
    if !is_given(kind, after, &head) {
        return Ok(None);
    }
    let (start, gap) = match decide(kind, Some(after), &head) {
        Decision::Continue => (after.seq, false),
        Decision::Gap { position, .. } => (position.seq, true),
    };
    // A base at the head: of a state only what is present.
    let base = (kind == Kind::State).then_some(head.head);
    let at = |seq| Position { epoch: head.epoch, seq, base };
    let slice = hub.logs.backplane.read(topic, at(start), limit).await?;
    let end = slice.messages.last().map_or(start, |last| last.seq);
    let rest = hub.logs.backplane.read(topic, at(end), Limit { messages: 1, bytes: 0 }).await?;
    let page = Page { more: !rest.messages.is_empty(), messages: slice.messages };
    Ok(Some(Found { head: slice.head, page, end: Position::new(head.epoch, end), gap }))
}
