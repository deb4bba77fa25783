//! Per-worktree refs and reflog-only commits, which removing a worktree would lose.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use bstr::ByteSlice as _;

use crate::git::checkout::gitfile::read_or_empty;
use crate::git::worktree::admin;
use crate::git::{Git, ObjectId, Repo, refs};
use crate::task::BranchName;
pub(crate) use crate::task::check::REFLOG;
use crate::task::check::WORKTREE_REF_DIRS;

/// Lists the names and objects of the refs to archive for the worktree at `path`, with `branch` at
/// `tip`: its per-worktree refs, each without the prefix `refs/`, and [`REFLOG`] with a new commit,
/// whose parents are the commits that only the reflogs of `branch` and the worktree's `HEAD` have.
/// Leaves out [`REFLOG`] if there are none. Empty without a worktree registered there.
pub(crate) fn find(
    repo: &Repo,
    path: &Path,
    branch: &BranchName,
    tip: &ObjectId,
) -> Result<Vec<(String, ObjectId)>> {
    let common = repo.common_dir();
    let Some(admin) = admin::find_dir(common, path)? else {
        return Ok(Vec::new());
    };
    let tables = admin.join("reftable");
    let what = || format!("could not access '{}'", tables.display());
    let has_tables = fs::exists(&tables).with_context(what)?;
    // Run git in the main worktree: it would trust `commondir` in the administrative directory.
    let git = |words| {
        let git = Git::reading(repo.home()).words(words);
        git.envs([("GIT_DIR", &*admin), ("GIT_COMMON_DIR", common)])
    };
    let mut found = Vec::new();
    // Usually there are none; this saves a process.
    let is_there = |name: &&str| fs::exists(admin.join(name)).unwrap_or(true);
    if has_tables || WORKTREE_REF_DIRS.iter().any(is_there) {
        let own = refs::for_each_ref(git("for-each-ref"), &WORKTREE_REF_DIRS)?
            .objects
            .into_iter();
        found.extend(own.map(|(name, oid)| (name.replacen("refs/", "", 1), oid)));
    }
    let mut commits = if has_tables {
        let walk = git("rev-list --walk-reflogs HEAD").arg(branch.full());
        lines(&walk.output()?)?
            .map(|name| name.to_owned().into())
            .collect()
    } else {
        // git fails on the reflog of an unborn HEAD.
        let of_branch = common.join("logs").join(&*branch.full());
        &read_reflog(&admin.join("logs/HEAD"))? | &read_reflog(&of_branch)?
    };
    let mut history = repo.history();
    let is_reached = |(ahead, _)| ahead == 0;
    commits.retain(|commit| !history.ahead_behind(commit, tip).is_ok_and(is_reached));
    let lost = independent_commits(repo.home(), commits)?;
    if !lost.is_empty() {
        let lost: Vec<&ObjectId> = lost.iter().collect();
        let all = repo.write_commit(&repo.tree_of(tip)?, &lost)?;
        found.push((REFLOG.to_owned(), all));
    }
    Ok(found)
}

/// Splits the output of `git rev-list` into lines; fails if the last one lacks its newline.
fn lines(out: &[u8]) -> Result<impl Iterator<Item = &str>> {
    let out = std::str::from_utf8(out)?;
    if !(out.is_empty() || out.ends_with('\n')) {
        bail!("`git rev-list` printed an incomplete line");
    }
    Ok(out.lines())
}

/// Reads the old and new objects of all entries in a reflog file, with lines
/// `<old> <new> <who> <when>\t<message>`; empty if the file is missing.
fn read_reflog(log: &Path) -> Result<BTreeSet<ObjectId>> {
    let text = read_or_empty(log)?;
    let text = text.to_str_lossy();
    let names = text.lines().flat_map(|line| line.split(' ').take(2));
    // Skip the null object before the first entry.
    let is_object = |name: &&str| name.bytes().any(|b| b != b'0');
    Ok(names
        .filter(is_object)
        .map(|name| name.to_owned().into())
        .collect())
}

/// Returns those of `commits` that exist and that neither a ref, except per-worktree refs of linked
/// worktrees, nor another one of them reaches: `git rev-list --ignore-missing --parents <commits>
/// --not --single-worktree --all`
fn independent_commits(home: &Path, commits: BTreeSet<ObjectId>) -> Result<BTreeSet<ObjectId>> {
    if commits.is_empty() {
        return Ok(commits);
    }
    let git = Git::reading(home).words("rev-list --ignore-missing --parents --stdin");
    // The refs of other worktrees are removed with those.
    let git = git.words("--not --single-worktree --all");
    let commits = commits.into_iter().map(|commit| format!("{commit}\n"));
    let out = git.input(commits.collect::<String>()).output()?;
    let mut heads = BTreeSet::new();
    let mut parents = BTreeSet::new();
    for line in lines(&out)? {
        let mut names = line.split(' ').map(|name| name.to_owned().into());
        heads.extend(names.next());
        parents.extend(names);
    }
    heads.retain(|head| !parents.contains(head));
    Ok(heads)
}
