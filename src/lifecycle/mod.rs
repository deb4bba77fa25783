//! How a task comes to be and ceases to be.
//!
//! There is one way up, [`start`], and one way down, [`descend`]. The record is
//! written before anything else of a task exists and removed after everything
//! else is gone, so whatever a crash leaves behind has a record that says so.
//! Undoing a failed start, cleaning up and recovering from a crash are the same
//! descent.

pub(crate) mod archive;
pub(crate) mod into;
pub(crate) mod merge;
pub(crate) mod observe;
pub(crate) mod plan;
pub(crate) mod recover;
pub(crate) mod remove;
pub(crate) mod start;

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

pub(crate) use into::Into;

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;

use crate::agent::launch::RunDir;
use crate::failure::Failure;
use crate::git::{Lock, Repo, admin, worktree};
use crate::settings::Settings;
use crate::store;
use crate::task::{Target, Task, TaskId};
use crate::tmux::pane;
use crate::tmux::target::session_name;
use crate::ui::{Ui, quoted, shown};

/// How long a launcher may take to end its agent and itself.
const PATIENCE: Duration = Duration::from_secs(15);

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

    /// Where removed worktrees lie: `<git-common-dir>/flux/trash`.
    pub(crate) fn trash(&self) -> PathBuf {
        self.repo.flux_dir().join("trash")
    }

    /// Whether the directory at `path` cannot be moved to the trash, because a file
    /// system or a mount lies between. Two mounts of one file system have the same
    /// device, so a move of nothing is tried: mounts are compared before names.
    ///
    /// # Errors
    /// When it cannot be told.
    pub(crate) fn is_abroad(&self, path: &Path) -> Result<bool> {
        let trash = self.trash();
        let there = if trash.exists() {
            trash
        } else {
            self.repo.flux_dir()
        };
        let device = |path: &Path| path.metadata().map(|metadata| metadata.dev());
        if device(path)? != device(&there)? {
            return Ok(true);
        }
        let nothing = "flux-no-such-file";
        let moved = fs::rename(path.join(nothing), there.join(nothing));
        Ok(moved.is_err_and(|error| error.kind() == io::ErrorKind::CrossesDevices))
    }

    /// A place for what is removed, used by nobody yet.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(crate) fn trash_for(&self, id: &TaskId) -> Result<PathBuf> {
        let trash = self.trash();
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
        let trash = self.trash();
        archive::names(id).map(move |name| trash.join(name))
    }

    /// Where a command that was killed has moved the task's worktree, if it has.
    ///
    /// # Errors
    /// When it cannot be told.
    pub(crate) fn moved_to(&self, task: &Task) -> Result<Option<PathBuf>> {
        let mut found = None;
        for place in self.places(&task.id).take_while(|place| place.exists()) {
            if admin::was_moved_to(self.repo.common_dir(), &task.worktree, &place)? {
                found = Some(place);
            }
        }
        Ok(found)
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
    /// What is at its path, if anything, is somebody else's.
    Foreign,
}

impl Worktree {
    /// What becomes of the worktree of a task that did not start: what others
    /// put there, or may have put there, is kept.
    ///
    /// # Errors
    /// When it cannot be told whose it is.
    pub(crate) fn unstarted(flux: &Flux, task: &Task) -> Result<Self> {
        if !is_registered(flux, task)? {
            return Ok(Self::Foreign);
        }
        let there = fs::exists(&task.worktree).context("could not look at the worktree")?;
        let untouched =
            !there || worktree::is_untouched(&task.worktree, &task.base).unwrap_or(false);
        Ok(if untouched { Self::Discard } else { Self::Keep })
    }

