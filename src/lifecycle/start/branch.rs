//! The branch of a new task and the place of its worktree: what is there already, and what is free.

use std::fs;
use std::path::{self, Path, PathBuf};

use anyhow::{Context as _, Result};

use super::branch_exists;
use crate::context::Flux;
use crate::failure::Failure;
use crate::git::{Git, ObjectId, Worktree, in_use, refs};
use crate::lifecycle::checked_out::BranchUses;
use crate::settings::{Settings, table};
use crate::store::Store;
use crate::system::optional;
use crate::task::check::is_branch_name;
use crate::task::{BranchName, Existing, RefName, Rest, Task, TaskId};
use crate::ui::{quoted, shown, word};

/// The branch that a task works on, if it was there before.
pub(crate) struct ChosenBranch {
    pub(crate) name: BranchName,
    pub(crate) existing: Existing,
    /// The branch of a remote that it is made after, `origin/x`.
    pub(crate) upstream: Option<String>,
}

impl ChosenBranch {
    /// Returns a branch that stands at `tip`, or is to be made there after `upstream`.
    pub(crate) fn new(name: BranchName, tip: &ObjectId, upstream: Option<String>) -> Self {
        let existing = Existing {
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

/// Returns the branch that `name` means: a local one, that of a remote as `origin/x`, or, as
/// `git switch` does it, as `x` if one remote alone has it.
///
/// # Errors
/// When there is none, or more than one, or it is checked out somewhere.
pub(crate) fn choose(
    flux: &Flux,
    store: &Store,
    worktrees: &[Worktree],
    name: &str,
) -> Result<ChosenBranch> {
    let local = resolved(store, &BranchName::typed(name))?;
    let Some(tip) = store.tip(&local) else {
        let branch = remote(flux, name)?;
        ensure_can_be_made(flux, store, &branch)?;
        return Ok(branch);
    };
    store.ensure_known(&flux.settings, &local)?;
    ensure_free(flux, store, worktrees, &local)?;
    Ok(ChosenBranch::new(local, tip, None))
}

/// Fails if a branch cannot be made after that of a remote.
///
/// # Errors
/// Also when it cannot be told.
fn ensure_can_be_made(flux: &Flux, store: &Store, branch: &ChosenBranch) -> Result<()> {
    let (local, upstream) = (&branch.name, branch.upstream.as_deref().unwrap_or_default());
    if store.tip(local).is_some() {
        let what = format!("the branch '{local}' exists already, beside '{upstream}'");
        let hint = format!("git flux run --branch {}", word(local));
        return Err(Failure::new(what).hint(hint).into());
    }
    ensure_not_stored(flux, local)?;
    if let Some(failure) = cannot_be_beside(store, local) {
        return Err(failure.into());
    }
    // Its settings would go with the branch when the start fails, as with `git branch -d`.
    if flux.settings.section_of_branch(local).is_empty() {
        return Ok(());
    }
    let what = format!("there are settings of a branch '{local}', but there is no such branch");
    let make = format!("git branch {} {}", word(local), word(upstream));
    let section = format!("branch.{local}");
    let remove = format!("git config --remove-section {}", word(&section));
    Err(Failure::new(what).hint(make).hint(remove).into())
}

/// Returns the branch that is to be made after that of a remote.
fn remote(flux: &Flux, name: &str) -> Result<ChosenBranch> {
    let dir = flux.repo.home();
    let found = refs::list(dir, &["refs/remotes/"])?;
    let remotes = String::from_utf8(Git::reading(dir, "remote").output()?)?;
    let plain = name.strip_prefix("refs/remotes/").unwrap_or(name);
    let at = |remote: &str, branch: &str| {
        let upstream = format!("{remote}/{branch}");
        let tip = found.get(&RefName::new(format!("refs/remotes/{upstream}")))?;
        let name = BranchName::new(branch);
        Some(ChosenBranch::new(name, tip, Some(upstream)))
    };
    let named = remotes.lines().find_map(|remote| {
        let branch = plain.strip_prefix(remote)?.strip_prefix('/')?;
        at(remote, branch).filter(|_| branch != "HEAD")
    });
    if let Some(named) = named {
        return Ok(named);
    }
    let mut of_all: Vec<_> = remotes.lines().filter_map(|one| at(one, plain)).collect();
    if of_all.len() > 1 {
        let preferred = Git::reading(dir, "config").args(["--get", "checkout.defaultRemote"]);
        if let Some(one) = preferred.answer()?.and_then(|remote| at(&remote, plain)) {
            return Ok(one);
        }
        let names: Vec<String> = of_all.into_iter().filter_map(|one| one.upstream).collect();
        let all = names.join(", ");
        let what = format!("more than one remote has a branch '{plain}': {all}");
        let hint = format!("git flux run --branch {}", word(&names[0]));
        return Err(Failure::new(what).hint(hint).into());
    }
    of_all.pop().with_context(|| {
        Failure::new(format!("there is no branch '{name}'"))
            .hint("git branch --all")
            .hint("leave out --branch for a branch of the task's own")
    })
}

/// # Errors
/// When the branch is checked out or in use somewhere: then it can be nowhere else.
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
    let has_it = |task: &Task| task.worktree == path;
    let mut tasks = store.tasks.iter();
    if let Some(stored) = tasks.find(|stored| stored.task.as_ref().is_ok_and(has_it)) {
        let hint = format!("git flux attach {}", stored.id);
        return Err(failure.hint(hint).into());
    }
    // git lists the main worktree first.
    let is_main = worktrees.first().is_some_and(|entry| entry.path == path);
    let adopt = (!is_main).then(|| format!("git flux adopt {place}"));
    let failure = adopt.into_iter().fold(failure, Failure::hint);
    let hint = format!("git -C {place} switch <another branch>");
    Err(failure.hint(hint).into())
}

/// Returns the branch that the work on `branch` goes to as it is configured: `branch.<name>.fluxInto` or
/// `flux.into`.
pub(crate) fn configured_into(settings: &Settings, branch: &BranchName) -> Option<BranchName> {
    let of_branch = settings.of_branch(branch, &table::BRANCH_INTO);
    of_branch.or_else(|| settings.into()).map(BranchName::typed)
}

/// Returns the branch that a name means, which may be a symbolic ref.
///
/// # Errors
/// When it is one of something else.
pub(crate) fn resolved(store: &Store, name: &BranchName) -> Result<BranchName> {
    store.resolve(name).map(BranchName::new)
}

/// Returns where the work on a new branch goes: where it is configured, or else to `started`, the branch that
/// it starts from.
///
/// # Errors
/// When there is no such branch.
pub(crate) fn target(
    flux: &Flux,
    store: &Store,
    branch: &BranchName,
    started: Option<&BranchName>,
) -> Result<Option<BranchName>> {
    let Some(configured) = configured_into(&flux.settings, branch) else {
        return Ok(started.cloned());
    };
    let into = resolved(store, &configured)?;
    ensure_target(flux, store, branch, &into)?;
    Ok(Some(into))
}

/// # Errors
/// When there is no branch `into`, which is configured for the work on `branch`.
fn ensure_target(flux: &Flux, store: &Store, branch: &BranchName, into: &BranchName) -> Result<()> {
    if store.tip(into).is_some() {
        return Ok(());
    }
    let what = format!("there is no branch '{into}' to merge the task into");
    let whence = |setting| flux.settings.whence(setting, branch, into);
    let whence = whence(&table::BRANCH_INTO).or_else(|| whence(&table::INTO));
    let failure = whence.into_iter().fold(Failure::new(what), Failure::hint);
    Err(failure.hint("git config flux.into <branch>").into())
}

/// Returns where the work on a branch goes, and the last commit that both have in common. `head` is
/// the branch the user stands on, which counts unless it is that branch itself.
///
/// # Errors
/// When they have none in common.
pub(crate) fn origin(
    flux: &Flux,
    store: &Store,
    chosen: &ChosenBranch,
    head: Option<&BranchName>,
) -> Result<(ObjectId, Option<BranchName>)> {
    let (branch, tip) = (&chosen.name, &chosen.existing.tip);
    let configured = configured_into(&flux.settings, branch);
    let candidates = configured.iter().chain(head);
    let candidates = candidates.map(|name| resolved(store, name));
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

/// Fails if a branch has no name for one.
pub(crate) fn ensure_name(flux: &Flux, branch: &BranchName) -> Result<()> {
    if is_branch_name(branch) {
        return Ok(());
    }
    let prefix = flux.settings.branch_prefix();
    let whence = flux.settings.whence(&table::BRANCH_PREFIX, "", prefix);
    let failure = Failure::new(format!("'{branch}' is not a name for a branch"));
    let failure = whence.into_iter().fold(failure, Failure::hint);
    Err(failure.hint("git config flux.branchPrefix feature/").into())
}

/// Fails if a branch cannot be made.
pub(super) fn ensure_can_be_new(flux: &Flux, store: &Store, branch: &BranchName) -> Result<()> {
    if store.tip(branch).is_some() {
        return Err(branch_exists(branch).into());
    }
    ensure_not_stored(flux, branch)?;
    let Some(failure) = cannot_be_beside(store, branch) else {
        return Ok(());
    };
    Err(failure.hint(PREFIX).into())
}

const PREFIX: &str = "git config flux.branchPrefix <another prefix>";

/// Returns the refusal where another branch is in the way of this one.
fn cannot_be_beside(store: &Store, branch: &BranchName) -> Option<Failure> {
    let other = store.in_the_way(branch)?;
    let what = format!("the branch '{branch}' cannot be made beside the branch '{other}'");
    Some(Failure::new(what).hint(format!("git branch -m {} <another name>", word(other))))
}

/// Fails if a branch that git does not list has a file all the same: a symbolic ref that leads nowhere
/// would be overwritten, and another spelling of a name would be the same branch.
///
/// # Errors
/// Also when it cannot be told.
fn ensure_not_stored(flux: &Flux, branch: &BranchName) -> Result<()> {
    let Some(name) = in_use::stored_name(flux.repo.common_dir(), branch)? else {
        return Ok(());
    };
    if name != *branch {
        let what = format!("this file system takes '{branch}' and '{name}' for the same branch");
        let failure = Failure::new(what).hint("choose another id with --name");
        return Err(failure.hint(PREFIX).into());
    }
    let file = format!("refs/heads/{branch}");
    let what = format!("'{file}' is a symbolic ref that leads nowhere");
    let hint = format!("git symbolic-ref --delete {}", word(&file));
    Err(Failure::new(what).hint(hint).into())
}

/// Fails if something is at a path. An existing directory is left alone unless it is empty; anything
/// else is never touched.
pub(super) fn ensure_no_files(path: &Path, worktrees: &[Worktree]) -> Result<()> {
    let shown = shown(path);
    if worktrees.iter().any(|entry| entry.path == path) {
        let failure = Failure::new(format!("'{shown}' is registered as a worktree already"));
        return Err(failure.hint("git worktree list").into());
    }
    let is_free = optional(path.symlink_metadata()).and_then(|found| match found {
        None => Ok(true),
        Some(found) => Ok(found.is_dir() && fs::read_dir(path)?.next().is_none()),
    });
    if is_free.with_context(|| format!("could not look at '{shown}'"))? {
        return Ok(());
    }
    let hint = "choose another id with --name, or another place with: git config flux.worktreeDir <directory>";
    let failure = Failure::new(format!("'{shown}' exists already"));
    Err(failure.hint(hint).into())
}

/// Returns the place that a task has for its worktree.
///
/// # Errors
/// When there is no such directory.
pub(crate) fn worktree_of(flux: &Flux, id: &TaskId) -> Result<PathBuf> {
    let mut name = flux.repo.project();
    name.push(format!("-{id}"));
    let dir = flux
        .settings
        .worktree_dir(flux.repo.home(), flux.repo.base_dir());
    let real = real(&dir).with_context(|| {
        Failure::new(format!("there is no directory '{}'", shown(&dir)))
            .hint("git config flux.worktreeDir <directory>")
    })?;
    Ok(real.join(name))
}

/// Returns the path without `..` and links, also if only its beginning exists.
pub(crate) fn real(path: &Path) -> Option<PathBuf> {
    let path = path::absolute(path).ok()?;
    let real = path.canonicalize().ok();
    real.or_else(|| Some(self::real(path.parent()?)?.join(path.file_name()?)))
}
