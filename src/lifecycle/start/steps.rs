//! A start under way: its steps, as they follow from what there is already.

use std::ffi::OsStr;
use std::fs::File;
use std::path::Path;

use anyhow::{Context as _, Result};
use strum::{EnumIter, IntoEnumIterator as _};

use super::copies::Copies;
use super::launch::{self, none_runs};
use super::plan::{NewPane, Origin, Start};
use super::watch;
use crate::context::Flux;
use crate::git::{Lock, ObjectId, exclude, tool_files, trash, worktree};
use crate::interrupt;
use crate::lifecycle::archive::Archived;
use crate::lifecycle::hook_effects;
use crate::run::RunDir;
use crate::run::launch::Running;
use crate::store;
use crate::system::program::ourselves;
use crate::task::Exit;
use crate::tmux::open::{Opened, PaneProgram};
use crate::tmux::target::Place;
use crate::ui::shown;

/// A step of a start. The record is there before the first, and is completed after the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter)]
pub(super) enum Step {
    /// Forgets an earlier run of the task, but for what has happened in it.
    ForgetRun,
    /// Registers the worktree, and configures the branch.
    Register,
    /// Configures the branch of a worktree that is there.
    Configure,
    /// Checks the files out, or puts them back.
    Fill,
    /// Puts back the refs that the worktree had for itself.
    PutRefsBack,
    /// Copies what git does not carry.
    Copy,
    /// Notes that no agent runs.
    NoteNoAgent,
    /// Opens the pane, and waits until its agent has started.
    OpenPane,
}

impl Start {
    /// Returns the steps of this start, in their order.
    pub(super) fn steps(&self) -> Vec<Step> {
        let mut steps: Vec<Step> = Step::iter().collect();
        steps.retain(|step| self.has(*step));
        steps
    }

    fn has(&self, step: Step) -> bool {
        let is_made = matches!(self.origin, Origin::New { .. } | Origin::Archive(_));
        let is_again = matches!(self.origin, Origin::Task(_));
        match step {
            // How an agent has ended stays known as long as no other starts.
            Step::ForgetRun => is_made || is_again && self.has_agent(),
            Step::Register | Step::Fill => is_made,
            Step::Configure => matches!(self.origin, Origin::Worktree),
            Step::PutRefsBack => self.archived().is_some(),
            // The ignored files of a worktree in the trash come back with it.
            Step::Copy => is_made && self.archived().is_none_or(|from| from.trash.is_none()),
            Step::NoteNoAgent => !is_again && !self.has_agent(),
            Step::OpenPane => self.pane.is_some(),
        }
    }
}

/// A start under way, under the task's lock.
pub(super) struct StartTransaction<'a> {
    pub(super) flux: &'a Flux,
    pub(super) start: &'a Start,
    /// The record's object.
    pub(super) record: ObjectId,
    pub(super) lock: Lock,
    pub(super) run: RunDir,
    pub(super) begun: Vec<Step>,
    /// The marks of an earlier run.
    pub(super) earlier: Option<(Option<Running>, Option<Exit>)>,
    pub(super) copies: Copies,
    pub(super) opened: Option<Opened>,
}

impl StartTransaction<'_> {
    /// Makes one step. What it has made when it fails is undone by the way back.
    ///
    /// # Errors
    /// When it fails, or the user interrupts.
    pub(super) fn make(&mut self, step: Step) -> Result<()> {
        interrupt::check()?;
        self.begun.push(step);
        let (flux, start) = (self.flux, self.start);
        match step {
            Step::ForgetRun => self.forget_run(),
            Step::Register => self.register(),
            Step::Configure => {
                let _guard = flux.lock_repo()?;
                store::write_config(&flux.repo, &start.task, &[], &self.lock)
            }
            Step::Fill => self.fill(),
            Step::PutRefsBack => match start.archived() {
                Some(from) => from.put_own(&flux.repo, &self.lock),
                None => Ok(()),
            },
            Step::Copy => self.copies.make(flux, &start.task),
            Step::NoteNoAgent => self.run.write_exit(&none_runs()),
            Step::OpenPane => start.pane.as_ref().map_or(Ok(()), |pane| self.open(pane)),
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
        let is_new = exclude::is_dir_missing(&task.worktree);
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

    /// Puts back what was kept of a worktree in the trash, or checks its files out: then with what was
    /// uncommitted, and what of the user's goes along.
    fn fill(&self) -> Result<()> {
        let (flux, start, lock) = (self.flux, self.start, &self.lock);
        let (common, path) = (flux.repo.common_dir(), &start.task.worktree);
        let from = start.archived();
        let trash = from.and_then(|from| from.trash.as_ref());
        if let Some(trash) = trash {
            trash::restore(common, path, trash)?;
        }
        // It may have brought some of its own.
        tool_files::link_crypt_keys(common, path)?;
        if trash.is_some() {
            return Ok(());
        }
        let checkout = flux.repo.checkout(path)?;
        let spinner = flux.ui.spinner("checking out the files");
        worktree::check_out_files(&checkout, lock)?;
        drop(spinner);
        interrupt::check()?;
        // Before the hook, whose files would be in the way.
        if let Some(snapshot) = from.and_then(Archived::snapshot) {
            worktree::apply(&checkout, snapshot, lock)?;
        }
        if let Origin::New { carried, .. } = &start.origin
            && let Some(carried) = carried
        {
            carried.apply(&checkout, lock)?;
        }
        interrupt::check()?;
        hook_effects::post_checkout(flux, &start.task, &checkout, start.tip())
    }

    /// Opens the pane, and waits until what is to run in it does.
    fn open(&mut self, pane: &NewPane) -> Result<()> {
        let (flux, task) = (self.flux, &self.start.task);
        let Some(agent) = &pane.agent else {
            let directory = launch::directory(task);
            let directory = directory.as_ref().unwrap_or(&task.worktree);
            self.opened = Some(self.open_place(&pane.place, "__shell", directory)?);
            return Ok(());
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
}
