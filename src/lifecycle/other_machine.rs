//! Agents on another machine or in another PID namespace, such as a container's, which may still run.

use anyhow::Result;

use crate::context::Flux;
use crate::failure::Failure;
use crate::run::launcher::Launcher;
use crate::task::Task;
use crate::ui::Ui;
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
/// container's. Succeeds if it only may run there: see [`find_doubt`].
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

/// Returns a message if the agent of a task was started on another machine, and may still run.
/// `None` if that is known, even if it runs.
pub(crate) fn find_doubt(flux: &Flux, task: &Task) -> Result<Option<String>> {
    let Launcher::Unknown(machine) = find_launcher(flux, task)? else {
        return Ok(None);
    };
    let (id, place) = (&task.id, machine.location());
    Ok(Some(format!(
        "the agent of '{id}' was started {place}, and may still run"
    )))
}

/// Asks the user whether the agent has ended, if `doubt` is a message and `gone` (`--gone`) is
/// false; else succeeds at once. Fails if the user says no, or without a terminal: then
/// `<command> --gone` is the hint.
pub(crate) fn confirm_ended(ui: &Ui, doubt: Option<&str>, gone: bool, command: &str) -> Result<()> {
    let Some(doubt) = doubt.filter(|_| !gone) else {
        return Ok(());
    };
    if !ui.can_ask() {
        return Err(gone_required(doubt, command).into());
    }
    if ui.confirm(
        format_args!("{}. Has the agent ended?", capitalize(doubt)),
        false,
    )? {
        return Ok(());
    }
    Err(Failure::declined("nothing was changed").into())
}

/// Returns the error `doubt` with the hint `<command> --gone`, for a command that must be told that
/// the agent has ended.
pub(crate) fn gone_required(doubt: &str, command: &str) -> Failure {
    Failure::new(doubt).hint(format!("if the agent has ended: {command} --gone"))
}
