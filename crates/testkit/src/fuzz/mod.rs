//! What is fuzzed: functions that take any bytes and panic where a property does not hold.
//!
//! Two drivers run them: `cargo fuzz`, for hours (`tests/fuzz`), and [`drive`], for a moment with each run of the tests.
//! Both begin with the inputs of `tests/fuzz/corpus`.

mod drive;
mod target;

pub use drive::drive;
pub use target::{commands, compaction, cursors, encodings, events, names, queries};

/// Something to fuzz.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// What it, its folder in the corpus and its binary are called.
    pub name: &'static str,
    /// Tries one input.
    pub run: fn(&[u8]),
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "commands", run: commands },
    Target { name: "compaction", run: compaction },
    Target { name: "cursors", run: cursors },
    Target { name: "encodings", run: encodings },
    Target { name: "events", run: events },
    Target { name: "names", run: names },
    Target { name: "queries", run: queries },
];

/// Those that need a server, by their names: functions in `tests/suite/fuzz`, for this crate knows the core only.
pub const OF_THE_SERVER: [&str; 2] = ["requests", "websockets"];
