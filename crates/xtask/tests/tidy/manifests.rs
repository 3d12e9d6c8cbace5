//! Each package takes versions and lints from the one place that has them.

use crate::repository::{Text, assert_clean, texts};

#[test]
fn versions_and_lints_come_from_the_workspace() {
    let texts = texts();
    let manifests: Vec<&Text> = texts.iter().filter(|text| text.path.ends_with("/Cargo.toml")).collect();
    assert!(manifests.len() > 5, "the manifests of the members were not found");
    assert_clean(&manifests.into_iter().flat_map(strays).collect::<Vec<_>>());
}

fn strays(manifest: &Text) -> Vec<String> {
    let mut findings = Vec::new();
    let mut inherits_lints = false;
    let mut section = "";
    let mut open_brackets = 0_usize;
    for (number, line) in manifest.lines() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if open_brackets == 0 && line.starts_with('[') {
            section = line.trim_matches(['[', ']']);
            continue;
        }
        let starts_an_entry = open_brackets == 0 && line.contains('=');
        open_brackets += line.matches(['[', '{']).count();
        open_brackets = open_brackets.saturating_sub(line.matches([']', '}']).count());
        if !starts_an_entry {
            continue;
        }
        inherits_lints |= section == "lints" && line.replace(' ', "") == "workspace=true";
        let name = line.split(['.', '=']).next().unwrap_or_default().trim();
        // Who fuzzes has a workspace apart, with a place for versions of its own.
        let is_the_place = section.starts_with("workspace.");
        let is_shared =
            section.ends_with("dependencies") && !is_the_place || section == "package" && SHARED.contains(&name);
        if is_shared && !line.replace(' ', "").contains("workspace=true") {
            findings.push(format!("{}:{number}: `{name}` is not taken from the workspace", manifest.path));
        }
    }
    if !inherits_lints {
        findings.push(format!("{}: does not take the workspace's lints", manifest.path));
    }
    findings
}

const SHARED: &[&str] = &["version", "edition", "rust-version", "license", "repository"];

#[cfg(test)]
mod can_fail {
    use super::*;

    const GOOD: &str = "\
[package]
name = \"a\"
version.workspace = true

[dependencies]
# one = \"1\"
serde.workspace = true
tokio = { workspace = true, features = [
    \"test-util\",
] }

[lints]
workspace = true
";

    fn findings(manifest: &str) -> Vec<String> {
        strays(&Text::new("a/Cargo.toml", manifest))
    }

    #[test]
    fn a_manifest_that_takes_everything_from_the_workspace_is_clean() {
        assert!(findings(GOOD).is_empty());
    }

    #[test]
    fn a_version_of_its_own_is_found() {
        let own = GOOD.replace("serde.workspace = true", "serde = \"1\"");
        assert_eq!(findings(&own), ["a/Cargo.toml:7: `serde` is not taken from the workspace"]);
        let own = GOOD.replace("version.workspace = true", "version = \"2.0.0\"");
        assert_eq!(findings(&own).len(), 1);
        let own = GOOD.replace("[dependencies]", "[target.'cfg(unix)'.dev-dependencies]\nlibc = \"1\"\n[dependencies]");
        assert_eq!(findings(&own).len(), 1);
    }

    #[test]
    fn a_workspace_apart_has_its_versions_in_one_place_too() {
        let apart = format!("[workspace.dependencies]\nserde = \"1\"\n{GOOD}");
        assert!(findings(&apart).is_empty());
        assert_eq!(findings(&apart.replace("serde.workspace = true", "serde = \"1\"")).len(), 1);
    }

    #[test]
    fn missing_lints_are_found() {
        assert_eq!(
            findings(&GOOD.replace("[lints]", "[other]")),
            ["a/Cargo.toml: does not take the workspace's lints"]
        );
    }
}
