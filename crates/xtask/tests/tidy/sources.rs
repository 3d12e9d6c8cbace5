//! What may not stand in a source file.

use std::env;

use crate::repository::{Text, assert_clean, root, texts};

#[test]
fn no_module_allows_unsafe_code() {
    check(|text| lifted_lints(text, UNSAFE_MODULES));
}

#[test]
fn nothing_unfinished_is_left() {
    check(unfinished);
}

#[test]
fn files_stay_short() {
    check(|text| too_long(text).into_iter().collect());
}

#[test]
fn a_test_that_sleeps_says_why() {
    check(unexplained_sleeps);
}

#[test]
fn no_file_names_a_machine() {
    let mut places: Vec<String> = MACHINE_PLACES.iter().copied().map(str::to_owned).collect();
    places.push(root().display().to_string());
    places.extend(env::var("HOME").ok().filter(|home| home.len() > 1).map(|home| home + "/"));
    check(|text| machine_places(text, &places));
}

#[test]
fn no_file_names_a_package_registry() {
    check(registries);
}

/// Modules that may lift the denial of unsafe code.
const UNSAFE_MODULES: &[&str] = &[];

/// The longest a source file may be, in lines.
const MAX_LINES: usize = 500;

/// Folders that are one person's; in two pieces, so that this file passes its own test.
const MACHINE_PLACES: &[&str] =
    &[concat!("/ho", "me/"), concat!("/Us", "ers/"), concat!("/ro", "ot/"), concat!("/t", "mp/")];

/// A host with one of these in its name serves packages.
const REGISTRY_WORDS: &[&str] = &["registry", "npmjs", "pypi", "pythonhosted", "crates", "debian"];

/// Built from sources that the rules do read.
const BUILT: &[&str] = &["client-js/dist/", "crates/tricast/assets/"];

const SOURCE_ENDINGS: &[&str] = &[".rs", ".ts", ".js", ".mjs", ".html", ".css"];

#[track_caller]
fn check(rule: impl Fn(&Text) -> Vec<String>) {
    let texts = texts();
    assert!(texts.iter().any(is_rust), "no source was found");
    assert_clean(&texts.iter().flat_map(rule).collect::<Vec<_>>());
}

fn is_rust(text: &Text) -> bool {
    text.path.ends_with(".rs")
}

fn findings<'a>(text: &'a Text, what: impl Fn(&'a str) -> Option<String>) -> Vec<String> {
    let found = text.lines().filter_map(|(number, line)| Some((number, what(line)?)));
    found.map(|(number, what)| format!("{}:{number}: {what}", text.path)).collect()
}

fn lifted_lints(text: &Text, modules: &[&str]) -> Vec<String> {
    if !is_rust(text) || modules.contains(&text.path.as_str()) {
        return Vec::new();
    }
    let lint = concat!("unsafe", "_code");
    findings(text, |line| {
        let lifts = ["allow", "expect", "warn"].iter().any(|level| line.contains(&format!("{level}({lint}")));
        lifts.then(|| "allows unsafe code".to_owned())
    })
}

fn unfinished(text: &Text) -> Vec<String> {
    if !is_rust(text) {
        return Vec::new();
    }
    let macros = [concat!("todo", "!("), concat!("unimplemented", "!("), concat!("dbg", "!(")];
    findings(text, |line| macros.iter().find(|it| line.contains(**it)).map(|it| format!("{it}…) is left")))
}

fn too_long(text: &Text) -> Option<String> {
    let is_source = SOURCE_ENDINGS.iter().any(|ending| text.path.ends_with(ending));
    let is_built = BUILT.iter().any(|folder| text.path.starts_with(folder));
    let lines = text.lines().count();
    let long = is_source && !is_built && lines > MAX_LINES;
    long.then(|| format!("{}: {lines} lines: is there a type in it that wants its own room?", text.path))
}

/// Sleeps in test code need a comment on their line or on the one above.
fn unexplained_sleeps(text: &Text) -> Vec<String> {
    if !is_rust(text) {
        return Vec::new();
    }
    let mut in_tests = text.path.split('/').any(|part| part == "tests" || part == "testkit");
    let mut findings = Vec::new();
    let mut above = "";
    for (number, line) in text.lines() {
        in_tests |= line.trim_start().starts_with("#[cfg(test)]");
        let sleeps = line.contains(concat!("sleep", "(")) && !line.contains("fn ");
        if in_tests && sleeps && !line.contains("//") && !above.contains("//") {
            findings.push(format!("{}:{number}: sleeps without a reason beside it", text.path));
        }
        above = line;
    }
    findings
}

