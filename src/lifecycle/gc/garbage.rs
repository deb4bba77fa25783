//! Something that is no longer needed.

use std::fmt;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::context::Flux;
use crate::lifecycle::archive::delete::delete_archived;
use crate::lifecycle::archive::{Archived, trash, trash_name};
use crate::lifecycle::conflicts::cache;
use crate::lifecycle::gate::{log, verdicts};
use crate::lifecycle::land::chain_refs;
use crate::lifecycle::recover;
use crate::lifecycle::review::counts;
use crate::sanitize;
use crate::store::Store;
use crate::system::none_if_missing;
use crate::task::TaskId;
use crate::ui::shown;
use crate::ui::words::count;

/// Something that is no longer needed.
#[derive(Debug)]
pub(crate) enum Garbage {
    /// The run directory of a task that does not exist.
    RunDir(TaskId),
    /// The refs of landings that were killed.
    ChainRefs,
    /// A removed task that has expired.
    Task(Box<Archived>),
    /// A removed worktree that has expired.
    Worktree(PathBuf),
    /// The rest of a directory whose deletion was interrupted or has failed.
    Rest(PathBuf),
    Verdicts(Vec<PathBuf>),
    Logs(Vec<PathBuf>),
    /// So many answers about conflicts.
    Answers(usize),
    /// So many numbers of unseen files.
    UnseenCounts(usize),
    /// The temporary directory of a killed process.
    TemporaryDir(PathBuf),
}

impl fmt::Display for Garbage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RunDir(id) => write!(f, "the run directory of '{id}'"),
            Self::ChainRefs => f.write_str("the refs of a killed landing"),
            Self::Task(one) => {
                let [name, branch] = [&*one.name, &one.task.branch].map(sanitize::line);
                let tip = &one.tip;
                write!(f, "the removed task '{name}' (branch '{branch}' at {tip})")
            }
            Self::Worktree(place) => {
                let name = trash_name(place).unwrap_or_default();
                write!(f, "the kept worktree of '{}'", sanitize::line(&name))
            }
            Self::Rest(place) | Self::TemporaryDir(place) => write!(f, "'{}'", shown(place)),
            Self::Verdicts(files) => f.write_str(&count(files.len(), "verdict")),
            Self::Logs(files) => write!(f, "{} of the gate", count(files.len(), "log")),
            Self::Answers(number) => {
                write!(f, "{} about conflicts", count(*number, "cached result"))
            }
            Self::UnseenCounts(number) => {
                write!(f, "{} of unseen files", count(*number, "count"))
            }
        }
    }
}

impl Garbage {
    pub(super) fn is_nothing(&self) -> bool {
        match self {
            Self::Verdicts(files) | Self::Logs(files) => files.is_empty(),
            Self::Answers(number) | Self::UnseenCounts(number) => *number == 0,
            _ => false,
        }
    }

    /// Deletes this garbage. Returns `false` if it is in use or gone by now.
    pub(super) fn delete(&self, flux: &Flux) -> Result<bool> {
        match self {
            Self::RunDir(id) => return recover::clear_orphan(flux, id),
            Self::ChainRefs => chain_refs::sweep(flux)?,
            Self::Task(one) => delete_archived(flux, one)?,
            Self::Worktree(place) => return flux.delete_worktree(place),
            Self::Rest(place) => trash::delete_marked(place)?,
            // A gate may have renewed some meanwhile.
            Self::Verdicts(_) => return delete_files(&verdicts::list_expired(&flux.repo)?),
            Self::Logs(_) => return delete_files(&log::list_expired(&flux.repo)?),
            Self::Answers(_) => {
                cache::delete_outdated(flux, &Store::load(&flux.repo, &flux.settings)?)?;
            }
            Self::UnseenCounts(_) => {
                counts::delete_outdated(flux, &Store::load(&flux.repo, &flux.settings)?)?;
            }
            Self::TemporaryDir(path) => {
                let what = || format!("could not delete '{}'", shown(path));
                none_if_missing(fs::remove_dir_all(path)).with_context(what)?;
            }
        }
        Ok(true)
    }
}

/// Deletes files. Returns `false` if there are none.
fn delete_files(files: &[PathBuf]) -> Result<bool> {
    verdicts::delete_files(files)?;
    Ok(!files.is_empty())
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::lifecycle::start::world::World;

    #[test]
    fn delete_keeps_verdicts_and_logs_that_were_renewed_since_they_were_listed() {
        let world = World::new();
        let (repo, flux) = (&world.flux.repo, &world.flux);
        let files = [
            "verdicts/a1.b1",
            "verdicts/a1.b2",
            "gate/b1.log",
            "gate/b2.log",
        ];
        let files = files.map(|name| repo.flux_dir().join(name));
        let days = |days: u32| SystemTime::now() - Duration::from_secs(86_400) * days;
        for path in &files {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            File::create(path).unwrap().set_modified(days(15)).unwrap();
        }
        let found = [
            Garbage::Verdicts(verdicts::list_expired(repo).unwrap()),
            Garbage::Logs(log::list_expired(repo).unwrap()),
        ];
        let told = found.each_ref().map(ToString::to_string);
        assert_eq!(told, ["2 verdicts", "2 logs of the gate"]);
        for renewed in [&files[0], &files[2]] {
            File::open(renewed).unwrap().set_modified(days(0)).unwrap();
        }
        for deleted in [true, false] {
            for one in &found {
                assert_eq!(one.delete(flux).unwrap(), deleted, "{one}");
            }
            let exist = files.each_ref().map(|path| path.exists());
            assert_eq!(exist, [true, false, true, false]);
        }
    }
}
