//! Its hooks: files that start those of the user which run before a commit is made. Those that run
//! after one (`post-merge`, `post-commit`, `reference-transaction` …) are for the user's own
//! checkout, and have none.

use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use bstr::ByteSlice as _;

use super::repository::write as write_file;
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

/// The other hooks that git knows: githooks(5).
const OTHERS: &str = "fsmonitor-watchman p4-changelist p4-post-changelist p4-pre-submit \
    p4-prepare-changelist post-applypatch post-checkout post-commit post-index-change post-merge \
    post-receive post-rewrite post-update pre-auto-gc pre-push pre-receive proc-receive \
    push-to-checkout reference-transaction sendemail-validate update";

/// Writes one for each hook that is there, in the worktree at `path`, for a checkout at `top`. Those
/// of the usual directory are links, so that they are called `.git/hooks/<name>` as ever; any other
/// is started by the path of its file, so that it finds beside it what it found before. Where the
/// hooks are in the worktree itself, the file of the merge counts as far as there is one, as in a
/// merge by hand. What lies beside them comes along.
///
/// # Errors
/// When one cannot be written, or could not be run there.
pub(super) fn write(hooks: &Hooks, top: &Path, path: &Path) -> Result<()> {
    let dir = path.join(".git/hooks");
    link_others(&hooks.dir, &dir)?;
    for name in BEFORE {
        let there = hooks.file(name);
        // What guards the target is not for the task's branch to say.
        let within = there.as_deref().and_then(|file| within(top, file));
        let within = within.or_else(|| Some(hooks.relative.as_ref()?.join(name)));
        let within = within.filter(|_| name != "pre-rebase");
        let wrapper = dir.join(name);
        match (there, within) {
            (None, None) => continue,
            (Some(file), None) if hooks.is_default_dir => {
                symlink(&file, &wrapper).context("could not link a hook")?;
            }
            (there, within) => {
                // One that the branch has and the merge has not is gone.
                let is_own = |own: &PathBuf| is_executable(&path.join(own));
                let there = there.filter(|_| !within.as_ref().is_some_and(is_own));
                let files = within.map(named).into_iter().chain(there);
                let script: Vec<u8> = files.flat_map(|file| call(&file)).collect();
                write_file(&wrapper, &[b"#!/bin/sh\n", &script[..]].concat())?;
                fs::set_permissions(&wrapper, Permissions::from_mode(0o755))
                    .context("could not make a hook executable")?;
            }
        }
        let can_run = is_executable(&wrapper);
        ensure!(can_run, "no program can be run in '{}'", path.display());
    }
    Ok(())
}

/// Returns the path of a hook relative to the top of the worktree, if it is one of its files.
fn within(top: &Path, file: &Path) -> Option<PathBuf> {
    let file = file.canonicalize().ok()?;
    let within = file.strip_prefix(top).ok()?;
    (!within.starts_with(".git")).then(|| within.to_owned())
}

/// Returns a relative path that is neither looked for in PATH nor taken for an option.
fn named(file: PathBuf) -> PathBuf {
    let bytes = file.as_os_str().as_bytes();
    match bytes.contains(&b'/') && !bytes.starts_with(b"-") {
        true => file,
        false => Path::new(".").join(file),
    }
}

/// Links what is in a directory of hooks and is none: programs and directories that they call.
fn link_others(from: &Path, to: &Path) -> Result<()> {
    // None is as good as an empty one.
    for entry in fs::read_dir(from).into_iter().flatten() {
        let name = entry.context("could not read the hooks")?.file_name();
        let mut hooks = BEFORE.into_iter().chain(OTHERS.split_whitespace());
        if !hooks.any(|hook| name == hook) && !name.as_bytes().ends_with(b".sample") {
            symlink(from.join(&name), to.join(&name)).context("could not link what hooks call")?;
        }
    }
    Ok(())
}

/// Returns a line that runs a file in the place of the shell, if it can be run.
fn call(file: &Path) -> Vec<u8> {
    let file = sh(file.as_os_str().as_bytes());
    [b"[ ! -x ", &file[..], b" ] || exec ", &file, b" \"$@\"\n"].concat()
}

/// Returns a word for a shell.
fn sh(word: &[u8]) -> Vec<u8> {
    [b"'", &word.replace("'", r"'\''")[..], b"'"].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sh_leaves_nothing_to_the_shell() {
        assert_eq!(sh(b"/a b/$c'd"), b"'/a b/$c'\\''d'");
    }
}
