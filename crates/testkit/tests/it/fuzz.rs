//! Each target of the fuzzer, for a moment.

use std::fs;
use std::path::Path;

use tricast_testkit::fuzz::{OF_THE_SERVER, TARGETS, drive};

/// Enough to notice what breaks at once; `tests/fuzz` is for the rest.
const TRIES: u64 = 150_000;

#[test]
fn no_input_breaks_a_property() {
    for target in TARGETS {
        drive(*target, 1, TRIES);
    }
}

#[test]
fn each_target_has_a_binary_and_a_corpus_and_nothing_else_has() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz");
    let names = |folder: &str, ending: &str| -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().to_string_lossy().replace(ending, "")).collect();
        names.sort();
        names
    };
    let mut targets: Vec<&str> = TARGETS.iter().map(|target| target.name).chain(OF_THE_SERVER).collect();
    targets.sort_unstable();
    assert_eq!(names(&folder.join("targets").to_string_lossy(), ".rs"), targets);
    assert_eq!(names(&folder.join("corpus").to_string_lossy(), ""), targets);
    let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
    assert!(targets.iter().all(|name| manifest.contains(&format!("path = \"targets/{name}.rs\""))));
}
