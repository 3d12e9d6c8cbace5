use super::*;
use tricast_core::access::Identity;
use tricast_core::channel::Rule;
use tricast_core::log::Stamp;
use tricast_core::message::Draft;
use tricast_core::position::Position;
use tricast_testkit::clock::VirtualClock;
use tricast_testkit::entropy::Seeded;

fn feeds(channels: usize) -> Feeds {
    with_capacity(Capacity { channels, bytes: u64::MAX })
}

fn with_capacity(capacity: Capacity) -> Feeds {
    on_clock(capacity, &Arc::default())
}

fn on_clock(capacity: Capacity, clock: &Arc<VirtualClock>) -> Feeds {
    Feeds::new(capacity, Arc::clone(clock) as _, &Seeded::new(1), Sweeper::start())
}

/// Lets time pass, and the node look for what is over.
fn pass(feeds: &Feeds, clock: &VirtualClock, time: Duration) {
    clock.advance(time);
    feeds.maintain(clock.wall_ms());
}

fn topic(name: &str) -> Topic {
    Topic { name: name.parse().unwrap(), rule: Arc::new(Rule::stream()) }
}

fn write(feed: &Feed, now_ms: u64) {
    let draft = Draft::json("x").unwrap();
    let stamp = Stamp { now_ms, tag: 0 };
    feed.with_log(|log| log.append(draft, &Identity::Server.scope(), stamp)).unwrap();
}

fn publish(feeds: &Feeds, clock: &VirtualClock, topic: &Topic, draft: Draft) -> Position {
    let feed = feeds.obtain_to_append(topic).unwrap();
    let stamp = Stamp { now_ms: clock.wall_ms(), tag: 0 };
    feed.with_log(|log| log.append(draft, &Identity::Server.scope(), stamp)).unwrap().position
}

/// Where a channel stands that is not alive.
fn idle(feeds: &Feeds, name: &str) -> Head {
    match feeds.known(&name.parse().unwrap()) {
        Known::Empty(head) => head,
        Known::Alive(feed) => panic!("{name} is alive: {feed:?}"),
    }
}

fn epoch(feed: &Feed) -> Epoch {
    feed.with_log(|log| log.head().epoch)
}

#[tokio::test]
async fn an_unwritten_channel_is_forgotten_with_its_last_reader_and_keeps_its_epoch() {
    let feeds = feeds(10);
    let feed = feeds.obtain(&topic("a")).unwrap();
    let before = epoch(&feed);
    feeds.left(&feed);
    drop(feed);
    assert_eq!(feeds.len(), 0);
    assert_eq!(feeds.unwritten(&topic("a").name).epoch, before);
    assert_eq!(epoch(&feeds.obtain(&topic("a")).unwrap()), before);
    assert_ne!(epoch(&feeds.obtain(&topic("b")).unwrap()), before);
}

#[tokio::test]
async fn a_channel_that_somebody_holds_is_never_forgotten() {
    let feeds = feeds(10);
    let (reader, other) = (feeds.obtain(&topic("a")).unwrap(), feeds.obtain(&topic("a")).unwrap());
    feeds.left(&reader);
    feeds.maintain(u64::MAX);
    assert_eq!(feeds.len(), 1);
    drop(other);
}

#[tokio::test]
async fn a_channel_that_retains_nothing_rests_and_goes_on_where_it_stood() {
    let clock = Arc::default();
    let feeds = on_clock(Capacity { channels: 10, bytes: u64::MAX }, &clock);
    let short = Topic { rule: Arc::new(Rule::stream().ttl(Duration::from_secs(60))), ..topic("a") };
    let first = publish(&feeds, &clock, &short, Draft::json("x").unwrap().id("1"));
    let alive = feeds.account.bytes();
    pass(&feeds, &clock, Duration::from_secs(60));
    assert!(feeds.get(&short.name).is_some(), "its ids are remembered");
    let again = publish(&feeds, &clock, &short, Draft::json("x").unwrap().id("1"));
    assert_eq!(again, first, "so a repeat is known");
    pass(&feeds, &clock, Duration::from_secs(240));
    assert_eq!((idle(&feeds, "a").position(), idle(&feeds, "a").first.get()), (first, 2));
    assert!(feeds.account.bytes() < alive / 4);
    let second = publish(&feeds, &clock, &short, Draft::json("y").unwrap());
    assert_eq!((second.epoch, second.seq.get()), (first.epoch, 2));
}

