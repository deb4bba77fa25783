//! Agents on another machine or in another PID namespace, such as a container's, which may still run.

use anyhow::Result;

use crate::context::Flux;
use crate::failure::Failure;
use crate::run::launcher::Launcher;
use crate::task::{Task, TaskId};
use crate::ui::words::capitalize;

/// Returns where the launcher of a task runs: here, on another machine or in another PID namespace,
/// unknown, or gone. Always `Gone` once the agent's exit is recorded.
pub(crate) fn find_launcher(flux: &Flux, task: &Task) -> Result<Launcher> {
    let run = flux.run_dir(&task.id);
    match run.exit()? {
        Some(_) => Ok(Launcher::Gone),
        None => run.locate_launcher(task.target.as_ref()),
    }
}

/// Fails if the launcher of a task runs on another machine or in another PID namespace, such as a
/// container's. Succeeds if that is unknown: see [`find_doubt`].
pub(crate) fn ensure_not_elsewhere(flux: &Flux, task: &Task) -> Result<()> {
    let Launcher::Elsewhere(machine) = find_launcher(flux, task)? else {
        return Ok(());
    };
    let id = &task.id;
    let place = machine.map(|machine| machine.location());
    let there = place.as_deref().unwrap_or("there");
    let hint = format!("to stop it, {there}: git flux stop {id}");
    let unseen = "its launcher is not visible here";
    let place = place.as_deref().unwrap_or(unseen);
    let failure = Failure::new(format!("the agent of '{id}' runs elsewhere: {place}"));
    Err(failure.hint(hint).into())
}

/// Returns a message if the agent of a task was started on another machine, and may still run
/// there. `None` if it is known whether the agent runs, even if it does.
pub(crate) fn find_doubt(flux: &Flux, task: &Task) -> Result<Option<String>> {
    let Launcher::Unknown(machine) = find_launcher(flux, task)? else {
        return Ok(None);
    };
    let (id, place) = (&task.id, machine.location());
    Ok(Some(format!(
        "the agent of '{id}' was started {place}, and may still run"
    )))
}

/// Asks the user whether an agent has ended. The agent may run on another machine, as `doubt` says.
/// Fails if the user says no, or without a terminal.
pub(crate) fn confirm_ended(flux: &Flux, id: &TaskId, doubt: &str) -> Result<()> {
    if flux.ui.can_ask() {
        let question = format!("{}. Has the agent ended?", capitalize(doubt));
        return flux.ui.ensure_agreed(question, false);
    }
    Err(gone_required(id, doubt).into())
}

/// Returns the error `doubt`, with the hint `git flux resume <id> --gone`.
pub(super) fn gone_required(id: &TaskId, doubt: &str) -> Failure {
    let hint = format!("if the agent has ended: git flux resume {id} --gone");
    Failure::new(doubt).hint(hint)
}
