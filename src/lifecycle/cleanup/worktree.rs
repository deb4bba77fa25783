//! Checks a task's worktree before it is removed.

use anyhow::{Error, Result, bail};

use super::called_command::CalledCommand;
use super::options::{Branch, Options};
use crate::context::Flux;
use crate::failure::{Failure, replace_hint};
use crate::git::submodules::{self, Submodule, Unsaved};
use crate::git::{Checkout, Repo, Worktree, admin, worktree_lock};
use crate::lifecycle::damage::{self, Damage};
use crate::lifecycle::disposal::ensure_unshared;
use crate::task::{Task, TaskId};
use crate::ui::{quoted, shown, word};

/// Fails if another worktree uses the task's branch, if the directory at the task's path is not the
/// task's worktree (a missing one passes), or if another worktree is inside it.
pub(super) fn ensure_ours(
    flux: &Flux,
    task: &Task,
    worktrees: &[Worktree],
    missing: bool,
) -> Result<()> {
    let (id, path) = (&task.id, &task.worktree);
    ensure_unshared(flux, worktrees, task)?;
    let is_known = worktrees.iter().any(|entry| entry.path == *path);
    // Without a directory and an entry, there is nothing to check.
    if !missing && (!is_known || !admin::is_ours(flux.repo.common_dir(), path)?) {
        bail!(Damage::replaced_worktree(flux, task)?.failure());
    }
    let is_inside = |other: &&Worktree| other.path != *path && other.path.starts_with(path);
    if let Some(inner) = worktrees.iter().find(is_inside).filter(|_| is_known) {
        let inner = quoted(&inner.path);
        let what = format!("there is another worktree inside that of '{id}': {inner}");
        let failure = Failure::new(what).hint(format!("git worktree remove {inner}"));
        bail!(failure.hint(format!("git worktree move {inner} <somewhere else>")));
    }
    Ok(())
}

/// Returns the failure for a task whose worktree is gone.
pub(super) fn missing_failure(flux: &Flux, task: &Task, options: &Options) -> Error {
    let (id, command) = (&task.id, &options.command);
    let Err(error) = damage::ensure_intact(flux, task) else {
        return changed_failure(id, command);
    };
    let purpose = match options.branch {
        Branch::Discard => damage::REMOVE,
        Branch::Merge { .. } | Branch::MergedIn { .. } => damage::MERGE_COMMITS,
    };
    let called = format!("{purpose}: {}", command.cleanup_with(id, "--discard"));
    let merge = format!("{}: {}", damage::MERGE_COMMITS, damage::merge_commits(id));
    replace_hint(error, &merge, Some(&called))
}

/// Returns the failure `'<id>' changed meanwhile`, for a task whose branch or worktree was missing
/// and is there again.
pub(super) fn changed_failure(id: &TaskId, command: &CalledCommand) -> Error {
    Failure::new(format!("'{id}' changed meanwhile"))
        .hint(command.with(id, ""))
        .into()
}

/// Fails if a worktree is locked (`git worktree lock`), and names the reason.
pub(in crate::lifecycle) fn ensure_unlocked(entry: &Worktree) -> Result<()> {
    let Some(reason) = &entry.locked else {
        return Ok(());
    };
    let colon = if reason.is_empty() { "" } else { ": " };
    let what = format!(
        "the worktree '{}' is locked{colon}{reason}",
        shown(&entry.path)
    );
    bail!(Failure::new(what).hint(format!("git worktree unlock {}", quoted(&entry.path))))
}

/// Fails if a worktree is locked, unless by the launcher of the task `id`, which may have been killed.
pub(super) fn ensure_unlocked_by_user(entry: &Worktree, id: &TaskId) -> Result<()> {
    if worktree_lock::is_of_task(entry, id) {
        return Ok(());
    }
    ensure_unlocked(entry)
}

/// Fails if an operation such as a merge or rebase is in progress in a worktree.
pub(crate) fn ensure_idle(checkout: &Checkout) -> Result<()> {
    let Some(operation) = Repo::operation(checkout)? else {
        return Ok(());
    };
    let path = checkout.path();
    let what = format!("a {operation} is in progress in '{}'", shown(path));
    let status = format!("git -C {} status", quoted(path));
    bail!(Failure::new(what).hint(format!("to see how to finish or abort it: {status}")))
}

