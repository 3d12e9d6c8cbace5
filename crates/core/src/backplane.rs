//! What keeps the logs: the contract of a backplane.
//!
//! The embedded one keeps them in this process; clustered ones keep them in a store that several nodes share. They
//! are thin: everything that merges a replay with live delivery, fills holes or drops repeats is above them, once.
//!
//! # The contract
//! - [`Backplane::append`] is atomic: looking the id up, numbering, storing and telling happen in one step or not at
//!   all, in bounded time. A message is acknowledged no earlier than it is in the log. What "in the log" survives is
//!   the store's to say; where a write that was acknowledged may have been lost, the epoch ends.
//! - It does what [`crate::log::Log::append`] does: that is the reference for numbers, ids, conditions, holders, room
//!   and what is forgotten. Numbers are given without holes, on states too, so that whoever hears of one knows whether
//!   it missed another.
//! - Whatever answers lets keys of states leave first whose time is over by the log's clock: by a deletion in the log,
//!   one, whoever asked.
//! - [`Backplane::find`] looks an id up as [`Backplane::append`] does, and promises nothing: the append after it looks
//!   again, in its one step. It is there for who has to do something between the two that a repeat should not do again:
//!   an application that stores what is published is asked before the append, and a retry would store it twice.
//! - [`Backplane::open`], [`Backplane::read`] and [`Backplane::watch`] are truth: they answer as of a moment after they
//!   were called. Only they justify a `gap`, a `head`, or the statement that nothing is new.
//! - [`Events::grew`] is a hint: it may repeat, reorder or vanish. Whoever hears it reads. The embedded backplane, whose
//!   logs are the hub's own, tells that a log grew; one whose store is elsewhere tells the message as well.
//! - A [`Head`] never goes back within an epoch, and an epoch is never used twice.
//! - One seq of one epoch is one message, told by its [`Message::tag`]. Whoever finds two of them says so by
//!   [`Backplane::renew`], and the epoch ends.
//! - Opening a channel for the first time mints its epoch, so that "I have nothing yet" is already a position.
//! - After it lost touch with its store a backplane finds it again by itself, and says [`Events::uncertain`]: what it told
//!   before may be incomplete. Until then it answers `unavailable`, at once where it knows, else in bounded time.
//!
//! Presence and revocation need no method here: they are channels.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::access::Scope;
use crate::channel::{ChannelName, Topic};
use crate::log::{AppendError, Appended, Head, Limit, Page};
use crate::message::{Draft, Message};
use crate::position::{Epoch, Position, Seq};

/// What a method of [`Backplane`] returns: a boxed future, so that the trait can be used as `dyn`.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Keeps the logs of all channels. See the module for the contract.
///
/// # Cancel safety
/// Dropping the future of [`Backplane::append`] leaves open whether it was applied, as
/// [`BackplaneError::Unavailable`] does: repeat it with its id. The others change nothing that a repeat would not.
pub trait Backplane: Send + Sync {
    /// Says who is told of news. Called once, before anything else.
    fn attach(&self, events: Arc<dyn Events>);

    /// Where the log stands; mints its epoch on first touch.
    ///
    /// # Errors
    /// The store does not answer.
    fn open<'a>(&'a self, topic: &'a Topic) -> BoxFuture<'a, Result<Head, BackplaneError>>;

    /// Appends a draft, unless this publisher's id of it is known.
    ///
    /// # Errors
    /// The store does not answer (the outcome may be unknown), or the log refuses the draft: the epoch has no number
    /// left, a state's condition does not hold, or a state is full.
    fn append<'a>(
        &'a self,
        topic: &'a Topic,
        draft: Draft,
        publisher: &'a Scope,
    ) -> BoxFuture<'a, Result<Appended, BackplaneError>>;

    /// Where the message is that this publisher published under this id, if that is remembered. A store whose answer
    /// may be behind says `None` too often, never too seldom: `Some` is the truth, as an append would tell it.
    ///
    /// # Errors
    /// The store does not answer.
    fn find<'a>(
        &'a self,
        topic: &'a Topic,
        publisher: &'a Scope,
        id: &'a str,
    ) -> BoxFuture<'a, Result<Option<Position>, BackplaneError>>;

    /// Reads after a position, together with the head of the same moment.
    ///
    /// Where the position cannot be continued on that head ([`crate::replay::decide`]), no messages are returned.
    ///
    /// # Errors
    /// The store does not answer.
    fn read<'a>(
        &'a self,
        topic: &'a Topic,
        after: Position,
        limit: Limit,
    ) -> BoxFuture<'a, Result<Slice, BackplaneError>>;

    /// The newest retained messages before a seq (exclusive; all of them without one), together with the head of the
    /// same moment. On a state: its present entries.
    ///
    /// # Errors
    /// The store does not answer.
    fn read_back<'a>(
        &'a self,
        topic: &'a Topic,
        before: Option<Seq>,
        limit: Limit,
    ) -> BoxFuture<'a, Result<(Head, Page), BackplaneError>>;

    /// Begins to tell of news on a channel. Resolves when live delivery is active, with the head read after that.
    ///
    /// # Errors
    /// The store does not answer.
    fn watch<'a>(&'a self, topic: &'a Topic) -> BoxFuture<'a, Result<Head, BackplaneError>>;

    /// Ends what [`Backplane::watch`] began. It may have been called more than once for a channel; this ends it all.
    fn unwatch<'a>(&'a self, topic: &'a Topic) -> BoxFuture<'a, ()>;

    /// The heads of many channels in one call, in their order: finds lost tails at a cost per node, not per reader.
    ///
    /// # Errors
    /// Each channel has its own: where a store is several servers, one that does not answer hides no head of another's.
    fn heads<'a>(&'a self, topics: &'a [Topic]) -> BoxFuture<'a, Vec<Result<Head, BackplaneError>>>;

    /// Ends an epoch, if it is still the channel's: the log is forgotten with its ids and begins anew under another.
    /// Answers where the log stands then.
    ///
    /// # Errors
    /// The store does not answer.
    fn renew<'a>(&'a self, topic: &'a Topic, epoch: Epoch) -> BoxFuture<'a, Result<Head, BackplaneError>>;

    /// Whether it can serve.
    fn health(&self) -> BoxFuture<'_, Health>;
}

