//! States: keys, conditions, room, deletions.

use tricast_core::channel::{Kind, Rule, Topic};
use tricast_core::limits::STATE_DELETIONS;
use tricast_core::log::{AppendError, Limit, Log, Stamp};
use tricast_core::message::Draft;
use tricast_core::position::{Position, Seq};
use tricast_core::replay::{Decision, decide};

use super::Factory;
use super::world::{Node, World, at, entries, messages, set};
use crate::fixtures::{seq, server, state, topic};

/// So that who reads on meets it later, never misses it.
pub async fn a_key_that_changes_moves_to_the_end(factory: &dyn Factory) {
    let world = World::of(factory).await;
    let topic = state("moves");
    for (draft, node) in [set("a", "1"), set("b", "1"), set("c", "1"), set("a", "2")].into_iter().zip(world.in_turn()) {
        node.append(&topic, draft).await;
    }
    for node in world.nodes() {
        let (head, messages) = node.contents(&topic).await;
        assert_eq!((head.first.get(), head.head.get(), head.floor), (2, 4, Seq::ZERO));
        assert_eq!(entries(&messages), ["2 b", "3 c", "4 a"]);
    }
    let head = world.b.open(&topic).await;
    let slice = world.b.read(&topic, at(head, 0), messages(2)).await;
    assert_eq!((entries(&slice.messages), slice.to.get()), (vec!["2 b".to_owned(), "3 c".to_owned()], 3));
    assert_eq!(entries(&world.b.read(&topic, at(head, 3), messages(2)).await.messages), ["4 a"]);
}

