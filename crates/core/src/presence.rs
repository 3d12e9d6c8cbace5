//! Who is on a channel: which client holds its place, until when, and what has to be written for it.
//!
//! Members are entries of a state channel, `@presence/<channel>`; nothing here writes them. A client *holds* its place
//! for as long as a connection of it is subscribed, and it goes on standing for a time after the last has gone (the
//! grace; longer for a poller, who is gone between any two requests). What the members' log lacks is asked for by
//! [`Presence::next`] and told by [`Presence::written`], so that there is never more than one write under way for a
//! member, and whatever happens meanwhile is written after it.
//!
//! # No flapping
//! A client that comes back in time, on whatever transport, finds its place as it was, and nothing is written. Only
//! what a member shows, its coming and its leaving are.
//!
//! # Whose member it is
//! A client may reach another node before this one has noticed that it left. The log knows which nodes hold a member
//! ([`crate::message::Hold`]): the other one finds it there ([`Presence::found`]) and nothing is appended, and what this
//! one removes later is its hold, and the member only if nobody else holds it.
//!
//! # Bounds
//! A channel has as many members as its state has keys, and a node [`PRESENCE_PER_NODE`] on all of them. Who comes
//! beyond that is not a member.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use crate::access::UserId;
use crate::channel::ChannelName;
use crate::json::Json;
use crate::limits::PRESENCE_PER_NODE;
use crate::position::Seq;
use crate::protocol::ClientId;
use crate::protocol::event::Member;

/// After how long a write is tried again that the log did not answer.
const RETRY: Duration = Duration::from_secs(1);

/// A client on a channel. Cheap to clone.
///
/// A client id is public, so it is the user as well who makes a member: nobody takes another's place by borrowing an id.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Who {
    /// The channel; not that of its members.
    pub channel: ChannelName,
    /// The user, if signed in.
    pub user: Option<UserId>,
    /// The client.
    pub client: ClientId,
}

/// What has to be written to the members' log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The member's entry, whether or not there is one.
    Show(Member),
    /// This node holds it no more: its removal, if nobody else does. Its entry was the one with this seq.
    Remove(Seq),
}

/// What became of a [`Change`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is in the log, under this seq.
    Written(Seq),
    /// The log does not take it: it is full, or the entry is another's by now.
    Refused,
    /// The log did not answer.
    Failed,
}

/// The members of all channels, as far as this node holds them. See the module.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use tricast_core::position::Seq;
/// use tricast_core::presence::{Change, Outcome, Presence, Who};
///
/// let (grace, at) = (Duration::from_secs(5), Duration::from_secs);
/// let who = Who { channel: "chat:1".parse()?, user: None, client: "Zk3_x-91".parse()? };
/// let mut presence = Presence::new(10_000);
/// assert!(presence.hold(&who, None, 1_700_000_000_000));
/// let show = presence.next(&who).unwrap();
/// assert!(matches!(show, Change::Show(_)));
/// presence.written(&who, &show, Outcome::Written(Seq::new(1).unwrap()), at(0));
///
/// presence.release(&who, at(10) + grace);
/// assert!(presence.hold(&who, None, 1_700_000_012_000), "it is back in time");
/// assert_eq!(presence.next(&who), None);
///
/// presence.release(&who, at(20) + grace);
/// assert_eq!(presence.expire(at(25)), [who.clone()]);
/// assert_eq!(presence.next(&who), Some(Change::Remove(Seq::new(1).unwrap())));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Presence {
    channels: HashMap<ChannelName, HashMap<Key, Place>>,
    due: BTreeSet<(Duration, Who)>,
    members: usize,
    most_per_channel: usize,
    most: usize,
}

/// Which of a channel's members.
type Key = (Option<UserId>, ClientId);

#[derive(Debug)]
struct Place {
    /// Connections that hold it.
    holds: usize,
    /// Without one, how long it stands.
    until: Duration,
    /// Nobody held it in time: its entry is to be removed.
    gone: bool,
    since: u64,
    data: Option<Json>,
    /// Its entry in the log.
    entry: Option<Entry>,
    /// Somebody is writing.
    writing: bool,
    /// There was no room for its entry: not tried again until it is held anew.
    refused: bool,
    /// When it is looked at again: it may be over, or a write is to be tried again.
    due: Option<Duration>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    seq: Seq,
    since: u64,
    data: Option<Json>,
}

