//! Finds and deletes expired worktrees in the trash and expired tasks in the archive.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Error, Result};

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

/// The time that one process may spend deleting.
pub(in crate::lifecycle) const TIME_LIMIT: Duration = Duration::from_secs(600);

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

    /// Lists the tasks removed longer ago than `flux.archiveExpire` for which [`can_expire`] is true,
    /// unless another user owns their directory in the trash. Fails if the setting is invalid.
    pub(in crate::lifecycle) fn expired_tasks(&self) -> Result<Vec<Archived>> {
        let limit = Settings::archive_expiry(self.repo.home())?;
        let is_old = |one: &Archived| {
            self.trash_owner(one).is_none() && one.removed_at() < limit && can_expire(one)
        };
        let mut all = archive::list(self)?;
        all.retain(is_old);
        Ok(all)
    }

    /// Deletes the marks of archive entries that do not exist any more: files that note which refs
    /// this repository made. Returns the error of such a deletion, if any; fails if the refs cannot
    /// be listed.
    pub(in crate::lifecycle) fn sweep_archive_marks(&self) -> Result<Option<Error>> {
        let archived = refs::list(self.repo.home(), &[ARCHIVE])?;
        let has = |name: &RefName| {
            let below = format!("{name}/");
            archived.keys().any(|part| part.starts_with(&below))
        };
        Ok(clear_marks(self, "archive", has).err())
    }

    /// Lists the current user's directories in the trash that were renamed to be deleted, sorted by
    /// path.
    pub(in crate::lifecycle) fn list_marked(&self) -> Result<Vec<PathBuf>> {
        let mut marked = entries(&self.trash())?;
        marked.retain(|place| trash::is_marked(place) && other_owner(place).is_none());
        marked.sort();
        Ok(marked)
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
        self.ensure_directories()?;
        if self.list_marked()?.is_empty() {
            return Ok(Vec::new());
        }
        let Some(_lock) = Lock::try_acquire(&self.expire_lock(), self.repo.sharing()?)? else {
            return Ok(Vec::new());
        };
        let end = Instant::now() + TIME_LIMIT;
        let marked = self.list_marked()?.into_iter();
        let marked = marked.take_while(|_| Instant::now() < end);
        Ok(marked
            .filter_map(|place| trash::delete_marked(&place).err())
            .collect())
    }

    /// Deletes a worktree in the trash. Returns `false`, with nothing done, if it is not expired, as
    /// when its task was restored and removed again since it was listed; if its task exists, is
    /// locked or belongs to another user; or if its archive entry cannot be read: a newer git flux
    /// may keep it.
    pub(in crate::lifecycle) fn delete_worktree(&self, place: &Path) -> Result<bool> {
        let name = archive::trash_name(place).context("internal error: bad name in the trash")?;
        let id = name.split('.').next().unwrap_or(&name);
        let what = || format!("git flux did not create '{}'", place.display());
        let id: TaskId = id.parse().with_context(what)?;
        let unread = archive::list_all(self)?.unread;
        let is_unread = unread.iter().any(|one| one.name == name);
        if is_unread || other_owner(&self.run_dir(&id).0).is_some() {
            return Ok(false);
        }
        let Some(lock) = self.try_lock_task(&id)? else {
            return Ok(false);
        };
        let is_gone = refs::list(self.repo.home(), &[&task_ref(&id)])?.is_empty();
        let is_expired = || Ok::<_, Error>(self.expired_worktrees()?.iter().any(|it| it == place));
        let marked = match is_gone && is_expired()? {
            // Under another name, no command restores a part of it.
            true => trash::mark_for_deletion(place)?,
            false => None,
        };
        self.remove_stale_run_dir(&id)?;
        drop(lock);
        marked.as_deref().map_or(Ok(()), trash::delete_marked)?;
        Ok(marked.is_some())
    }

    /// Returns the current user's worktrees in the trash, except the last `flux.trashKeep`, those
    /// younger than an hour (unless that setting is 0), and those with the only copy of files.
    pub(in crate::lifecycle) fn expired_worktrees(&self) -> Result<Vec<PathBuf>> {
        let keep = self.settings.trash_keep()?;
        let mut places = Vec::new();
        for place in entries(&self.trash())? {
            let name = place.file_name().unwrap_or_default();
            let is_kept = name.as_encoded_bytes().starts_with(b".")
                || other_owner(&place).is_some()
                || is_sole_copy(&place);
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
    let is_merged = match one.tip == one.task.base {
        true => one.snapshot().is_none(),
        false => one.merged().is_some(),
    };
    is_merged && !one.trash.as_deref().is_some_and(is_sole_copy)
}

/// Returns whether a directory in the trash is the only copy of some files; `true` also if that
/// cannot be found out.
fn is_sole_copy(place: &Path) -> bool {
    fs::exists(place.join(trash::SOLE_COPY_MARK)).unwrap_or(true)
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

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::slice;

    use super::*;
    use crate::lifecycle::start::world::{World, git};

    #[test]
    fn delete_worktree_keeps_one_that_was_removed_again_since_it_was_listed() {
        let mut world = World::new();
        let home = world.home().to_owned();
        git(&home, ["config", "flux.trashKeep", "1"]);
        world.flux.settings = Settings::load(&home).unwrap();
        let flux = &world.flux;
        let make = |name: &str, hours: u32| {
            let place = flux.trash().join(name);
            fs::create_dir_all(place.join("worktree")).unwrap();
            let at = SystemTime::now() - MIN_AGE * hours;
            File::open(&place).unwrap().set_modified(at).unwrap();
            place
        };
        let (old, _newest) = (make("old", 3), make("newest", 2));
        assert_eq!(flux.expired_worktrees().unwrap(), slice::from_ref(&old));
        let is_kept = || !flux.delete_worktree(&old).unwrap() && old.join("worktree").exists();
        // It is younger than an hour, or the last one, or the only copy of some files.
        make("old", 0);
        assert!(is_kept());
        make("old", 1);
        assert!(is_kept());
        fs::write(old.join(trash::SOLE_COPY_MARK), "").unwrap();
        make("old", 3);
        assert!(is_kept());
        fs::remove_file(old.join(trash::SOLE_COPY_MARK)).unwrap();
        make("old", 3);
        assert!(flux.delete_worktree(&old).unwrap());
        assert!(!old.exists());
    }
}
