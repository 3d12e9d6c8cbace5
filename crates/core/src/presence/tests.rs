use std::slice;

use super::*;

const GRACE: Duration = Duration::from_secs(5);

fn who(channel: &str, client: &str) -> Who {
    Who { channel: channel.parse().unwrap(), user: None, client: format!("client-{client}").parse().unwrap() }
}

fn json(text: &str) -> Json {
    Json::parse(text).unwrap()
}

fn seq(number: u64) -> Seq {
    Seq::new(number).unwrap()
}

/// Writes whatever there is to write; returns what it was.
fn settle(presence: &mut Presence, who: &Who, outcome: Outcome) -> Vec<Change> {
    let mut changes = Vec::new();
    while let Some(change) = presence.next(who) {
        presence.written(who, &change, outcome, Duration::ZERO);
        changes.push(change);
        if outcome != Outcome::Written(seq(1)) {
            break;
        }
    }
    changes
}

fn shown(who: &Who, data: Option<&str>, since: u64) -> Change {
    Change::Show(Member { client: who.client.clone(), user: None, data: data.map(json), since })
}

#[test]
fn who_is_found_as_another_node_wrote_it_has_been_there_since_then() {
    let (mut presence, a) = (Presence::new(10), who("x", "a"));
    presence.hold(&a, None, 9);
    assert_eq!(presence.next(&a), Some(shown(&a, None, 9)));
    presence.found(&a, seq(4), Member { client: a.client.clone(), user: None, data: Some(json("1")), since: 2 });
    assert_eq!((presence.next(&a), presence.shown(&a)), (None, Some(&json("1"))));
    presence.show(&a, json("2"));
    assert_eq!(presence.next(&a), Some(shown(&a, Some("2"), 2)));
}

#[test]
fn what_is_in_doubt_is_written_anew_and_who_has_gone_is_not() {
    let mut presence = Presence::new(10);
    let [a, b, c] = [who("x", "a"), who("x", "b"), who("y", "c")];
    for who in [&a, &b, &c] {
        presence.hold(who, None, 7);
        settle(&mut presence, who, Outcome::Written(seq(1)));
    }
    presence.release(&b, GRACE);
    presence.expire(GRACE);
    assert_eq!(presence.doubt(Some(&a.channel)), slice::from_ref(&a));
    assert_eq!(presence.next(&a), Some(shown(&a, None, 7)));
    assert_eq!((presence.next(&b), presence.next(&c)), (Some(Change::Remove(seq(1))), None));
    assert_eq!(presence.doubt(None).len(), 2);
}

#[test]
fn who_comes_back_in_time_on_another_connection_is_written_once() {
    let (mut presence, a) = (Presence::new(10), who("x", "a"));
    assert!(presence.hold(&a, Some(json("1")), 7));
    assert_eq!(settle(&mut presence, &a, Outcome::Written(seq(1))), [shown(&a, Some("1"), 7)]);
    // The new one before the old one is gone, then the other way round; with the same data, and with none.
    presence.hold(&a, Some(json("1")), 8);
    presence.release(&a, GRACE);
    assert_eq!(presence.due(), None);
    presence.release(&a, GRACE * 2);
    assert_eq!(presence.due(), Some(GRACE * 2));
    assert_eq!(presence.expire(GRACE * 2 - Duration::from_millis(1)), []);
    presence.hold(&a, None, 9);
    assert_eq!((presence.due(), presence.expire(GRACE * 9)), (None, vec![]));
    assert_eq!(settle(&mut presence, &a, Outcome::Written(seq(1))), []);
}

#[test]
fn who_is_gone_for_the_grace_is_removed_and_forgotten() {
    let (mut presence, a) = (Presence::new(10), who("x", "a"));
    presence.hold(&a, None, 7);
    settle(&mut presence, &a, Outcome::Written(seq(1)));
    presence.release(&a, GRACE);
    assert_eq!(presence.expire(GRACE), slice::from_ref(&a));
    assert!(presence.has_members(&a.channel), "its entry still stands");
    assert_eq!(settle(&mut presence, &a, Outcome::Written(seq(1))), [Change::Remove(seq(1))]);
    assert!(!presence.has_members(&a.channel));
    assert_eq!((presence.members, presence.due.len()), (0, 0));
}

