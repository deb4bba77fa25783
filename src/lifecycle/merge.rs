//! The merge of a task: its commits are made before anything changes, then the target moves.

use std::env;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::SystemTime;

use anyhow::{Context as _, Result};

use super::plan::Plan;
use super::{Flux, Into, Lock};
use crate::failure::Failure;
use crate::git::commit::Draft;
use crate::git::rebase::{self, Pick};
use crate::git::scratch::Scratch;
use crate::git::{MergePlan, Style, forward, worktree};
use crate::ui::quoted;

/// What is to be made on top of the target.
enum Work<'a> {
    /// A commit of both.
    Merge { tree: &'a str, message: Vec<u8> },
    /// A commit on the target alone.
    Squash { tree: &'a str, message: Vec<u8> },
    /// Commits, one after the other.
    Rebase { onto: &'a str, picks: &'a [Pick] },
}

/// Makes what the target will go to, which no branch has yet; none if there is
/// nothing to merge. With `verify` all hooks run that git would run.
///
/// # Errors
/// When a hook, a signature or an identity is in the way.
pub(crate) fn prepare(
    flux: &Flux,
    plan: &Plan,
    verify: bool,
    lock: &Lock,
) -> Result<Option<String>> {
    plan.ensure_mergeable()?;
    let Some(into) = &plan.into else {
        return Ok(None);
    };
    let work = match &into.merge {
        MergePlan::FastForward { .. } => return Ok(Some(plan.tip.clone())),
        MergePlan::Rebase { onto, picks, .. } => Work::Rebase { onto, picks },
        MergePlan::Commit { tree, .. } if into.style == Style::Squash => {
            let message = squash_message(flux, plan, into)?;
            Work::Squash { tree, message }
        }
        MergePlan::Commit { tree, .. } => {
            let message = merge_message(plan, into);
            Work::Merge { tree, message }
        }
        MergePlan::UpToDate(_) | MergePlan::Moved { .. } | MergePlan::Conflicts { .. } => {
            return Ok(None);
        }
    };
    let made = if has_hooks(flux, plan, verify) {
        with_hooks(flux, plan, into, &work, verify, lock)
    } else {
        without_hooks(flux, plan, into, &work)
    };
    let made = made.with_context(|| {
        Failure::new(format!(
            "could not make the merge of '{}'; nothing was changed",
            plan.task.id
        ))
    })?;
    Ok(Some(made))
}

fn without_hooks(flux: &Flux, plan: &Plan, into: &Into, work: &Work) -> Result<String> {
    let (home, sign) = (flux.repo.home(), flux.settings.sign()?);
    let (tree, message, parents) = match work {
        Work::Merge { tree, message } => (tree, message, vec![&*into.tip, &plan.tip]),
        Work::Squash { tree, message } => (tree, message, vec![&*into.tip]),
        Work::Rebase { onto, picks } => {
            let add = |parent: String, pick: &Pick| {
                pick.draft(&parent, &pick.commit.message, sign).make(home)
            };
            return picks.iter().try_fold((*onto).to_owned(), add);
        }
    };
    let draft = Draft {
        tree,
        parents,
        message,
        author: None,
        sign,
    };
    draft.make(home)
}

/// In a worktree of its own: hooks look at the files of a merge.
fn with_hooks(
    flux: &Flux,
    plan: &Plan,
    into: &Into,
    work: &Work,
    verify: bool,
    lock: &Lock,
) -> Result<String> {
    let path = flux.run_dir(&plan.task.id).scratch();
    let scratch = {
        let _guard = flux.lock_repo()?;
        Scratch::open(&flux.repo, &path, &into.tip, verify, lock)?
    };
    // Without the repository's lock: a hook may be a git flux itself.
    let made = match work {
        Work::Merge { message, .. } => scratch.merge(&plan.tip, message),
        Work::Squash { tree, message } => scratch.squash(tree, message),
        Work::Rebase { onto, picks } => flux.settings.sign().and_then(|sign| {
            scratch.may_rebase(&into.branch, &plan.task.branch)?;
            let add = |parent: String, pick: &Pick| scratch.pick(pick, &parent, sign);
            picks.iter().try_fold((*onto).to_owned(), add)
        }),
    };
    let clear = || {
        let _guard = flux.lock_repo()?;
        worktree::clear(&flux.repo, &path)
    };
    // Why it was not made is what counts; what is left of it, the next command clears away.
    let cleared = clear();
    made.and_then(|made| cleared.map(|()| made))
}

fn merge_message(plan: &Plan, into: &Into) -> Vec<u8> {
    let (id, title) = (&plan.task.id, &plan.task.title);
    format!("Merge task '{id}' into {}\n\n{title}\n", into.branch).into_bytes()
}

fn squash_message(flux: &Flux, plan: &Plan, into: &Into) -> Result<Vec<u8>> {
    let id = &plan.task.id;
    let title = match plan.task.title.trim() {
        "" => id.as_str(),
        title => title,
    };
    let mut message = format!("{title}\n\nSquashed commit of task '{id}':\n\n");
    for commit in rebase::list(&flux.repo, &into.tip, &[&plan.tip], false)? {
        if !commit.is_merge() {
            writeln!(message, "* {}", commit.subject())?;
        }
    }
    Ok(message.into_bytes())
}

/// The hooks that git would run before such commits are made, those that `--no-verify` leaves out last.
fn hooks(style: Style, verify: bool) -> &'static [&'static str] {
    let all: &[&str] = match style {
        Style::Merge => &["prepare-commit-msg", "pre-merge-commit", "commit-msg"],
        Style::Squash => &["prepare-commit-msg", "pre-commit", "commit-msg"],
        Style::Rebase => &["prepare-commit-msg", "pre-rebase"],
        Style::FastForward => return &[],
    };
    if verify { all } else { &all[..1] }
}

