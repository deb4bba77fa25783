//! `git flux attach`

use anyhow::{Context as _, Result};
use clap::Args;
use clap_complete::ArgValueCompleter;

use super::{candidates, choose_own, load_recovered};
use crate::context::Flux;
use crate::failure::{Failure, Verb};
use crate::lifecycle::copied_repository::ensure_not_copied;
use crate::lifecycle::pane::{find_pane, find_target};
use crate::lifecycle::repositories;
use crate::lifecycle::resume::{ensure_can_open_shell, open_shell};
use crate::task::{Phase, Target, Task};
use crate::tmux::attach;
use crate::ui::{Ui, ensure_terminal, quoted};

/// Go to the pane or session of a task
#[derive(Debug, Args)]
#[command(override_usage = "git flux attach [<options>] [<task>]")]
pub(crate) struct AttachArgs {
    /// the task: its id or a part of it, its branch or its worktree
    #[arg(value_name = "<task>", add = ArgValueCompleter::new(candidates::running))]
    task: Option<String>,
    /// go to the task that has waited for you longest, in any repository
    #[arg(long, conflicts_with = "task")]
    waiting: bool,
}

impl AttachArgs {
    pub(crate) fn run(self) -> Result<()> {
        if self.waiting {
            return go_to_waiting();
        }
        let flux = Flux::open(Ui::default())?;
        let store = load_recovered(&flux)?;
        let stored = choose_own(&flux, &store, self.task.as_deref(), Verb::Attach)?;
        let task = stored.readable()?;
        ensure_not_copied(&flux, task)?;
        ensure_terminal(format!(
            "to see the state of the task: git flux status {}",
            task.id
        ))?;
        // The user can watch its setup.
        if task.phase == Phase::Starting
            && let Some(target) = find_target(&flux, task)?
        {
            return attach::attach(&target);
        }
        match find_pane(task)? {
            Some(target) => attach::attach(&target),
            None => attach::attach(&offer_session(&flux, task)?),
        }
    }
}

/// Attaches to the pane of the user's task that has waited longest, in this repository and in all
/// that have a pane on this tmux server. Fails if no task waits, or without a terminal.
fn go_to_waiting() -> Result<()> {
    let ui = Ui::default();
    let here = Flux::open(ui.clone());
    let waiting = repositories::find_waiting(&ui, here.as_ref().ok());
    let Some(first) = waiting.first() else {
        here?;
        let failure = Failure::new("no task waits for you");
        return Err(failure.hint("git flux wait --next").into());
    };
    let (home, id) = (quoted(&first.home), &first.task.id);
    ensure_terminal(format!("git -C {home} flux status {id}"))?;
    let target = first.task.target.as_ref();
    attach::attach(target.with_context(|| format!("'{id}' has no pane"))?)
}

/// Asks whether to open a new session with a shell in the worktree of a task whose pane is closed,
/// opens it and returns its pane, without attaching. Fails if the user declines or cannot be asked,
/// or if the worktree is missing.
fn offer_session(flux: &Flux, task: &Task) -> Result<Target> {
    ensure_can_open_shell(flux, task)?;
    let id = &task.id;
    let question = format!("The pane of '{id}' is closed. Open a new session in its worktree?");
    if !flux.ui.can_ask() || !flux.ui.confirm(question, true)? {
        return Err(Failure::declined(String::new()).into());
    }
    open_shell(flux, id)
}