#[tokio::test]
async fn what_rests_is_remembered_for_a_day_after_it_was_asked_for_and_its_next_life_has_another_epoch() {
    let clock = Arc::default();
    let feeds = on_clock(Capacity { channels: 10, bytes: u64::MAX }, &clock);
    let before = publish(&feeds, &clock, &topic("a"), Draft::json("x").unwrap()).epoch;
    pass(&feeds, &clock, Duration::from_secs(24 * 60 * 60));
    assert_eq!(idle(&feeds, "a").epoch, before, "a day old, its message is gone");
    pass(&feeds, &clock, REMEMBERED - Duration::from_millis(1));
    assert_eq!(idle(&feeds, "a").epoch, before, "asked for");
    clock.set_wall_ms(u64::MAX / 2);
    pass(&feeds, &clock, REMEMBERED - Duration::from_millis(1));
    assert_eq!(epoch(&feeds.obtain(&topic("a")).unwrap()), before, "made alive, by a clock that was set");
    pass(&feeds, &clock, Duration::ZERO);
    pass(&feeds, &clock, REMEMBERED);
    assert_eq!(feeds.len(), 0);
    assert_ne!(epoch(&feeds.obtain(&topic("a")).unwrap()), before);
}

#[tokio::test]
async fn the_last_reader_of_a_channel_that_retains_nothing_leaves_it_at_rest() {
    let clock = Arc::default();
    let feeds = on_clock(Capacity { channels: 10, bytes: u64::MAX }, &clock);
    publish(&feeds, &clock, &topic("a"), Draft::json("x").unwrap());
    let (reader, other) = (feeds.obtain(&topic("a")).unwrap(), feeds.obtain(&topic("a")).unwrap());
    pass(&feeds, &clock, REMEMBERED);
    feeds.left(&reader);
    drop(reader);
    assert!(feeds.get(&topic("a").name).is_some(), "the other one is there");
    feeds.left(&other);
    assert_eq!(idle(&feeds, "a").head.get(), 1);
}

#[tokio::test]
async fn a_state_without_keys_remembers_its_deletions_for_a_day_before_it_rests() {
    let clock = Arc::default();
    let feeds = on_clock(Capacity { channels: 10, bytes: u64::MAX }, &clock);
    let state = Topic { rule: Arc::new(Rule::state()), ..topic("s") };
    for draft in [Draft::json("x").unwrap().key("k"), Draft::delete("k")] {
        publish(&feeds, &clock, &state, draft);
    }
    pass(&feeds, &clock, REMEMBERED - Duration::from_millis(1));
    assert!(feeds.get(&state.name).is_some());
    pass(&feeds, &clock, Duration::from_millis(1));
    let head = idle(&feeds, "s");
    assert_eq!((head.head.get(), head.floor.get()), (2, 2));
    let put = publish(&feeds, &clock, &state, Draft::json("y").unwrap().key("k"));
    assert_eq!((put.epoch, put.seq.get()), (head.epoch, 3));
    pass(&feeds, &clock, 3 * REMEMBERED);
    assert!(feeds.get(&state.name).is_some(), "a key is never forgotten");
}

#[tokio::test]
async fn at_its_most_of_memory_a_node_lets_the_longest_idle_go_and_keeps_their_heads() {
    let feeds = with_capacity(Capacity { channels: 100, bytes: 100_000 });
    let payload = "x".repeat(1_000);
    let append = |name: &str, now_ms: u64| {
        let feed = feeds.obtain_to_append(&topic(name))?;
        let draft = Draft::json(&payload).unwrap();
        let stamp = Stamp { now_ms, tag: 0 };
        Ok::<_, BackplaneError>(feed.with_log(|log| log.append(draft, &Identity::Server.scope(), stamp)).unwrap())
    };
    let positions: Vec<_> = (0..10).map(|n| append("idle", n).unwrap().position).collect();
    for n in 10..500 {
        append("busy", n).unwrap();
        assert!(feeds.account.bytes() < 102_000);
    }
    let head = idle(&feeds, "idle");
    assert_eq!((head.position(), head.first.get()), (positions[9], 11), "who had everything misses nothing");
    assert!(feeds.get(&topic("busy").name).unwrap().with_log(|log| log.len()) > 10);
}

