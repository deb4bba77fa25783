//! A start under way: its steps, and the one way back.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::Path;

use anyhow::{Context as _, Error, Result};

use super::copies::Copies;
use super::launch::{self, none_runs, not_executed};
use super::plan::{NewPane, Origin, Start, Started, Work};
use super::steps::Step;
use super::undone::Undone;
use super::{files, watch};
use crate::context::Flux;
use crate::failure::{self, DECLINED, Failure};
use crate::git::{Lock, ObjectId, Transaction, hide, refs, worktree};
use crate::interrupt;
use crate::lifecycle::archive::Archived;
use crate::lifecycle::archive::delete::tidy_up;
use crate::lifecycle::fate::{Worktree, has_strayed};
use crate::lifecycle::pane::{find_shell, find_target, hang_up};
use crate::lifecycle::teardown::Teardown;
use crate::run::RunDir;
use crate::run::launch::Running;
use crate::store;
use crate::system::clock::in_seconds;
use crate::system::disk::disk_full;
use crate::system::program::ourselves;
use crate::task::{Exit, Task};
use crate::tmux::open::{Opened, PaneProgram};
use crate::tmux::target::Place;
use crate::ui::shown;

/// A start under way, under the task's lock.
pub(super) struct StartTransaction<'a> {
    flux: &'a Flux,
    start: &'a Start,
    /// The record's object.
    record: ObjectId,
    lock: Lock,
    run: RunDir,
    begun: Vec<Step>,
    /// The marks of an earlier run.
    earlier: Option<(Option<Running>, Option<Exit>)>,
    copies: Copies,
    opened: Option<Opened>,
}

/// A start that is complete.
pub(in crate::lifecycle) struct Complete {
    task: Task,
    pub(in crate::lifecycle) opened: Option<Opened>,
    since: Option<u64>,
    run: RunDir,
}

