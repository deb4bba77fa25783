//! Runs the steps of a start, and rolls them back.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Error, Result};

use super::agent_launch::not_started;
use super::copies::Copies;
use super::plan::{Origin, Start, Started};
use super::steps::{StartTransaction, Step};
use crate::context::Flux;
use crate::failure::{self, DECLINED, Failure};
use crate::git::{Lock, ObjectId, Transaction, refs};
use crate::interrupt;
use crate::lifecycle::archive::delete::remove_trash_leftovers;
use crate::lifecycle::disposal::{Disposal, was_switched_or_replaced};
use crate::lifecycle::pane::{find_shell, find_target, hang_up};
use crate::lifecycle::teardown::Teardown;
use crate::run::launch::Running;
use crate::store;
use crate::system::disk::full_disk_hint;
use crate::task::{Target, Task};
use crate::ui::shown;

impl<'a> StartTransaction<'a> {
    pub(super) fn new(flux: &'a Flux, start: &'a Start, record: ObjectId, lock: Lock) -> Self {
        Self {
            flux,
            start,
            record,
            lock,
            run: flux.run_dir(&start.task.id),
            begun: Vec::new(),
            previous: None,
            copies: Copies::default(),
            opened: None,
        }
    }

    /// Runs all steps of the start, and completes the record. Returns the task with its pane,
    /// `None` if it opens none. Rolls back on failure, unless only the record of a running agent or
    /// a restored task cannot be completed.
    pub(super) fn run(mut self) -> Result<Option<Started>> {
        for step in self.start.steps() {
            if let Err(cause) = self.run_step(step) {
                return Err(self.undo(cause));
            }
        }
        let running = self.confirm_pane()?;
        let has_agent = self.start.has_agent();
        let target = self.opened.as_ref().map(|opened| opened.target.clone());
        let task = match self.complete(target) {
            Ok(task) => task,
            // The agent may have done work: the next command completes the record.
            Err(cause) if self.may_have_worked() || self.start.archived().is_some() => {
                return Err(self.incomplete(cause));
            }
            Err(cause) => return Err(self.undo(cause)),
        };
        let Some(opened) = self.opened else {
            return Ok(None);
        };
        let exit = has_agent.then(|| self.run.exit()).transpose()?.flatten();
        let queued = running.as_ref().and_then(|it| it.queued_since(&self.run));
        Ok(Some(Started {
            task,
            opened,
            exit: exit.filter(|exit| exit.error().is_some()),
            since: queued.or(running.map(|running| running.since)),
            is_queued: queued.is_some(),
        }))
    }

    /// Returns whether an agent was started; `true` also if that is unknown.
    fn may_have_worked(&self) -> bool {
        let exit = self.run.exit().ok().flatten();
        self.start.has_agent() && exit.is_none_or(|exit| exit.error().is_none())
    }

    /// Updates `opened` to the pane whose launcher took the launch file, if tmux reported another,
    /// and returns the launcher's state. `None` without an agent.
    fn confirm_pane(&mut self) -> Result<Option<Running>> {
        let Some(opened) = self.opened.as_mut().filter(|_| self.start.has_agent()) else {
            return Ok(None);
        };
        let running = self.run.running().unwrap_or_default();
        let launcher = running.as_ref().map(|running| running.launcher);
        if launcher != Some(opened.target.pane_pid)
            && let Some(target) = find_target(self.flux, &self.start.task)?
        {
            opened.target = target;
        }
        Ok(running)
    }

    /// Updates the record: the task is active, with its pane `target`. If the task was restored,
    /// also deletes its archive entry. From then on nothing is rolled back.
    fn complete(&self, target: Option<Target>) -> Result<Task> {
        let task = self.start.task.with_target(target);
        let mut updates = Transaction::default();
        if let Some(from) = self.start.archived() {
            updates = from.give_back(self.flux, updates)?;
            // Before the record, since no later command repeats it.
            remove_trash_leftovers(self.flux, from);
        }
        let (repo, record) = (&self.flux.repo, &self.record);
        store::update(repo, record, &task, &[], updates, &self.lock)?;
        Ok(task)
    }

    fn incomplete(&self, cause: Error) -> Error {
        let id = &self.start.task.id;
        let failure = Failure::new(format!("'{id}' runs, but its record is not complete"));
        let failure = failure.hint(format!("to go to the task: git flux attach {id}"));
        let full = full_disk_hint(&cause, &[self.flux.repo.common_dir()]);
        cause.context(failure.hints(full))
    }

    /// Rolls the start back after `cause`, and returns the error to show, which says what is left.
    /// A pending ^C is cleared first.
    fn undo(&self, cause: Error) -> Error {
        let is_interrupted = interrupt::is_requested();
        interrupt::clear();
        let places = [&*self.start.task.worktree, self.flux.repo.common_dir()];
        let full = full_disk_hint(&cause, &places);
        let rollback = self.roll_back();
        if is_interrupted && matches!(rollback, Ok(Rollback::Complete)) {
            return self.start.interruption().into();
        }
        let failure = self.start.failure_after(rollback).hints(full);
        let code = if is_interrupted { DECLINED } else { 1 };
        failure::wrap_in_failure(cause, failure.code(code))
    }

