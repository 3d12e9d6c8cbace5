//! Links between pages, the list of decisions, and what may stand at the top level.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use crate::repository::{Text, assert_clean, files, root, texts};

#[test]
fn relative_links_lead_somewhere() {
    let root = root();
    let pages = texts().into_iter().filter(|text| text.path.ends_with(".md"));
    let findings: Vec<String> = pages.flat_map(|page| dead_links(&page, |path| root.join(path).exists())).collect();
    assert_clean(&findings);
}

#[test]
fn every_decision_is_linked_from_the_architecture() {
    let texts = texts();
    let decisions = texts.iter().map(|text| text.path.as_str()).filter(|path| is_decision(path));
    let architecture = texts.iter().find(|text| text.path == ARCHITECTURE).expect("the architecture page is there");
    assert_clean(&unlinked(architecture, decisions));
}

#[test]
fn the_top_level_holds_only_what_was_agreed() {
    assert_clean(&unexpected_entries(&files()));
}

const ARCHITECTURE: &str = "docs/architecture.md";

/// Dot files may stand there too.
const TOP_LEVEL: &[&str] = &[
    "Cargo.toml",
    "Cargo.lock",
    "LICENSE-MIT",
    "LICENSE-APACHE",
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "crates",
    "client-js",
    "examples",
    "tests",
    "docs",
];

fn is_decision(path: &str) -> bool {
    path.starts_with("docs/decisions/") && path.ends_with(".md")
}

fn dead_links(page: &Text, exists: impl Fn(&Path) -> bool) -> Vec<String> {
    let mut findings = Vec::new();
    for (number, target) in links(page) {
        let path = resolve(&page.path, target);
        if !path.as_deref().is_some_and(&exists) {
            findings.push(format!("{}:{number}: the link to {target} leads nowhere", page.path));
        }
    }
    findings
}

fn unlinked<'a>(architecture: &Text, decisions: impl Iterator<Item = &'a str>) -> Vec<String> {
    let linked: BTreeSet<PathBuf> =
        links(architecture).into_iter().filter_map(|(_, target)| resolve(&architecture.path, target)).collect();
    let missing = decisions.filter(|path| !linked.contains(Path::new(path)));
    missing.map(|path| format!("{}: no link to {path}", architecture.path)).collect()
}

fn unexpected_entries(files: &[String]) -> Vec<String> {
    let entries: BTreeSet<&str> = files.iter().filter_map(|path| path.split('/').next()).collect();
    let unexpected = entries.into_iter().filter(|entry| !entry.starts_with('.') && !TOP_LEVEL.contains(entry));
    unexpected.map(|entry| format!("{entry}: not agreed for the top level")).collect()
}

/// The targets of `[text](target)` and `[text]: target` that are files of ours, without their anchors; code is
/// skipped.
fn links(page: &Text) -> Vec<(usize, &str)> {
    let mut links = Vec::new();
    let mut in_fence = false;
    for (number, line) in page.lines() {
        if line.trim_start().starts_with("```") {
            in_fence = !in_fence;
        }
        if in_fence {
            continue;
        }
        // Every second part lies between backticks.
        for part in line.split('`').step_by(2) {
            let inline = part.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
            links.extend(inline.map(|target| (number, target)));
        }
        if let Some((_, target)) = line.strip_prefix('[').and_then(|rest| rest.split_once("]: ")) {
            links.push((number, target.trim()));
        }
    }
    links.retain(|(_, target)| {
        !target.contains("://") && !target.starts_with(['#', '/']) && !target.contains("mailto:")
    });
    links.iter_mut().for_each(|(_, target)| *target = target.split('#').next().unwrap_or_default());
    links
}

/// The path that a link on `page` names, relative to the root; nothing if it leaves the repository.
fn resolve(page: &str, target: &str) -> Option<PathBuf> {
    let mut path = Path::new(page).parent()?.to_owned();
    for component in Path::new(target).components() {
        match component {
            Component::ParentDir => {
                if !path.pop() {
                    return None;
                }
            }
            Component::CurDir => {}
            other => path.push(other),
        }
    }
    Some(path)
}

#[cfg(test)]
mod can_fail {
    use super::*;

    #[test]
    fn a_link_to_nothing_is_found_and_good_ones_are_not() {
        let page = Text::new(
            "docs/guide.md",
            "[a](protocol.md#codes) [b](../README.md) [c](https://example.org) [d](#here)\n\n[e](gone.md \"title\")\n\
             `[code](no.md)`\n```\n[fenced](no.md)\n```\n[ref]: ../../outside.md\n",
        );
        let there = ["docs/protocol.md", "README.md"];
        assert_eq!(
            dead_links(&page, |path| there.iter().any(|known| Path::new(known) == path)),
            [
                "docs/guide.md:3: the link to gone.md leads nowhere",
                "docs/guide.md:8: the link to ../../outside.md leads nowhere",
            ]
        );
    }

    #[test]
    fn a_decision_without_a_link_is_found() {
        let page = Text::new(ARCHITECTURE, "see [why](decisions/one.md)");
        let decisions = ["docs/decisions/one.md", "docs/decisions/two.md"];
        assert_eq!(unlinked(&page, decisions.into_iter()), ["docs/architecture.md: no link to docs/decisions/two.md"]);
        assert!(is_decision(decisions[0]) && !is_decision("docs/protocol.md"));
    }

    #[test]
    fn a_stray_entry_at_the_top_is_found() {
        let files = ["README.md", ".ci/run", "crates/core/src/lib.rs", "notes/todo.txt"].map(str::to_owned);
        assert_eq!(unexpected_entries(&files), ["notes: not agreed for the top level"]);
    }
}
