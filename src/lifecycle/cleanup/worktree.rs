//! Checks of a task's worktree: it is what it should be, and no other work is in the way.

use anyhow::Result;

use crate::context::Flux;
use crate::failure::Failure;
use crate::git::submodules::{self, Holds, Submodule};
use crate::git::{Checkout, ObjectId, Repo, Worktree, admin};
use crate::lifecycle::broken::Broken;
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
    let id = &task.id;
    ensure_not_elsewhere(flux, worktrees, task)?;
    let known = worktrees.iter().any(|entry| entry.path == task.worktree);
    // Where there is neither directory nor entry, there is nothing to look at.
    if !missing && (!known || !admin::is_ours(flux.repo.common_dir(), &task.worktree)?) {
        return Err(Broken::not_ours(flux, task)?.failure().into());
    }
    let inner = worktrees
        .iter()
        .find(|other| other.path != task.worktree && other.path.starts_with(&task.worktree));
    let Some(inner) = inner.filter(|_| known) else {
        return Ok(());
    };
    let inner = quoted(&inner.path);
    Err(Failure::new(format!(
        "there is another worktree inside that of '{id}': {inner}"
    ))
    .hint(format!("git worktree remove {inner}"))
    .hint(format!("git worktree move {inner} <somewhere else>"))
    .into())
}

/// Fails if a worktree is locked.
///
/// # Errors
/// As it says.
pub(in crate::lifecycle) fn ensure_unlocked(entry: &Worktree) -> Result<()> {
    let Some(reason) = &entry.locked else {
        return Ok(());
    };
    let reason = match reason.as_str() {
        "" => String::new(),
        reason => format!(": {reason}"),
    };
    let path = shown(&entry.path);
    Err(
        Failure::new(format!("the worktree '{path}' is locked{reason}"))
            .hint(format!("git worktree unlock {}", quoted(&entry.path)))
            .into(),
    )
}

/// Fails if an operation of several steps, such as a rebase, is in progress in a worktree.
///
/// # Errors
/// Also when that cannot be told.
pub(crate) fn ensure_idle(checkout: &Checkout) -> Result<()> {
    let worktree = checkout.path();
    let Some(operation) = Repo::operation(checkout)? else {
        return Ok(());
    };
    let path = shown(worktree);
    Err(
        Failure::new(format!("a {operation} is in progress in '{path}'"))
            .hint(format!(
                "finish or abort it: git -C {} status",
                quoted(worktree)
            ))
            .into(),
    )
}

/// Fails if the task's branch is not checked out in its worktree.
///
/// # Errors
/// As it says.
pub(super) fn ensure_on_branch(task: &Task, entry: &Worktree) -> Result<()> {
    if entry.branch.as_deref() == Some(&task.branch_ref()) {
        return Ok(());
    }
    Err(Failure::new(format!(
        "'{}' does not have '{}' checked out",
        shown(&task.worktree),
        task.branch
    ))
    .hint(format!(
        "git -C {} switch {}",
        quoted(&task.worktree),
        word(&task.branch)
    ))
    .into())
}

/// Returns the submodules of a task, whose commits and files are in no archive.
///
/// # Errors
/// When one of them holds what is nowhere else, or that cannot be told.
pub(super) fn submodules(flux: &Flux, task: &Task, tip: &ObjectId) -> Result<Vec<Submodule>> {
    let found = submodules::list(&flux.repo, &task.worktree, tip)?;
    let is_whole = |one: &&Submodule| matches!(one.holds, Holds::Nothing | Holds::Itself);
    match found.iter().find(|one| !is_whole(one)) {
        Some(submodule) => Err(refusal(task, submodule, &found).into()),
        None => Ok(found),
    }
}

/// Fails if one of the submodules is checked out, which only goes with the whole worktree.
///
/// # Errors
/// As it says.
pub(super) fn ensure_none_checked_out(task: &Task, found: &[Submodule]) -> Result<()> {
    match found.iter().any(|submodule| submodule.checked_out) {
        true => Err(stuck(task).into()),
        false => Ok(()),
    }
}

/// Says why nothing of the submodules is lost.
pub(super) fn describe(found: &[Submodule]) -> String {
    let that = |holds| names(found.iter().filter(|found| found.holds == holds));
    match (that(Holds::Nothing), that(Holds::Itself)) {
        (pushed, own) if pushed.is_empty() && own.is_empty() => "none was checked out".to_owned(),
        (pushed, own) if own.is_empty() => format!("everything in {pushed} is on remotes"),
        (_, own) => format!("kept in the trash, for what no remote has: {own}"),
    }
}

/// The refusal of what git does not remove in place: `git worktree remove`.
fn stuck(task: &Task) -> Failure {
    let (path, pasted) = (shown(&task.worktree), quoted(&task.worktree));
    Failure::new(format!(
        "'{path}' is on another file system than the repository: its submodules cannot be moved to the trash"
    ))
    .hint(format!("git -C {pasted} submodule deinit --all"))
    .hint(format!("then: git flux cleanup {}", task.id))
}

fn refusal(task: &Task, first: &Submodule, all: &[Submodule]) -> Failure {
    let inside = |wanted: fn(Holds) -> bool| {
        let with = all.iter().filter(|submodule| wanted(submodule.holds));
        names(with)
    };
    let parts = [
        (
            "uncommitted changes in",
            inside(|holds| holds == Holds::Files),
        ),
        (
            "commits that no remote has in",
            inside(|holds| holds == Holds::Commits),
        ),
        (
            "other worktrees of",
            inside(|holds| holds == Holds::Worktrees),
        ),
    ];
    let what: Vec<String> = parts
        .iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(what, names)| format!("{what} {names}"))
        .collect();
    let place = quoted(&first.dir);
    // What is not checked out may be configured for a directory that is gone.
    let git = match first.checked_out {
        true => format!("git -C {place}"),
        false => format!("git --git-dir={place} --work-tree=."),
    };
    let failure = Failure::new(format!(
        "the submodules of '{}' hold what is nowhere else: {}",
        task.id,
        what.join(", ")
    ));
    match (first.holds, first.checked_out) {
        (Holds::Worktrees, _) => failure.hint(format!("{git} worktree list")),
        (Holds::Commits, true) => failure
            .hint(format!("{git} status"))
            .hint(format!("{git} push <remote> HEAD:<branch>")),
        (Holds::Commits, false) => failure
            .hint(format!("{git} log --all --not --remotes"))
            .hint(format!("{git} push <remote> <commit>:refs/heads/<branch>")),
        (Holds::Files | Holds::Nothing | Holds::Itself, _) => failure.hint(format!("{git} status")),
    }
}

fn names<'a>(submodules: impl Iterator<Item = &'a Submodule>) -> String {
    let names: Vec<String> = submodules
        .map(|submodule| format!("'{}'", shown(&submodule.name)))
        .collect();
    names.join(", ")
}
