//! `cargo fuzz run encodings`: see the README beside.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tricast_testkit::fuzz::encodings(input));
