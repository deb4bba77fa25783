//! `git flux run --branch`: a branch that is there already.

use std::path::Path;

use anyhow::{Context as _, Result};

use super::free::{cannot_be_beside, ensure_not_stored};
use crate::context::Flux;
use crate::failure::Failure;
use crate::git::{Git, ObjectId, Worktree, refs};
use crate::lifecycle::checked_out::BranchUses;
use crate::settings::{Settings, table};
use crate::store::Store;
use crate::task::{BranchName, Existing, Rest};
use crate::ui::{quoted, shown, word};

/// The branch that a task works on, if it was there before.
pub(crate) struct Chosen {
    pub(crate) name: BranchName,
    pub(crate) existing: Existing,
    /// The branch of a remote that it is made after, `origin/x`.
    pub(crate) upstream: Option<String>,
}

/// The branch that `name` means: a local one, that of a remote as `origin/x`, or, as
/// `git switch` does it, as `x` if one remote alone has it.
///
/// # Errors
/// When there is none, or more than one, or it is checked out somewhere.
pub(crate) fn choose(
    flux: &Flux,
    store: &Store,
    worktrees: &[Worktree],
    name: &str,
) -> Result<Chosen> {
    let local = store.resolve(refs::short(name))?;
    if let Some(tip) = store.tip(local) {
        store.ensure_known(&flux.settings, local)?;
        ensure_free(flux, store, worktrees, local)?;
        let existing = Existing {
            tip: tip.to_owned(),
            made: false,
            adopted: false,
            rest: Rest::default(),
        };
        return Ok(Chosen {
            name: BranchName::new(local),
            existing,
            upstream: None,
        });
    }
    let (upstream, local, tip) = remote(flux, name)?;
    ensure_can_be_made(flux, store, &local, &upstream)?;
    let existing = Existing {
        tip,
        made: true,
        adopted: false,
        rest: Rest::default(),
    };
    Ok(Chosen {
        name: BranchName::new(local),
        existing,
        upstream: Some(upstream),
    })
}

/// Fails if the branch `local` cannot be made after that of a remote.
///
/// # Errors
/// Also when it cannot be told.
fn ensure_can_be_made(flux: &Flux, store: &Store, local: &str, upstream: &str) -> Result<()> {
    if store.tip(local).is_some() {
        return Err(Failure::new(format!(
            "the branch '{local}' exists already, beside '{upstream}'"
        ))
        .hint(format!("git flux run --branch {}", word(local)))
        .into());
    }
    ensure_not_stored(flux, local)?;
    if let Some(failure) = cannot_be_beside(store, local) {
        return Err(failure.into());
    }
    // Its settings would go with the branch when the start fails, as with `git branch -d`.
    if flux
        .settings
        .section_of_branch(&BranchName::new(local))
        .is_empty()
    {
        return Ok(());
    }
    Err(Failure::new(format!(
        "there are settings of a branch '{local}', but there is no such branch"
    ))
    .hint(format!("git branch {} {}", word(local), word(upstream)))
    .hint(format!(
        "git config --remove-section {}",
        word(&format!("branch.{local}"))
    ))
    .into())
}

/// A branch of a remote: its name with that of the remote, the name alone, and its tip.
fn remote(flux: &Flux, name: &str) -> Result<(String, String, ObjectId)> {
    let dir = flux.repo.home();
    let found = refs::list(dir, &["refs/remotes/"])?;
    let remotes = String::from_utf8(Git::reading(dir, "remote").output()?)?;
    let plain = name.strip_prefix("refs/remotes/").unwrap_or(name);
    let at = |remote: &str, branch: &str| {
        let tip = found.get(format!("refs/remotes/{remote}/{branch}").as_str())?;
        let upstream = format!("{remote}/{branch}");
        Some((upstream, branch.to_owned(), tip.clone()))
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
        let args = ["--get", "checkout.defaultRemote"];
        let preferred = Git::reading(dir, "config")
            .args(args)
            .answer()?
            .unwrap_or_default();
        if let Some(one) = at(&preferred, plain) {
            return Ok(one);
        }
        let names: Vec<&str> = of_all.iter().map(|(name, ..)| name.as_str()).collect();
        let failure = Failure::new(format!(
            "more than one remote has a branch '{plain}': {}",
            names.join(", ")
        ));
        let hint = format!("git flux run --branch {}", word(names[0]));
        return Err(failure.hint(hint).into());
    }
    let one = of_all.pop().with_context(|| {
        Failure::new(format!("there is no branch '{name}'"))
            .hint("git branch --all")
            .hint("leave out --branch for a branch of the task's own")
    })?;
    Ok(one)
}