impl Who {
    fn key(&self) -> Key {
        (self.user.clone(), self.client.clone())
    }
}

impl Presence {
    /// Nobody anywhere, and at most so many members on any channel.
    #[must_use]
    pub fn new(most_per_channel: usize) -> Self {
        Self::bounded(most_per_channel, PRESENCE_PER_NODE)
    }

    fn bounded(most_per_channel: usize, most: usize) -> Self {
        Self { channels: HashMap::new(), due: BTreeSet::new(), members: 0, most_per_channel, most }
    }

    /// A connection takes the client's place, and shows `data` if there is any; false if there is no room.
    ///
    /// Without data a member goes on showing what it shows.
    pub fn hold(&mut self, who: &Who, data: Option<Json>, wall_ms: u64) -> bool {
        let is_known = self.place(who).is_some();
        let count = self.channels.get(&who.channel).map_or(0, HashMap::len);
        if !is_known && (count >= self.most_per_channel || self.members >= self.most) {
            return false;
        }
        if !is_known {
            self.members += 1;
        }
        let places = self.channels.entry(who.channel.clone()).or_default();
        let place = places.entry(who.key()).or_insert_with(|| Place::new(wall_ms));
        // It comes anew, even if its entry has not been removed yet.
        if std::mem::take(&mut place.gone) {
            (place.since, place.data) = (wall_ms, None);
        }
        place.holds += 1;
        place.refused = false;
        if data.is_some() {
            place.data = data;
        }
        self.schedule(who, None);
        true
    }

    /// A connection lets the place go, which stands until `until` at least.
    pub fn release(&mut self, who: &Who, until: Duration) {
        let Some(place) = self.place_mut(who) else { return };
        place.holds = place.holds.saturating_sub(1);
        place.until = place.until.max(until);
        let (free, until) = (place.holds == 0, place.until);
        if free {
            self.schedule(who, Some(until));
        }
    }

    /// Changes what a member shows; false if nobody holds its place.
    pub fn show(&mut self, who: &Who, data: Json) -> bool {
        let Some(place) = self.place_mut(who).filter(|place| place.holds > 0) else { return false };
        place.data = Some(data);
        place.refused = false;
        true
    }

    /// What a member shows.
    #[must_use]
    pub fn shown(&self, who: &Who) -> Option<&Json> {
        self.place(who)?.data.as_ref()
    }

    /// When the next place is over, or a write is to be tried again.
    #[must_use]
    pub fn due(&self) -> Option<Duration> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Lets those go whose time is over. Who is returned is gone, or has a write to be tried again.
    pub fn expire(&mut self, now: Duration) -> Vec<Who> {
        let mut over = Vec::new();
        while let Some((_, who)) = self.due.first().filter(|(at, _)| *at <= now).cloned() {
            self.schedule(&who, None);
            let Some(place) = self.place_mut(&who) else { continue };
            let standing = (place.holds == 0 && now < place.until).then_some(place.until);
            place.gone = place.holds == 0 && standing.is_none();
            let concerned = place.gone || place.change(&who).is_some();
            self.schedule(&who, standing);
            self.forget_settled(&who);
            if concerned {
                over.push(who);
            }
        }
        over
    }

    /// What is to be written for a member, if nobody is writing for it. [`Presence::written`] has to follow.
    pub fn next(&mut self, who: &Who) -> Option<Change> {
        let place = self.place_mut(who)?;
        let change = place.change(who)?;
        place.writing = true;
        Some(change)
    }

