//! `cargo fuzz run websockets`: see the README beside.

#![no_main]
#![allow(clippy::panic, clippy::unwrap_used, dead_code, unused_imports, reason = "the suite's file has both targets")]

#[path = "../../suite/fuzz/mod.rs"]
mod fuzz;

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::websockets(input));
