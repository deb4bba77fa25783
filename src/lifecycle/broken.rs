//! What is missing of a task, and the commands that get out of that.

use std::fs;
use std::iter;
use std::mem;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::context::Flux;
use crate::failure::{self, Failure};
use crate::git::{Distrust, ObjectId, admin, refs, worktree};
use crate::store::base_ref;
use crate::task::Task;
use crate::ui::{quoted, shown, word};

/// A command, and what it is good for.
type Way = (&'static str, String);

/// Something of a task is missing.
pub(crate) struct Broken {
    what: String,
    pub(crate) ways: Vec<Way>,
}

impl Broken {
    /// Looks for what is missing of a task; none if it is whole.
    ///
    /// # Errors
    /// When git fails, or it cannot be told.
    pub(crate) fn find(flux: &Flux, task: &Task) -> Result<Option<Self>> {
        let (common, path) = (flux.repo.common_dir(), &task.worktree);
        let exists =
            fs::exists(path).with_context(|| format!("could not look at '{}'", path.display()))?;
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
        if exists {
            return Ok(Some(if admin::is_ours(common, path)? {
                Self::without_branch(flux, task)?
            } else {
                Self::not_ours(flux, task)?
            }));
        }
        let gone = format!("the worktree of '{}' is gone: '{}'", task.id, shown(path));
        Ok(Some(match moved(flux, task) {
            Some((moved, way)) => Self {
                what: format!("{gone}; it is in '{}'", shown(&moved)),
                ways: vec![way],
            },
            None if has_branch => without_worktree(task, gone),
            None => {
                let what = format!("{gone}, and so is its branch '{}'", task.branch);
                Self::branchless(flux, task, what)?
            }
        }))
    }

    /// Returns a task whose branch is gone.
    ///
    /// # Errors
    /// When git fails.
    pub(super) fn without_branch(flux: &Flux, task: &Task) -> Result<Self> {
        let what = format!("the branch '{}' of '{}' is gone", task.branch, task.id);
        Self::branchless(flux, task, what)
    }

    fn branchless(flux: &Flux, task: &Task, what: String) -> Result<Self> {
        let remove = format!("git flux cleanup {} --discard --discard-branch", task.id);
        let ways = vec![branch_again(flux, task)?, ("to remove the task", remove)];
        Ok(Self { what, ways })
    }

    /// Returns what has been altered of what git keeps of the worktree of a task, which is there.
    pub(super) fn altered(flux: &Flux, task: &Task) -> Option<Self> {
        let (path, branch) = (&task.worktree, task.branch_ref());
        let error = flux.repo.checkout(path).err()?;
        let hints = match error.downcast_ref::<Distrust>()? {
            Distrust::Head(file) => {
                let (head, file) = (word(&format!("ref: {branch}")), quoted(file));
                vec![format!("echo {head} >{file}")]
            }
            distrust if distrust.is_ours() => failure::hints(&error).collect(),
            _ if admin::is_misplaced(flux.repo.common_dir(), path, &branch) => {
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

    /// Returns that what is at the path of the worktree of a task is not that.
    ///
    /// # Errors
    /// When it cannot be looked at.
    pub(super) fn not_ours(flux: &Flux, task: &Task) -> Result<Self> {
        let (common, path) = (flux.repo.common_dir(), &task.worktree);
        if let Some(altered) = Self::altered(flux, task) {
            return Ok(altered);
        }
        let (place, pasted) = (shown(path), quoted(path));
        let what = format!("'{place}' is not a worktree of this repository any more");
        if admin::was_pruned(common, path)? {
            let adopt = format!("git flux adopt {pasted}");
            let way = if has_branch(flux, task)? {
                ("where git has forgotten it", adopt)
            } else {
                branch_again(flux, task)?
            };
            let ways = vec![way];
            return Ok(Self { what, ways });
        }
        let away = format!("mv {pasted} {}", quoted(&free_beside(path)));
        let mut ways = vec![("to move it away", away)];
        // git mends what is a worktree by its own entry; a clone it leaves alone.
        let link = path.join(".git").symlink_metadata();
        let is_mendable = path.is_dir() && !link.is_ok_and(|link| link.is_dir());
        if is_mendable && admin::has_entry(common, path)? {
            let repair = "git worktree repair".to_owned();
            ways.insert(0, ("if it is the task's", repair));
        }
        Ok(Self { what, ways })
    }

    /// Returns the refusal, with each command as a hint.
    pub(crate) fn failure(mut self) -> Failure {
        let failure = Failure::new(mem::take(&mut self.what));
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

fn has_branch(flux: &Flux, task: &Task) -> Result<bool> {
    Ok(!refs::list(flux.repo.home(), &[&task.branch_ref()])?.is_empty())
}

/// Returns that the branch of a task is checked out in another worktree than its own, if so.
fn checked_out_elsewhere(flux: &Flux, task: &Task) -> Result<Option<Broken>> {
    let (path, name) = (&task.worktree, task.branch_ref());
    let entries = worktree::list(flux.repo.home())?;
    let other = entries.iter().find(|entry| {
        entry.path != *path && entry.branch.as_ref() == Some(&name) && entry.path.exists()
    });
    let Some(other) = other else {
        return Ok(None);
    };
    let (place, other, path) = (quoted(&other.path), shown(&other.path), shown(path));
    let (id, branch) = (&task.id, &task.branch);
    let at = format!("the branch '{branch}' of '{id}' is checked out in '{other}'");
    let what = format!("{at}, and its worktree '{path}' is not there");
    let ways = vec![
        ("if that is the task's", format!("git flux adopt {place}")),
        ("if it is yours", format!("git -C {place} switch --detach")),
    ];
    Ok(Some(Broken { what, ways }))
}

/// Returns where the worktree of a task was moved to, if that is found, and the way out.
fn moved(flux: &Flux, task: &Task) -> Option<(PathBuf, Way)> {
    let (common, path) = (flux.repo.common_dir(), &task.worktree);
    if let Some(moved) = admin::find_moved_beside(common, path) {
        let back = format!("mv {} {}", quoted(&moved), quoted(path));
        return Some((moved, ("to move it back", back)));
    }
    let moved = admin::find_moved_into(common, flux.repo.home().parent()?, path)?;
    let repair = format!("git worktree repair {}", quoted(&moved));
    Some((moved, ("to let git find it", repair)))
}

/// Returns a task whose worktree alone is gone.
fn without_worktree(task: &Task, what: String) -> Broken {
    let (path, branch) = (quoted(&task.worktree), word(&task.branch));
    let again = format!("git worktree add --force {path} {branch}");
    let cleanup = format!("git flux cleanup {} --discard", task.id);
    let ways = vec![
        ("to have it again, as its branch is", again),
        ("to merge what was committed, and remove the task", cleanup),
    ];
    Broken { what, ways }
}

/// Returns the way out where the branch is gone.
fn branch_again(flux: &Flux, task: &Task) -> Result<Way> {
    let (branch, tip) = (word(&task.branch), last_commit(flux, task)?);
    let what = "to have its branch again, at the last commit that is known";
    Ok((what, format!("git branch {branch} {tip}")))
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

/// Returns a name beside `path` that nothing has: `<path>.away`, `<path>.away1` …
pub(crate) fn free_beside(path: &Path) -> PathBuf {
    let numbers = iter::once(String::new()).chain((1..u32::MAX).map(|n| n.to_string()));
    let mut names = numbers.map(|number| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".away{number}"));
        PathBuf::from(name)
    });
    let free = names.find(|path| path.symlink_metadata().is_err());
    free.unwrap_or_else(|| path.to_owned())
}
