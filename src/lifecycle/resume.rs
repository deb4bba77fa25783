//! The agent of a task that is there, started again; and a task made of a worktree that is.

use anyhow::{Context as _, Error, Result};

use super::broken::ensure_whole;
use super::disk::disk_full;
use super::elsewhere::ensure_here;
use super::launch::{launch, none_runs, not_executed, taken_up};
use super::observe::Panes;
use super::start::{Started, Work, exists};
use super::{Flux, Worktree, descend, find_target, hang_up, other_machine, ready};
use crate::agent::launch::Running;
use crate::agent::process;
use crate::agent::run::RunDir;
use crate::failure::Failure;
use crate::git::{Lock, Transaction};
use crate::interrupt;
use crate::sanitize;
use crate::settings::table;
use crate::store::{self, Store};
use crate::task::{Exit, Phase, Target, Task, TaskId};
use crate::tmux::target::{Opened, Place, session_name};
use crate::tmux::{pane, restored};

/// What makes the agent of a task go on where it was; none if it is not there, or cannot.
pub(crate) fn going_on(flux: &Flux, task: &Task, description: &[u8]) -> Option<Work> {
    let (agent, program) = flux.settings.find_agent(&task.agent).ok()?;
    let agent = agent.resumed()?;
    Some(Work::Agent {
        agent,
        program,
        prompt: description.to_vec(),
    })
}

