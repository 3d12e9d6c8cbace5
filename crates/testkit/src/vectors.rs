//! The language-neutral cases of `tests/vectors/*.json`, which the TypeScript tests read too.
//!
//! A file is `{"description": "…", "cases": [{"name": "…", …}, …]}`; what a case holds besides its name is the
//! file's own. No two cases of a file share a name.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::thread;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// A named case of a file of vectors.
#[derive(Debug)]
pub struct Case<T> {
    /// What the case is called in its file.
    pub name: String,
    /// What the case holds.
    pub data: T,
}

/// Runs a test on each case of `tests/vectors/<name>.json`. When it panics, the case is named on stderr, so that the
/// assertions need not name it.
///
/// # Panics
///
/// As [`load`], and where the test does.
///
/// # Examples
///
/// ```no_run
/// #[derive(serde::Deserialize)]
/// struct Parsed {
///     text: String,
///     seq: Option<u64>,
/// }
///
/// tricast_testkit::vectors::each("positions", |case: Parsed| {
///     assert_eq!(case.text.len() > 20, case.seq.is_some());
/// });
/// ```
pub fn each<T: DeserializeOwned>(name: &str, mut test: impl FnMut(T)) {
    for case in load(name) {
        let _label = Label { file: name, case: &case.name };
        test(case.data);
    }
}

/// Loads the cases of `tests/vectors/<name>.json`.
///
/// # Panics
///
/// If the file is missing, has no case, repeats a name, or a case does not fit `T`; names the file and the case.
pub fn load<T: DeserializeOwned>(name: &str) -> Vec<Case<T>> {
    let file = format!("tests/vectors/{name}.json");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(&file);
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{file}: {error}"));
    parse(&file, &text)
}

fn parse<T: DeserializeOwned>(file: &str, text: &str) -> Vec<Case<T>> {
    let read: File = serde_json::from_str(text).unwrap_or_else(|error| panic!("{file}: {error}"));
    assert!(!read.description.is_empty(), "{file}: the description is empty");
    assert!(!read.cases.is_empty(), "{file}: there is no case");
    let mut names = BTreeSet::new();
    let cases = read.cases.into_iter().map(|RawCase { name, data }| {
        assert!(names.insert(name.clone()), "{file}: two cases are named \"{name}\"");
        let data = serde_json::from_value(Value::Object(data))
            .unwrap_or_else(|error| panic!("{file}, case \"{name}\": {error}"));
        Case { name, data }
    });
    cases.collect()
}

/// Says on stderr which case a test ran when it panics.
struct Label<'a> {
    file: &'a str,
    case: &'a str,
}

impl Drop for Label<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("in tests/vectors/{}.json, case \"{}\"", self.file, self.case);
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    description: String,
    cases: Vec<RawCase>,
}

#[derive(Deserialize)]
struct RawCase {
    name: String,
    #[serde(flatten)]
    data: Map<String, Value>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize, Debug, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Sum {
        left: u32,
        right: u32,
    }

    fn sums(text: &str) -> Vec<Case<Sum>> {
        parse("sums.json", text)
    }

    #[test]
    fn a_case_is_its_name_and_the_rest() {
        let cases = sums(r#"{"description": "d", "cases": [{"name": "a", "left": 1, "right": 2}]}"#);
        assert_eq!((cases[0].name.as_str(), &cases[0].data), ("a", &Sum { left: 1, right: 2 }));
    }

    #[test]
    #[should_panic(expected = "sums.json, case \"b\": missing field `right`")]
    fn a_case_that_does_not_fit_is_named() {
        sums(r#"{"description": "d", "cases": [{"name": "a", "left": 1, "right": 2}, {"name": "b", "left": 1}]}"#);
    }

    #[test]
    #[should_panic(expected = "sums.json: two cases are named \"a\"")]
    fn a_name_stands_once() {
        sums(
            r#"{"description": "d", "cases": [{"name": "a", "left": 1, "right": 2}, {"name": "a", "left": 1, "right": 2}]}"#,
        );
    }

    #[test]
    #[should_panic(expected = "sums.json: there is no case")]
    fn a_file_without_cases_tests_nothing_and_fails() {
        sums(r#"{"description": "d", "cases": []}"#);
    }

    #[test]
    #[should_panic(expected = "tests/vectors/no-such-file.json: ")]
    fn a_missing_file_is_named() {
        load::<Sum>("no-such-file");
    }
}
