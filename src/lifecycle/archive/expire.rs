//! Deletes expired worktrees in the trash and expired tasks in the archive.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Error, Result, bail};

use super::delete::delete_archived;
use super::trash;
use crate::context::Flux;
use crate::failure::Failure;
use crate::git::{Lock, refs};
use crate::lifecycle::archive::{self, Archived};
use crate::lifecycle::owner::other_owner;
use crate::lifecycle::recover::clear_marks;
use crate::settings::Settings;
use crate::store::{ARCHIVE, task_ref};
use crate::system::none_if_missing;
use crate::system::program::current_exe;
use crate::task::{RefName, TaskId};
use crate::ui;

/// The time that one process may spend deleting.
const TIME_LIMIT: Duration = Duration::from_secs(600);

/// The interval between checks of the archive.
const INTERVAL: Duration = Duration::from_secs(86_400);

/// The age below which a worktree never expires: many may be removed at once.
const MIN_AGE: Duration = Duration::from_secs(3600);

impl Flux {
    pub(in crate::lifecycle) fn expire_lock(&self) -> PathBuf {
        self.repo.flux_dir().join("expire")
    }

    /// Starts the command `git-flux __expire` in the background, if it has not run for a day or a
    /// worktree in the trash has expired. The command prints nothing, and is not waited for.
    pub(crate) fn expire_in_background(&self) -> Result<()> {
        let is_recent = match fs::metadata(self.expire_lock()).and_then(|lock| lock.modified()) {
            Ok(checked) => checked.elapsed().is_ok_and(|since| since < INTERVAL),
            // The first removal: nothing is old yet.
            Err(_) => Lock::try_acquire(&self.expire_lock(), self.repo.sharing()?).is_ok(),
        };
        if is_recent && self.expired_worktrees()?.is_empty() {
            return Ok(());
        }
        let mut command = Command::new(current_exe()?);
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

    /// Deletes the current user's expired worktrees in the trash, and the expired tasks in the
    /// archive, except those whose worktree in the trash is another user's. Begins no deletion
    /// after ten minutes. Does nothing while another process does this. Prints all errors, then
    /// fails if there were any.
    pub(crate) fn expire(&self) -> Result<()> {
        let begun = Instant::now();
        let Some(lock) = Lock::try_acquire(&self.expire_lock(), self.repo.sharing()?)? else {
            return Ok(());
        };
        lock.touch().context("could not note the time")?;
        // An error does not stop the rest.
        let mut errors = self.delete_expired(begun)?;
        errors.extend(self.sweep_archive_marks()?);
        errors.extend(self.release_stash_pins().err());
        let expired = self.expired_worktrees()?;
        errors.extend(expired.iter().filter_map(|dir| self.expire_one(dir).err()));
        errors.extend(self.delete_all_marked(begun)?);
        drop(lock);
        if errors.is_empty() {
            return Ok(());
        }
        errors.iter().for_each(ui::show);
        bail!(Failure::new("not everything could be deleted").hint("git flux restore --list"))
    }

    /// Deletes the tasks removed longer ago than `flux.archiveExpire` for which [`can_expire`] is
    /// true, unless another user owns their directory in the trash. Begins none later than ten
    /// minutes after `begun`. Returns the errors of single tasks.
    fn delete_expired(&self, begun: Instant) -> Result<Vec<Error>> {
        let limit = Settings::archive_expiry(self.repo.home())?;
        let is_old = |one: &Archived| {
            self.trash_owner(one).is_none() && one.removed_at() < limit && can_expire(one)
        };
        let mut all = archive::list(self)?;
        all.retain(is_old);
        let all = all.iter().take_while(|_| begun.elapsed() < TIME_LIMIT);
        Ok(all
            .filter_map(|one| delete_archived(self, one).err())
            .collect())
    }

    fn sweep_archive_marks(&self) -> Result<Option<Error>> {
        let archived = refs::list(self.repo.home(), &[ARCHIVE])?;
        let has = |name: &RefName| {
            let below = format!("{name}/");
            archived.keys().any(|part| part.starts_with(&below))
        };
        Ok(clear_marks(self, "archive", has).err())
    }

    /// Lists the current user's directories in the trash that were renamed to be deleted, sorted by
    /// path.
    fn list_marked(&self) -> Result<Vec<PathBuf>> {
        let mut marked = entries(&self.trash())?;
        marked.retain(|place| trash::is_marked(place) && other_owner(place).is_none());
        marked.sort();
        Ok(marked)
    }

    /// Deletes the current user's directories in the trash that were renamed to be deleted. Begins
    /// none later than ten minutes after `begun`. Returns the errors of single directories.
    fn delete_all_marked(&self, begun: Instant) -> Result<Vec<Error>> {
        let marked = self.list_marked()?.into_iter();
        let marked = marked.filter(|_| begun.elapsed() < TIME_LIMIT);
        Ok(marked
            .filter_map(|place| trash::delete_marked(&place).err())
            .collect())
    }

    /// Returns an error for each of the current user's directories in the trash whose deletion has
    /// failed, with `sudo rm -rf <directory>` as hint. Returns none while another process may be
    /// deleting. Deletes nothing.
    pub(crate) fn list_undeleted(&self) -> Result<Vec<Failure>> {
        // Another git flux may be deleting them.
        if Lock::is_held(&self.expire_lock()) {
            return Ok(Vec::new());
        }
        let failure = |place: &PathBuf| {
            let what = format!("'{}' could not be deleted", place.display());
            Failure::new(what).hint(trash::deletion_command(place))
        };
        Ok(self.list_marked()?.iter().map(failure).collect())
    }

    /// Deletes the current user's directories in the trash whose deletion has failed before, and
    /// returns the new errors; begins none after ten minutes. Does nothing while another process
    /// deletes.
    pub(crate) fn retry_deletions(&self) -> Result<Vec<Error>> {
        if self.list_marked()?.is_empty() {
            return Ok(Vec::new());
        }
        match Lock::try_acquire(&self.expire_lock(), self.repo.sharing()?)? {
            Some(_lock) => self.delete_all_marked(Instant::now()),
            None => Ok(Vec::new()),
        }
    }

    /// Renames a worktree in the trash to be deleted later. Does nothing if its task exists, is
    /// locked or belongs to another user, or if its archive entry cannot be read: a newer git flux
    /// may keep it.
    fn expire_one(&self, place: &Path) -> Result<()> {
        let name = archive::trash_name(place).context("internal error: bad name in the trash")?;
        let id = name.split('.').next().unwrap_or(&name);
        let what = || format!("git flux did not create '{}'", place.display());
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
            trash::mark_for_deletion(place)?;
        }
        self.remove_stale_run_dir(&id)
    }

