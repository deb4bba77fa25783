//! Merges a task: makes the commits before anything changes, then moves the target.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::SystemTime;

use anyhow::{Context as _, Result, bail, ensure};

use super::facts::Facts;
use super::options::{CommitRules, Signing, Verify};
use super::scratch::{NewCommits, ScratchMerge, merge_failure};
use super::target::MergeTarget;
use super::unchanged::are_refs_at;
use crate::context::Flux;
use crate::failure::{self, Failure};
use crate::git::commit::{Draft, has_signing};
use crate::git::fast_forward::FastForward;
use crate::git::hooks::{Hooks, post_commit};
use crate::git::rebase::{self, Compare, Pick};
use crate::git::space::ensure_space;
use crate::git::{Checkout, MergePlan, ObjectId, Style, fast_forward};
use crate::settings::Settings;
use crate::system::Lock;
use crate::task::Task;
use crate::ui::quoted;

/// The commit that the target will move to; no branch contains it yet.
pub(crate) struct PreparedMerge {
    pub(crate) commit: ObjectId,
    /// Hooks have run, for any time.
    pub(crate) ran_hooks: bool,
}

/// Makes the commits of the merge, which no ref points to yet, and returns the last; for a
/// fast-forward, the task's tip. `None` if there is nothing to merge. Fails on conflicts. Hooks run
/// in a scratch repository, without those that `rules` exclude.
pub(crate) fn prepare(
    flux: &Flux,
    facts: &Facts,
    rules: CommitRules,
    lock: &Lock,
) -> Result<Option<PreparedMerge>> {
    facts.ensure_mergeable()?;
    let Some(into) = facts.merge_target() else {
        return Ok(None);
    };
    let commits = match (&into.merge, into.style) {
        (MergePlan::FastForward { .. }, _) => {
            let (commit, ran_hooks) = (facts.tip.clone(), false);
            return Ok(Some(PreparedMerge { commit, ran_hooks }));
        }
        (MergePlan::UpToDate(_) | MergePlan::Moved { .. } | MergePlan::Conflicts { .. }, _) => {
            return Ok(None);
        }
        (_, Style::Rebase) => NewCommits::Rebase,
        (_, Style::Squash) => NewCommits::Squash(squash_message(flux, facts, into)?),
        (_, Style::Merge | Style::FastForward) => NewCommits::Merge(merge_message(facts, into)),
    };
    let settings = load_settings(flux, into)?;
    let hooks = find_hooks_with(flux, into, &settings)?;
    let ran_hooks =
        needs_scratch(into, &settings, &hooks) || hooks.has(hook_names(into.style, rules.verify));
    let scratch = ScratchMerge {
        flux,
        facts,
        into,
        commits: &commits,
        hooks: &hooks,
        rules,
        lock,
    };
    let made = match ran_hooks {
        true => scratch.make(),
        false => make_commits(&scratch),
    };
    let commit = made.map_err(|error| match error.is::<Failure>() {
        true => error,
        false => failure::wrap_in_failure(error, merge_failure(facts)),
    })?;
    Ok(Some(PreparedMerge { commit, ran_hooks }))
}

/// Returns whether the merge has to be made in a scratch repository, even if no hook exists: for
/// merge drivers, a hook directory in the worktree, configuration that depends on the branch, or
/// signatures that git has to verify.
fn needs_scratch(into: &MergeTarget, settings: &Settings, hooks: &Hooks) -> bool {
    // Conditional configuration needs a repository on the branch; a rebase is on the task's.
    let is_elsewhere = into.worktree.is_none() || into.style == Style::Rebase;
    // Merge drivers need files, and the merge may contain a hook.
    matches!(into.merge, MergePlan::Drivers { .. })
        || hooks.are_in_worktree()
        || (is_elsewhere && settings.depends_on_branch())
        || settings.verifies_signatures()
}

