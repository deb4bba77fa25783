//! The merge of a task: its commits are made before anything changes, then the target moves.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::SystemTime;

use anyhow::{Context as _, Result, bail};

use super::facts::Facts;
use super::options::Verify;
use super::scratch::{NewCommits, ScratchMerge, refused};
use super::target::MergeTarget;
use crate::context::Flux;
use crate::failure::{self, Failure};
use crate::git::commit::{Draft, has_signing};
use crate::git::fast_forward::FastForward;
use crate::git::hooks::{Hooks, post_commit as post_commit_hook};
use crate::git::rebase::{self, Compare, Pick};
use crate::git::{Checkout, MergePlan, ObjectId, Style, fast_forward};
use crate::settings::Settings;
use crate::system::Lock;
use crate::ui::quoted;

/// What the target will go to, which no branch has yet.
pub(crate) struct Made {
    pub(crate) commit: ObjectId,
    /// Hooks have run, for as long as they wanted.
    pub(crate) ran_hooks: bool,
}

/// Makes what the target will go to; none if there is nothing to merge. Those hooks
/// run that git would run, and that `verify` does not leave out.
///
/// # Errors
/// When a hook, a signature or an identity is in the way.
pub(crate) fn prepare(
    flux: &Flux,
    facts: &Facts,
    verify: Verify,
    lock: &Lock,
) -> Result<Option<Made>> {
    facts.ensure_mergeable()?;
    let Some(into) = facts.into() else {
        return Ok(None);
    };
    let commits = match (&into.merge, into.style) {
        (MergePlan::FastForward { .. }, _) => {
            let (commit, ran_hooks) = (facts.tip.clone(), false);
            return Ok(Some(Made { commit, ran_hooks }));
        }
        (MergePlan::UpToDate(_) | MergePlan::Moved { .. } | MergePlan::Conflicts { .. }, _) => {
            return Ok(None);
        }
        (_, Style::Rebase) => NewCommits::Rebase,
        (_, Style::Squash) => NewCommits::Squash(squash_message(flux, facts, into)?),
        (_, Style::Merge | Style::FastForward) => NewCommits::Merge(merge_message(facts, into)),
    };
    let settings = settings_of(flux, into)?;
    let hooks = hooks_of(flux, into, &settings)?;
    let ran_hooks = needs_files(into, &settings, &hooks) || hooks.has(names(into.style, verify));
    let scratch = ScratchMerge {
        flux,
        facts,
        into,
        commits: &commits,
        hooks: &hooks,
        verify,
        lock,
    };
    let made = match ran_hooks {
        true => scratch.make(),
        false => off_tree(flux, facts, into, &commits),
    };
    let commit = made.map_err(|error| match error.is::<Failure>() {
        true => error,
        false => failure::over(error, refused(facts)),
    })?;
    Ok(Some(Made { commit, ran_hooks }))
}

/// Returns whether the merge has to be made by git, where there are files and the branch.
fn needs_files(into: &MergeTarget, settings: &Settings, hooks: &Hooks) -> bool {
    // Whose commit it is, only a repository on the branch can tell; a rebase is on the task's.
    let is_elsewhere = into.worktree.is_none() || into.style == Style::Rebase;
    // A driver wants files, and a hook may be one of the files of the merge.
    matches!(into.merge, MergePlan::Drivers { .. })
        || hooks.are_in_worktree()
        || (is_elsewhere && settings.depends_on_branch())
        || settings.verifies_signatures()
}

/// Makes it without a file, where nobody wants to see one.
fn off_tree(
    flux: &Flux,
    facts: &Facts,
    into: &MergeTarget,
    commits: &NewCommits,
) -> Result<ObjectId> {
    let repo = &flux.repo;
    let checkout = into.worktree.as_deref().map(|path| repo.checkout(path));
    let checkout = checkout.transpose()?;
    let sign = match &checkout {
        // What is configured may depend on the place, and on the branch there.
        Some(checkout) if repo.current() != Some(checkout.path()) => has_signing(checkout)?,
        _ => flux.settings.sign()?,
    };
    let draft = |tree, parents, message| Draft {
        tree,
        parents,
        message,
        author: None,
        sign,
    };
    let draft = match (&into.merge, commits) {
        (MergePlan::Rebase { onto, picks, .. }, _) => {
            let add = |parent: ObjectId, pick: &Pick| {
                let draft = pick.draft(&parent, &pick.commit.message, sign);
                draft.make(repo, checkout.as_ref())
            };
            return picks.iter().try_fold(onto.clone(), add);
        }
        (MergePlan::Commit { tree, .. }, NewCommits::Merge(message)) => {
            draft(tree, vec![&into.tip, &facts.tip], message)
        }
        (MergePlan::Commit { tree, .. }, NewCommits::Squash(message)) => {
            draft(tree, vec![&into.tip], message)
        }
        _ => bail!("there is nothing to make of this plan"),
    };
    draft.make(repo, checkout.as_ref())
}

fn merge_message(facts: &Facts, into: &MergeTarget) -> Vec<u8> {
    let (id, title) = (&facts.task.id, &facts.task.title);
    format!("Merge task '{id}' into {}\n\n{title}\n", into.branch).into_bytes()
}

fn squash_message(flux: &Flux, facts: &Facts, into: &MergeTarget) -> Result<Vec<u8>> {
    let id = &facts.task.id;
    let title = match facts.task.title.trim() {
        "" => id.as_str(),
        title => title,
    };
    let mut message = format!("{title}\n\nSquashed commit of task '{id}':\n\n");
    for commit in rebase::list(&flux.repo, &into.tip, &[&facts.tip], Compare::Nothing)? {
        if !commit.is_merge() {
            writeln!(message, "* {}", commit.subject())?;
        }
    }
    Ok(message.into_bytes())
}

