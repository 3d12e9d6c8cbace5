use super::*;
use crate::access::Identity;
use crate::message::Payload;

fn log(retention: Retention) -> Log {
    Log::new(Kind::Stream, Epoch::from_bits(1), retention)
}

fn after(seq: u64) -> Position {
    Position::new(Epoch::from_bits(1), Seq::new(seq).unwrap())
}

fn draft(text: &str) -> Draft {
    Draft::json(text).unwrap()
}

fn append(log: &mut Log, text: &str, now_ms: u64) -> Appended {
    log.append(draft(text), &Identity::Server.scope(), Stamp { now_ms, tag: 0 }).unwrap()
}

fn texts(messages: &[Arc<Message>]) -> Vec<String> {
    let text = |message: &Arc<Message>| match &message.payload {
        Some(Payload::Json(json)) => json.to_string(),
        other => format!("{other:?}"),
    };
    messages.iter().map(text).collect()
}

#[test]
fn seqs_are_dense_from_one() {
    let mut log = log(Retention::stream());
    assert_eq!((log.head().first.get(), log.head().head.get()), (1, 0));
    for seq in 1..=5 {
        assert_eq!(append(&mut log, "x", 0).position.seq.get(), seq);
    }
    assert_eq!((log.head().first.get(), log.head().head.get()), (1, 5));
}

#[test]
fn reading_starts_behind_the_position_and_is_paged() {
    let mut log = log(Retention::stream());
    for text in ["a", "b", "c", "d"] {
        append(&mut log, text, 0);
    }
    let at = after;
    assert_eq!(texts(&log.read(at(2), Limit::default())), ["\"c\"", "\"d\""]);
    assert_eq!(texts(&log.read(at(0), Limit { messages: 2, bytes: 99 })), ["\"a\"", "\"b\""]);
    assert_eq!(texts(&log.read(at(0), Limit { messages: 9, bytes: 7 })), ["\"a\"", "\"b\""]);
    assert_eq!(texts(&log.read(at(0), Limit { messages: 0, bytes: 0 })), ["\"a\""]);
    assert!(log.read(at(4), Limit::default()).is_empty());
    assert!(log.read(at(99), Limit::default()).is_empty());
}

#[test]
fn each_bound_forgets_the_oldest_and_never_moves_the_head() {
    let by_count = Retention { keep: 2, ..Retention::stream() };
    let by_age = Retention { ttl_ms: 10, ..Retention::stream() };
    let mut counted = log(by_count);
    let mut aged = log(by_age);
    for (now, text) in ["a", "b", "c"].into_iter().enumerate() {
        append(&mut counted, text, 0);
        append(&mut aged, text, now as u64 * 5);
    }
    assert_eq!(texts(&counted.read(after(0), Limit::default())), ["\"b\"", "\"c\""]);
    assert_eq!(texts(&aged.read(after(0), Limit::default())), ["\"b\"", "\"c\""]);
    aged.forget(1_000);
    assert_eq!((aged.head().first.get(), aged.head().head.get()), (4, 3));
    assert_eq!(aged.bytes(), 0);

    let mut sized = log(Retention { keep_bytes: 1, ..Retention::stream() });
    append(&mut sized, "a", 0);
    append(&mut sized, "b", 0);
    assert_eq!(texts(&sized.read(after(0), Limit::default())), ["\"b\""], "the newest always stays");
}

#[test]
fn a_clock_set_back_moves_no_message_back() {
    let mut log = log(Retention { ttl_ms: 100, ..Retention::stream() });
    append(&mut log, "a", 1_000);
    append(&mut log, "b", 1);
    assert_eq!(log.read(after(0), Limit::default())[1].at, 1_000);
}

#[test]
fn a_repeat_appends_nothing_even_when_its_message_was_forgotten() {
    let mut log = log(Retention { keep: 1, ..Retention::stream() });
    let anonymous = Identity::Anonymous.scope();
    let publish = |log: &mut Log, scope: &Scope, id: &str| {
        log.append(draft("x").id(id), scope, Stamp { now_ms: 0, tag: 0 }).unwrap()
    };
    let first = publish(&mut log, &anonymous, "1");
    publish(&mut log, &anonymous, "2");
    let again = publish(&mut log, &anonymous, "1");
    assert_eq!((again.position, again.duplicate), (first.position, true));
    assert!(!publish(&mut log, &Identity::Server.scope(), "1").duplicate, "ids belong to their publisher");
}

