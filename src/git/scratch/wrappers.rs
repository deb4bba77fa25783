//! Its hooks: files that start those of the user which run before a commit is made. Those that run
//! after one (`post-merge`, `post-commit`, `reference-transaction` …) are for the user's own
//! checkout, and have none.

use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use super::write as write_file;
use crate::git::hooks::{Hooks, is_executable};

/// The hooks that run before a commit.
pub(super) const BEFORE: [&str; 7] = [
    "pre-merge-commit",
    "pre-commit",
    "prepare-commit-msg",
    "commit-msg",
    "pre-rebase",
    "applypatch-msg",
    "pre-applypatch",
];

/// Writes one for each hook that is there, in the worktree at `path`. Each is started by the path
/// of its file, so that it finds beside it what it found before. Where `core.hooksPath` is relative
/// to the worktree, the file of the merge counts as far as there is one, as in a merge by hand.
///
/// # Errors
/// When one cannot be written, or could not be run there.
pub(super) fn write(hooks: &Hooks, path: &Path) -> Result<()> {
    for name in BEFORE {
        let there = hooks.file(name);
        let mut script = b"#!/bin/sh\n".to_vec();
        if let Some(dir) = &hooks.relative {
            let own = dir.join(name);
            let own = sh(own.as_os_str().as_bytes());
            script.extend([b"[ ! -x ", &own[..], b" ] || exec ", &own, b" \"$@\"\n"].concat());
        }
        let is_own = |dir: &Path| path.join(dir).join(name).symlink_metadata().is_ok();
        match there {
            // One that the branch has, and the merge has not, is gone.
            Some(_) if hooks.relative.as_deref().is_some_and(is_own) => {}
            Some(file) => {
                let file = sh(file.as_os_str().as_bytes());
                script
                    .extend([b"[ ! -x ", &file[..], b" ] || exec ", &file, b" \"$@\"\n"].concat());
            }
            None if hooks.relative.is_none() => continue,
            None => {}
        }
        let wrapper = path.join(".git/hooks").join(name);
        write_file(&wrapper, &script)?;
        fs::set_permissions(&wrapper, Permissions::from_mode(0o755))
            .context("could not make a hook executable")?;
        if !is_executable(&wrapper) {
            bail!("no program can be run in '{}'", path.display());
        }
    }
    Ok(())
}

/// A word for a shell.
fn sh(word: &[u8]) -> Vec<u8> {
    let mut quoted = vec![b'\''];
    for &byte in word {
        match byte {
            b'\'' => quoted.extend(b"'\\''"),
            byte => quoted.push(byte),
        }
    }
    quoted.push(b'\'');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sh_leaves_nothing_to_the_shell() {
        assert_eq!(sh(b"/a b/$c'd"), b"'/a b/$c'\\''d'");
    }
}
