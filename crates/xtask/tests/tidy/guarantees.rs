//! Every test that the pages of guarantees and of defences name is one.

use crate::repository::{Text, assert_clean, files, text};

#[test]
fn every_test_that_a_guarantee_names_exists() {
    assert_named("docs/guarantees.md");
}

#[test]
fn every_test_that_shows_a_defence_exists() {
    assert_named("docs/security.md");
}

fn assert_named(page: &str) {
    let page = text(page);
    let named = tests_named(&page);
    assert!(named.len() >= 50, "the page names {} tests", named.len());
    let files = files();
    let source = |path: &str| files.iter().any(|known| known == path).then(|| text(path).content);
    assert_clean(&missing(&page.path, &named, source));
}

/// `path::name` between backticks: the line, the path and the name.
pub(crate) fn tests_named(page: &Text) -> Vec<(usize, &str, &str)> {
    let spans =
        page.lines().flat_map(|(number, line)| line.split('`').skip(1).step_by(2).map(move |span| (number, span)));
    let tests = spans.filter_map(|(number, span)| span.split_once("::").map(|(path, name)| (number, path, name)));
    tests.filter(|(_, path, _)| path.contains('/')).collect()
}

pub(crate) fn missing(
    page: &str,
    named: &[(usize, &str, &str)],
    source: impl Fn(&str) -> Option<String>,
) -> Vec<String> {
    let mut findings = Vec::new();
    for (number, path, name) in named {
        match source(path) {
            None => findings.push(format!("{page}:{number}: there is no {path}")),
            Some(source) if !is_test(path, &source, name) => {
                findings.push(format!("{page}:{number}: {path} has no test {name}"));
            }
            Some(_) => {}
        }
    }
    findings
}

fn is_test(path: &str, source: &str, name: &str) -> bool {
    if path.ends_with(".rs") {
        is_marked(source, name) || is_scenario(source, name)
    } else {
        ['\'', '"', '`'].iter().any(|quote| source.contains(&format!("{quote}{name}{quote}")))
    }
}

/// A function right under an attribute that makes it a test.
fn is_marked(source: &str, name: &str) -> bool {
    let mut marked = false;
    for line in source.lines().map(str::trim) {
        if line.starts_with("#[") {
            marked |= line.contains("test");
        } else if !line.starts_with("//") {
            if marked && is_function(line, name) {
                return true;
            }
            marked = false;
        }
    }
    false
}

/// A function that one of the suite's `over_…!` and `on_every_…!` macros makes tests of.
fn is_scenario(source: &str, name: &str) -> bool {
    let macros = ["\nover_", "\non_every_"].into_iter().flat_map(|macros| source.split(macros).skip(1));
    let lists = macros.filter_map(|rest| rest.split_once('(')?.1.split(");").next());
    lists.flat_map(|list| list.split(',')).any(|listed| listed.trim() == name)
        && source.lines().any(|line| is_function(line, name))
}

fn is_function(line: &str, name: &str) -> bool {
    line.split_once("fn ").and_then(|(_, rest)| rest.strip_prefix(name)).is_some_and(|rest| rest.starts_with('('))
}

#[cfg(test)]
mod can_fail {
    use super::*;

    const SUITE: &str = "
over_every_transport!(
    one,
    gone,
);

over_others!(three);

on_every_store!(four);

async fn four(kind: Kind) {}

async fn one(case: Case) {}

fn helper() {}

/// Why.
#[tokio::test(start_paused = true)]
// And more.
async fn two() {}

async fn three(case: Case) {}
";

    #[test]
    fn tests_are_told_from_what_is_none() {
        let tests = ["one", "two", "three", "gone", "helper", "tw"];
        assert_eq!(tests.map(|name| is_test("a.rs", SUITE, name)), [true, true, true, false, false, false]);
        assert!(is_test("a.test.ts", "test('says: so', () => {})", "says: so"));
        assert!(!is_test("a.test.ts", "// says: so", "says: so"));
    }

    #[test]
    fn a_test_that_is_gone_is_found_with_its_line() {
        let page =
            Text::new("page.md", "`Rule::state()` and\n- `tests/a.rs::one`\n- `tests/a.rs::two` `tests/b.rs::one`\n");
        let source = |path: &str| (path == "tests/a.rs").then(|| "#[test]\nfn one() {}\n".to_owned());
        let expected = ["page.md:3: tests/a.rs has no test two", "page.md:3: there is no tests/b.rs"];
        assert_eq!(missing(&page.path, &tests_named(&page), source), expected);
    }
}
