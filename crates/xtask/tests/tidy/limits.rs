//! The page of limits has every constant of the core's, with its value and a test at its edge.

use crate::guarantees::{missing, tests_named};
use crate::repository::{Text, assert_clean, files, text};

#[test]
fn every_limit_stands_on_its_page_with_its_value_and_a_test() {
    let (page, source) = (text(PAGE), text(SOURCE));
    let constants: Vec<_> = source.content.lines().filter_map(constant).collect();
    assert!(constants.len() >= 30, "{SOURCE} has {} constants", constants.len());
    let mut findings = unlisted(&page, &constants);
    let files = files();
    let source = |path: &str| files.iter().any(|known| known == path).then(|| text(path).content);
    findings.extend(missing(&page.path, &tests_named(&page), source));
    assert_clean(&findings);
}

const PAGE: &str = "docs/limits.md";

const SOURCE: &str = "crates/core/src/limits.rs";

/// The name of a constant and its value, where that is a product.
fn constant(line: &str) -> Option<(&str, Option<u64>)> {
    let (name, rest) = line.strip_prefix("pub const ")?.split_once(':')?;
    let value = rest.split_once('=')?.1.trim().trim_end_matches(';');
    let factor = |factor: &str| factor.trim().replace('_', "").parse::<u64>().ok();
    Some((name, value.split('*').map(factor).product()))
}

fn unlisted(page: &Text, constants: &[(&str, Option<u64>)]) -> Vec<String> {
    let mut findings = Vec::new();
    for (name, value) in constants {
        let cell = format!("| `{name}` |");
        let Some((number, row)) = page.lines().find(|(_, line)| line.starts_with(&cell)) else {
            findings.push(format!("{}: {name} has no row", page.path));
            continue;
        };
        let bound = row[cell.len()..].split('|').next().unwrap_or_default().trim();
        if value.is_some_and(|value| !ways_to_write(name, value).iter().any(|way| is_bound(bound, way))) {
            findings.push(format!("{}:{number}: {name} is not {bound}", page.path));
        }
        if !row.contains("::") {
            findings.push(format!("{}:{number}: no test shows {name}", page.path));
        }
    }
    findings
}

/// The value alone, or with what it counts.
fn is_bound(bound: &str, way: &str) -> bool {
    bound.strip_prefix(way).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
}

fn ways_to_write(name: &str, value: u64) -> Vec<String> {
    let units: &[(u64, &str)] = match name.rsplit('_').next() {
        Some("MS") => &[(1_000, " s"), (60_000, " min"), (3_600_000, " h")],
        Some("BYTES" | "CHANNEL") => &[(1, " bytes"), (1 << 10, " KiB"), (1 << 20, " MiB")],
        Some("SECONDS") => &[(1, " s")],
        _ => &[(1, "")],
    };
    let whole = units.iter().filter(|(unit, _)| value.is_multiple_of(*unit));
    whole.map(|(unit, word)| thousands(value / unit) + word).collect()
}

fn thousands(value: u64) -> String {
    let digits = value.to_string();
    let mut written = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            written.push(',');
        }
        written.push(digit);
    }
    written
}

#[cfg(test)]
mod can_fail {
    use super::*;

    #[test]
    fn a_limit_that_is_missing_wrong_or_untried_is_found() {
        let source = "pub const A_BYTES: usize = 64 * 1024;\npub const B: u64 = 1_000;\n/// C\npub const C_MS: u64 = 5 * 60_000;\npub const D: u64 = (1 << 53) - 1;\n";
        let constants: Vec<_> = source.lines().filter_map(constant).collect();
        assert_eq!(constants, [("A_BYTES", Some(65_536)), ("B", Some(1_000)), ("C_MS", Some(300_000)), ("D", None)]);
        let page = "| `A_BYTES` | 64 KiB | `a.rs::x` |\n| `B` | 1,000 | |\n| `D` | 2^53-1 | `a.rs::x` |\n";
        let expected = ["page.md:2: no test shows B", "page.md: C_MS has no row"];
        assert_eq!(unlisted(&Text::new("page.md", page), &constants), expected);
        let page = "| `A_BYTES` | 64 KiBs | `a.rs::x` |\n| `B` | 1,0000 | `a::x` |\n| `C_MS` | 5 min | `a::x` |\n| `D` | | `a::x` |";
        let expected = ["page.md:1: A_BYTES is not 64 KiBs", "page.md:2: B is not 1,0000"];
        assert_eq!(unlisted(&Text::new("page.md", page), &constants), expected);
    }
}
