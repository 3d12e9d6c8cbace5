//! `on_subscribe`: the application lets a caller read a channel.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream;
use tokio::time::Instant;
use tricast_core::access::{Action, Identity};
use tricast_core::channel::ChannelName;
use tricast_core::position::Cursor;
use tricast_core::protocol::{ClientId, Code, Ref, SubscribeTo};

use super::{Answer, HookError, Place, Refused, SubscribeHook, Transport, asked, run};
use crate::handle::Tricast;
use crate::hub::{Allowed, Ask, Hub};
use crate::session::{Begun, Outcome, Session};

const NAME: &str = "on_subscribe";

/// Hooks of one subscribe that run at once.
const AT_ONCE: usize = 64;

/// A caller who is about to read a channel, or its history without subscribing.
///
/// Asked once for each subscription, not for each message. A reconnect subscribes anew, and so does every poll.
#[derive(Debug)]
#[non_exhaustive]
pub struct Subscribing {
    /// Which channel.
    pub channel: ChannelName,
    /// Who.
    pub caller: Identity,
    /// The client id, as [`crate::Connecting::client`] told it.
    pub client: Option<ClientId>,
    /// On which way.
    pub transport: Transport,
    place: Place,
    tricast: Tricast,
}

impl Subscribing {
    /// What a parameter of the hook's pattern stands for in the channel's name.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&str> {
        self.place.param(name)
    }

    /// The node.
    #[must_use]
    pub fn tricast(&self) -> &Tricast {
        &self.tricast
    }
}

/// Who subscribes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subscriber<'a> {
    pub(crate) caller: &'a Identity,
    pub(crate) client: Option<&'a ClientId>,
    pub(crate) transport: Transport,
}

/// What the application answered about the channels of one subscribe.
#[derive(Debug, Default)]
pub(crate) struct Permits {
    refused: HashMap<ChannelName, Refused>,
    /// Why all of them are refused: there was no answer.
    all: Option<Refused>,
}

/// What became of a channel that was asked for.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) channel: ChannelName,
    pub(crate) result: Result<Begun, Refused>,
}

impl Permits {
    /// Why a channel is refused, if it is.
    pub(crate) fn refusal(&self, channel: &ChannelName) -> Option<&Refused> {
        self.refused.get(channel).or(self.all.as_ref())
    }

    /// Subscribes to what is permitted; the outcomes are in the order of `wanted`.
    ///
    /// # Cancel safety
    /// As [`Session::subscribe`].
    pub(crate) async fn subscribe(
        &self,
        session: &mut Session,
        wanted: &[SubscribeTo],
        cursor: Option<&Cursor>,
        reference: Option<&Ref>,
    ) -> Vec<Opened> {
        let permitted: Vec<SubscribeTo>;
        let permitted = if self.refused.is_empty() && self.all.is_none() {
            wanted
        } else {
            permitted = wanted.iter().filter(|to| self.refusal(&to.name).is_none()).cloned().collect();
            &permitted
        };
        let subscribed = session.subscribe(permitted, cursor, reference).await;
        let mut subscribed = subscribed.into_iter();
        let opened = wanted.iter().filter_map(|to| match self.refusal(&to.name) {
            Some(refused) => Some(Opened { channel: to.name.clone(), result: Err(refused.clone()) }),
            None => subscribed.next().map(Opened::from),
        });
        opened.collect()
    }
}

impl From<HookError> for Permits {
    fn from(error: HookError) -> Self {
        Self { all: Some(error.into()), ..Self::default() }
    }
}

impl From<Outcome> for Opened {
    fn from(Outcome { channel, result }: Outcome) -> Self {
        let result = result.map_err(|code| refused_by_rule(&channel, code));
        Self { channel, result }
    }
}

/// The refusal of a channel that is not the application's.
pub(crate) fn refused_by_rule(channel: &ChannelName, code: Code) -> Refused {
    let message = match code {
        Code::UnknownChannel => format!("no rule matches the channel {channel}"),
        Code::Forbidden => format!("subscribing to the channel {channel} is not allowed"),
        Code::TooLarge => format!("what a member of {channel} would show is too large"),
        Code::TooManyChannels => format!("{channel} is one channel more than a connection may have"),
        _ => format!("the channel {channel} cannot be read now"),
    };
    Refused::of(code, message)
}

impl Hub {
    /// Asks the application about the channels that the rules allow; `None` where it wants to be asked of none.
    ///
    /// Of a channel's presence it is asked as of the channel itself. All of them together have the time of one hook.
    pub(crate) fn begin_permits<'a>(
        self: &Arc<Self>,
        subscriber: Subscriber<'_>,
        channels: impl Iterator<Item = &'a ChannelName>,
    ) -> Option<Answer<Permits>> {
        let Subscriber { caller, client, transport } = subscriber;
        let deadline = self.hooks.deadline();
        let mut seen = HashSet::new();
        let mut questions = Vec::new();
        for channel in channels {
            let judged = channel.presence_of().unwrap_or_else(|| channel.clone());
            let hook = self.hooks.subscribe.find(&judged);
            let Ok(Allowed { ask, .. }) = self.judge(caller, Action::Subscribe, channel) else { continue };
            if !seen.insert(channel) || (ask.is_none() && hook.is_none()) {
                continue;
            }
            let hook = hook.map(|(pattern, hook)| {
                let place = Place { channel: judged.clone(), pattern: Arc::clone(pattern) };
                let (caller, client, tricast) = (caller.clone(), client.cloned(), Tricast::new(Arc::clone(self)));
                (Arc::clone(hook), Subscribing { channel: judged, caller, client, transport, place, tricast })
            });
            questions.push(Question { channel: channel.clone(), ask, hook });
        }
        if questions.is_empty() {
            return None;
        }
        let questions: Vec<_> = questions.into_iter().map(|question| question.refused(deadline)).collect();
        Some(self.hooks.begin(NAME, async move {
            let refused = stream::iter(questions).buffer_unordered(AT_ONCE).filter_map(std::future::ready);
            Permits { refused: refused.collect().await, all: None }
        }))
    }
}

/// What is asked about a channel: the rule's condition, then the hook.
struct Question {
    channel: ChannelName,
    ask: Option<Ask>,
    hook: Option<(SubscribeHook, Subscribing)>,
}

impl Question {
    /// The channel, where it is refused.
    async fn refused(self, deadline: Instant) -> Option<(ChannelName, Refused)> {
        let Self { channel, ask, hook } = self;
        if let Some(ask) = ask {
            match asked(ask, deadline).await {
                Ok(true) => {}
                Ok(false) => {
                    let refused = refused_by_rule(&channel, Code::Forbidden);
                    return Some((channel, refused));
                }
                Err(error) => return Some((channel, error.into())),
            }
        }
        let (hook, subscribing) = hook?;
        let answer = run(NAME, &hook, subscribing, deadline).await;
        answer.map_err(Refused::from).flatten().err().map(|refused| (channel, refused))
    }
}
