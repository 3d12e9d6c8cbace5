use super::*;
use crate::access::Identity;
use crate::limits::{FILL_BYTES, FILL_MESSAGES};
use crate::log::{Limit, Stamp};
use crate::message::{Draft, Payload};

mod filling;
mod forks;

/// What keeps the log of which there is a copy.
struct Store {
    log: Log,
    tag: u32,
}

impl Store {
    fn new(kind: Kind) -> Self {
        Self::with(kind, 1, Retention { ttl_ms: u64::MAX, ..Retention::stream() })
    }

    fn with(kind: Kind, epoch: u64, retention: Retention) -> Self {
        Self { log: Log::new(kind, Epoch::from_bits(epoch), retention), tag: 0 }
    }

    /// A state that remembers so many deletions.
    fn remembering(deletions: usize) -> Self {
        let retention = Retention { ttl_ms: u64::MAX, ..Retention::stream() };
        Self { log: Log::remembering(deletions, Epoch::from_bits(1), retention), tag: 0 }
    }

    fn append(&mut self, draft: Draft) -> Arc<Message> {
        self.tag += 1;
        let stamp = Stamp { now_ms: 0, tag: self.tag };
        let seq = self.log.append(draft, &Identity::Server.scope(), stamp).unwrap().position.seq;
        let kept = self.log.at(seq).cloned();
        kept.unwrap_or_else(|| Arc::new(Message { key: Some("k".into()), ..Message::deletion(seq, 0, self.tag) }))
    }

    fn say(&mut self) -> Arc<Message> {
        self.append(Draft::json("x").unwrap())
    }

    fn set(&mut self, key: &str) -> Arc<Message> {
        self.append(Draft { key: Some(key.into()), ..Draft::json("x").unwrap() })
    }

    fn delete(&mut self, key: &str) -> Arc<Message> {
        self.append(Draft::delete(key))
    }

    fn head(&self) -> Head {
        self.log.head()
    }

    fn read(&self, after: Position, messages: usize) -> Slice {
        let (head, limit) = (self.head(), Limit { messages, bytes: usize::MAX });
        if decide(self.log.kind(), Some(after), &head) != Decision::Continue {
            return Slice { head, messages: Vec::new(), to: after.seq };
        }
        Slice { head, messages: self.log.read(after, limit), to: self.log.extent(after, limit).to }
    }

    /// A copy of it that nobody has told of its head.
    fn unasked(&self) -> Cache {
        Cache::new(self.log.kind(), Retention { ttl_ms: u64::MAX, ..Retention::stream() })
    }

    /// A copy of it that begins at its head.
    fn copy(&self) -> Cache {
        let mut copy = self.unasked();
        assert_eq!(copy.learn(&self.head()), Learned::Anew);
        copy
    }
}

fn at(seq: u64) -> Position {
    Position::new(Epoch::from_bits(1), Seq::new(seq).unwrap())
}

fn with_base(seq: u64, base: u64) -> Position {
    Position { base: Seq::new(base), ..at(seq) }
}

fn hear(copy: &mut Cache, message: &Arc<Message>) -> Heard {
    copy.hear(copy.log().head().epoch, Arc::clone(message))
}

fn hear_all(copy: &mut Cache, news: &[Arc<Message>]) {
    for message in news {
        hear(copy, message);
    }
}

/// Catches up by one question.
fn catch_up(copy: &mut Cache, store: &Store) -> Result<Learned, Fork> {
    let after = copy.wants().expect("something is missing");
    copy.catch_up(after, &store.read(after, usize::MAX))
}

fn seqs(copy: &Cache, after: Position) -> Vec<u64> {
    assert_eq!(copy.serves(after), Serves::Yes);
    let all = Limit { messages: usize::MAX, bytes: usize::MAX };
    copy.log().read(after, all).iter().map(|message| message.seq.get()).collect()
}

/// A stream of so many messages, a copy that heard of the rest, and that rest.
fn stream(before: usize, after: usize) -> (Store, Cache, Vec<Arc<Message>>) {
    let mut store = Store::new(Kind::Stream);
    (0..before).for_each(|_| drop(store.say()));
    let copy = store.copy();
    let news = (0..after).map(|_| store.say()).collect();
    (store, copy, news)
}

#[test]
fn news_in_order_is_taken_and_repeated_news_is_dropped() {
    let (_, mut copy, news) = stream(2, 2);
    assert_eq!(hear(&mut copy, &news[0]), Heard::Grew);
    assert_eq!(hear(&mut copy, &news[0]), Heard::Nothing);
    assert_eq!(hear(&mut copy, &news[1]), Heard::Grew);
    assert_eq!(hear(&mut copy, &news[0]), Heard::Nothing);
    assert_eq!(seqs(&copy, at(2)), [3, 4]);
    assert_eq!((copy.serves(at(1)), copy.serves(at(4))), (Serves::No, Serves::Ahead));
    assert_eq!((copy.serves(at(9)), copy.wants()), (Serves::Ahead, None));
}

