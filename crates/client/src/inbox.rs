//! What a subscription has been told and not taken yet: bounded, between the engine that fills it and the stream that
//! empties it.
//!
//! It is never a reason to lose anything: once it is full, the engine reads the channel no further, and the log keeps
//! what follows until half has been taken.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tricast_core::position::Position;

use crate::error::{Closed, Refusal};
use crate::event::Event;
use crate::limits::BUFFERED_BYTES;

/// One event, and where its reader stands who has taken it.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) event: Event,
    pub(crate) position: Option<Position>,
}

impl Item {
    fn size(&self) -> usize {
        match &self.event {
            Event::Message(message) => message.size(),
            _ => 0,
        }
    }
}

/// Why nothing comes any more.
#[derive(Debug, Clone)]
pub(crate) enum End {
    Refused(Refusal),
    Closed(Closed),
}

/// An event that was taken out of an inbox.
pub(crate) struct Taken {
    pub(crate) item: Item,
    /// So much has been taken that the channel is to be read again.
    pub(crate) resume: bool,
}

/// A bounded buffer of events. Its lock guards the buffer alone, and nobody is woken under it.
#[derive(Debug)]
pub(crate) struct Inbox {
    capacity: usize,
    state: Mutex<Contents>,
}

#[derive(Debug, Default)]
struct Contents {
    items: VecDeque<Item>,
    bytes: usize,
    /// The server lets the channel be read.
    accepted: bool,
    /// The engine reads no further until there is room.
    paused: bool,
    end: Option<End>,
    waker: Option<Waker>,
}

impl Inbox {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { capacity: capacity.max(1), state: Mutex::default() }
    }

    /// Adds an event. Afterwards the inbox may be full: see [`Inbox::is_full`].
    #[must_use = "whoever waits for it is to be woken once no lock is held"]
    pub(crate) fn push(&self, item: Item) -> Option<Waker> {
        let mut contents = self.lock();
        contents.bytes += item.size();
        contents.items.push_back(item);
        contents.waker.take()
    }

    /// Whether reading has to stop; if so, it has to be resumed when [`Taken::resume`] says so.
    pub(crate) fn is_full(&self) -> bool {
        let mut contents = self.lock();
        contents.paused = contents.items.len() >= self.capacity || contents.bytes >= BUFFERED_BYTES;
        contents.paused
    }

    /// The server lets the channel be read.
    #[must_use = "whoever waits for it is to be woken once no lock is held"]
    pub(crate) fn accept(&self) -> Option<Waker> {
        let mut contents = self.lock();
        if contents.accepted {
            return None;
        }
        contents.accepted = true;
        contents.waker.take()
    }

    /// Nothing comes any more; what is there can still be taken.
    #[must_use = "whoever waits for it is to be woken once no lock is held"]
    pub(crate) fn end(&self, end: End) -> Option<Waker> {
        let mut contents = self.lock();
        contents.end.get_or_insert(end);
        contents.waker.take()
    }

    /// Waits until the channel may be read, or never will be.
    pub(crate) fn poll_accepted(&self, cx: &Context<'_>) -> Poll<Result<(), End>> {
        let mut contents = self.lock();
        match (&contents.end, contents.accepted) {
            (_, true) => Poll::Ready(Ok(())),
            (Some(end), false) => Poll::Ready(Err(end.clone())),
            (None, false) => {
                contents.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Takes the oldest event, or waits for one; `None` where nothing comes any more.
    pub(crate) fn poll_take(&self, cx: &Context<'_>) -> Poll<Option<Taken>> {
        let mut contents = self.lock();
        let Some(item) = contents.items.pop_front() else {
            if contents.end.is_some() {
                return Poll::Ready(None);
            }
            contents.waker = Some(cx.waker().clone());
            return Poll::Pending;
        };
        contents.bytes -= item.size();
        let has_room = contents.items.len() <= self.capacity / 2 && contents.bytes <= BUFFERED_BYTES / 2;
        let resume = contents.paused && has_room;
        contents.paused &= !resume;
        Poll::Ready(Some(Taken { item, resume }))
    }

    fn lock(&self) -> MutexGuard<'_, Contents> {
        // Each change of the contents is whole before anything could panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
