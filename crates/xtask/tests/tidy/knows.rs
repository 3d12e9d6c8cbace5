//! Who may know whom, from `cargo metadata`; normal and dev edges apart.

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};

use crate::repository::{assert_clean, root};

/// What a package of ours may depend on, of ours.
struct MayKnow {
    package: &'static str,
    normal: &'static [&'static str],
    dev: &'static [&'static str],
}

/// A package absent from here fails the test: who adds one decides what it may know.
const RULES: &[MayKnow] = &[
    MayKnow { package: "tricast-core", normal: &[], dev: &[TESTKIT] },
    MayKnow { package: "tricast", normal: &["tricast-core"], dev: &[TESTKIT] },
    MayKnow { package: "tricast-client", normal: &["tricast-core"], dev: &["tricast", TESTKIT] },
    MayKnow { package: "tricast-redis", normal: &["tricast-core"], dev: &[TESTKIT] },
    MayKnow { package: "tricast-nats", normal: &["tricast-core"], dev: &[TESTKIT] },
    MayKnow {
        package: "tricast-cli",
        normal: &["tricast", "tricast-client", "tricast-nats", "tricast-redis"],
        dev: &[TESTKIT],
    },
    MayKnow { package: TESTKIT, normal: &["tricast-core"], dev: &[] },
    MayKnow { package: "chat", normal: &["tricast", "tricast-redis"], dev: &[TESTKIT] },
    MayKnow { package: "dashboard", normal: &["tricast"], dev: &[TESTKIT] },
    MayKnow {
        package: "tricast-tests",
        normal: &["tricast", TESTKIT],
        dev: &["tricast-client", "tricast-nats", "tricast-redis"],
    },
    MayKnow { package: "xtask", normal: &[], dev: &[] },
];

const TESTKIT: &str = "tricast-testkit";

/// One package naming another of ours in its manifest.
#[derive(Clone, Copy)]
struct Edge<'a> {
    from: &'a str,
    to: &'a str,
    kind: DependencyKind,
    has_version: bool,
}

#[test]
fn packages_know_only_whom_they_may() {
    let metadata = metadata();
    let packages: Vec<&str> = metadata.workspace_packages().iter().map(|package| package.name.as_str()).collect();
    assert_clean(&strangers(&packages));
    assert_clean(&trespasses(&edges(&metadata, &packages)));
}

fn metadata() -> Metadata {
    MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .no_deps()
        .other_options(["--offline".to_owned()])
        .exec()
        .expect("cargo prints the metadata of the workspace")
}

fn edges<'a>(metadata: &'a Metadata, packages: &[&str]) -> Vec<Edge<'a>> {
    let mut edges = Vec::new();
    for package in metadata.workspace_packages() {
        for dependency in package.dependencies.iter().filter(|it| packages.contains(&it.name.as_str())) {
            edges.push(Edge {
                from: package.name.as_str(),
                to: dependency.name.as_str(),
                kind: dependency.kind,
                has_version: !dependency.req.comparators.is_empty(),
            });
        }
    }
    edges
}

fn rule_of(package: &str) -> Option<&'static MayKnow> {
    RULES.iter().find(|rule| rule.package == package)
}

fn strangers(packages: &[&str]) -> Vec<String> {
    let unknown = packages.iter().filter(|package| rule_of(package).is_none());
    unknown.map(|package| format!("{package}: no rule says whom it may know")).collect()
}

fn trespasses(edges: &[Edge<'_>]) -> Vec<String> {
    let mut findings = Vec::new();
    for edge in edges {
        let Some(rule) = rule_of(edge.from) else { continue };
        let allowed = if edge.kind == DependencyKind::Development { rule.dev } else { rule.normal };
        if !allowed.contains(&edge.to) {
            findings.push(format!("{} must not know {} ({} dependency)", edge.from, edge.to, edge.kind));
        }
        // A version would make `cargo package` look for a crate that is never published.
        if edge.to == TESTKIT && edge.has_version {
            findings.push(format!("{} gives {} a version: path only", edge.from, edge.to));
        }
    }
    findings
}

#[cfg(test)]
mod can_fail {
    use super::*;

    const ALLOWED: Edge<'_> =
        Edge { from: "tricast", to: "tricast-core", kind: DependencyKind::Normal, has_version: true };

    #[test]
    fn an_edge_up_from_the_core_is_found() {
        assert!(trespasses(&[ALLOWED]).is_empty());
        let upward = Edge { from: "tricast-core", to: "tricast", ..ALLOWED };
        assert_eq!(trespasses(&[upward]), ["tricast-core must not know tricast (normal dependency)"]);
    }

    #[test]
    fn an_application_that_reaches_past_the_public_interface_is_found() {
        let past = Edge { from: "chat", to: "tricast-core", ..ALLOWED };
        assert_eq!(trespasses(&[past]).len(), 1);
    }

    #[test]
    fn the_testkit_is_a_dev_dependency_by_path_only() {
        let fine = Edge { to: TESTKIT, kind: DependencyKind::Development, has_version: false, ..ALLOWED };
        assert!(trespasses(&[fine]).is_empty());
        assert_eq!(trespasses(&[Edge { kind: DependencyKind::Normal, ..fine }]).len(), 1);
        assert_eq!(trespasses(&[Edge { has_version: true, ..fine }]).len(), 1);
    }

    #[test]
    fn a_package_without_a_rule_is_found() {
        assert_eq!(strangers(&["tricast", "newcomer"]), ["newcomer: no rule says whom it may know"]);
    }

    #[test]
    fn the_edges_of_this_workspace_are_seen() {
        let metadata = metadata();
        let edges = edges(&metadata, &["tricast", "tricast-core", TESTKIT]);
        let seen = |from: &str, to: &str| edges.iter().any(|edge| edge.from == from && edge.to == to);
        assert!(seen("tricast", "tricast-core") && seen("tricast-core", TESTKIT) && seen("chat", "tricast"));
    }
}
