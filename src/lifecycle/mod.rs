//! How a task comes to be and ceases to be.
//!
//! There is one way up, [`start`], and one way down, [`descend`]. The record is
//! written before anything else of a task exists and removed after everything
//! else is gone, so whatever a crash leaves behind has a record that says so.
//! Undoing a failed start, cleaning up and recovering from a crash are the same
//! descent.

pub(crate) mod archive;
pub(crate) mod broken;
pub(crate) mod checked_out;
pub(crate) mod cleanup;
mod conclude;
mod copies;
mod disk;
pub(crate) mod elsewhere;
pub(crate) mod everywhere;
pub(crate) mod expire;
mod fate;
mod hook_effects;
pub(crate) mod launch;
pub(crate) mod leftovers;
pub(crate) mod observe;
pub(crate) mod other_machine;
pub(crate) mod owner;
pub(crate) mod ports;
pub(crate) mod ready;
pub(crate) mod recipient;
pub(crate) mod recover;
pub(crate) mod rejoin;
pub(crate) mod resume;
pub(crate) mod start;
pub(crate) mod stop;
mod trash;
pub(crate) mod tree;
pub(crate) mod trust;
pub(crate) mod watch;

use std::fs;
use std::iter;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use cleanup::scratch;
use conclude::Conclusion;
pub(crate) use fate::ensure_not_elsewhere;
use fate::{Worktree, is_registered};

use anyhow::{Context as _, Result};
use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;

use crate::agent::process;
use crate::agent::run::RunDir;
use crate::failure::Failure;
use crate::git::{Git, Lock, Repo, hide, keep, refs, worktree};
use crate::settings::Settings;
use crate::store;
use crate::task::{Target, Task, TaskId};
use crate::tmux::pane::{self, Pane};
use crate::tmux::target::session_name;
use crate::ui::{Ui, colour, quoted};

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
    /// When there is none, or something is configured that git flux does not know.
    pub(crate) fn open(ui: Ui) -> Result<Self> {
        let flux = Self::leniently(ui)?;
        flux.settings.ensure_known()?;
        Ok(flux)
    }

    /// The same, for what happens unasked: a key that is misspelt is said elsewhere.
    ///
    /// # Errors
    /// When there is no repository.
    pub(crate) fn leniently(ui: Ui) -> Result<Self> {
        let (repo, settings) = thread::scope(|scope| {
            // Where we stand is where the repository is found, unless the environment names
            // another: git reads its configuration meanwhile.
            let here = || Settings::load(Path::new("."));
            let settings = (!Git::is_directed()).then(|| scope.spawn(here));
            (Repo::open(), settings.map(|settings| settings.join()))
        });
        let mut repo = repo?;
        ensure_directories(&repo.flux_dir())?;
        let dir = repo.current().unwrap_or(repo.home());
        let settings = match settings {
            Some(settings) => settings.expect("reading settings does not panic")?.of(dir),
            None => Settings::load(dir)?,
        };
        let settings = match repo.is_linked() {
            true => settings.without_worktree(),
            false => settings,
        };
        colour::follow(&settings, repo.home())?;
        repo.set_drivers(settings.drivers());
        Ok(Self { repo, settings, ui })
    }

    pub(crate) fn run_dir(&self, id: &TaskId) -> RunDir {
        RunDir(self.repo.run_dir(id))
    }

    /// Removes the run directory of what is no task any more: to lock it has made one.
    ///
    /// # Errors
    /// When git fails, or it cannot be removed.
    pub(crate) fn tidy_run(&self, id: &TaskId) -> Result<()> {
        if refs::list(self.repo.home(), &[&store::task_ref(id)])?.is_empty() {
            self.run_dir(id).remove()?;
        }
        Ok(())
    }

    /// The repository's lock, for what git cannot do side by side.
    ///
    /// # Errors
    /// On interruption.
    fn lock_repo(&self) -> Result<Lock> {
        self.lock_shared("lock", "another git flux")
    }

    /// The lock that whoever moves a target branch holds, so that of many merges
    /// one after the other finds the branch where it looked.
    ///
    /// # Errors
    /// On interruption.
    pub(crate) fn lock_merge(&self) -> Result<Lock> {
        self.lock_shared("merge", "another merge")
    }

    fn lock_shared(&self, name: &str, other: &str) -> Result<Lock> {
        let path = self.repo.flux_dir().join(name);
        Lock::acquire(&path, self.repo.sharing()?, other, |text| {
            self.ui.status(text);
        })
    }
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
fn descend(
    flux: &Flux,
    task: &Task,
    oid: &str,
    tip: Option<&str>,
    how: &Worktree,
    lock: &Lock,
) -> Result<Kept> {
    let repo = &flux.repo;
    let mut kept = None;
    scratch::clear(flux, &task.id, Some(task))?;
    {
        let guard = flux.lock_repo()?;
        match how {
            Worktree::Foreign => {}
            Worktree::Discard => worktree::forget(repo, &task.worktree, &guard)?,
            Worktree::Moved(trash) => {
                if is_registered(flux, task)? {
                    keep::forget(repo, &task.worktree, trash)?;
                }
                kept = Some(trash.clone());
            }
            Worktree::Keep | Worktree::KeepOnly => {
                let trash = flux.trash_for(task)?;
                if matches!(how, Worktree::KeepOnly) {
                    fs::write(trash.join(trash::ONLY), "")
                        .context("could not mark a worktree in the trash")?;
                }
                if keep::take(repo, &task.worktree, tip, &trash, &guard)? {
                    kept = Some(trash);
                } else {
                    fs::remove_dir_all(&trash).context("could not remove an unused directory")?;
                }
            }
        }
        if let Err(error) = hide::forget(&task.worktree) {
            flux.ui.warning(format_args!("{error:#}"));
        }
        store::remove_config(repo, task, &guard)?;
    }
    let wanted = kept.as_deref().and_then(archive::name_of);
    let always = !matches!(how, Worktree::Discard | Worktree::Foreign);
    let conclusion = Conclusion {
        task,
        oid,
        tip,
        wanted: wanted.clone(),
        always,
    };
    let name = conclusion.commit(flux, lock)?;
    if let (Some(place), Some(name)) = (&kept, &name)
        && wanted.as_ref() != Some(name)
    {
        let renamed = place.with_file_name(name);
        fs::rename(place, &renamed).context("could not name a worktree in the trash")?;
        kept = Some(renamed);
    }
    let run = flux.run_dir(&task.id);
    run.remove()?;
    ports::release(task, &run);
    Ok(Kept {
        archive: name,
        worktree: kept,
    })
}

