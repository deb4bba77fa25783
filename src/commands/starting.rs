//! Shared by the commands that start agents: the options of the layout, the approval of scripts, and the
//! report, also of agents that end at once.

use std::fmt::Display;
use std::slice;
use std::time::Duration;

use anyhow::{Error, Result};
use clap::Args;

use crate::context::Flux;
use crate::failure::Failure;
use crate::git::foreground::page;
use crate::interrupt;
use crate::lifecycle::start::init_scripts::{INIT_DIR, InitScripts};
use crate::lifecycle::start::plan::{Start, Started};
use crate::lifecycle::start::start_watch;
use crate::task::Layout;

/// The options of the layout.
#[derive(Debug, Default, Args)]
pub(super) struct Layouts {
    /// run in a new pane of this window
    #[arg(long, group = "layout")]
    pane: bool,
    /// run in a new window of this session
    #[arg(long, group = "layout")]
    window: bool,
    /// run in a new session
    #[arg(long, group = "layout")]
    session: bool,
}

impl Layouts {
    pub(super) fn layout(&self) -> Option<Layout> {
        match (self.pane, self.window, self.session) {
            (true, ..) => Some(Layout::Pane),
            (_, true, _) => Some(Layout::Window),
            (.., true) => Some(Layout::Session),
            _ => None,
        }
    }
}

/// Adds the setup scripts of the repository (`.worktree-init`) to the tasks that will run them.
/// Asks the user to approve scripts that are new; without approval, or without a terminal, reports
/// that they are skipped.
pub(super) fn add_scripts(flux: &Flux, starts: &mut [Start]) -> Result<()> {
    let Some(commit) = starts.iter().find_map(Start::setup_commit) else {
        return Ok(());
    };
    let Some(init) = InitScripts::find(flux, commit)? else {
        return Ok(());
    };
    if !init.is_trusted(flux) && !approve(flux, &init)? {
        return Ok(());
    }
    for start in starts {
        let needs_setup = start.setup_commit().is_some();
        if let Some(pane) = start.pane.as_mut().filter(|_| needs_setup) {
            pane.init = Some(init.clone());
        }
    }
    Ok(())
}

fn approve(flux: &Flux, init: &InitScripts) -> Result<bool> {
    let ui = &flux.ui;
    if !ui.can_ask() {
        ui.warning(format_args!(
            "skipped the scripts in '{INIT_DIR}': run once on a terminal to approve them"
        ));
        let tree = &init.tree;
        ui.hint(format_args!("git ls-tree -r {tree}"));
        ui.hint(format_args!("git config --add flux.trust {tree}"));
        return Ok(false);
    }
    let text = init.text();
    if ui.needs_pager(&text) {
        page(flux.repo.home(), &text)?;
    } else {
        text.lines().for_each(|line| ui.quote(line));
    }
    interrupt::check()?;
    let question = format!("Run the scripts in '{INIT_DIR}' in new worktrees, until they change?");
    if !ui.confirm(question, false)? {
        ui.status("Skipped the scripts.");
        return Ok(false);
    }
    init.trust(flux)?;
    Ok(true)
}

/// The time after the start in which an exit is reported: a wrong option or a missing login shows
/// there.
const EARLY_EXIT: Duration = Duration::from_millis(500);

/// The number of lines shown of a failed agent's pane.
const FAILURE_LINES: usize = 15;

/// Fails if the program of a started agent could not be executed, after printing the last 15 lines
/// of its pane.
pub(super) fn ensure_executed(flux: &Flux, started: &Started) -> Result<()> {
    match &started.exit {
        None => Ok(()),
        Some(exit) => Err(agent_failure(flux, started, exit)),
    }
}

/// Prints the place of a started agent, with `--quiet` only the task's id. Fails if its program
/// could not be executed, as [`ensure_executed`] does.
pub(super) fn report(flux: &Flux, started: &Started, verb: impl Display) -> Result<()> {
    ensure_executed(flux, started)?;
    let (task, target, ui) = (&started.task, &started.opened.target, &flux.ui);
    let id = &task.id;
    if ui.quiet {
        return ui.data(id);
    }
    let place = match target.kind {
        Layout::Pane => format!("pane {}", target.pane),
        Layout::Window => format!("window {}", target.window),
        Layout::Session => format!("session '{}'", target.session),
    };
    ui.status(format_args!("{verb} '{id}' ({}): {place}", task.agent));
    ui.hint(format_args!("git flux attach {id}"));
    Ok(())
}

/// Waits up to half a second for started agents to exit. Returns an error for each that failed, and
/// reports the others that exited. Does not wait with `--quiet`, or if standard error is no
/// terminal: then returns no error.
pub(super) fn wait_for_early_failures(flux: &Flux, started: &[Started]) -> Result<Vec<Error>> {
    if !flux.ui.shows_progress() {
        return Ok(Vec::new());
    }
    let mut errors = Vec::new();
    for (one, exit) in start_watch::wait_for_early_exits(flux, started, EARLY_EXIT)? {
        let id = &one.task.id;
        if exit.is_success() {
            flux.ui
                .status(format_args!("The agent of '{id}' ended at once."));
        } else {
            errors.push(agent_failure(flux, one, format_args!("{exit} at once")));
        }
    }
    Ok(errors)
}

/// Waits up to half a second for a started agent to exit, and fails if it failed. Does not wait
/// with `--quiet`, or if standard error is no terminal.
pub(super) fn ensure_no_early_failure(flux: &Flux, started: &Started) -> Result<()> {
    let first = wait_for_early_failures(flux, slice::from_ref(started))?
        .into_iter()
        .next();
    first.map_or(Ok(()), Err)
}

fn agent_failure(flux: &Flux, started: &Started, how: impl Display) -> Error {
    let id = &started.task.id;
    // The pane may be closed.
    let lines = start_watch::last_lines(&started.opened.target, id, FAILURE_LINES);
    for line in lines.unwrap_or_default() {
        flux.ui.quote(line);
    }
    Failure::new(format!("the agent of '{id}' {how}"))
        .hint(format!("to look at its pane: git flux attach {id}"))
        .hint(format!("to start it again: git flux resume {id} --restart"))
        .hint(format!("to remove the task: git flux cleanup {id}"))
        .into()
}
