//! What is kept for a while, and no longer: worktrees in the trash, and tasks in the archive.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Error, Result, bail};

use super::delete::drop_for_good;
use super::trash;
use crate::context::Flux;
use crate::failure::Failure;
use crate::git::{Lock, refs};
use crate::lifecycle::archive::{self, Archived};
use crate::lifecycle::owner::other_owner;
use crate::lifecycle::recover::clear_marks;
use crate::settings::Settings;
use crate::store::{ARCHIVE, task_ref};
use crate::system::optional;
use crate::system::program::ourselves;
use crate::task::TaskId;
use crate::ui;

/// How long one process may go on deleting.
const PATIENCE: Duration = Duration::from_secs(600);

/// How often the archive is looked at, at most.
const DAY: Duration = Duration::from_secs(86_400);

const HOUR: Duration = Duration::from_secs(3600);

impl Flux {
    pub(in crate::lifecycle) fn expire_lock(&self) -> PathBuf {
        self.repo.flux_dir().join("expire")
    }

    /// Starts a process that deletes what has been kept long enough, if there may
    /// be anything: `git-flux __expire`. It outlives this one and says nothing.
    ///
    /// # Errors
    /// When it cannot be told, or the process cannot be started.
    pub(crate) fn expire_in_background(&self) -> Result<()> {
        let lately = match fs::metadata(self.expire_lock()).and_then(|lock| lock.modified()) {
            Ok(looked_at) => looked_at.elapsed().is_ok_and(|since| since < DAY),
            // The first removal of all: nothing is old yet.
            Err(_) => Lock::attempt(&self.expire_lock(), self.repo.sharing()?).is_ok(),
        };
        if lately && self.outlived()?.is_empty() {
            return Ok(());
        }
        let mut command = Command::new(ourselves()?);
        command
            .arg("__expire")
            .current_dir(self.repo.home())
            .process_group(0);
        command.env_remove("GIT_DIR").env_remove("GIT_WORK_TREE");
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
            .spawn()
            .context("could not start another git flux")?;
        Ok(())
    }

    /// Deletes the worktrees in the trash that nobody wants any more, and from the
    /// archive what was removed before `flux.archiveExpire` and is merged.
    ///
    /// # Errors
    /// When something cannot be deleted. What is left is tried again another time.
    pub(crate) fn expire(&self) -> Result<()> {
        let begun = Instant::now();
        let Some(lock) = Lock::attempt(&self.expire_lock(), self.repo.sharing()?)? else {
            return Ok(());
        };
        lock.note_time().context("could not note the time")?;
        // What cannot be deleted is in the way of nothing else.
        let mut faults = self.drop_expired(begun)?;
        faults.extend(self.sweep_archive_marks()?);
        let outlived = self.outlived()?;
        faults.extend(outlived.iter().filter_map(|place| self.let_go(place).err()));
        faults.extend(self.clear_going(begun)?);
        drop(lock);
        if faults.is_empty() {
            return Ok(());
        }
        faults.iter().for_each(ui::show);
        bail!(Failure::new("not everything could be deleted").hint("git flux restore --list"))
    }

    /// Deletes from the archive what is merged and was removed before `flux.archiveExpire`; returns
    /// what stayed of it, and why.
    fn drop_expired(&self, begun: Instant) -> Result<Vec<Error>> {
        let limit = Settings::archive_expiry(self.repo.home())?;
        let is_old = |one: &Archived| {
            self.remover(one).is_none() && one.removed() < limit && one.is_merged()
        };
        let mut all = archive::list(self)?;
        all.retain(is_old);
        let all = all.iter().take_while(|_| begun.elapsed() < PATIENCE);
        Ok(all
            .filter_map(|one| drop_for_good(self, one).err())
            .collect())
    }

    fn sweep_archive_marks(&self) -> Result<Option<Error>> {
        let archived = refs::list(self.repo.home(), &[ARCHIVE])?;
        let has = |name: &str| {
            let below = format!("{name}/");
            archived.keys().any(|part| part.starts_with(&below))
        };
        Ok(clear_marks(self, "archive", has).err())
    }

