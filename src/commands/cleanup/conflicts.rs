//! What becomes of a task that conflicts with its target.

use std::path::Path;

use anyhow::{Context as _, Error, Result};

use crate::context::Flux;
use crate::failure::{CONFLICTS, Failure};
use crate::git::{Lock, merge};
use crate::lifecycle::cleanup::facts::Facts;
use crate::lifecycle::recipient;
use crate::system::clock;
use crate::task::Task;
use crate::ui::{quoted, shown};

/// Where conflicts are resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In the task's worktree, by its agent or by the user.
    Task,
    /// In the worktree of the target.
    Target,
}

/// Asks where conflicts are resolved, after the refusal that names them.
///
/// # Errors
/// When that is to be nowhere.
pub(super) fn ask(flux: &Flux, facts: &Facts, refusal: &Error) -> Result<Place> {
    let into = facts.into.as_ref().context("nothing is merged")?;
    flux.ui.status(refusal);
    let update = format!("merge '{}' into the task's worktree", into.branch);
    let mut choices = vec![(Some(Place::Task), update)];
    if let Some(worktree) = &into.worktree {
        let here = format!("start the merge in '{}'", shown(worktree));
        choices.push((Some(Place::Target), here));
    }
    choices.push((None, "abort".to_owned()));
    let items: Vec<String> = choices.iter().map(|(_, item)| item.clone()).collect();
    let chosen = flux.ui.select("Where are they to be resolved?", &items)?;
    let (place, _) = choices.swap_remove(chosen);
    place.ok_or_else(|| Failure::declined("nothing was changed").into())
}

/// Starts a merge that stops at its conflicts, for somebody to resolve them.
///
/// # Errors
/// Always: the task is not removed.
pub(super) fn start(flux: &Flux, facts: &Facts, place: Place, lock: &Lock) -> Result<()> {
    let into = facts.into.as_ref().context("nothing is merged")?;
    let task = &facts.task;
    let (path, theirs) = match (place, &into.worktree) {
        (Place::Target, Some(worktree)) => (worktree, &task.branch),
        _ => (&task.worktree, &into.branch),
    };
    let is_to_tell = place == Place::Task && wants_to_tell(flux, facts)?;
    merge::start(&flux.repo.checkout(path)?, theirs, lock)?;
    flux.ui.status(format_args!(
        "merging '{theirs}' in '{}': it stopped at the conflicts",
        shown(path)
    ));
    if is_to_tell {
        tell(flux, task)?;
    }
    Err(not_removed(task, path).into())
}

/// The refusal of a task whose conflicts are to be resolved at `path`.
pub(super) fn not_removed(task: &Task, path: &Path) -> Failure {
    let (id, pasted) = (&task.id, quoted(path));
    let failure = Failure::new(format!(
        "'{id}' is not removed: resolve the conflicts first"
    ))
    .hint(format!("git -C {pasted} status"));
    let failure = match path == task.worktree {
        true => failure.hint(format!("git flux attach {id}")),
        false => failure,
    };
    failure
        .hint(format!(
            "then: git -C {pasted} commit && git flux cleanup {id}"
        ))
        .hint(format!("or: git -C {pasted} merge --abort"))
        .code(CONFLICTS)
}

/// What an agent is told of the conflicts. No name of anybody's is in it.
const MESSAGE: &str = "git flux: the target branch was merged into this worktree and the merge stopped at \
                       conflicts. Please resolve them and commit the merge.";

/// Asks whether a running agent is to be told of the conflicts in its worktree.
fn wants_to_tell(flux: &Flux, facts: &Facts) -> Result<bool> {
    let is_heard = || recipient::listening(flux, &facts.task, clock::now(), true);
    if !flux.ui.can_ask() || facts.runs.is_own_pane || is_heard()?.is_none() {
        return Ok(false);
    }
    let id = &facts.task.id;
    flux.ui.confirm(
        format_args!("The agent of '{id}' is running. Tell it?"),
        true,
    )
}

fn tell(flux: &Flux, task: &Task) -> Result<()> {
    let id = &task.id;
    // It may have ended since, or do so at any time. Its answer is not waited for.
    let told = match recipient::listening(flux, task, clock::now(), true)? {
        Some(recipient) => recipient.send(MESSAGE).map(drop),
        None => {
            Err(Failure::new(format!("the agent of '{id}' does not read what is typed")).into())
        }
    };
    match told {
        Ok(()) => flux.ui.status(format_args!("told the agent of '{id}'")),
        Err(error) => flux.ui.warning(format_args!("{error:#}")),
    }
    Ok(())
}