/// Fails if the task's worktree has another branch checked out, or none.
pub(super) fn ensure_on_branch(task: &Task, entry: &Worktree) -> Result<()> {
    if entry.branch.as_ref() == Some(&task.branch_ref()) {
        return Ok(());
    }
    let (path, branch) = (&task.worktree, &task.branch);
    let what = format!("'{}' does not have '{branch}' checked out", shown(path));
    bail!(Failure::new(what).hint(format!("git -C {} switch {}", quoted(path), word(branch))))
}

/// Returns the submodules of the task's worktree, also those whose repositories remain after
/// `git submodule deinit`. Fails if one has uncommitted files, unpushed commits or other worktrees.
/// Does not check one whose `.git` is a directory, which restore brings back, nor ignored files.
pub(super) fn list_submodules(flux: &Flux, task: &Task) -> Result<Vec<Submodule>> {
    let found = submodules::list(&flux.repo, &task.worktree)?;
    let is_whole = |one: &&Submodule| matches!(one.holds, Unsaved::Nothing | Unsaved::Itself);
    if let Some(first) = found.iter().find(|one| !is_whole(one)) {
        bail!(submodule_failure(task, first, &found));
    }
    Ok(found)
}

/// Fails if one of the submodules `found` is checked out. The caller knows that the worktree is on
/// another file system than the trash, so that restore could not bring them back.
/// `retry` is the command for the hint.
pub(super) fn ensure_none_checked_out(task: &Task, found: &[Submodule], retry: &str) -> Result<()> {
    if !found.iter().any(|submodule| submodule.is_checked_out) {
        return Ok(());
    }
    let (path, pasted) = (shown(&task.worktree), quoted(&task.worktree));
    let why = "is not on the repository's file system: restore could not recover its submodules";
    let failure = Failure::new(format!("'{path}' {why}"));
    let failure = failure.hint(format!("git -C {pasted} submodule deinit --all"));
    bail!(failure.hint(format!("then: {retry}")))
}

/// Describes why removing the worktree loses no work in the submodules `found`: they are on
/// remotes, or can be restored.
pub(super) fn describe_submodules(found: &[Submodule]) -> String {
    match (join(found, Unsaved::Nothing), join(found, Unsaved::Itself)) {
        (pushed, own) if pushed.is_empty() && own.is_empty() => "none was checked out".to_owned(),
        (pushed, own) if own.is_empty() => format!("everything in {pushed} is on remotes"),
        (_, own) => format!("unpushed work can be restored: {own}"),
    }
}

fn submodule_failure(task: &Task, first: &Submodule, all: &[Submodule]) -> Failure {
    let parts = [
        ("uncommitted changes in", Unsaved::Files),
        ("unpushed commits in", Unsaved::Commits),
        ("other worktrees of", Unsaved::Worktrees),
    ];
    let parts = parts.map(|(what, holds)| (what, join(all, holds)));
    let parts = parts.iter().filter(|(_, names)| !names.is_empty());
    let parts: Vec<String> = parts
        .map(|(what, names)| format!("{what} {names}"))
        .collect();
    let (id, parts, place) = (&task.id, parts.join(", "), quoted(&first.dir));
    // A submodule that is not checked out may be configured for a missing directory.
    let git = match first.is_checked_out {
        true => format!("git -C {place}"),
        false => format!("git --git-dir={place} --work-tree=."),
    };
    let (look, push) = match (first.holds, first.is_checked_out) {
        (Unsaved::Worktrees, _) => ("worktree list", None),
        (Unsaved::Commits, true) => ("status", Some("HEAD:<branch>")),
        (Unsaved::Commits, false) => (
            "log --all --not --remotes",
            Some("<commit>:refs/heads/<branch>"),
        ),
        (Unsaved::Files | Unsaved::Nothing | Unsaved::Itself, _) => ("status", None),
    };
    let push = push.map(|what| format!("{git} push <remote> {what}"));
    let what = format!("submodules of '{id}' have uncommitted or unpushed work: {parts}");
    let failure = Failure::new(what).hint(format!("{git} {look}"));
    push.into_iter().fold(failure, Failure::hint)
}

/// Returns the quoted names of the submodules with this kind of unsaved work; empty if there are
/// none.
fn join(submodules: &[Submodule], holds: Unsaved) -> String {
    let those = submodules.iter().filter(|one| one.holds == holds);
    let names: Vec<String> = those.map(|one| format!("'{}'", shown(&one.name))).collect();
    names.join(", ")
}