#[test]
fn nothing_is_heard_before_a_head() {
    let (mut store, ..) = stream(1, 0);
    let mut copy = Cache::new(Kind::Stream, Retention::stream());
    assert_eq!(copy.hear(Epoch::from_bits(1), store.say()), Heard::Nothing);
    assert_eq!((copy.is_begun(), copy.wants(), copy.serves(at(0))), (false, None, Serves::No));
    assert!(copy.lacks(at(0)).is_none());
}

#[test]
fn nothing_behind_a_hole_is_taken_before_it_is_filled() {
    let (_, mut copy, news) = stream(1, 3);
    assert_eq!(hear(&mut copy, &news[0]), Heard::Grew);
    assert_eq!(hear(&mut copy, &news[2]), Heard::Behind);
    assert_eq!((seqs(&copy, at(1)), copy.wants()), (vec![2], Some(at(1))));
    assert_eq!(hear(&mut copy, &news[1]), Heard::Behind, "what came before its time was not kept");
    assert_eq!(hear(&mut copy, &news[2]), Heard::Grew);
    assert_eq!((seqs(&copy, at(1)), copy.wants()), (vec![2, 3, 4], None));
}

#[test]
fn a_lost_tail_is_told_by_a_head_and_read_with_what_is_here() {
    let (store, mut copy, news) = stream(1, 4);
    assert_eq!(copy.wants(), None);
    assert_eq!(copy.learn(&store.head()), Learned::Behind);
    assert_eq!(copy.wants(), Some(at(1)), "there is no message at its own head to compare");
    assert_eq!(hear(&mut copy, &news[0]), Heard::Behind);
    let after = copy.wants().unwrap();
    assert_eq!(after, at(1), "its own head is read once more");
    assert_eq!(copy.catch_up(after, &store.read(after, 2)), Ok(Learned::Behind));
    assert_eq!(catch_up(&mut copy, &store), Ok(Learned::Current));
    assert_eq!(seqs(&copy, at(1)), [2, 3, 4, 5]);
}

#[test]
fn a_copy_that_grows_while_it_catches_up_takes_what_is_left() {
    for kind in [Kind::Stream, Kind::State] {
        let mut store = Store::new(kind);
        let mut say = |key: &str| if kind == Kind::State { store.set(key) } else { store.say() };
        let first = say("a");
        let mut copy = Cache::new(kind, Retention::stream());
        copy.learn(&Head { head: Seq::ZERO, first: first.seq, epoch: Epoch::from_bits(1), floor: Seq::ZERO });
        let news = [say("b"), say("c"), say("a"), say("d")];
        assert_eq!(hear(&mut copy, &news[1]), Heard::Behind);
        let after = copy.wants().unwrap();
        let slice = store.read(after, usize::MAX);
        hear(&mut copy, &first);
        hear(&mut copy, &news[0]);
        assert_eq!(copy.catch_up(after, &slice), Ok(Learned::Current));
        let all: &[u64] = if kind == Kind::State { &[2, 3, 4, 5] } else { &[1, 2, 3, 4, 5] };
        assert_eq!(seqs(&copy, at(0)), all);
    }
}

#[test]
fn a_head_of_another_epoch_begins_anew_and_news_of_one_is_in_doubt() {
    let (_, mut copy, news) = stream(1, 1);
    let mut other = Store::with(Kind::Stream, 2, Retention::stream());
    let message = other.say();
    assert_eq!(copy.hear(other.head().epoch, Arc::clone(&message)), Heard::Doubt);
    assert_eq!(copy.log().head().epoch, Epoch::from_bits(1), "it may be old");
    assert_eq!(copy.learn(&other.head()), Learned::Anew);
    assert_eq!(copy.hear(Epoch::from_bits(1), Arc::clone(&news[0])), Heard::Doubt);
    assert_eq!(copy.hear(other.head().epoch, message), Heard::Nothing);
    assert_eq!((copy.serves(at(1)), copy.serves(other.head().position())), (Serves::No, Serves::Ahead));
}

