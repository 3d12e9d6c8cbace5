//! `cargo fuzz run events`: see the README beside.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tricast_testkit::fuzz::events(input));
