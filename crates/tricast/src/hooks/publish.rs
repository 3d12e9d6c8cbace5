//! `on_publish`: the application validates, changes, stores or refuses what is about to be appended.
//!
//! The id is looked up first, so that a retry of what is in the log is answered without asking, and again in the
//! append, which is atomic: of repeats that come at once several may be asked about, and one is appended.

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tricast_core::access::Identity;
use tricast_core::channel::{ChannelName, Topic};
use tricast_core::log::Appended;
use tricast_core::message::{Draft, DraftError, Payload};

use super::{Answer, Place, PublishHook, Refused, asked, run};
use crate::handle::Tricast;
use crate::hub::{Allowed, Ask, Hub, PublishError};

const NAME: &str = "on_publish";

/// A message that is about to be appended, and that a hook may change or refuse.
///
/// # Examples
/// ```
/// use tricast::{Draft, Publishing, Refused};
///
/// async fn no_shouting(publishing: Publishing) -> Result<Draft, Refused> {
///     let text: String = publishing.json()?;
///     if publishing.param("room") == Some("library") && text.contains('!') {
///         return Err(Refused::forbidden("this is a library"));
///     }
///     publishing.with_json(&text.trim())
/// }
/// # let _ = tricast::Tricast::builder().on_publish("chat:{room}", no_shouting);
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct Publishing {
    /// To which channel.
    pub channel: ChannelName,
    /// Who publishes. The application itself, publishing from Rust, is [`Identity::Server`].
    pub publisher: Identity,
    /// What. Where it has an id it keeps it, whatever a hook returns.
    pub draft: Draft,
    place: Place,
    tricast: Tricast,
}

impl Publishing {
    /// What a parameter of the hook's pattern stands for in the channel's name.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&str> {
        self.place.param(name)
    }

    /// The publisher's id of the message. Together with the channel and the publisher it names the message: a hook that
    /// stores under these three stores once, however often it runs.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.draft.id.as_deref()
    }

    /// The payload as a `T`.
    ///
    /// # Errors
    /// `bad_request`: it is binary, is not a `T`, or is absent, because a key is deleted.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Refused> {
        match &self.draft.payload {
            Some(Payload::Json(json)) => {
                serde_json::from_str(json.as_str()).map_err(|error| Refused::bad_request(format!("data: {error}")))
            }
            Some(Payload::Binary(_)) => Err(Refused::bad_request("data64 is not taken here")),
            None => Err(Refused::bad_request("deleted is not taken here")),
        }
    }

    /// The draft with another payload.
    ///
    /// # Errors
    /// `internal`: the value cannot be serialized, or nests too deep.
    pub fn with_json<T: Serialize + ?Sized>(self, value: &T) -> Result<Draft, Refused> {
        let Draft { payload, .. } = Draft::json(value).map_err(|error: DraftError| {
            tracing::error!(%error, channel = %self.channel, "a hook's payload");
            Refused::internal("the application's payload cannot be published")
        })?;
        let mut draft = self.draft;
        draft.payload = payload;
        Ok(draft)
    }

    /// The node, to publish elsewhere. What a hook publishes goes through the hooks, so to its own channel without end.
    #[must_use]
    pub fn tricast(&self) -> &Tricast {
        &self.tricast
    }
}

/// What is asked before a message is appended: a type of the application, or an async function.
///
/// # Examples
/// ```
/// use std::sync::Mutex;
/// use tricast::{Draft, OnPublish, Publishing, Refused};
///
/// struct Archive(Mutex<Vec<String>>);
///
/// impl OnPublish for Archive {
///     async fn on_publish(&self, publishing: Publishing) -> Result<Draft, Refused> {
///         let mut lines = self.0.lock().map_err(|_| Refused::internal("the archive is broken"))?;
///         lines.push(publishing.json()?);
///         Ok(publishing.draft)
///     }
/// }
/// # let _ = tricast::Tricast::builder().on_publish("chat:{room}", Archive(Mutex::default()));
/// ```
pub trait OnPublish: Send + Sync + 'static {
    /// Returns what to append, or why nothing is.
    ///
    /// May run more than once for one id: when repeats come at once, and when it ran but the append failed.
    ///
    /// # Errors
    /// The refusal that the publisher is told.
    ///
    /// # Cancel safety
    /// It runs to its end though its publisher has gone, but is dropped when it takes too long.
    fn on_publish(&self, publishing: Publishing) -> impl Future<Output = Result<Draft, Refused>> + Send;
}

