//! Chooses the branch of a new task and the path of its worktree.

use std::fs;
use std::path::{self, Path, PathBuf};

use anyhow::{Context as _, Result};

use super::{OTHER_ID_HINT, duplicate_branch};
use crate::context::Flux;
use crate::failure::Failure;
use crate::git::{Git, ObjectId, Worktree, in_use, refs};
use crate::lifecycle::branch_uses::BranchUses;
use crate::settings::{Settings, table};
use crate::store::Store;
use crate::system::none_if_missing;
use crate::task::check::is_branch_name;
use crate::task::{BranchName, ExistingBranch, RefName, Rest, TaskId};
use crate::ui::{quoted, shown, word};

/// An existing branch that a task works on.
pub(crate) struct ChosenBranch {
    pub(crate) name: BranchName,
    pub(crate) existing: ExistingBranch,
    /// The remote branch to create it from, such as `origin/x`.
    pub(crate) upstream: Option<String>,
}

impl ChosenBranch {
    /// Returns the branch `name` for a task. Without an `upstream` it exists, at `tip`; with one,
    /// such as `origin/x`, it is to be created at `tip`.
    pub(crate) fn new(name: BranchName, tip: &ObjectId, upstream: Option<String>) -> Self {
        let existing = ExistingBranch {
            tip: tip.clone(),
            made: upstream.is_some(),
            adopted: false,
            rest: Rest::default(),
        };
        Self {
            name,
            existing,
            upstream,
        }
    }
}

/// Finds the existing branch `name` for a task: a local one or else, by [`find_remote_branch`], a
/// remote one. Fails if there is none, if a worktree, rebase or bisect uses a local one, or if a
/// remote one cannot become a local one. Creates nothing.
pub(crate) fn choose(
    flux: &Flux,
    store: &Store,
    worktrees: &[Worktree],
    name: &BranchName,
) -> Result<ChosenBranch> {
    let local = resolve_branch(store, &BranchName::typed(name))?;
    let Some(tip) = store.tip(&local) else {
        let branch = find_remote_branch(flux, name)?;
        ensure_can_track(flux, store, &branch)?;
        return Ok(branch);
    };
    store.ensure_task_readable(&flux.settings, &local)?;
    ensure_free(flux, store, worktrees, &local)?;
    Ok(ChosenBranch::new(local, tip, None))
}

/// Fails if no local branch can be created for a remote branch: one of that name or a conflicting
/// one exists, or git config has settings for that name.
fn ensure_can_track(flux: &Flux, store: &Store, branch: &ChosenBranch) -> Result<()> {
    let (local, upstream) = (&branch.name, branch.upstream.as_deref().unwrap_or_default());
    if store.tip(local).is_some() {
        let what = format!("the branch '{local}' exists already, beside '{upstream}'");
        let hint = format!("to work on it: git flux run --branch {}", word(local));
        return Err(Failure::new(what).hint(hint).into());
    }
    ensure_no_ref_file(flux, local)?;
    if let Some(failure) = name_conflict(store, local) {
        return Err(failure.into());
    }
    // A rollback would delete its settings, as `git branch -d` does.
    if flux.settings.branch_section(local).is_empty() {
        return Ok(());
    }
    let what = format!("there are settings for '{local}', but no such branch");
    let make = format!("git branch {} {}", word(local), word(upstream));
    let section = format!("branch.{local}");
    let remove = format!("git config --remove-section {}", word(&section));
    Err(Failure::new(what).hint(make).hint(remove).into())
}

/// Finds the remote branch `name`, given as `origin/x` or `x`, among the fetched ones, and returns
/// the local branch to create for it. Of several remotes, `checkout.defaultRemote` decides. Fails
/// if none or several match.
fn find_remote_branch(flux: &Flux, name: &BranchName) -> Result<ChosenBranch> {
    let dir = flux.repo.home();
    let found = refs::list(dir, &["refs/remotes/"])?;
    let remotes = String::from_utf8(Git::reading(dir).words("remote").output()?)?;
    let plain = name.strip_prefix("refs/remotes/").unwrap_or(name);
    let find = |remote: &str, branch: &str| {
        let upstream = format!("{remote}/{branch}");
        let tip = found.get(&RefName::new(format!("refs/remotes/{upstream}")))?;
        let name = BranchName::new(branch);
        Some(ChosenBranch::new(name, tip, Some(upstream)))
    };
    let named = remotes.lines().find_map(|remote| {
        let branch = plain.strip_prefix(remote)?.strip_prefix('/')?;
        find(remote, branch).filter(|_| branch != "HEAD")
    });
    if let Some(named) = named {
        return Ok(named);
    }
    let mut all: Vec<_> = remotes.lines().filter_map(|r| find(r, plain)).collect();
    if all.len() > 1 {
        let preferred = Git::reading(dir).words("config --get checkout.defaultRemote");
        if let Some(branch) = preferred.answer()?.and_then(|remote| find(&remote, plain)) {
            return Ok(branch);
        }
        let names: Vec<String> = all.into_iter().filter_map(|b| b.upstream).collect();
        let list = names.join(", ");
        let what = format!("more than one remote has a branch '{plain}': {list}");
        let hint = format!("to choose one: git flux run --branch {}", word(&names[0]));
        return Err(Failure::new(what).hint(hint).into());
    }
    all.pop().with_context(|| {
        Failure::new(format!("there is no branch '{name}'"))
            .hint("to see all branches: git branch --all")
            .hint("leave out --branch to create a new branch")
    })
}

