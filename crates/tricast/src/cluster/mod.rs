//! What the nodes on one store know of each other: who lives, what a dead one held, and the secret that they share.
//!
//! All of it is channels, so it needs nothing of a backplane that applications do not need as well:
//! - `@nodes`, a state: a key for each node, which it renews, and which leaves by its time when the node has died;
//! - `@held/<node>`, a state: the channels on which the node has members, written before the first of them is;
//! - `@cluster`, a state: what was drawn once for all nodes.
//!
//! # When a node dies
//! Its key leaves [`LEASE`] after it was last renewed. Another node that reads so waits for [`CONFIRM`] whether it comes
//! back, for a store that was away lets all leases end at once; then it lets go, for the dead node, of all that it held.
//! Members whom another node holds too stay, and every step may be done twice, by whomever: what is let go already
//! appends nothing. The nodes take turns, so that as a rule one does it.
//!
//! # When a node only seems dead
//! It reads that its own key left, takes it back, and holds its members anew ([`Cluster::lives`]).

mod held;
mod sweep;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex as AsyncMutex, mpsc};
use tricast_core::access::{Identity, Scope};
use tricast_core::backplane::BackplaneError;
use tricast_core::channel::{ChannelName, Rule, Topic};
use tricast_core::clock::Entropy;
use tricast_core::log::AppendError;
use tricast_core::message::{Draft, Message, Payload};
use tricast_core::position::Seq;
use tricast_core::protocol::ClientId;

use crate::hub::{Feed, Followed, Following, Logs};
use held::Held;

/// How long a node is believed to live after it last said so.
const LEASE: Duration = Duration::from_secs(20);

/// How often a node says so.
const RENEWAL: Duration = Duration::from_secs(5);

/// How long others wait then whether it comes back.
const CONFIRM: Duration = Duration::from_secs(10);

/// After what time a node tries again what the store did not answer.
const RETRY: Duration = Duration::from_secs(1);

/// This node, among the others on its store.
pub(crate) struct Cluster {
    logs: Arc<Logs>,
    node: Arc<str>,
    publisher: Scope,
    nodes: Topic,
    shared: Topic,
    held: Held,
    /// Who lives, as far as this node has read.
    alive: Mutex<BTreeSet<Arc<str>>>,
    /// How often this node's lease was taken for ended, or what nodes share was lost.
    lives: AtomicU64,
    leaving: AtomicBool,
    /// Drawn once for all nodes; asked for under this lock.
    secret: AsyncMutex<Option<Secret>>,
    /// What this node would draw.
    lot: (u64, u64),
}

struct Secret {
    keys: (u64, u64),
    feed: Arc<Feed>,
    life: u32,
}

/// The key of the secret in `@cluster`.
const DISGUISE: &str = "disguise";

impl Cluster {
    pub(crate) fn new(logs: Arc<Logs>, entropy: &dyn Entropy) -> Self {
        let id = ClientId::from_bits(entropy.next_u64(), entropy.next_u64());
        let node: Arc<str> = Arc::from(id.as_str());
        Self {
            held: Held::new(Arc::clone(&logs), held_by(&node)),
            logs,
            node,
            publisher: Identity::Server.scope(),
            nodes: system("@nodes".to_owned(), Rule::state().ttl(LEASE)),
            shared: system("@cluster".to_owned(), Rule::state()),
            alive: Mutex::default(),
            lives: AtomicU64::default(),
            leaving: AtomicBool::default(),
            secret: AsyncMutex::default(),
            lot: (entropy.next_u64(), entropy.next_u64()),
        }
    }

    /// This node's name, by which it holds keys.
    pub(crate) fn node(&self) -> &Arc<str> {
        &self.node
    }

    /// Changes when this node may have lost what it held: then it has to be held anew.
    pub(crate) fn lives(&self) -> u64 {
        self.lives.load(Ordering::Acquire)
    }

    /// Says that this node has members on a channel, before the first is written.
    ///
    /// # Errors
    /// The backplane does not answer.
    pub(crate) async fn hold(&self, channel: &ChannelName) -> Result<(), BackplaneError> {
        self.held.hold(channel).await
    }

    /// Says all of it anew, as members are written: nothing may be left of what was said.
    pub(crate) async fn hold_anew(&self) {
        self.held.forget().await;
    }

    /// Takes from what is said of this node the channels on which it has no members any more.
    pub(crate) async fn tidy(&self, has_members: impl Fn(&ChannelName) -> bool) {
        self.held.tidy(has_members).await;
    }

    /// Keeps this node's lease until it leaves.
    pub(crate) async fn keep_lease(self: Arc<Self>) {
        while !self.leaving.load(Ordering::Acquire) {
            let wait = if self.renew(LEASE).await { RENEWAL } else { RETRY };
            tokio::time::sleep(wait).await;
        }
    }

