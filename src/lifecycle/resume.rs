//! What runs for a task that is there, started again: its agent, or a shell where its pane is gone.

use anyhow::{Context as _, Result};

use super::broken::ensure_whole;
use super::other_machine::ensure_not_elsewhere;
use super::pane::current;
use super::start::launch::{Chosen, wrapped};
use super::start::plan::{NewPane, Start, Started, place};
use super::start::under_lock;
use super::stop::is_running;
use crate::agent::AgentCommand;
use crate::context::Flux;
use crate::failure::Failure;
use crate::git::ObjectId;
use crate::sanitize;
use crate::settings::table;
use crate::store::{self, Store};
use crate::system::process;
use crate::task::{Layout, Target, Task, TaskId};
use crate::tmux::pane;
use crate::tmux::target::{self, Place, Wanted, session_name};
use crate::ui::word;

/// Returns what makes the agent of a task go on where it was; none if it is not there, or cannot.
pub(crate) fn going_on(flux: &Flux, task: &Task, description: &[u8]) -> Option<AgentCommand> {
    let (agent, program) = flux.settings.find_agent(&task.agent).ok()?;
    Some(AgentCommand {
        agent: agent.resumed()?,
        program,
        prompt: description.to_vec(),
    })
}

/// Returns what makes the agent of a task begin with its description once more.
///
/// # Errors
/// When the task has none, or its agent is not there.
pub(crate) fn from_the_beginning(
    flux: &Flux,
    task: &Task,
    description: &[u8],
) -> Result<AgentCommand> {
    if description.is_empty() {
        let (id, key) = (&task.id, word(&table::DESCRIPTION.named(&task.branch)));
        let what = format!("'{id}' has no description that its agent could be given");
        let set = format!("git config {key} '<description>'");
        let attach = format!("git flux attach {id}");
        return Err(Failure::new(what).hint(set).hint(attach).into());
    }
    let chosen = Chosen::find(flux, &task.agent, true)?;
    Ok(chosen.command(flux, task, description))
}

/// Returns what a task is about: as it was started with, else what git has for its branch.
///
/// # Errors
/// When its record cannot be read.
pub(crate) fn description(flux: &Flux, task: &Task, oid: &ObjectId) -> Result<Vec<u8>> {
    let description = store::prompt(&flux.repo, oid)?;
    if !description.is_empty() {
        return Ok(description);
    }
    let settings = &flux.settings;
    let of_branch = settings.of_branch(&task.branch, &table::DESCRIPTION);
    Ok(of_branch.map(|text| text.trim().into()).unwrap_or_default())
}

/// Returns whether an agent that does not run could be started again.
///
/// # Errors
/// When the record cannot be read.
pub(crate) fn can_resume(flux: &Flux, task: &Task, oid: &ObjectId) -> Result<bool> {
    let description = description(flux, task, oid)?;
    Ok(!description.is_empty() || going_on(flux, task, &description).is_some())
}

/// Fails unless the task is whole, and its agent does not run.
///
/// # Errors
/// Also when that is not known.
pub(crate) fn ensure_stopped(flux: &Flux, task: &Task) -> Result<()> {
    let is_running = is_running(flux, task)?;
    ensure_whole(flux, task)?;
    if !is_running {
        return Ok(());
    }
    let id = &task.id;
    let failure = Failure::new(format!("'{id}' is running"));
    Err(failure.hint(format!("git flux attach {id}")).into())
}

/// Starts the agent of a task again: in its pane if that is there, else in `layout`, or where it is configured.
///
/// # Errors
/// When it runs, or a step fails; then the task is as it was.
pub(crate) fn resume(
    flux: &Flux,
    id: &TaskId,
    agent: AgentCommand,
    layout: Option<Layout>,
) -> Result<Started> {
    let lock = flux.lock_task(id)?;
    // A question may have been open for long.
    let store = Store::load(&flux.repo, &flux.settings)?;
    let stored = store.find(&flux.repo, id)?;
    let task = stored.readable()?;
    ensure_stopped(flux, task)?;
    let place = match own_pane(task)? {
        Some(place) => place,
        None => or_restored(flux, task, place(flux, id, layout))?,
    };
    let pane = NewPane {
        place,
        agent: Some(agent),
        // The worktree is as ready as it was.
        ready: wrapped(flux)?,
        init: None,
    };
    under_lock(flux, &mut Start::again(stored, pane)?, lock)?.context(NO_PANE)
}

