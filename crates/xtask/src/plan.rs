//! Which steps each command has.

use std::env;
use std::process::Command;
use std::thread::available_parallelism;

use crate::failure::Failure;
use crate::step::Step;
use crate::workspace::{Workspace, run};
use crate::{autobahn, freshness, prerequisites};

/// The steps of a command, or nothing if there is no such command.
pub(crate) fn steps_of(command: &str) -> Option<Vec<&'static Step>> {
    let names = match command {
        "test" => TEST,
        "check" => CHECK,
        "dist" => DIST,
        _ => return None,
    };
    Some(names.iter().filter_map(|name| STEPS.iter().find(|step| step.name == *name)).collect())
}

/// Those of `steps` that `names` (joined by commas) names, in the order of `steps`.
pub(crate) fn only(steps: &[&'static Step], names: &str) -> Result<Vec<&'static Step>, String> {
    let names: Vec<&str> = names.split(',').collect();
    if let Some(unknown) = names.iter().find(|name| !steps.iter().any(|step| step.name == **name)) {
        return Err(format!("no step of this command is named `{unknown}`"));
    }
    Ok(steps.iter().filter(|step| names.contains(&step.name)).copied().collect())
}

// The Chromium suite comes last: it would slow the others down, and they it.
const TEST: &[&str] = &[
    "tools", "npm", "fmt", "deny", "clippy", "build", "rust", "loom", "doctest", "docs", "types", "vitest", "fresh",
    "autobahn", "browser",
];
const CHECK: &[&str] = &["fmt", "clippy", "tidy", "npm", "types"];
const DIST: &[&str] = &["npm", "client"];

// Every cargo command takes the whole workspace with all targets where it can: another selection would be another
// feature set, and a second build of most dependencies.
const STEPS: &[Step] = &[
    Step { name: "tools", about: "node, npm, python3, chromium, nginx, redis, nats", action: prerequisites::tools },
    Step { name: "npm", about: "npm ci, where packages are missing or old", action: prerequisites::packages },
    Step {
        name: "fmt",
        about: "cargo fmt --all --check",
        action: |workspace| workspace.cargo(&["fmt", "--all", "--check"]),
    },
    Step { name: "deny", about: "cargo deny check, where it is installed", action: deny },
    Step {
        name: "clippy",
        about: "cargo clippy --workspace --all-targets -- -D warnings",
        action: |workspace| workspace.cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]),
    },
    Step {
        name: "build",
        about: "cargo build --workspace --all-targets",
        action: |workspace| workspace.cargo(&["build", "--workspace", "--all-targets"]),
    },
    Step { name: "rust", about: "cargo test --workspace --all-targets, four tests at a time or more", action: rust },
    Step { name: "loom", about: "the wake-up in every order of threads, built under cfg(tricast_loom)", action: loom },
    Step {
        name: "tidy",
        about: "cargo test --workspace --test tidy (in `test`: part of rust)",
        action: |workspace| workspace.cargo(&["test", "--workspace", "--test", "tidy"]),
    },
    Step {
        name: "doctest",
        about: "cargo test --workspace --doc",
        action: |workspace| workspace.cargo(&["test", "--workspace", "--doc"]),
    },
    Step {
        name: "docs",
        about: "cargo doc --workspace --no-deps, warnings denied",
        action: |workspace| {
            workspace.cargo_with(&["doc", "--workspace", "--no-deps"], &[("RUSTDOCFLAGS", "-D warnings")])
        },
    },
    Step {
        name: "types",
        about: "npm run check in client-js",
        action: |workspace| workspace.npm("client-js", &["run", "check"]),
    },
    Step { name: "vitest", about: "npm test in client-js", action: |workspace| workspace.npm("client-js", &["test"]) },
    Step { name: "fresh", about: "the committed client is what its sources build", action: freshness::check },
    Step { name: "autobahn", about: "Autobahn's cases 1-7, 9, 10 against the echo server", action: autobahn::run },
    Step { name: "browser", about: "npm test in tests/browser, with the examples as built", action: browser },
    Step {
        name: "client",
        about: "npm run build in client-js",
        action: |workspace| workspace.npm("client-js", &["run", "build"]),
    },
];

/// Tests wait for servers and timers for almost half of their time, so few cores run more of them at a time than they are.
fn rust(workspace: &Workspace) -> Result<(), Failure> {
    const THREADS: &str = "RUST_TEST_THREADS";
    let threads = match env::var(THREADS) {
        Ok(wanted) => wanted,
        Err(_) => available_parallelism().map_or(1, usize::from).max(4).to_string(),
    };
    workspace.cargo_with(&["test", "--workspace", "--all-targets"], &[(THREADS, &threads)])
}

/// Flags of its own mean a build of its own: in the shared directory it would evict everybody else's.
fn loom(workspace: &Workspace) -> Result<(), Failure> {
    let directory = workspace.scratch("loom").to_string_lossy().into_owned();
    workspace.cargo_with(
        &["test", "--package", "tricast-core", "--test", "loom"],
        &[("RUSTFLAGS", "--cfg tricast_loom"), ("CARGO_TARGET_DIR", &directory)],
    )
}

/// Building it takes longer than all tests, so it is used where it is there; a tidy test checks licences and sources.
fn deny(workspace: &Workspace) -> Result<(), Failure> {
    if !prerequisites::find_program(&format!("cargo-deny{}", env::consts::EXE_SUFFIX)) {
        println!("cargo-deny is not installed (`cargo install cargo-deny`): left to the tidy test of licences");
        return Ok(());
    }
    // The database of advisories is fetched from the network: `cargo deny check advisories`, where there is one.
    workspace.cargo(&["deny", "--offline", "--workspace", "check", "licenses", "bans", "sources"])
}

fn browser(workspace: &Workspace) -> Result<(), Failure> {
    let built = |name: &str| workspace.binary(&format!("{name}{}", env::consts::EXE_SUFFIX));
    run(Command::new("npm")
        .arg("test")
        .env("CHAT", built("chat"))
        .env("DASHBOARD", built("dashboard"))
        .env("TRICAST", built("tricast"))
        .current_dir(workspace.path("tests/browser")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_that_a_command_names_exists() {
        for (command, names) in [("test", TEST), ("check", CHECK), ("dist", DIST)] {
            let found: Vec<&str> = steps_of(command).unwrap().iter().map(|step| step.name).collect();
            assert_eq!(found, names, "{command}");
        }
    }

    #[test]
    fn every_step_belongs_to_a_command() {
        for step in STEPS {
            assert!([TEST, CHECK, DIST].iter().any(|names| names.contains(&step.name)), "{}", step.name);
        }
    }
}