#[test]
fn an_epoch_without_numbers_refuses() {
    let mut log = log(Retention::stream());
    log.head = Seq::new(crate::limits::MAX_SEQ).unwrap();
    let full = log.append(draft("x"), &Identity::Server.scope(), Stamp { now_ms: 0, tag: 0 });
    assert_eq!(full, Err(AppendError::Exhausted(log.epoch)));
    assert_eq!(log.head().head.get(), crate::limits::MAX_SEQ);
}

fn state(retention: Retention) -> Log {
    Log::new(Kind::State, Epoch::from_bits(1), retention)
}

fn put(log: &mut Log, draft: Draft, now_ms: u64) -> Result<u64, AppendError> {
    let appended = log.append(draft, &Identity::Server.scope(), Stamp { now_ms, tag: 0 })?;
    Ok(appended.position.seq.get())
}

fn set(key: &str, text: &str) -> Draft {
    draft(text).key(key)
}

/// What a reader at a position is given: `key=text`, or `-key` for a deletion.
fn given(log: &Log, after: Position) -> Vec<String> {
    let entry = |message: &Arc<Message>| match (&message.key, texts(&[Arc::clone(message)]).remove(0)) {
        (Some(key), _) if message.payload.is_none() => format!("-{key}"),
        (Some(key), text) => format!("{key}={}", text.trim_matches('"')),
        (None, text) => text,
    };
    log.read(after, Limit::default()).iter().map(entry).collect()
}

#[test]
fn a_key_that_changes_moves_to_the_end() {
    let mut log = state(Retention::state());
    for (key, text) in [("a", "1"), ("b", "1"), ("a", "2")] {
        put(&mut log, set(key, text), 0).unwrap();
    }
    assert_eq!(given(&log, after(0)), ["b=1", "a=2"]);
    assert_eq!(given(&log, after(1)), ["b=1", "a=2"]);
    assert_eq!(given(&log, after(2)), ["a=2"]);
    assert_eq!(log.len(), 2);
}

#[test]
fn a_deletion_is_told_to_whom_a_snapshot_did_not_leave_it_out() {
    let mut log = state(Retention::state());
    put(&mut log, set("a", "1"), 0).unwrap();
    put(&mut log, set("b", "1"), 0).unwrap();
    assert_eq!(put(&mut log, Draft::delete("a"), 0), Ok(3));
    assert_eq!(given(&log, after(1)), ["b=1", "-a"]);
    let snapshot = Position { base: Seq::new(3), ..after(0) };
    assert_eq!(given(&log, snapshot), ["b=1"]);
    assert_eq!(log.extent(snapshot, Limit::default()).to.get(), 3, "and the reader stands at the head");
    assert_eq!(put(&mut log, Draft::delete("a"), 0), Ok(3), "deleting what is absent answers the head");
    assert_eq!(put(&mut log, set("a", "2"), 0), Ok(4));
    assert_eq!(given(&log, after(2)), ["a=2"], "a key that came back takes its deletion's place");
}

#[test]
fn deletions_beyond_the_newest_thousand_raise_the_floor() {
    let mut log = state(Retention::state());
    for n in 0..=crate::limits::STATE_DELETIONS {
        put(&mut log, set(&n.to_string(), "x"), 0).unwrap();
    }
    let first_deletion = put(&mut log, Draft::delete("0"), 0).unwrap();
    for n in 1..crate::limits::STATE_DELETIONS {
        put(&mut log, Draft::delete(n.to_string()), 0).unwrap();
    }
    assert_eq!(log.head().floor, Seq::ZERO);
    put(&mut log, Draft::delete(crate::limits::STATE_DELETIONS.to_string()), 0).unwrap();
    assert_eq!(log.head().floor.get(), first_deletion);
    assert!(log.is_empty());
}

#[test]
fn a_full_state_takes_no_new_key_but_changes_and_deletes_old_ones() {
    let mut log = state(Retention { keep: 1, ..Retention::state() });
    put(&mut log, set("a", "1"), 0).unwrap();
    assert!(matches!(put(&mut log, set("b", "1"), 0), Err(AppendError::Full { most_keys: 1, .. })));
    assert_eq!(log.head().head.get(), 1, "what was refused left no trace");
    assert_eq!(put(&mut log, set("a", "2"), 0), Ok(2));
    assert_eq!(put(&mut log, Draft::delete("a"), 0), Ok(3));
    assert_eq!(put(&mut log, set("b", "1"), 0), Ok(4));

    let mut heavy = state(Retention { keep_bytes: 1_000, ..Retention::state() });
    put(&mut heavy, set("a", &"x".repeat(400)), 0).unwrap();
    assert!(matches!(put(&mut heavy, set("a", &"x".repeat(2_000)), 0), Err(AppendError::Full { .. })));
    assert_eq!(put(&mut heavy, set("a", "small"), 0), Ok(2));
}

