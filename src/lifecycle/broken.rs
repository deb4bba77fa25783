//! What is missing of a task, and the commands that get out of that.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::context::Flux;
use crate::failure::{self, Failure};
use crate::git::{Distrust, ObjectId, admin, refs, worktree};
use crate::store::base_ref;
use crate::task::Task;
use crate::ui::{quoted, shown, word};

/// Something of a task is missing.
pub(crate) struct Broken {
    what: String,
    /// Commands, each with what it is good for.
    pub(crate) ways: Vec<(&'static str, String)>,
}

impl Broken {
    /// Looks for what is missing of a task; none if it is whole.
    ///
    /// # Errors
    /// When git fails, or it cannot be told.
    pub(crate) fn find(flux: &Flux, task: &Task) -> Result<Option<Self>> {
        let path = &task.worktree;
        let common = flux.repo.common_dir();
        let exists =
            fs::exists(path).with_context(|| format!("could not look at '{}'", path.display()))?;
        let name = task.branch_ref();
        let has_branch = refs::list(flux.repo.home(), &[&name])?.contains_key(&name);
        if exists && has_branch && admin::is_ours(common, path)? {
            return Ok(None);
        }
        if let Some(altered) = Self::altered(flux, task) {
            return Ok(Some(altered));
        }
        if has_branch && let Some(other) = checked_out_elsewhere(flux, task)? {
            return Ok(Some(other));
        }
        Ok(Some(if !exists {
            match moved(flux, task) {
                Some(moved) => moved,
                None if has_branch => without_worktree(task),
                None => without_both(flux, task)?,
            }
        } else if admin::is_ours(common, path)? {
            Self::without_branch(flux, task)?
        } else {
            Self::not_ours(flux, task)?
        }))
    }

    /// The branch of a task is gone.
    ///
    /// # Errors
    /// When git fails.
    pub(super) fn without_branch(flux: &Flux, task: &Task) -> Result<Self> {
        Ok(Self {
            what: format!("the branch '{}' of '{}' is gone", task.branch, task.id),
            ways: branch_again(flux, task)?,
        })
    }

    /// What git keeps of the worktree of a task, which is there, has been altered.
    pub(super) fn altered(flux: &Flux, task: &Task) -> Option<Self> {
        let path = &task.worktree;
        let error = flux.repo.checkout(path).err()?;
        let distrust = error.downcast_ref::<Distrust>()?;
        let hints = match distrust {
            Distrust::Head(file) => {
                let (head, file) = (word(&format!("ref: {}", task.branch_ref())), quoted(file));
                vec![format!("echo {head} >{file}")]
            }
            _ if distrust.is_ours() => failure::hints(&error).collect(),
            _ if admin::is_misplaced(flux.repo.common_dir(), path, &task.branch_ref()) => {
                vec![format!("git worktree repair {}", quoted(path))]
            }
            _ => return None,
        };
        let ways = hints.into_iter().map(|hint| ("to mend it", hint));
        Some(Self {
            what: error.to_string(),
            ways: ways.collect(),
        })
    }

    /// What is at the path of the worktree of a task is not that.
    ///
    /// # Errors
    /// When it cannot be looked at.
    pub(super) fn not_ours(flux: &Flux, task: &Task) -> Result<Self> {
        let (common, path) = (flux.repo.common_dir(), &task.worktree);
        if let Some(altered) = Self::altered(flux, task) {
            return Ok(altered);
        }
        let pasted = quoted(path);
        let aside = quoted(&free_beside(path));
        let away = ("to move it away", format!("mv {pasted} {aside}"));
        let link = path.join(".git").symlink_metadata();
        // git mends what is a worktree by its own entry; a clone it leaves alone.
        let mendable = !link.is_ok_and(|link| link.is_dir()) && path.is_dir();
        let ways = if admin::is_forgotten(common, path)? {
            let name = task.branch_ref();
            if refs::list(flux.repo.home(), &[&name])?.is_empty() {
                branch_again(flux, task)?.into_iter().take(1).collect()
            } else {
                vec![(
                    "where git has forgotten it",
                    format!("git flux adopt {pasted}"),
                )]
            }
        } else if mendable && admin::has_entry(common, path)? {
            let repair = "git worktree repair".to_owned();
            vec![("if it is the task's", repair), away]
        } else {
            vec![away]
        };
        Ok(Self {
            what: format!(
                "'{}' is not a worktree of this repository any more",
                shown(path)
            ),
            ways,
        })
    }

    /// The refusal, with each command as a hint.
    pub(crate) fn failure(mut self) -> Failure {
        let failure = Failure::new(std::mem::take(&mut self.what));
        self.with_ways(failure)
    }