/// Whether a hook may want to see the merge. A path that only git can expand counts as yes.
pub(crate) fn has_hooks(flux: &Flux, plan: &Plan, verify: bool) -> bool {
    let Some(into) = &plan.into else {
        return false;
    };
    let dir = match flux.settings.hooks_path() {
        None => flux.repo.common_dir().join("hooks"),
        Some(path) => match (path.strip_prefix("~/"), env::var_os("HOME")) {
            (Some(rest), Some(home)) => PathBuf::from(home).join(rest),
            _ if path.starts_with('~') || path.starts_with("%(") => return true,
            // Relative to the top of the worktree that the hook runs in.
            _ => into
                .worktree
                .as_deref()
                .unwrap_or(flux.repo.home())
                .join(path),
        },
    };
    let hooks = hooks(into.style, verify);
    hooks.iter().any(|hook| dir.join(hook).exists())
}

/// Moves the target branch forward to what was made.
///
/// # Errors
/// When something is in the way: then the branch and its files are as they were.
pub(crate) fn forward(flux: &Flux, plan: &Plan, commit: &str, lock: &Lock) -> Result<()> {
    let Some(into) = &plan.into else {
        return Ok(());
    };
    let begun = SystemTime::now();
    let checkout = into
        .worktree
        .as_deref()
        .map(|path| flux.repo.checkout(path));
    let checkout = checkout.transpose()?;
    let moved = match &checkout {
        Some(worktree) => forward::checked_out(worktree, commit, lock),
        None => forward::elsewhere(flux.repo.home(), &into.branch, commit, lock),
    };
    let Err(error) = moved else { return Ok(()) };
    let (id, branch) = (&plan.task.id, &into.branch);
    let failure = |what: &str, look: String| {
        Failure::new(format!("could not merge '{id}' into '{branch}'; {what}"))
            .hint(look)
            .hint(format!("git flux cleanup {id}"))
    };
    let Some(worktree) = &checkout else {
        let look = "git worktree list".to_owned();
        return Err(error.context(failure("neither was changed", look)));
    };
    let back = forward::back(worktree, commit, &into.tip, lock);
    if let Some(blocked) = plan.was_blocked(flux, begun) {
        return Err(blocked.into());
    }
    let what = match back {
        Ok(()) => "neither was changed",
        Err(_) => "what was checked out there may be changed",
    };
    let look = format!("git -C {} status", quoted(worktree.path()));
    Err(error.context(failure(what, look)))
}
