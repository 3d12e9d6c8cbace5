//! A channel: one task that follows its entries, writes new ones, and answers whoever asks.
//!
//! All that came while it was busy is done in one round. A round begins after what it answers was asked, and asks the store
//! where the channel ends; so what it answers is as of a moment after the question. Of many questions at once the store
//! is asked one.
//!
//! # Order
//! Only the round changes the replica, so there is no lock. Entries are applied in the order in which they are stored, each
//! once, whether they were written here, told as news, or read.

mod follow;
mod keep;
mod write;

use std::collections::VecDeque;
use std::sync::Arc;

use async_nats::Subscriber;
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Duration, Instant};
use tricast_core::access::Scope;
use tricast_core::backplane::{BackplaneError, News, Uncertain};
use tricast_core::channel::{Kind, Topic};
use tricast_core::log::{Appended, Log};
use tricast_core::message::Draft;
use tricast_core::position::Epoch;

use self::follow::Before;
use crate::entry::Entry;
use crate::limits::{DRAFTS, IDLE};
use crate::replica::{Replica, appended};
use crate::shared::{Shared, unavailable};
use crate::store::{Stored, sequence_of};

/// What a channel is asked for.
pub(crate) enum Command {
    Append(Job),
    Ask(Ask),
    /// Tells of what is stored from now on, and asks what there is then.
    Watch(Ask),
    Unwatch,
    /// Ends this epoch, if it is the channel's, and asks what there is then.
    Renew(Epoch, Ask),
}

/// A draft that is to be appended.
pub(crate) struct Job {
    pub(crate) draft: Draft,
    pub(crate) publisher: Scope,
    pub(crate) reply: oneshot::Sender<Result<Appended, BackplaneError>>,
}

/// A question to the log, as it stands after it was asked.
pub(crate) type Ask = Box<dyn FnOnce(Result<&mut Log, BackplaneError>) + Send>;

pub(crate) struct Channel {
    shared: Arc<Shared>,
    topic: Topic,
    subject: String,
    stream: String,
    commands: mpsc::Receiver<Command>,
    jobs: VecDeque<Job>,
    asks: Vec<Ask>,
    renewals: Vec<Epoch>,
    replica: Option<Replica>,
    /// More is stored than the replica has.
    behind: bool,
    /// The replica has to be compared with the store before anything is written.
    unconfirmed: bool,
    kept_long_enough: bool,
    watched: bool,
    /// Entries as they are stored, while somebody watches.
    news: Option<Subscriber>,
    /// The epoch that who watches knows of.
    told: Option<Epoch>,
    /// What it was before it had to be read anew, until it is.
    before: Option<Before>,
    /// Where entries were missing when it was read: between these two. It may have been a purge that was under way.
    gap: Option<(u64, u64)>,
    /// It was read anew, so entries may have been skipped.
    skipped: bool,
    /// An entry of which is not known whether it was stored, and whether it has been seen.
    awaited: Option<(u64, bool)>,
    asked_at: Instant,
    /// Bytes that are accounted for.
    bytes: u64,
}

impl Channel {
    pub(crate) fn new(shared: Arc<Shared>, topic: Topic, commands: mpsc::Receiver<Command>) -> Self {
        let kind = topic.rule.kind();
        let (subject, stream) = (shared.store.names.entries(kind, &topic.name), shared.store.names.stream(kind));
        shared.usage.begin();
        Self {
            shared,
            topic,
            subject,
            stream,
            commands,
            jobs: VecDeque::new(),
            asks: Vec::new(),
            renewals: Vec::new(),
            replica: None,
            behind: false,
            unconfirmed: false,
            kept_long_enough: false,
            watched: false,
            news: None,
            told: None,
            before: None,
            gap: None,
            skipped: false,
            awaited: None,
            asked_at: Instant::now(),
            bytes: 0,
        }
    }

    /// Runs until nobody watches and nobody asked for a while, or until there is nobody left who could. `leave` is called
    /// before the last commands are taken: no more may come then.
    pub(crate) async fn run(mut self, leave: impl FnOnce()) {
        while self.wait().await {
            self.take_what_is_there();
            self.round().await;
        }
        leave();
        self.commands.close();
        while let Some(command) = self.commands.recv().await {
            self.take(command);
            self.round().await;
        }
        self.shared.usage.end(self.bytes);
    }

    /// Waits until there is something to do; false when there will not be.
    async fn wait(&mut self) -> bool {
        while !self.has_work() {
            let due = self.due();
            tokio::select! {
                command = self.commands.recv() => match command {
                    Some(command) => self.take(command),
                    None => return false,
                },
                Some(message) = next(&mut self.news) => self.hear(&message),
                () = tokio::time::sleep_until(due) => return self.watched,
            }
        }
        true
    }

    fn has_work(&self) -> bool {
        !self.jobs.is_empty() || !self.asks.is_empty() || (self.watched && self.behind)
    }

    /// When there is something to do though nothing comes: a key leaves, or all is forgotten.
    fn due(&self) -> Instant {
        if !self.watched {
            let patience = if self.shared.usage.is_exceeded() { Duration::ZERO } else { IDLE };
            return self.asked_at + patience;
        }
        let next = self.replica.as_ref().and_then(|replica| replica.log.next_expiry());
        let left = next.map(|at| Duration::from_millis(at.saturating_sub(self.shared.clock.wall_ms())));
        // Not at once again, where the store does not answer; and no timer is for ever.
        Instant::now() + left.unwrap_or(LATER).clamp(SOON, LATER)
    }