    /// Undoes the begun steps: closes the pane, and restores an existing task's run files, or
    /// removes what the start created, new files to the trash. A worktree that was switched or
    /// replaced stays, as an active task. On failure, the record stays for another attempt.
    pub(super) fn roll_back(&self) -> Result<Rollback> {
        let (flux, task) = (self.flux, &self.start.task);
        if self.begun.contains(&Step::OpenPane) {
            self.close_pane()?;
        }
        if let Origin::Task(_) = self.start.origin {
            return self.restore_run_files().map(|()| Rollback::Complete);
        }
        // A hook, the setup or the agent may have switched the branch.
        if matches!(self.start.origin, Origin::New { .. })
            && self.begun.contains(&Step::CheckOut)
            && was_switched_or_replaced(flux, task)?
        {
            if self.run.exit()?.is_none() {
                self.run.write_exit(&not_started())?;
            }
            self.complete(None)?;
            return Ok(Rollback::TaskLeft);
        }
        let what = || format!("could not access '{}'", task.worktree.display());
        let existed = fs::exists(&task.worktree).with_context(what)?;
        self.copies.remove();
        let worktree = match &self.start.origin {
            Origin::Archive(from) => Disposal::of_unrestored(flux, task, &from.name, Some(from))?,
            _ => Disposal::of_unstarted(flux, task)?,
        };
        let branch = task.branch_ref();
        let tip = refs::list(flux.repo.home(), &[&branch])?.remove(&branch);
        let teardown = Teardown {
            flux,
            task,
            oid: &self.record,
            tip: tip.as_ref(),
            lock: &self.lock,
        };
        let kept = teardown.run(&worktree)?;
        Ok(match kept.worktree {
            _ if self.opened.is_some() && !existed => Rollback::WorktreeMissing,
            Some(path) => Rollback::WorktreeKept(path),
            None => Rollback::Complete,
        })
    }

    fn close_pane(&self) -> Result<()> {
        self.run.cancel_launch()?;
        let opened = self.opened.as_ref().map(|opened| opened.target.clone());
        // tmux may have created a pane although it reported a failure.
        let opened = match opened {
            None if !self.start.has_agent() => find_shell(self.flux, &self.start.task)?,
            opened => opened,
        };
        hang_up(&self.run, opened.as_ref())
    }

    /// Writes the files `running` and `exit` of the previous run back. Does nothing if the start
    /// did not reset them.
    fn restore_run_files(&self) -> Result<()> {
        let Some((running, exit)) = &self.previous else {
            return Ok(());
        };
        self.run.reset()?;
        if let Some(running) = running {
            self.run.write_running(running)?;
        }
        if let Some(exit) = exit {
            self.run.write_exit(exit)?;
        }
        Ok(())
    }
}

/// The result of rolling back a start.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Rollback {
    /// Nothing is left.
    Complete,
    /// The worktree is in the trash, since it has new files.
    WorktreeKept(PathBuf),
    /// The worktree was not found.
    WorktreeMissing,
    /// The task stays, since its worktree was switched or replaced.
    TaskLeft,
}

impl Start {
    fn describe_failure(&self) -> String {
        let verb = match self.origin {
            Origin::New { .. } => "start",
            Origin::Archive(_) => "restore",
            Origin::Worktree => "adopt",
            Origin::Task(_) if self.has_agent() => "resume",
            Origin::Task(_) => "open a session for",
        };
        format!("could not {verb} '{}'", self.task.id)
    }

    /// Returns the error of a failed start that was rolled back completely.
    pub(super) fn failure(&self) -> Failure {
        let end = match self.origin {
            Origin::New { .. } => "; nothing was left behind",
            Origin::Archive(_) => "; nothing was lost",
            Origin::Worktree => "; nothing was changed",
            Origin::Task(_) => "",
        };
        Failure::new(self.describe_failure() + end)
    }

    /// Returns the error of a start that ^C interrupted, and that was rolled back completely.
    pub(super) fn interruption(&self) -> Failure {
        let id = &self.task.id;
        Failure::declined(match self.origin {
            Origin::New { .. } => format!("interrupted; nothing is left of '{id}'"),
            Origin::Archive(_) => format!("interrupted; '{id}' can still be restored"),
            Origin::Worktree => "interrupted; nothing was changed".to_owned(),
            Origin::Task(_) => format!("interrupted; '{id}' is not running"),
        })
    }

    /// Returns the error of a failed start, which names what its `rollback` left; if the rollback
    /// failed, also why.
    pub(super) fn failure_after(&self, rollback: Result<Rollback>) -> Failure {
        let (what, worktree) = (self.describe_failure(), shown(&self.task.worktree));
        let left = match rollback {
            Ok(Rollback::Complete) => return self.failure(),
            Ok(Rollback::WorktreeKept(path)) => format!("; its files are in '{}'", shown(&path)),
            Ok(Rollback::WorktreeMissing) => format!("; its worktree is gone: '{worktree}'"),
            Ok(Rollback::TaskLeft) => {
                let left = "; it was kept, since its worktree was changed";
                let hint = format!(
                    "to see the state of the task: git flux status {}",
                    self.task.id
                );
                return Failure::new(what + left).hint(hint);
            }
            Err(error) => {
                let failure = Failure::new(format!("{what}, nor undo it: {error:#}"));
                return match self.origin {
                    Origin::Task(_) => failure,
                    _ => failure.hint(RETRY),
                };
            }
        };
        Failure::new(what + &left)
    }
}

const RETRY: &str = "to try again: git flux cleanup";

#[cfg(test)]
mod tests;
