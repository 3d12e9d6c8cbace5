//! Where things are, and how programs are run there.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::Failure;

/// The repository and the one target directory that all steps share.
pub(crate) struct Workspace {
    root: PathBuf,
    binaries: PathBuf,
}

impl Workspace {
    /// Finds the root from this crate's own place, and the target directory from where this program was built to:
    /// the other binaries stand beside it.
    pub(crate) fn find() -> Result<Self, Failure> {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = manifest.ancestors().nth(2).unwrap_or(manifest).to_owned();
        let this = env::current_exe().map_err(Failure::at(Path::new("xtask")))?;
        let binaries = this.parent().unwrap_or(&root).to_owned();
        Ok(Self { root, binaries })
    }

    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// A binary of the workspace, as `cargo build` left it.
    pub(crate) fn binary(&self, name: &str) -> PathBuf {
        self.binaries.join(name)
    }

    /// A folder for what steps install and write, inside the target directory.
    pub(crate) fn scratch(&self, name: &str) -> PathBuf {
        self.binaries.parent().unwrap_or(&self.binaries).join("xtask").join(name)
    }

    /// Runs the same cargo that runs us, from the root.
    pub(crate) fn cargo(&self, arguments: &[&str]) -> Result<(), Failure> {
        self.cargo_with(arguments, &[])
    }

    pub(crate) fn cargo_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Result<(), Failure> {
        let program = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
        run(Command::new(program).args(arguments).envs(variables.iter().copied()).current_dir(&self.root))
    }

    /// Runs npm in one of the two folders that have a package.json.
    pub(crate) fn npm(&self, folder: &str, arguments: &[&str]) -> Result<(), Failure> {
        run(Command::new("npm").args(arguments).current_dir(self.path(folder)))
    }
}

/// Runs a program to its end, its output going where ours goes.
pub(crate) fn run(command: &mut Command) -> Result<(), Failure> {
    let shown = shown(command);
    let status = command.status().map_err(|source| Failure::Start { command: shown.clone(), source })?;
    if status.success() { Ok(()) } else { Err(Failure::Exit { command: shown, status }) }
}

/// The command as a developer would type it.
pub(crate) fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let mut shown = program.to_string_lossy().into_owned();
    for argument in command.get_args() {
        shown.push(' ');
        shown.push_str(&argument.to_string_lossy());
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_is_where_the_workspace_manifest_is() {
        let manifest = Workspace::find().unwrap().path("Cargo.toml");
        assert!(std::fs::read_to_string(manifest).unwrap().contains("[workspace]"));
    }

    #[test]
    fn a_program_that_fails_is_named_with_its_arguments() {
        let failure = run(Command::new("sh").args(["-c", "exit 3"])).unwrap_err();
        assert!(failure.to_string().starts_with("`sh -c exit 3` ended with"), "{failure}");
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let failure = run(&mut Command::new("no-such-program-of-ours")).unwrap_err();
        assert!(failure.to_string().contains("`no-such-program-of-ours`"), "{failure}");
    }
}