    /// Lets this node's lease end after a time: its connections are over, and those of their clients that come back in
    /// time to another node were never away.
    pub(crate) async fn leave(&self, grace: Duration) {
        self.leaving.store(true, Ordering::Release);
        self.renew(grace).await;
    }

    async fn renew(&self, lease: Duration) -> bool {
        let Ok(draft) = Draft::json_text("{}") else { return false };
        let draft = draft.key(Arc::clone(&self.node)).ttl(lease);
        match self.logs.backplane.append(&self.nodes, draft, &self.publisher).await {
            Ok(_) => true,
            Err(error) => {
                tracing::debug!(%error, "this node's lease is not renewed");
                false
            }
        }
    }

    /// Reads which nodes live, and lets go for those that died, for ever.
    pub(crate) async fn watch_over(self: Arc<Self>) {
        let (died, dead) = mpsc::unbounded_channel();
        let read = async {
            let mut log = Following::begin(Arc::clone(&self.logs), &self.nodes).await;
            loop {
                match log.next().await {
                    Followed::Messages(messages) => {
                        messages.iter().filter_map(|message| self.obey(message)).for_each(|node| {
                            // The other half of this task has not ended.
                            drop(died.send(node));
                        });
                    }
                    Followed::Gap { had_read } => {
                        self.alive().clear();
                        if had_read {
                            self.lose();
                        }
                    }
                }
            }
        };
        tokio::join!(read, self.sweep(dead));
    }

    /// Notes who lives; returns who died.
    fn obey(&self, message: &Message) -> Option<Arc<str>> {
        let node = message.key.clone()?;
        if message.payload.is_some() {
            self.alive().insert(node);
            return None;
        }
        self.alive().remove(&node);
        if node == self.node {
            if !self.leaving.load(Ordering::Acquire) {
                self.lose();
            }
            return None;
        }
        Some(node)
    }

    fn lose(&self) {
        self.lives.fetch_add(1, Ordering::AcqRel);
    }

    /// What all nodes disguise users by who are not to be shown, so that a member is the same on each.
    ///
    /// # Errors
    /// The backplane does not answer.
    pub(crate) async fn secret(&self) -> Result<(u64, u64), BackplaneError> {
        let mut secret = self.secret.lock().await;
        if let Some(known) = secret.as_ref().filter(|known| known.feed.life() == known.life) {
            return Ok(known.keys);
        }
        let feed = self.logs.feeds.obtain(&self.shared)?;
        self.logs.watch(&feed).await?;
        let life = feed.life();
        let keys = self.draw().await?;
        // Was it another before, whoever is disguised by it has to be written anew.
        if secret.replace(Secret { keys, feed, life }).is_some_and(|before| before.keys != keys) {
            self.lose();
        }
        Ok(keys)
    }

    /// Draws for all nodes, unless one has.
    async fn draw(&self) -> Result<(u64, u64), BackplaneError> {
        let text = format!("\"{:016x}{:016x}\"", self.lot.0, self.lot.1);
        let draft = Draft::json_text(&text).map_err(unavailable)?.key(DISGUISE).only_if(Seq::ZERO);
        match self.logs.backplane.append(&self.shared, draft, &self.publisher).await {
            Ok(_) => Ok(self.lot),
            Err(BackplaneError::Refused(AppendError::Conflict { .. })) => {
                let (_, page) = self.logs.backplane.read_back(&self.shared, None, Default::default()).await?;
                let drawn = page.messages.iter().find(|message| message.key.as_deref() == Some(DISGUISE));
                drawn
                    .and_then(|message| keys(message))
                    .ok_or_else(|| unavailable("what the nodes share is not readable"))
            }
            Err(error) => Err(error),
        }
    }

    fn alive(&self) -> MutexGuard<'_, BTreeSet<Arc<str>>> {
        self.alive.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn keys(message: &Message) -> Option<(u64, u64)> {
    let Some(Payload::Json(json)) = &message.payload else { return None };
    let text: String = serde_json::from_str(json.as_str()).ok()?;
    let (first, second) = text.split_at_checked(16)?;
    Some((u64::from_str_radix(first, 16).ok()?, u64::from_str_radix(second, 16).ok()?))
}

/// The channels on which a node has members.
fn held_by(node: &str) -> Topic {
    // As many channels as there may be members, and room for their names.
    let rule = Rule::state().keep(tricast_core::limits::PRESENCE_PER_NODE as u64).keep_bytes(HELD_BYTES);
    system(format!("@held/{node}"), rule)
}

const HELD_BYTES: u64 = 1 << 30;

fn system(name: String, rule: Rule) -> Topic {
    // Made of legal characters only, and short.
    let name = name.parse().unwrap_or_else(|_| ChannelName::revoked());
    Topic { name, rule: Arc::new(rule) }
}

fn unavailable(reason: impl ToString) -> BackplaneError {
    BackplaneError::Unavailable { reason: reason.to_string(), maybe_applied: false }
}