const NO_PANE: &str = "the pane was not opened";

/// Fails where no shell could be opened for a task.
///
/// # Errors
/// When it runs on another machine, or its worktree is gone.
pub(crate) fn ensure_can_reopen(flux: &Flux, task: &Task) -> Result<()> {
    ensure_not_elsewhere(flux, task)?;
    if task.worktree.exists() {
        return Ok(());
    }
    ensure_whole(flux, task)
}

/// Opens a session with a shell in the worktree of a task, unless its pane is there by now. How its
/// agent ended stays known: a shell is no agent.
///
/// # Errors
/// When it cannot be opened; then the task is as it was.
pub(crate) fn reopen(flux: &Flux, id: &TaskId) -> Result<Target> {
    let lock = flux.lock_task(id)?;
    // A question may have been open for long.
    let store = Store::load(&flux.repo, &flux.settings)?;
    let stored = store.find(&flux.repo, id)?;
    let task = stored.readable()?;
    if let Some(target) = current(task)? {
        return Ok(target);
    }
    let name = session_name(&flux.repo.project(), id);
    let chosen = target::choose(Wanted::Preferred(Layout::Session), name);
    let pane = NewPane::shell(or_restored(flux, task, chosen)?);
    let started = under_lock(flux, &mut Start::again(stored, pane)?, lock)?;
    Ok(started.context(NO_PANE)?.opened.target)
}

/// Returns the pane of a task, if it is there with nothing but a shell in it. The one that we
/// stand in is not taken away from under our feet.
fn own_pane(task: &Task) -> Result<Option<Place>> {
    let Some(target) = current(task)?.filter(|target| !pane::is_ours(target)) else {
        return Ok(None);
    };
    ensure_shell_alone(task, &target)?;
    Ok(Some(Place::Again(target)))
}

/// Returns the place that was `chosen`. Where that is refused, the session that the task had is taken
/// over if it was made anew, as tmux-resurrect does: it has its name, and one pane with a shell in the
/// worktree.
///
/// # Errors
/// Why `chosen` was refused, or something else runs in that session.
fn or_restored(flux: &Flux, task: &Task, chosen: Result<Place>) -> Result<Place> {
    let refused = match chosen {
        Ok(place) => return Ok(place),
        Err(error) => error,
    };
    let name = session_name(&flux.repo.project(), &task.id);
    let target = match pane::restored_shell(&name, &task.worktree)? {
        Some(target) if !pane::is_ours(&target) => target,
        _ => return Err(refused),
    };
    ensure_shell_alone(task, &target)?;
    Ok(Place::Again(target))
}

/// Fails unless the shell in the pane is in front, has put nothing aside (^Z, `&`), which would go with
/// it, and nothing that was begun there stands in the worktree.
fn ensure_shell_alone(task: &Task, target: &Target) -> Result<()> {
    let (id, shell) = (&task.id, target.pane_pid);
    let attach = format!("git flux attach {id}");
    let in_front = process::in_front(shell).with_context(|| {
        Failure::new(format!("it is not known what runs in the pane of '{id}'"))
            .hint(format!("look, and leave its shell: {attach}"))
    })?;
    if let Some(pid) = in_front {
        let what = format!("a program runs in the pane of '{id}' (process {pid})");
        return Err(Failure::new(what).hint(attach).into());
    }
    // Those of other terminals stay as they are.
    let elsewhere = process::standing_in(&task.worktree, Some(shell), false)?;
    let mut inside = process::standing_in(&task.worktree, Some(shell), true)?;
    inside.retain(|one| !elsewhere.contains(one));
    let aside = process::put_aside(shell, None)?;
    let Some(job) = aside.iter().chain(&inside).next() else {
        return Ok(());
    };
    let (name, pid) = (sanitize::line(&job.name), job.pid);
    let what =
        format!("the shell in the pane of '{id}' has put a program aside: {name} (process {pid})");
    Err(Failure::new(what).hint(attach).into())
}
