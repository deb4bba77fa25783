//! A start from its first step to its end, and the one way back.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Error, Result};

use super::copies::Copies;
use super::launch::none_runs;
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
use crate::store;
use crate::system::clock::in_seconds;
use crate::system::disk::disk_full;
use crate::task::Task;
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
            earlier: None,
            copies: Copies::default(),
            opened: None,
        }
    }

    /// Makes each step, and completes the record. Returns the task with its pane, if one was opened.
    ///
    /// # Errors
    /// When a step fails or the user interrupts. Then it is as it was before, or the error says what is left.
    pub(super) fn run(mut self) -> Result<Option<Started>> {
        for step in self.start.steps() {
            if let Err(cause) = self.make(step) {
                return Err(self.fail(cause));
            }
        }
        let since = self.confirm_pane()?;
        let has_agent = self.start.has_agent();
        let task = match self.complete() {
            Ok(task) => task,
            // The agent may have done work: the next command completes it.
            Err(cause) if has_agent || self.start.archived().is_some() => {
                return Err(self.incomplete(cause));
            }
            Err(cause) => return Err(self.fail(cause)),
        };
        let Some(opened) = self.opened else {
            return Ok(None);
        };
        let exit = has_agent.then(|| self.run.exit()).transpose()?.flatten();
        Ok(Some(Started {
            task,
            opened,
            exit: exit.filter(|exit| exit.error().is_some()),
            since,
        }))
    }

    /// Finds the pane that counts, and since when its launcher runs, in seconds since 1970. tmux may
    /// have made a pane and said that it failed, and we another one: it is the one whose launcher
    /// took the task.
    fn confirm_pane(&mut self) -> Result<Option<u64>> {
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
        Ok(running.map(|running| in_seconds::of(running.since)))
    }

    /// Notes in the record that the task is whole. From then on nothing of it is undone.
    fn complete(&self) -> Result<Task> {
        let target = self.opened.as_ref().map(|opened| opened.target.clone());
        let task = self.start.task.running_in(target);
        let mut also = Transaction::default();
        if let Some(from) = self.start.archived() {
            also = from.forget(also);
            // Before the record: whoever completes it looks here as well, and nobody later.
            remove_trash_leftovers(self.flux, from);
        }
        store::advance(&self.flux.repo, &self.record, &task, also, &self.lock)?;
        Ok(task)
    }

    fn incomplete(&self, cause: Error) -> Error {
        let id = &self.start.task.id;
        let failure = Failure::new(format!("'{id}' runs, but its record is not complete"));
        let failure = failure.hint(format!("git flux attach {id}"));
        let full = disk_full(&cause, &[self.flux.repo.common_dir()]);
        cause.context(full.into_iter().fold(failure, Failure::hint))
    }

    /// Undoes what was begun after `cause`, and returns the error to show for it.
    fn fail(&self, cause: Error) -> Error {
        let is_interrupted = interrupt::requested();
        interrupt::clear();
        let places = [&*self.start.task.worktree, self.flux.repo.common_dir()];
        let full = disk_full(&cause, &places);
        let undone = self.roll_back();
        if is_interrupted && matches!(undone, Ok(Undone::All)) {
            return self.start.interruption().into();
        }
        let failure = self.start.refusal_after(undone);
        let failure = full.into_iter().fold(failure, Failure::hint);
        let code = if is_interrupted { DECLINED } else { 1 };
        failure::over(cause, failure.code(code))
    }

    /// Undoes what was begun: the one way back.
    ///
    /// # Errors
    /// When that fails. The record says then what there still is.
    pub(super) fn roll_back(&self) -> Result<Undone> {
        let (flux, task) = (self.flux, &self.start.task);
        if self.begun.contains(&Step::OpenPane) {
            self.close_pane()?;
        }
        if let Origin::Task(_) = self.start.origin {
            return self.put_marks_back().map(|()| Undone::All);
        }
        // A hook, the setup or the agent may have done that.
        if matches!(self.start.origin, Origin::New { .. })
            && self.begun.contains(&Step::Fill)
            && was_switched_or_replaced(flux, task)?
        {
            self.leave()?;
            return Ok(Undone::Left);
        }
        let is_there = fs::exists(&task.worktree).context("could not look at the worktree")?;
        self.copies.take_back();
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
            _ if self.opened.is_some() && !is_there => Undone::Missing,
            Some(path) => Undone::Kept(path),
            None => Undone::All,
        })
    }

    /// Closes the pane. If the agent has been there, what it did in that moment is kept.
    fn close_pane(&self) -> Result<()> {
        self.run.withdraw()?;
        let opened = self.opened.as_ref().map(|opened| opened.target.clone());
        // tmux may have made a pane and said that it failed.
        let opened = match opened {
            None if !self.start.has_agent() => find_shell(self.flux, &self.start.task)?,
            opened => opened,
        };
        hang_up(&self.run, opened.as_ref())
    }

    /// Puts the marks of the earlier run back, if they were taken away.
    fn put_marks_back(&self) -> Result<()> {
        let Some((running, exit)) = &self.earlier else {
            return Ok(());
        };
        self.run.begin_again()?;
        if let Some(running) = running {
            self.run.write_running(running)?;
        }
        if let Some(exit) = exit {
            self.run.write_exit(exit)?;
        }
        Ok(())
    }

    /// Leaves the task as it is: whole, without a pane.
    fn leave(&self) -> Result<()> {
        if self.run.exit()?.is_none() {
            self.run.write_exit(&none_runs())?;
        }
        let left = self.start.task.running_in(None);
        let none = Transaction::default();
        store::advance(&self.flux.repo, &self.record, &left, none, &self.lock).map(drop)
    }
}

