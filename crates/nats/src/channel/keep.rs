//! What is done after a round: deleting what is needed no more, and checkpoints.

use std::sync::Arc;

use futures_util::future::try_join_all;
use tricast_core::channel::Kind;

use super::Channel;
use crate::checkpoint;
use crate::entry::{Checkpoint, What};
use crate::store::{StoreError, Stored};

impl Channel {
    pub(super) async fn keep(&mut self) {
        let Some(replica) = &mut self.replica else {
            self.account(0);
            return;
        };
        if let Some(below) = replica.trim() {
            self.forget_below(below);
        } else if replica.wants_checkpoint()
            && let Err(error) = self.make_checkpoint().await
        {
            // The next round tries again.
            tracing::warn!(channel = %self.topic.name, %error, "no checkpoint of the channel could be stored");
            self.unconfirmed = true;
        }
        self.account(self.replica.as_ref().map_or(0, crate::replica::Replica::memory));
    }

    fn account(&mut self, bytes: u64) {
        self.shared.usage.change(self.bytes, bytes);
        self.bytes = bytes;
    }

    /// Deletes the entries below a sequence, and the parts of checkpoints, in its own time.
    pub(super) fn forget_below(&self, sequence: u64) {
        let (shared, kind) = (Arc::clone(&self.shared), self.kind());
        let (entries, parts) = (self.subject.clone(), shared.store.names.all_parts(&self.topic.name));
        tokio::spawn(async move {
            let deadline = shared.deadline();
            let mut purged = shared.store.purge(kind, &entries, sequence, deadline).await;
            if kind == Kind::State && purged.is_ok() {
                purged = shared.store.purge(kind, &parts, sequence, deadline).await;
            }
            if let Err(error) = purged {
                // What is left is deleted with what follows.
                tracing::debug!(subject = entries, %error, "old entries could not be deleted");
            }
        });
    }

    async fn make_checkpoint(&mut self) -> Result<(), StoreError> {
        let Some(replica) = &self.replica else { return Ok(()) };
        let (tail, snapshot) = (replica.tail, replica.log.snapshot());
        let shared = Arc::clone(&self.shared);
        let name = self.topic.name.clone();
        let (store, deadline, id) = (&shared.store, shared.deadline(), shared.entropy.next_u64());
        let parts = checkpoint::parts(&snapshot, store.max_payload() / 2);
        let count = parts.len();
        let mut first = u64::MAX;
        for part in parts.into_iter().enumerate().collect::<Vec<_>>().chunks(PARTS_AT_ONCE) {
            let publishing = part
                .iter()
                .map(|(nth, part)| store.publish(store.names.part(&name, id, *nth), part.clone(), None, deadline));
            first = try_join_all(publishing).await?.into_iter().fold(first, u64::min);
        }
        let entry = self.entry(What::Checkpoint(Checkpoint { id, parts: count }));
        let payload = bytes::Bytes::from(entry.encode());
        match store.publish(self.subject.clone(), payload.clone(), Some(tail.sequence), deadline).await {
            Ok(sequence) => {
                self.apply(&entry, &Stored { sequence, payload });
                self.forget_all_but(sequence, first);
                Ok(())
            }
            Err(StoreError::Behind) => {
                // Who was faster makes one, or the next round does.
                store.purge(Kind::State, &store.names.parts(&name, id), u64::MAX >> 1, deadline).await
            }
            Err(error) => Err(error),
        }
    }

    /// Deletes the entries before a checkpoint, and the parts before its first.
    fn forget_all_but(&self, pointer: u64, first_part: u64) {
        let (shared, entries) = (Arc::clone(&self.shared), self.subject.clone());
        let parts = shared.store.names.all_parts(&self.topic.name);
        tokio::spawn(async move {
            let deadline = shared.deadline();
            for (filter, below) in [(&entries, pointer), (&parts, first_part)] {
                if let Err(error) = shared.store.purge(Kind::State, filter, below, deadline).await {
                    tracing::debug!(subject = filter, %error, "what is before a checkpoint could not be deleted");
                }
            }
        });
    }
}

/// Parts that are stored at once; the others follow.
const PARTS_AT_ONCE: usize = 16;