    /// Adds each command to a refusal, as a hint.
    pub(super) fn with_ways(self, failure: Failure) -> Failure {
        let hints = self.ways.into_iter();
        let hints = hints.map(|(what, command)| format!("{what}: {command}"));
        hints.fold(failure, Failure::hint)
    }
}

/// Fails if something of a task is missing.
///
/// # Errors
/// Also when that cannot be told.
pub(crate) fn ensure_whole(flux: &Flux, task: &Task) -> Result<()> {
    match Broken::find(flux, task)? {
        Some(broken) => Err(broken.failure().into()),
        None => Ok(()),
    }
}

/// The branch of a task is checked out in another worktree than its own.
fn checked_out_elsewhere(flux: &Flux, task: &Task) -> Result<Option<Broken>> {
    let (path, name) = (&task.worktree, task.branch_ref());
    let entries = worktree::list(flux.repo.home())?;
    let other = entries.iter().find(|entry| {
        entry.path != *path && entry.branch.as_ref() == Some(&name) && entry.path.exists()
    });
    Ok(other.map(|other| {
        let place = quoted(&other.path);
        Broken {
            what: format!(
                "the branch '{}' of '{}' is checked out in '{}', and its worktree '{}' is not there",
                task.branch,
                task.id,
                shown(&other.path),
                shown(path)
            ),
            ways: vec![
                ("if that is the task's", format!("git flux adopt {place}")),
                ("if it is yours", format!("git -C {place} switch --detach")),
            ],
        }
    }))
}

/// What is said of a worktree that is gone.
fn gone(task: &Task) -> String {
    let path = shown(&task.worktree);
    format!("the worktree of '{}' is gone: '{path}'", task.id)
}

/// The worktree of a task was moved, and is found.
fn moved(flux: &Flux, task: &Task) -> Option<Broken> {
    let (common, path) = (flux.repo.common_dir(), &task.worktree);
    let found = |moved: &Path| format!("{}; it is in '{}'", gone(task), shown(moved));
    if let Some(moved) = admin::moved_beside(common, path) {
        let back = format!("mv {} {}", quoted(&moved), quoted(path));
        return Some(Broken {
            what: found(&moved),
            ways: vec![("to move it back", back)],
        });
    }
    let moved = admin::moved_into(common, flux.repo.home().parent()?, path)?;
    let repair = format!("git worktree repair {}", quoted(&moved));
    Some(Broken {
        what: found(&moved),
        ways: vec![("to let git find it", repair)],
    })
}

/// The worktree of a task is gone, and its branch too.
fn without_both(flux: &Flux, task: &Task) -> Result<Broken> {
    Ok(Broken {
        what: format!("{}, and so is its branch '{}'", gone(task), task.branch),
        ways: branch_again(flux, task)?,
    })
}

/// The worktree of a task is gone.
fn without_worktree(task: &Task) -> Broken {
    let (path, branch) = (quoted(&task.worktree), word(&task.branch));
    Broken {
        what: gone(task),
        ways: vec![
            (
                "to have it again, as its branch is",
                format!("git worktree add --force {path} {branch}"),
            ),
            (
                "to merge what was committed, and remove the task",
                format!("git flux cleanup {} --discard", task.id),
            ),
        ],
    }
}

/// The ways out where the branch is gone.
fn branch_again(flux: &Flux, task: &Task) -> Result<Vec<(&'static str, String)>> {
    let (id, tip) = (&task.id, last_commit(flux, task)?);
    Ok(vec![
        (
            "to have its branch again, at the last commit that is known",
            format!("git branch {} {tip}", word(&task.branch)),
        ),
        (
            "to remove the task",
            format!("git flux cleanup {id} --discard --discard-branch"),
        ),
    ])
}

/// Returns the last commit that is known of a task whose branch is gone: where the log of its
/// worktree ends, else where it started.
///
/// # Errors
/// When it cannot be told.
pub(super) fn last_commit(flux: &Flux, task: &Task) -> Result<ObjectId> {
    let last = admin::last_head(flux.repo.common_dir(), &task.worktree)?;
    if let Some(last) = last.filter(|commit| flux.repo.tree_of(commit).is_ok()) {
        return Ok(last);
    }
    let name = base_ref(&task.id);
    let base = refs::list(flux.repo.home(), &[&name])?.remove(&name);
    Ok(base.unwrap_or_else(|| task.start().to_owned()))
}

/// A name beside `path` that nothing has.
pub(crate) fn free_beside(path: &Path) -> PathBuf {
    let beside = |n: u32| {
        let mut name = OsString::from(path.as_os_str());
        name.push(if n == 0 {
            ".away".to_owned()
        } else {
            format!(".away{n}")
        });
        PathBuf::from(name)
    };
    let mut names = (0..).map(beside);
    let is_free = |path: &PathBuf| path.symlink_metadata().is_err();
    names.find(is_free).unwrap_or_else(|| path.to_owned())
}
