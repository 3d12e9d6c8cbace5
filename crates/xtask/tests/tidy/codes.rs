//! Every code of the protocol stands in its documentation and in a vector, and none stands there that is not one.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::repository::{assert_clean, text};

#[test]
fn every_code_is_documented_and_has_a_vector() {
    let codes = codes_in(&text("crates/core/src/protocol/code.rs").content);
    assert!(codes.len() >= 15, "version 1 of the protocol has 15 codes, the source shows {codes:?}");
    let documented = documented_codes(&text("docs/protocol.md").content);
    let vectors = serde_json::from_str(&text("tests/vectors/codes.json").content).expect("codes.json is JSON");

    assert_clean(&differences("docs/protocol.md", &codes, &documented));
    assert_clean(&differences("tests/vectors/codes.json", &codes, &vector_codes(&vectors)));
}

/// The strings that the arms of `as_str` give.
fn codes_in(source: &str) -> BTreeSet<String> {
    let body = source.split_once("fn as_str").map_or("", |(_, after)| after);
    let body = body.split_once("\n    }").map_or(body, |(body, _)| body);
    let arms = body.lines().filter_map(|line| line.split_once("=> \"")?.1.split('"').next());
    arms.map(str::to_owned).collect()
}

/// The first cells of the rows of the table under the heading "Codes".
fn documented_codes(page: &str) -> BTreeSet<String> {
    let mut in_section = false;
    let mut codes = BTreeSet::new();
    for line in page.lines() {
        if line.starts_with('#') {
            in_section = line.trim_start_matches('#').to_lowercase().contains("codes");
        } else if let Some((code, _)) = line.strip_prefix("| `").and_then(|row| row.split_once('`'))
            && in_section
        {
            codes.insert(code.to_owned());
        }
    }
    codes
}

/// The `code` of each case.
fn vector_codes(vectors: &Value) -> BTreeSet<String> {
    let cases = vectors["cases"].as_array().map_or(&[][..], Vec::as_slice);
    cases.iter().filter_map(|case| case["code"].as_str()).map(str::to_owned).collect()
}

fn differences(place: &str, codes: &BTreeSet<String>, found: &BTreeSet<String>) -> Vec<String> {
    let missing = codes.difference(found).map(|code| format!("{place}: the code `{code}` is missing"));
    let foreign = found.difference(codes).map(|code| format!("{place}: `{code}` is no code of the protocol"));
    missing.chain(foreign).collect()
}

#[cfg(test)]
mod can_fail {
    use super::*;

    const SOURCE: &str = "
impl Code {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadRequest => \"bad_request\",
            Self::Timeout => \"timeout\",
        }
    }

    fn other(self) -> &'static str {
        match self {
            _ => \"not a code\",
        }
    }
}";

    fn set(codes: &[&str]) -> BTreeSet<String> {
        codes.iter().copied().map(str::to_owned).collect()
    }

    #[test]
    fn codes_are_read_from_as_str_alone() {
        assert_eq!(codes_in(SOURCE), set(&["bad_request", "timeout"]));
    }

    #[test]
    fn codes_are_read_from_their_table_alone() {
        let page = "## 4. Commands\n| `hello` | x |\n## 7. Codes\n| code |\n| --- |\n| `timeout` | 408 |\n## 8. More\n| `x` |\n";
        assert_eq!(documented_codes(page), set(&["timeout"]));
    }

    #[test]
    fn codes_are_read_from_the_cases() {
        let vectors = serde_json::json!({"cases": [{"name": "a", "code": "timeout"}, {"name": "b"}]});
        assert_eq!(vector_codes(&vectors), set(&["timeout"]));
    }

    #[test]
    fn a_missing_and_a_foreign_code_are_found() {
        let findings = differences("page", &set(&["timeout", "conflict"]), &set(&["timeout", "teapot"]));
        assert_eq!(findings, ["page: the code `conflict` is missing", "page: `teapot` is no code of the protocol"]);
    }
}