    /// What becomes of the worktree of a task that was not restored: it goes back
    /// to where it came from. One that was made from the archive alone is kept if
    /// it has files, since nobody can tell whose.
    ///
    /// # Errors
    /// When it cannot be told whose it is, or not be moved.
    pub(crate) fn unrestored(flux: &Flux, task: &Task, name: &str) -> Result<Self> {
        if !is_registered(flux, task)? {
            return Ok(Self::Foreign);
        }
        let place = flux.trash().join(name);
        let exists = |path: &Path| fs::exists(path).context("could not look at the worktree");
        if !exists(&task.worktree)? {
            return Ok(Self::Discard);
        }
        if exists(&place.join("worktree"))? {
            // Registered, and no more: nothing but git's own file is in it.
            let mut entries =
                fs::read_dir(&task.worktree).context("could not look at the worktree")?;
            let empty = entries.all(|entry| entry.is_ok_and(|entry| entry.file_name() == ".git"));
            return Ok(if empty { Self::Discard } else { Self::Keep });
        }
        if exists(&place)? {
            fs::rename(&task.worktree, place.join("worktree"))
                .context("could not move the worktree back to the trash")?;
            return Ok(Self::Discard);
        }
        Self::unstarted(flux, task)
    }
}

/// Whether git has a worktree at the task's path, with the task's branch.
///
/// # Errors
/// When the branch is checked out at another place: it must not be deleted then.
pub(crate) fn is_registered(flux: &Flux, task: &Task) -> Result<bool> {
    let entries = worktree::list(flux.repo.home())?;
    ensure_not_elsewhere(&entries, task)?;
    let ours =
        |entry: &worktree::Worktree| entry.path == task.worktree && entry.is_of(&task.branch_ref());
    Ok(entries.iter().any(ours))
}

/// # Errors
/// When the task's branch is checked out in another worktree than the task's.
pub(crate) fn ensure_not_elsewhere(entries: &[worktree::Worktree], task: &Task) -> Result<()> {
    let branch = task.branch_ref();
    let elsewhere = entries
        .iter()
        .find(|entry| entry.path != task.worktree && entry.branch.as_ref() == Some(&branch));
    let Some(entry) = elsewhere else {
        return Ok(());
    };
    let place = quoted(&entry.path);
    Err(Failure::new(format!(
        "the branch '{}' is checked out in '{}'",
        task.branch,
        shown(&entry.path)
    ))
    .hint(format!(
        "if that is the task's: git worktree move {place} {}",
        quoted(&task.worktree)
    ))
    .hint(format!("if it is yours: git -C {place} switch --detach"))
    .into())
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
            Worktree::Foreign => {}
            Worktree::Discard => worktree::forget(repo.home(), &task.worktree, &guard)?,
            Worktree::Moved(trash) => {
                if is_registered(flux, task)? {
                    worktree::forget(repo.home(), &task.worktree, &guard).with_context(|| {
                        let path = quoted(&task.worktree);
                        format!("something is at the place of the removed worktree; move it away: mv {path} {path}.away")
                    })?;
                }
                kept = Some(trash.clone());
            }
            Worktree::Keep => {
                let trash = flux.trash_for(&task.id)?;
                if worktree::trash(repo.common_dir(), &task.worktree, tip, &trash, &guard)? {
                    kept = Some(trash);
                } else {
                    fs::remove_dir_all(&trash).context("could not remove an unused directory")?;
                }
            }
        }
        clear_scratch(flux, &task.id, &guard)?;
        store::remove_config(repo, &task.branch, &guard)?;
    }
    let wanted = kept.as_deref().and_then(archive::name_of);
    let always = !matches!(how, Worktree::Discard | Worktree::Foreign);
    let name = archive::conclude(flux, task, oid, tip, wanted.clone(), always, lock)?;
    if let (Some(place), Some(name)) = (&kept, &name)
        && wanted.as_ref() != Some(name)
    {
        let renamed = place.with_file_name(name);
        fs::rename(place, &renamed).context("could not name a worktree in the trash")?;
        kept = Some(renamed);
    }
    flux.run_dir(&task.id).remove()?;
    Ok(Kept {
        archive: name,
        worktree: kept,
    })
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
    await_end(run)
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
    await_end(run)
}

/// Waits until the launcher has ended, if it ever ran.
///
/// # Errors
/// When it is still alive after [`PATIENCE`].
fn await_end(run: &RunDir) -> Result<()> {
    let begun = Instant::now();
    while let Some(running) = run.running()? {
        if !running.alive() {
            break;
        }
        if begun.elapsed() > PATIENCE {
            bail!(
                "the agent does not end (process {})",
                running.agent.unwrap_or(running.launcher)
            );
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}