/// What a task is about: as it was started with, else what git has for its branch.
///
/// # Errors
/// When its record cannot be read.
pub(crate) fn description(flux: &Flux, task: &Task, oid: &str) -> Result<Vec<u8>> {
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
pub(crate) fn can_resume(flux: &Flux, task: &Task, oid: &str) -> Result<bool> {
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

/// # Errors
/// When the agent of a launcher that is gone is still alive.
pub(super) fn ensure_no_orphan(task: &Task, run: &RunDir) -> Result<()> {
    let id = &task.id;
    let Some(running) = run.running()? else {
        return Ok(());
    };
    let orphan = running.orphan(&task.worktree).with_context(|| {
        Failure::new(format!(
            "the launcher of '{id}' is gone, but its agent may be alive"
        ))
        .hint(run.way_out("running"))
    })?;
    match orphan {
        Some(orphan) => Err(Failure::new(format!(
            "the launcher of '{id}' is gone, but its agent is still alive (process {orphan})"
        ))
        .hint(format!("kill {orphan}"))
        .into()),
        None => Ok(()),
    }
}

/// Starts the agent of a task again: in its pane if that is there, else in the place
/// that `choose` finds.
///
/// # Errors
/// When it runs, or a step fails; then the task is as it was.
pub(crate) fn resume(
    flux: &Flux,
    id: &TaskId,
    work: &Work,
    choose: impl FnOnce() -> Result<Place>,
) -> Result<Started> {
    let run = flux.run_dir(id);
    let lock = flux.lock_task(id)?;
    // A question may have been open for long.
    let store = Store::load(&flux.repo, &flux.settings)?;
    let stored = store.find(&flux.repo, id.as_str())?;
    let task = stored.readable()?;
    ensure_stopped(flux, task)?;
    let place = match own_pane(task)? {
        Some(place) => place,
        None => or_restored(flux, task, choose())?,
    };
    let before = (run.running()?, run.exit()?);
    let mut opened = None;
    // The worktree is as ready as it was.
    let ready = ready::wrapped(flux)?;
    let begun = interrupt::check()
        .and_then(|()| run.begin_again())
        .and_then(|()| {
            launch(
                flux,
                task,
                work,
                (&ready, None),
                &place,
                (&run, &lock),
                &mut opened,
            )
        });
    if let Err(cause) = begun {
        return Err(back(flux, id, &before, opened.as_ref(), cause));
    }
    let (opened, since) = taken_up(flux, task, &run, opened)?;
    let task = task.running_in(Some(opened.target.clone()));
    let none = Transaction::default();
    store::advance(&flux.repo, &stored.oid, &task, none, &lock).map_err(|error| {
        let full = disk_full(&error, &[flux.repo.common_dir()]);
        let failure = Failure::new(format!("'{id}' runs, but its record is not complete"));
        let failure = failure.hint(format!("git flux attach {id}"));
        error.context(full.into_iter().fold(failure, Failure::hint))
    })?;
    drop(lock);
    let exit = not_executed(&run)?;
    Ok(Started {
        task,
        opened,
        since,
        exit,
    })
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
    let target = match restored::shell(&name, &task.worktree)? {
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

/// The way back after `cause`, and the error to show for it.
fn back(
    flux: &Flux,
    id: &TaskId,
    (running, exit): &(Option<Running>, Option<Exit>),
    opened: Option<&Opened>,
    cause: Error,
) -> Error {
    let interrupted = interrupt::requested();
    interrupt::clear();
    let full = disk_full(&cause, &[flux.repo.common_dir()]);
    let run = &flux.run_dir(id);
    let undo = || {
        run.withdraw()?;
        hang_up(run, opened.map(|opened| &opened.target))?;
        run.begin_again()?;
        if let Some(running) = running {
            run.write_running(running)?;
        }
        exit.as_ref().map_or(Ok(()), |exit| run.write_exit(exit))
    };
    let failure = match undo() {
        Ok(()) if interrupted => {
            return Failure::declined(format!("interrupted; '{id}' is not running")).into();
        }
        Ok(()) => format!("could not resume '{id}'"),
        Err(undo) => format!("could not resume '{id}', nor undo it: {undo:#}"),
    };
    cause.context(full.into_iter().fold(Failure::new(failure), Failure::hint))
}

/// Notes a pane that a killed command has opened for a task. The lock is the task's.
///
/// # Errors
/// When the record cannot be changed.
pub(super) fn note_pane(flux: &Flux, task: &Task, oid: &str, lock: &Lock) -> Result<()> {
    if is_unnoted(flux, task)
        && let Some(target) = find_target(flux, task)?
    {
        let task = task.running_in(Some(target));
        store::advance(&flux.repo, oid, &task, Transaction::default(), lock)?;
    }
    Ok(())
}

/// Whether a launcher runs for a task that is not the one its record names.
pub(super) fn is_unnoted(flux: &Flux, task: &Task) -> bool {
    let noted = task.target.as_ref().map(|target| target.pane_pid);
    let run = flux.run_dir(&task.id);
    let running = run.running().ok().flatten();
    let launcher = running.map(|running| running.launcher);
    // Where the system proves nothing, its pane may.
    launcher.is_some_and(|launcher| {
        noted != Some(launcher)
            && run
                .is_launcher(launcher)
                .unwrap_or_else(|| run.is_alive().unwrap_or_default())
    })
}

/// Makes a task of a worktree that is there, on the branch it has. Nothing is started.
///
/// # Errors
/// When the id is taken or a step fails: then there is no task, and nothing has changed.
pub(crate) fn adopt(flux: &Flux, task: &Task, description: &[u8]) -> Result<()> {
    let run = flux.run_dir(&task.id);
    let lock = flux.lock_task(&task.id)?;
    let created = store::create(&flux.repo, task, description, task.start(), &lock);
    let oid = match created {
        Ok(oid) => oid,
        Err(error) => {
            let store = Store::load(&flux.repo, &flux.settings)?;
            if store.tasks.iter().any(|stored| stored.id == task.id) {
                return Err(exists(task.id.as_str()).into());
            }
            run.remove()?;
            return Err(error.context(Failure::new("nothing was changed")));
        }
    };
    let up = || {
        {
            let _guard = flux.lock_repo()?;
            store::write_config(&flux.repo, task, &[], &lock)?;
        }
        interrupt::check()?;
        run.write_exit(&none_runs())?;
        let whole = task.running_in(None);
        store::advance(&flux.repo, &oid, &whole, Transaction::default(), &lock)
    };
    up().map(drop).map_err(|cause| {
        interrupt::clear();
        let tip = Some(task.start());
        match descend(flux, task, &oid, tip, &Worktree::Foreign, &lock) {
            Ok(_) => cause.context(Failure::new("nothing was changed")),
            Err(undo) => cause.context(Failure::new(format!("nor could it be undone: {undo:#}"))),
        }
    })
}