    /// Returns the current user's worktrees in the trash, except the last `flux.trashKeep`, those
    /// younger than an hour (unless that setting is 0), and those with the only copy of files.
    fn expired_worktrees(&self) -> Result<Vec<PathBuf>> {
        let keep = self.settings.trash_keep()?;
        let mut places = Vec::new();
        for place in entries(&self.trash())? {
            let name = place.file_name().unwrap_or_default();
            let is_kept = name.as_encoded_bytes().starts_with(b".")
                || other_owner(&place).is_some()
                || place.join(trash::SOLE_COPY_MARK).exists();
            if is_kept || !place.join("worktree").exists() {
                continue;
            }
            // It may have just been deleted.
            let at = place.metadata().and_then(|place| place.modified());
            places.extend(at.ok().map(|at| (at, place)));
        }
        places.sort();
        // A time in the future means that the clock was changed.
        let is_fresh = |at: &SystemTime| !at.elapsed().is_ok_and(|since| since >= MIN_AGE);
        let older = places.into_iter().rev().skip(keep);
        let old = older.filter(|(at, _)| keep == 0 || !is_fresh(at));
        Ok(old.map(|(_, place)| place).collect())
    }
}

/// Returns whether a removed task was merged, even if uncommitted files were discarded, or had
/// neither commits nor uncommitted files. `false` if its worktree in the trash is the only copy of
/// some files.
fn can_expire(one: &Archived) -> bool {
    let has_mark = |place: &PathBuf| fs::exists(place.join(trash::SOLE_COPY_MARK)).unwrap_or(true);
    let is_merged = match one.tip == one.task.base {
        true => one.snapshot().is_none(),
        false => one.merged().is_some(),
    };
    is_merged && !one.trash.as_ref().is_some_and(has_mark)
}

fn entries(dir: &Path) -> Result<Vec<PathBuf>> {
    let what = "could not read the trash";
    let Some(entries) = none_if_missing(fs::read_dir(dir)).context(what)? else {
        return Ok(Vec::new());
    };
    entries
        .map(|entry| Ok(entry.context(what)?.path()))
        .collect()
}