    /// Tells what became of the change that was asked for. There may be a next.
    pub fn written(&mut self, who: &Who, change: &Change, outcome: Outcome, now: Duration) {
        let Some(place) = self.place_mut(who) else { return };
        place.writing = false;
        match (outcome, change) {
            (Outcome::Written(seq), Change::Show(Member { data, since, .. })) => {
                place.entry = Some(Entry { seq, since: *since, data: data.clone() });
            }
            (Outcome::Written(_) | Outcome::Refused, Change::Remove(_)) => place.entry = None,
            (Outcome::Refused, Change::Show(_)) => match &place.entry {
                // What it showed before goes on being shown.
                Some(entry) => (place.since, place.data) = (entry.since, entry.data.clone()),
                None => place.refused = true,
            },
            (Outcome::Failed, _) => {
                let again = now + RETRY;
                let due = place.due.map_or(again, |due| due.min(again));
                self.schedule(who, Some(due));
            }
        }
        self.forget_settled(who);
    }

    /// Tells that the log shows the member already, as another node wrote it: it has been there since then, and goes on
    /// showing what it shows, unless it has something of its own to show. In place of [`Presence::written`].
    pub fn found(&mut self, who: &Who, seq: Seq, member: Member) {
        let Some(place) = self.place_mut(who) else { return };
        place.writing = false;
        let Member { data, since, .. } = member;
        place.since = since;
        place.data = place.data.take().or_else(|| data.clone());
        place.entry = Some(Entry { seq, since, data });
        self.forget_settled(who);
    }

    /// Whether anything of the log is left is not known: forgets what is in it, on a channel or on all. Who is returned has
    /// to be written anew.
    pub fn doubt(&mut self, channel: Option<&ChannelName>) -> Vec<Who> {
        let mut doubted = Vec::new();
        for (name, places) in &mut self.channels {
            if channel.is_some_and(|channel| channel != name) {
                continue;
            }
            for ((user, client), place) in places.iter_mut().filter(|(_, place)| !place.gone) {
                place.entry = None;
                doubted.push(Who { channel: name.clone(), user: user.clone(), client: client.clone() });
            }
        }
        doubted
    }

    /// Whether anybody has, or had until lately, a place on the channel.
    #[must_use]
    pub fn has_members(&self, channel: &ChannelName) -> bool {
        self.channels.contains_key(channel)
    }

    fn place(&self, who: &Who) -> Option<&Place> {
        self.channels.get(&who.channel)?.get(&who.key())
    }

    fn place_mut(&mut self, who: &Who) -> Option<&mut Place> {
        self.channels.get_mut(&who.channel)?.get_mut(&who.key())
    }

    fn schedule(&mut self, who: &Who, due: Option<Duration>) {
        let Some(place) = self.place_mut(who) else { return };
        let before = std::mem::replace(&mut place.due, due);
        if let Some(before) = before {
            self.due.remove(&(before, who.clone()));
        }
        if let Some(due) = due {
            self.due.insert((due, who.clone()));
        }
    }

    /// Forgets a member that is gone, once its entry is.
    fn forget_settled(&mut self, who: &Who) {
        if !self.place(who).is_some_and(|place| place.gone && place.entry.is_none() && !place.writing) {
            return;
        }
        self.schedule(who, None);
        if let Some(places) = self.channels.get_mut(&who.channel) {
            places.remove(&who.key());
            if places.is_empty() {
                self.channels.remove(&who.channel);
            }
        }
        self.members -= 1;
    }
}

impl Place {
    fn new(since: u64) -> Self {
        Self {
            holds: 0,
            until: Duration::ZERO,
            gone: false,
            since,
            data: None,
            entry: None,
            writing: false,
            refused: false,
            due: None,
        }
    }

    /// What is to be written, if nobody is writing.
    fn change(&self, who: &Who) -> Option<Change> {
        match &self.entry {
            _ if self.writing => None,
            Some(entry) if self.gone => Some(Change::Remove(entry.seq)),
            None if self.gone || self.refused => None,
            Some(entry) if (entry.since, &entry.data) == (self.since, &self.data) => None,
            Some(_) | None => {
                let (client, data) = (who.client.clone(), self.data.clone());
                let user = who.user.as_ref().map(|user| Box::from(user.as_str()));
                Some(Change::Show(Member { client, user, data, since: self.since }))
            }
        }
    }
}

#[cfg(test)]
mod tests;
