//! Finds the worktrees and operations that use a branch: moving it would leave their files behind.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::damage::{Damage, unused_path};
use crate::context::Flux;
use crate::failure::Failure;
use crate::git::Worktree;
use crate::git::identity::{is_same_file, is_same_ref};
use crate::git::in_use::{list_operations, read_core_bare, read_main_head};
use crate::sanitize;
use crate::store::Store;
use crate::task::{BranchName, Phase, RefName, Task};
use crate::ui::{quoted, shown, word};

/// A place where a branch is checked out or in use.
#[derive(Debug)]
enum BranchUse {
    /// A worktree that has it checked out.
    Worktree(PathBuf),
    /// A worktree that has it checked out under another spelling, on a case-insensitive file system.
    OtherSpelling { path: PathBuf, name: RefName },
    /// The worktree of a task that git does not list.
    Unregistered(Box<Task>),
    /// Files of a repository that git treats as bare.
    Unknown,
    /// A rebase or bisect that returns to it.
    Operation { name: &'static str, path: PathBuf },
    /// A worktree without a readable HEAD: it may have any branch checked out.
    Lost { path: PathBuf, head: PathBuf },
}

/// The places where a branch is checked out or in use.
pub(crate) struct BranchUses<'a> {
    flux: &'a Flux,
    /// Without `refs/heads/`, and no symbolic ref.
    branch: &'a BranchName,
    found: Vec<BranchUse>,
}

