//! Tasks whose agent runs, or may run, where it cannot be seen: on another machine, or in another
//! PID namespace, as a container has it. What is not seen is not gone.

use anyhow::Result;

use crate::context::Flux;
use crate::failure::Failure;
use crate::run::launcher::Launcher;
use crate::task::Task;
use crate::ui::Ui;
use crate::ui::words::capital;

/// Returns where the launcher of a task is; gone where it has noted how its agent ended.
///
/// # Errors
/// When that is not known.
pub(crate) fn launcher(flux: &Flux, task: &Task) -> Result<Launcher> {
    let run = flux.run_dir(&task.id);
    match run.exit()? {
        Some(_) => Ok(Launcher::Gone),
        None => run.launcher(task.target.as_ref()),
    }
}

/// Fails if the agent of a task runs where it cannot be seen. Nothing agrees to more.
///
/// # Errors
/// So, or when that is not known.
pub(crate) fn ensure_not_elsewhere(flux: &Flux, task: &Task) -> Result<()> {
    let Launcher::Elsewhere(machine) = launcher(flux, task)? else {
        return Ok(());
    };
    let id = &task.id;
    let place = machine.map(|machine| machine.location());
    let there = place.as_deref().unwrap_or("there");
    let hint = format!("to stop it, {there}: git flux stop {id}");
    let unseen = "its launcher cannot be seen from here";
    let place = place.as_deref().unwrap_or(unseen);
    let failure = Failure::new(format!("the agent of '{id}' runs elsewhere: {place}"));
    Err(failure.hint(hint).into())
}

/// Returns why it is not known whether the agent of a task has ended, if it was started on another machine.
///
/// # Errors
/// When not even that is known.
pub(crate) fn doubt(flux: &Flux, task: &Task) -> Result<Option<String>> {
    let Launcher::Unknown(machine) = launcher(flux, task)? else {
        return Ok(None);
    };
    let (id, place) = (&task.id, machine.location());
    Ok(Some(format!(
        "the agent of '{id}' was started {place}, and may run there"
    )))
}

/// Asks whether the agent that there is a `doubt` about has ended; `gone` says that it has.
///
/// # Errors
/// When that is declined, or nobody can be asked: `command` then is what needs `--gone`.
pub(crate) fn ensure_gone(ui: &Ui, doubt: Option<&str>, gone: bool, command: &str) -> Result<()> {
    let Some(doubt) = doubt.filter(|_| !gone) else {
        return Ok(());
    };
    if !ui.can_ask() {
        return Err(refusal(doubt, command).into());
    }
    if ui.confirm(format_args!("{}. Has it ended?", capital(doubt)), false)? {
        return Ok(());
    }
    Err(Failure::declined("nothing was changed").into())
}

/// The refusal of a `command` that needs `--gone`, for a `doubt` whether an agent has ended.
pub(crate) fn refusal(doubt: &str, command: &str) -> Failure {
    Failure::new(doubt).hint(format!("if it has ended: {command} --gone"))
}
