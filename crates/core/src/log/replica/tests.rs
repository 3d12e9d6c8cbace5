use std::time::Duration;

use super::*;
use crate::access::Identity;
use crate::limits::DEDUP_MS;

/// Numerical Recipes' generator: the histories are the same in every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn draft(&mut self, kind: Kind) -> Draft {
        let mut draft = Draft::binary(vec![0; usize::try_from(self.below(60)).unwrap_or(0)]);
        if self.below(2) == 0 {
            draft = draft.id(self.below(40).to_string());
        }
        if kind == Kind::Stream {
            return draft;
        }
        draft = draft.key(self.below(12).to_string());
        if self.below(3) == 0 {
            draft.payload = None;
        }
        match self.below(8) {
            0 => draft = draft.only_if(Seq::ZERO),
            1 => draft = draft.ttl(Duration::from_millis(1 + self.below(2_000))),
            2 | 3 => draft = draft.held_by(self.below(4).to_string(), Some(self.below(2))),
            4 => draft = draft.held_by(self.below(4).to_string(), None),
            _ => {}
        }
        draft
    }
}

fn retention() -> Retention {
    Retention { keep: 8, keep_bytes: 3_000, ttl_ms: 20_000 }
}

/// Everything but the order in which maps give it, and but what is over and only not yet given back.
fn sorted(log: &Log) -> Snapshot {
    let mut all = log.snapshot();
    all.ids.retain(|known| all.last_append_ms - known.at < DEDUP_MS);
    all.ids.sort_by(|a, b| (a.publisher.as_str(), a.at, &a.id).cmp(&(b.publisher.as_str(), b.at, &b.id)));
    all.held.sort_by(|a, b| a.key.cmp(&b.key));
    all
}

fn publishers() -> [Scope; 2] {
    [Identity::Anonymous.scope(), Identity::Server.scope()]
}

#[test]
fn what_is_decided_on_an_excerpt_and_applied_is_what_an_append_does() {
    for (kind, seed) in [Kind::Stream, Kind::State].into_iter().flat_map(|kind| (0..20).map(move |seed| (kind, seed))) {
        let mut chance = Chance(seed);
        let epoch = Epoch::from_bits(seed);
        let [mut reference, mut decided, mut applied] = [(); 3].map(|()| Log::new(kind, epoch, retention()));
        let mut now_ms = 1_000;
        for _ in 0..60 {
            now_ms += if chance.below(20) == 0 { DEDUP_MS } else { chance.below(400) };
            let stamp = Stamp { now_ms, tag: 7 };
            let drafts: Vec<_> = (0..1 + chance.below(6))
                .map(|n| (chance.draft(kind), publishers()[usize::from(n == 3)].clone()))
                .collect();
            let expired = decided.expired(now_ms, 100);
            let keys = drafts.iter().filter_map(|(draft, _)| draft.key.as_deref());
            let ids = drafts.iter().filter_map(|(draft, publisher)| Some((publisher, draft.id.as_deref()?)));
            let mut staged = decided.excerpt(keys.chain(expired.iter().map(|key| &**key)), ids, now_ms);
            let mut changes = staged.record_expiry(stamp);
            reference.expire(stamp);
            for (draft, publisher) in &drafts {
                let expected = reference.append(draft.clone(), publisher, stamp);
                let (got, change) = match staged.record(draft.clone(), publisher, stamp) {
                    Ok((appended, change)) => (Ok(appended), change),
                    Err(error) => (Err(error), None),
                };
                assert_eq!(got, expected, "{kind:?} {seed}: {draft:?}");
                changes.extend(change);
            }
            for change in &changes {
                decided.apply(change);
                applied.apply(change);
            }
            assert_eq!(sorted(&decided), sorted(&reference), "{kind:?} {seed}");
            assert_eq!((applied.head(), applied.bytes()), (reference.head(), reference.bytes()));
        }
        assert!(reference.head().head.get() > 20, "{kind:?} {seed}: something happened");
    }
}

#[test]
fn a_log_is_restored_from_its_snapshot_and_goes_on_alike() {
    for kind in [Kind::Stream, Kind::State] {
        let mut chance = Chance(5);
        let mut log = Log::new(kind, Epoch::from_bits(1), retention());
        for n in 0..200 {
            let publisher = &publishers()[usize::try_from(n % 2).unwrap_or(0)];
            let _ = log.append(chance.draft(kind), publisher, Stamp { now_ms: 1_000 + n, tag: 3 });
        }
        let mut again = Log::restore(kind, retention(), log.snapshot());
        assert_eq!((sorted(&again), again.bytes()), (sorted(&log), log.bytes()), "{kind:?}");
        for n in 200..400 {
            let (draft, stamp) = (chance.draft(kind), Stamp { now_ms: 1_000 + n, tag: 4 });
            let [one, other] = [&mut log, &mut again].map(|log| log.append(draft.clone(), &publishers()[0], stamp));
            assert_eq!(one, other);
        }
        assert_eq!(sorted(&again), sorted(&log), "{kind:?}");
    }
}

#[test]
fn what_changes_nothing_is_no_change() {
    let mut log = Log::new(Kind::State, Epoch::from_bits(1), Retention::state());
    let [_, server] = publishers();
    let mut record = |draft: Draft| {
        let (_, change) = log.record(draft, &server, Stamp { now_ms: 5, tag: 0 }).unwrap();
        change
    };
    let held = |holder: &str| Draft::binary([1]).key("k").held_by(holder, Some(1));
    assert!(matches!(record(held("a")), Some(Change::Appended { hold: Some(_), .. })));
    assert_eq!(record(held("a")), None, "it holds the key already");
    assert!(matches!(record(held("b")), Some(Change::Noted(Note { lets_go: false, .. }))));
    assert!(matches!(record(Draft::delete("k").held_by("b", None)), Some(Change::Noted(Note { lets_go: true, .. }))));
    assert_eq!(record(Draft::delete("k").held_by("b", None)), None);
    assert_eq!(record(Draft::delete("other")), None);
    assert!(matches!(record(Draft::delete("other").id("1")), Some(Change::Noted(_))), "an id is to be remembered");
    assert_eq!(record(Draft::delete("other").id("1")), None);
}
