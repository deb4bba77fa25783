//! Checks of a task's worktree: it is what it should be, and no other work is in the way.

use anyhow::{Result, bail};

use crate::context::Flux;
use crate::failure::Failure;
use crate::git::submodules::{self, Holds, Submodule};
use crate::git::{Checkout, Repo, Worktree, admin};
use crate::lifecycle::damage::Damage;
use crate::lifecycle::fate::ensure_not_elsewhere;
use crate::task::Task;
use crate::ui::{quoted, shown, word};

/// Fails if what is at the task's path, where nothing may be `missing`, is not the task's alone.
///
/// # Errors
/// Also when that cannot be told.
pub(super) fn ensure_ours(
    flux: &Flux,
    task: &Task,
    worktrees: &[Worktree],
    missing: bool,
) -> Result<()> {
    let (id, path) = (&task.id, &task.worktree);
    ensure_not_elsewhere(flux, worktrees, task)?;
    let is_known = worktrees.iter().any(|entry| entry.path == *path);
    // Where there is neither directory nor entry, there is nothing to look at.
    if !missing && (!is_known || !admin::is_ours(flux.repo.common_dir(), path)?) {
        bail!(Damage::replaced_worktree(flux, task)?.failure());
    }
    let is_inside = |other: &&Worktree| other.path != *path && other.path.starts_with(path);
    if let Some(inner) = worktrees.iter().find(is_inside).filter(|_| is_known) {
        let inner = quoted(&inner.path);
        let what = format!("there is another worktree inside that of '{id}': {inner}");
        bail!(
            Failure::new(what)
                .hint(format!("git worktree remove {inner}"))
                .hint(format!("git worktree move {inner} <somewhere else>"))
        );
    }
    Ok(())
}

/// Fails if a worktree is locked.
///
/// # Errors
/// As it says.
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

/// Fails if an operation of several steps, such as a rebase, is in progress in a worktree.
///
/// # Errors
/// Also when that cannot be told.
pub(crate) fn ensure_idle(checkout: &Checkout) -> Result<()> {
    let Some(operation) = Repo::operation(checkout)? else {
        return Ok(());
    };
    let path = checkout.path();
    let what = format!("a {operation} is in progress in '{}'", shown(path));
    let status = format!("git -C {} status", quoted(path));
    bail!(Failure::new(what).hint(format!("finish or abort it: {status}")))
}

/// Fails if the task's branch is not checked out in its worktree.
///
/// # Errors
/// As it says.
pub(super) fn ensure_on_branch(task: &Task, entry: &Worktree) -> Result<()> {
    if entry.branch.as_ref() == Some(&task.branch_ref()) {
        return Ok(());
    }
    let (path, branch) = (&task.worktree, &task.branch);
    let what = format!("'{}' does not have '{branch}' checked out", shown(path));
    bail!(Failure::new(what).hint(format!("git -C {} switch {}", quoted(path), word(branch))))
}

/// Returns the submodules of a task, whose commits and files are in no archive.
///
/// # Errors
/// When one of them holds what is nowhere else, or that cannot be told.
pub(super) fn submodules(flux: &Flux, task: &Task) -> Result<Vec<Submodule>> {
    let found = submodules::list(&flux.repo, &task.worktree)?;
    let is_whole = |one: &&Submodule| matches!(one.holds, Holds::Nothing | Holds::Itself);
    if let Some(first) = found.iter().find(|one| !is_whole(one)) {
        bail!(refusal(task, first, &found));
    }
    Ok(found)
}

/// Fails if one of the submodules is checked out, which only goes with the whole worktree: git does
/// not remove it in place.
///
/// # Errors
/// As it says.
pub(super) fn ensure_none_checked_out(task: &Task, found: &[Submodule]) -> Result<()> {
    if !found.iter().any(|submodule| submodule.checked_out) {
        return Ok(());
    }
    let path = shown(&task.worktree);
    bail!(
        Failure::new(format!(
            "'{path}' is on another file system than the repository: its submodules cannot be moved to the trash"
        ))
        .hint(format!("git -C {} submodule deinit --all", quoted(&task.worktree)))
        .hint(format!("then: git flux cleanup {}", task.id))
    )
}

/// Says why nothing of the submodules is lost.
pub(super) fn describe(found: &[Submodule]) -> String {
    match (names(found, Holds::Nothing), names(found, Holds::Itself)) {
        (pushed, own) if pushed.is_empty() && own.is_empty() => "none was checked out".to_owned(),
        (pushed, own) if own.is_empty() => format!("everything in {pushed} is on remotes"),
        (_, own) => format!("kept in the trash, for what no remote has: {own}"),
    }
}

fn refusal(task: &Task, first: &Submodule, all: &[Submodule]) -> Failure {
    let parts = [
        ("uncommitted changes in", Holds::Files),
        ("commits that no remote has in", Holds::Commits),
        ("other worktrees of", Holds::Worktrees),
    ];
    let parts = parts.map(|(what, holds)| (what, names(all, holds)));
    let parts = parts.iter().filter(|(_, names)| !names.is_empty());
    let parts: Vec<String> = parts
        .map(|(what, names)| format!("{what} {names}"))
        .collect();
    let (id, parts, place) = (&task.id, parts.join(", "), quoted(&first.dir));
    // What is not checked out may be configured for a directory that is gone.
    let git = match first.checked_out {
        true => format!("git -C {place}"),
        false => format!("git --git-dir={place} --work-tree=."),
    };
    let (look, push) = match (first.holds, first.checked_out) {
        (Holds::Worktrees, _) => ("worktree list", None),
        (Holds::Commits, true) => ("status", Some("HEAD:<branch>")),
        (Holds::Commits, false) => (
            "log --all --not --remotes",
            Some("<commit>:refs/heads/<branch>"),
        ),
        (Holds::Files | Holds::Nothing | Holds::Itself, _) => ("status", None),
    };
    let push = push.map(|what| format!("{git} push <remote> {what}"));
    let what = format!("the submodules of '{id}' hold what is nowhere else: {parts}");
    let failure = Failure::new(what).hint(format!("{git} {look}"));
    push.into_iter().fold(failure, Failure::hint)
}

/// Names the submodules that hold this.
fn names(submodules: &[Submodule], holds: Holds) -> String {
    let those = submodules.iter().filter(|one| one.holds == holds);
    let names: Vec<String> = those.map(|one| format!("'{}'", shown(&one.name))).collect();
    names.join(", ")
}