/// Makes the commits of the merge in the object database, signed if so configured, and returns the
/// last. Writes no files, moves no ref and runs no hooks.
fn make_commits(merge: &ScratchMerge) -> Result<ObjectId> {
    let (flux, facts, into) = (merge.flux, merge.facts, merge.into);
    let repo = &flux.repo;
    let checkout = into.worktree.as_deref().map(|path| repo.checkout(path));
    let checkout = checkout.transpose()?;
    let sign = match merge.rules.signing {
        Signing::Configured => signs_merges(flux, checkout.as_ref())?,
        Signing::Never => false,
    };
    let draft = |tree, parents, message| Draft {
        tree,
        parents,
        message,
        author: None,
        committed: None,
        sign,
    };
    let draft = match (&into.merge, merge.commits) {
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
        _ => bail!("internal error: no commit to make in this plan"),
    };
    draft.make(repo, checkout.as_ref())
}

/// Returns whether the configuration for `checkout`, or else for the caller's directory, signs
/// commits.
pub(in crate::lifecycle) fn signs_merges(flux: &Flux, checkout: Option<&Checkout>) -> Result<bool> {
    match checkout {
        // Configuration may depend on the worktree and its branch.
        Some(checkout) if flux.repo.current() != Some(checkout.path()) => has_signing(checkout),
        _ => flux.settings.signs_commits(),
    }
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

/// Returns the names of the hooks that git runs before it makes a merge of this style, none for a
/// fast-forward. With `--no-verify`, only the first, `prepare-commit-msg`.
fn hook_names(style: Style, verify: Verify) -> &'static [&'static str] {
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

/// Returns the git configuration that applies in the target branch's worktree, or in the main
/// worktree if the target branch is checked out nowhere.
fn load_settings<'a>(flux: &'a Flux, into: &MergeTarget) -> Result<Cow<'a, Settings>> {
    let repo = &flux.repo;
    let place = into.worktree.as_deref().unwrap_or(repo.home());
    if repo.current().unwrap_or(repo.home()) == place {
        return Ok(Cow::Borrowed(&flux.settings));
    }
    // Fails if git may not run there.
    let checkout = into.worktree.as_deref().map(|path| repo.checkout(path));
    checkout.transpose()?;
    Settings::load(place).map(Cow::Owned)
}

/// Finds the hooks that apply in the target branch's worktree, or in the main worktree if the
/// target branch is checked out nowhere.
pub(super) fn find_hooks(flux: &Flux, into: &MergeTarget) -> Result<Hooks> {
    let settings = load_settings(flux, into)?;
    find_hooks_with(flux, into, &settings)
}

fn find_hooks_with(flux: &Flux, into: &MergeTarget, settings: &Settings) -> Result<Hooks> {
    let (repo, configured) = (&flux.repo, settings.configured_hooks());
    let place = into.worktree.as_deref().or(repo.main());
    if settings.hooks_path().is_none() && place.is_none_or(|place| place == repo.home()) {
        return Ok(Hooks::with_default_dir(repo, configured));
    }
    let checkout = place.map(|place| repo.checkout(place)).transpose()?;
    Hooks::find(repo, checkout.as_ref(), configured)
}

/// Returns the hook directory of the target branch's worktree, or of the main one, for a commit in
/// the task's worktree, if git would not find it there: a relative `core.hooksPath` may name an
/// ignored directory, such as `.husky/_`. `None` if git finds all hooks.
pub(crate) fn hooks_for_commit(flux: &Flux, facts: &Facts) -> Result<Option<PathBuf>> {
    let repo = &flux.repo;
    let into = facts.merge_target();
    let place = into.and_then(|into| into.worktree.as_deref());
    let (Some(place), Some(_)) = (place.or(repo.main()), flux.settings.hooks_path()) else {
        return Ok(None);
    };
    let checkout = repo.checkout(place)?;
    let hooks = Hooks::find(repo, Some(&checkout), Vec::new())?;
    hooks.find_missing_dir(&checkout, &facts.task.worktree)
}

