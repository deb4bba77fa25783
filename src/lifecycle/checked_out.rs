//! Who has a branch checked out: it is not moved under files that git, or git flux, would not move along.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::damage::{Damage, unused_path};
use crate::context::Flux;
use crate::failure::Failure;
use crate::git::Worktree;
use crate::git::in_use::{bare_is_set_in, main_head, operations};
use crate::git::same::{is_same_file, is_same_ref};
use crate::sanitize;
use crate::store::Store;
use crate::task::{BranchName, Phase, RefName, Task};
use crate::ui::{quoted, shown, word};

/// A place where a branch is checked out or in use.
#[derive(Debug)]
enum BranchUse {
    /// A worktree that has it checked out.
    Worktree(PathBuf),
    /// A worktree that has it checked out under another name, which the file system takes for the same.
    Spelled { path: PathBuf, name: RefName },
    /// The worktree of a task, of which git has no entry.
    Unregistered(Box<Task>),
    /// Files somewhere, of a repository that is bare for git.
    Unknown,
    /// A rebase or bisect that goes back to it.
    Operation { name: &'static str, path: PathBuf },
    /// A worktree whose HEAD is lost: it may have any branch checked out.
    Lost { path: PathBuf, head: PathBuf },
}

/// The places where a branch is checked out or in use.
pub(crate) struct BranchUses<'a> {
    flux: &'a Flux,
    /// Without `refs/heads/`, and no symbolic ref.
    branch: &'a str,
    found: Vec<BranchUse>,
}

impl<'a> BranchUses<'a> {
    /// Looks for all places where a branch is checked out or in use.
    ///
    /// # Errors
    /// When it cannot be told.
    pub(crate) fn find(
        flux: &'a Flux,
        store: &Store,
        worktrees: &[Worktree],
        branch: &'a str,
    ) -> Result<Self> {
        let mut uses = Self::of_git(flux, worktrees, branch)?;
        for entry in worktrees {
            // Its record tells.
            let is_other = |task: &Task| task.worktree == entry.path && *task.branch != *branch;
            if let Some(head) = flux.repo.lost_head(entry)?
                && !store.readable().any(is_other)
            {
                let path = entry.path.clone();
                uses.found.push(BranchUse::Lost { path, head });
            }
        }
        for task in store.readable() {
            // A start makes the directory a moment before the entry.
            if task.phase == Phase::Active
                && uses.is_branch(&task.branch_ref())
                && worktrees.iter().all(|entry| entry.path != task.worktree)
                && task.worktree.symlink_metadata().is_ok()
            {
                let task = Box::new(task.clone());
                uses.found.push(BranchUse::Unregistered(task));
            }
        }
        Ok(uses)
    }

    /// Looks for the places that git knows, and for one that it should know.
    ///
    /// # Errors
    /// When it cannot be told.
    pub(super) fn of_git(flux: &'a Flux, worktrees: &[Worktree], branch: &'a str) -> Result<Self> {
        let (full, found) = (BranchName::new(branch).full(), Vec::new());
        let mut uses = Self {
            flux,
            branch,
            found,
        };
        for entry in worktrees.iter().filter(|entry| !entry.bare) {
            let path = entry.path.clone();
            match &entry.branch {
                Some(name) if *name == full => uses.found.push(BranchUse::Worktree(path)),
                Some(name) if uses.is_branch(name) => {
                    let name = name.clone();
                    uses.found.push(BranchUse::Spelled { path, name });
                }
                _ => {}
            }
        }
        if flux.repo.has_unknown_files(worktrees)?
            && let Some(head) = main_head(flux.repo.home())?
            && uses.is_branch(&head)
        {
            uses.found.push(BranchUse::Unknown);
        }
        for operation in operations(&flux.repo)? {
            if operation.refs.iter().any(|name| uses.is_branch(name)) {
                let (name, path) = (operation.name, operation.path);
                uses.found.push(BranchUse::Operation { name, path });
            }
        }
        Ok(uses)
    }

    fn is_branch(&self, name: &RefName) -> bool {
        let full = BranchName::new(self.branch).full();
        is_same_ref(self.flux.repo.common_dir(), &full, name)
    }

    /// Leaves out what is in the worktree at `path`.
    pub(crate) fn except(mut self, path: &Path) -> Self {
        self.found.retain(|one| match one {
            BranchUse::Worktree(at)
            | BranchUse::Spelled { path: at, .. }
            | BranchUse::Operation { path: at, .. }
            | BranchUse::Lost { path: at, .. } => at != path && !is_same_file(at, path),
            BranchUse::Unregistered(task) => task.worktree != path,
            BranchUse::Unknown => true,
        });
        self
    }

    /// Returns the worktrees that have the branch checked out, as far as git knows.
    fn worktrees(&self) -> impl Iterator<Item = &Path> {
        self.found.iter().filter_map(|one| match one {
            BranchUse::Worktree(path) => Some(path.as_path()),
            _ => None,
        })
    }

    /// Returns the first worktree that has the branch checked out, as far as git knows.
    pub(crate) fn worktree(&self) -> Option<&Path> {
        self.worktrees().next()
    }

