//! The steps of a start.

use std::ffi::OsStr;
use std::fs::File;
use std::path::Path;

use anyhow::{Context as _, Result};
use strum::{EnumIter, IntoEnumIterator as _};

use super::agent_launch::{self, not_started};
use super::copies::Copies;
use super::plan::{NewPane, Origin, Start};
use super::start_watch;
use crate::context::Flux;
use crate::git::{Lock, ObjectId, exclude, tool_files, trash, worktree};
use crate::interrupt;
use crate::lifecycle::archive::Archived;
use crate::lifecycle::state_dir::announce_pane;
use crate::lifecycle::{hook_effects, shared_config};
use crate::run::RunDir;
use crate::run::launch::Running;
use crate::store;
use crate::system::program::current_exe;
use crate::task::{Exit, RecordFile};
use crate::tmux::opened_pane::{OpenedPane, PaneProgram};
use crate::tmux::placement::Placement;
use crate::ui::shown;

/// A step of a start, after its record was written and before that is completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter)]
pub(super) enum Step {
    /// Resets the run directory, except its events.
    ResetRun,
    /// Registers the worktree, and configures the branch.
    Register,
    /// Configures the branch of an existing worktree.
    Configure,
    /// Checks the files out, or moves them back from the trash.
    CheckOut,
    /// Restores the per-worktree refs.
    RestoreRefs,
    /// Copies files that git does not track.
    CopyFiles,
    /// Records that no agent runs.
    RecordNoAgent,
    /// Opens the pane, and waits until its agent has started.
    OpenPane,
}

impl Start {
    /// Returns the steps of this start, in the order of execution. Runs none.
    pub(super) fn steps(&self) -> Vec<Step> {
        let mut steps: Vec<Step> = Step::iter().collect();
        steps.retain(|step| self.has_step(*step));
        steps
    }

    fn has_step(&self, step: Step) -> bool {
        let creates = matches!(self.origin, Origin::New { .. } | Origin::Archive(_));
        let exists = matches!(self.origin, Origin::Task(_));
        match step {
            // A shell keeps the exit status of the agent.
            Step::ResetRun => creates || exists && self.has_agent(),
            Step::Register | Step::CheckOut => creates,
            Step::Configure => matches!(self.origin, Origin::Worktree),
            Step::RestoreRefs => self.archived().is_some(),
            // A worktree from the trash has its ignored files.
            Step::CopyFiles => creates && self.archived().is_none_or(|from| from.trash.is_none()),
            Step::RecordNoAgent => !exists && !self.has_agent(),
            Step::OpenPane => self.pane.is_some(),
        }
    }
}

/// A start in progress, under the task's lock.
pub(super) struct StartTransaction<'a> {
    pub(super) flux: &'a Flux,
    pub(super) start: &'a Start,
    /// The record's object.
    pub(super) record: ObjectId,
    pub(super) lock: Lock,
    pub(super) run: RunDir,
    pub(super) begun: Vec<Step>,
    /// The run files of the previous run.
    pub(super) previous: Option<(Option<Running>, Option<Exit>)>,
    pub(super) copies: Copies,
    pub(super) opened: Option<OpenedPane>,
}

