//! Whether a task's worktree is what it should be, and nobody's work is in the way.

use anyhow::Result;

use super::check::{Loss, Verdict};
use crate::failure::Failure;
use crate::git::submodules::{self, Holds, Submodule};
use crate::git::{Checkout, Repo, Worktree, admin};
use crate::lifecycle::broken::Broken;
use crate::lifecycle::{Flux, ensure_not_elsewhere};
use crate::task::Task;
use crate::ui::{quoted, shown, word};

/// Looks at the worktree of a task, which may be `missing`.
pub(super) fn worktree(
    flux: &Flux,
    task: &Task,
    worktrees: &[Worktree],
    missing: bool,
    has_branch: bool,
    loss: &mut Loss,
) {
    let path = shown(&task.worktree);
    loss.note(
        "worktree",
        ours(flux, task, worktrees, missing),
        |_| match missing {
            true => Verdict::Asks(format!("'{path}' is gone")),
            false => Verdict::Passes(format!("'{path}'")),
        },
    );
    let Some(entry) = worktrees.iter().find(|entry| entry.path == task.worktree) else {
        return;
    };
    loss.pass("lock", unlocked(entry), "not locked");
    // Where it is not ours, that has been said.
    if !missing && let Ok(checkout) = flux.repo.checkout(&task.worktree) {
        loss.pass("operation", ensure_idle(&checkout), "none is in progress");
    }
    if has_branch {
        let branch = format!("'{}' is checked out", task.branch);
        loss.pass("HEAD", on_branch(task, entry), branch);
    }
}

/// # Errors
/// When what is at the task's path is not the task's, or not the task's alone.
fn ours(flux: &Flux, task: &Task, worktrees: &[Worktree], missing: bool) -> Result<()> {
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

fn unlocked(entry: &Worktree) -> Result<()> {
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

fn on_branch(task: &Task, entry: &Worktree) -> Result<()> {
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

/// Looks into each submodule: its commits and files are in no
/// archive, so they must be somewhere else already.
pub(super) fn submodules(flux: &Flux, task: &Task, tip: &str, abroad: bool, loss: &mut Loss) {
    let found = submodules::list(&flux.repo, &task.worktree, tip);
    let held = |found: Vec<Submodule>| {
        let whole = |holds| matches!(holds, Holds::Nothing | Holds::Itself);
        if let Some(submodule) = found.iter().find(|found| !whole(found.holds)) {
            return Err(refusal(task, submodule, &found).into());
        }
        match abroad && found.iter().any(|submodule| submodule.checked_out) {
            true => Err(stuck(task).into()),
            false => Ok(found),
        }
    };
    loss.note("submodules", found.and_then(held), |found| {
        let that = |holds| names(found.iter().filter(|found| found.holds == holds));
        Verdict::Passes(match (that(Holds::Nothing), that(Holds::Itself)) {
            (pushed, own) if pushed.is_empty() && own.is_empty() => {
                "none was checked out".to_owned()
            }
            (pushed, own) if own.is_empty() => format!("everything in {pushed} is on remotes"),
            (_, own) => format!("kept in the trash, for what no remote has: {own}"),
        })
    });
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
