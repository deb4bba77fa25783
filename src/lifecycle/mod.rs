//! How a task comes to be and ceases to be.
//!
//! There is one way up, [`start`], and one way down, [`descend`]. The record is
//! written before anything else of a task exists and removed after everything
//! else is gone, so whatever a crash leaves behind has a record that says so.
//! Undoing a failed start, cleaning up and recovering from a crash are the same
//! descent.

pub(crate) mod merge;
pub(crate) mod observe;
pub(crate) mod plan;
pub(crate) mod recover;
pub(crate) mod remove;
pub(crate) mod start;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;

use crate::agent::launch::RunDir;
use crate::git::{Lock, Repo, Transaction, refs, worktree};
use crate::settings::Settings;
use crate::store::{self, base_ref, task_ref};
use crate::task::{Target, Task, TaskId};
use crate::tmux::pane;
use crate::tmux::target::session_name;
use crate::ui::Ui;

/// What every command has in hand.
pub(crate) struct Flux {
    pub(crate) repo: Repo,
    pub(crate) settings: Settings,
    pub(crate) ui: Ui,
}

impl Flux {
    /// Opens the repository the user stands in, and its configuration.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn open(ui: Ui) -> Result<Self> {
        let repo = Repo::open()?;
        let settings = Settings::load(repo.current().unwrap_or(repo.common_dir()))?;
        Ok(Self { repo, settings, ui })
    }

    pub(crate) fn run_dir(&self, id: &TaskId) -> RunDir {
        RunDir(self.repo.run_dir(id))
    }

    /// The lock of one task, for the whole of its start or removal.
    ///
    /// # Errors
    /// On interruption.
    pub(crate) fn lock_task(&self, id: &TaskId) -> Result<Lock> {
        Lock::acquire(&self.run_dir(id).lock(), || {
            self.ui.status(format_args!(
                "waiting for another git flux that works on '{id}' …"
            ));
        })
    }

    /// The repository's lock, for what git cannot do side by side.
    ///
    /// # Errors
    /// On interruption.
    pub(crate) fn lock_repo(&self) -> Result<Lock> {
        Lock::acquire(&self.repo.flux_dir().join("lock"), || {
            self.ui.status("waiting for another git flux …");
        })
    }

    /// The lock that whoever moves a target branch holds, so that of many merges
    /// one after the other finds the branch where it looked.
    ///
    /// # Errors
    /// On interruption.
    pub(crate) fn lock_merge(&self) -> Result<Lock> {
        Lock::acquire(&self.repo.flux_dir().join("merge"), || {
            self.ui.status("waiting for another merge …");
        })
    }

    /// A place for what is removed, used by nobody yet.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(crate) fn trash_for(&self, id: &TaskId) -> Result<PathBuf> {
        let trash = self.repo.flux_dir().join("trash");
        fs::create_dir_all(&trash)
            .with_context(|| format!("could not make '{}'", trash.display()))?;
        for place in self.places(id) {
            match fs::create_dir(&place) {
                Ok(()) => return Ok(place),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => {
                    return Err(error)
                        .with_context(|| format!("could not make '{}'", place.display()));
                }
            }
        }
        bail!("the trash is full")
    }

    /// Where in the trash a task may be: `<id>`, `<id>.1` … No id has a dot.
    fn places(&self, id: &TaskId) -> impl Iterator<Item = PathBuf> {
        let trash = self.repo.flux_dir().join("trash");
        names(id).map(move |name| trash.join(name))
    }

    /// Where a command that was killed has moved the task's worktree, if it has.
    pub(crate) fn moved_to(&self, task: &Task) -> Option<PathBuf> {
        let places = self.places(&task.id).take_while(|place| place.exists());
        let moved =
            |place: &PathBuf| worktree::was_moved_to(self.repo.common_dir(), &task.worktree, place);
        places.filter(moved).last()
    }
}

/// What the descent does with the worktree.
pub(crate) enum Worktree {
    /// Moves it to the trash, whole.
    Keep,
    /// It was moved here by a command that was killed: git forgets it.
    Moved(PathBuf),
    /// Deletes it: nothing but a checkout of our own was ever in it.
    Discard,
}

/// What a descent left for whoever wants it back.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    /// The name below `refs/flux/archive`.
    pub(crate) archive: Option<String>,
    /// Where the worktree was moved to.
    pub(crate) worktree: Option<PathBuf>,
}

