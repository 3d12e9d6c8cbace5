//! What shows that an epoch had two lives.

use super::*;

#[test]
fn two_messages_with_one_number_are_a_fork_until_the_epoch_ends() {
    let (store, mut copy, news) = stream(0, 2);
    hear_all(&mut copy, &news);
    let fork = Fork { position: at(2) };
    let another = Arc::new(Message { tag: 77, ..Message::clone(&news[1]) });
    assert_eq!(hear(&mut copy, &another), Heard::Fork(fork));
    let next = Arc::new(Message { seq: Seq::new(3).unwrap(), ..Message::clone(&another) });
    assert_eq!(hear(&mut copy, &next), Heard::Fork(fork), "it may be of either life");
    copy.let_go();
    assert_eq!(copy.learn(&store.head()), Learned::Behind, "so that somebody asks, and ends the epoch");
    assert_eq!(catch_up(&mut copy, &store), Err(fork));
    assert_eq!(copy.log().head().head.get(), 2);
    let other = Store::with(Kind::Stream, 2, Retention::stream());
    assert_eq!((copy.learn(&other.head()), copy.wants()), (Learned::Anew, None));
}

#[test]
fn a_fork_behind_a_lost_tail_is_seen_by_reading_the_own_head_once_more() {
    for kind in [Kind::Stream, Kind::State] {
        let (mut one, mut other) = (Store::new(kind), Store::new(kind));
        other.tag = 100;
        let say = |store: &mut Store, key| if kind == Kind::State { store.set(key) } else { store.say() };
        let mut copy = one.copy();
        hear(&mut copy, &say(&mut one, "a"));
        say(&mut other, "b");
        assert_eq!(hear(&mut copy, &say(&mut other, "c")), Heard::Grew, "two lives, and nobody can tell");
        say(&mut one, "b");
        say(&mut one, "c");
        copy.learn(&one.head());
        assert_eq!(catch_up(&mut copy, &one), Err(Fork { position: at(2) }));
    }
}

#[test]
fn a_log_that_went_back_within_its_epoch_is_a_fork() {
    let (mut store, mut copy, news) = stream(0, 5);
    hear_all(&mut copy, &news);
    let lost = store.say();
    drop(store.say());
    copy.learn(&store.head());
    let (lagging, ..) = stream(2, 0);
    assert_eq!(catch_up(&mut copy, &lagging), Err(Fork { position: at(4) }));
    assert_eq!(hear(&mut copy, &lost), Heard::Fork(Fork { position: at(4) }));
}