#[test]
fn what_is_told_before_the_answer_to_the_first_question_is_missing_after_it() {
    let mut store = Store::new(Kind::Stream);
    let answered = store.head();
    let news = [store.say(), store.say()];
    let (mut strange, mut copy) = (Store::with(Kind::Stream, 2, Retention::stream()), store.unasked());
    // News of a life that is over come late, and say nothing of this one.
    assert_eq!(copy.hear(strange.head().epoch, strange.say()), Heard::Nothing);
    for message in news.iter().rev() {
        assert_eq!(copy.hear(answered.epoch, Arc::clone(message)), Heard::Nothing);
    }
    assert_eq!((copy.learn(&answered), copy.wants()), (Learned::Anew, Some(at(0))));
    assert_eq!(catch_up(&mut copy, &store), Ok(Learned::Current));
    assert_eq!(seqs(&copy, at(0)), [1, 2]);

    // So it is with news of the next life.
    let next = strange.head();
    let told = strange.say();
    assert_eq!(copy.hear(next.epoch, told), Heard::Doubt);
    assert_eq!((copy.learn(&next), copy.wants()), (Learned::Anew, Some(next.position())));

    // What was told before it was closed is not what is missing afterwards.
    assert_eq!(copy.hear(answered.epoch, Arc::clone(&news[1])), Heard::Doubt);
    copy.close();
    assert_eq!((copy.learn(&answered), copy.wants()), (Learned::Anew, None));
}

#[test]
fn a_stale_head_changes_nothing() {
    let (store, mut copy, news) = stream(3, 0);
    let stale = Head { head: Seq::new(1).unwrap(), ..store.head() };
    assert_eq!(copy.learn(&stale), Learned::Current);
    assert!(news.is_empty());
    assert_eq!((copy.log().head().head, copy.wants()), (store.head().head, None));
}

#[test]
fn what_the_store_has_forgotten_is_forgotten_here() {
    let (store, mut copy, news) = stream(1, 3);
    hear_all(&mut copy, &news);
    let full = copy.log().bytes();
    assert_eq!(copy.learn(&Head { first: Seq::new(3).unwrap(), ..store.head() }), Learned::Current);
    assert_eq!((copy.serves(at(1)), seqs(&copy, at(2))), (Serves::No, vec![3, 4]));
    assert!(copy.log().bytes() < full);
    copy.learn(&Head { first: Seq::new(5).unwrap(), ..store.head() });
    assert_eq!((copy.serves(at(3)), copy.serves(at(4)), copy.log().bytes()), (Serves::No, Serves::Ahead, 0));
}

#[test]
fn a_copy_too_far_behind_begins_anew() {
    let mut store = Store::with(Kind::Stream, 1, Retention { keep: 2, ..Retention::stream() });
    let mut copy = store.copy();
    (0..5).for_each(|_| drop(store.say()));
    assert_eq!(copy.learn(&store.head()), Learned::Behind);
    assert_eq!(catch_up(&mut copy, &store), Ok(Learned::Anew));
    assert_eq!((copy.serves(at(0)), copy.serves(at(5)), copy.wants()), (Serves::No, Serves::Ahead, None));
}

#[test]
fn a_slice_that_leaves_out_a_message_is_taken_up_to_there() {
    let (store, mut copy, _) = stream(0, 4);
    copy.learn(&store.head());
    let mut slice = store.read(at(0), usize::MAX);
    slice.messages.remove(1);
    assert_eq!(copy.catch_up(at(0), &slice), Ok(Learned::Behind));
    assert_eq!((seqs(&copy, at(0)), copy.wants()), (vec![1], Some(at(0))));
}

#[test]
fn what_was_asked_of_an_epoch_that_is_left_takes_the_copy_nowhere() {
    let (store, mut copy, _) = stream(1, 2);
    copy.learn(&store.head());
    let (after, stale) = (copy.wants().unwrap(), store.read(copy.wants().unwrap(), usize::MAX));
    let mut other = Store::with(Kind::Stream, 2, Retention::stream());
    copy.learn(&other.head());
    let message = other.say();
    assert_eq!(hear(&mut copy, &message), Heard::Grew);
    assert_eq!(copy.catch_up(after, &stale), Ok(Learned::Current), "it says nothing of the present");
    let answered_late = Slice { head: Head { head: Seq::ZERO, ..other.head() }, messages: Vec::new(), to: after.seq };
    assert_eq!(copy.catch_up(after, &answered_late), Ok(Learned::Current));
    assert_eq!(copy.log().head().position(), other.head().position());
    let third = Store::with(Kind::Stream, 3, Retention::stream());
    let slice = Slice { head: third.head(), messages: Vec::new(), to: after.seq };
    assert_eq!(copy.catch_up(after, &slice), Ok(Learned::Anew), "but of one that is new it does");
}

#[test]
fn letting_go_keeps_the_head_and_closing_keeps_nothing() {
    let (mut store, mut copy, news) = stream(1, 2);
    hear(&mut copy, &news[1]);
    copy.let_go();
    assert_eq!((copy.serves(at(0)), copy.wants()), (Serves::No, Some(at(1))), "what it was told of it remembers");
    assert_eq!(catch_up(&mut copy, &store), Ok(Learned::Current));
    assert_eq!(hear(&mut copy, &store.say()), Heard::Grew);
    copy.let_go();
    assert_eq!((copy.log().bytes(), copy.serves(at(3)), copy.serves(at(4))), (0, Serves::No, Serves::Ahead));

    let (after, slice) = (at(2), store.read(at(2), usize::MAX));
    copy.close();
    copy.let_go();
    assert_eq!((copy.is_begun(), copy.serves(at(4)), copy.wants()), (false, Serves::No, None));
    assert_eq!(hear(&mut copy, &store.say()), Heard::Nothing);
    copy.catch_up(after, &slice).unwrap();
    assert!(!copy.is_begun(), "nobody tells it news, so an answer that is late does not begin it");
}