/// # Errors
/// When the branch is checked out or in use somewhere: then it can be nowhere else.
fn ensure_free(flux: &Flux, store: &Store, worktrees: &[Worktree], branch: &str) -> Result<()> {
    let uses = BranchUses::find(flux, store, worktrees, branch)?;
    let Some(path) = uses.worktree() else {
        return uses.ensure_none();
    };
    let place = quoted(path);
    let failure = Failure::new(format!(
        "the branch '{branch}' is checked out in '{}'",
        shown(path)
    ));
    let task = store.tasks.iter().find(|stored| {
        let task = stored.task.as_ref();
        task.is_ok_and(|task| task.worktree == path)
    });
    Err(match task {
        Some(stored) => failure.hint(format!("git flux attach {}", stored.id)),
        None if is_main(worktrees, path) => {
            failure.hint(format!("git -C {place} switch <another branch>"))
        }
        None => failure
            .hint(format!("git flux adopt {place}"))
            .hint(format!("git -C {place} switch <another branch>")),
    }
    .into())
}

/// git lists the main worktree first.
fn is_main(worktrees: &[Worktree], path: &Path) -> bool {
    worktrees.first().is_some_and(|entry| entry.path == path)
}

/// The branch that the work on `branch` goes to as it is configured: `branch.<name>.fluxInto` or `flux.into`.
fn configured_into<'a>(settings: &'a Settings, branch: &str) -> Option<&'a str> {
    let of_branch = settings.of_branch(branch, &table::BRANCH_INTO);
    of_branch.or_else(|| settings.into())
}

/// Where the work on a new branch goes: where it is configured, or else to `started`, the branch that it
/// starts from.
///
/// # Errors
/// When there is no such branch.
pub(crate) fn target(
    flux: &Flux,
    store: &Store,
    branch: &str,
    started: Option<&BranchName>,
) -> Result<Option<BranchName>> {
    let Some(configured) = configured_into(&flux.settings, branch) else {
        return Ok(started.cloned());
    };
    let into = store.resolve(refs::short(configured))?;
    ensure_target(flux, store, branch, into)?;
    Ok(Some(BranchName::new(into)))
}

/// # Errors
/// When there is no branch `into`, which is configured for the work on `branch`.
fn ensure_target(flux: &Flux, store: &Store, branch: &str, into: &str) -> Result<()> {
    if store.tip(into).is_some() {
        return Ok(());
    }
    let failure = Failure::new(format!(
        "there is no branch '{into}' to merge the task into"
    ));
    let settings = [&table::BRANCH_INTO, &table::INTO].into_iter();
    let whence = settings.filter_map(|setting| flux.settings.whence(setting, branch, into));
    let failure = whence.take(1).fold(failure, Failure::hint);
    Err(failure.hint("git config flux.into <branch>").into())
}

/// Where the work on a branch goes, and the last commit that both have in common. `head` is
/// the branch the user stands on, which counts unless it is that branch itself.
///
/// # Errors
/// When they have none in common.
pub(crate) fn origin(
    flux: &Flux,
    store: &Store,
    chosen: &Chosen,
    head: Option<&str>,
) -> Result<(ObjectId, Option<BranchName>)> {
    let branch = &chosen.name;
    let plain = |name: &str| store.resolve(refs::short(name)).map(BranchName::new);
    let settings = &flux.settings;
    let configured = configured_into(settings, branch);
    let candidates = [configured, head].into_iter().flatten().map(plain);
    let candidates: Vec<BranchName> = candidates.collect::<Result<_>>()?;
    let into = candidates.into_iter().find(|into| into != branch);
    if let (Some(_), Some(into)) = (configured, &into) {
        ensure_target(flux, store, branch, into)?;
    }
    let tip = &chosen.existing.tip;
    let against = match &into {
        Some(into) => store.tip(into).map(ToOwned::to_owned),
        None => flux.repo.resolve("HEAD")?,
    };
    let Some(against) = against else {
        return Ok((tip.clone(), into));
    };
    let base = flux.repo.merge_base(tip, &against)?.with_context(|| {
        let other = into.as_deref().unwrap_or("HEAD");
        Failure::new(format!("'{branch}' has no commit in common with '{other}'")).hint(format!(
            "git config branch.{}.fluxInto <branch>",
            word(branch)
        ))
    })?;
    Ok((base, into))
}
