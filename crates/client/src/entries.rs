//! What a state holds, put together from its events.

use std::collections::BTreeMap;
use std::collections::btree_map;
use std::mem;

use tricast_core::channel::Kind;

use crate::event::{Event, Message};

/// The newest message of each key of a state channel, kept up to date by the events of its subscription.
///
/// A snapshot takes the place of what was known in one go, once it is complete: who looks never sees half of one. It holds
/// as many entries as the channel has keys, which the channel's rule bounds.
///
/// # Examples
/// ```no_run
/// # async fn example(client: tricast_client::Client) -> Result<(), Box<dyn std::error::Error>> {
/// use tricast_client::Entries;
///
/// let mut board = client.channel("state:shop")?.subscribe(None).await?;
/// let mut entries = Entries::new();
/// while let Some(event) = board.next().await {
///     for change in entries.apply(&event) {
///         println!("{} is {:?}", change.key, change.now.as_ref().and_then(|message| message.text()));
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct Entries {
    known: BTreeMap<Box<str>, Message>,
    /// A snapshot that is being read.
    snapshot: Option<BTreeMap<Box<str>, Message>>,
    is_live: bool,
}

/// A key has another message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// Which key.
    pub key: Box<str>,
    /// Its message; `None` where it was removed.
    pub now: Option<Message>,
    /// The message that it had before; `None` where it is new.
    pub before: Option<Message>,
}

impl Entries {
    /// Nothing, before the first event.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes an event, and gives what has changed by it.
    pub fn apply(&mut self, event: &Event) -> Vec<Change> {
        match event {
            Event::Subscribed(event) if event.kind == Kind::State && event.recovered.is_none() => {
                self.begin(event.position.seq.get() == 0);
            }
            Event::Gap(event) => {
                self.is_live = false;
                self.begin(event.position.seq.get() == 0);
            }
            Event::Message(message) => return self.set(message).into_iter().collect(),
            Event::Live { .. } => {
                self.is_live = true;
                return self.snapshot.take().map(|complete| self.swap(complete)).unwrap_or_default();
            }
            Event::Subscribed(_) | Event::Failed(_) | Event::Unsubscribed { .. } => {}
        }
        Vec::new()
    }

    /// Whether everything is known that held when the last snapshot began.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.is_live
    }

    /// The newest message of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Message> {
        self.known.get(key)
    }

    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// The keys and their messages, by key.
    pub fn iter(&self) -> Iter<'_> {
        Iter(self.known.iter())
    }

    fn begin(&mut self, from_the_start: bool) {
        self.snapshot = from_the_start.then(BTreeMap::new);
    }

    fn set(&mut self, message: &Message) -> Option<Change> {
        let key = message.key.clone()?;
        let now = Some(message.clone()).filter(|message| !message.is_deletion());
        let map = self.snapshot.as_mut().unwrap_or(&mut self.known);
        let before = match &now {
            Some(message) => map.insert(key.clone(), message.clone()),
            None => map.remove(&key),
        };
        let is_seen = self.snapshot.is_none() && (now.is_some() || before.is_some());
        is_seen.then_some(Change { key, now, before })
    }

    /// Puts a snapshot that is complete in the place of what was known.
    fn swap(&mut self, complete: BTreeMap<Box<str>, Message>) -> Vec<Change> {
        let mut before = mem::replace(&mut self.known, complete);
        let mut changes = Vec::new();
        for (key, message) in &self.known {
            let old = before.remove(key);
            if old.as_ref().map(|old| old.position()) != Some(message.position()) {
                changes.push(Change { key: key.clone(), now: Some(message.clone()), before: old });
            }
        }
        let gone = before.into_iter().map(|(key, old)| Change { key, now: None, before: Some(old) });
        changes.extend(gone);
        changes
    }
}

/// The entries of a state, by key.
#[derive(Debug, Clone)]
pub struct Iter<'a>(btree_map::Iter<'a, Box<str>, Message>);

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a str, &'a Message);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|(key, message)| (&**key, message))
    }
}