impl StartTransaction<'_> {
    /// Runs one step of the start, and notes it as begun. If the step fails, [`Self::roll_back`]
    /// undoes its part, too. Fails on ^C before the step begins.
    pub(super) fn run_step(&mut self, step: Step) -> Result<()> {
        interrupt::check()?;
        self.begun.push(step);
        let (flux, start) = (self.flux, self.start);
        match step {
            Step::ResetRun => self.reset_run(),
            Step::Register => self.register(),
            Step::Configure => {
                let _guard = flux.lock_repo()?;
                store::write_config(&flux.repo, &start.task, &[], &self.lock)
            }
            Step::CheckOut => self.check_out(),
            Step::RestoreRefs => match start.archived() {
                Some(from) => {
                    from.restore_own_refs(&flux.repo, &self.lock)?;
                    flux.restore_own_stash(from, &self.lock)?;
                    flux.restore_stash_notes(&from.task)
                }
                None => Ok(()),
            },
            Step::CopyFiles => self.copies.create(flux, &start.task),
            Step::RecordNoAgent => self.run.write_exit(&not_started()),
            Step::OpenPane => start.pane.as_ref().map_or(Ok(()), |pane| self.open(pane)),
        }
    }

    fn reset_run(&mut self) -> Result<()> {
        if let Origin::Task(_) = self.start.origin {
            self.previous = Some((self.run.running()?, self.run.exit()?));
        }
        self.run.reset()?;
        if let Some(from) = self.start.archived().filter(|from| !from.foreign)
            && let Some(events) = self.flux.repo.find_file(&from.record, RecordFile::Events)?
        {
            self.run.write_events(&events)?;
        }
        Ok(())
    }

    fn register(&self) -> Result<()> {
        let (flux, task, lock) = (self.flux, &self.start.task, &self.lock);
        let _guard = flux.lock_repo()?;
        let is_new = exclude::is_parent_missing(&task.worktree);
        worktree::register(flux.repo.home(), &task.worktree, &task.branch, lock)?;
        if let Err(error) = exclude::add(&task.worktree, is_new) {
            let path = shown(&task.worktree);
            flux.ui
                .warning(format_args!("`git status` shows '{path}': {error:#}"));
        }
        if let Origin::New { upstream, .. } = &self.start.origin
            && let Some(upstream) = upstream
        {
            worktree::set_upstream(flux.repo.home(), &task.branch, upstream, lock)?;
        }
        let from = self.start.archived().filter(|_| !task.keeps_branch());
        let kept = from.map_or(&[][..], Archived::config);
        store::write_config(&flux.repo, task, kept, lock)
    }

    /// Moves the worktree's files back from the trash; or checks them out, applies the archived or
    /// the user's uncommitted changes, and runs the `post-checkout` hook.
    fn check_out(&self) -> Result<()> {
        let (flux, start, lock) = (self.flux, self.start, &self.lock);
        let (common, path) = (flux.repo.common_dir(), &start.task.worktree);
        let from = start.archived();
        let trash = from.and_then(|from| from.trash.as_ref());
        if let Some(trash) = trash {
            trash::restore(common, path, trash)?;
        }
        // The trash may have contained other keys.
        tool_files::link_crypt_keys(common, path)?;
        if trash.is_some() {
            return Ok(());
        }
        let checkout = flux.repo.checkout(path)?;
        let spinner = flux.ui.spinner("checking out the files");
        worktree::check_out_files(&checkout, lock)?;
        drop(spinner);
        interrupt::check()?;
        // Before the hook, whose files could conflict.
        if let Some(snapshot) = from.and_then(Archived::snapshot) {
            worktree::apply_snapshot(&checkout, snapshot, lock)?;
        }
        if let Origin::New { carried, .. } = &start.origin
            && let Some(carried) = carried
        {
            carried.apply(&checkout, lock)?;
        }
        interrupt::check()?;
        hook_effects::run_post_checkout(flux, &start.task, &checkout, start.tip())
    }

    /// Opens the new pane, and waits until its agent has started; does not wait for a shell. Sets
    /// `opened` as soon as the pane exists.
    fn open(&mut self, pane: &NewPane) -> Result<()> {
        let (flux, task) = (self.flux, &self.start.task);
        let Some(agent) = &pane.agent else {
            let directory = agent_launch::agent_directory(task);
            let directory = directory.as_ref().unwrap_or(&task.worktree);
            self.opened = Some(self.open_program(&pane.place, "__shell", directory)?);
            return Ok(());
        };
        agent_launch::warn_of_missing_directory(flux, task);
        let launch = agent_launch::build_launch(flux, task, pane, agent)?;
        shared_config::write_copy(flux, &self.run);
        self.run.write_launch(&launch, &agent.prompt)?;
        let request = File::open(self.run.launch()).context("could not read the launch file")?;
        interrupt::check()?;
        let opened = self.open_program(&pane.place, "__run", &self.run.launch())?;
        agent_launch::warn_of_exit_unattached(flux, &opened);
        let opened = self.opened.insert(opened);
        start_watch::wait_until_started(flux, &task.id, &request, opened)
    }

    /// Opens a pane at `place` that runs `git flux <verb> <path>`, and announces it. Does not wait
    /// for the program.
    fn open_program(&self, place: &Placement, verb: &str, path: &Path) -> Result<OpenedPane> {
        let (task, launcher) = (&self.start.task, current_exe()?);
        let opened = place.open_pane(&PaneProgram {
            task: &task.id,
            repo: self.flux.repo.common_dir(),
            dir: &task.worktree,
            argv: [launcher.as_os_str(), OsStr::new(verb), path.as_os_str()],
            lock: &self.lock,
        })?;
        announce_pane();
        Ok(opened)
    }
}