/// The one way down: worktree, configuration, then branch, base and record in
/// one transaction that keeps what they stood at below `refs/flux/archive`.
/// What is gone already is no error. The agent has ended, and `lock` is the task's.
///
/// Returns what was kept, and where.
///
/// # Errors
/// When a step fails; the record is still there then, and says so.
pub(crate) fn descend(
    flux: &Flux,
    task: &Task,
    oid: &str,
    tip: Option<&str>,
    how: &Worktree,
    lock: &Lock,
) -> Result<Kept> {
    let repo = &flux.repo;
    let mut kept = None;
    {
        let guard = flux.lock_repo()?;
        match how {
            Worktree::Discard => worktree::forget(repo.home(), &task.worktree, &guard)?,
            Worktree::Moved(trash) => {
                worktree::forget(repo.home(), &task.worktree, &guard)?;
                kept = Some(trash.clone());
            }
            Worktree::Keep => {
                let trash = flux.trash_for(&task.id)?;
                if worktree::trash(repo.common_dir(), &task.worktree, &trash, &guard)? {
                    kept = Some(trash);
                } else {
                    fs::remove_dir_all(&trash).context("could not remove an unused directory")?;
                }
            }
        }
        clear_scratch(flux, &task.id, &guard)?;
        store::remove_config(repo, &task.branch, &guard)?;
    }
    let name = conclude(
        flux,
        task,
        oid,
        tip,
        !matches!(how, Worktree::Discard),
        lock,
    )?;
    flux.run_dir(&task.id).remove()?;
    Ok(Kept {
        archive: name,
        worktree: kept,
    })
}

/// Deletes branch, base and record in one transaction. With `always`, or if the
/// branch has commits of its own, what they stood at is kept in the archive;
/// returns the name it has there.
fn conclude(
    flux: &Flux,
    task: &Task,
    oid: &str,
    tip: Option<&str>,
    always: bool,
    lock: &Lock,
) -> Result<Option<String>> {
    let dir = flux.repo.common_dir();
    let tip_kept = tip.filter(|tip| always || *tip != task.base);
    let mut name = task.id.to_string();
    loop {
        let archive = |part| format!("refs/flux/archive/{name}/{part}");
        let mut refs = Transaction::default();
        if let Some(tip) = tip_kept {
            refs = refs
                .create(&archive("tip"), tip)
                .create(&archive("base"), &task.base)
                .create(&archive("task"), oid);
        }
        if let Some(tip) = tip {
            refs = refs.delete(&task.branch_ref(), tip);
        }
        let done = refs
            .delete(&base_ref(&task.id), &task.base)
            .delete(&task_ref(&task.id), oid)
            .commit(dir, &format!("flux cleanup: {}", task.id), lock);
        let Err(error) = done else {
            return Ok(tip_kept.map(|_| name));
        };
        // An earlier task of the same id may be in the archive: it stays.
        let next = free_name(dir, &task.id)?;
        if next == name {
            return Err(error);
        }
        name = next;
    }
}

/// `<id>`, `<id>.1` …
fn names(id: &TaskId) -> impl Iterator<Item = String> {
    let id = id.to_string();
    (0..u32::MAX).map(move |n| {
        if n == 0 {
            id.clone()
        } else {
            format!("{id}.{n}")
        }
    })
}

/// The first name that the archive does not have.
fn free_name(dir: &Path, id: &TaskId) -> Result<String> {
    let taken = refs::list(dir, &["refs/flux/archive".to_owned()])?;
    let free = |name: &String| {
        let prefix = format!("refs/flux/archive/{name}/");
        taken.iter().all(|r| !r.name.starts_with(&prefix))
    };
    names(id).find(free).context("the archive is full")
}

/// Removes what a killed command left of a merge. The caller holds the repository's lock.
fn clear_scratch(flux: &Flux, id: &TaskId, lock: &Lock) -> Result<()> {
    let scratch = flux.run_dir(id).scratch();
    if scratch.exists() {
        worktree::clear(flux.repo.home(), &scratch, lock)
    } else {
        Ok(())
    }
}

/// The pane whose process is the launcher that left its mark.
///
/// # Errors
/// When it is not known what runs.
pub(crate) fn find_target(flux: &Flux, task: &Task) -> Result<Option<Target>> {
    let Some(running) = flux.run_dir(&task.id).running()? else {
        return Ok(None);
    };
    let session = session_name(&flux.repo.project(), &task.id);
    let panes = pane::list(None)?;
    Ok(panes
        .iter()
        .find_map(|pane| pane.run_by(running.launcher, &session)))
}

/// Asks the launcher to end its agent and itself, and waits until it has.
///
/// # Errors
/// When it does not.
pub(crate) fn hang_up(run: &RunDir) -> Result<()> {
    if let Some(running) = run.running()?
        && running.alive()
    {
        signal::kill(Pid::from_raw(running.launcher), Signal::SIGHUP).ok();
    }
    await_end(run, Duration::from_secs(15))
}

/// Closes the task's pane if it is still the one that was made, and waits for
/// the launcher in it to end. A pane that is somebody else's by now is left alone.
///
/// # Errors
/// When it is not known what runs, or the agent does not end.
pub(crate) fn close(target: &Target, run: &RunDir) -> Result<()> {
    let panes = pane::list(Some(&target.socket))?;
    if panes.iter().any(|pane| pane.is(target)) {
        pane::kill(target)?;
    }
    await_end(run, Duration::from_secs(15))
}

/// Waits until the launcher has ended, if it ever ran.
///
/// # Errors
/// When it is still alive after `patience`.
pub(crate) fn await_end(run: &RunDir, patience: Duration) -> Result<()> {
    let begun = Instant::now();
    while let Some(running) = run.running()? {
        if !running.alive() {
            break;
        }
        if begun.elapsed() > patience {
            bail!(
                "the agent does not end (process {})",
                running.agent.unwrap_or(running.launcher)
            );
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}