fn machine_places(text: &Text, places: &[String]) -> Vec<String> {
    findings(text, |line| places.iter().find(|place| names_place(line, place)).map(|place| format!("names {place}")))
}

/// True where an absolute path begins with `place`, not where `place` is the middle of another path.
fn names_place(line: &str, place: &str) -> bool {
    line.match_indices(place).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|it| it.is_alphanumeric() || matches!(it, '.' | '_' | '-' | '/' | '}' | ')'))
    })
}

fn registries(text: &Text) -> Vec<String> {
    findings(text, |line| {
        let host = line.split("://").skip(1).map(host_of).find(|host| serves_packages(host));
        host.map(|host| format!("names the package registry {host}"))
    })
}

fn host_of(rest: &str) -> &str {
    let end = rest.find(|it: char| !it.is_ascii_alphanumeric() && it != '.' && it != '-').unwrap_or(rest.len());
    &rest[..end]
}

fn serves_packages(host: &str) -> bool {
    host.split('.').any(|label| REGISTRY_WORDS.contains(&label))
}

#[cfg(test)]
mod can_fail {
    use super::*;

    fn rust(content: &str) -> Text {
        Text::new("crates/a/src/lib.rs", content)
    }

    #[test]
    fn a_lifted_denial_of_unsafe_code_is_found_outside_the_list() {
        let text = rust(concat!("#![al", "low(unsafe", "_code)]"));
        assert_eq!(lifted_lints(&text, &[]), ["crates/a/src/lib.rs:1: allows unsafe code"]);
        assert!(lifted_lints(&text, &["crates/a/src/lib.rs"]).is_empty());
        assert!(lifted_lints(&rust("#![deny(missing_docs)]"), &[]).is_empty());
    }

    #[test]
    fn unfinished_code_is_found() {
        assert_eq!(unfinished(&rust(concat!("fn a() {}\nfn b() { to", "do!() }"))).len(), 1);
        assert_eq!(unfinished(&rust(concat!("db", "g!(x);"))).len(), 1);
        assert!(unfinished(&rust("// todo: a word")).is_empty());
    }

    #[test]
    fn a_file_one_line_over_the_limit_is_found() {
        assert!(too_long(&rust(&"x\n".repeat(MAX_LINES))).is_none());
        let long = "x\n".repeat(MAX_LINES + 1);
        assert!(too_long(&rust(&long)).is_some());
        assert!(too_long(&Text::new("client-js/src/a.ts", &long)).is_some());
        assert!(too_long(&Text::new("client-js/dist/a.js", &long)).is_none());
        assert!(too_long(&Text::new("docs/a.md", &long)).is_none());
    }

    #[test]
    fn a_sleep_in_a_test_without_a_reason_is_found() {
        let sleep = concat!("thread::sle", "ep(PAUSE);");
        let bare = format!("#[cfg(test)]\nmod tests {{\n    {sleep}\n}}\n");
        assert_eq!(unexplained_sleeps(&rust(&bare)), ["crates/a/src/lib.rs:3: sleeps without a reason beside it"]);
        assert_eq!(unexplained_sleeps(&Text::new("tests/suite/a.rs", sleep)).len(), 1);
    }

    #[test]
    fn a_sleep_with_a_reason_or_outside_tests_is_fine() {
        let sleep = concat!("sle", "ep(PAUSE);");
        assert!(unexplained_sleeps(&rust(sleep)).is_empty());
        let beside = format!("#[cfg(test)]\n{sleep} // the peer's own timer\n");
        let above = format!("#[cfg(test)]\n// The peer's own timer.\n{sleep}\n");
        assert!(unexplained_sleeps(&rust(&beside)).is_empty() && unexplained_sleeps(&rust(&above)).is_empty());
    }

    #[test]
    fn a_place_of_one_machine_is_found() {
        let places = ["/somewhere/".to_owned()];
        assert_eq!(
            machine_places(&rust("open(\"/somewhere/a\")"), &places),
            ["crates/a/src/lib.rs:1: names /somewhere/"]
        );
        assert!(machine_places(&rust("GET http://h/somewhere/a, target/somewhere/b"), &places).is_empty());
    }

    #[test]
    fn a_registry_is_found_by_its_host() {
        let scheme = "https:";
        assert_eq!(registries(&rust(&format!("\"resolved\": \"{scheme}//registry.example.org/a.tgz\""))).len(), 1);
        assert!(registries(&rust(&format!("{scheme}//github.com/rust-lang/crates.io-index"))).is_empty());
        assert!(registries(&rust(&format!("{scheme}//example.org/registry"))).is_empty());
    }
}
