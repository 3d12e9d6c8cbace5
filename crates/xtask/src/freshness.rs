//! Whether the built client in git is what its sources build.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::failure::Failure;
use crate::workspace::Workspace;

/// Builds the client into a scratch folder and compares bytes. Never touches the tree.
pub(crate) fn check(workspace: &Workspace) -> Result<(), Failure> {
    let built = workspace.scratch("client");
    if built.exists() {
        fs::remove_dir_all(&built).map_err(Failure::at(&built))?;
    }
    fs::create_dir_all(&built).map_err(Failure::at(&built))?;
    workspace.npm("client-js", &["run", "build", "--", "--out", &built.to_string_lossy()])?;

    let mut stale = stale_files(&workspace.path("client-js/dist"), &built.join("dist"))?;
    for asset in ["client.js", "share.js"] {
        let served = workspace.path("crates/tricast/assets").join(asset);
        if !same_bytes(&served, &built.join(asset))? {
            stale.push(served);
        }
    }
    if stale.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = stale.iter().map(|path| path.display().to_string()).collect();
    Err(Failure::Found(format!("not what the sources build (run `cargo xtask dist`): {}", names.join(", "))))
}

/// The files, as named in `committed`, that are missing on one side or differ.
fn stale_files(committed: &Path, built: &Path) -> Result<Vec<PathBuf>, Failure> {
    let names: BTreeSet<PathBuf> = files_below(committed)?.into_iter().chain(files_below(built)?).collect();
    let mut stale = Vec::new();
    for name in names {
        if !same_bytes(&committed.join(&name), &built.join(&name))? {
            stale.push(committed.join(&name));
        }
    }
    Ok(stale)
}

fn files_below(root: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(Failure::at(&folder))? {
            let path = entry.map_err(Failure::at(&folder))?.path();
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(relative) = path.strip_prefix(root) {
                files.push(relative.to_owned());
            }
        }
    }
    Ok(files)
}

fn same_bytes(one: &Path, other: &Path) -> Result<bool, Failure> {
    if !one.is_file() || !other.is_file() {
        return Ok(false);
    }
    Ok(fs::read(one).map_err(Failure::at(one))? == fs::read(other).map_err(Failure::at(other))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_a_missing_and_a_left_over_file_are_stale_and_an_equal_one_is_not() {
        let root = std::env::temp_dir().join(format!("xtask-fresh-{}", std::process::id()));
        let (committed, built) = (root.join("committed"), root.join("built"));
        let files = [
            (&committed, "same.js", "1"),
            (&built, "same.js", "1"),
            (&committed, "changed.js", "1"),
            (&built, "changed.js", "2"),
            (&committed, "left-over.js", "1"),
            (&built, "types/missing.d.ts", "1"),
        ];
        for (folder, name, content) in files {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        let stale = stale_files(&committed, &built).unwrap();
        fs::remove_dir_all(&root).unwrap();
        let expected = ["changed.js", "left-over.js", "types/missing.d.ts"];
        assert_eq!(stale, expected.map(|name| committed.join(name)));
    }
}