    fn take_what_is_there(&mut self) {
        while self.jobs.len() < DRAFTS
            && let Ok(command) = self.commands.try_recv()
        {
            self.take(command);
        }
        while let Some(Some(message)) = next(&mut self.news).now_or_never() {
            self.hear(&message);
        }
    }

    fn take(&mut self, command: Command) {
        self.asked_at = Instant::now();
        match command {
            Command::Append(job) => self.jobs.push_back(job),
            Command::Ask(ask) => self.asks.push(ask),
            Command::Watch(ask) => {
                self.watched = true;
                self.asks.push(ask);
            }
            Command::Unwatch => {
                (self.watched, self.news, self.told) = (false, None, None);
            }
            Command::Renew(epoch, ask) => {
                self.renewals.push(epoch);
                self.asks.push(ask);
            }
        }
    }

    /// Does what is to be done, and answers.
    async fn round(&mut self) {
        let (batch, asks) = (self.batch(), std::mem::take(&mut self.asks));
        let renewals = std::mem::take(&mut self.renewals);
        let deadline = self.shared.deadline();
        let done = match self.begin_round(&renewals, deadline).await {
            Ok(()) => self.write(&batch, deadline).await,
            Err(error) => Err(error),
        };
        self.tell_epoch();
        match done {
            Ok(answers) => {
                for (job, answer) in batch.into_iter().zip(answers) {
                    // Who gave up asking repeats it with its id.
                    drop(job.reply.send(answer.map_err(BackplaneError::from)));
                }
                for ask in asks {
                    ask(self.log());
                }
            }
            Err(error) => {
                // What is wrong may be what it believes.
                self.behind = false;
                self.unconfirmed = true;
                batch.into_iter().for_each(|job| drop(job.reply.send(Err(error.clone()))));
                let BackplaneError::Unavailable { reason, .. } = &error else { return };
                asks.into_iter().for_each(|ask| ask(Err(unavailable(reason))));
            }
        }
        self.keep().await;
    }

    async fn begin_round(&mut self, renewals: &[Epoch], deadline: Instant) -> Result<(), BackplaneError> {
        self.shared.ready()?;
        if !self.kept_long_enough {
            self.shared.keep_long_enough(&self.topic, deadline).await.map_err(unavailable)?;
            self.kept_long_enough = true;
        }
        if self.watched && self.news.is_none() {
            let news = self.shared.store.news(self.kind(), &self.topic.name, deadline).await;
            self.news = Some(news.map_err(unavailable)?);
        }
        for epoch in renewals {
            self.renew(*epoch, deadline).await?;
        }
        Ok(())
    }

    /// The log, without what has become too old.
    fn log(&mut self) -> Result<&mut Log, BackplaneError> {
        let now_ms = self.shared.clock.wall_ms();
        let replica = self.replica.as_mut().ok_or_else(|| unavailable("the channel was not read"))?;
        replica.log.forget(now_ms);
        Ok(&mut replica.log)
    }

    fn kind(&self) -> Kind {
        self.topic.rule.kind()
    }

    /// Applies an entry that was told as it was stored, if it is the next.
    fn hear(&mut self, message: &async_nats::Message) {
        let Some(replica) = &self.replica else { return };
        let Ok(sequence) = sequence_of(message) else { return };
        if sequence <= replica.tail.sequence || self.behind {
            return;
        }
        match Entry::decode(&message.payload) {
            Ok(entry) if replica.is_next(&entry) => {
                self.apply(&entry, &Stored { sequence, payload: message.payload.clone() });
                self.tell_epoch();
            }
            // Whoever reads the store finds out what is wrong.
            Ok(_) | Err(_) => self.behind = true,
        }
    }

    /// Applies the next entry, and tells what it appended.
    fn apply(&mut self, entry: &Entry, stored: &Stored) {
        let Some(replica) = &mut self.replica else { return };
        replica.apply(entry, stored.sequence, stored.payload.len());
        let incarnation = replica.incarnation;
        self.applied(entry, stored.sequence, incarnation);
    }

    fn applied(&mut self, entry: &Entry, sequence: u64, incarnation: u64) {
        self.shared.lives.saw(self.kind(), incarnation, sequence);
        if let Some((id, seen)) = &mut self.awaited {
            *seen |= *id == entry.id;
        }
        // Of an epoch that they do not know they are told that, and read it.
        let events = self.shared.events.get().filter(|_| self.watched && self.told == Some(entry.epoch));
        let Some(events) = events else { return };
        for message in appended(entry.changes()) {
            let (channel, epoch, seq) = (&self.topic.name, entry.epoch, message.seq);
            events.grew(News { channel, epoch, seq, message: Some(message) });
        }
    }

    /// Tells whoever watches that the channel is in another epoch than they know.
    fn tell_epoch(&mut self) {
        let Some(replica) = self.replica.as_ref().filter(|_| self.watched) else { return };
        let epoch = replica.log.head().epoch;
        if let (Some(told), Some(events)) = (self.told, self.shared.events.get())
            && told != epoch
        {
            events.uncertain(Uncertain::Channel(&self.topic.name));
        }
        self.told = Some(epoch);
    }
}

/// The next message, where there may be one.
async fn next(news: &mut Option<Subscriber>) -> Option<async_nats::Message> {
    match news {
        Some(news) => news.next().await,
        None => std::future::pending().await,
    }
}

/// The least time between two looks at keys whose time is over.
const SOON: Duration = Duration::from_millis(5);

/// When it is looked again where there is nothing to look for.
const LATER: Duration = Duration::from_secs(3_600);