#[test]
fn a_condition_is_judged_after_the_id() {
    let mut log = state(Retention::state());
    let absent = || set("a", "1").only_if(Seq::ZERO).id("1");
    assert_eq!(put(&mut log, absent(), 0), Ok(1));
    assert_eq!(put(&mut log, absent(), 0), Ok(1), "a repeat is no conflict");
    let present = Seq::new(1).unwrap();
    let conflict = put(&mut log, set("a", "2").only_if(Seq::ZERO), 0);
    assert_eq!(conflict, Err(AppendError::Conflict { present }));
    assert_eq!(put(&mut log, set("a", "2").only_if(present), 0), Ok(2));
    assert_eq!(
        put(&mut log, Draft::delete("a").only_if(present), 0),
        Err(AppendError::Conflict { present: Seq::new(2).unwrap() })
    );
}

/// The first answer may have been lost, and somebody else may have set the key before the repeat comes.
#[test]
fn repeating_a_deletion_deletes_nothing_that_was_set_since() {
    for was_present in [false, true] {
        let mut log = state(Retention::state());
        assert!(log.is_unwritten());
        if was_present {
            put(&mut log, set("k", "old"), 0).unwrap();
        }
        let deleted = put(&mut log, Draft::delete("k").id("d"), 5).unwrap();
        assert!(!log.is_unwritten(), "what remembers an id is not made again as it was");
        put(&mut log, set("k", "new"), 9).unwrap();
        assert_eq!(put(&mut log, Draft::delete("k").id("d"), 9).unwrap(), deleted);
        assert_eq!(log.len(), 1, "present before: {was_present}");
    }
}

#[test]
fn a_key_leaves_by_a_deletion_when_its_time_is_over() {
    let mut log = state(Retention { ttl_ms: 100, ..Retention::state() });
    put(&mut log, set("rule", "x"), 0).unwrap();
    put(&mut log, set("own", "x").ttl(std::time::Duration::from_millis(10)), 0).unwrap();
    assert_eq!(log.next_expiry(), Some(10));
    let stamp = |now_ms| Stamp { now_ms, tag: 0 };
    assert!(!log.expire(stamp(9)));
    assert!(log.expire(stamp(10)));
    assert_eq!(given(&log, after(2)), ["-own"]);
    put(&mut log, set("rule", "y"), 50).unwrap();
    assert!(!log.expire(stamp(149)), "a change gives the key its time anew");
    assert!(log.expire(stamp(150)));
    assert_eq!((log.len(), log.next_expiry()), (0, None));
}

#[test]
fn bytes_are_given_back_to_the_last() {
    let mut log = state(Retention::state());
    for n in 0..2_000 {
        put(&mut log, set(&n.to_string(), "x"), 0).unwrap();
        put(&mut log, Draft::delete(n.to_string()), 0).unwrap();
    }
    let deletions = log.bytes();
    for n in 0..2_000 {
        put(&mut log, set(&n.to_string(), "xyz"), 0).unwrap();
    }
    let full = log.bytes();
    for n in 0..2_000 {
        put(&mut log, Draft::delete(n.to_string()), 0).unwrap();
    }
    assert_eq!(log.bytes(), deletions);
    assert!(full > 2 * deletions);
}

#[test]
fn history_pages_backwards_over_what_is_present() {
    let mut stream = log(Retention::stream());
    let mut keyed = state(Retention::state());
    for n in 1..=5 {
        append(&mut stream, &n.to_string(), 0);
        put(&mut keyed, set(&n.to_string(), "x"), 0).unwrap();
    }
    put(&mut keyed, Draft::delete("4"), 0).unwrap();
    let seqs = |page: &Page| page.messages.iter().map(|message| message.seq.get()).collect::<Vec<_>>();
    let two = Limit { messages: 2, bytes: 1_000 };
    let newest = stream.read_back(None, two);
    assert_eq!((seqs(&newest), newest.more), (vec![4, 5], true));
    let rest = stream.read_back(Seq::new(4), Limit::default());
    assert_eq!((seqs(&rest), rest.more), (vec![1, 2, 3], false));
    let newest = keyed.read_back(None, two);
    assert_eq!((seqs(&newest), newest.more), (vec![3, 5], true));
    let rest = keyed.read_back(Seq::new(3), two);
    assert_eq!((seqs(&rest), rest.more), (vec![1, 2], false));
    assert!(stream.read_back(Seq::new(1), two).messages.is_empty());
}

