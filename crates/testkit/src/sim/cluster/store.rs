//! The store that the nodes share: real logs, each beside its ledger, and what can become of a store.

use std::collections::BTreeSet;
use std::sync::Arc;

use tricast_core::access::{Identity, Scope};
use tricast_core::backplane::Slice;
use tricast_core::channel::Kind;
use tricast_core::log::{AppendError, Appended, Head, Limit, Log, Stamp};
use tricast_core::message::{Draft, Message};
use tricast_core::position::{Epoch, Position, Seq};
use tricast_core::replay::{Decision, decide};

use super::plan::{Plan, retention};
use super::question::{Answer, News, Question};
use crate::sim::ledger::{Item, Keeps, Ledger, Outcome, payload};
use crate::sim::publisher::Publish;
use crate::sim::violation::{Checked, ensure};

pub(super) struct Store {
    channels: Vec<Channel>,
    scopes: [Scope; 2],
    page: Limit,
    epochs: u64,
    tags: u32,
    pub(super) duplicates: u64,
    /// How many epochs ended because a node asked for it.
    pub(super) renewed: u64,
}

struct Channel {
    keeps: Keeps,
    log: Log,
    ledger: Ledger,
    watchers: BTreeSet<usize>,
    /// All that was done to the log in its epoch, so that it can be done again but for the last of it.
    done: Vec<Done>,
    /// Epochs that had two lives: nothing can be said of what was told of them.
    void: Vec<Epoch>,
}

enum Done {
    Append(Item, Stamp),
    Expire(Stamp),
}

impl Store {
    pub(super) fn new(plan: &Plan) -> Self {
        let scopes = [Identity::Anonymous.scope(), Identity::Server.scope()];
        let channel = |(nth, keeps): (u64, &Keeps)| Channel::new(*keeps, Epoch::from_bits(nth));
        let channels: Vec<Channel> = (0..).zip(&plan.channels).map(channel).collect();
        let epochs = channels.len() as u64;
        Self { channels, scopes, page: plan.page(), epochs, tags: 0, duplicates: 0, renewed: 0 }
    }

    pub(super) fn ledger(&self, channel: usize) -> &Ledger {
        &self.channels[channel].ledger
    }

    pub(super) fn is_void(&self, channel: usize, epoch: Epoch) -> bool {
        self.channels[channel].void.contains(&epoch)
    }

    pub(super) fn epoch(&self, channel: usize) -> Epoch {
        self.channels[channel].log.head().epoch
    }

    pub(super) fn watchers(&self, channel: usize) -> Vec<usize> {
        self.channels[channel].watchers.iter().copied().collect()
    }

    /// The log is lost, with the ids that it knew.
    pub(super) fn lose(&mut self, channel: usize) {
        self.epochs += 1;
        let epoch = Epoch::from_bits(self.epochs);
        let it = &mut self.channels[channel];
        (it.log, it.done) = (new_log(it.keeps, epoch), Vec::new());
        it.ledger.restart(epoch);
    }

    /// A replica that lags takes over and does not say so: the newest so many appends never were, under the same epoch.
    pub(super) fn forget_newest(&mut self, channel: usize, appends: usize) {
        let it = &mut self.channels[channel];
        let epoch = it.log.head().epoch;
        let mut left = it.done.iter().filter(|done| matches!(done, Done::Append(..))).count().saturating_sub(appends);
        let kept = it.done.drain(..).take_while(|done| {
            let is_append = matches!(done, Done::Append(..));
            let keep = left > 0;
            left -= usize::from(is_append && keep);
            keep
        });
        let kept: Vec<Done> = kept.collect();
        it.log = new_log(it.keeps, epoch);
        for done in &kept {
            match done {
                // What was refused is refused again.
                Done::Append(item, stamp) => drop(it.log.append(draft(item), &self.scopes[item.scope], *stamp)),
                Done::Expire(stamp) => drop(Some(it.log.expire(*stamp))),
            }
        }
        it.done = kept;
        if !it.void.contains(&epoch) {
            it.void.push(epoch);
        }
    }

    /// Answers a node; with what is told of.
    pub(super) fn ask(&mut self, node: usize, question: &Question, now: u64) -> Checked<(Answer, Vec<News>)> {
        let mut news = Vec::new();
        let answer = match question {
            Question::Open { channel } => Answer::Head(self.fresh(*channel, now, &mut news)?),
            Question::Watch { channel } => {
                self.channels[*channel].watchers.insert(node);
                Answer::Head(self.fresh(*channel, now, &mut news)?)
            }
            Question::Unwatch { channel } => {
                self.channels[*channel].watchers.remove(&node);
                Answer::Done
            }
            Question::Read { channel, after } => {
                let head = self.fresh(*channel, now, &mut news)?;
                Answer::Slice(self.slice(*channel, *after, head))
            }
            Question::Heads { channels } => {
                let heads = channels.iter().map(|channel| self.fresh(*channel, now, &mut news));
                Answer::Heads(heads.collect::<Checked<_>>()?)
            }
            Question::Renew { channel, epoch } => {
                if self.epoch(*channel) == *epoch {
                    self.lose(*channel);
                    self.renewed += 1;
                }
                Answer::Head(self.fresh(*channel, now, &mut news)?)
            }
            Question::Append(publish) => Answer::Appended(self.append(publish, now, &mut news)?),
        };
        Ok((answer, news))
    }

