//! A branch moves forward to a commit: the only step of a merge that anybody sees.

use std::path::Path;

use anyhow::{Result, bail};

use super::command::patiently;
use super::{Checkout, Git, Lock};

/// Moves the branch checked out in a worktree forward to `commit`, files and all:
/// `git merge --ff-only --no-squash --commit --no-autostash --no-overwrite-ignore <commit>`.
///
/// # Errors
/// When a change or file of the user's is in the way: then nothing has changed. When the branch
/// cannot be written: then the files have.
pub(crate) fn checked_out(worktree: &Checkout, commit: &str, lock: &Lock) -> Result<()> {
    let args = [
        "merge",
        "--quiet",
        "--ff-only",
        // Against branch.<name>.mergeOptions.
        "--no-squash",
        "--commit",
        "--no-autostash",
        "--no-overwrite-ignore",
        commit,
    ];
    worktree
        .git(args)
        .env("GIT_REFLOG_ACTION", "flux cleanup")
        .shielded()
        .holding(lock)?
        .loud()
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