/// The hooks that git would run before such commits are made, those that `--no-verify` leaves out last.
fn names(style: Style, verify: Verify) -> &'static [&'static str] {
    let all: &[&str] = match style {
        Style::Merge => &["prepare-commit-msg", "pre-merge-commit", "commit-msg"],
        Style::Squash => &["prepare-commit-msg", "pre-commit", "commit-msg"],
        Style::Rebase => &[
            "prepare-commit-msg",
            "applypatch-msg",
            "pre-applypatch",
            "pre-rebase",
        ],
        Style::FastForward => return &[],
    };
    match verify {
        Verify::All => all,
        Verify::None => &all[..1],
    }
}

/// What is configured where the target is checked out; in the main worktree if that is nowhere.
fn settings_of<'a>(flux: &'a Flux, into: &MergeTarget) -> Result<Cow<'a, Settings>> {
    let repo = &flux.repo;
    let place = into.worktree.as_deref().unwrap_or(repo.home());
    if repo.current().unwrap_or(repo.home()) == place {
        return Ok(Cow::Borrowed(&flux.settings));
    }
    // Only if git may run there.
    let checkout = into.worktree.as_deref().map(|path| repo.checkout(path));
    checkout.transpose()?;
    Settings::load(place).map(Cow::Owned)
}

/// The hooks of the worktree where the target is checked out; of the main one if that is nowhere.
///
/// # Errors
/// When git fails.
pub(super) fn hooks(flux: &Flux, into: &MergeTarget) -> Result<Hooks> {
    let settings = settings_of(flux, into)?;
    hooks_of(flux, into, &settings)
}

fn hooks_of(flux: &Flux, into: &MergeTarget, settings: &Settings) -> Result<Hooks> {
    let (repo, configured) = (&flux.repo, settings.configured_hooks());
    let place = into.worktree.as_deref().or(repo.main());
    if settings.hooks_path().is_none() && place.is_none_or(|place| place == repo.home()) {
        return Ok(Hooks::with_default_dir(repo, configured));
    }
    let checkout = place.map(|place| repo.checkout(place)).transpose()?;
    Hooks::find(repo, checkout.as_ref(), configured)
}

/// Where the hooks are that run at a commit in the task's worktree, if git would not find them
/// there: `core.hooksPath` is relative, and one that it names in the checkout of the target is
/// not in the task's worktree, since nobody commits it (`.husky/_`).
///
/// # Errors
/// When git fails.
pub(crate) fn hooks_for_commit(flux: &Flux, facts: &Facts) -> Result<Option<PathBuf>> {
    let repo = &flux.repo;
    let into = facts.into().and_then(|into| into.worktree.as_deref());
    let (Some(place), Some(_)) = (into.or(repo.main()), flux.settings.hooks_path()) else {
        return Ok(None);
    };
    let checkout = repo.checkout(place)?;
    let hooks = Hooks::find(repo, Some(&checkout), Vec::new())?;
    hooks.find_missing_dir(&checkout, &facts.task.worktree)
}

/// Moves the target branch forward to what was made.
///
/// # Errors
/// When something is in the way: then the branch and its files are as they were.
pub(crate) fn forward(flux: &Flux, facts: &Facts, commit: &ObjectId, lock: &Lock) -> Result<()> {
    let Some(into) = facts.into() else {
        return Ok(());
    };
    let begun = SystemTime::now();
    let (id, branch) = (&facts.task.id, &into.branch);
    let failure = |what: &str, look: &str| {
        Failure::new(format!("could not merge '{id}' into '{branch}'; {what}"))
            .hint(look)
            .hint(format!("git flux cleanup {id}"))
    };
    let Some(place) = &into.worktree else {
        let moved = fast_forward::move_branch(flux.repo.home(), branch, commit, lock);
        return moved.with_context(|| failure("neither was changed", "git worktree list"));
    };
    let worktree = flux.repo.checkout(place)?;
    let none = format!("branch.{branch}.mergeOptions=");
    let has_some = settings_of(flux, into)?.has_merge_options(branch);
    let to = FastForward {
        old: &into.tip,
        commit,
        action: &format!("merge {}", facts.task.branch),
        settings: if has_some { &[&none] } else { &[] },
        // git has looked at the signature of what it merged.
        options: match into.style {
            Style::Merge | Style::Squash => &["--no-verify-signatures"],
            Style::Rebase | Style::FastForward => &[],
        },
    };
    let moved = to.run(&worktree, lock);
    let Err(error) = moved else {
        post_commit(flux, into, &worktree, commit, lock);
        return Ok(());
    };
    let back = fast_forward::restore_files(&worktree, commit, &into.tip, lock);
    if let Some(blocked) = facts.was_blocked(flux, commit, begun) {
        bail!(blocked);
    }
    let what = match back {
        Ok(()) => "neither was changed",
        Err(_) => "what was checked out there may be changed",
    };
    let look = format!("git -C {} status", quoted(place));
    Err(error.context(failure(what, &look)))
}

/// `git commit` runs it after a squash, whatever it comes to.
fn post_commit(
    flux: &Flux,
    into: &MergeTarget,
    worktree: &Checkout,
    commit: &ObjectId,
    lock: &Lock,
) {
    let run = || match hooks(flux, into)?.has(&["post-commit"]) {
        true => post_commit_hook(worktree, commit, lock),
        false => Ok(()),
    };
    if into.style == Style::Squash
        && let Err(error) = run()
    {
        let what = "the post-commit hook failed";
        flux.ui.warning(format_args!("{what}: {error:#}"));
    }
}
