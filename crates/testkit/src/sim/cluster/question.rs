//! What nodes and their store say to each other: the contract of a backplane as messages.

use std::sync::Arc;

use tricast_core::backplane::Slice;
use tricast_core::cache::Fork;
use tricast_core::log::Head;
use tricast_core::message::Message;
use tricast_core::position::{Epoch, Position};

use crate::sim::publisher::Publish;

/// What the store is asked.
#[derive(Debug, Clone)]
pub(super) enum Question {
    Open { channel: usize },
    Watch { channel: usize },
    Unwatch { channel: usize },
    Read { channel: usize, after: Position },
    Heads { channels: Vec<usize> },
    Renew { channel: usize, epoch: Epoch },
    Append(Publish),
}

/// What it answers. A question that is not answered in time is answered by nobody: `None`.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    Head(Head),
    Slice(Slice),
    Heads(Vec<Head>),
    /// Where it was appended; `None` where it was refused.
    Appended(Option<Position>),
    Done,
}

/// What a node makes of an answer.
#[derive(Debug, Clone)]
pub(super) enum Purpose {
    /// The one who has the turn to ask where a log stands.
    Turn(usize),
    /// A reader who does not wait for others.
    Alone(usize, Waiter),
    Retire(usize),
    CatchUp(usize, Position),
    /// Ends an epoch, for who catches up or by itself.
    EndEpoch {
        channel: usize,
        catches_up: bool,
    },
    Fill(usize),
    Page(usize, Position),
    Heads {
        channels: Vec<usize>,
        in_doubt: bool,
    },
    Publish(Publish),
}

/// Who wants to know where a log stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waiter {
    Enter(u64),
    Read(u64),
    Errand,
}

/// What somebody is sent for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Errand {
    CatchUp,
    Ask,
    EndEpoch(Fork),
}

/// That a log grew.
#[derive(Debug, Clone)]
pub(super) struct News {
    pub(super) channel: usize,
    pub(super) epoch: Epoch,
    pub(super) message: Arc<Message>,
}