/// Whoever holds a pointer to a backplane has one.
macro_rules! pass_on {
    ($pointer:ty) => {
        impl<B: Backplane + ?Sized> Backplane for $pointer {
            fn attach(&self, events: Arc<dyn Events>) {
                (**self).attach(events);
            }

            fn open<'a>(&'a self, topic: &'a Topic) -> BoxFuture<'a, Result<Head, BackplaneError>> {
                (**self).open(topic)
            }

            fn append<'a>(
                &'a self,
                topic: &'a Topic,
                draft: Draft,
                publisher: &'a Scope,
            ) -> BoxFuture<'a, Result<Appended, BackplaneError>> {
                (**self).append(topic, draft, publisher)
            }

            fn find<'a>(
                &'a self,
                topic: &'a Topic,
                publisher: &'a Scope,
                id: &'a str,
            ) -> BoxFuture<'a, Result<Option<Position>, BackplaneError>> {
                (**self).find(topic, publisher, id)
            }

            fn read<'a>(
                &'a self,
                topic: &'a Topic,
                after: Position,
                limit: Limit,
            ) -> BoxFuture<'a, Result<Slice, BackplaneError>> {
                (**self).read(topic, after, limit)
            }

            fn read_back<'a>(
                &'a self,
                topic: &'a Topic,
                before: Option<Seq>,
                limit: Limit,
            ) -> BoxFuture<'a, Result<(Head, Page), BackplaneError>> {
                (**self).read_back(topic, before, limit)
            }

            fn watch<'a>(&'a self, topic: &'a Topic) -> BoxFuture<'a, Result<Head, BackplaneError>> {
                (**self).watch(topic)
            }

            fn unwatch<'a>(&'a self, topic: &'a Topic) -> BoxFuture<'a, ()> {
                (**self).unwatch(topic)
            }

            fn heads<'a>(&'a self, topics: &'a [Topic]) -> BoxFuture<'a, Vec<Result<Head, BackplaneError>>> {
                (**self).heads(topics)
            }

            fn renew<'a>(&'a self, topic: &'a Topic, epoch: Epoch) -> BoxFuture<'a, Result<Head, BackplaneError>> {
                (**self).renew(topic, epoch)
            }

            fn health(&self) -> BoxFuture<'_, Health> {
                (**self).health()
            }
        }
    };
}

pass_on!(Arc<B>);
pass_on!(Box<B>);

/// A piece of a log, with the head read in the same step.
#[derive(Debug, Clone)]
pub struct Slice {
    /// Where the log stood.
    pub head: Head,
    /// The messages, oldest first.
    pub messages: Vec<Arc<Message>>,
    /// Where the reader stands after them: at the last of them, or, where that is all there is for it, at the head. Its
    /// own seq where its position cannot be continued.
    pub to: Seq,
}

/// Hears the news of a backplane. Synchronous, and never blocks.
pub trait Events: Send + Sync {
    /// A log grew, up to this seq at least.
    fn grew(&self, news: News<'_>);

    /// What was told before may be incomplete.
    fn uncertain(&self, what: Uncertain<'_>);
}

/// That a log grew.
#[derive(Debug, Clone, Copy)]
pub struct News<'a> {
    /// Which log.
    pub channel: &'a ChannelName,
    /// In which epoch.
    pub epoch: Epoch,
    /// The newest seq that is known.
    pub seq: Seq,
    /// The message with this seq, from a store that is elsewhere.
    pub message: Option<&'a Arc<Message>>,
}

/// About what a backplane is no longer certain.
#[derive(Debug, Clone, Copy)]
pub enum Uncertain<'a> {
    /// One channel.
    Channel(&'a ChannelName),
    /// Every channel: a connection to the store was lost.
    All,
}

/// Whether a backplane can serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// It answers.
    Up,
    /// It answers, but something is wrong with it.
    Degraded(String),
    /// It does not answer.
    Down(String),
}

/// Why a backplane could not do what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BackplaneError {
    /// The store does not answer in time, or cannot take more.
    #[error("the backplane is unavailable: {reason}")]
    Unavailable {
        /// What was wrong.
        reason: String,
        /// Whether an append may have been applied all the same.
        maybe_applied: bool,
    },
    /// The log does not take the message.
    #[error("the channel does not take the message")]
    Refused(#[from] AppendError),
}
