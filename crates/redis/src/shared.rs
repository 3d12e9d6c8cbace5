//! What the tasks and the calls of one backplane share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};

use tokio::sync::{Notify, Semaphore};
use tricast_core::backplane::{Events, Uncertain};
use tricast_core::channel::ChannelName;

use crate::dial::Dialer;
use crate::link::Trust;
use crate::refusal::Refusal;
use crate::request::Names;
use crate::shard::Place;
use crate::topology::Map;
use crate::url::Layout;

/// Calls under way at once. One more is `unavailable`, and was not sent.
const CALLS: usize = 4_096;

pub(crate) struct Shared {
    pub(crate) dialer: Dialer,
    pub(crate) names: Names,
    pub(crate) trust: Trust,
    pub(crate) layout: Layout,
    pub(crate) events: OnceLock<Arc<dyn Events>>,
    pub(crate) calls: Semaphore,
    /// Which servers there are; read by every call, written when slots move.
    pub(crate) map: RwLock<Map>,
    /// Said when the map may be out of date.
    pub(crate) stale: Notify,
    /// The channels that are watched, by the name of their feed; true once that was confirmed.
    watched: Mutex<HashMap<String, (ChannelName, bool)>>,
}

impl Shared {
    pub(crate) fn new(dialer: Dialer, names: Names, trust: Trust, layout: Layout) -> Self {
        Self {
            dialer,
            names,
            trust,
            layout,
            events: OnceLock::new(),
            calls: Semaphore::new(CALLS),
            map: RwLock::default(),
            stale: Notify::new(),
            watched: Mutex::default(),
        }
    }

    pub(crate) fn is_cluster(&self) -> bool {
        matches!(self.layout, Layout::Cluster(_))
    }

    pub(crate) fn watched(&self) -> MutexGuard<'_, HashMap<String, (ChannelName, bool)>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The watched channels whose server is there.
    pub(crate) fn watched_at(&self, place: &Place) -> HashMap<String, ChannelName> {
        let map = self.map();
        let all = self.watched();
        let here = all.iter().filter(|(_, (channel, _))| !self.is_cluster() || map.is_at(channel, place));
        here.map(|(feed, (channel, _))| (feed.clone(), channel.clone())).collect()
    }

    /// What was told of the channels there may be incomplete.
    pub(crate) fn tell_uncertain(&self, place: &Place) {
        if self.is_cluster() {
            let channels: Vec<_> = self.watched_at(place).into_values().collect();
            self.tell_uncertain_of(&channels);
        } else if let Some(events) = self.events.get() {
            events.uncertain(Uncertain::All);
        }
    }

    pub(crate) fn tell_uncertain_of(&self, channels: &[ChannelName]) {
        if let Some(events) = self.events.get() {
            channels.iter().for_each(|channel| events.uncertain(Uncertain::Channel(channel)));
        }
    }

    /// Takes the hint in what a server of the cluster refused.
    pub(crate) fn learn(&self, refusal: &Refusal) {
        if let Refusal::Moved(_) | Refusal::Later(_) | Refusal::Server(_) | Refusal::Lost(_) = refusal {
            self.stale.notify_one();
        }
    }
}
