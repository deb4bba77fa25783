//! `git flux restore`

mod foreign;

use anyhow::Result;
use clap::Args;
use clap_complete::ArgValueCompleter;

use super::cleanup::revert;
use super::list::age;
use super::status::count;
use super::{Faults, candidates, early, removed, settled};
use crate::failure::Failure;
use crate::git::{admin, worktree};
use crate::interrupt;
use crate::lifecycle::archive::{self, Archived, Listed, Unread};
use crate::lifecycle::broken::free_beside;
use crate::lifecycle::checked_out::{BranchUses, ensure_main_is_known};
use crate::lifecycle::leftovers;
use crate::lifecycle::resume::going_on;
use crate::lifecycle::start::{Start, Started, Work, start};
use crate::lifecycle::trust::Init;
use crate::lifecycle::{Flux, ensure_not_elsewhere, ready};
use crate::sanitize;
use crate::store::{self, Store, Stored};
use crate::system::clock::seconds;
use crate::task::{Existing, Layout, Phase, Task};
use crate::tmux::target::{self, Wanted};
use crate::ui::{Ui, quoted, shown, word};

/// Bring back a task that was removed
#[derive(Debug, Args)]
pub(crate) struct Restore {
    /// The removed task: its name in the archive or a part of it
    #[arg(add = ArgValueCompleter::new(candidates::archived))]
    task: Option<String>,
    /// List what can be restored: age, size, how it ended
    #[arg(short, long, conflicts_with_all = ["task", "drop", "empty"])]
    list: bool,
    /// Machine-readable output of --list: an array of objects
    #[arg(long, requires = "list")]
    json: bool,
    /// Delete a removed task for good
    #[arg(long, conflicts_with = "empty")]
    drop: bool,
    /// Delete all removed tasks for good
    #[arg(long, conflicts_with = "task")]
    empty: bool,
    /// Restore what came from elsewhere with refs that were fetched
    #[arg(long, requires = "task", conflicts_with = "drop")]
    foreign: bool,
    /// Agree to the deletion
    #[arg(short, long)]
    yes: bool,
    /// Be quiet: print the task's id alone
    #[arg(short, long)]
    quiet: bool,
}

impl Restore {
    pub(crate) fn run(self) -> Result<()> {
        let flux = Flux::open(Ui { quiet: self.quiet })?;
        if self.list {
            return removed::print(&flux, &archive::list_all(&flux)?, self.json);
        }
        let store = settled(&flux)?;
        let all = archive::list_all(&flux)?;
        if self.empty {
            let is_ours = |one: &&Archived| !one.foreign && flux.remover(one).is_none();
            let ours: Vec<&Archived> = all.0.iter().filter(is_ours).collect();
            return self.delete(&flux, &ours, &all.1);
        }
        let one = self.choose(&flux, &store, &all)?;
        if let Some(owner) = flux.remover(one) {
            let name = &one.name;
            return Err(Failure::new(format!("'{name}' was removed by '{owner}'"))
                .hint(format!("git flux log {name}"))
                .into());
        }
        if self.drop {
            return self.delete(&flux, &[one], &[]);
        }
        if !one.foreign {
            let started = bring_back(&flux, &store, one)?;
            return tell(&flux, one, &started);
        }
        let one = &foreign::harmless(&flux, &store, one)?;
        if !self.foreign {
            foreign::agree(&flux, one)?;
        }
        let started = bring_back(&flux, &store, one)?;
        tell(&flux, one, &started)
    }

