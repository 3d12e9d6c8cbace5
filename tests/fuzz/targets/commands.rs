//! `cargo fuzz run commands`: see the README beside.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tricast_testkit::fuzz::commands(input));
