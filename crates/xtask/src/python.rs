//! Programs from PyPI, each in a virtual environment of its own: Debian's Python takes no packages from elsewhere.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::Failure;
use crate::workspace::run;

/// A program and the package that brings it.
pub(crate) struct Program {
    /// What it is called in the environment's `bin`.
    pub(crate) name: &'static str,
    /// With its version.
    pub(crate) package: &'static str,
}

impl Program {
    /// Installs it into this folder, where that version is not there yet, and returns its path.
    pub(crate) fn install(&self, environment: &Path) -> Result<PathBuf, Failure> {
        let program = environment.join("bin").join(self.name);
        let installed = environment.join("installed");
        if program.is_file() && fs::read_to_string(&installed).is_ok_and(|package| package == self.package) {
            return Ok(program);
        }
        if environment.exists() {
            fs::remove_dir_all(environment).map_err(Failure::at(environment))?;
        }
        run(Command::new("python3").args(["-m", "venv"]).arg(environment))?;
        let pip = environment.join("bin/pip");
        run(Command::new(pip).args(["install", "--quiet", "--disable-pip-version-check", self.package]))?;
        fs::write(&installed, self.package).map_err(Failure::at(&installed))?;
        Ok(program)
    }
}
