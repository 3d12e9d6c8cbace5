//! A channel that is alive on this node: its log, its readers, and the bytes they share.
//!
//! The log is the channel's own, where the embedded backplane keeps it, or a copy of what a store keeps that nodes
//! share ([`Cache`]). Readers see no difference, but that a copy may have to be filled first: [`super::logs`] does that.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tricast_core::cache::{Cache, Serves};
use tricast_core::channel::Topic;
use tricast_core::log::{Extent, Head, Limit, Log};
use tricast_core::message::{Encoding, Message, encode};
use tricast_core::position::{Position, Seq};
use tricast_core::replay::{Decision, decide};

use super::shared::Shared;
use crate::wake::Readers;

/// A channel's log on this node, which the hub's readers read.
///
/// Lock order: `encoded` before `kept`; neither is held while anyone is woken or written to.
#[derive(Debug)]
pub(crate) struct Feed {
    topic: Topic,
    readers: Readers,
    /// The newest seq in `log`: tells a reader without a lock that there is nothing for it.
    newest: AtomicU64,
    /// Counts the epochs that the log has had: tells a reader that its position may be of one that is over.
    lives: AtomicU32,
    kept: Mutex<Kept>,
    /// The last batch in each encoding, for the readers that come next to the same place.
    encoded: Mutex<[Option<Encoded>; 4]>,
    account: Arc<Account>,
    /// What a copy needs beyond its log.
    shared: Option<Box<Shared>>,
}

/// Whose log it is.
#[derive(Debug)]
enum Kept {
    Log(Log),
    Cache(Cache),
}

impl Kept {
    fn log(&self) -> &Log {
        match self {
            Self::Log(log) => log,
            Self::Cache(cache) => cache.log(),
        }
    }
}

/// What all channels of a node cost in memory.
#[derive(Debug, Default)]
pub(crate) struct Account {
    bytes: AtomicU64,
}

impl Account {
    /// Bytes of all logs, with what each channel costs by being kept.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(super) fn add(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn subtract(&self, bytes: u64) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        let memory = self.kept.get_mut().unwrap_or_else(PoisonError::into_inner).log().memory();
        self.account.subtract(OVERHEAD + memory);
    }
}

/// Bytes that a channel costs by being alive, before anything is in it.
const OVERHEAD: u64 = (size_of::<Feed>() + 2 * size_of::<usize>()) as u64;

#[derive(Debug)]
struct Encoded {
    after: Position,
    /// With `after` it tells the very messages: none is ever added or changed at or below a head, only taken away, so
    /// as many up to the same seq are the same.
    extent: Extent,
    bytes: Bytes,
}

/// What a reader finds after its position.
#[derive(Debug)]
pub(crate) enum Found {
    /// It has everything, and stands at this seq: on a state, beyond what it need not be told.
    Nothing { to: Seq },
    /// Messages, up to a seq.
    Messages(Batch),
    /// It cannot go on from what is here. Whether it can at all, and with what, the backplane has to say.
    Elsewhere,
}

/// A slice of a log, in the form that its reader asked for.
#[derive(Debug)]
pub(crate) struct Batch {
    /// Where the reader stands after it.
    pub(crate) to: Seq,
    /// How many messages.
    pub(crate) count: usize,
    /// Bytes of it, encoded or of payload: what a reader's budget is charged.
    pub(crate) size: usize,
    pub(crate) content: Content,
}

#[derive(Debug)]
pub(crate) enum Content {
    /// Encoded once, shared by all readers.
    Encoded(Bytes),
    /// The messages themselves, for a reader whose encoding is its own.
    Messages(Vec<Arc<Message>>),
}

impl Feed {
    /// A channel made alive; its log's memory is counted in `account`.
    pub(crate) fn new(topic: Topic, log: Log, account: Arc<Account>) -> Self {
        Self::keeping(topic, Kept::Log(log), account, None)
    }