#[tokio::test]
async fn a_state_in_use_is_never_dropped_and_refuses_when_memory_is_out() {
    let clock = Arc::new(VirtualClock::default());
    let capacity = Capacity { channels: 100, bytes: 50_000 };
    let feeds = Feeds::new(capacity, Arc::clone(&clock) as _, &Seeded::new(1), Sweeper::start());
    let state = Topic { rule: Arc::new(Rule::state()), ..topic("s") };
    let held = feeds.obtain(&state).unwrap();
    let put = |n: u64| {
        let draft = Draft::json(&"x".repeat(1_000)).unwrap().key(n.to_string());
        let stamp = Stamp { now_ms: n, tag: 0 };
        held.with_log(|log| log.append(draft, &Identity::Server.scope(), stamp)).unwrap()
    };
    let positions: Vec<_> = (0..60).map(put).collect();
    let refused = feeds.obtain_to_append(&topic("a")).unwrap_err();
    assert!(matches!(refused, BackplaneError::Unavailable { maybe_applied: false, .. }));
    assert_eq!(held.with_log(|log| log.len()), 60);
    drop(held);
    // A look that was no use is not repeated at once.
    assert!(feeds.obtain_to_append(&topic("a")).is_err());
    clock.advance(FULL_FOR);
    feeds.obtain_to_append(&topic("a")).unwrap();
    assert_ne!(feeds.unwritten(&state.name).epoch, positions[0].position.epoch, "dropped whole, its epoch ended");
}

#[tokio::test]
async fn what_is_dropped_is_taken_off_the_account() {
    let clock = Arc::default();
    let feeds = on_clock(Capacity { channels: 10, bytes: u64::MAX }, &clock);
    let empty = feeds.account.bytes();
    for name in ["a", "b"] {
        write(&feeds.obtain(&topic(name)).unwrap(), 1_000);
    }
    assert!(feeds.account.bytes() > empty);
    pass(&feeds, &clock, Duration::ZERO);
    assert_eq!(feeds.len(), 2);
    pass(&feeds, &clock, REMEMBERED);
    assert_eq!((feeds.len(), feeds.account.bytes()), (0, empty));
}

#[tokio::test]
async fn for_memory_alone_what_rests_is_forgotten_last_and_only_where_nothing_else_helps() {
    let clock = Arc::default();
    let feeds = on_clock(Capacity { channels: 1_000, bytes: 50_000 }, &clock);
    let short = Topic { rule: Arc::new(Rule::stream().ttl(Duration::from_secs(1))), ..topic("rests") };
    let rests = publish(&feeds, &clock, &short, Draft::json("x").unwrap());
    pass(&feeds, &clock, Duration::from_secs(1));
    let heavy = || Draft::json(&"x".repeat(1_000)).unwrap();
    for n in 0..500 {
        publish(&feeds, &clock, &topic(if n % 2 == 0 { "a" } else { "b" }), heavy());
    }
    assert_eq!(idle(&feeds, "rests").position(), rests);
    // Resting channels alone fill the node in the end: then the oldest of them make room.
    for n in 0..900 {
        publish(&feeds, &clock, &Topic { name: format!("r{n}").parse().unwrap(), ..short.clone() }, heavy());
        pass(&feeds, &clock, Duration::from_secs(1));
    }
    assert!(feeds.account.bytes() < 52_000);
    assert_ne!(idle(&feeds, "rests").epoch, rests.epoch);
    assert_eq!(idle(&feeds, "r899").head.get(), 1);
}

#[tokio::test]
async fn one_channel_too_many_is_unavailable_while_all_others_are_held() {
    let feeds = feeds(1);
    let _held = feeds.obtain(&topic("a")).unwrap();
    let refused = feeds.obtain(&topic("b")).unwrap_err();
    assert!(matches!(refused, BackplaneError::Unavailable { maybe_applied: false, .. }));
    assert!(feeds.obtain(&topic("a")).is_ok());
}

#[tokio::test]
async fn the_longest_idle_channel_makes_room_and_its_next_life_has_another_epoch() {
    let feeds = feeds(3);
    let mut epochs = Vec::new();
    for (name, now_ms) in [("a", 20), ("b", 10), ("c", 30)] {
        let feed = feeds.obtain(&topic(name)).unwrap();
        write(&feed, now_ms);
        epochs.push(epoch(&feed));
    }
    feeds.obtain(&topic("d")).unwrap();
    let now = ["a", "c"].map(|name| epoch(&feeds.obtain(&topic(name)).unwrap()));
    assert_eq!(now, [epochs[0], epochs[2]]);
    assert_ne!(feeds.unwritten(&topic("b").name).epoch, epochs[1]);
}
