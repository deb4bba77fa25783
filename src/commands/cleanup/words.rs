//! What `git flux cleanup` says: what it would do, what it asks, what it did.

use std::cell::RefCell;

use anyhow::Result;

use crate::commands::revert::revert;
use crate::git::{Integrated, MergePlan, Style};
use crate::lifecycle::cleanup::facts::Plan;
use crate::lifecycle::cleanup::remove::leave;
use crate::lifecycle::{Flux, Into, Kept};
use crate::sanitize;
use crate::settings::table;
use crate::store::Store;
use crate::task::{Merged, Rest, Task};
pub(crate) use crate::ui::words::capital;
use crate::ui::words::count;
use crate::ui::{quoted, shown, word};

/// What would be done, step by step.
pub(super) fn intent(plan: &Plan, discard: bool, commit: bool) -> Vec<String> {
    let mut deeds = Vec::new();
    let files = count(plan.uncommitted.len(), "uncommitted file");
    match (plan.uncommitted.is_empty(), discard, commit) {
        (true, ..) => {}
        (_, true, _) => deeds.push(format!("leave {files} in the trash")),
        (_, _, true) => deeds.push(format!("commit {files}")),
        _ => deeds.push(format!("ask about {files}")),
    }
    if plan.must_stop() {
        deeds.push(format!("stop {}", plan.stopped()));
    }
    deeds.push(match &plan.into {
        None if plan.merged_in.is_some() => {
            format!("merge nothing: {}", merged_in(plan).unwrap_or_default())
        }
        None if plan.branch_gone => format!(
            "keep {}, the last commit that is known of '{}'",
            short(&plan.tip),
            plan.task.branch
        ),
        None if plan.task.keeps_branch() => {
            format!("leave '{}' as it is, without merging it", plan.task.branch)
        }
        None => format!("drop '{}' without merging it", plan.task.branch),
        Some(into) => match nothing(plan, into) {
            Some(why) => format!("merge nothing: {why}"),
            None => {
                let [verb, _, to] = verbs(into.style);
                let commits = count(plan.commits(), "commit");
                format!("{verb} {commits} {to} '{}'", into.branch)
            }
        },
    });
    let (worktree, branch) = (shown(&plan.task.worktree), &plan.task.branch);
    let target = place(&plan.task);
    deeds.push(match plan.task.keeps_branch() {
        true => format!("remove the worktree '{worktree}' and the {target}; '{branch}' stays"),
        false => {
            format!("remove the worktree '{worktree}', the branch '{branch}' and the {target}")
        }
    });
    deeds
}

/// What else goes with a task.
fn place(task: &Task) -> &'static str {
    let target = task.target.as_ref();
    target.map_or("record", |target| target.kind.into_str())
}

/// Whether a task has no commits of its own.
pub(super) fn nothing_yet(plan: &Plan) -> bool {
    plan.tip == plan.task.base
}

/// What is asked before a task is removed.
pub(super) fn question(plan: &Plan, elsewhere: Option<&str>) -> String {
    let (id, branch) = (&plan.task.id, &plan.task.branch);
    if let Some(why) = merged_in(plan) {
        return format!("Nothing to merge: {why}. Remove '{id}'?");
    }
    match &plan.into {
        None if plan.branch_gone => {
            format!("The branch '{branch}' is gone. Remove '{id}'?")
        }
        None if plan.task.keeps_branch() => {
            format!("Remove '{id}', and leave '{branch}' as it is, without merging it?")
        }
        None => format!("Drop '{branch}' without merging it, and remove '{id}'?"),
        Some(into) => {
            if let Some(why) = nothing(plan, into) {
                return format!("Nothing to merge: {why}. Remove '{id}'?");
            }
            let aside = elsewhere
                .map(|on| format!(" (you are on '{on}')"))
                .unwrap_or_default();
            let [verb, _, to] = verbs(into.style);
            format!(
                "{} {} of '{branch}' {to} '{}'{aside}, and remove '{id}'?",
                capital(verb),
                count(plan.commits(), "commit"),
                into.branch
            )
        }
    }
}

/// Warns of tasks that are to be merged into the branch that goes with this one.
pub(super) fn heirs(flux: &Flux, store: &Store, plan: &Plan) {
    let task = &plan.task;
    if task.keeps_branch() {
        return;
    }
    let others = store
        .tasks
        .iter()
        .filter_map(|stored| stored.task.as_ref().ok());
    for other in others.filter(|other| other.into.as_ref() == Some(&task.branch)) {
        let id = &other.id;
        flux.ui.warning(format_args!(
            "'{id}' would be merged into '{}', which goes with '{}'",
            task.branch, task.id
        ));
        if let Some(into) = &task.into {
            let key = word(&table::BRANCH_INTO.named(&other.branch));
            flux.ui.hint(format_args!(
                "to merge '{id}' into '{into}' instead: git config {key} {}",
                word(into)
            ));
        }
    }
}