    /// A copy of a channel of which nothing is known yet.
    pub(crate) fn copy(topic: Topic, account: Arc<Account>) -> Self {
        let cache = Cache::new(topic.rule.kind(), topic.rule.retention());
        Self::keeping(topic, Kept::Cache(cache), account, Some(Box::default()))
    }

    fn keeping(topic: Topic, kept: Kept, account: Arc<Account>, shared: Option<Box<Shared>>) -> Self {
        let newest = AtomicU64::new(kept.log().head().head.get());
        let (readers, lives) = (Readers::default(), AtomicU32::default());
        account.add(OVERHEAD + kept.log().memory());
        let (kept, encoded) = (Mutex::new(kept), Mutex::default());
        Self { topic, readers, newest, lives, kept, encoded, account, shared }
    }

    pub(crate) fn topic(&self) -> &Topic {
        &self.topic
    }

    pub(crate) fn readers(&self) -> &Readers {
        &self.readers
    }

    /// What a copy needs beyond its log; `None` where the log is the channel's own.
    pub(crate) fn shared(&self) -> Option<&Shared> {
        self.shared.as_deref()
    }

    /// Where the log stands, as far as it is here.
    pub(crate) fn head(&self) -> Head {
        self.lock().log().head()
    }

    /// Changes the log.
    pub(crate) fn with_log<T>(&self, change: impl FnOnce(&mut Log) -> T) -> T {
        self.with_kept(|kept| match kept {
            Kept::Log(log) => change(log),
            Kept::Cache(cache) => change(cache.log_mut()),
        })
    }

    /// Changes a copy; `None` of a channel's own log.
    pub(crate) fn with_cache<T>(&self, change: impl FnOnce(&mut Cache) -> T) -> Option<T> {
        self.with_kept(|kept| match kept {
            Kept::Log(_) => None,
            Kept::Cache(cache) => Some(change(cache)),
        })
    }

    /// Changes what is kept, and publishes its newest seq before the lock is gone.
    fn with_kept<T>(&self, change: impl FnOnce(&mut Kept) -> T) -> T {
        let mut kept = self.lock();
        let (before, epoch) = (kept.log().memory(), kept.log().head().epoch);
        let done = change(&mut kept);
        let (after, head) = (kept.log().memory(), kept.log().head());
        if after >= before {
            self.account.add(after - before);
        } else {
            self.account.subtract(before - after);
        }
        self.newest.store(head.head.get(), Ordering::Release);
        if head.epoch != epoch {
            self.lives.fetch_add(1, Ordering::Release);
        }
        done
    }

    /// Which of its lives the log is in. A reader whose position is of another has to be told.
    pub(crate) fn life(&self) -> u32 {
        self.lives.load(Ordering::Acquire)
    }

    /// Takes a reader off the list. When the last one leaves, the bytes that they shared are given back.
    pub(crate) fn leave(&self, place: u64) {
        if self.readers.leave(place) == 0 {
            self.forget_encoded();
        }
    }

    /// Gives back the bytes that readers shared: whoever comes next encodes them again.
    pub(crate) fn forget_encoded(&self) {
        *self.encoded.lock().unwrap_or_else(PoisonError::into_inner) = Default::default();
    }

    /// Whether there may be something after this seq.
    pub(crate) fn grew_past(&self, seq: Seq) -> bool {
        self.newest.load(Ordering::Acquire) > seq.get()
    }

    /// Reads after a position. `encoding` of `None` returns the messages themselves.
    pub(crate) fn read(&self, after: Position, limit: Limit, now_ms: u64, encoding: Option<Encoding>) -> Found {
        match encoding {
            Some(encoding) => self.read_encoded(after, limit, now_ms, encoding),
            None => {
                let kept = self.forget(now_ms);
                let Some((extent, _)) = goes_on(&kept, after, limit) else { return Found::Elsewhere };
                let messages = kept.log().read(after, limit);
                drop(kept);
                let size = messages.iter().map(|message| message.size()).sum();
                found(extent, size, || Content::Messages(messages))
            }
        }
    }

