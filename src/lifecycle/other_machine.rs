//! Agents on another machine or in another PID namespace, such as a container's, which may still run.

use anyhow::Result;

use crate::context::Flux;
use crate::failure::Failure;
use crate::run::launcher::Launcher;
use crate::task::Task;
use crate::ui::words::capitalize;

/// Finds the launcher of a task. It is gone if the agent's exit was recorded.
pub(crate) fn find_launcher(flux: &Flux, task: &Task) -> Result<Launcher> {
    let run = flux.run_dir(&task.id);
    match run.exit()? {
        Some(_) => Ok(Launcher::Gone),
        None => run.launcher(task.target.as_ref()),
    }
}

/// Fails if the agent of a task runs on another machine, or this is not known.
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

/// Returns a message if the agent was started on another machine, and may still run.
pub(crate) fn find_doubt(flux: &Flux, task: &Task) -> Result<Option<String>> {
    let Launcher::Unknown(machine) = find_launcher(flux, task)? else {
        return Ok(None);
    };
    let (id, place) = (&task.id, machine.location());
    Ok(Some(format!(
        "the agent of '{id}' was started {place}, and may still run"
    )))
}

/// Asks whether the agent has ended before it is resumed, if there is a doubt. Fails if the user
/// declines, or there is no terminal.
pub(crate) fn confirm_ended(flux: &Flux, task: &Task) -> Result<()> {
    let Some(doubt) = find_doubt(flux, task)? else {
        return Ok(());
    };
    if flux.ui.can_ask() {
        let question = format!("{}. Has it ended?", capitalize(&doubt));
        return flux.ui.ensure_agreed(question, false);
    }
    let hint = format!("if it has ended: git flux resume {} --gone", task.id);
    Err(Failure::new(doubt).hint(hint).into())
}
