//! Letting go, for a node that died, of what it held.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, sleep, sleep_until};
use tricast_core::backplane::BackplaneError;
use tricast_core::channel::{ChannelName, Topic};
use tricast_core::log::Limit;
use tricast_core::message::Draft;
use tricast_core::position::{Position, Seq};

use super::{CONFIRM, Cluster, RETRY, held_by};
use crate::presence;

/// How much later each next node looks whether something is left to be let go.
const TURN: Duration = Duration::from_secs(5);

/// The last turn: with more nodes several come at once.
const TURNS: usize = 12;

impl Cluster {
    /// Lets go for those who died, one after the other.
    pub(super) async fn sweep(&self, mut dead: UnboundedReceiver<Arc<str>>) {
        let mut read = Vec::new();
        while dead.recv_many(&mut read, usize::MAX).await > 0 {
            // Those that were read together died together, as far as anybody here knows.
            sleep_until(Instant::now() + CONFIRM + self.turn()).await;
            for node in std::mem::take(&mut read) {
                while !self.alive().contains(&node) {
                    match self.let_go_for(&node).await {
                        Ok(()) => break,
                        Err(error) => {
                            tracing::warn!(%node, %error, "what a dead node held is not let go yet");
                            sleep(RETRY).await;
                        }
                    }
                }
            }
        }
    }

    /// When it is this node's turn among those that live.
    fn turn(&self) -> Duration {
        let turn = self.alive().iter().take(TURNS).take_while(|node| **node < *self.node()).count();
        TURN * u32::try_from(turn).unwrap_or(0)
    }

    async fn let_go_for(&self, node: &Arc<str>) -> Result<(), BackplaneError> {
        let held = held_by(node);
        loop {
            let (_, page) = self.logs.backplane.read_back(&held, None, Limit::default()).await?;
            if page.messages.is_empty() {
                return Ok(());
            }
            for key in page.messages.iter().filter_map(|message| message.key.clone()) {
                if let Ok(channel) = key.parse::<ChannelName>() {
                    self.let_go_of_members(&channel, node).await?;
                }
                self.logs.backplane.append(&held, Draft::delete(key), &self.publisher).await?;
            }
        }
    }

    /// Takes the node from those that hold members of a channel: who is held by nobody then leaves.
    async fn let_go_of_members(&self, channel: &ChannelName, node: &Arc<str>) -> Result<(), BackplaneError> {
        let topic = Topic { name: channel.presence(), rule: Arc::new(presence::members()) };
        let head = self.logs.backplane.open(&topic).await?;
        // With a base at the head: of what was deleted until now nothing is told.
        let mut position = Position { epoch: head.epoch, seq: Seq::ZERO, base: Some(head.head) };
        loop {
            let slice = self.logs.backplane.read(&topic, position, Limit::default()).await?;
            let present = slice.messages.iter().filter(|message| message.payload.is_some());
            for key in present.filter_map(|message| message.key.clone()) {
                let draft = Draft::delete(key).held_by(Arc::clone(node), None);
                self.logs.backplane.append(&topic, draft, &self.publisher).await?;
            }
            if slice.to <= position.seq || slice.to >= head.head {
                return Ok(());
            }
            position = position.advanced(slice.to);
        }
    }
}