/// Fails if a directory of ours is something else: what is deleted in it would not be ours, either.
fn ensure_directories(flux_dir: &Path) -> Result<()> {
    let below = ["run", "trash", "marks"].map(|name| flux_dir.join(name));
    for dir in iter::once(flux_dir).chain(below.iter().map(PathBuf::as_path)) {
        if dir.symlink_metadata().is_ok_and(|found| !found.is_dir()) {
            let pasted = quoted(dir);
            return Err(
                Failure::new(format!("'{}' is not a directory", dir.display()))
                    .hint(format!("mv {pasted} {pasted}.away"))
                    .into(),
            );
        }
    }
    Ok(())
}

/// The pane whose process is the launcher that left its mark. The agent may have written that: the
/// process proves to be the launcher, or where the system does not tell, the pane was made for this task.
///
/// # Errors
/// When it is not known what runs.
pub(crate) fn find_target(flux: &Flux, task: &Task) -> Result<Option<Target>> {
    let run = flux.run_dir(&task.id);
    let Some(running) = run.running()? else {
        return Ok(None);
    };
    let session = session_name(&flux.repo.project(), &task.id);
    let is_proven = |pane: &&Pane| {
        let is_made_for_it = || pane.is_made_for(&task.id, flux.repo.common_dir());
        pane.pid == running.launcher && run.is_launcher(pane.pid).unwrap_or_else(is_made_for_it)
    };
    let panes = pane::list(None)?;
    let pane = panes.iter().find(is_proven);
    Ok(pane.map(|pane| pane.target(&session)))
}

/// The session that was made for a task whose shell leaves no mark.
///
/// # Errors
/// When it is not known what runs.
fn find_shell(flux: &Flux, task: &Task) -> Result<Option<Target>> {
    let session = session_name(&flux.repo.project(), &task.id);
    let panes = pane::list(None)?;
    Ok(panes
        .iter()
        .find_map(|pane| pane.session_of(flux.repo.common_dir(), &session)))
}

/// Ends what was started for a task: asks the launcher, if the system proves which process that is,
/// closes the pane that was `opened`, and waits until both have ended.
///
/// # Errors
/// When one does not.
fn hang_up(run: &RunDir, opened: Option<&Target>) -> Result<()> {
    if let Some(launcher) = run.proven_launcher(opened) {
        signal::kill(Pid::from_raw(launcher), Signal::SIGHUP).ok();
    }
    match opened {
        Some(target) => close(target, run),
        None => await_end(run, None),
    }
}

/// Closes the task's pane if it is still the one that was made, and waits for
/// the launcher in it to end. A pane that is somebody else's by now is left alone.
///
/// # Errors
/// When it is not known what runs, or the agent does not end.
pub(crate) fn close(target: &Target, run: &RunDir) -> Result<()> {
    // A server of another PID namespace has other numbers.
    let is_ours = process::is_child(target.pane_pid, target.server_pid) != Some(false);
    let process = (target.pane_pid, process::born(target.pane_pid));
    let is_closed = match pane::close(target) {
        Ok(is_closed) => is_closed,
        // It may be closed already.
        Err(error) => {
            let panes = pane::list(Some(&target.socket))?;
            observe::ensure_reached(target, &panes)?;
            match panes.iter().any(|pane| pane.is(target)) {
                true => return Err(error),
                false => false,
            }
        }
    };
    await_end(run, (is_closed && is_ours).then_some(process))
}

/// Waits until the launcher has ended, and the process that was in the pane. Who holds the
/// launcher's lock counts, and not what is written beside it: the agent may have done that.
///
/// # Errors
/// When one is still alive after [`PATIENCE`].
fn await_end(run: &RunDir, in_pane: Option<(i32, Option<u64>)>) -> Result<()> {
    let begun = Instant::now();
    let is_there = |(pid, born): (i32, Option<u64>)| process::is_alive(pid, born);
    while in_pane.is_some_and(is_there) || run.is_alive()? {
        if begun.elapsed() > PATIENCE {
            return Err(Failure::new("the agent does not end")
                .hint(run.way_out("alive"))
                .into());
        }
        thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}
