//! What a channel costs that nobody uses and that retains nothing, by the allocator's own account.

use std::alloc::System;
use std::sync::Arc;
use std::time::Duration;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tricast::{Draft, Rule, Tricast};
use tricast_testkit::clock::VirtualClock;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const CHANNELS: usize = 20_000;

/// A name of 16 bytes is among them. A hash table that has just grown is half empty, so there is room for that.
const MOST_BYTES: usize = 320;

#[tokio::test(start_paused = true)]
async fn a_channel_at_rest_costs_a_few_hundred_bytes_and_goes_on() {
    let clock = Arc::new(VirtualClock::default());
    let builder = Tricast::builder().rule("{name}", Rule::stream().ttl(Duration::from_secs(1)));
    let tricast = builder.clock(Arc::clone(&clock) as _).build().await.unwrap();
    let channel = |n: usize| format!("channel-{n:08}");
    let region = Region::new(ALLOCATOR);
    let bytes_each = || {
        let change = region.change();
        (change.bytes_allocated - change.bytes_deallocated) / CHANNELS
    };
    for n in 0..CHANNELS {
        tricast.publish(&channel(n), Draft::json("x").unwrap()).await.unwrap();
    }
    let alive = bytes_each();
    clock.advance(Duration::from_secs(1));
    // The node looks for what is over every minute, and this clock does not wait.
    tokio::time::sleep(Duration::from_secs(61)).await;
    let at_rest = bytes_each();
    println!("bytes of a channel: {alive} alive with a message, {at_rest} at rest");
    assert!(at_rest <= MOST_BYTES && at_rest < alive / 4, "{alive} alive, {at_rest} at rest");
    for n in [0, CHANNELS / 2, CHANNELS - 1] {
        let again = tricast.publish(&channel(n), Draft::json("y").unwrap()).await.unwrap();
        assert_eq!(again.position.seq.get(), 2);
    }
}