    fn choose<'a>(&self, flux: &Flux, store: &Store, all: &'a Listed) -> Result<&'a Archived> {
        if let Some(name) = &self.task {
            let begins = |stored: &&Stored| stored.id.as_str().starts_with(name);
            return archive::find(all, name).map_err(|error| {
                match store.tasks.iter().filter(begins).collect::<Vec<_>>()[..] {
                    [Stored { id, .. }] => Failure::new(format!("'{id}' is not removed"))
                        .hint(format!("git flux attach {id}"))
                        .into(),
                    _ => error,
                }
            });
        }
        removed::pick(flux, all, "restore")
    }

    /// Deletes removed tasks, once that is agreed to.
    fn delete(&self, flux: &Flux, which: &[&Archived], unread: &[Unread]) -> Result<()> {
        let question = match which {
            [] => {
                flux.ui.status("there is nothing to delete");
                return self.clear(flux, unread, Faults::default());
            }
            [one] => format!("Delete '{}' for good ({})?", one.name, content(flux, one)),
            many => {
                for one in many {
                    flux.ui
                        .status(format_args!("  {}  {}", one.name, content(flux, one)));
                }
                format!("Delete these {} for good?", many.len())
            }
        };
        if !self.yes {
            if !flux.ui.can_ask() {
                return Err(Failure::new("nobody can be asked whether to delete")
                    .hint("git flux restore --list")
                    .hint("add --yes to agree")
                    .into());
            }
            if !flux.ui.confirm(question, false)? {
                return Err(Failure::declined("nothing was changed").into());
            }
        }
        let mut faults = Faults::default();
        for one in which {
            interrupt::check()?;
            match archive::drop_for_good(flux, one) {
                Ok(()) => flux.ui.status(format_args!(
                    "deleted '{}' (the commits of '{}' were at {})",
                    one.name,
                    sanitize::line(&one.task.branch),
                    one.tip
                )),
                Err(error) if which.len() == 1 && !self.empty => return Err(error),
                Err(error) => faults.show(&error),
            }
        }
        self.clear(flux, unread, faults)
    }

    /// Deletes what could not be deleted before, where everything is to go, and names what stays
    /// since it cannot be read.
    fn clear(&self, flux: &Flux, unread: &[Unread], mut faults: Faults) -> Result<()> {
        if self.empty && faults.none() {
            let left = leftovers::clear(flux)?;
            left.iter().for_each(|error| faults.show(error));
        }
        for one in unread {
            removed::name(flux, one.refusal());
            faults.count();
        }
        faults.ensure_none("not everything could be deleted")
    }
}

/// Starts the task again where it was.
fn bring_back(flux: &Flux, store: &Store, one: &Archived) -> Result<Started> {
    let task = Task {
        restored: Some(one.name.clone()),
        target: None,
        ..one.task.in_phase(Phase::Starting)
    };
    ensure_free(flux, store, &task)?;
    let task = existing(store, task, one)?;
    let description = store::prompt(&flux.repo, &one.record)?;
    let work = match one.foreign {
        true => Work::Shell,
        false => going_on(flux, &task, &description).unwrap_or(Work::Shell),
    };
    // One that comes back with its ignored files is as ready as it was.
    let (ready, init) = match (&one.trash, &work) {
        (None, Work::Agent { .. }) => (ready::configured(flux)?, Init::agreed(flux, &one.tip)?),
        _ => (ready::wrapped(flux)?, None),
    };
    let name = target::session_name(&flux.repo.project(), &task.id);
    let place = target::choose(Wanted::Preferred(Layout::Session), name)?;
    let mut start_of = Start {
        task,
        description,
        work,
        place,
        ready,
        init,
        from: Some(one.clone()),
        carried: None,
        upstream: None,
    };
    start(flux, &mut start_of)
}

/// Fails where restoring would need a place that is taken: nothing is overwritten.
fn ensure_free(flux: &Flux, store: &Store, task: &Task) -> Result<()> {
    let id = &task.id;
    store.ensure_not_foreign(&flux.repo, id.as_str())?;
    let worktrees = worktree::list(flux.repo.home())?;
    ensure_main_is_known(flux, &worktrees)?;
    let again = |failure: Failure| failure.hint(format!("then: git flux restore {id}"));
    if store.tasks.iter().any(|stored| stored.id == *id) {
        let failure = Failure::new(format!("there is a task '{id}' already"));
        return Err(again(failure.hint(format!("git flux cleanup {id}"))).into());
    }
    if store.tip(&task.branch).is_some() && task.existing.is_none() {
        return Err(again(
            Failure::new(format!("the branch '{}' exists already", task.branch)).hint(format!(
                "git branch -m {} <another name>",
                word(&task.branch)
            )),
        )
        .into());
    }
    if task.existing.is_some() {
        store.ensure_not_symbolic(&task.branch)?;
        ensure_not_elsewhere(flux, &worktrees, task)?;
        let uses = BranchUses::find(flux, store, &worktrees, &task.branch)?;
        uses.except(&task.worktree).ensure_none()?;
    }
    if let Some(other) = store.in_the_way(&task.branch) {
        let failure = Failure::new(format!(
            "the branch '{other}' is in the way of '{}'",
            task.branch
        ));
        let rename = format!("git branch -m {} <another name>", word(other));
        return Err(again(failure.hint(rename)).into());
    }
    let (path, pasted) = (shown(&task.worktree), quoted(&task.worktree));
    if task.worktree.symlink_metadata().is_ok() {
        let away = quoted(&free_beside(&task.worktree));
        let failure = Failure::new(format!("'{path}' exists already"));
        return Err(again(failure.hint(format!("mv {pasted} {away}"))).into());
    }
    if worktrees.iter().any(|entry| entry.path == task.worktree) {
        let failure = Failure::new(format!(
            "git has a worktree at '{path}', which is not there"
        ));
        let hint = match admin::moved_beside(flux.repo.common_dir(), &task.worktree) {
            Some(moved) => format!("git worktree repair {}", quoted(&moved)),
            None => format!("if it is not away only: git worktree remove {pasted}"),
        };
        return Err(again(failure.hint(hint)).into());
    }
    Ok(())
}

