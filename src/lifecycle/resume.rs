//! The agent of a task that is there, started again.

use anyhow::{Context as _, Result};

use super::broken::ensure_whole;
use super::elsewhere::ensure_here;
use super::observe::Panes;
use super::other_machine;
use super::pane::ensure_no_orphan;
use super::start::plan::{AgentRun, NewPane, Start, Started, Work, place};
use super::start::{prompt, setup, under_lock};
use crate::agent::Prompt;
use crate::context::Flux;
use crate::failure::Failure;
use crate::git::ObjectId;
use crate::sanitize;
use crate::settings::table;
use crate::store::{self, Store};
use crate::system::process;
use crate::task::{Layout, Phase, Target, Task, TaskId};
use crate::tmux::pane;
use crate::tmux::target::{Place, session_name};
use crate::ui::word;

/// What makes the agent of a task go on where it was; none if it is not there, or cannot.
pub(crate) fn going_on(flux: &Flux, task: &Task, description: &[u8]) -> Option<AgentRun> {
    let (agent, program) = flux.settings.find_agent(&task.agent).ok()?;
    Some(AgentRun {
        agent: agent.resumed()?,
        program,
        prompt: description.to_vec(),
    })
}

/// What makes the agent of a task begin with its description once more.
///
/// # Errors
/// When the task has none, or its agent is not there.
pub(crate) fn from_the_beginning(flux: &Flux, task: &Task, description: &[u8]) -> Result<AgentRun> {
    if description.is_empty() {
        let id = &task.id;
        return Err(Failure::new(format!(
            "'{id}' has no description that its agent could be given"
        ))
        .hint(format!(
            "git config {} '<what is to be done>'",
            word(&table::DESCRIPTION.named(&task.branch))
        ))
        .hint(format!("git flux attach {id}"))
        .into());
    }
    let (agent, program) = flux.settings.find_agent(&task.agent)?;
    let template = match agent.prompt {
        Prompt::Shown => None,
        _ => Some(prompt::template(flux)?),
    };
    Ok(AgentRun {
        prompt: prompt::filled(flux, task, description, template.as_deref()),
        agent,
        program,
    })
}

/// What a task is about: as it was started with, else what git has for its branch.
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

/// Whether an agent that does not run could be started again.
///
/// # Errors
/// When the record cannot be read.
pub(crate) fn can_resume(flux: &Flux, task: &Task, oid: &ObjectId) -> Result<bool> {
    let description = description(flux, task, oid)?;
    Ok(!description.is_empty() || going_on(flux, task, &description).is_some())
}

/// Whether nothing runs for a task that could be started again.
///
/// # Errors
/// When its agent runs, or it is not whole.
pub(crate) fn ensure_stopped(flux: &Flux, task: &Task) -> Result<()> {
    ensure_here(flux, task)?;
    let id = &task.id;
    let run = flux.run_dir(id);
    if task.phase != Phase::Active {
        return Err(Failure::new(format!("'{id}' is {}", task.phase.into_str()))
            .hint(format!("git flux status {id}"))
            .into());
    }
    ensure_whole(flux, task)?;
    run.ensure_known()?;
    if run.exit()?.is_some() {
        return Ok(());
    }
    other_machine::ensure_not_elsewhere(flux, task)?;
    if run.is_alive()? {
        return Err(Failure::new(format!("'{id}' is running"))
            .hint(format!("git flux attach {id}"))
            .into());
    }
    ensure_no_orphan(task, &run)
}

/// Starts the agent of a task again: in its pane if that is there, else in `layout`, or where it is configured.
///
/// # Errors
/// When it runs, or a step fails; then the task is as it was.
pub(crate) fn resume(
    flux: &Flux,
    id: &TaskId,
    agent: AgentRun,
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
        work: Work::Agent(agent),
        // The worktree is as ready as it was.
        ready: setup::wrapped(flux)?,
        init: None,
    };
    let mut start = Start::again(stored, pane)?;
    under_lock(flux, &mut start, lock)?.started()
}

/// The pane of a task, if it is there with nothing but a shell in it. The one that we
/// stand in is not taken away from under our feet.
fn own_pane(task: &Task) -> Result<Option<Place>> {
    let Some(target) = &task.target else {
        return Ok(None);
    };
    if !Panes::of([task].into_iter())?.has(task) || pane::is_ours(target) {
        return Ok(None);
    }
    ensure_shell_alone(task, target)?;
    Ok(Some(Place::Again(target.clone())))
}

/// Fails unless the shell in the pane is in front, and nothing that was begun there is left.
fn ensure_shell_alone(task: &Task, target: &Target) -> Result<()> {
    let id = &task.id;
    let in_front = process::in_front(target.pane_pid).with_context(|| {
        Failure::new(format!("it is not known what runs in the pane of '{id}'"))
            .hint(format!("look, and leave its shell: git flux attach {id}"))
    })?;
    match in_front {
        Some(pid) => Err(Failure::new(format!(
            "a program runs in the pane of '{id}' (process {pid})"
        ))
        .hint(format!("git flux attach {id}"))
        .into()),
        None => ensure_nothing_aside(task, target),
    }
}

/// Returns the place that was `chosen`. Where that is refused, the session that the task had is taken
/// over if it was made anew, as tmux-resurrect does: it has its name, and one pane with a shell in the
/// worktree.
///
/// # Errors
/// Why `chosen` was refused, or something else runs in that session.
pub(crate) fn or_restored(flux: &Flux, task: &Task, chosen: Result<Place>) -> Result<Place> {
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

/// Whether the shell in the pane of a task has put nothing aside (^Z, `&`), which would go with
/// it, and nothing that was begun there stands in the worktree.
fn ensure_nothing_aside(task: &Task, target: &Target) -> Result<()> {
    let shell = target.pane_pid;
    // Those of other terminals stay as they are.
    let elsewhere = process::standing_in(&task.worktree, Some(shell), false)?;
    let all = process::standing_in(&task.worktree, Some(shell), true)?;
    let mut inside = all.into_iter().filter(|one| !elsewhere.contains(one));
    let aside = process::put_aside(shell, None)?.into_iter().next();
    match aside.or_else(|| inside.next()) {
        Some(job) => Err(Failure::new(format!(
            "the shell in the pane of '{}' has put a program aside: {} (process {})",
            task.id,
            sanitize::line(&job.name),
            job.pid
        ))
        .hint(format!("git flux attach {}", task.id))
        .into()),
        None => Ok(()),
    }
}
