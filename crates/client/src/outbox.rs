//! Publishes that are not acknowledged yet, without any I/O.
//!
//! A channel has at most one batch under way, so a retry never reorders it; a publish keeps its id, so a retry never
//! doubles it. Source: protocol, sections 5.1 and 9.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use tricast_core::channel::ChannelName;
use tricast_core::clock::Entropy;
use tricast_core::limits::COMMANDS_PER_BATCH;
use tricast_core::position::Position;
use tricast_core::protocol::Code;

use crate::backoff::{Backoff, Pace};
use crate::error::{Closed, PublishError, Refusal};
use crate::limits::{ANSWER_TIMEOUT, ARRAY_BYTES, ID_MEMORY};
use crate::output::{PublishReply, Published, Reply};

/// A publish, encoded once.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Its `ref`, by which its answer is known.
    pub(crate) reference: u64,
    pub(crate) id: Box<str>,
    /// The command.
    pub(crate) text: String,
    /// Bytes of the stored payload.
    pub(crate) size: usize,
    pub(crate) reply: PublishReply,
    /// When it was sent first.
    pub(crate) sent_at: Option<Duration>,
}

/// Commands to send in one piece.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) channel: ChannelName,
    /// A JSON array.
    pub(crate) text: String,
}

/// What an attempt to publish came to.
pub(crate) type Outcome = Result<(Position, bool), Refusal>;

/// All publishes that wait for their acknowledgement.
#[derive(Debug)]
pub(crate) struct Outbox {
    capacity: usize,
    pace: Pace,
    /// Bytes of payload that the server takes, as far as it has said so.
    limit: usize,
    lanes: HashMap<ChannelName, Lane>,
    /// Those that may send, in the order of their turns.
    ready: VecDeque<ChannelName>,
    count: usize,
}

/// The publishes of one channel, oldest first.
#[derive(Debug)]
struct Lane {
    entries: VecDeque<Entry>,
    backoff: Backoff,
    turn: Turn,
}

#[derive(Debug, PartialEq, Eq)]
enum Turn {
    /// It stands in `ready`.
    Ready,
    /// These are under way, oldest first, and due to be answered by then.
    Flying { references: VecDeque<u64>, until: Duration },
    /// The last attempt failed.
    Resting { until: Duration },
}

impl Outbox {
    pub(crate) fn new(capacity: usize, pace: Pace) -> Self {
        Self { capacity, pace, limit: usize::MAX, lanes: HashMap::new(), ready: VecDeque::new(), count: 0 }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.count >= self.capacity
    }

    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    /// The server said how large a payload may be.
    pub(crate) fn set_limit(&mut self, bytes: usize) {
        self.limit = bytes;
    }

