//! What logs say that they cost, against what the allocator gave them.

#![allow(clippy::unwrap_used, reason = "the lint spares tests themselves, but not the functions that they share")]

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tricast_core::access::Identity;
use tricast_core::channel::{Kind, Retention};
use tricast_core::log::{Log, Stamp};
use tricast_core::message::Draft;
use tricast_core::position::Epoch;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const UNBOUNDED: Retention = Retention { keep: u64::MAX, keep_bytes: u64::MAX, ttl_ms: u64::MAX };

/// Fills a log, and checks its account after each tenth of it; the allocator's own rounding is not counted by either.
fn check(name: &str, kind: Kind, messages: u64, draft: impl Fn(u64) -> Draft) {
    let publisher = Identity::Server.scope();
    let region = Region::new(ALLOCATOR);
    let mut log = Log::new(kind, Epoch::from_bits(1), UNBOUNDED);
    for n in 1..=messages {
        // A millisecond each, so that ids are over after five minutes of them.
        log.append(draft(n), &publisher, Stamp { now_ms: n, tag: 0 }).unwrap();
        if n % (messages / 10) == 0 {
            let change = region.change();
            let real = change.bytes_allocated as f64 - change.bytes_deallocated as f64;
            let said = log.memory() as f64;
            let ratio = said / real;
            assert!((0.8..1.25).contains(&ratio), "{name} after {n}: says {said}, has {real}");
        }
    }
}

#[test]
fn a_log_costs_what_it_says() {
    // One test, for two at a time would count each other's.
    let payload = |bytes: usize| Draft::json(&"x".repeat(bytes)).unwrap();
    check("small messages", Kind::Stream, 50_000, |_| payload(20));
    check("large messages", Kind::Stream, 2_000, |_| payload(10_000));
    check("messages with ids and events", Kind::Stream, 50_000, |n| payload(100).id(n.to_string()).event("e"));
    check("keys", Kind::State, 50_000, |n| payload(100).key(format!("key-{n}")));
    check("keys that change", Kind::State, 50_000, |n| payload(100).key(format!("key-{}", n % 1_000)));
    check("keys that leave", Kind::State, 50_000, |n| match n % 3 {
        0 => Draft::delete((n - 1).to_string()),
        _ => payload(100).key(n.to_string()).ttl(std::time::Duration::from_secs(1_000)),
    });
}
