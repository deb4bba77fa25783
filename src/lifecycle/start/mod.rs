//! The one way up.

pub(crate) mod branch;
pub(crate) mod changes;
mod copies;
pub(crate) mod free;
pub(crate) mod launch;
pub(crate) mod ports;
pub(crate) mod setup;
pub(crate) mod trust;
pub(crate) mod watch;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Error, Result};

use crate::agent::Agent;
use crate::context::Flux;
use crate::failure::{self, DECLINED, Failure};
use crate::git::carry::Carried;
use crate::git::{Lock, Transaction, hide, keep, refs, tool_files, worktree};
use crate::interrupt;
use crate::lifecycle::archive::{Archived, tidy_up};
use crate::lifecycle::fate::{Worktree, has_strayed};
use crate::lifecycle::hook_effects;
use crate::lifecycle::pane::{find_shell, hang_up};
use crate::lifecycle::recover::settle;
use crate::lifecycle::teardown::descend;
use crate::run::RunDir;
use crate::run::launch::Ready;
use crate::store::{self, Store, task_ref};
use crate::system::disk::disk_full;
use crate::task::{Exit, Phase, Task};
use crate::tmux::Place;
use crate::tmux::open::Opened;
use crate::ui::{shown, word};
use copies::Copies;
use launch::{launch, none_runs, not_executed, taken_up};
use ports::Claim;
use trust::Init;

/// A task about to start: everything that can be settled is.
pub(crate) struct Start {
    pub(crate) task: Task,
    /// What the user asked for, kept in the record.
    pub(crate) description: Vec<u8>,
    /// What is to run in its pane.
    pub(crate) work: Work,
    pub(crate) place: Place,
    /// What makes its worktree ready, and starts its agent.
    pub(crate) ready: Ready,
    /// What of the repository's own runs before that.
    pub(crate) init: Option<Init>,
    /// Where it comes back from, if it was there before.
    pub(crate) from: Option<Archived>,
    /// What of the user's own goes along.
    pub(crate) carried: Option<Carried>,
    /// The branch of a remote that its branch is to follow.
    pub(crate) upstream: Option<String>,
}

impl Start {
    /// What it is called, and what is left of one that failed.
    fn came_to(&self) -> (&'static str, &'static str) {
        match self.from {
            Some(_) => ("restore", "it can be restored still"),
            None => ("start", "nothing was left behind"),
        }
    }
}

/// What runs in the pane of a task.
pub(crate) enum Work {
    /// An agent.
    Agent {
        agent: Agent,
        program: PathBuf,
        /// What it is told.
        prompt: Vec<u8>,
    },
    /// A shell, and no agent.
    Shell,
}

/// A task that has started.
pub(crate) struct Started {
    pub(crate) task: Task,
    pub(crate) opened: Opened,
    /// Why there is no agent, if it could not be executed.
    pub(crate) exit: Option<Exit>,
    /// When its launcher began, in seconds since 1970.
    pub(crate) since: Option<u64>,
}

/// Starts a task.
///
/// # Errors
/// When a step fails or the user interrupts. Then nothing is left behind, or the error says what is.
pub(crate) fn start(flux: &Flux, start: &mut Start) -> Result<Started> {
    let id = start.task.id.clone();
    let run = flux.run_dir(&id);
    let lock = flux.lock_task(&id)?;
    if let Some(from) = &start.from
        && let Err(error) = from.ensure_unchanged(flux)
    {
        flux.tidy_run(&id)?;
        return Err(error);
    }
    let claim = ports::claim(flux, &run, start.task.port);
    start.task.port = claim.as_ref().map(Claim::port);
    let start = &*start;
    let tip = match &start.from {
        Some(from) => &from.tip,
        None => start.task.start(),
    };
    let created = store::create(&flux.repo, &start.task, &start.description, tip, &lock);
    let oid = created.or_else(|error| {
        // The claim may be on another task of this id.
        claim.inspect(|claim| claim.give_back(&run));
        Err(taken(flux, &start.task, &lock, error)?)
    })?;
    let mut way = Way {
        flux,
        start,
        run: &run,
        lock: &lock,
        opened: None,
        copies: Copies::default(),
        registered: false,
    };
    match way.up() {
        Ok(()) => {}
        Err(cause) => return Err(way.back(&oid, cause)),
    }
    let (opened, since) = taken_up(flux, &start.task, &run, way.opened.take())?;
    let task = start.task.running_in(Some(opened.target.clone()));
    // From here on the agent may have done work: if this fails, the next command completes it.
    let also = Transaction::default();
    let also = start.from.iter().fold(also, |also, from| from.forget(also));
    if let Some(from) = &start.from {
        // Before the record: whoever completes it looks here as well, and nobody later.
        tidy_up(flux, from);
    }
    let advanced = store::advance(&flux.repo, &oid, &task, also, &lock);
    advanced.map_err(|error| {
        let full = disk_full(&error, &[flux.repo.common_dir()]);
        let failure = Failure::new(format!("'{id}' runs, but its record is not complete"));
        let failure = failure.hint(format!("git flux attach {id}"));
        error.context(full.into_iter().fold(failure, Failure::hint))
    })?;
    drop(lock);
    let exit = not_executed(&run)?;
    Ok(Started {
        task,
        opened,
        exit,
        since,
    })
}

