//! The merge of a task: its commit is made before anything changes, then the target moves.

use std::env;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use super::plan::Plan;
use super::{Flux, Lock};
use crate::failure::Failure;
use crate::git::{MergePlan, merge, worktree};
use crate::ui::quoted;

/// The hooks that a merge runs, and that can stop it.
const HOOKS: [&str; 3] = ["pre-merge-commit", "prepare-commit-msg", "commit-msg"];

/// Makes the merge commit, which no branch has yet; none if there is nothing to merge.
///
/// # Errors
/// When a hook, a signature or an identity is in the way.
pub(crate) fn prepare(flux: &Flux, plan: &Plan, lock: &Lock) -> Result<Option<String>> {
    let Some(into) = &plan.into else {
        return Ok(None);
    };
    let tree = match &into.merge {
        MergePlan::UpToDate => return Ok(None),
        MergePlan::Conflicts { .. } => return plan.ensure_no_conflicts().map(|()| None),
        MergePlan::FastForward { .. } => flux.repo.tree_of(&plan.tip)?,
        MergePlan::Merge { tree, .. } => tree.clone(),
    };
    let message = format!(
        "Merge task '{}' into {}\n\n{}\n",
        plan.task.id, into.branch, plan.task.title
    );
    let parents = [into.tip.as_str(), plan.tip.as_str()];
    let what = || {
        Failure::new(format!(
            "could not make the merge of '{}'; nothing was changed",
            plan.task.id
        ))
    };
    let commit = if has_hooks(flux, plan) {
        // A worktree of its own: hooks look at the files of a merge.
        let scratch = flux.run_dir(&plan.task.id).scratch();
        {
            let _guard = flux.lock_repo()?;
            merge::open_scratch(&flux.repo, &scratch, parents[0], lock).with_context(what)?;
        }
        // Without the repository's lock: a hook may be a git flux itself.
        let merged = merge::commit_with_hooks(&flux.repo, &scratch, parents[1], &message, lock);
        let _guard = flux.lock_repo()?;
        worktree::clear(flux.repo.home(), &scratch, lock)?;
        merged.with_context(what)?
    } else {
        let sign = flux.settings.sign()?;
        merge::commit(flux.repo.home(), &tree, parents, &message, sign, lock).with_context(what)?
    };
    Ok(Some(commit))
}

/// Whether a hook may want to see the merge. A path that only git can expand counts as yes.
pub(crate) fn has_hooks(flux: &Flux, plan: &Plan) -> bool {
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
    HOOKS.iter().any(|hook| dir.join(hook).exists())
}

/// Moves the target branch forward to the merge commit.
///
/// # Errors
/// When something is in the way: then the branch and its files are as they were.
pub(crate) fn forward(flux: &Flux, plan: &Plan, commit: &str, lock: &Lock) -> Result<()> {
    let Some(into) = &plan.into else {
        return Ok(());
    };
    let moved = match &into.worktree {
        Some(worktree) => merge::forward_checked_out(worktree, commit, lock),
        None => merge::forward_elsewhere(flux.repo.home(), &into.branch, commit, lock),
    };
    moved.with_context(|| {
        Failure::new(format!(
            "could not merge '{}' into '{}'; neither was changed",
            plan.task.id, into.branch
        ))
        .hint(match &into.worktree {
            Some(worktree) => format!("git -C {} status", quoted(worktree)),
            None => "git worktree list".to_owned(),
        })
        .hint(format!("git flux cleanup {}", plan.task.id))
    })
}