/// Those at or below its base; and where that is all there is, its reader stands at the head.
pub async fn deletions_are_entries_that_a_snapshot_leaves_out(factory: &dyn Factory) {
    let world = World::of(factory).await;
    let topic = state("snapshot");
    for draft in [set("a", "1"), set("b", "1"), set("c", "1"), Draft::delete("a"), Draft::delete("c")] {
        world.a.append(&topic, draft).await;
    }
    let head = world.b.open(&topic).await;
    let based = |after: u64, base: u64| Position { base: Some(seq(base)), ..at(head, after) };
    let wanted = [
        (at(head, 0), 10, vec!["2 b", "4 -a", "5 -c"], 5),
        (at(head, 0), 2, vec!["2 b", "4 -a"], 4),
        (at(head, 4), 10, vec!["5 -c"], 5),
        (based(0, 5), 10, vec!["2 b"], 5),
        (based(0, 4), 10, vec!["2 b", "5 -c"], 5),
        (based(0, 3), 2, vec!["2 b", "4 -a"], 4),
        (based(2, 5), 10, vec![], 5),
        (at(head, 5), 10, vec![], 5),
    ];
    for (after, limit, read, to) in wanted {
        for node in world.nodes() {
            let slice = node.read(&topic, after, messages(limit)).await;
            assert_eq!((slice.head, entries(&slice.messages), slice.to.get()), (head, owned(&read), to), "{after}");
        }
    }
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// Of an absent key it is 0, be it that it was deleted.
pub async fn a_condition_holds_or_the_present_number_is_told(factory: &dyn Factory) {
    let world = World::of(factory).await;
    let topic = state("conditions");
    let steps = [
        (set("k", "1").only_if(seq(1)), Err(0)),
        (set("k", "1").only_if(Seq::ZERO), Ok(1)),
        (set("k", "2").only_if(Seq::ZERO), Err(1)),
        (set("l", "1"), Ok(2)),
        (set("k", "2").only_if(seq(2)), Err(1)),
        (set("k", "2").only_if(seq(1)), Ok(3)),
        (set("k", "3").only_if(seq(1)), Err(3)),
        (Draft::delete("k").only_if(seq(2)), Err(3)),
        (Draft::delete("k").only_if(seq(3)), Ok(4)),
        (Draft::delete("k").only_if(seq(3)), Err(0)),
        (set("k", "4").only_if(seq(4)), Err(0)),
        (Draft::delete("k").only_if(Seq::ZERO), Ok(4)),
        (set("k", "4").only_if(Seq::ZERO), Ok(5)),
    ];
    for ((number, (draft, wanted)), node) in (1..).zip(steps).zip(world.in_turn()) {
        let done = node.try_append(&topic, draft).await.map(|appended| appended.position.seq.get());
        let wanted = wanted.map_err(|present| AppendError::Conflict { present: seq(present) });
        assert_eq!(done, wanted, "step {number}");
    }
}

/// And the others are told who.
pub async fn of_many_who_want_an_absent_key_one_gets_it(factory: &dyn Factory) {
    let world = World::of(factory).await;
    let topic = state("wanted");
    for round in 1..=10 {
        let draft = set(&round.to_string(), "mine").only_if(Seq::ZERO);
        let tasks: Vec<_> = (world.in_turn().take(8).cloned())
            .map(|node| tokio::spawn(try_append(node, topic.clone(), draft.clone())))
            .collect();
        let mut done = Vec::new();
        for task in tasks {
            done.push(task.await.unwrap());
        }
        let won = done.iter().filter(|it| **it == Ok(round)).count();
        let lost = done.iter().filter(|it| **it == Err(AppendError::Conflict { present: seq(round) })).count();
        assert_eq!((won, lost), (1, 7), "{done:?}");
    }
}

async fn try_append(node: Node, topic: Topic, draft: Draft) -> Result<u64, AppendError> {
    node.try_append(&topic, draft).await.map(|appended| appended.position.seq.get())
}

/// And answers the head.
pub async fn deleting_an_absent_key_appends_nothing(factory: &dyn Factory) {
    let world = World::of(factory).await;
    let topic = state("absent:delete");
    let nothing_yet = world.a.append(&topic, Draft::delete("k")).await;
    assert_eq!((nothing_yet.position, nothing_yet.duplicate), (world.b.open(&topic).await.position(), false));
    for draft in [set("k", "1"), set("l", "1"), Draft::delete("k")] {
        world.a.append(&topic, draft).await;
    }
    let head = world.b.open(&topic).await;
    for node in world.nodes() {
        let appended = node.append(&topic, Draft::delete("k")).await;
        assert_eq!((appended.position, appended.duplicate), (head.position(), false));
    }
    assert_eq!(world.a.open(&topic).await, head);
}

/// Deleting makes room.
pub async fn a_state_full_of_keys_takes_changes_and_deletions(factory: &dyn Factory) {
    let world = World::of(factory).await;
    let topic = topic("full:keys", Rule::state().keep(3));
    for key in ["a", "b", "c"] {
        world.a.append(&topic, set(key, "1")).await;
    }
    let most_bytes = topic.rule.retention().keep_bytes;
    let full = Err(AppendError::Full { most_keys: 3, most_bytes });
    for node in world.nodes() {
        assert_eq!(node.try_append(&topic, set("d", "1")).await, full);
    }
    world.b.append(&topic, set("a", "2")).await;
    world.b.append(&topic, Draft::delete("b")).await;
    assert_eq!(world.a.append(&topic, set("d", "1")).await.position.seq.get(), 6);
    assert_eq!(world.b.try_append(&topic, set("b", "1")).await, full);
    assert_eq!(entries(&world.b.read_back(&topic, None, Limit::default()).await.1.messages), ["3 c", "4 a", "6 d"]);
}

/// By the log's own account: what the reference takes.
pub async fn a_state_full_of_bytes_takes_what_is_no_larger_and_deletions(factory: &dyn Factory) {
    let world = World::of(factory).await;
    let topic = topic("full:bytes", Rule::state().keep_bytes(4_000));
    let mut log = Log::new(Kind::State, world.a.open(&topic).await.epoch, topic.rule.retention());
    let sized = |key: &str, size: usize| Draft::binary(vec![7; size]).key(key.to_owned());
    let mut refused = 0;
    let steps = [("a", 1_000), ("b", 1_000), ("c", 1_000), ("c", 500), ("d", 200), ("c", 900), ("d", 100), ("e", 1)];
    let more = [("a", 1_000), ("a", 1_001), ("b", 0), ("e", 3_000), ("e", 500), ("f", 9_000)];
    for ((key, size), node) in steps.into_iter().chain(more).zip(world.in_turn()) {
        let draft = sized(key, size);
        let wanted = log.append(draft.clone(), &server(), STAMP);
        refused += u64::from(wanted.is_err());
        assert_eq!(node.try_append(&topic, draft).await, wanted, "{key} of {size} bytes");
    }
    assert!(refused > 1, "the state was never full");
    for key in ["a", "b", "c"] {
        assert!(log.holds(key), "{key}");
        log.append(Draft::delete(key), &server(), STAMP).unwrap();
        world.b.append(&topic, Draft::delete(key)).await;
    }
    let draft = sized("g", 2_000);
    assert_eq!(world.a.try_append(&topic, draft.clone()).await, log.append(draft, &server(), STAMP));
    assert_eq!(world.b.open(&topic).await, log.head());
}

const STAMP: Stamp = Stamp { now_ms: 1_700_000_000_000, tag: 0 };

/// Who stands before those forgotten cannot be continued, unless it bears a base above them.
pub async fn a_thousand_deletions_are_remembered_and_the_floor_follows(factory: &dyn Factory) {
    let world = World::of(factory).await;
    let topic = state("floor");
    let deletions = STATE_DELETIONS as u64;
    for (number, node) in (0..deletions).zip(world.in_turn()) {
        node.append(&topic, set(&format!("k{number}"), "x")).await;
        node.append(&topic, Draft::delete(format!("k{number}"))).await;
    }
    assert_eq!(world.b.open(&topic).await.floor, Seq::ZERO);
    for key in ["x", "y", "z"] {
        world.a.append(&topic, set(key, "x")).await;
        world.a.append(&topic, Draft::delete(key)).await;
    }
    world.a.append(&topic, set("there", "x")).await;

    let newest = 2 * deletions + 7;
    let head = world.b.open(&topic).await;
    assert_eq!((head.first.get(), head.head.get(), head.floor.get()), (8, newest, 6));
    for lost in [1, 5] {
        assert!(matches!(decide(Kind::State, Some(at(head, lost)), &head), Decision::Gap { .. }));
        let slice = world.b.read(&topic, at(head, lost), Limit::default()).await;
        assert_eq!((slice.messages.len(), slice.to.get()), (0, lost));
    }
    let (_, rest) = world.b.read_all(&topic, at(head, 6)).await;
    assert_eq!(rest.len() as u64, deletions + 1);
    let based = Position { base: Some(head.head), ..at(head, 1) };
    let slice = world.b.read(&topic, based, Limit::default()).await;
    assert_eq!((entries(&slice.messages), slice.to), (vec![format!("{newest} there")], head.head));
}
