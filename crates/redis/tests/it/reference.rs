//! The same as `core::log::Log` does, call by call.

use std::sync::Arc;

use tricast_core::access::{Identity, Scope};
use tricast_core::backplane::{Backplane as _, BackplaneError};
use tricast_core::channel::{Kind, Rule, Topic};
use tricast_core::clock::Entropy as _;
use tricast_core::log::{Head, Limit, Log, Stamp};
use tricast_core::message::{Draft, Message};
use tricast_core::position::{Position, Seq};
use tricast_core::replay::{Decision, decide};
use tricast_redis::Redis;
use tricast_testkit::entropy::Seeded;

use crate::support::{node, topic};

/// A log in Redis and one in memory that are told the same.
struct Twins {
    redis: Redis,
    topic: Topic,
    log: Log,
    entropy: Seeded,
}

#[tokio::test]
async fn a_stream_answers_as_the_reference_does() {
    for (seed, rule) in
        [Rule::stream(), Rule::stream().keep(7), Rule::stream().keep_bytes(2_000)].into_iter().enumerate()
    {
        let server = tricast_testkit::redis::Redis::start();
        let mut twins = Twins::new(&server.url(), rule, seed as u64).await;
        for _ in 0..400 {
            let draft = twins.draft_for_a_stream();
            twins.append(draft).await;
            twins.look().await;
        }
    }
}

#[tokio::test]
async fn a_state_answers_as_the_reference_does() {
    let rules = [Rule::state(), Rule::state().keep(5), Rule::state().keep_bytes(2_000), Rule::state().keep(2_000)];
    for (seed, rule) in rules.into_iter().enumerate() {
        let server = tricast_testkit::redis::Redis::start();
        let keys = if seed == 3 { 4_000 } else { 8 };
        let mut twins = Twins::new(&server.url(), rule, seed as u64).await;
        for step in 0..if seed == 3 { 8_000 } else { 800 } {
            let draft = twins.draft_for_a_state(keys);
            twins.append(draft).await;
            if seed < 3 || step % 100 == 0 {
                twins.look().await;
            }
        }
        assert!(seed < 3 || twins.log.head().floor > Seq::ZERO, "deletions were forgotten");
    }
}

impl Twins {
    async fn new(url: &str, rule: Rule, seed: u64) -> Self {
        let (redis, _) = node(url).await;
        let topic = topic("twins", rule);
        let epoch = redis.open(&topic).await.unwrap().epoch;
        let log = Log::new(topic.rule.kind(), epoch, topic.rule.retention());
        Self { redis, topic, log, entropy: Seeded::new(seed) }
    }

    fn one_in(&self, bound: u64) -> bool {
        self.entropy.below(bound) == 0
    }

    fn draft_for_a_stream(&self) -> Draft {
        let payload = "x".repeat(usize::try_from(self.entropy.below(200)).unwrap());
        let mut draft = Draft::binary(payload.into_bytes());
        if self.one_in(3) {
            draft = draft.event("e");
        }
        if self.one_in(2) {
            draft = draft.id(self.entropy.below(100).to_string());
        }
        draft
    }

    fn draft_for_a_state(&self, keys: u64) -> Draft {
        let key = format!("k{}", self.entropy.below(keys));
        let mut draft = self.draft_for_a_stream();
        draft.key = Some(key.as_str().into());
        if self.one_in(2) {
            draft.payload = None;
        }
        if self.one_in(3) {
            let holder = ["a", "b", "c"][usize::try_from(self.entropy.below(3)).unwrap()];
            let shows = Some(self.entropy.below(3)).filter(|shows| *shows > 0);
            draft = draft.held_by(holder, shows);
        }
        if self.one_in(6) {
            draft = draft.only_if(Seq::new(self.entropy.below(self.log.head().head.get() + 1)).unwrap());
        }
        draft
    }

    fn scope(&self) -> Scope {
        if self.one_in(2) { Identity::Anonymous.scope() } else { Identity::Server.scope() }
    }

    async fn append(&mut self, draft: Draft) {
        let scope = self.scope();
        let expected = self.log.append(draft.clone(), &scope, Stamp { now_ms: 0, tag: 0 });
        let told = self.redis.append(&self.topic, draft.clone(), &scope).await;
        assert_eq!(told, expected.map_err(BackplaneError::Refused), "{draft:?}");
        if let Some(id) = &draft.id {
            let found = self.redis.find(&self.topic, &scope, id).await.unwrap();
            assert_eq!(found, self.log.find(&scope, id, 0), "{draft:?}");
        }
    }

    async fn look(&self) {
        let head = self.log.head();
        assert_eq!(self.redis.open(&self.topic).await.unwrap(), head);
        let limit = Limit {
            messages: usize::try_from(self.entropy.below(12)).unwrap(),
            bytes: usize::try_from(self.entropy.below(1_500)).unwrap(),
        };
        self.read(&head, limit).await;
        let before = Some(self.entropy.below(head.head.get() + 3)).filter(|_| !self.one_in(3)).and_then(Seq::new);
        let (told, page) = self.redis.read_back(&self.topic, before, limit).await.unwrap();
        let expected = self.log.read_back(before, limit);
        assert_eq!(
            (told, page.more, bare(&page.messages)),
            (head, expected.more, bare(&expected.messages)),
            "{before:?}"
        );
    }

    async fn read(&self, head: &Head, limit: Limit) {
        let seq = |bound| Seq::new(self.entropy.below(bound)).unwrap();
        let mut after = Position::new(head.epoch, seq(head.head.get() + 3));
        if self.log.kind() == Kind::State && self.one_in(2) {
            after.base = Some(seq(head.head.get() + 2));
        }
        let slice = self.redis.read(&self.topic, after, limit).await.unwrap();
        let (expected, to) = match decide(self.log.kind(), Some(after), head) {
            Decision::Continue => (self.log.read(after, limit), self.log.extent(after, limit).to),
            Decision::Gap { .. } => (Vec::new(), after.seq),
        };
        assert_eq!((slice.head, slice.to, bare(&slice.messages)), (*head, to, bare(&expected)), "{after:?} {limit:?}");
    }
}

/// Without what only one of them draws: the time and the tag.
fn bare(messages: &[Arc<Message>]) -> Vec<Message> {
    messages.iter().map(|message| Message { at: 0, tag: 0, ..Message::clone(message) }).collect()
}