impl Complete {
    /// Returns the task with its pane.
    ///
    /// # Errors
    /// When what the launcher left cannot be read.
    pub(in crate::lifecycle) fn started(self) -> Result<Started> {
        Ok(Started {
            task: self.task,
            opened: self.opened.context("the pane was not opened")?,
            exit: not_executed(&self.run)?,
            since: self.since,
        })
    }
}

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

    /// Makes each step, and completes the record.
    ///
    /// # Errors
    /// When a step fails or the user interrupts. Then it is as it was before, or the error says what is left.
    pub(super) fn run(mut self) -> Result<Complete> {
        for step in self.start.steps() {
            if let Err(cause) = self.make(step) {
                return Err(self.fail(cause));
            }
        }
        let since = self.confirm_pane()?;
        match self.complete() {
            Ok(task) => Ok(Complete {
                task,
                opened: self.opened,
                since,
                run: self.run,
            }),
            // The agent may have done work: the next command completes it.
            Err(cause) if self.start.has_agent() || self.start.archived().is_some() => {
                Err(self.incomplete(cause))
            }
            Err(cause) => Err(self.fail(cause)),
        }
    }

    /// Makes one step. What it has made when it fails is undone by the way back.
    ///
    /// # Errors
    /// When it fails, or the user interrupts.
    pub(super) fn make(&mut self, step: Step) -> Result<()> {
        interrupt::check()?;
        self.begun.push(step);
        match step {
            Step::ForgetRun => self.forget_run(),
            Step::Register => self.register(),
            Step::Configure => {
                let _guard = self.flux.lock_repo()?;
                store::write_config(&self.flux.repo, &self.start.task, &[], &self.lock)
            }
            Step::Fill => files::fill(self.flux, self.start, &self.lock),
            Step::PutRefsBack => {
                let from = self.start.archived();
                from.map_or(Ok(()), |from| from.put_own(&self.flux.repo, &self.lock))
            }
            Step::Copy => self.copies.make(self.flux, &self.start.task),
            Step::NoteNoAgent => self.run.write_exit(&none_runs()),
            Step::OpenPane => match &self.start.pane {
                Some(pane) => self.open(pane),
                None => Ok(()),
            },
        }
    }

    fn forget_run(&mut self) -> Result<()> {
        if let Origin::Task(_) = self.start.origin {
            self.earlier = Some((self.run.running()?, self.run.exit()?));
        }
        self.run.begin_again()?;
        if let Some(from) = self.start.archived().filter(|from| !from.foreign)
            && let Some(events) = self.flux.repo.find_file(&from.record, store::EVENTS)?
        {
            self.run.write_events(&events)?;
        }
        Ok(())
    }

    fn register(&self) -> Result<()> {
        let (flux, task, lock) = (self.flux, &self.start.task, &self.lock);
        let _guard = flux.lock_repo()?;
        let is_new = hide::is_dir_missing(&task.worktree);
        worktree::register(flux.repo.home(), &task.worktree, &task.branch, lock)?;
        if let Err(error) = hide::hide(&task.worktree, is_new) {
            let path = shown(&task.worktree);
            flux.ui
                .warning(format_args!("`git status` shows '{path}': {error:#}"));
        }
        if let Origin::New {
            upstream: Some(upstream),
            ..
        } = &self.start.origin
        {
            worktree::follow(flux.repo.home(), &task.branch, upstream, lock)?;
        }
        let from = self.start.archived().filter(|_| !task.keeps_branch());
        let kept = from.map_or(&[][..], Archived::config);
        store::write_config(&flux.repo, task, kept, lock)
    }

    /// Opens the pane, and waits until what is to run in it does.
    fn open(&mut self, pane: &NewPane) -> Result<()> {
        let (flux, task) = (self.flux, &self.start.task);
        let directory = launch::directory(task);
        let agent = match &pane.work {
            Work::Shell => {
                let directory = directory.as_ref().unwrap_or(&task.worktree);
                self.opened = Some(self.open_place(&pane.place, "__shell", directory)?);
                return Ok(());
            }
            Work::Agent(agent) => agent,
        };
        launch::warn_of_directory(flux, task);
        let launch = launch::prepare(flux, task, pane, agent)?;
        self.run.write_launch(&launch, &agent.prompt)?;
        let request = File::open(self.run.launch()).context("could not read the launch file")?;
        interrupt::check()?;
        let opened = self.open_place(&pane.place, "__run", &self.run.launch())?;
        launch::warn_of_end(flux, &opened);
        let opened = self.opened.insert(opened);
        watch::until_started(flux, &task.id, &request, opened)
    }

    /// Opens a place in which git flux itself runs with these arguments.
    fn open_place(&self, place: &Place, verb: &str, about: &Path) -> Result<Opened> {
        let (task, launcher) = (&self.start.task, ourselves()?);
        place.open(&PaneProgram {
            task: &task.id,
            repo: self.flux.repo.common_dir(),
            dir: &task.worktree,
            argv: [launcher.as_os_str(), OsStr::new(verb), about.as_os_str()],
            lock: &self.lock,
        })
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
            tidy_up(self.flux, from);
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
            self.put_marks_back()?;
            return Ok(Undone::All);
        }
        // A hook, the setup or the agent may have done that.
        if matches!(self.start.origin, Origin::New { .. })
            && self.begun.contains(&Step::Fill)
            && has_strayed(flux, task)?
        {
            self.leave()?;
            return Ok(Undone::Left);
        }
        let is_there = fs::exists(&task.worktree).context("could not look at the worktree")?;
        self.copies.take_back(&task.worktree);
        let worktree = match &self.start.origin {
            Origin::Archive(from) => Worktree::unrestored(flux, task, &from.name, Some(from))?,
            _ => Worktree::unstarted(flux, task)?,
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

    /// Puts the marks of the earlier run back.
    fn put_marks_back(&self) -> Result<()> {
        let Some((running, exit)) = &self.earlier else {
            return Ok(());
        };
        self.run.begin_again()?;
        if let Some(running) = running {
            self.run.write_running(running)?;
        }
        exit.as_ref()
            .map_or(Ok(()), |exit| self.run.write_exit(exit))
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

#[cfg(test)]
mod tests;
