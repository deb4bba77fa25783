//! `git flux run --branch`: a branch that is there already.

use anyhow::{Context as _, Result};

use super::free::{cannot_be_beside, ensure_not_stored};
use crate::context::Flux;
use crate::failure::Failure;
use crate::git::{Git, ObjectId, Worktree, refs};
use crate::lifecycle::checked_out::BranchUses;
use crate::settings::{Settings, table};
use crate::store::Store;
use crate::task::{BranchName, Existing, RefName, Rest, Task};
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
    let section = word(&format!("branch.{local}")).to_string();
    Err(Failure::new(format!(
        "there are settings of a branch '{local}', but there is no such branch"
    ))
    .hint(format!("git branch {} {}", word(local), word(upstream)))
    .hint(format!("git config --remove-section {section}"))
    .into())
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
        Some(ChosenBranch::new(
            BranchName::new(branch),
            tip,
            Some(upstream),
        ))
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
        return Err(failure
            .hint(format!("git flux attach {}", stored.id))
            .into());
    }
    // git lists the main worktree first.
    let is_main = worktrees.first().is_some_and(|entry| entry.path == path);
    let adopt = (!is_main).then(|| format!("git flux adopt {place}"));
    let failure = adopt.into_iter().fold(failure, Failure::hint);
    Err(failure
        .hint(format!("git -C {place} switch <another branch>"))
        .into())
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
    let failure = Failure::new(format!(
        "there is no branch '{into}' to merge the task into"
    ));
    let whence = |setting| flux.settings.whence(setting, branch, into);
    let whence = [&table::BRANCH_INTO, &table::INTO]
        .into_iter()
        .find_map(whence);
    let failure = whence.into_iter().fold(failure, Failure::hint);
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
    let candidates = configured
        .iter()
        .chain(head)
        .map(|name| resolved(store, name));
    let candidates = candidates.collect::<Result<Vec<BranchName>>>()?;
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
