use serde::Deserialize;
use serde_json::{Value, json};
use tricast_core::channel::Kind;
use tricast_core::log::Head;
use tricast_core::position::Seq;
use tricast_core::replay::{Decision, decide};
use tricast_testkit::vectors;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    kind: String,
    position: String,
    log: LogShape,
    decision: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LogShape {
    epoch: String,
    first: u64,
    head: u64,
    floor: u64,
}

#[test]
fn every_row_of_the_decision_is_as_the_vectors_say() {
    for case in vectors::load::<Question>("replay") {
        let Question { kind, position, log, decision } = &case.data;
        let kind = if kind == Kind::State.as_str() { Kind::State } else { Kind::Stream };
        let seq = |number| Seq::new(number).unwrap();
        let head = Head {
            epoch: log.epoch.parse().unwrap(),
            first: seq(log.first),
            head: seq(log.head),
            floor: seq(log.floor),
        };
        let found = match decide(kind, position.parse().ok(), &head) {
            Decision::Continue => json!("continue"),
            Decision::Gap { reason, position } => {
                json!({ "gap": reason.as_str(), "position": position.to_string() })
            }
        };
        assert_eq!(&found, decision, "{}", case.name);
    }
}
