//! What becomes of a task that conflicts with its target.

use std::path::Path;

use anyhow::{Context as _, Error, Result, anyhow};

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
    let into = facts.into().context("nothing is merged")?;
    flux.ui.status(refusal);
    let mut places = vec![Some(Place::Task), None];
    let mut items = vec![
        format!("merge '{}' into the task's worktree", into.branch),
        "abort".to_owned(),
    ];
    if let Some(worktree) = &into.worktree {
        places.insert(1, Some(Place::Target));
        items.insert(1, format!("start the merge in '{}'", shown(worktree)));
    }
    let chosen = flux.ui.select("Where are they to be resolved?", &items)?;
    places[chosen].ok_or_else(|| Failure::declined("nothing was changed").into())
}

/// Starts a merge that stops at its conflicts, for somebody to resolve them.
///
/// # Errors
/// Always: the task is not removed.
pub(super) fn start(flux: &Flux, facts: &Facts, place: Place, lock: &Lock) -> Result<()> {
    let into = facts.into().context("nothing is merged")?;
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
    let (id, git) = (&task.id, format!("git -C {}", quoted(path)));
    let what = format!("'{id}' is not removed: resolve the conflicts first");
    let mut failure = Failure::new(what).hint(format!("{git} status"));
    if path == task.worktree {
        failure = failure.hint(format!("git flux attach {id}"));
    }
    failure
        .hint(format!("then: {git} commit && git flux cleanup {id}"))
        .hint(format!("or: {git} merge --abort"))
        .code(CONFLICTS)
}

/// What an agent is told of the conflicts. No name of anybody's is in it.
const MESSAGE: &str = "git flux: the target branch was merged into this worktree and the merge stopped at \
                       conflicts. Please resolve them and commit the merge.";

/// Asks whether a running agent is to be told of the conflicts in its worktree.
fn wants_to_tell(flux: &Flux, facts: &Facts) -> Result<bool> {
    let is_heard = || recipient::find_recipient(flux, &facts.task, clock::now(), true);
    if !flux.ui.can_ask() || facts.runs.is_own_pane || is_heard()?.is_none() {
        return Ok(false);
    }
    let question = format!("The agent of '{}' is running. Tell it?", facts.task.id);
    flux.ui.confirm(question, true)
}

fn tell(flux: &Flux, task: &Task) -> Result<()> {
    let id = &task.id;
    // It may have ended since, or do so at any time. Its answer is not waited for.
    let told = match recipient::find_recipient(flux, task, clock::now(), true)? {
        Some(recipient) => recipient.send(MESSAGE).map(drop),
        None => Err(anyhow!("the agent of '{id}' does not read what is typed")),
    };
    match told {
        Ok(()) => flux.ui.status(format_args!("told the agent of '{id}'")),
        Err(error) => flux.ui.warning(format_args!("{error:#}")),
    }
    Ok(())
}