    /// Whether something may be sent now.
    pub(crate) fn has_work(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Whether a batch of this channel is under way.
    pub(crate) fn is_flying(&self, channel: &ChannelName) -> bool {
        self.lanes.get(channel).is_some_and(|lane| matches!(lane.turn, Turn::Flying { .. }))
    }

    /// How many batches are under way.
    pub(crate) fn flying(&self) -> usize {
        self.lanes.values().filter(|lane| matches!(lane.turn, Turn::Flying { .. })).count()
    }

    pub(crate) fn add(&mut self, channel: &ChannelName, entry: Entry) {
        self.count += 1;
        let lane = self.lanes.entry(channel.clone()).or_insert_with(|| {
            self.ready.push_back(channel.clone());
            Lane { entries: VecDeque::new(), backoff: Backoff::default(), turn: Turn::Ready }
        });
        lane.entries.push_back(entry);
    }

    /// Nobody waits for this one any more: it is not sent (again).
    pub(crate) fn abandon(&mut self, reference: u64) {
        for lane in self.lanes.values_mut() {
            if let Some(index) = lane.entries.iter().position(|entry| entry.reference == reference) {
                lane.entries.remove(index);
                self.count -= 1;
                return;
            }
        }
    }

    /// The next batch to send, settling what must not be sent.
    pub(crate) fn next_batch(&mut self, now: Duration, replies: &mut Vec<Reply>) -> Option<Batch> {
        while let Some(channel) = self.ready.pop_front() {
            let Some(lane) = self.lanes.get_mut(&channel) else { continue };
            let waiting = lane.entries.len();
            let (references, text) = lane.batch(&channel, now, self.limit, replies);
            self.count -= waiting - lane.entries.len();
            if references.is_empty() {
                self.lanes.remove(&channel);
                continue;
            }
            lane.turn = Turn::Flying { references, until: now + ANSWER_TIMEOUT };
            return Some(Batch { channel, text });
        }
        None
    }

    /// What became of a publish; whether it was one of these.
    pub(crate) fn outcome(
        &mut self,
        reference: u64,
        outcome: Outcome,
        now: Duration,
        entropy: &dyn Entropy,
    ) -> Option<Reply> {
        let (channel, lane) = self.lanes.iter_mut().find(|(_, lane)| lane.is_flying(reference))?;
        let channel = channel.clone();
        if let Err(refusal) = &outcome
            && refusal.may_retry()
        {
            // The later ones of the batch were not tried.
            let at_least = refusal.retry_after;
            self.retry(&channel, at_least, now, entropy);
            return None;
        }
        let landed = lane.land(reference);
        let entry = lane.entries.iter().position(|entry| entry.reference == reference);
        let entry = entry.and_then(|index| lane.entries.remove(index));
        if landed {
            lane.backoff.reset();
            self.free(&channel);
        }
        let entry = entry?;
        self.count -= 1;
        let outcome = match outcome {
            Ok((position, duplicate)) => Ok(Published { id: entry.id, position, duplicate }),
            Err(refusal) => Err(PublishError::Refused { channel, refusal }),
        };
        Some(Reply::Published(entry.reply, outcome))
    }

    /// A batch got no answer: what is left of it is sent again after a while.
    pub(crate) fn retry(
        &mut self,
        channel: &ChannelName,
        at_least: Option<Duration>,
        now: Duration,
        entropy: &dyn Entropy,
    ) {
        let Some(lane) = self.lanes.get_mut(channel) else { return };
        lane.turn = Turn::Resting { until: now + lane.backoff.next(self.pace, entropy, at_least) };
    }

    /// A batch was refused as a whole, for good.
    pub(crate) fn refuse(&mut self, channel: &ChannelName, refusal: &Refusal, replies: &mut Vec<Reply>) {
        let Some(lane) = self.lanes.get_mut(channel) else { return };
        let Turn::Flying { references, .. } = &lane.turn else { return };
        for reference in references {
            let Some(index) = lane.entries.iter().position(|entry| entry.reference == *reference) else { continue };
            let Some(entry) = lane.entries.remove(index) else { continue };
            self.count -= 1;
            let refused = PublishError::Refused { channel: channel.clone(), refusal: refusal.clone() };
            replies.push(Reply::Published(entry.reply, Err(refused)));
        }
        self.free(channel);
    }

    /// What is under way is not answered any more, but for the channels that are `spared`; and nothing rests.
    pub(crate) fn start_over(&mut self, spared: impl Fn(&ChannelName) -> bool) {
        let busy = self.lanes.iter().filter(|(channel, lane)| lane.turn != Turn::Ready && !spared(channel));
        let busy: Vec<_> = busy.map(|(channel, _)| channel.clone()).collect();
        for channel in busy {
            self.free(&channel);
        }
    }

    /// Lets those try again whose time has come; gives the channels whose batch was never answered.
    pub(crate) fn tick(&mut self, now: Duration, entropy: &dyn Entropy) -> Vec<ChannelName> {
        let mut unanswered = Vec::new();
        let mut rested = Vec::new();
        for (channel, lane) in &self.lanes {
            match lane.turn {
                Turn::Flying { until, .. } if until <= now => unanswered.push(channel.clone()),
                Turn::Resting { until } if until <= now => rested.push(channel.clone()),
                Turn::Flying { .. } | Turn::Resting { .. } | Turn::Ready => {}
            }
        }
        for channel in &unanswered {
            self.retry(channel, None, now, entropy);
        }
        for channel in rested {
            self.free(&channel);
        }
        unanswered
    }

    /// When [`Outbox::tick`] has something to do.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        let due = |lane: &Lane| match lane.turn {
            Turn::Flying { until, .. } | Turn::Resting { until } => Some(until),
            Turn::Ready => None,
        };
        self.lanes.values().filter_map(due).min()
    }

    /// Settles everything.
    pub(crate) fn close(&mut self, closed: &Closed, replies: &mut Vec<Reply>) {
        self.ready.clear();
        self.count = 0;
        for (channel, lane) in self.lanes.drain() {
            for entry in lane.entries {
                let error = PublishError::Closed { channel: channel.clone(), closed: closed.clone() };
                replies.push(Reply::Published(entry.reply, Err(error)));
            }
        }
    }

    /// Ends what keeps a lane busy, and puts it behind the others, or away where it has nothing to do.
    fn free(&mut self, channel: &ChannelName) {
        let Some(lane) = self.lanes.get_mut(channel) else { return };
        if lane.entries.is_empty() {
            self.lanes.remove(channel);
            return;
        }
        lane.turn = Turn::Ready;
        self.ready.push_back(channel.clone());
    }
}

impl Lane {
    fn is_flying(&self, reference: u64) -> bool {
        matches!(&self.turn, Turn::Flying { references, .. } if references.contains(&reference))
    }

    /// Takes one out of what is under way; whether it was the last.
    fn land(&mut self, reference: u64) -> bool {
        let Turn::Flying { references, .. } = &mut self.turn else { return false };
        references.retain(|other| *other != reference);
        references.is_empty()
    }

    /// The oldest that fit into one array; those that must not be sent are settled.
    fn batch(
        &mut self,
        channel: &ChannelName,
        now: Duration,
        limit: usize,
        replies: &mut Vec<Reply>,
    ) -> (VecDeque<u64>, String) {
        let (mut references, mut text) = (VecDeque::new(), String::from("["));
        let mut kept = VecDeque::with_capacity(self.entries.len());
        let mut is_open = true;
        for mut entry in self.entries.drain(..) {
            if let Some(error) = entry.unsendable(channel, now, limit) {
                replies.push(Reply::Published(entry.reply, Err(error)));
                continue;
            }
            let bytes = text.len() + entry.text.len();
            let fits = references.is_empty() || references.len() < COMMANDS_PER_BATCH && bytes < limit.min(ARRAY_BYTES);
            is_open &= fits;
            if is_open {
                if !references.is_empty() {
                    text.push(',');
                }
                text.push_str(&entry.text);
                references.push_back(entry.reference);
                entry.sent_at.get_or_insert(now);
            }
            kept.push_back(entry);
        }
        self.entries = kept;
        text.push(']');
        (references, text)
    }
}

impl Entry {
    fn unsendable(&self, channel: &ChannelName, now: Duration, limit: usize) -> Option<PublishError> {
        if self.size > limit {
            let message = format!("the payload has {} bytes, the server takes {limit}", self.size);
            let refusal = Refusal::new(Code::TooLarge, message).about(channel);
            return Some(PublishError::Refused { channel: channel.clone(), refusal });
        }
        let forgotten = self.sent_at.is_some_and(|at| now.saturating_sub(at) > ID_MEMORY);
        forgotten.then(|| PublishError::OutcomeUnknown { channel: channel.clone(), id: self.id.clone() })
    }
}