fn short(oid: &str) -> String {
    oid[..oid.len().min(9)].to_owned()
}

/// A style as something to do, as something done, and its preposition.
fn verbs(style: Style) -> [&'static str; 3] {
    match style {
        Style::Merge => ["merge", "merged", "into"],
        Style::Squash => ["squash", "squashed", "into"],
        Style::Rebase => ["rebase", "rebased", "onto"],
        Style::FastForward => ["fast-forward", "fast-forwarded", "into"],
    }
}

/// Why there is nothing to merge, if so: no work yet, or work that is there already.
pub(super) fn nothing(plan: &Plan, into: &Into) -> Option<String> {
    match &into.merge {
        MergePlan::UpToDate(how) => Some(why(plan, *how, &into.branch)),
        _ => None,
    }
}

/// Why a task is removed without a merge of its own: its work was merged elsewhere.
pub(super) fn merged_in(plan: &Plan) -> Option<String> {
    let elsewhere = plan.merged_in.as_ref()?;
    Some(why(plan, elsewhere.how, &elsewhere.name))
}

/// How `target` has the work of a task.
fn why(plan: &Plan, how: Integrated, target: &str) -> String {
    let branch = &plan.task.branch;
    match how {
        Integrated::Ancestor if nothing_yet(plan) => {
            format!("'{branch}' has no commits of its own")
        }
        Integrated::Ancestor => format!("'{target}' has everything of '{branch}' already"),
        Integrated::Cancelled => {
            format!("the commits of '{branch}' change nothing, all in all")
        }
        Integrated::Contained => {
            format!("'{target}' has the changes of '{branch}' already, by other commits")
        }
        Integrated::Picked => {
            format!("'{target}' has each commit of '{branch}' already, under another name")
        }
        Integrated::Squashed => {
            format!("'{target}' has '{branch}' already, squashed into one commit")
        }
    }
}

/// Says what was done; then the pane we stand in is closed, and it is said where its clients land.
pub(super) fn tell(flux: &Flux, plan: &Plan, merge: Option<&str>, kept: &Kept) -> Result<()> {
    let said = RefCell::new(Vec::new());
    let status = |line: String| {
        flux.ui.status(&line);
        said.borrow_mut().push(sanitize::line(&line));
    };
    let hint = |line: String| {
        flux.ui.hint(&line);
        said.borrow_mut()
            .push(sanitize::line(&format!("hint: {line}")));
    };
    let task = &plan.task;
    match (&plan.into, merge) {
        (Some(into), Some(merge)) => {
            let commits = count(plan.commits(), "commit");
            let [_, verb, to] = verbs(into.style);
            status(format!(
                "{verb} {commits} of '{}' {to} '{}' ({}..{})",
                task.branch,
                into.branch,
                short(&into.tip),
                short(merge)
            ));
        }
        (Some(into), None) => status(format!(
            "nothing was merged: {}",
            nothing(plan, into).unwrap_or_default()
        )),
        (None, _) if plan.merged_in.is_some() => status(format!(
            "nothing was merged: {}",
            merged_in(plan).unwrap_or_default()
        )),
        (None, _) if plan.branch_gone => status(format!(
            "the branch '{}' was gone; {} is the last commit that is known of it",
            task.branch,
            short(&plan.tip)
        )),
        (None, _) if task.keeps_branch() => status(format!(
            "'{}' is left as it is, without merging it",
            task.branch
        )),
        (None, _) => status(format!("dropped '{}' without merging it", task.branch)),
    }
    let target = place(task);
    status(match task.keeps_branch() {
        true => format!(
            "removed '{}': worktree and {target}; the branch '{}' stays",
            task.id, task.branch
        ),
        false if plan.branch_gone => format!(
            "removed '{}': worktree and {target}; its branch '{}' was gone",
            task.id, task.branch
        ),
        false => format!(
            "removed '{}': worktree, branch '{}' and {target}",
            task.id, task.branch
        ),
    });
    if let (Some(name), true) = (&kept.archive, plan.tip != task.base) {
        status(format!("its commits stay in refs/flux/archive/{name}/tip"));
    }
    if let Some(path) = &kept.worktree {
        status(format!("its worktree is kept in '{}'", path.display()));
    }
    if let Some(name) = &kept.archive {
        hint(format!("to bring it back: git flux restore {name}"));
    }
    if let (Some(into), Some(merge)) = (&plan.into, merge) {
        let merged = Merged {
            branch: into.branch.clone(),
            from: into.tip.clone(),
            to: merge.to_owned(),
            rest: Rest::default(),
        };
        match revert(flux, &merged) {
            Ok(undo) => undo.into_iter().for_each(hint),
            Err(error) => flux.ui.warning(format_args!(
                "how to undo the merge cannot be told: {error:#}"
            )),
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
    leave(plan, &said.into_inner())
}