/// The commit that a target branch moves to.
pub(crate) struct TargetCommit<'a> {
    pub(crate) commit: &'a ObjectId,
    /// The tasks that it merges, as a message names them.
    pub(crate) names: String,
    /// The action for hooks and the reflog.
    pub(crate) action: String,
    /// The command that tries again.
    pub(crate) retry: String,
}

impl<'a> TargetCommit<'a> {
    /// Returns the commit `commit`, which merges one task, with the words that describe it as made
    /// by `git flux cleanup` in messages and the reflog.
    pub(super) fn of_task(facts: &Facts, commit: &'a ObjectId) -> Self {
        let Task { id, branch, .. } = &facts.task;
        Self {
            commit,
            names: format!("'{id}'"),
            action: format!("merge {branch}"),
            retry: facts.command.with(id, ""),
        }
    }
}

/// Moves the target branch to the commit `to`, and updates the files of the worktree, if any, that has it
/// checked out; after a squash, also runs `post-commit` there. Does nothing if there is no target.
///
/// # Errors
/// Also if the branch has moved since it was observed, even back, or is no longer checked out there.
/// The branch is then unchanged. Its files are restored; if that fails, too, the message says so.
pub(crate) fn advance(flux: &Flux, facts: &Facts, to: &TargetCommit, lock: &Lock) -> Result<()> {
    let Some(into) = facts.merge_target() else {
        return Ok(());
    };
    let begun = SystemTime::now();
    let (branch, commit) = (&into.branch, to.commit);
    let failure = |what: &str, look: &str| {
        let names = &to.names;
        Failure::new(format!("could not merge {names} into '{branch}'; {what}"))
            .hint(look)
            .hint(&to.retry)
    };
    let Some(place) = &into.worktree else {
        // git itself moves it forward, also from an earlier commit.
        ensure!(
            are_refs_at(flux, &[(into.branch_ref(), &into.tip)])?,
            "'{branch}' has moved"
        );
        let moved = fast_forward::move_branch(flux.repo.home(), branch, commit, lock);
        return moved.with_context(|| failure("neither was changed", "git worktree list"));
    };
    let worktree = flux.repo.checkout(place)?;
    let none = format!("branch.{branch}.mergeOptions=");
    let has_some = load_settings(flux, into)?.has_merge_options(branch);
    let move_to = FastForward {
        branch,
        old: &into.tip,
        commit,
        action: &to.action,
        settings: if has_some { &[&none] } else { &[] },
        // git has verified the signature when it merged.
        options: match into.style {
            Style::Merge | Style::Squash => &["--no-verify-signatures"],
            Style::Rebase | Style::FastForward => &[],
        },
    };
    move_to.ensure_in_place(&worktree)?;
    let look = format!("git -C {} status", quoted(place));
    let space = ensure_space(&worktree, &into.tip, commit);
    space.with_context(|| failure("neither was changed", &look))?;
    let moved = move_to.run(&worktree, lock);
    let Err(error) = moved else {
        run_post_commit(flux, into, &worktree, commit, lock);
        return Ok(());
    };
    let back = fast_forward::restore_files(&worktree, commit, &into.tip, lock);
    if let Some(blocked) = facts.collision_failure(flux, commit, begun) {
        bail!(blocked);
    }
    let what = match back {
        Ok(()) => "neither was changed",
        Err(_) => "its checked-out files may be changed",
    };
    Err(error.context(failure(what, &look)))
}

/// Runs the hook `post-commit` in the target branch's worktree after a squash, as `git commit`
/// does; does nothing after a merge of another style. Warns if it fails.
fn run_post_commit(
    flux: &Flux,
    into: &MergeTarget,
    worktree: &Checkout,
    commit: &ObjectId,
    lock: &Lock,
) {
    let run = || match find_hooks(flux, into)?.has(&["post-commit"]) {
        true => post_commit(worktree, commit, lock),
        false => Ok(()),
    };
    if into.style == Style::Squash
        && let Err(error) = run()
    {
        let what = "the post-commit hook failed";
        flux.ui.warning(format_args!("{what}: {error:#}"));
    }
}
