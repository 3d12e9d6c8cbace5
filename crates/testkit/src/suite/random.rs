//! Hundreds of random steps, each compared with what a [`Log`] makes of it.

use std::sync::Arc;

use tricast_core::access::{Identity, Scope};
use tricast_core::backplane::BackplaneError;
use tricast_core::channel::{Kind, Rule, Topic};
use tricast_core::clock::Entropy;
use tricast_core::log::{Limit, Log, Stamp};
use tricast_core::message::{Draft, Message};
use tricast_core::position::Position;
use tricast_core::replay::{Decision, decide};

use super::Factory;
use super::world::{World, at};
use crate::entropy::Seeded;
use crate::fixtures::{seq, server, topic};

/// Under the default rule.
pub async fn a_stream_does_what_a_log_does(factory: &dyn Factory) {
    compare(factory, &topic("random:stream", Rule::stream()), 300).await;
}

/// That forgets all the time.
pub async fn a_small_stream_does_what_a_log_does(factory: &dyn Factory) {
    compare(factory, &topic("random:stream:small", Rule::stream().keep(7).keep_bytes(3_000)), 300).await;
}

/// Under the default rule.
pub async fn a_state_does_what_a_log_does(factory: &dyn Factory) {
    compare(factory, &topic("random:state", Rule::state()), 400).await;
}

/// That is full most of the time.
pub async fn a_small_state_does_what_a_log_does(factory: &dyn Factory) {
    compare(factory, &topic("random:state:small", Rule::state().keep(4).keep_bytes(2_000)), 400).await;
}

async fn compare(factory: &dyn Factory, topic: &Topic, steps: u64) {
    let world = World::of(factory).await;
    let chance = Seeded::new(steps);
    let mut log = Log::new(topic.rule.kind(), world.a.open(topic).await.epoch, topic.rule.retention());
    for (step, node) in (1..=steps).zip(world.in_turn()) {
        let (draft, publisher) = (draft(&chance, topic.rule.kind(), &log), publisher(&chance));
        let wanted = log.append(draft.clone(), &publisher, Stamp { now_ms: NOW, tag: 0 });
        let done = node.backplane.append(topic, draft.clone(), &publisher).await;
        let done = done.map_err(|error| match error {
            BackplaneError::Refused(refused) => refused,
            other => panic!("step {step}: {other:?}"),
        });
        assert_eq!(done, wanted, "step {step}: {draft:?} of {publisher:?}");
        if step % 5 == 0 {
            assert_alike(&world, topic, &log, position(&chance, &log), &format!("step {step}")).await;
        }
    }
}

/// Head, page and history.
async fn assert_alike(world: &World<'_>, topic: &Topic, log: &Log, after: Position, when: &str) {
    let limit = Limit { messages: 5, bytes: 1_500 };
    let head = log.head();
    let slice = world.b.read(topic, after, limit).await;
    assert_eq!(slice.head, head, "{when}");
    let continues = decide(log.kind(), Some(after), &head) == Decision::Continue;
    let (read, to) =
        if continues { (log.read(after, limit), log.extent(after, limit).to) } else { (Vec::new(), after.seq) };
    assert_eq!((texts(&slice.messages), slice.to), (texts(&read), to), "{when}: after {after}");
    let (also, page) = world.a.read_back(topic, Some(after.seq.get() + 1), limit).await;
    let wanted = log.read_back(Some(seq(after.seq.get() + 1)), limit);
    assert_eq!((also, texts(&page.messages), page.more), (head, texts(&wanted.messages), wanted.more), "{when}");
}

/// What both have in common: all but times and tags.
fn texts(messages: &[Arc<Message>]) -> Vec<String> {
    messages.iter().map(|it| format!("{} {:?} {:?} {:?} {:?}", it.seq, it.key, it.id, it.event, it.payload)).collect()
}

fn draft(chance: &Seeded, kind: Kind, log: &Log) -> Draft {
    let size = usize::try_from(chance.below(4) * chance.below(150)).expect("a small number");
    let key = format!("k{}", chance.below(8));
    let mut draft = match kind {
        Kind::Stream => Draft::binary(vec![7; size]),
        Kind::State if chance.below(4) == 0 => Draft::delete(key),
        Kind::State => Draft::binary(vec![7; size]).key(key),
    };
    if chance.below(3) == 0 {
        draft = draft.id(chance.below(40).to_string());
    }
    if chance.below(4) == 0 {
        draft = draft.event("e");
    }
    if kind == Kind::State {
        if chance.below(4) == 0 {
            draft = draft.only_if(log.head().head.back(chance.below(6)));
        } else if chance.below(3) == 0 {
            let shows = Some(chance.below(3)).filter(|shows| *shows > 0);
            draft = draft.held_by(["a", "b", "c"][usize::try_from(chance.below(3)).expect("less than 3")], shows);
        }
    }
    draft
}

fn publisher(chance: &Seeded) -> Scope {
    if chance.below(4) == 0 { Identity::Anonymous.scope() } else { server() }
}

/// Where a reader may stand, and a little beyond.
fn position(chance: &Seeded, log: &Log) -> Position {
    let head = log.head();
    let after = at(head, chance.below(head.head.get() + 2));
    let base =
        Some(seq(chance.below(head.head.get() + 2))).filter(|_| log.kind() == Kind::State && chance.below(2) == 0);
    Position { base, ..after }
}

/// No time passes for the reference: nothing here leaves by age.
const NOW: u64 = 1_700_000_000_000;