impl<'a> IntoIterator for &'a Entries {
    type Item = (&'a str, &'a Message);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use tricast_core::message::Payload;
    use tricast_core::position::{Position, Seq};
    use tricast_core::protocol::event::{Gap, Subscribed};
    use tricast_core::protocol::{GapReason, MessageEvent};

    use super::*;

    fn at(seq: u64) -> Position {
        Position::new("aaaaaaaaaaaa".parse().unwrap(), Seq::new(seq).unwrap())
    }

    fn subscribed(seq: u64, recovered: Option<bool>) -> Event {
        let (channel, position, head) = ("state:a".parse().unwrap(), at(seq), at(9));
        Event::Subscribed(Subscribed { channel, kind: Kind::State, position, head, recovered, reference: None })
    }

    fn gap() -> Event {
        let (channel, position, head) = ("state:a".parse().unwrap(), at(0), at(20));
        Event::Gap(Gap { channel, position, head, reason: GapReason::Expired })
    }

    fn message(key: &str, seq: u64, payload: Option<&str>) -> Event {
        Event::Message(Message::from(MessageEvent {
            channel: "state:a".parse().unwrap(),
            epoch: at(0).epoch,
            seq: at(seq).seq,
            payload: payload.map(|text| Payload::json_text(text).unwrap()),
            at: 0,
            event: None,
            id: None,
            key: Some(key.into()),
            user: None,
        }))
    }

    /// The keys that each event changed, `-` before those that it removed.
    fn changes(entries: &mut Entries, events: &[Event]) -> Vec<String> {
        let told = events.iter().map(|event| {
            let changes = entries.apply(event).into_iter();
            let words: Vec<_> =
                changes.map(|it| format!("{}{}", if it.now.is_none() { "-" } else { "" }, it.key)).collect();
            words.join(" ")
        });
        told.collect()
    }

    const LIVE: fn() -> Event = || Event::Live { position: at(9) };

    #[test]
    fn a_snapshot_is_seen_whole_or_not_at_all() {
        let mut entries = Entries::new();
        let events = [subscribed(0, None), message("a", 3, Some("1")), message("b", 9, Some("2")), LIVE()];
        assert_eq!(changes(&mut entries, &events), ["", "", "", "a b"]);
        assert_eq!((entries.len(), entries.is_live()), (2, true));
        let news = [message("a", 10, Some("3")), message("b", 11, None), message("c", 12, None)];
        assert_eq!(changes(&mut entries, &news), ["a", "-b", ""]);
        assert_eq!(entries.iter().map(|(key, _)| key).collect::<Vec<_>>(), ["a"]);
    }

    #[test]
    fn after_a_gap_the_old_holds_until_the_new_is_whole() {
        let mut entries = Entries::new();
        let first = [subscribed(0, None), message("a", 3, Some("1")), message("b", 9, Some("2")), LIVE()];
        changes(&mut entries, &first);
        assert_eq!(
            changes(&mut entries, &[subscribed(0, Some(false)), gap(), message("a", 3, Some("1"))]),
            ["", "", ""]
        );
        assert!(!entries.is_live() && entries.get("b").is_some());
        assert_eq!(changes(&mut entries, &[message("d", 20, Some("4")), LIVE()]), ["", "d -b"]);
    }

    #[test]
    fn a_snapshot_goes_on_over_another_connection() {
        let mut entries = Entries::new();
        let events = [subscribed(0, None), message("a", 3, Some("1")), subscribed(3, Some(true)), LIVE()];
        assert_eq!(changes(&mut entries, &events), ["", "", "", "a"]);
    }

    #[test]
    fn who_reads_from_the_head_is_told_of_changes_alone() {
        let mut entries = Entries::new();
        assert_eq!(changes(&mut entries, &[subscribed(9, None), LIVE(), message("a", 10, Some("1"))]), ["", "", "a"]);
    }
}