/// What a roll-back has left of a start.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Undone {
    /// Nothing.
    All,
    /// Its worktree, in the trash: something was in it.
    Kept(PathBuf),
    /// Nothing, and the worktree was no more where it was made.
    Missing,
    /// All of it, since the worktree is not as it was made any more.
    Left,
}

impl Start {
    /// Says that it failed.
    fn failed(&self) -> String {
        let verb = match self.origin {
            Origin::New { .. } => "start",
            Origin::Archive(_) => "restore",
            Origin::Worktree => "adopt",
            Origin::Task(_) if self.has_agent() => "resume",
            Origin::Task(_) => "open a session for",
        };
        format!("could not {verb} '{}'", self.task.id)
    }

    /// Returns the refusal of a start of which nothing is left.
    pub(super) fn refusal(&self) -> Failure {
        Failure::new(match self.origin {
            Origin::New { .. } => self.failed() + "; nothing was left behind",
            Origin::Archive(_) => self.failed() + "; it can be restored still",
            Origin::Worktree => self.failed() + "; nothing was changed",
            Origin::Task(_) => self.failed(),
        })
    }

    /// Returns the refusal of a start that the user has interrupted, and of which nothing is left.
    pub(super) fn interruption(&self) -> Failure {
        let id = &self.task.id;
        Failure::declined(match self.origin {
            Origin::New { .. } => format!("interrupted; nothing is left of '{id}'"),
            Origin::Archive(_) => format!("interrupted; '{id}' can be restored still"),
            Origin::Worktree => "interrupted; nothing was changed".to_owned(),
            Origin::Task(_) => format!("interrupted; '{id}' is not running"),
        })
    }

    /// Returns the refusal of a start whose roll-back came to this.
    pub(super) fn refusal_after(&self, undone: Result<Undone>) -> Failure {
        let (what, worktree) = (self.failed(), shown(&self.task.worktree));
        let left = match undone {
            Ok(Undone::All) => return self.refusal(),
            Ok(Undone::Kept(path)) => {
                format!("; what was in its worktree is in '{}'", shown(&path))
            }
            Ok(Undone::Missing) => format!("; its worktree was not in '{worktree}' any more"),
            Ok(Undone::Left) => {
                let left = "; it is left as it is, since its worktree is not as it was made";
                let hint = format!("git flux status {}", self.task.id);
                return Failure::new(what + left).hint(hint);
            }
            Err(undo) => {
                let failure = Failure::new(format!("{what}, nor undo it: {undo:#}"));
                return match self.origin {
                    Origin::Task(_) => failure,
                    _ => failure.hint(AGAIN),
                };
            }
        };
        Failure::new(what + &left)
    }
}

const AGAIN: &str = "the next command that changes anything tries again: git flux cleanup";

#[cfg(test)]
mod tests;
