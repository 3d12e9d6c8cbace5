//! Which servers there are, and which of them has a channel.

use std::sync::{Arc, PoisonError, RwLockReadGuard};
use std::time::Duration;

use redis::{Value, cmd};
use tokio::time::{sleep, timeout};
use tricast_core::channel::ChannelName;

use crate::dial::Deaf;
use crate::error::{ConnectError, LinkError};
use crate::random;
use crate::shard::{Place, Shard};
use crate::shared::Shared;
use crate::slots::{SLOTS, Share, parse_slots, slot_of};
use crate::url::{Address, Layout};

/// How often a cluster is asked who has which slots, if nothing gives reason to.
const LOOK: Duration = Duration::from_secs(10);

/// The least time between two such questions.
const PAUSE: Duration = Duration::from_millis(100);

/// The servers, and which of them has which slots.
#[derive(Default)]
pub(crate) struct Map {
    shards: Vec<Arc<Shard>>,
    shares: Vec<Share>,
    /// Places in `shards`; empty where there is one server for all.
    owners: Vec<Option<usize>>,
}

impl Map {
    /// One server for all.
    pub(crate) fn one(shard: Arc<Shard>) -> Self {
        Self { shards: vec![shard], shares: Vec::new(), owners: Vec::new() }
    }

    /// The server that has a channel, if any has.
    pub(crate) fn owner(&self, channel: &ChannelName) -> Option<Arc<Shard>> {
        let index = match self.owners.as_slice() {
            [] => Some(0),
            owners => owners.get(slot_of(channel.as_str())).copied().flatten(),
        };
        self.shards.get(index?).cloned()
    }

    pub(crate) fn is_at(&self, channel: &ChannelName, place: &Place) -> bool {
        let (Some(owner), Place::At(address)) = (self.owner(channel), place) else { return false };
        matches!(&owner.place, Place::At(it) if it == address)
    }

    pub(crate) fn shards(&self) -> &[Arc<Shard>] {
        &self.shards
    }

    /// Whether each slot has a server.
    pub(crate) fn is_complete(&self) -> bool {
        self.owners.iter().all(Option::is_some)
    }

    fn at(&self, address: &Address) -> Option<Arc<Shard>> {
        self.shards.iter().find(|shard| matches!(&shard.place, Place::At(it) if it == address)).cloned()
    }
}

impl Shared {
    pub(crate) fn map(&self) -> RwLockReadGuard<'_, Map> {
        self.map.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The server at an address that another named; it may be a new one.
    pub(crate) fn shard_at(self: &Arc<Self>, address: &Address) -> Arc<Shard> {
        if let Some(known) = self.map().at(address) {
            return known;
        }
        let mut map = self.map.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = map.at(address) {
            return known;
        }
        let shard = Shard::start(self, Place::At(address.clone()));
        map.shards.push(Arc::clone(&shard));
        shard
    }

    /// Asks the nodes of the cluster, one after the other, who has which slots, until one knows.
    pub(crate) async fn refresh(self: &Arc<Self>) -> Result<(), ConnectError> {
        let mut error = ConnectError::NoSlots;
        let mut links: Vec<_> = self.map().shards.iter().filter_map(|shard| shard.present()).collect();
        if !links.is_empty() {
            // Not always the same one: it may be the one that is cut off.
            let first = usize::try_from(random::below(links.len() as u64)).unwrap_or(0);
            links.rotate_left(first);
        }
        for link in links {
            let answer = timeout(self.dialer.timeout, link.slots()).await;
            if let Ok(Ok(answer)) = answer
                && let Some(shares) = parse_slots(&answer, &link.address)
            {
                self.apply(shares);
                return Ok(());
            }
        }
        for address in self.addresses() {
            match self.ask_slots(&address).await {
                Ok(shares) => {
                    self.apply(shares);
                    return Ok(());
                }
                Err(cause) => error = cause.at(&address),
            }
        }
        Err(error)
    }

    /// Asks again whenever there is reason to, and now and then without.
    pub(crate) async fn keep_map(self: Arc<Self>) {
        loop {
            // Whether time or somebody's word ends the wait makes no difference.
            drop(timeout(LOOK, self.stale.notified()).await);
            if let Err(error) = self.refresh().await {
                tracing::warn!(error = crate::error::chain(&error), "nobody says who has which slots");
            }
            sleep(PAUSE).await;
        }
    }

    /// Ends all tasks.
    pub(crate) fn close(&self) {
        *self.map.write().unwrap_or_else(PoisonError::into_inner) = Map::default();
    }

    /// All nodes that were ever named, those of the URL first.
    fn addresses(&self) -> Vec<Address> {
        let mut addresses = match &self.layout {
            Layout::Cluster(seeds) => seeds.clone(),
            Layout::Plain(_) | Layout::Sentinel { .. } => Vec::new(),
        };
        for Share { master, replicas, .. } in &self.map().shares {
            for address in std::iter::once(master).chain(replicas) {
                if !addresses.contains(address) {
                    addresses.push(address.clone());
                }
            }
        }
        addresses
    }

    async fn ask_slots(&self, address: &Address) -> Result<Vec<Share>, LinkError> {
        let mut wire = self.dialer.dial(address, None::<Deaf>).await?;
        let mut question = cmd("CLUSTER");
        let asking = wire.connection.send_packed_command(question.arg("SLOTS"));
        let answer =
            timeout(self.dialer.timeout, asking).await.map_err(|_| LinkError::Silent(self.dialer.timeout))??;
        match answer {
            Value::ServerError(error) => Err(LinkError::Refused(error.into())),
            answer => parse_slots(&answer, address).ok_or(LinkError::Answer("CLUSTER SLOTS")),
        }
    }

    fn apply(self: &Arc<Self>, shares: Vec<Share>) {
        let mut map = self.map.write().unwrap_or_else(PoisonError::into_inner);
        if map.shares == shares {
            return;
        }
        let mut next = Map { owners: vec![None; SLOTS], ..Map::default() };
        for share in &shares {
            let known = next.shards.iter().position(|it| matches!(&it.place, Place::At(at) if *at == share.master));
            let index = known.unwrap_or_else(|| {
                let shard = map.at(&share.master);
                next.shards.push(shard.unwrap_or_else(|| Shard::start(self, Place::At(share.master.clone()))));
                next.shards.len() - 1
            });
            next.owners[share.slots.clone()].fill(Some(index));
        }
        next.shares = shares;
        let before = std::mem::replace(&mut *map, next);
        let shards = map.shards.clone();
        drop(map);
        tracing::debug!(shards = shards.len(), "slots are at other servers");
        shards.iter().for_each(|shard| shard.poke());
        drop(before);
    }
}
