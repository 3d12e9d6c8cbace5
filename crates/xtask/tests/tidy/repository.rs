//! What the rules read: the files that git knows or would take.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A text file of the repository, its path relative to the root, with `/`.
pub(crate) struct Text {
    pub(crate) path: String,
    pub(crate) content: String,
}

impl Text {
    pub(crate) fn new(path: &str, content: &str) -> Self {
        Self { path: path.to_owned(), content: content.to_owned() }
    }

    /// The lines, with their numbers as editors count them.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.content.lines().enumerate().map(|(index, line)| (index + 1, line))
    }
}

pub(crate) fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.ancestors().nth(2).unwrap().to_owned()
}

/// Paths of all files that are in git or would be after `git add --all`.
pub(crate) fn files() -> Vec<String> {
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .expect("git lists the files");
    assert!(output.status.success(), "git ls-files: {}", String::from_utf8_lossy(&output.stderr));
    let names = String::from_utf8(output.stdout).expect("file names are UTF-8");
    names.split_terminator('\0').filter(|name| root().join(name).is_file()).map(str::to_owned).collect()
}

/// All text files; what is not UTF-8 (pictures) is left out.
pub(crate) fn texts() -> Vec<Text> {
    files()
        .into_iter()
        .filter_map(|path| fs::read_to_string(root().join(&path)).ok().map(|content| Text { path, content }))
        .collect()
}

pub(crate) fn text(path: &str) -> Text {
    let content = fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    Text { path: path.to_owned(), content }
}

/// Fails with every finding on a line of its own.
#[track_caller]
pub(crate) fn assert_clean(findings: &[String]) {
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}