/// Why the id could not be claimed. What another task of that id has stays untouched.
fn taken(flux: &Flux, task: &Task, lock: &Lock, error: Error) -> Result<Error> {
    let (record, branch) = (task_ref(&task.id), task.branch_ref());
    let existing = refs::list(flux.repo.home(), &[&record, &branch])?;
    if let Some(oid) = existing.get(&record) {
        // It may have been fetched just now.
        let store = Store::load(&flux.repo, &flux.settings)?;
        store.ensure_not_foreign(&flux.repo, task.id.as_str())?;
        let found = Task::from_json(&flux.repo.read_file(oid, store::RECORD)?)?;
        if found.phase != Phase::Starting {
            return Ok(exists(task.id.as_str()).into());
        }
        // The transaction failed half way, as it can on a full disk: the lock is
        // ours, so nobody else is at work on it.
        settle(flux, &found, lock)?;
    } else {
        flux.run_dir(&task.id).remove()?;
        if existing.contains_key(&branch) && !task.keeps_branch() {
            return Ok(branch_exists(&task.branch).into());
        }
    }
    let full = disk_full(&error, &[flux.repo.common_dir()]);
    let failure = Failure::new(format!(
        "could not start '{}'; nothing was left behind",
        task.id
    ));
    Ok(error.context(full.into_iter().fold(failure, Failure::hint)))
}

/// The refusal of an id that is taken.
pub(crate) fn exists(id: &str) -> Failure {
    Failure::new(format!("the task '{id}' exists already"))
        .hint(format!("git flux attach {id}"))
        .hint(format!("git flux cleanup {id}"))
}

/// The refusal of a branch that is taken.
pub(crate) fn branch_exists(branch: &str) -> Failure {
    Failure::new(format!("the branch '{branch}' exists already"))
        .hint("choose another id with --name")
        .hint(format!("git branch -d {}", word(branch)))
}

/// What has become of a task that did not start.
enum Undone {
    /// It is gone, but for its worktree, if that is kept in the trash.
    Gone(Option<PathBuf>),
    /// It is gone, and its worktree was no more where it was made.
    Missing,
    /// It is there, since its worktree is not as it was made any more.
    Left,
}

/// The steps up, and what they have made so far.
struct Way<'a> {
    flux: &'a Flux,
    start: &'a Start,
    run: &'a RunDir,
    lock: &'a Lock,
    opened: Option<Opened>,
    copies: Copies,
    registered: bool,
}

