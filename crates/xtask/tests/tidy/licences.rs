//! What every dependency is allowed as, and where it comes from: the part of `deny.toml` that needs no tool.

use cargo_metadata::{Metadata, MetadataCommand, Package};

use crate::repository::{assert_clean, root};

#[test]
fn every_dependency_has_a_licence_and_a_source_that_are_allowed() {
    let allowed = allowed();
    assert!(allowed.len() > 3, "deny.toml lists no licences");
    let metadata = metadata();
    assert!(metadata.packages.len() > 50, "the dependencies were not found");
    let theirs = metadata.packages.iter().filter(|package| package.source.is_some());
    assert_clean(&theirs.flat_map(|package| findings(package, &allowed)).collect::<Vec<_>>());
}

fn metadata() -> Metadata {
    MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        // What other platforms need is fetched by no build on this one.
        .other_options(["--locked".to_owned()])
        .exec()
        .expect("cargo prints the metadata of everything that is locked")
}

/// The list `allow` of the section `[licenses]`.
fn allowed() -> Vec<String> {
    let text = std::fs::read_to_string(root().join(".cargo/deny.toml")).expect(".cargo/deny.toml is there");
    let section = text.split("[licenses]").nth(1).unwrap_or_default();
    let list = section.split("allow = [").nth(1).and_then(|rest| rest.split(']').next()).unwrap_or_default();
    list.split(',').map(|item| item.trim().trim_matches('"').to_owned()).filter(|item| !item.is_empty()).collect()
}

fn findings(package: &Package, allowed: &[String]) -> Vec<String> {
    let name = format!("{} {}", package.name, package.version);
    let mut findings = Vec::new();
    match package.license.as_deref() {
        Some(licence) if is_allowed(licence, allowed) => {}
        Some(licence) => findings.push(format!("{name}: its licence `{licence}` is not allowed by deny.toml")),
        None => findings.push(format!("{name}: it names no licence")),
    }
    let source = package.source.as_ref().map(ToString::to_string).unwrap_or_default();
    if !source.starts_with("registry+") {
        findings.push(format!("{name}: it comes from `{source}`, which is no registry"));
    }
    findings
}

/// Whether an SPDX expression can be met by what is allowed: one side of each `OR`, both of each `AND`.
fn is_allowed(expression: &str, allowed: &[String]) -> bool {
    let expression = expression.trim();
    if allowed.iter().any(|licence| licence == expression) {
        return true;
    }
    // `/` is how it was written before there were expressions.
    let either = split(expression, &[" OR ", " / ", "/"]);
    if either.len() > 1 {
        return either.iter().any(|side| is_allowed(side, allowed));
    }
    let both = split(expression, &[" AND "]);
    if both.len() > 1 {
        return both.iter().all(|side| is_allowed(side, allowed));
    }
    let inner = expression.strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
    inner.is_some_and(|inner| is_allowed(inner, allowed))
}

/// Splits at the first of the words that stands outside of brackets.
fn split<'a>(expression: &'a str, words: &[&str]) -> Vec<&'a str> {
    let mut depth = 0_usize;
    for (at, character) in expression.char_indices() {
        match character {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ if depth == 0 => {
                if let Some(word) = words.iter().find(|word| expression[at..].starts_with(**word)) {
                    return vec![&expression[..at], &expression[at + word.len()..]];
                }
            }
            _ => {}
        }
    }
    vec![expression]
}

#[cfg(test)]
mod can_fail {
    use super::*;

    fn allows(expression: &str) -> bool {
        is_allowed(expression, &["MIT".to_owned(), "Unicode-3.0".to_owned()])
    }

    #[test]
    fn one_side_of_an_or_is_enough_and_both_of_an_and_are_needed() {
        for good in
            ["MIT", "GPL-3.0 OR MIT", "MIT/Apache-2.0", "(GPL-3.0 OR MIT) AND Unicode-3.0", "MIT AND Unicode-3.0"]
        {
            assert!(allows(good), "{good}");
        }
        for bad in ["GPL-3.0", "MIT AND GPL-3.0", "(MIT OR GPL-3.0) AND GPL-3.0", "", "MIT WITH something"] {
            assert!(!allows(bad), "{bad}");
        }
    }
}
