//! A branch moves forward to a commit: the only step of a merge that anybody sees.

use std::path::Path;

use anyhow::{Result, bail};

use super::patience::patiently;
use super::{Checkout, Git, Lock};
use crate::interrupt;

/// Moves the branch checked out in a worktree forward to `commit`, files and all, with the hooks
/// of the user; `action` is what they and the reflog are told:
/// `git merge --ff-only --no-squash --commit --strategy=ort --no-autostash --no-overwrite-ignore
/// <commit>`. A strategy that is configured (`pull.twohead`) could have git make a commit all the
/// same, and no option is stronger than one of `branch.<name>.mergeOptions`: if there is one,
/// `settings` has to say that there is none.
///
/// # Errors
/// When a change or file of the user's is in the way: then nothing has changed. When the branch
/// cannot be written: then the files have.
///
/// git waits but a moment for somebody who is about to write the branch, and cannot be told to wait
/// longer without the hooks seeing it. So where it fails, they are waited for, and it is tried once more.
pub(crate) fn checked_out(
    worktree: &Checkout,
    (old, commit): (&str, &str),
    (action, settings, options): (&str, &[&str], &[&str]),
    lock: &Lock,
) -> Result<()> {
    let merge = [
        "merge",
        "--quiet",
        "--ff-only",
        "--no-squash",
        "--commit",
        "--strategy=ort",
        "--no-autostash",
        "--no-overwrite-ignore",
    ];
    let args = settings.iter().chain(&merge).chain(options);
    let args: Vec<&str> = args.copied().chain([commit]).collect();
    let merge = || {
        let git = worktree.with_hooks(&args);
        let git = git.env("GIT_REFLOG_ACTION", action).shielded();
        git.holding(lock)?.loud().run()
    };
    let Err(error) = merge() else { return Ok(()) };
    if back(worktree, commit, old, lock).is_ok() && can_be_written(worktree, old, lock).is_ok() {
        interrupt::check()?;
        return merge();
    }
    Err(error)
}

/// Waits until the branch of a worktree can be written, and fails if it does not stand at `tip`:
/// `git update-ref --stdin`, which is told how long to wait.
fn can_be_written(worktree: &Checkout, tip: &str, lock: &Lock) -> Result<()> {
    worktree
        .git(["-c", "core.hooksPath=/dev/null", "update-ref", "--stdin"])
        .input(format!("verify HEAD {tip}\n"))
        .holding(lock)?
        .run()
}

/// Puts the files of a worktree back where moving the branch checked out there from `old` to
/// `commit` has failed, since git changes the files first and the branch last:
/// `git read-tree -m -u <commit> <old>`, which changes no file where none was changed.
///
/// # Errors
/// When the branch has moved, or something has become of the files meanwhile.
pub(crate) fn back(worktree: &Checkout, commit: &str, old: &str, lock: &Lock) -> Result<()> {
    let args = ["rev-parse", "--verify", "HEAD^{commit}"];
    let head = worktree.reading(args).output()?;
    if head.trim_ascii_end() != old.as_bytes() {
        bail!("HEAD has moved");
    }
    worktree
        .git(["read-tree", "-m", "-u", commit, old])
        .shielded()
        .holding(lock)?
        .run()
}

/// `git fetch` into a branch of this very repository, without any of what fetch does besides.
const FETCH: [&str; 8] = [
    "fetch",
    "--quiet",
    "--no-prune",
    "--no-write-fetch-head",
    "--no-auto-maintenance",
    "--no-recurse-submodules",
    "--no-tags",
    ".",
];

/// Moves a branch that is checked out nowhere forward to `commit`:
/// `git fetch . <commit>:refs/heads/<branch>`, which refuses one that a rebase or bisect is using.
///
/// # Errors
/// When it is in use, or has moved meanwhile.
pub(crate) fn elsewhere(dir: &Path, branch: &str, commit: &str, lock: &Lock) -> Result<()> {
    let spec = format!("{commit}:refs/heads/{branch}");
    let args = FETCH.into_iter().chain([spec.as_str()]);
    Git::new(dir, args)
        .env("GIT_REFLOG_ACTION", "flux cleanup")
        .shielded()
        .holding(lock)?
        .run()
}

/// Fails if a rebase, a bisect or a worktree is using the branch, which stands
/// at `tip`: `git fetch --dry-run . <tip>:refs/heads/<branch>`.
///
/// # Errors
/// What git says of who uses it.
pub(crate) fn ensure_unused(dir: &Path, branch: &str, tip: &str) -> Result<()> {
    let spec = format!("{tip}:refs/heads/{branch}");
    let (verb, options) = FETCH.split_at(1);
    let args = verb.iter().chain(&["--dry-run"]).chain(options).copied();
    let args: Vec<&str> = args.chain([spec.as_str()]).collect();
    patiently(|| Git::reading(dir, &args)).map(drop)
}
