//! The hooks of a scratch repository: files that run the user's hooks before a commit. The hooks
//! after a commit (`post-merge`, `post-commit`, `reference-transaction` …) have no wrapper, because
//! they run in the user's checkout.

use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use bstr::ByteSlice as _;

use super::repository::write as write_file;
use crate::git::hooks::{Hooks, is_executable};

/// Hooks that run before a commit.
pub(super) const HOOKS: [&str; 7] = [
    "pre-merge-commit",
    "pre-commit",
    "prepare-commit-msg",
    "commit-msg",
    "pre-rebase",
    "applypatch-msg",
    "pre-applypatch",
];

/// All other hooks of githooks(5).
const OTHERS: &str = "fsmonitor-watchman p4-changelist p4-post-changelist p4-pre-submit \
    p4-prepare-changelist post-applypatch post-checkout post-commit post-index-change post-merge \
    post-receive post-rewrite post-update pre-auto-gc pre-push pre-receive proc-receive \
    push-to-checkout reference-transaction sendemail-validate update";

/// Writes the hooks of the scratch worktree at `path` that run before a commit. A hook in git's
/// default directory becomes a link, any other a script that runs the hook by its path. If the hook
/// is a file of the worktree, the script runs it as merged, except `pre-rebase`.
///
/// # Errors
/// If a file cannot be written, or the file system does not allow executables.
pub(super) fn write(hooks: &Hooks, top: &Path, path: &Path) -> Result<()> {
    let dir = path.join(".git/hooks");
    link_helpers(&hooks.dir, &dir)?;
    for name in HOOKS {
        let file = hooks.file(name);
        // The task's branch must not change the hook that protects the target.
        let relative = file.as_deref().and_then(|file| relative_to(top, file));
        let relative = relative.or_else(|| Some(hooks.relative.as_ref()?.join(name)));
        let relative = relative.filter(|_| name != "pre-rebase");
        let wrapper = dir.join(name);
        match (file, relative) {
            (None, None) => continue,
            (Some(file), None) if hooks.is_default_dir => {
                symlink(&file, &wrapper).with_context(|| could_not("link", &file))?;
            }
            (file, relative) => {
                let is_merged = |file: &PathBuf| is_executable(&path.join(file));
                let file = file.filter(|_| !relative.as_ref().is_some_and(is_merged));
                let files = relative.map(explicit).into_iter().chain(file);
                let script: Vec<u8> = files.flat_map(|file| exec_line(&file)).collect();
                write_file(&wrapper, &[b"#!/bin/sh\n", &script[..]].concat())?;
                fs::set_permissions(&wrapper, Permissions::from_mode(0o755))
                    .with_context(|| could_not("change the mode of", &wrapper))?;
            }
        }
        let can_run = is_executable(&wrapper);
        ensure!(can_run, "'{}' does not allow executables", path.display());
    }
    Ok(())
}

/// Returns the path of a hook relative to the worktree at `top`; `None` if it does not exist, is
/// outside of the worktree or in its `.git`.
fn relative_to(top: &Path, file: &Path) -> Option<PathBuf> {
    let file = file.canonicalize().ok()?;
    let within = file.strip_prefix(top).ok()?;
    (!within.starts_with(".git")).then(|| within.to_owned())
}

/// Adds `./` to a relative path that a shell would take for an option or look up in `PATH`; returns
/// any other unchanged.
fn explicit(file: PathBuf) -> PathBuf {
    let bytes = file.as_os_str().as_bytes();
    match bytes.contains(&b'/') && !bytes.starts_with(b"-") {
        true => file,
        false => Path::new(".").join(file),
    }
}

/// Links all files and directories in the hooks directory `from`, except hooks and `*.sample`, into
/// `to`, since hooks may call them. Does nothing if `from` does not exist.
fn link_helpers(from: &Path, to: &Path) -> Result<()> {
    // The directory may not exist.
    for entry in fs::read_dir(from).into_iter().flatten() {
        let name = entry.with_context(|| could_not("read", from))?.file_name();
        let mut hooks = HOOKS.into_iter().chain(OTHERS.split_whitespace());
        if !hooks.any(|hook| name == hook) && !name.as_bytes().ends_with(b".sample") {
            let helper = from.join(&name);
            symlink(&helper, to.join(&name)).with_context(|| could_not("link", &helper))?;
        }
    }
    Ok(())
}

fn could_not(verb: &str, file: &Path) -> String {
    format!("could not {verb} '{}'", file.display())
}

/// Returns a line of a shell script that runs `file` in place of the script, with its arguments, if
/// the file is executable; otherwise the script continues.
fn exec_line(file: &Path) -> Vec<u8> {
    let file = quote(file.as_os_str().as_bytes());
    [b"[ ! -x ", &file[..], b" ] || exec ", &file, b" \"$@\"\n"].concat()
}

/// Puts a word in single quotes for a shell, and escapes single quotes in it.
fn quote(word: &[u8]) -> Vec<u8> {
    [b"'", &word.replace("'", r"'\''")[..], b"'"].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quote_escapes_a_quote() {
        assert_eq!(quote(b"/a b/$c'd"), b"'/a b/$c'\\''d'");
    }
}