    fn slice(&self, channel: usize, after: Position, head: Head) -> Slice {
        let Channel { keeps, log, .. } = &self.channels[channel];
        if decide(keeps.kind, Some(after), &head) != Decision::Continue {
            return Slice { head, messages: Vec::new(), to: after.seq };
        }
        Slice { head, messages: log.read(after, self.page), to: log.extent(after, self.page).to }
    }

    /// Lets go what is over, and tells where the log stands then.
    pub(super) fn fresh(&mut self, channel: usize, now: u64, news: &mut Vec<News>) -> Checked<Head> {
        let stamp = Stamp { now_ms: now, tag: self.tags };
        let it = &mut self.channels[channel];
        let before = it.log.head();
        let expired = it.log.expire(stamp);
        it.log.forget(now);
        let head = it.log.head();
        if expired {
            it.done.push(Done::Expire(stamp));
        }
        if it.void.contains(&head.epoch) {
            news.extend(it.kept_after(channel, &before));
            return Ok(head);
        }
        ensure(it.ledger.expire(now) == expired, || "keys expire at the wrong time".to_owned())?;
        it.ledger.forget(now);
        it.ledger.check_head(&head)?;
        news.extend(it.written_after(channel, &before, stamp.tag));
        Ok(head)
    }

    fn append(&mut self, publish: &Publish, now: u64, news: &mut Vec<News>) -> Checked<Option<Position>> {
        let Publish { channel, item, .. } = publish;
        self.fresh(*channel, now, news)?;
        self.tags += 1;
        let stamp = Stamp { now_ms: now, tag: self.tags };
        let it = &mut self.channels[*channel];
        let before = it.log.head();
        let appended = it.log.append(draft(item), &self.scopes[item.scope], stamp);
        it.done.push(Done::Append(item.clone(), stamp));
        if it.void.contains(&before.epoch) {
            news.extend(it.kept_after(*channel, &before));
            return Ok(appended.ok().map(|appended| appended.position));
        }
        let outcome = outcome(item, &appended, &before)?;
        self.duplicates += u64::from(matches!(outcome, Outcome::Duplicate(_)));
        let expected = it.ledger.append(item, now);
        ensure(outcome == expected, || format!("{item:?} was {outcome:?}, not {expected:?}"))?;
        it.ledger.check_head(&it.log.head())?;
        news.extend(it.written_after(*channel, &before, stamp.tag));
        Ok(appended.ok().map(|appended| appended.position))
    }

    /// Whether there is nothing for a reader who stands here.
    pub(super) fn is_caught_up(&self, channel: usize, position: Position) -> bool {
        let Channel { keeps, log, .. } = &self.channels[channel];
        let head = log.head();
        // To who holds nothing no deletion is owed.
        let owed = |message: &Arc<Message>| position.seq > Seq::ZERO || message.payload.is_some();
        let nothing = !log.read(position, Limit::default()).iter().any(owed);
        position.epoch == head.epoch && nothing && (keeps.kind == Kind::State || position.seq == head.head)
    }
}

impl Channel {
    fn new(keeps: Keeps, epoch: Epoch) -> Self {
        let (watchers, done, void) = (BTreeSet::new(), Vec::new(), Vec::new());
        Self { keeps, log: new_log(keeps, epoch), ledger: Ledger::new(keeps, epoch), watchers, done, void }
    }

    /// News of what was written after a head, also if it was forgotten at once.
    fn written_after(&self, channel: usize, before: &Head, tag: u32) -> Vec<News> {
        let message = |(seq, at, item): (u64, u64, &Item)| {
            let kept = self.kept_after(channel, before).into_iter().find(|news| news.message.seq.get() == seq);
            kept.unwrap_or_else(|| {
                let seq = Seq::new(seq).unwrap_or_default();
                let key = item.key.map(|key| key.to_string().into());
                let message = Message { key, ..Message::deletion(seq, at, tag) };
                News { channel, epoch: before.epoch, message: Arc::new(message) }
            })
        };
        self.ledger.written_after(before.head.get()).map(message).collect()
    }

    fn kept_after(&self, channel: usize, before: &Head) -> Vec<News> {
        let all = Limit { messages: usize::MAX, bytes: usize::MAX };
        let messages = self.log.read(before.position(), all);
        messages.into_iter().map(|message| News { channel, epoch: before.epoch, message }).collect()
    }
}

fn outcome(item: &Item, appended: &Result<Appended, AppendError>, before: &Head) -> Checked<Outcome> {
    match appended {
        Ok(it) if it.duplicate => Ok(Outcome::Duplicate(it.position.seq.get())),
        Ok(it) if item.value.is_none() && it.position.seq == before.head => Ok(Outcome::Nothing(it.position.seq.get())),
        Ok(it) => Ok(Outcome::Appended(it.position.seq.get())),
        Err(AppendError::Full { .. }) => Ok(Outcome::Full),
        Err(error) => Err(error.to_string().into()),
    }
}

fn draft(item: &Item) -> Draft {
    let mut draft = item.value.map_or_else(|| Draft::delete(""), |value| Draft::new(payload(value)));
    draft.id = item.id.clone().map(Into::into);
    draft.key = item.key.map(|key| key.to_string().into());
    draft.ttl_ms = item.ttl;
    draft
}

fn new_log(keeps: Keeps, epoch: Epoch) -> Log {
    match keeps.kind {
        Kind::Stream => Log::new(Kind::Stream, epoch, retention(keeps)),
        Kind::State => Log::remembering(keeps.deletions, epoch, retention(keeps)),
    }
}
