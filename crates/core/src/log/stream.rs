//! What a stream keeps: the newest messages, numbered without holes.

use std::collections::VecDeque;
use std::sync::Arc;

use super::{Extent, Limit, within};
use crate::channel::Retention;
use crate::message::Message;
use crate::position::Seq;

#[derive(Debug, Default)]
pub(super) struct Stream {
    messages: VecDeque<Arc<Message>>,
}

impl Stream {
    /// The oldest retained seq, or the one after `head`: dense, so the length tells.
    pub(super) fn first(&self, head: Seq) -> Seq {
        Seq::new(head.get() - self.messages.len() as u64 + 1).unwrap_or(head)
    }

    pub(super) fn push(&mut self, message: Arc<Message>) {
        self.messages.push_back(message);
    }

    /// All that is kept, oldest first.
    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<Message>> {
        self.messages.iter()
    }

    pub(super) fn push_before(&mut self, message: Arc<Message>) {
        self.messages.push_front(message);
    }

    /// Forgets what is before this seq; returns the bytes that it cost.
    pub(super) fn drop_before(&mut self, first: Seq) -> u64 {
        let mut bytes = 0;
        while let Some(oldest) = self.messages.front().filter(|oldest| oldest.seq < first) {
            bytes += oldest.cost() as u64;
            self.messages.pop_front();
        }
        bytes
    }

    /// The message with this seq.
    pub(super) fn at(&self, seq: Seq, head: Seq) -> Option<&Arc<Message>> {
        let index = usize::try_from(seq.get().checked_sub(self.first(head).get())?).ok()?;
        self.messages.get(index)
    }

    /// Forgets what exceeds a bound, oldest first; returns the bytes that it cost.
    pub(super) fn retain(&mut self, retention: Retention, mut bytes: u64, now_ms: u64) -> u64 {
        let before = bytes;
        while let Some(oldest) = self.messages.front() {
            let expired = now_ms.saturating_sub(oldest.at) >= retention.ttl_ms;
            let over = self.messages.len() as u64 > retention.keep || bytes > retention.keep_bytes;
            let crowded = over && self.messages.len() > 1;
            if !expired && !crowded {
                break;
            }
            bytes -= oldest.cost() as u64;
            self.messages.pop_front();
        }
        if self.messages.is_empty() {
            // A deque never shrinks by itself.
            self.messages = VecDeque::new();
        }
        before - bytes
    }

    pub(super) fn extent(&self, after: Seq, head: Seq, limit: Limit) -> Extent {
        let start = self.index_after(after, head);
        let count = within(limit, self.messages.range(start..).map(|message| message.size()));
        let to = self.messages.get(start + count.max(1) - 1).map_or(after, |last| last.seq);
        Extent { count, to: if count == 0 { after } else { to } }
    }

    pub(super) fn read(&self, after: Seq, head: Seq, count: usize) -> Vec<Arc<Message>> {
        let start = self.index_after(after, head);
        self.messages.range(start..start + count).cloned().collect()
    }

    /// The newest messages before `before` (exclusive), oldest first; and whether older ones are retained.
    pub(super) fn read_back(&self, before: Option<Seq>, head: Seq, limit: Limit) -> (Vec<Arc<Message>>, bool) {
        let end = match before {
            Some(before) => self.index_after(before.back(1), head),
            None => self.messages.len(),
        };
        let count = within(limit, self.messages.range(..end).rev().map(|message| message.size()));
        (self.messages.range(end - count..end).cloned().collect(), end > count)
    }

    fn index_after(&self, after: Seq, head: Seq) -> usize {
        let skipped = after.since(self.first(head).back(1));
        usize::try_from(skipped).unwrap_or(usize::MAX).min(self.messages.len())
    }
}