    fn read_encoded(&self, after: Position, limit: Limit, now_ms: u64, encoding: Encoding) -> Found {
        // Held while encoding: of the many readers that are woken together the first encodes, the others wait for it
        // rather than doing the same work. Publishers never take this lock.
        let mut cache = self.encoded.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = &mut cache[slot(encoding)];
        let known = |extent: Extent| {
            let known = slot.as_ref().filter(|known| known.after == after && known.extent == extent);
            known.map(|known| known.bytes.clone())
        };
        let kept = self.forget(now_ms);
        let Some((extent, head)) = goes_on(&kept, after, limit) else { return Found::Elsewhere };
        if let Some(bytes) = known(extent) {
            return found(extent, bytes.len(), || Content::Encoded(bytes));
        }
        let messages = kept.log().read(after, limit);
        drop(kept);
        let bytes = Bytes::from(encode(&self.topic.name, head.epoch, &messages, encoding));
        // Nobody else is there to share them with.
        let alone = self.readers.len() <= 1;
        *slot = (!alone).then(|| Encoded { after, extent, bytes: bytes.clone() });
        found(extent, bytes.len(), || Content::Encoded(bytes))
    }

    /// What is kept without what is over, for somebody who only reads it.
    fn forget(&self, now_ms: u64) -> MutexGuard<'_, Kept> {
        let mut kept = self.lock();
        if let Kept::Log(log) = &mut *kept {
            let freed = log.forget(now_ms);
            if freed > 0 {
                self.account.subtract(freed);
            }
        }
        kept
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        // A panic under this lock would be a bug in `Log`, whose methods leave it consistent between statements.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How far a reader may go; `None` where it cannot go on from what is here.
fn goes_on(kept: &Kept, after: Position, limit: Limit) -> Option<(Extent, Head)> {
    let (log, head) = (kept.log(), kept.log().head());
    let serves = match kept {
        Kept::Log(log) if decide(log.kind(), Some(after), &head) == Decision::Continue => Serves::Yes,
        Kept::Log(_) => Serves::No,
        Kept::Cache(cache) => cache.serves(after),
    };
    match serves {
        Serves::Yes => Some((log.extent(after, limit), head)),
        Serves::Ahead => Some((Extent { count: 0, to: after.seq }, head)),
        Serves::No => None,
    }
}

fn found(extent: Extent, size: usize, content: impl FnOnce() -> Content) -> Found {
    let Extent { count, to } = extent;
    if count == 0 { Found::Nothing { to } } else { Found::Messages(Batch { to, count, size, content: content() }) }
}

const fn slot(encoding: Encoding) -> usize {
    match encoding {
        Encoding::WebSocket => 0,
        Encoding::RawSse => 1,
        Encoding::EnvelopeSse => 2,
        Encoding::Json => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tricast_core::access::Identity;
    use tricast_core::channel::{Retention, Rule};
    use tricast_core::log::Stamp;
    use tricast_core::message::Draft;
    use tricast_core::position::Epoch;

    fn feed(rule: Rule) -> Feed {
        let log = Log::new(rule.kind(), Epoch::from_bits(1), rule.retention());
        Feed::new(Topic { name: "a".parse().unwrap(), rule: Arc::new(rule) }, log, Arc::default())
    }

    fn append(feed: &Feed, count: usize) {
        for _ in 0..count {
            let draft = Draft::json("x").unwrap();
            let stamp = Stamp { now_ms: 0, tag: 0 };
            feed.with_log(|log| log.append(draft, &Identity::Server.scope(), stamp)).unwrap();
        }
    }

    fn read(feed: &Feed, after: u64, encoding: Option<Encoding>) -> Option<Batch> {
        let after = Position::new(Epoch::from_bits(1), Seq::new(after).unwrap());
        match feed.read(after, Limit { messages: 3, bytes: 1_000 }, 0, encoding) {
            Found::Messages(batch) => Some(batch),
            Found::Nothing { .. } => None,
            Found::Elsewhere => panic!("a gap after {after}"),
        }
    }

    fn bytes(batch: Option<Batch>) -> Bytes {
        match batch.map(|batch| batch.content) {
            Some(Content::Encoded(bytes)) => bytes,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn readers_at_one_place_share_the_very_bytes_until_the_log_grows() {
        let feed = feed(Rule::stream());
        let _places = [feed.readers().join(Arc::default()), feed.readers().join(Arc::default())];
        append(&feed, 2);
        let first = bytes(read(&feed, 0, Some(Encoding::WebSocket)));
        let second = bytes(read(&feed, 0, Some(Encoding::WebSocket)));
        assert_eq!(first.as_ptr(), second.as_ptr());
        append(&feed, 1);
        let grown = read(&feed, 0, Some(Encoding::WebSocket)).unwrap();
        assert_eq!((grown.to.get(), grown.count), (3, 3), "a cached batch never hides what came after it");
        append(&feed, 5);
        let cut = bytes(read(&feed, 0, Some(Encoding::WebSocket)));
        assert_eq!(cut, bytes(Some(grown)), "a full batch stays what it is");
        assert_ne!(bytes(read(&feed, 0, Some(Encoding::RawSse))), cut, "each encoding has its own");
        assert_eq!(read(&feed, 3, Some(Encoding::WebSocket)).unwrap().to.get(), 6);
        assert_eq!(read(&feed, 3, None).unwrap().to.get(), 6);
        assert!(read(&feed, 8, Some(Encoding::WebSocket)).is_none());
    }

    #[test]
    fn a_cached_batch_is_not_served_once_its_beginning_is_forgotten() {
        let retention = Retention { keep: 2, ..Retention::stream() };
        let feed = feed(Rule::stream().keep(retention.keep));
        let _places = [feed.readers().join(Arc::default()), feed.readers().join(Arc::default())];
        append(&feed, 2);
        let cached = read(&feed, 0, Some(Encoding::Json));
        assert_eq!(cached.unwrap().count, 2);
        append(&feed, 1);
        let after = Position::new(Epoch::from_bits(1), Seq::ZERO);
        assert!(matches!(feed.read(after, Limit::default(), 0, Some(Encoding::Json)), Found::Elsewhere));
        assert!(matches!(feed.read(after, Limit::default(), 0, None), Found::Elsewhere));
    }

    #[test]
    fn what_a_read_finds_over_is_taken_off_the_account() {
        for encoding in [None, Some(Encoding::Json)] {
            let feed = feed(Rule::stream().ttl(std::time::Duration::from_millis(10)));
            append(&feed, 3);
            assert!(feed.account.bytes() > OVERHEAD);
            let all = Position::new(Epoch::from_bits(1), Seq::new(3).unwrap());
            assert!(matches!(feed.read(all, Limit::default(), 10, encoding), Found::Nothing { .. }));
            assert_eq!(feed.account.bytes(), OVERHEAD);
        }
    }

    #[test]
    fn a_reader_alone_leaves_no_bytes_behind() {
        let feed = feed(Rule::stream());
        append(&feed, 1);
        let _place = feed.readers().join(Arc::default());
        assert!(bytes(read(&feed, 0, Some(Encoding::Json))).is_unique());
    }

    #[test]
    fn the_last_reader_to_leave_gives_the_shared_bytes_back() {
        let feed = feed(Rule::stream());
        append(&feed, 1);
        let places = [feed.readers().join(Arc::default()), feed.readers().join(Arc::default())];
        let shared = bytes(read(&feed, 0, Some(Encoding::Json)));
        feed.leave(places[0]);
        assert!(!shared.is_unique());
        feed.leave(places[1]);
        assert!(shared.is_unique());
    }
}
