//! `git flux attach`

use anyhow::{Context as _, Result};
use clap::Args;
use clap_complete::ArgValueCompleter;

use super::{candidates, choose_own, settled};
use crate::failure::Failure;
use crate::lifecycle::Flux;
use crate::lifecycle::elsewhere::ensure_here;
use crate::lifecycle::everywhere::repositories;
use crate::lifecycle::observe::{self, Panes};
use crate::lifecycle::pane::find_target;
use crate::lifecycle::reopen::{ensure_can_reopen, reopen};
use crate::store::{Store, Stored};
use crate::task::{Phase, State, Target, Task};
use crate::tmux::attach;
use crate::ui::{Ui, ensure_terminal, quoted};

/// Go to the pane or session of a task
#[derive(Debug, Args)]
pub(crate) struct Attach {
    /// The task: its id or a part of it, its branch or its worktree
    #[arg(add = ArgValueCompleter::new(candidates::running))]
    task: Option<String>,
    /// Go to the task that has waited for you the longest
    #[arg(long, conflicts_with = "task")]
    waiting: bool,
}

impl Attach {
    pub(crate) fn run(self) -> Result<()> {
        let flux = Flux::open(Ui::default())?;
        let store = settled(&flux)?;
        let stored = if self.waiting {
            longest_waiting(&flux, &store)?
        } else {
            choose_own(&flux, &store, self.task.as_deref(), "attach")?
        };
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
            _ => attach::attach(&offer(&flux, task)?),
        }
    }
}

/// The task whose agent has waited for the user the longest. One whose state cannot be told is passed over.
///
/// # Errors
/// When there is none: its hints are those of other repositories.
fn longest_waiting<'a>(flux: &Flux, store: &'a Store) -> Result<&'a Stored> {
    let longest = waiting(flux, store).into_iter().next();
    longest.map(|(_, stored)| stored).with_context(|| {
        let failure = Failure::new(format!(
            "no task of '{}' waits for you",
            flux.repo.project().to_string_lossy()
        ));
        let others = waiting_elsewhere(flux);
        if others.is_empty() {
            failure.hint("git flux wait --next")
        } else {
            others.into_iter().fold(failure, Failure::hint)
        }
    })
}

/// The tasks whose agents wait for the user, and since when, the first one first.
fn waiting<'a>(flux: &Flux, store: &'a Store) -> Vec<(u64, &'a Stored)> {
    let since = |stored: &&'a Stored| {
        let (state, found) = observe::one(flux, store, stored.task.as_ref().ok()?).ok()?;
        let is_waiting = matches!(state, State::Waiting(_) | State::Interrupted);
        is_waiting.then(|| found.since.unwrap_or(u64::MAX))
    };
    let all = flux.own_tasks(store);
    let mut all: Vec<_> = all.filter_map(|one| Some((since(&one)?, one))).collect();
    all.sort_by_key(|(since, _)| *since);
    all
}

/// The commands that go to those that wait in other repositories, the first one first.
fn waiting_elsewhere(flux: &Flux) -> Vec<String> {
    let mut found = Vec::new();
    for (common_dir, other) in repositories(&flux.ui).unwrap_or_default() {
        let Ok(other) = other else { continue };
        if common_dir == flux.repo.common_dir() {
            continue;
        }
        let Ok(store) = Store::load(&other.repo, &other.settings) else {
            continue;
        };
        let home = quoted(other.repo.home());
        found.extend(
            waiting(&other, &store)
                .into_iter()
                .map(|(since, stored)| (since, format!("git -C {home} flux attach {}", stored.id))),
        );
    }
    found.sort();
    found.into_iter().map(|(_, command)| command).collect()
}

/// Offers a session with a shell for a task whose pane is gone.
fn offer(flux: &Flux, task: &Task) -> Result<Target> {
    ensure_can_reopen(flux, task)?;
    let id = &task.id;
    let question = format!("The pane of '{id}' is closed. Open a new session in its worktree?");
    if !flux.ui.can_ask() || !flux.ui.confirm(question, true)? {
        return Err(Failure::declined(String::new()).into());
    }
    reopen(flux, id)
}
