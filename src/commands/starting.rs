//! What the commands that start agents have in common: where they are to run, scripts that are asked about, and
//! what is said, also of agents that end at once.

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

/// Where an agent is to run, as options.
#[derive(Debug, Default, Args)]
pub(super) struct Layouts {
    /// run in a new pane of this window
    #[arg(long, group = "layout")]
    pane: bool,
    /// run in a new window of this session
    #[arg(long, group = "layout")]
    window: bool,
    /// run in a session of its own
    #[arg(long, group = "layout")]
    session: bool,
}

impl Layouts {
    /// Returns the layout that is asked for.
    pub(super) fn layout(&self) -> Option<Layout> {
        match (self.pane, self.window, self.session) {
            (true, ..) => Some(Layout::Pane),
            (_, true, _) => Some(Layout::Window),
            (.., true) => Some(Layout::Session),
            _ => None,
        }
    }
}

/// Asks, unless that was agreed to before, about the scripts for tasks that are about to start, all from
/// one commit.
///
/// # Errors
/// When the user interrupts, or the answer cannot be remembered.
pub(super) fn agree(flux: &Flux, starts: &mut [Start]) -> Result<()> {
    let Some(commit) = starts.iter().find_map(Start::setup_commit) else {
        return Ok(());
    };
    let Some(init) = InitScripts::find(flux, commit)? else {
        return Ok(());
    };
    if !init.is_trusted(flux) && !ask(flux, &init)? {
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

fn ask(flux: &Flux, init: &InitScripts) -> Result<bool> {
    let ui = &flux.ui;
    if !ui.can_ask() {
        ui.warning(format_args!(
            "nobody has agreed to the scripts in '{INIT_DIR}': they are not run"
        ));
        let tree = &init.tree;
        ui.hint(format_args!("git ls-tree -r {tree}"));
        ui.hint(format_args!("git config --add flux.trust {tree}"));
        return Ok(false);
    }
    let text = init.text();
    if ui.pages(&text) {
        page(flux.repo.home(), &text)?;
    } else {
        text.lines().for_each(|line| ui.quote(line));
    }
    interrupt::check()?;
    let question = format!(
        "Run the scripts in '{INIT_DIR}' in new worktrees, as long as they stay as they are?"
    );
    if !ui.confirm(question, false)? {
        ui.status("They are not run.");
        return Ok(false);
    }
    init.trust(flux)?;
    Ok(true)
}

/// How long a terminal is told of an end.
const FIRST: Duration = Duration::from_millis(500);

/// How many lines of its pane are shown of an agent that failed.
const LINES: usize = 15;

/// Fails if the program of the agent could not be executed, and shows what its pane says.
///
/// # Errors
/// So.
pub(super) fn ensure_executed(flux: &Flux, started: &Started) -> Result<()> {
    match &started.exit {
        None => Ok(()),
        Some(exit) => Err(failed(flux, started, exit)),
    }
}

/// Says where the agent runs.
///
/// # Errors
/// When its program could not be executed.
pub(super) fn tell(flux: &Flux, started: &Started, verb: impl Display) -> Result<()> {
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

/// Waits half a second for the ends of agents, if there is a terminal to say them to: it is where
/// a wrong option or a missing login shows. Says which ended well, and returns an error for each other.
///
/// # Errors
/// When it cannot be read how one of them ended.
pub(super) fn ended(flux: &Flux, started: &[Started]) -> Result<Vec<Error>> {
    if !flux.ui.is_shown() {
        return Ok(Vec::new());
    }
    let mut errors = Vec::new();
    for (one, exit) in start_watch::wait_for_early_exits(flux, started, FIRST)? {
        let id = &one.task.id;
        if exit.is_success() {
            flux.ui
                .status(format_args!("The agent of '{id}' has ended already."));
        } else {
            errors.push(failed(flux, one, format_args!("{exit} at once")));
        }
    }
    Ok(errors)
}

/// Fails with the first of the errors of [`ended`].
///
/// # Errors
/// So.
pub(super) fn ensure_not_ended(flux: &Flux, started: &Started) -> Result<()> {
    let first = ended(flux, slice::from_ref(started))?.into_iter().next();
    first.map_or(Ok(()), Err)
}

fn failed(flux: &Flux, started: &Started, how: impl Display) -> Error {
    let id = &started.task.id;
    // The pane may have gone with its shell.
    let lines = start_watch::last_lines(&started.opened.target, id, LINES);
    for line in lines.unwrap_or_default() {
        flux.ui.quote(line);
    }
    Failure::new(format!("the agent of '{id}' {how}"))
        .hint(format!("git flux attach {id}"))
        .hint(format!("git flux resume {id} --over"))
        .hint(format!("git flux cleanup {id}"))
        .into()
}