/// Fails if a worktree has the branch checked out, or may have it because its HEAD is damaged, or
/// if a rebase or bisect uses the branch. Hints at the task, or at commands that free the branch.
fn ensure_free(
    flux: &Flux,
    store: &Store,
    worktrees: &[Worktree],
    branch: &BranchName,
) -> Result<()> {
    let uses = BranchUses::find(flux, store, worktrees, branch)?;
    let Some(path) = uses.worktree() else {
        return uses.ensure_none();
    };
    let (shown, place) = (shown(path), quoted(path));
    let failure = Failure::new(format!("the branch '{branch}' is checked out in '{shown}'"));
    if let Some(task) = store.readable().find(|task| task.worktree == path) {
        let hint = format!("to work on it there: git flux attach {}", task.id);
        return Err(failure.hint(hint).into());
    }
    // git lists the main worktree first.
    let is_main = worktrees.first().is_some_and(|entry| entry.path == path);
    let adopt = (!is_main).then(|| format!("git flux adopt {place}"));
    let switch = format!("git -C {place} switch <another branch>");
    Err(failure.hints(adopt).hint(switch).into())
}

/// Returns the merge target of a branch in git config, whether it exists or not:
/// `branch.<name>.fluxInto`, else `flux.into`. `None` if neither is set.
pub(crate) fn configured_target(settings: &Settings, branch: &BranchName) -> Option<BranchName> {
    let of_branch = settings.branch_value(branch, &table::BRANCH_INTO);
    of_branch
        .or_else(|| settings.default_target())
        .map(BranchName::typed)
}

/// Returns the branch that `name` is a symbolic ref of; `name` itself if it is none. Fails if it
/// points to another kind of ref.
pub(crate) fn resolve_branch(store: &Store, name: &BranchName) -> Result<BranchName> {
    store.resolve_symbolic(name).map(BranchName::new)
}

/// Returns the merge target of a new branch: the configured one, else `started`, the branch that it
/// starts from; `None` if there is neither. Fails if the configured one does not exist.
pub(crate) fn merge_target(
    flux: &Flux,
    store: &Store,
    branch: &BranchName,
    started: Option<&BranchName>,
) -> Result<Option<BranchName>> {
    let Some(configured) = configured_target(&flux.settings, branch) else {
        return Ok(started.cloned());
    };
    let into = resolve_branch(store, &configured)?;
    ensure_target(flux, store, branch, &into)?;
    Ok(Some(into))
}

/// Fails if the branch `into`, the merge target of `branch` in git config, does not exist.
fn ensure_target(flux: &Flux, store: &Store, branch: &BranchName, into: &BranchName) -> Result<()> {
    if store.tip(into).is_some() {
        return Ok(());
    }
    let what = format!("there is no branch '{into}' to merge the task into");
    let origin = |setting| flux.settings.origin_hint(setting, branch, into);
    let origin = origin(&table::BRANCH_INTO).or_else(|| origin(&table::INTO));
    let failure = Failure::new(what).hints(origin);
    Err(failure.hint("git config flux.into <branch>").into())
}

/// Returns the merge base of an existing branch with its merge target, and that target: the first
/// of the configured one and `head` that is another branch. Without such a target, compares with
/// HEAD; if there is no commit to compare with, returns the branch's tip. Fails if there is no
/// common commit, or the configured target does not exist.
pub(crate) fn fork_point(
    flux: &Flux,
    store: &Store,
    chosen: &ChosenBranch,
    head: Option<&BranchName>,
) -> Result<(ObjectId, Option<BranchName>)> {
    let (branch, tip) = (&chosen.name, &chosen.existing.tip);
    let configured = configured_target(&flux.settings, branch);
    let candidates = configured.iter().chain(head);
    let candidates = candidates.map(|name| resolve_branch(store, name));
    let candidates: Vec<BranchName> = candidates.collect::<Result<_>>()?;
    let into = candidates.into_iter().find(|into| into != branch);
    if let (Some(_), Some(into)) = (&configured, &into) {
        ensure_target(flux, store, branch, into)?;
    }
    let against = match &into {
        Some(into) => store.tip(into).cloned(),
        None => flux.repo.resolve("HEAD")?,
    };
    let Some(against) = against else {
        return Ok((tip.clone(), into));
    };
    let base = flux.repo.merge_base(tip, &against)?.with_context(|| {
        let (other, branch_word) = (into.as_deref().unwrap_or("HEAD"), word(branch));
        Failure::new(format!("'{branch}' has no commit in common with '{other}'"))
            .hint(format!("git config branch.{branch_word}.fluxInto <branch>"))
    })?;
    Ok((base, into))
}