/// The task with what its branch is by now, if that was not its own.
///
/// # Errors
/// When it has moved since: what was uncommitted belongs on top of where it stood.
fn existing(store: &Store, task: Task, one: &Archived) -> Result<Task> {
    let Some(was) = &task.existing else {
        return Ok(task);
    };
    let stands = store.tip(&task.branch);
    if let Some(tip) = stands.filter(|tip| *tip != one.tip) {
        let [old, now] = [&one.tip, tip].map(|tip| &tip[..tip.len().min(9)]);
        return Err(Failure::new(format!(
            "the branch '{}' has moved since '{}' was removed, from {old} to {now}",
            task.branch, task.id
        ))
        .hint(format!("git log {old}...{now}"))
        .hint(format!("git flux run --branch {}", word(&task.branch)))
        .into());
    }
    let existing = Existing {
        tip: one.tip.clone(),
        made: stands.is_none(),
        adopted: false,
        rest: was.rest.clone(),
    };
    Ok(Task {
        existing: Some(existing),
        ..task
    })
}

fn tell(flux: &Flux, one: &Archived, started: &Started) -> Result<()> {
    let task = &started.task;
    let id = &task.id;
    // It is restored all the same.
    if let Err(error) = early::ensure_executed(flux, started) {
        flux.ui.warning(format_args!("{error:#}"));
    }
    if flux.ui.quiet {
        return flux.ui.data(id);
    }
    let how = match (&one.trash, one.snapshot()) {
        (Some(_), _) => "as it was, ignored files too",
        (None, Some(_)) => "from its snapshot, without ignored files",
        (None, None) => "from its commits",
    };
    flux.ui.status(format_args!(
        "restored '{id}' {how}: worktree '{}', branch '{}', session '{}'",
        shown(&task.worktree),
        task.branch,
        started.opened.target.session
    ));
    if let Some(undo) = undo(flux, one)? {
        flux.ui.status("What was merged stays merged.");
        flux.ui.hint(undo);
    }
    flux.ui.hint(format_args!("git flux attach {id}"));
    for error in early::ended(flux, &[started])? {
        flux.ui.warning(format_args!("{error:#}"));
    }
    Ok(())
}

/// The command that undoes the merge of a removed task.
fn undo(flux: &Flux, one: &Archived) -> Result<Option<String>> {
    let removal = one.task.removal.as_ref();
    match removal.and_then(|removal| removal.into.as_ref()) {
        Some(merged) => revert(flux, merged),
        None => Ok(None),
    }
}

/// How a task ended, in words.
pub(super) fn ended(one: &Archived) -> String {
    if one.foreign {
        return "foreign".to_owned();
    }
    let Some(removal) = &one.task.removal else {
        return "not started".to_owned();
    };
    match &removal.into {
        _ if one.tip == one.task.base => "no commits".to_owned(),
        Some(merged) => format!("merged into '{}'", sanitize::line(&merged.branch)),
        None => "not merged".to_owned(),
    }
}

/// How it ended, and how many uncommitted files it has.
pub(super) fn content(flux: &Flux, one: &Archived) -> String {
    let files = one
        .snapshot()
        .map(|snapshot| flux.repo.count_files_of_snapshot(snapshot));
    match files {
        None => ended(one),
        Some(Ok(files)) => format!("{}, {}", ended(one), count(files, "uncommitted file")),
        Some(Err(_)) => format!("{}, uncommitted files", ended(one)),
    }
}

/// How long ago it was removed.
pub(super) fn since(one: &Archived) -> String {
    format!("{} ago", age(seconds().saturating_sub(one.removed())))
}