#[test]
fn a_state_steps_over_what_was_replaced_and_takes_deletions() {
    let mut store = Store::new(Kind::State);
    let mut copy = store.copy();
    assert_eq!(hear(&mut copy, &store.set("a")), Heard::Grew);
    store.set("b");
    store.set("b");
    store.delete("a");
    store.set("b");
    copy.learn(&store.head());
    assert_eq!(catch_up(&mut copy, &store), Ok(Learned::Current));
    assert_eq!((seqs(&copy, at(0)), copy.log().len()), (vec![4, 5], 1));
    assert_eq!(seqs(&copy, with_base(1, 4)), [5], "no deletion up to its base is told to a snapshot");
    assert!(!copy.log().holds("a"));
}

#[test]
fn a_snapshot_is_not_read_from_a_copy_behind_its_base() {
    let mut store = Store::new(Kind::State);
    let mut copy = store.copy();
    hear(&mut copy, &store.set("a"));
    store.delete("a");
    assert_eq!(copy.serves(with_base(0, 2)), Serves::No, "a key would be told of that is gone, and it would stay");
    assert_eq!(copy.serves(at(0)), Serves::Yes);
    copy.learn(&store.head());
    catch_up(&mut copy, &store).unwrap();
    assert!(seqs(&copy, with_base(0, 2)).is_empty());
}

#[test]
fn who_lacks_deletions_that_are_forgotten_is_not_served() {
    let mut store = Store::remembering(1);
    let mut copy = store.copy();
    for message in [store.set("a"), store.set("b"), store.delete("a"), store.delete("b")] {
        hear(&mut copy, &message);
    }
    assert_eq!(copy.serves(at(1)), Serves::Yes);
    copy.learn(&store.head());
    assert_eq!((copy.serves(at(1)), copy.serves(at(3))), (Serves::No, Serves::Yes));
    assert_eq!((copy.serves(at(0)), copy.serves(with_base(1, 3))), (Serves::Yes, Serves::Yes));
    assert_eq!(copy.serves(with_base(1, 2)), Serves::No);
    let mut stream = Store::new(Kind::Stream);
    stream.say();
    assert_eq!(stream.copy().serves(with_base(0, 1)), Serves::No, "no stream has a base");
}

#[test]
fn a_copy_that_asks_from_zero_once_more_is_owed_the_deletions() {
    let mut store = Store::remembering(0);
    let mut copy = store.copy();
    assert_eq!(hear(&mut copy, &store.set("k")), Heard::Grew);
    store.delete("k");
    store.set("a");
    copy.learn(&store.head());
    assert_eq!(copy.wants(), Some(at(0)), "its own head is read once more");
    assert_eq!(catch_up(&mut copy, &store), Ok(Learned::Anew));
    assert!(!copy.log().holds("k"), "its deletion is forgotten");
}

#[test]
fn a_page_with_room_for_one_message_gets_a_copy_on() {
    for kind in [Kind::Stream, Kind::State] {
        let mut store = Store::new(kind);
        let say = |store: &mut Store, key| if kind == Kind::State { store.set(key) } else { store.say() };
        let mut copy = store.copy();
        hear(&mut copy, &say(&mut store, "a"));
        say(&mut store, "b");
        say(&mut store, "c");
        copy.learn(&store.head());
        for asked in [0, 1, 1, 2] {
            let after = copy.wants().unwrap();
            assert_eq!(after, at(asked), "each number is read once more, but only once");
            copy.catch_up(after, &store.read(after, 1)).unwrap();
        }
        assert_eq!((copy.wants(), seqs(&copy, at(0))), (None, vec![1, 2, 3]));
    }
}

#[test]
fn a_copy_that_begins_anew_remembers_what_it_was_told_while_it_asked() {
    let mut store = Store::with(Kind::Stream, 1, Retention { keep: 2, ..Retention::stream() });
    let mut copy = store.copy();
    (0..5).for_each(|_| drop(store.say()));
    copy.learn(&store.head());
    let (after, slice) = (copy.wants().unwrap(), store.read(copy.wants().unwrap(), usize::MAX));
    store.say();
    copy.learn(&store.head());
    assert_eq!(copy.catch_up(after, &slice), Ok(Learned::Anew));
    assert_eq!(copy.wants(), Some(at(5)), "the sixth is missing, and nobody may be told that nothing is new");
}