pub(crate) fn ensure_valid_name(flux: &Flux, branch: &BranchName) -> Result<()> {
    if is_branch_name(branch) {
        return Ok(());
    }
    let prefix = flux.settings.branch_prefix();
    let origin = flux.settings.origin_hint(&table::BRANCH_PREFIX, "", prefix);
    let failure = Failure::new(format!("'{branch}' is not a valid branch name"));
    let failure = failure.hints(origin);
    Err(failure.hint("git config flux.branchPrefix feature/").into())
}

pub(super) fn ensure_can_create(flux: &Flux, store: &Store, branch: &BranchName) -> Result<()> {
    if store.tip(branch).is_some() {
        return Err(duplicate_branch(branch).into());
    }
    ensure_no_ref_file(flux, branch)?;
    let Some(failure) = name_conflict(store, branch) else {
        return Ok(());
    };
    Err(failure.hint(PREFIX_HINT).into())
}

const PREFIX_HINT: &str = "git config flux.branchPrefix <another prefix>";

/// Returns the error if a branch exists that git cannot have beside `branch`, as `a` beside `a/b`.
/// `None` if there is none.
fn name_conflict(store: &Store, branch: &BranchName) -> Option<Failure> {
    let other = store.conflicting_branch(branch)?;
    let what = format!("cannot create the branch '{branch}': '{other}' exists");
    Some(Failure::new(what).hint(format!("git branch -m {} <another name>", word(other))))
}

/// Fails if the branch's ref file exists, although git lists no such branch: it is a dangling
/// symbolic ref, or its name differs only in case on a case-insensitive file system.
fn ensure_no_ref_file(flux: &Flux, branch: &BranchName) -> Result<()> {
    let Some(name) = in_use::stored_name(flux.repo.common_dir(), branch)? else {
        return Ok(());
    };
    if name != *branch {
        let what = format!("'{branch}' and '{name}' are the same file on this file system");
        let failure = Failure::new(what).hint(OTHER_ID_HINT);
        return Err(failure.hint(PREFIX_HINT).into());
    }
    let file = format!("refs/heads/{branch}");
    let what = format!("'{file}' is a dangling symbolic ref");
    let hint = format!("git symbolic-ref --delete {}", word(&file));
    Err(Failure::new(what).hint(hint).into())
}

/// Fails if something other than an empty directory is at `path`, or if git lists a worktree there.
pub(super) fn ensure_unused(path: &Path, worktrees: &[Worktree]) -> Result<()> {
    let shown = shown(path);
    if worktrees.iter().any(|entry| entry.path == path) {
        let failure = Failure::new(format!("'{shown}' is already registered as a worktree"));
        return Err(failure.hint("git worktree list").into());
    }
    let is_free = none_if_missing(path.symlink_metadata()).and_then(|found| match found {
        None => Ok(true),
        Some(found) => Ok(found.is_dir() && fs::read_dir(path)?.next().is_none()),
    });
    if is_free.with_context(|| format!("could not access '{shown}'"))? {
        return Ok(());
    }
    let hint = "choose another name with --name, or another place with: git config flux.worktreeDir <directory>";
    let failure = Failure::new(format!("'{shown}' exists already"));
    Err(failure.hint(hint).into())
}

/// Returns the path for the worktree of a task: `<project>-<id>` in `flux.worktreeDir`, by default
/// beside the repository, without links. Creates nothing; the directory need not exist.
pub(crate) fn worktree_path(flux: &Flux, id: &TaskId) -> Result<PathBuf> {
    let mut name = flux.repo.project();
    name.push(format!("-{id}"));
    let dir = flux
        .settings
        .worktree_dir(flux.repo.home(), flux.repo.base_dir());
    let real = real_path(&dir).with_context(|| {
        Failure::new(format!("there is no directory '{}'", shown(&dir)))
            .hint("git config flux.worktreeDir <directory>")
    })?;
    Ok(real.join(name))
}

/// Returns a path as an absolute one, without `..` and symbolic links; its last parts need not
/// exist. `None` if that fails, as for `..` after a missing part.
pub(crate) fn real_path(path: &Path) -> Option<PathBuf> {
    let path = path::absolute(path).ok()?;
    let real = path.canonicalize().ok();
    real.or_else(|| Some(self::real_path(path.parent()?)?.join(path.file_name()?)))
}
