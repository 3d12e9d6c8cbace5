//! A log as a copy of another: its messages are numbered already, and come from a store.

use std::sync::Arc;

use super::{Head, Kept, Log, State, Stream};
use crate::channel::{Kind, Retention};
use crate::dedup::Dedup;
use crate::message::Message;
use crate::position::Seq;

impl Log {
    /// A copy that begins at a head and has nothing of what was before it, and on a state remembers so many deletions. It
    /// forgets by count and bytes alone: what is too old is for the store to say, by its own clock.
    pub(crate) fn copy_from(kind: Kind, retention: Retention, deletions: usize, head: &Head) -> Self {
        let kept = match kind {
            Kind::Stream => Kept::Stream(Stream::default()),
            Kind::State => Kept::State(State::remembering(deletions).above(head.floor)),
        };
        let retention = Retention { ttl_ms: u64::MAX, ..retention };
        let Head { epoch, head, .. } = *head;
        Self { epoch, retention, head, kept, bytes: 0, dedup: Dedup::default(), last_append_ms: 0 }
    }

    /// Takes the message after the head, or, on a state, one of those after it.
    pub(crate) fn adopt(&mut self, message: Arc<Message>) {
        (self.head, self.last_append_ms) = (message.seq, message.at);
        match &mut self.kept {
            Kept::Stream(stream) => {
                self.bytes += message.cost() as u64;
                stream.push(message);
            }
            Kept::State(_) => self.put(message),
        }
        self.forget(0);
    }

    /// Takes messages from before the oldest that it holds: on a stream all up to it, on a state those of keys of which
    /// nothing newer is here.
    pub(crate) fn adopt_before(&mut self, messages: Vec<Arc<Message>>) {
        for message in messages.into_iter().rev() {
            match &mut self.kept {
                Kept::Stream(stream) => {
                    self.bytes += message.cost() as u64;
                    stream.push_before(message);
                }
                Kept::State(state) => {
                    let (grown, shrunk) = state.put_older(message);
                    self.bytes = self.bytes + grown - shrunk;
                }
            }
        }
    }

    /// Stands at this seq, where there is nothing more to be told up to it.
    pub(crate) fn advance(&mut self, to: Seq) {
        self.head = self.head.max(to);
    }

    /// Forgets what the store has forgotten: a stream's messages before `first`, and deletions of a state up to `floor`.
    pub(crate) fn forget_with(&mut self, head: &Head) {
        match &mut self.kept {
            Kept::Stream(stream) => self.bytes -= stream.drop_before(head.first),
            Kept::State(state) => state.raise_floor(head.floor),
        }
    }

    /// The message with this seq, if it is here.
    pub(crate) fn at(&self, seq: Seq) -> Option<&Arc<Message>> {
        match &self.kept {
            Kept::Stream(stream) => stream.at(seq, self.head),
            Kept::State(state) => state.at(seq),
        }
    }
}
