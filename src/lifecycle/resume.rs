//! Starts the agent of an existing task again, or opens a shell if its pane is gone.

use anyhow::{Context as _, Result};

use super::damage::ensure_intact;
use super::other_machine::{ensure_not_elsewhere, find_doubt, gone_required};
use super::pane::find_pane;
use super::start::agent_launch::{ChosenAgent, load_wrapper};
use super::start::plan::{NewPane, Start, Started, choose_place};
use super::start::start_locked;
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
use crate::tmux::placement::{self, LayoutRequest, Placement, session_name};
use crate::ui::word;

/// Returns the command that continues the last session of the task's agent, without checking that
/// there is one. `None` if the agent is not installed, or has no option to continue. Runs nothing.
pub(crate) fn continue_command(flux: &Flux, task: &Task, prompt: &[u8]) -> Option<AgentCommand> {
    let (agent, program) = flux.settings.find_agent(&task.agent).ok()?;
    Some(AgentCommand {
        agent: agent.to_resume()?,
        program,
        prompt: prompt.to_vec(),
    })
}

/// Returns the command that starts the task's agent with `description` in the prompt template.
/// Fails if `description` is empty, the agent is not installed, or the template cannot be read.
/// Runs nothing.
pub(crate) fn restart_command(
    flux: &Flux,
    task: &Task,
    description: &[u8],
) -> Result<AgentCommand> {
    if description.is_empty() {
        let (id, key) = (
            &task.id,
            word(&table::DESCRIPTION.documented_key(&task.branch)),
        );
        let what = format!("'{id}' has no description for its agent");
        let set = format!("to describe the task: git config {key} '<description>'");
        let attach = format!("or start a program yourself in its worktree: git flux attach {id}");
        return Err(Failure::new(what).hint(set).hint(attach).into());
    }
    let chosen = ChosenAgent::find(flux, &task.agent, true)?;
    Ok(chosen.command(flux, task, description))
}

/// Reads the description of a task: from its record `oid` or, if that is empty, from
/// `branch.<name>.description` in git config. Empty if neither has one.
pub(crate) fn read_prompt(flux: &Flux, task: &Task, oid: &ObjectId) -> Result<Vec<u8>> {
    let description = store::read_prompt(&flux.repo, oid)?;
    if !description.is_empty() {
        return Ok(description);
    }
    let settings = &flux.settings;
    let of_branch = settings.branch_value(&task.branch, &table::DESCRIPTION);
    Ok(of_branch.map(|text| text.trim().into()).unwrap_or_default())
}

/// Returns whether a stopped agent could be started again: it has an option to continue, or the
/// task has a description. With a description `true` even if the agent is not installed. Does not
/// check that the agent has stopped.
pub(crate) fn can_resume(flux: &Flux, task: &Task, oid: &ObjectId) -> Result<bool> {
    let description = read_prompt(flux, task, oid)?;
    Ok(!description.is_empty() || continue_command(flux, task, &description).is_some())
}

/// Fails if the agent of a task runs, here or on another machine, or if the task is starting, being
/// removed, in a copied repository or damaged. Succeeds if it is unknown whether the agent runs on
/// another machine. Stops nothing.
pub(crate) fn ensure_stopped(flux: &Flux, task: &Task) -> Result<()> {
    let is_running = is_running(flux, task)?;
    ensure_intact(flux, task)?;
    if !is_running {
        return Ok(());
    }
    let id = &task.id;
    let failure = Failure::new(format!("'{id}' is running"));
    Err(failure
        .hint(format!("to go to the task: git flux attach {id}"))
        .into())
}

/// Starts the agent of a task again: in its pane, or in a new pane if that is closed or is the
/// caller's own; the new one is in `layout` or the configured layout. Fails unless the pane's shell
/// is idle, or if [`find_doubt`] returns a message to which the user has not agreed: any other than
/// `agreed`.
pub(crate) fn resume(
    flux: &Flux,
    id: &TaskId,
    agent: AgentCommand,
    agreed: Option<&str>,
    layout: Option<Layout>,
) -> Result<Started> {
    let lock = flux.lock_task(id)?;
    // The store may have changed during a question.
    let store = Store::load(&flux.repo, &flux.settings)?;
    let stored = store.find(&flux.repo, id)?;
    let task = stored.readable()?;
    ensure_stopped(flux, task)?;
    let doubt = find_doubt(flux, task)?;
    if let Some(doubt) = doubt.filter(|doubt| agreed != Some(&**doubt)) {
        return Err(gone_required(id, &doubt).into());
    }
    let place = match reusable_pane(task)? {
        Some(place) => place,
        None => or_restored_session(flux, task, choose_place(flux, id, layout, None))?,
    };
    let pane = NewPane {
        place,
        agent: Some(agent),
        // Without the setup, which ran before.
        ready: load_wrapper(flux)?,
        init: None,
    };
    start_locked(flux, &mut Start::for_existing(stored, pane)?, lock)?.context(NO_PANE)
}

const NO_PANE: &str = "the pane was not opened";