    /// Fails unless one worktree at most has the branch checked out, where it can be moved to `from`.
    ///
    /// # Errors
    /// When moving it would leave files behind.
    pub(super) fn ensure_movable(&self, from: &BranchName) -> Result<()> {
        let is_worktree = |one: &&BranchUse| matches!(one, BranchUse::Worktree(_));
        if let Some(one) = self.found.iter().find(|one| !is_worktree(one)) {
            bail!(self.failure(one, Some(from))?);
        }
        if self.found.len() < 2 {
            return Ok(());
        }
        let paths: Vec<String> = self
            .worktrees()
            .map(|path| format!("'{}'", shown(path)))
            .collect();
        let (branch, paths) = (self.branch, paths.join(" and in "));
        let failure = Failure::new(format!("the branch '{branch}' is checked out in {paths}"));
        bail!(
            self.worktrees()
                .skip(1)
                .fold(failure, |failure, path| match path.exists() {
                    true => failure.hint(format!("git -C {} switch --detach", quoted(path))),
                    false => failure.hint("git worktree prune"),
                })
        )
    }

    /// Fails if the branch is checked out or in use.
    ///
    /// # Errors
    /// Also when its way out cannot be told.
    pub(crate) fn ensure_none(&self) -> Result<()> {
        match self.found.first() {
            Some(one) => bail!(self.failure(one, None)?),
            None => Ok(()),
        }
    }

    /// The refusal of a branch for one place where it is checked out or in use. `from` is what it
    /// was to be moved to.
    fn failure(&self, one: &BranchUse, from: Option<&BranchName>) -> Result<Failure> {
        let branch = self.branch;
        Ok(match one {
            BranchUse::Worktree(path) => {
                let what = format!("the branch '{branch}' is checked out in '{}'", shown(path));
                Failure::new(what).hint(format!("git -C {} switch --detach", quoted(path)))
            }
            BranchUse::Spelled { path, name } => {
                let (path, place, name) = (quoted(path), shown(path), sanitize::line(name));
                let head = word(&format!("refs/heads/{branch}"));
                let what = format!("'{place}' has the branch '{branch}' checked out as '{name}'");
                Failure::new(what).hint(format!("git -C {path} symbolic-ref HEAD {head}"))
            }
            BranchUse::Unregistered(task) => {
                let (place, unlisted) = (shown(&task.worktree), "which git does not list");
                let what = format!("the branch '{branch}' is checked out in '{place}', {unlisted}");
                Damage::replaced_worktree(self.flux, task)?.add_repairs(Failure::new(what))
            }
            BranchUse::Unknown => {
                let common = shown(self.flux.repo.common_dir());
                let what =
                    format!("'{branch}' has files checked out, but git takes '{common}' for bare");
                with_ways_out(self.flux, Failure::new(what), from)?
            }
            BranchUse::Operation { name, path } => {
                let place = shown(path);
                let what = format!("a {name} is in progress on '{branch}' in '{place}'");
                Failure::new(what).hint(match path.exists() {
                    true => format!("finish or abort it: git -C {} status", quoted(path)),
                    false => "git worktree prune".to_owned(),
                })
            }
            BranchUse::Lost { path, head } => {
                let place = shown(path);
                let what = format!("it is not known which branch '{place}' has checked out");
                Failure::new(what)
                    .hint(format!("echo 'ref: refs/heads/<branch>' >{}", quoted(head)))
            }
        })
    }
}

/// Fails where the main worktree is not known, since the repository is bare for git: new worktrees
/// would lie inside of it.
///
/// # Errors
/// Also when it cannot be told.
pub(crate) fn ensure_main_is_known(flux: &Flux, worktrees: &[Worktree]) -> Result<()> {
    let common = flux.repo.common_dir();
    if !common.ends_with(".git") || !flux.repo.has_unknown_files(worktrees)? {
        return Ok(());
    }
    let common = shown(common);
    let what = format!("files are checked out, but git takes '{common}' for bare");
    bail!(with_ways_out(flux, Failure::new(what), None)?)
}

/// Adds the ways out to the refusal of a repository that is bare for git and has files somewhere.
fn with_ways_out(flux: &Flux, failure: Failure, from: Option<&BranchName>) -> Result<Failure> {
    let common = flux.repo.common_dir();
    let git = format!("git --git-dir={}", quoted(common));
    let scope = bare_is_set_in(flux.repo.home())?.map(|(scope, _)| scope);
    let failure = match (scope.as_deref(), from) {
        (Some("command"), _) => return Ok(failure.hint("leave out: -c core.bare=true")),
        (Some("worktree"), _) if common.ends_with(".git") => {
            failure.hint(format!("{git} config --worktree core.bare false"))
        }
        _ if common.ends_with(".git") => failure.hint(format!("{git} config core.bare false")),
        (_, Some(from)) => {
            let merge = format!("{git} --work-tree=<directory> merge {}", word(from));
            failure.hint(format!("to merge it where the files are: {merge}"))
        }
        (_, None) => failure,
    };
    let index = common.join("index");
    let (index, away) = (quoted(&index), quoted(&unused_path(&index)));
    Ok(failure.hint(format!("if no files are: mv {index} {away}")))
}