impl Way<'_> {
    fn up(&mut self) -> Result<()> {
        let (flux, task, lock) = (self.flux, &self.start.task, self.lock);
        interrupt::check()?;
        self.run.begin_again()?;
        if let Some(from) = self.start.from.as_ref().filter(|from| !from.foreign)
            && let Some(events) = flux.repo.find_file(&from.record, store::EVENTS)?
        {
            self.run.write_events(&events)?;
        }
        {
            let _guard = flux.lock_repo()?;
            let is_new = hide::is_dir_missing(&task.worktree);
            worktree::register(flux.repo.home(), &task.worktree, &task.branch, lock)?;
            self.registered = true;
            if let Err(error) = hide::hide(&task.worktree, is_new) {
                let path = shown(&task.worktree);
                flux.ui
                    .warning(format_args!("`git status` shows '{path}': {error:#}"));
            }
            if let Some(upstream) = &self.start.upstream {
                worktree::follow(flux.repo.home(), &task.branch, upstream, lock)?;
            }
            let from = self.start.from.as_ref().filter(|_| !task.keeps_branch());
            let kept = from.map_or(&[][..], Archived::config);
            store::write_config(&flux.repo, task, kept, lock)?;
        }
        interrupt::check()?;
        self.fill()?;
        if let Some(from) = &self.start.from {
            from.put_own(&flux.repo, lock)?;
        }
        interrupt::check()?;
        if !self.comes_back_whole() {
            self.copies.make(flux, task)?;
        }
        let start = self.start;
        let held = (self.run, lock);
        launch(
            flux,
            task,
            &start.work,
            (&start.ready, start.init.as_ref()),
            &start.place,
            held,
            &mut self.opened,
        )
    }

    /// Whether the worktree was kept as it was, ignored files too.
    fn comes_back_whole(&self) -> bool {
        let from = self.start.from.as_ref();
        from.is_some_and(|from| from.trash.is_some())
    }

    /// The files of the worktree: a checkout, or what was there before.
    fn fill(&self) -> Result<()> {
        let (flux, task, lock) = (self.flux, &self.start.task, self.lock);
        let place = self
            .start
            .from
            .as_ref()
            .and_then(|from| from.trash.as_ref());
        if let Some(place) = place {
            keep::put_back(flux.repo.common_dir(), &task.worktree, place)?;
        }
        // It may have brought some of its own.
        tool_files::link_keys(flux.repo.common_dir(), &task.worktree)?;
        if place.is_some() {
            return Ok(());
        }
        let checkout = flux.repo.checkout(&task.worktree)?;
        {
            let _spinner = flux.ui.spinner("checking out the files");
            worktree::fill(&checkout, lock)?;
        }
        interrupt::check()?;
        // Before the hook, whose files would be in the way.
        if let Some(snapshot) = self.start.from.as_ref().and_then(Archived::snapshot) {
            worktree::apply(&checkout, snapshot, lock)?;
            interrupt::check()?;
        }
        if let Some(carried) = &self.start.carried {
            carried.put(&checkout, lock)?;
            interrupt::check()?;
        }
        let head = match &self.start.from {
            Some(from) => &from.tip,
            None => task.start(),
        };
        hook_effects::post_checkout(flux, task, &checkout, head)
    }

    /// The way back after `cause`, and the error to show for it.
    fn back(&self, oid: &str, cause: Error) -> Error {
        let id = &self.start.task.id;
        let interrupted = interrupt::requested();
        interrupt::clear();
        let full = disk_full(
            &cause,
            &[&self.start.task.worktree, self.flux.repo.common_dir()],
        );
        let undone = self.undo(oid);
        let code = if interrupted { DECLINED } else { 1 };
        let (verb, whole) = self.start.came_to();
        let failure = match &undone {
            Ok(Undone::Gone(None)) if interrupted => {
                let left = match self.start.from {
                    Some(_) => format!("'{id}' can be restored still"),
                    None => format!("nothing is left of '{id}'"),
                };
                return Failure::declined(format!("interrupted; {left}")).into();
            }
            Ok(Undone::Gone(None)) => format!("could not {verb} '{id}'; {whole}"),
            Ok(Undone::Gone(Some(path))) => {
                let path = shown(path);
                format!("could not {verb} '{id}'; what was in its worktree is in '{path}'")
            }
            Ok(Undone::Missing) => {
                let path = shown(&self.start.task.worktree);
                format!("could not {verb} '{id}'; its worktree was not in '{path}' any more")
            }
            Ok(Undone::Left) => format!(
                "could not {verb} '{id}'; it is left as it is, since its worktree is not as it was made"
            ),
            Err(undo) => format!("could not {verb} '{id}', nor undo it: {undo:#}"),
        };
        let failure = full.into_iter().fold(Failure::new(failure), Failure::hint);
        let failure = match undone {
            Ok(Undone::Left) => failure.hint(format!("git flux status {id}")),
            Err(_) => {
                failure.hint("the next command that changes anything tries again: git flux cleanup")
            }
            Ok(_) => failure,
        };
        failure::over(cause, failure.code(code))
    }

    fn undo(&self, oid: &str) -> Result<Undone> {
        let task = &self.start.task;
        // If the agent has been there, what it did in that moment is kept.
        self.run.withdraw()?;
        let opened = self.opened.as_ref().map(|opened| opened.target.clone());
        // tmux may have made a pane and said that it failed.
        let opened = match self.start.work {
            Work::Shell if opened.is_none() => find_shell(self.flux, task)?,
            _ => opened,
        };
        hang_up(self.run, opened.as_ref())?;
        if self.registered && self.start.from.is_none() && has_strayed(self.flux, task)? {
            if self.run.exit()?.is_none() {
                self.run.write_exit(&none_runs())?;
            }
            let left = task.running_in(None);
            let also = Transaction::default();
            store::advance(&self.flux.repo, oid, &left, also, self.lock)?;
            return Ok(Undone::Left);
        }
        let there = fs::exists(&task.worktree).context("could not look at the worktree")?;
        self.copies.take_back(&task.worktree);
        let how = match &self.start.from {
            Some(from) => Worktree::unrestored(self.flux, task, &from.name, Some(from))?,
            None => Worktree::unstarted(self.flux, task)?,
        };
        let branch = task.branch_ref();
        let tip = refs::list(self.flux.repo.home(), &[&branch])?.remove(&branch);
        let kept = descend(self.flux, task, oid, tip.as_deref(), &how, self.lock)?;
        Ok(match self.opened.is_some() && !there {
            true => Undone::Missing,
            false => Undone::Gone(kept.worktree),
        })
    }
}