/// Fails if the launcher of a task runs on another machine or in another PID namespace, or if the
/// task's worktree is missing. Succeeds if it is unknown whether the launcher runs there.
pub(crate) fn ensure_can_open_shell(flux: &Flux, task: &Task) -> Result<()> {
    ensure_not_elsewhere(flux, task)?;
    if task.worktree.exists() {
        return Ok(());
    }
    ensure_intact(flux, task)
}

/// Opens a tmux session with a shell in the worktree of a task, and returns its pane; if the task's
/// pane is open, returns that. The agent's exit status is kept. On failure the task is unchanged.
pub(crate) fn open_shell(flux: &Flux, id: &TaskId) -> Result<Target> {
    let lock = flux.lock_task(id)?;
    // The store may have changed during a question.
    let store = Store::load(&flux.repo, &flux.settings)?;
    let stored = store.find(&flux.repo, id)?;
    let task = stored.readable()?;
    if let Some(target) = find_pane(task)? {
        return Ok(target);
    }
    let name = session_name(&flux.repo.project(), id);
    let chosen = placement::choose(LayoutRequest::Preferred(Layout::Session), name, None);
    let pane = NewPane::shell(or_restored_session(flux, task, chosen)?);
    let started = start_locked(flux, &mut Start::for_existing(stored, pane)?, lock)?;
    Ok(started.context(NO_PANE)?.opened.target)
}

/// Returns the task's pane, to run the agent in it again. `None` if it is closed, or is the pane of
/// this command, which would be killed. Fails unless the pane's shell is idle.
fn reusable_pane(task: &Task) -> Result<Option<Placement>> {
    let Some(target) = find_pane(task)?.filter(|target| !pane::is_own(target)) else {
        return Ok(None);
    };
    ensure_shell_is_idle(task, &target)?;
    Ok(Some(Placement::Respawn(target)))
}

/// Returns `chosen` or, if that is an error, the task's session as tmux-resurrect restores it: with
/// its name, and one pane with an idle shell in the worktree. If there is none, returns `chosen`.
fn or_restored_session(flux: &Flux, task: &Task, chosen: Result<Placement>) -> Result<Placement> {
    let refused = match chosen {
        Ok(place) => return Ok(place),
        Err(error) => error,
    };
    let name = session_name(&flux.repo.project(), &task.id);
    let target = match pane::restored_shell(&name, &task.worktree)? {
        Some(target) if !pane::is_own(&target) => target,
        _ => return Err(refused),
    };
    ensure_shell_is_idle(task, &target)?;
    Ok(Placement::Respawn(target))
}

/// Fails if the pane's shell is not in the foreground, has suspended or background jobs, or has
/// started a process whose working directory is in the worktree. Fails also if the system cannot
/// tell.
fn ensure_shell_is_idle(task: &Task, target: &Target) -> Result<()> {
    let (id, shell) = (&task.id, target.pane_pid);
    let attach = format!("to end it yourself: git flux attach {id}");
    let in_front = process::foreground_group(shell).with_context(|| {
        Failure::new(format!("cannot tell what runs in the pane of '{id}'")).hint(&attach)
    })?;
    if let Some(pid) = in_front {
        let what = format!("a program runs in the pane of '{id}' (process {pid})");
        return Err(Failure::new(what).hint(attach).into());
    }
    // Processes of other terminals are not affected.
    let others = process::with_cwd_in(&task.worktree, Some(shell), false)?;
    let mut in_worktree = process::with_cwd_in(&task.worktree, Some(shell), true)?;
    in_worktree.retain(|process| !others.contains(process));
    let jobs = process::jobs_of(shell, None)?;
    let Some(job) = jobs.iter().chain(&in_worktree).next() else {
        return Ok(());
    };
    let (name, pid) = (sanitize::line(&job.name), job.pid);
    let what = format!("the pane of '{id}' has a background job: {name} (process {pid})");
    Err(Failure::new(what).hint(attach).into())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::lifecycle::start::world::{World, id, new};
    use crate::run::launch::{Machine, Running};

    #[test]
    fn resume_refuses_if_the_agent_was_started_on_another_machine_meanwhile() {
        let world = World::new();
        let (flux, run) = (&world.flux, world.flux.run_dir(&id()));
        let lock = flux.lock_task(&id()).unwrap();
        start_locked(flux, &mut world.start(new()), lock).unwrap();
        run.reset().unwrap();
        let machine = Machine {
            id: Some("another".to_owned()),
            host: "devbox".to_owned(),
            ..Machine::current()
        };
        let running = Running {
            launcher: i32::MAX,
            boot: Some("another".to_owned()),
            machine: Some(machine),
            worktree: None,
            agent: None,
            since: jiff::Timestamp::UNIX_EPOCH,
            wrapper_since: None,
            setup: Default::default(),
        };
        run.write_running(&running).unwrap();
        let agent = AgentCommand {
            agent: flux.settings.find_agent("shell").unwrap().0,
            program: PathBuf::from("sh"),
            prompt: Vec::new(),
        };
        let error = resume(flux, &id(), agent, None, None).err().unwrap();
        assert!(error.to_string().ends_with("may still run"), "{error}");
        assert!(run.running().unwrap().is_some());
    }
}
