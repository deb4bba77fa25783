//! What `git flux cleanup` says: what it would do, what it asks, what it did.

use anyhow::Result;

use crate::commands::status::count;
use crate::git::MergePlan;
use crate::lifecycle::plan::Plan;
use crate::lifecycle::remove::leave;
use crate::lifecycle::{Flux, Kept};
use crate::sanitize;
use crate::task::Merged;
use crate::ui::{quoted, shown};

/// What `--dry-run` says.
pub(super) fn describe(flux: &Flux, plan: &Plan, discard: bool, commit: bool) -> Result<()> {
    let say = |line: String| flux.ui.data(sanitize::line(&line));
    plan.ensure_no_conflicts()?;
    let files = count(plan.uncommitted.len(), "uncommitted file");
    match (plan.uncommitted.is_empty(), discard, commit) {
        (true, ..) => {}
        (_, true, _) => say(format!("would leave {files} in the trash"))?,
        (_, _, true) => say(format!("would commit {files}"))?,
        _ => say(format!("would ask about {files}"))?,
    }
    if plan.must_stop() {
        say(format!("would stop {}", plan.stopped()))?;
    }
    match &plan.into {
        None => say(format!(
            "would drop '{}' without merging it",
            plan.task.branch
        ))?,
        Some(into) => match &into.merge {
            MergePlan::UpToDate => {
                say(format!("would merge nothing: '{}' has it all", into.branch))?;
            }
            MergePlan::Conflicts { .. } => {}
            MergePlan::FastForward { commits } | MergePlan::Merge { commits, .. } => {
                say(format!(
                    "would merge {} into '{}'",
                    count(*commits, "commit"),
                    into.branch
                ))?;
            }
        },
    }
    say(format!(
        "would remove the worktree '{}', the branch '{}' and the {}",
        shown(&plan.task.worktree),
        plan.task.branch,
        plan.task
            .target
            .as_ref()
            .map_or("record", |target| target.kind.name())
    ))?;
    flux.ui.status("Nothing was done.");
    Ok(())
}

/// What is asked before a task is removed.
pub(super) fn question(plan: &Plan, elsewhere: Option<&str>) -> String {
    let (id, branch) = (&plan.task.id, &plan.task.branch);
    match &plan.into {
        None => format!("Drop '{branch}' without merging it, and remove '{id}'?"),
        Some(_) if plan.commits() == 0 => {
            format!("'{branch}' has nothing to merge. Remove '{id}'?")
        }
        Some(into) => {
            let aside = elsewhere
                .map(|on| format!(" (you are on '{on}')"))
                .unwrap_or_default();
            format!(
                "Merge {} of '{branch}' into '{}'{aside}, and remove '{id}'?",
                count(plan.commits(), "commit"),
                into.branch
            )
        }
    }
}

/// The command that undoes a merge; none if there was nothing to merge.
///
/// # Errors
/// When the merge is missing.
pub(crate) fn revert(flux: &Flux, merged: &Merged) -> Result<Option<String>> {
    let Merged { branch, from, to } = merged;
    if from == to {
        return Ok(None);
    }
    let (from, to) = (short(from), short(to));
    let what = match flux.repo.parents_of(&merged.to)?.as_slice() {
        [_, _, ..] => format!("-m 1 {to}"),
        [parent] if *parent == merged.from => to,
        _ => format!("{from}..{to}"),
    };
    Ok(Some(format!(
        "to undo the merge, on '{}': git revert {what}",
        sanitize::line(branch)
    )))
}

fn short(oid: &str) -> String {
    oid[..oid.len().min(9)].to_owned()
}

/// What was done; then the pane we stand in is closed.
pub(super) fn tell(flux: &Flux, plan: &Plan, merge: Option<&str>, kept: &Kept) -> Result<()> {
    let task = &plan.task;
    match (&plan.into, merge) {
        (Some(into), Some(merge)) => {
            let commits = count(plan.commits(), "commit");
            flux.ui.status(format_args!(
                "merged {commits} of '{}' into '{}' ({}..{})",
                task.branch,
                into.branch,
                short(&into.tip),
                short(merge)
            ));
        }
        (Some(into), None) if plan.tip == task.base => {
            flux.ui.status(format_args!(
                "'{}' had no commits: nothing was merged into '{}'",
                task.branch, into.branch
            ));
        }
        (Some(into), None) => flux.ui.status(format_args!(
            "'{}' has everything of '{}' already",
            into.branch, task.branch
        )),
        (None, _) => flux
            .ui
            .status(format_args!("dropped '{}' without merging it", task.branch)),
    }
    flux.ui.status(format_args!(
        "removed '{}': worktree, branch and {}",
        task.id,
        task.target.as_ref().map_or("record", |t| t.kind.name())
    ));
    if let (Some(name), true) = (&kept.archive, plan.tip != task.base) {
        flux.ui.status(format_args!(
            "its commits stay in refs/flux/archive/{name}/tip"
        ));
    }
    if let Some(path) = &kept.worktree {
        flux.ui
            .status(format_args!("its worktree is kept in '{}'", path.display()));
    }
    if let Some(name) = &kept.archive {
        flux.ui
            .hint(format_args!("to bring it back: git flux restore {name}"));
    }
    if let (Some(into), Some(merge)) = (&plan.into, merge) {
        let merged = Merged {
            branch: into.branch.clone(),
            from: into.tip.clone(),
            to: merge.to_owned(),
        };
        if let Some(undo) = revert(flux, &merged)? {
            flux.ui.hint(undo);
        }
    }
    if let Err(error) = flux.expire_in_background() {
        flux.ui
            .warning(format_args!("the trash is not emptied: {error:#}"));
    }
    if flux.repo.current() == Some(task.worktree.as_path()) {
        flux.ui.hint(format_args!(
            "this directory is gone: cd {}",
            quoted(flux.repo.home())
        ));
    }
    leave(plan)
}