impl<F, A> OnPublish for F
where
    F: Fn(Publishing) -> A + Send + Sync + 'static,
    A: Future<Output = Result<Draft, Refused>> + Send,
{
    fn on_publish(&self, publishing: Publishing) -> impl Future<Output = Result<Draft, Refused>> + Send {
        self(publishing)
    }
}

pub(super) fn hook(hook: impl OnPublish) -> PublishHook {
    let hook = Arc::new(hook);
    Arc::new(move |publishing| {
        let hook = Arc::clone(&hook);
        Box::pin(async move { hook.on_publish(publishing).await })
    })
}

/// A publish that the rules allow.
#[derive(Debug)]
pub(crate) enum BegunPublish {
    /// Nobody had to be asked.
    Appended(Appended),
    /// The application is asked, and the append comes after.
    Asked(Answer<Result<Appended, PublishError>>),
}

impl Hub {
    /// Checks a publish, and appends it; or begins it where the application has to be asked: then it is not cut short
    /// when whoever waits for it goes.
    pub(crate) async fn begin_publish(
        self: &Arc<Self>,
        who: &Identity,
        name: &ChannelName,
        mut draft: Draft,
    ) -> Result<BegunPublish, PublishError> {
        let Allowed { topic, ask } = self.judge_publish(who, name)?;
        draft.check(topic.rule.kind(), self.config.message_bytes)?;
        // Whom a message is from is the hub's to say, but for the server, which may speak for anybody.
        if *who != Identity::Server {
            draft.user = who.user_id().filter(|_| topic.rule.shows_user()).cloned();
        }
        let hook = self.hooks.publish.find(name);
        if ask.is_none() && hook.is_none() {
            let appended = self.logs.backplane.append(&topic, draft, &who.scope()).await?;
            return Ok(BegunPublish::Appended(appended));
        }
        let work = Work {
            hub: Arc::clone(self),
            topic,
            publisher: who.clone(),
            ask,
            hook: hook.map(|(pattern, hook)| {
                (Arc::clone(hook), Place { channel: name.clone(), pattern: Arc::clone(pattern) })
            }),
        };
        Ok(BegunPublish::Asked(self.hooks.begin(NAME, work.publish(draft))))
    }
}

/// A publish about which somebody has to be asked.
struct Work {
    hub: Arc<Hub>,
    topic: Topic,
    publisher: Identity,
    ask: Option<Ask>,
    hook: Option<(PublishHook, Place)>,
}

impl Work {
    async fn publish(self, draft: Draft) -> Result<Appended, PublishError> {
        let Self { hub, topic, publisher, ask, hook } = self;
        let deadline = hub.hooks.deadline();
        if let Some(ask) = ask
            && !asked(ask, deadline).await?
        {
            return Err(PublishError::Forbidden(topic.name));
        }
        let scope = publisher.scope();
        let Some((hook, place)) = hook else { return Ok(hub.logs.backplane.append(&topic, draft, &scope).await?) };
        let id = draft.id.clone();
        if let Some(id) = &id
            && let Some(position) = hub.logs.backplane.find(&topic, &scope, id).await?
        {
            return Ok(Appended { position, duplicate: true });
        }
        let (channel, tricast) = (topic.name.clone(), Tricast::new(Arc::clone(&hub)));
        let publishing = Publishing { channel, publisher, draft, place, tricast };
        let mut draft = run(NAME, &hook, publishing, deadline).await??;
        // A retry is known by what the publisher gave it.
        draft.id = id.or(draft.id);
        draft.check(topic.rule.kind(), hub.config.message_bytes)?;
        Ok(hub.logs.backplane.append(&topic, draft, &scope).await?)
    }
}
