//! `git flux attach`

use std::ffi::OsStr;
use std::io::{self, IsTerminal as _};

use anyhow::{Context as _, Result};
use clap::Args;
use clap_complete::ArgValueCompleter;

use super::{candidates, choose_own, settled};
use crate::failure::Failure;
use crate::git::Transaction;
use crate::lifecycle::Flux;
use crate::lifecycle::broken::ensure_whole;
use crate::lifecycle::elsewhere::ensure_here;
use crate::lifecycle::observe::Panes;
use crate::lifecycle::other_machine::ensure_not_elsewhere;
use crate::lifecycle::pane::find_target;
use crate::lifecycle::resume::or_restored;
use crate::lifecycle::start::launch::directory;
use crate::lifecycle::waiting;
use crate::store::{self, Store};
use crate::system::program::ourselves;
use crate::task::{Layout, Phase, Target, Task};
use crate::tmux::open::PaneProgram;
use crate::tmux::target::{self, Wanted};
use crate::tmux::{attach, pane};
use crate::ui::{Ui, quoted};

/// Go to the pane or session of a task
#[derive(Debug, Args)]
pub(crate) struct Attach {
    /// The task: its id or a part of it, its branch or its worktree
    #[arg(add = ArgValueCompleter::new(candidates::running))]
    task: Option<String>,
    /// Go to the task that has waited for you the longest, of any repository
    #[arg(long, conflicts_with = "task")]
    waiting: bool,
}

impl Attach {
    pub(crate) fn run(self) -> Result<()> {
        if self.waiting {
            return go_to_waiting();
        }
        let flux = Flux::open(Ui::default())?;
        let store = settled(&flux)?;
        let stored = choose_own(&flux, &store, self.task.as_deref(), "attach")?;
        let task = stored.readable()?;
        ensure_here(&flux, task)?;
        ensure_terminal(&format!("git flux status {}", task.id))?;
        // Its setup runs, and can be watched.
        if task.phase == Phase::Starting
            && let Some(target) = find_target(&flux, task)?
        {
            return attach::attach(&target);
        }
        let panes = Panes::of([task].into_iter())?;
        match &task.target {
            Some(target) if panes.has(task) => attach::attach(target),
            _ => attach::attach(&reopen(&flux, task)?),
        }
    }
}

/// Goes to the task that has waited for its user the longest, whichever repository it is of.
///
/// # Errors
/// When none waits, or there is no terminal.
fn go_to_waiting() -> Result<()> {
    let ui = Ui::default();
    let here = Flux::open(ui.clone());
    let waiting = waiting::everywhere(&ui, here.as_ref().ok());
    let Some(first) = waiting.first() else {
        here?;
        return Err(Failure::new("no task waits for you")
            .hint("git flux wait --next")
            .into());
    };
    let (home, id) = (quoted(&first.home), &first.task.id);
    ensure_terminal(&format!("git -C {home} flux status {id}"))?;
    let target = first.task.target.as_ref();
    attach::attach(target.with_context(|| format!("'{id}' has no pane"))?)
}

/// # Errors
/// When there is no terminal that could go to a pane: `hint` is what to do instead.
pub(super) fn ensure_terminal(hint: &str) -> Result<()> {
    if io::stdin().is_terminal() && io::stdout().is_terminal() {
        return Ok(());
    }
    Err(Failure::new("attach needs a terminal").hint(hint).into())
}

/// Offers a session with a shell for a task whose pane is gone.
fn reopen(flux: &Flux, task: &Task) -> Result<Target> {
    ensure_not_elsewhere(flux, task)?;
    let id = &task.id;
    if !task.worktree.exists() {
        ensure_whole(flux, task)?;
    }
    let question = format!("The pane of '{id}' is closed. Open a new session in its worktree?");
    if !flux.ui.can_ask() || !flux.ui.confirm(question, true)? {
        return Err(Failure::declined(String::new()).into());
    }
    let lock = flux.lock_task(id)?;
    // The question may have been open for long.
    let store = Store::load(&flux.repo, &flux.settings)?;
    let stored = store.find(&flux.repo, id.as_str())?;
    let task = stored.readable()?;
    if let Some(target) = &task.target
        && Panes::of([task].into_iter())?.has(task)
    {
        return Ok(target.clone());
    }
    let name = target::session_name(&flux.repo.project(), id);
    let place = target::choose(Wanted::Preferred(Layout::Session), name);
    let place = or_restored(flux, task, place)?;
    let program = ourselves()?;
    let dir = directory(task).unwrap_or_else(|| task.worktree.clone());
    let opened = place.open(&PaneProgram {
        task: id,
        repo: flux.repo.common_dir(),
        dir: &task.worktree,
        argv: [program.as_os_str(), OsStr::new("__shell"), dir.as_os_str()],
        lock: &lock,
    })?;
    // How the agent ended stays known: a shell is no agent.
    let task = task.running_in(Some(opened.target.clone()));
    let advanced = store::advance(
        &flux.repo,
        &stored.oid,
        &task,
        Transaction::default(),
        &lock,
    );
    if advanced.is_err() {
        pane::kill(&opened.target)?;
    }
    advanced.map(|_| opened.target)
}
