//! The promises of delivery on a cluster, in thousands of histories.

use tricast_testkit::sim::cluster::{self, Flaw};

const HISTORIES: u64 = 20_000;

#[test]
fn every_promise_holds_in_every_history_of_a_cluster() {
    let tally = cluster::check(HISTORIES);
    println!("{tally:?}");
    // Of fewer, asked for by hand, something may well be missing.
    if tally.histories >= HISTORIES {
        let often = [tally.delivered, tally.gaps, tally.duplicates, tally.fills, tally.owed, tally.forks];
        assert!(often.iter().all(|count| *count > HISTORIES / 100), "the histories were idle: {tally:?}");
    }
}

#[test]
fn a_flaw_of_a_node_breaks_a_promise_that_is_checked() {
    for flaw in Flaw::ALL {
        let found = (0..2_000).find_map(|seed| cluster::run(seed, Some(flaw)).err().map(|it| (seed, it)));
        let (seed, violation) = found.unwrap_or_else(|| panic!("nobody notices {flaw:?}"));
        println!("{flaw:?} is found by history {seed}: {violation}");
    }
}

#[test]
fn what_the_store_is_asked_does_not_grow_with_the_readers() {
    let (few, many) = (cluster::crowd(30).unwrap(), cluster::crowd(600).unwrap());
    assert!(many.delivered > 10 * few.delivered);
    assert!(many.questions <= few.questions * 3 / 2, "{} questions for {} readers", many.questions, 600);
}

#[test]
fn the_same_seed_is_the_same_history() {
    for seed in 0..20 {
        assert_eq!(cluster::tell(seed, None), cluster::tell(seed, None));
    }
    assert_ne!(cluster::tell(1, None), cluster::tell(2, None));
}