#[test]
fn what_remains_of_a_log_goes_on_where_it_was_and_no_clock_takes_it_back() {
    let retention = Retention { ttl_ms: 10, ..Retention::stream() };
    let mut log = log(retention);
    append(&mut log, "a", 1_000);
    let with_id = log.append(draft("b").id("b"), &Identity::Server.scope(), Stamp { now_ms: 1_000, tag: 0 });
    assert!(log.remnant().is_none(), "messages are retained");
    log.forget(1_010);
    assert!(log.is_empty() && log.remnant().is_none(), "an id is remembered");
    log.forget(1_000 + crate::limits::DEDUP_MS);
    let remnant = log.remnant().unwrap();
    assert_eq!((remnant.head(), remnant.last_append_ms()), (log.head(), 1_000));
    let mut log = Log::resume(Kind::Stream, retention, &remnant);
    assert_eq!(log.head().position(), with_id.unwrap().position);
    append(&mut log, "c", 5);
    assert_eq!(log.last_append_ms(), 1_000);
    assert_eq!(log.read(after(2), Limit::default())[0].seq.get(), 3);
}

#[test]
fn of_a_state_without_keys_its_deletions_remain_as_the_floor() {
    let mut log = state(Retention::state());
    for key in ["a", "b"] {
        put(&mut log, set(key, "x"), 0).unwrap();
    }
    put(&mut log, Draft::delete("a"), 0).unwrap();
    assert!(log.remnant().is_none(), "a key is present");
    put(&mut log, Draft::delete("b"), 0).unwrap();
    let remnant = log.remnant().unwrap();
    assert_eq!((remnant.head().head.get(), remnant.head().floor.get(), remnant.head().first.get()), (4, 4, 5));
    let log = Log::resume(Kind::State, Retention::state(), &remnant);
    assert_eq!((log.head(), log.bytes(), log.remnant()), (remnant.head(), 0, Some(remnant)));
}

fn shown(log: &mut Log, holder: &str, shows: Option<u64>, data: &str) -> Appended {
    let draft = draft(data).key("k").held_by(holder, shows);
    log.append(draft, &Identity::Server.scope(), Stamp { now_ms: 0, tag: 0 }).unwrap()
}

fn let_go(log: &mut Log, holder: &str) -> u64 {
    put(log, Draft::delete("k").held_by(holder, None), 0).unwrap()
}

#[test]
fn a_key_that_several_hold_is_appended_once_and_leaves_with_the_last() {
    let mut log = state(Retention::state());
    let first = shown(&mut log, "a", Some(1), "x");
    let second = shown(&mut log, "b", Some(1), "x");
    assert_eq!((second.position, second.duplicate), (first.position, true));
    assert!(shown(&mut log, "c", None, "y").duplicate, "who has nothing to show takes what is shown");
    assert_eq!([let_go(&mut log, "a"), let_go(&mut log, "a"), let_go(&mut log, "b")], [1; 3]);
    assert!(log.holds("k"));
    assert_eq!(let_go(&mut log, "c"), 2);
    assert!(!log.holds("k"));
    assert!(!shown(&mut log, "a", None, "x").duplicate, "it comes anew");
}

#[test]
fn what_a_held_key_shows_may_be_changed_by_any_of_its_holders() {
    let mut log = state(Retention::state());
    shown(&mut log, "a", Some(1), "x");
    let other = shown(&mut log, "b", Some(2), "y");
    assert_eq!((other.position.seq.get(), other.duplicate), (2, false));
    assert_eq!([let_go(&mut log, "b"), let_go(&mut log, "a")], [2, 3]);
}

#[test]
fn whoever_does_not_hold_a_key_takes_it_from_all() {
    let mut log = state(Retention::state());
    shown(&mut log, "a", Some(1), "x");
    put(&mut log, Draft::json("y").unwrap().key("k"), 0).unwrap();
    assert!(!shown(&mut log, "a", Some(1), "x").duplicate);
    put(&mut log, Draft::delete("k"), 0).unwrap();
    assert!(!log.holds("k"));
}

#[test]
fn more_holders_than_there_may_be_push_the_first_out() {
    let mut log = state(Retention::state());
    for holder in 0..=crate::limits::HOLDERS_PER_KEY {
        shown(&mut log, &holder.to_string(), Some(1), "x");
    }
    for holder in 1..crate::limits::HOLDERS_PER_KEY {
        assert_eq!(let_go(&mut log, &holder.to_string()), 1);
    }
    assert_eq!(let_go(&mut log, &crate::limits::HOLDERS_PER_KEY.to_string()), 2);
}