    /// Returns what is marked as to be deleted.
    fn going(&self) -> Result<Vec<PathBuf>> {
        let mut going = entries(&self.trash())?;
        going.retain(|place| trash::is_going(place) && other_owner(place).is_none());
        going.sort();
        Ok(going)
    }

    /// Deletes what is marked as to be deleted; returns what stayed of it, and why.
    fn clear_going(&self, begun: Instant) -> Result<Vec<Error>> {
        let going = self.going()?.into_iter();
        let going = going.filter(|_| begun.elapsed() < PATIENCE);
        Ok(going
            .filter_map(|place| trash::clear(&place).err())
            .collect())
    }

    /// Returns what could not be deleted whole, with the way out.
    ///
    /// # Errors
    /// When the trash cannot be read.
    pub(crate) fn leftovers(&self) -> Result<Vec<Failure>> {
        // What another git flux deletes right now is no leftover.
        if Lock::is_held(&self.expire_lock()) {
            return Ok(Vec::new());
        }
        let failure = |place: &PathBuf| {
            let what = format!("'{}' could not be deleted", place.display());
            Failure::new(what).hint(trash::rid(place))
        };
        Ok(self.going()?.iter().map(failure).collect())
    }

    /// Deletes again what could not be deleted. Returns for each that stays the file at fault.
    ///
    /// # Errors
    /// When the trash cannot be read.
    pub(crate) fn clear_leftovers(&self) -> Result<Vec<Error>> {
        if self.going()?.is_empty() {
            return Ok(Vec::new());
        }
        match Lock::attempt(&self.expire_lock(), self.repo.sharing()?)? {
            Some(_lock) => self.clear_going(Instant::now()),
            None => Ok(Vec::new()),
        }
    }

    /// Marks a worktree in the trash as one to delete, unless its task is on its way, there or
    /// back, or cannot be read: a newer git flux may mean to keep it.
    fn let_go(&self, place: &Path) -> Result<()> {
        let name = archive::name_of(place).context("a name in the trash is ours")?;
        let id = name.split('.').next().unwrap_or(&name);
        let what = || format!("'{}' is not of git flux", place.display());
        let id: TaskId = id.parse().with_context(what)?;
        let unread = archive::list_all(self)?.unread;
        let is_unread = unread.iter().any(|one| one.name == name);
        if is_unread || other_owner(&self.run_dir(&id).0).is_some() {
            return Ok(());
        }
        let Some(_lock) = self.try_lock_task(&id)? else {
            return Ok(());
        };
        let record = task_ref(&id);
        if refs::list(self.repo.home(), &[&record])?.is_empty() {
            trash::set_aside(place)?;
        }
        self.tidy_run(&id)
    }

    /// The worktrees in the trash that are not kept any longer: neither one of the last
    /// `flux.trashKeep`, nor removed within the hour, since many may be removed at once.
    fn outlived(&self) -> Result<Vec<PathBuf>> {
        let keep = self.settings.trash_keep()?;
        let mut places = Vec::new();
        for place in entries(&self.trash())? {
            let name = place.file_name().unwrap_or_default();
            let is_kept = name.as_encoded_bytes().starts_with(b".")
                || other_owner(&place).is_some()
                || place.join(trash::ONLY).exists();
            if is_kept || !place.join("worktree").exists() {
                continue;
            }
            // It may be gone by now.
            let at = place.metadata().and_then(|place| place.modified());
            places.extend(at.ok().map(|at| (at, place)));
        }
        places.sort();
        // What seems to come from the future was removed before the clock was set.
        let is_fresh = |at: &SystemTime| !at.elapsed().is_ok_and(|since| since >= HOUR);
        let older = places.into_iter().rev().skip(keep);
        let old = older.filter(|(at, _)| keep == 0 || !is_fresh(at));
        Ok(old.map(|(_, place)| place).collect())
    }
}

fn entries(dir: &Path) -> Result<Vec<PathBuf>> {
    let what = "could not look into the trash";
    let Some(entries) = optional(fs::read_dir(dir)).context(what)? else {
        return Ok(Vec::new());
    };
    entries
        .map(|entry| Ok(entry.context(what)?.path()))
        .collect()
}
