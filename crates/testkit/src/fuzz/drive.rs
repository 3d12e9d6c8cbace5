//! A driver that needs nothing but a stable compiler: it changes the inputs of a corpus at random, from a seed.

use std::fs;
use std::path::PathBuf;
use std::thread;

use tricast_core::clock::Entropy as _;

use super::Target;
use crate::entropy::Seeded;

/// Tries the corpus of a target, and so many changed inputs of it. The same seed tries the same inputs.
///
/// # Panics
/// A property does not hold, and then says on stderr for which input; or the corpus of the target is missing.
pub fn drive(target: Target, seed: u64, tries: u64) {
    let corpus = corpus(target.name);
    for input in &corpus {
        attempt(target, input);
    }
    let mut random = Random(Seeded::new(seed));
    for _ in 0..tries {
        let mut input = corpus[random.below(corpus.len())].clone();
        for _ in 0..=random.below(4) {
            change(&mut input, &corpus, &mut random);
        }
        attempt(target, &input);
    }
}

fn attempt(target: Target, input: &[u8]) {
    let _label = Label { target: target.name, input };
    (target.run)(input);
}

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus").join(name);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("tests/fuzz/corpus/{name}: {error}"));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry of the folder").path()).collect();
    // A folder has no order of its own.
    paths.sort();
    assert!(!paths.is_empty(), "tests/fuzz/corpus/{name} is empty");
    paths.iter().map(|path| fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))).collect()
}

/// One change: bytes out, in, over, or a piece of another input.
fn change(input: &mut Vec<u8>, corpus: &[Vec<u8>], random: &mut Random) {
    let at = random.below(input.len() + 1);
    let end = (at + 1 + random.below(8)).min(input.len());
    match random.below(7) {
        0 => drop(input.drain(at..end)),
        1 => input.insert(at, random.byte()),
        2 => {
            if let Some(byte) = input.get_mut(at) {
                *byte ^= 1 << random.below(8);
            }
        }
        3 => input.truncate(at),
        4 => {
            let piece = input[at..end].to_vec();
            let times = 1 + random.below(3);
            input.splice(at..at, piece.repeat(times));
        }
        5 => {
            let other = &corpus[random.below(corpus.len())];
            let from = random.below(other.len() + 1);
            let until = (from + 1 + random.below(30)).min(other.len());
            input.splice(at..end, other[from..until].iter().copied());
        }
        _ => {
            let word = WORDS[random.below(WORDS.len())];
            input.splice(at..end, word.bytes());
        }
    }
}

/// What the formats are made of.
const WORDS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\",
    "\\u",
    "d800",
    "null",
    "true",
    "-0",
    "1e400",
    "0.5",
    " ",
    "\n",
    "\r",
    "\t",
    "\u{0}",
    "\u{e5}",
    "\u{2028}",
    "-",
    "0",
    "9007199254740991",
    "9007199254740992",
    "&",
    "=",
    "%2C",
    "%",
    "+",
    "@",
    "{a}",
    "\"ref\":1",
    "\"type\":\"ping\"",
    "\"id\":\"1\"",
    "last:",
    "cursor=",
    "channel=",
    "from=",
    "wait=",
];

struct Random(Seeded);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.0.next_u64() % end as u64).expect("less than a usize")
    }

    fn byte(&mut self) -> u8 {
        self.0.next_u64().to_le_bytes()[0]
    }
}

/// Says on stderr which input was tried when it panics, as it would stand in a test.
struct Label<'a> {
    target: &'static str,
    input: &'a [u8],
}

impl Drop for Label<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("{} of b\"{}\"", self.target, self.input.escape_ascii());
        }
    }
}
