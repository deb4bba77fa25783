//! Missing or altered parts of a task, and the commands that repair them.

use std::fs;
use std::iter;
use std::mem;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::context::Flux;
use crate::failure::{self, Failure};
use crate::git::{Distrust, ObjectId, admin, refs, worktree};
use crate::store::base_ref;
use crate::task::{Task, TaskId};
use crate::ui::{quoted, shown, word};

/// A purpose, and the command for it.
type Repair = (&'static str, String);

/// The purpose of the cleanup of a task whose worktree is missing.
pub(super) const MERGE_COMMITS: &str = "to merge only its commits and remove the task";

/// The purpose of the cleanup of a task whose branch is missing or is to be dropped.
pub(super) const REMOVE: &str = "to remove the task";

/// A missing or altered part of a task.
pub(crate) struct Damage {
    what: String,
    pub(crate) repairs: Vec<Repair>,
}

impl Damage {
    /// Finds what is missing or altered of a task: its branch, its worktree, or git's entry of that
    /// worktree. Reports only the first damage; `None` if there is none, also if another branch is
    /// checked out in the worktree. Changes nothing.
    pub(crate) fn find(flux: &Flux, task: &Task) -> Result<Option<Self>> {
        let (common, path) = (flux.repo.common_dir(), &task.worktree);
        let exists =
            fs::exists(path).with_context(|| format!("could not access '{}'", path.display()))?;
        let has_branch = has_branch(flux, task)?;
        if exists && has_branch && admin::is_ours(common, path)? {
            return Ok(None);
        }
        if let Some(altered) = Self::altered(flux, task) {
            return Ok(Some(altered));
        }
        if has_branch && let Some(other) = checked_out_elsewhere(flux, task)? {
            return Ok(Some(other));
        }
        if exists && admin::is_ours(common, path)? {
            return Self::missing_branch(flux, task).map(Some);
        }
        if exists {
            return Self::replaced_worktree(flux, task).map(Some);
        }
        let gone = format!("the worktree of '{}' is gone: '{}'", task.id, shown(path));
        Ok(Some(match find_moved(flux, task) {
            Some((moved, repair)) => Self {
                what: format!("{gone}; it was moved to '{}'", shown(&moved)),
                repairs: vec![repair],
            },
            None if has_branch => missing_worktree(flux, task, gone)?,
            None => {
                let what = format!("{gone}, and so is its branch '{}'", task.branch);
                Self::with_missing_branch(flux, task, what)?
            }
        }))
    }

    pub(super) fn missing_branch(flux: &Flux, task: &Task) -> Result<Self> {
        let what = format!("the branch '{}' of '{}' is gone", task.branch, task.id);
        Self::with_missing_branch(flux, task, what)
    }

    fn with_missing_branch(flux: &Flux, task: &Task, what: String) -> Result<Self> {
        let remove = format!("git flux cleanup {} --discard --discard-branch", task.id);
        let repairs = vec![recreate_branch(flux, task)?, (REMOVE, remove)];
        Ok(Self { what, repairs })
    }

    /// Describes altered administrative files of the task's worktree, such as its `.git` file or
    /// its HEAD. `None` if they are valid, or if no command is known to fix them.
    pub(super) fn altered(flux: &Flux, task: &Task) -> Option<Self> {
        let (path, branch) = (&task.worktree, task.branch_ref());
        let error = flux.repo.checkout(path).err()?;
        let repairs = match error.downcast_ref::<Distrust>()? {
            Distrust::Head(file) => {
                let (head, file) = (word(&format!("ref: {branch}")), quoted(file));
                vec![("to repair its HEAD", format!("echo {head} >{file}"))]
            }
            distrust if distrust.is_ours() => failure::hints(&error)
                .map(|hint| ("to repair it", hint))
                .collect(),
            _ if admin::is_misplaced(flux.repo.common_dir(), path, &branch) => {
                let repair = format!("git worktree repair {}", quoted(path));
                vec![("to repair the worktree", repair)]
            }
            _ => return None,
        };
        Some(Self {
            what: error.to_string(),
            repairs,
        })
    }

    /// Describes why the existing directory at the task's path is not its worktree: its
    /// administrative files are altered, git has pruned it, or something else is there.
    pub(super) fn replaced_worktree(flux: &Flux, task: &Task) -> Result<Self> {
        let (common, path) = (flux.repo.common_dir(), &task.worktree);
        if let Some(altered) = Self::altered(flux, task) {
            return Ok(altered);
        }
        let (place, pasted) = (shown(path), quoted(path));
        let what = format!("'{place}' is no longer a worktree of this repository");
        if admin::was_pruned(common, path)? {
            let adopt = format!("git flux adopt {pasted}");
            let repair = if has_branch(flux, task)? {
                ("to register it again", adopt)
            } else {
                recreate_branch(flux, task)?
            };
            let repairs = vec![repair];
            return Ok(Self { what, repairs });
        }
        let away = format!("mv {pasted} {}", quoted(&unused_path(path)));
        let mut repairs = vec![("to make room", away)];
        // git repairs a worktree that has an entry, but no clone.
        let link = path.join(".git").symlink_metadata();
        let is_repairable = path.is_dir() && !link.is_ok_and(|link| link.is_dir());
        if is_repairable && admin::has_entry(common, path)? {
            let repair = "git worktree repair".to_owned();
            repairs.insert(0, ("if it has the task's files", repair));
        }
        Ok(Self { what, repairs })
    }

    /// Returns the error that names this damage, with each repair command as a hint. Runs no
    /// command.
    pub(crate) fn failure(mut self) -> Failure {
        let failure = Failure::new(mem::take(&mut self.what));
        self.add_repairs(failure)
    }

    /// Adds each repair command of this damage to `failure` as a hint, and returns that.
    pub(super) fn add_repairs(self, failure: Failure) -> Failure {
        let repairs = self.repairs.into_iter();
        failure.hints(repairs.map(|(what, command)| format!("{what}: {command}")))
    }
}

pub(crate) fn ensure_intact(flux: &Flux, task: &Task) -> Result<()> {
    match Damage::find(flux, task)? {
        Some(damage) => Err(damage.failure().into()),
        None => Ok(()),
    }
}

fn has_branch(flux: &Flux, task: &Task) -> Result<bool> {
    Ok(!refs::list(flux.repo.home(), &[&task.branch_ref()])?.is_empty())
}

/// Describes the damage that the task's branch is checked out in an existing worktree at another
/// path than the task's. `None` if it is not. The message also says that the task's own worktree is
/// missing.
fn checked_out_elsewhere(flux: &Flux, task: &Task) -> Result<Option<Damage>> {
    let (path, name) = (&task.worktree, task.branch_ref());
    let entries = worktree::list(flux.repo.home())?;
    let other = entries.iter().find(|entry| {
        entry.path != *path && entry.branch.as_ref() == Some(&name) && entry.path.exists()
    });
    let Some(other) = other else {
        return Ok(None);
    };
    let is_main = Some(&*other.path) == flux.repo.main();
    let (place, other, path) = (quoted(&other.path), shown(&other.path), shown(path));
    let (id, branch) = (&task.id, &task.branch);
    let at = format!("the branch '{branch}' of '{id}' is checked out in '{other}'");
    let what = format!("{at}, and its worktree '{path}' is missing");
    let detach = format!("git -C {place} switch --detach");
    let mut repairs = vec![("to free the branch", detach)];
    // The main worktree cannot be adopted.
    if !is_main {
        let adopt = format!("git flux adopt {place}");
        repairs.insert(0, ("if that is the task's worktree", adopt));
    }
    Ok(Some(Damage { what, repairs }))
}

/// Finds the directory to which the task's worktree was moved without git, and the command that
/// repairs that. Searches only beside the worktree's old path and, under its old name, beside the
/// repository; `None` if nothing is found.
fn find_moved(flux: &Flux, task: &Task) -> Option<(PathBuf, Repair)> {
    let (common, path) = (flux.repo.common_dir(), &task.worktree);
    if let Some(moved) = admin::find_moved_beside(common, path) {
        let back = format!("mv {} {}", quoted(&moved), quoted(path));
        return Some((moved, ("to move it back", back)));
    }
    let moved = admin::find_moved_into(common, flux.repo.home().parent()?, path)?;
    let repair = format!("git worktree repair {}", quoted(&moved));
    Some((moved, ("to register its new path", repair)))
}

/// Describes the damage that the worktree is missing and the branch exists, with the commands that
/// check the branch out again or clean the task up. `what` is the message.
fn missing_worktree(flux: &Flux, task: &Task, what: String) -> Result<Damage> {
    let (path, branch) = (quoted(&task.worktree), word(&task.branch));
    // git does not override a lock with one `--force`; one of the user's stays.
    let twice = match flux.worktree_lock(task).is_held()? {
        true => " --force",
        false => "",
    };
    let again = format!("git worktree add --force{twice} {path} {branch}");
    let repairs = vec![
        ("to check out its branch again", again),
        (MERGE_COMMITS, merge_commits(&task.id)),
    ];
    Ok(Damage { what, repairs })
}

/// Returns the command that merges the commits of a task whose worktree is missing, and removes it.
pub(super) fn merge_commits(id: &TaskId) -> String {
    format!("git flux cleanup {id} --discard")
}

/// Returns the command that recreates a task's missing branch at its last known commit:
/// `git branch <branch> <commit>`. Runs nothing.
fn recreate_branch(flux: &Flux, task: &Task) -> Result<Repair> {
    let (branch, tip) = (word(&task.branch), last_known_commit(flux, task)?);
    let what = "to recreate its branch at the last known commit";
    Ok((what, format!("git branch {branch} {tip}")))
}

/// Returns the last known commit of a task whose branch is missing: the last one in the HEAD reflog
/// of its worktree, if that commit still exists, else the object of `refs/flux/base/<id>`, else the
/// commit where the branch started.
pub(super) fn last_known_commit(flux: &Flux, task: &Task) -> Result<ObjectId> {
    let last = admin::last_head(flux.repo.common_dir(), &task.worktree)?;
    if let Some(last) = last.filter(|commit| flux.repo.tree_of(commit).is_ok()) {
        return Ok(last);
    }
    let name = base_ref(&task.id);
    let base = refs::list(flux.repo.home(), &[&name])?.remove(&name);
    Ok(base.unwrap_or_else(|| task.start_commit().to_owned()))
}

/// Returns the first path that does not exist among `<path>.away`, `<path>.away1`, `<path>.away2` …
/// Creates nothing.
pub(crate) fn unused_path(path: &Path) -> PathBuf {
    let numbers = iter::once(String::new()).chain((1..u32::MAX).map(|n| n.to_string()));
    let mut names = numbers.map(|number| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".away{number}"));
        PathBuf::from(name)
    });
    let free = names.find(|path| path.symlink_metadata().is_err());
    free.unwrap_or_else(|| path.to_owned())
}