#[test]
fn the_longest_lease_counts() {
    let (mut presence, a) = (Presence::new(10), who("x", "a"));
    presence.hold(&a, None, 7);
    settle(&mut presence, &a, Outcome::Written(seq(1)));
    presence.release(&a, GRACE * 10);
    presence.hold(&a, None, 8);
    presence.release(&a, GRACE);
    assert_eq!(presence.due(), Some(GRACE * 10));
}

#[test]
fn who_comes_while_its_removal_is_written_comes_anew() {
    let (mut presence, a) = (Presence::new(10), who("x", "a"));
    presence.hold(&a, Some(json("1")), 7);
    settle(&mut presence, &a, Outcome::Written(seq(1)));
    presence.release(&a, GRACE);
    presence.expire(GRACE);
    let removal = presence.next(&a).unwrap();
    presence.hold(&a, None, 9);
    assert_eq!(presence.next(&a), None, "one write at a time");
    presence.written(&a, &removal, Outcome::Written(seq(1)), GRACE);
    assert_eq!(settle(&mut presence, &a, Outcome::Written(seq(1))), [shown(&a, None, 9)]);
}

#[test]
fn who_comes_late_but_before_its_removal_is_written_comes_anew_in_one_write() {
    let (mut presence, a) = (Presence::new(10), who("x", "a"));
    presence.hold(&a, Some(json("1")), 7);
    settle(&mut presence, &a, Outcome::Written(seq(1)));
    presence.release(&a, GRACE);
    presence.expire(GRACE);
    presence.hold(&a, None, 9);
    assert_eq!(settle(&mut presence, &a, Outcome::Written(seq(1))), [shown(&a, None, 9)]);
}

#[test]
fn a_removal_that_the_log_refuses_is_somebody_elses_member() {
    let (mut presence, a) = (Presence::new(10), who("x", "a"));
    presence.hold(&a, None, 7);
    settle(&mut presence, &a, Outcome::Written(seq(1)));
    presence.release(&a, GRACE);
    presence.expire(GRACE);
    assert_eq!(settle(&mut presence, &a, Outcome::Refused), [Change::Remove(seq(1))]);
    assert!(!presence.has_members(&a.channel));
}

#[test]
fn what_the_log_did_not_answer_is_tried_again() {
    let (mut presence, a) = (Presence::new(10), who("x", "a"));
    presence.hold(&a, None, 7);
    let show = shown(&a, None, 7);
    assert_eq!(settle(&mut presence, &a, Outcome::Failed), slice::from_ref(&show));
    assert_eq!((presence.due(), presence.expire(RETRY)), (Some(RETRY), vec![a.clone()]));
    assert_eq!(settle(&mut presence, &a, Outcome::Failed), slice::from_ref(&show));
    presence.release(&a, GRACE);
    assert_eq!(presence.expire(GRACE), slice::from_ref(&a));
    assert_eq!(presence.next(&a), None, "it was never seen");
    assert!(!presence.has_members(&a.channel));
}

#[test]
fn what_the_log_has_no_room_for_is_not_tried_again_until_it_is_held_anew() {
    let (mut presence, a) = (Presence::new(10), who("x", "a"));
    presence.hold(&a, None, 7);
    assert_eq!(settle(&mut presence, &a, Outcome::Refused), [shown(&a, None, 7)]);
    assert_eq!((presence.next(&a), presence.due()), (None, None));
    presence.hold(&a, None, 8);
    assert_eq!(settle(&mut presence, &a, Outcome::Written(seq(1))), [shown(&a, None, 7)]);
    assert!(presence.show(&a, json("[1]")));
    assert_eq!(settle(&mut presence, &a, Outcome::Refused), [shown(&a, Some("[1]"), 7)]);
    assert_eq!(presence.next(&a), None, "it shows what it showed before");
}

#[test]
fn only_who_holds_a_place_changes_what_it_shows() {
    let (mut presence, a) = (Presence::new(10), who("x", "a"));
    assert!(!presence.show(&a, json("1")));
    presence.hold(&a, None, 7);
    presence.release(&a, GRACE);
    assert!(!presence.show(&a, json("1")));
}

#[test]
fn members_are_bounded_per_channel_and_altogether() {
    let mut presence = Presence::bounded(2, 3);
    let mut hold = |channel, client| presence.hold(&who(channel, client), None, 7);
    assert!(hold("x", "a") && hold("x", "b") && !hold("x", "c"));
    assert!(hold("x", "a"), "who is there already comes again");
    assert!(hold("y", "c") && !hold("y", "d") && !hold("z", "e"));
    assert!(!presence.has_members(&who("z", "e").channel));
}