impl<'a> BranchUses<'a> {
    /// Finds all uses of a branch: worktrees that have it checked out, also of active tasks that
    /// git does not list; rebases and bisects that return to it; and worktrees with a damaged HEAD,
    /// unless they are those of tasks with other branches.
    pub(crate) fn find(
        flux: &'a Flux,
        store: &Store,
        worktrees: &[Worktree],
        branch: &'a BranchName,
    ) -> Result<Self> {
        let mut uses = Self::scan(flux, worktrees, branch)?;
        for entry in worktrees {
            // The record of its task names its branch.
            let is_other = |task: &Task| task.worktree == entry.path && task.branch != *branch;
            if let Some(head) = flux.repo.find_damaged_head(entry)?
                && !store.readable().any(is_other)
            {
                let path = entry.path.clone();
                uses.found.push(BranchUse::Lost { path, head });
            }
        }
        for task in store.readable() {
            // A start creates the directory just before git's entry.
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

    /// Finds the uses of a branch that git knows: worktrees that have it checked out, rebases and
    /// bisects that return to it, and the HEAD of a repository with files that git treats as bare.
    pub(super) fn scan(
        flux: &'a Flux,
        worktrees: &[Worktree],
        branch: &'a BranchName,
    ) -> Result<Self> {
        let (full, found) = (branch.full(), Vec::new());
        let mut uses = Self {
            flux,
            branch,
            found,
        };
        for entry in worktrees.iter().filter(|entry| !entry.is_bare) {
            let path = entry.path.clone();
            match &entry.branch {
                Some(name) if *name == full => uses.found.push(BranchUse::Worktree(path)),
                Some(name) if uses.is_branch(name) => {
                    let name = name.clone();
                    uses.found.push(BranchUse::OtherSpelling { path, name });
                }
                _ => {}
            }
        }
        if flux.repo.is_bare_with_index(worktrees)?
            && let Some(head) = read_main_head(flux.repo.home())?
            && uses.is_branch(&head)
        {
            uses.found.push(BranchUse::Unknown);
        }
        for operation in list_operations(&flux.repo)? {
            if operation.refs.iter().any(|name| uses.is_branch(name)) {
                let (name, path) = (operation.name, operation.path);
                uses.found.push(BranchUse::Operation { name, path });
            }
        }
        Ok(uses)
    }

    fn is_branch(&self, name: &RefName) -> bool {
        let full = self.branch.full();
        is_same_ref(self.flux.repo.common_dir(), &full, name)
    }

    /// Drops the found uses of the branch that are in the worktree at `path`. Keeps the use by a
    /// repository with files that git treats as bare.
    pub(crate) fn except(mut self, path: &Path) -> Self {
        self.found.retain(|one| match one {
            BranchUse::Worktree(at)
            | BranchUse::OtherSpelling { path: at, .. }
            | BranchUse::Operation { path: at, .. }
            | BranchUse::Lost { path: at, .. } => at != path && !is_same_file(at, path),
            BranchUse::Unregistered(task) => task.worktree != path,
            BranchUse::Unknown => true,
        });
        self
    }

    /// Returns the paths of all worktrees in which git lists the branch as checked out.
    fn worktrees(&self) -> impl Iterator<Item = &Path> {
        self.found.iter().filter_map(|one| match one {
            BranchUse::Worktree(path) => Some(path.as_path()),
            _ => None,
        })
    }

    /// Returns the path of the first worktree in which git lists the branch as checked out. `None`
    /// does not mean that the branch is unused: a rebase may use it.
    pub(crate) fn worktree(&self) -> Option<&Path> {
        self.worktrees().next()
    }

    /// Fails if moving this branch would leave old files behind: it has a use other than a
    /// worktree, such as a rebase, or two worktrees have it checked out; one is fine. `from`, the
    /// branch to merge into it, is only named in a hint.
    pub(super) fn ensure_movable(&self, from: &BranchName) -> Result<()> {
        let is_worktree = |one: &&BranchUse| matches!(one, BranchUse::Worktree(_));
        if let Some(one) = self.found.iter().find(|one| !is_worktree(one)) {
            bail!(self.use_failure(one, Some(from))?);
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

    /// Fails if the branch has any use: a worktree that has it checked out, a rebase or a bisect.
    /// The error names the first.
    pub(crate) fn ensure_none(&self) -> Result<()> {
        match self.found.first() {
            Some(one) => bail!(self.use_failure(one, None)?),
            None => Ok(()),
        }
    }

    /// Returns the error that the branch has the use `one`, with commands that end the use. `from`,
    /// the branch to merge into it, is only named in a hint.
    fn use_failure(&self, one: &BranchUse, from: Option<&BranchName>) -> Result<Failure> {
        let branch = self.branch;
        Ok(match one {
            BranchUse::Worktree(path) => {
                let what = format!("the branch '{branch}' is checked out in '{}'", shown(path));
                Failure::new(what).hint(format!("git -C {} switch --detach", quoted(path)))
            }
            BranchUse::OtherSpelling { path, name } => {
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
                    format!("git treats '{common}' as bare, but its index has files of '{branch}'");
                with_hints(self.flux, Failure::new(what), from)?
            }
            BranchUse::Operation { name, path } => {
                let place = shown(path);
                let what = format!("a {name} is in progress on '{branch}' in '{place}'");
                Failure::new(what).hint(match path.exists() {
                    true => format!(
                        "to see how to finish or abort it: git -C {} status",
                        quoted(path)
                    ),
                    false => "git worktree prune".to_owned(),
                })
            }
            BranchUse::Lost { path, head } => {
                let place = shown(path);
                let what = format!("the HEAD of the worktree '{place}' names no branch or commit");
                let write = format!("echo 'ref: refs/heads/<branch>' >{}", quoted(head));
                Failure::new(what).hint(format!("to repair its HEAD: {write}"))
            }
        })
    }
}

/// Fails if the repository's directory is `.git` and has an index, but git treats it as bare: new
/// worktrees would be created inside the existing one.
pub(crate) fn ensure_main_is_known(flux: &Flux, worktrees: &[Worktree]) -> Result<()> {
    let common = flux.repo.common_dir();
    if !common.ends_with(".git") || !flux.repo.is_bare_with_index(worktrees)? {
        return Ok(());
    }
    let common = shown(common);
    let what = format!("git treats '{common}' as bare, but it has an index");
    bail!(with_hints(flux, Failure::new(what), None)?)
}

/// Adds the commands to `failure` that repair a repository with files which git treats as bare,
/// such as `git config core.bare false`. `from` is a branch that could be merged by hand instead.
fn with_hints(flux: &Flux, failure: Failure, from: Option<&BranchName>) -> Result<Failure> {
    let common = flux.repo.common_dir();
    let git = format!("git --git-dir={}", quoted(common));
    let place = quoted(common.parent().unwrap_or(common));
    let scope = read_core_bare(flux.repo.home())?.map(|(scope, _)| scope);
    let failure = match (scope.as_deref(), from) {
        (Some("command"), _) => return Ok(failure.hint("run it again without -c core.bare=true")),
        (Some("worktree"), _) if common.ends_with(".git") => failure.hint(format!(
            "if {place} is the main worktree: {git} config --worktree core.bare false"
        )),
        _ if common.ends_with(".git") => failure.hint(format!(
            "if {place} is the main worktree: {git} config core.bare false"
        )),
        (_, Some(from)) => {
            let merge = format!("{git} --work-tree=<directory> merge {}", word(from));
            failure.hint(format!(
                "if the main worktree is elsewhere, merge there: {merge}"
            ))
        }
        (_, None) => failure,
    };
    let index = common.join("index");
    let (index, away) = (quoted(&index), quoted(&unused_path(&index)));
    Ok(failure.hint(format!(
        "if there is no main worktree, move the index away: mv {index} {away}"
    )))
}
