//! Handles a task that conflicts with its target.

use std::path::Path;

use anyhow::{Context as _, Error, Result};

use crate::context::Flux;
use crate::failure::{CONFLICTS, Failure};
use crate::git::Lock;
use crate::lifecycle::cleanup::conflict_merge::{ConflictMerge, ConflictSite};
use crate::lifecycle::cleanup::facts::Facts;
use crate::lifecycle::land::back::{self, CONFLICT_MESSAGE};
use crate::lifecycle::recipient;
use crate::system::clock;
use crate::task::Task;
use crate::ui::{quoted, shown};

/// Prints the refusal that names the conflicts, and asks in which worktree to resolve them: the
/// task's, or that of the target branch, if it has one. Fails if the user aborts.
pub(super) fn ask_place(flux: &Flux, facts: &Facts, refusal: &Error) -> Result<ConflictSite> {
    let into = facts.merge_target().context("internal error: no target")?;
    flux.ui.status(refusal);
    let mut places = vec![Some(ConflictSite::Task), None];
    let mut items = vec![
        format!("merge '{}' into the task's worktree", into.branch),
        "abort".to_owned(),
    ];
    if let Some(worktree) = &into.worktree {
        places.insert(1, Some(ConflictSite::Target));
        items.insert(1, format!("start the merge in '{}'", shown(worktree)));
    }
    let question = "Where do you want to resolve the conflict?";
    let chosen = flux.ui.select(question, &items)?;
    places[chosen].ok_or_else(|| Failure::declined("nothing was changed").into())
}

/// Merges the target branch into the task's worktree, or the task's branch into the target's
/// worktree, and leaves the merge uncommitted. In the task's worktree, first asks whether to tell
/// the running agent, and tells it if there are conflicts. Does nothing if a branch has moved since
/// it was observed, or is not checked out there any more.
///
/// # Errors
/// Always after the merge: the task is not removed.
pub(super) fn start_merge(
    flux: &Flux,
    facts: &Facts,
    site: ConflictSite,
    lock: &Lock,
) -> Result<()> {
    let merge = ConflictMerge::plan(facts, site)?;
    let (path, theirs) = (merge.path, merge.theirs);
    let is_to_tell = site == ConflictSite::Task && wants_to_tell(flux, facts)?;
    let Some(has_conflicts) = merge.start(flux, lock)? else {
        return Ok(());
    };
    let end = match has_conflicts {
        true => "stopped at the conflicts",
        false => "stopped before the commit",
    };
    let place = shown(path);
    flux.ui
        .status(format_args!("merging '{theirs}' in '{place}'; {end}"));
    if is_to_tell && has_conflicts {
        tell_agent(flux, &facts.task);
    }
    Err(not_removed(facts, path, has_conflicts).into())
}

/// Returns the failure for a task with an unfinished merge in the worktree `path`, with exit code 3
/// if it has conflicts. The hints say how to finish it.
pub(super) fn not_removed(facts: &Facts, path: &Path, has_conflicts: bool) -> Failure {
    let Task { id, worktree, .. } = &facts.task;
    let git = format!("git -C {}", quoted(path));
    let (step, code) = match has_conflicts {
        true => ("resolve the conflicts", CONFLICTS),
        false => ("commit the merge", 1),
    };
    let what = format!("'{id}' is not removed: {step} first");
    let mut failure = Failure::new(what)
        .hint(format!("to see what is left: {git} status"))
        .code(code);
    if path == worktree {
        failure = failure.hint(format!("to go to the task: git flux attach {id}"));
    }
    failure
        .hint(format!(
            "then: {git} commit && {}",
            facts.command.with(id, "")
        ))
        .hint(format!("or, to give up the merge: {git} merge --abort"))
}

/// Asks the user whether to tell the running agent about the conflicts. Returns `false` without
/// asking if there is no terminal, if no agent accepts messages, or in the task's own pane.
fn wants_to_tell(flux: &Flux, facts: &Facts) -> Result<bool> {
    let recipient = || recipient::find_recipient(flux, &facts.task, clock::now(), true);
    if !flux.ui.can_ask() || facts.processes.is_own_pane || recipient()?.is_none() {
        return Ok(false);
    }
    let question = format!("Tell the running agent of '{}'?", facts.task.id);
    flux.ui.confirm(question, true)
}

fn tell_agent(flux: &Flux, task: &Task) {
    let id = &task.id;
    match back::tell(flux, task, CONFLICT_MESSAGE) {
        Ok(true) => {
            // The user has agreed to it. Only `git flux land` uses the note.
            drop(flux.run_dir(id).note_user_message());
            flux.ui.status(format_args!("sent to '{id}'"));
        }
        // It may have ended since.
        Ok(false) => flux
            .ui
            .warning(format_args!("the agent of '{id}' does not accept input")),
        Err(error) => flux.ui.warning(format_args!("{error:#}")),
    }
}
