//! What `git flux cleanup` says: what it would do, what it asks, what it did.

use anyhow::Result;

use crate::commands::revert::revert;
use crate::context::Flux;
use crate::git::{ObjectId, Style};
use crate::lifecycle::archive::Kept;
use crate::lifecycle::cleanup::facts::Facts;
use crate::lifecycle::cleanup::options::{Options, Uncommitted};
use crate::lifecycle::cleanup::plan::Plan;
use crate::lifecycle::cleanup::remove::leave;
use crate::sanitize;
use crate::settings::table;
use crate::store::Store;
use crate::task::{Merged, Rest, Task};
use crate::ui::words::capital;
use crate::ui::words::count;
use crate::ui::{quoted, shown, word};

/// Says what a plan would do, step by step.
pub(super) fn deeds(plan: &Plan, options: &Options) -> Vec<String> {
    let Some(outlook) = plan.outlook() else {
        return Vec::new();
    };
    if let (true, Some(into)) = (plan.is_update(), &outlook.into) {
        let (branch, place) = (&into.branch, shown(&outlook.task.worktree));
        let update = format!("merge '{branch}' in '{place}', which stops at the conflicts");
        return vec![update];
    }
    let mut deeds = Vec::new();
    if !outlook.uncommitted.is_empty() {
        let files = count(outlook.uncommitted.len(), "uncommitted file");
        deeds.push(match options.uncommitted {
            Uncommitted::Discard => format!("leave {files} in the trash"),
            Uncommitted::Commit(_) => format!("commit {files}"),
            Uncommitted::Ask => format!("ask about {files}"),
        });
    }
    if outlook.runs.must_stop() {
        deeds.push(format!("stop {}", outlook.runs.stopped(&plan.id)));
    }
    deeds.push(merge_deed(outlook));
    let (worktree, branch) = (shown(&outlook.task.worktree), &outlook.task.branch);
    let target = place(&outlook.task);
    deeds.push(match outlook.task.keeps_branch() {
        true => format!("remove the worktree '{worktree}' and the {target}; '{branch}' stays"),
        false => {
            format!("remove the worktree '{worktree}', the branch '{branch}' and the {target}")
        }
    });
    deeds
}

/// Says what would be merged.
fn merge_deed(facts: &Facts) -> String {
    if let Some(why) = facts.nothing_to_merge() {
        return format!("merge nothing: {why}");
    }
    let branch = &facts.task.branch;
    match &facts.into {
        Some(into) => {
            let [verb, _, to] = verbs(into.style);
            let commits = count(facts.commits(), "commit");
            format!("{verb} {commits} {to} '{}'", into.branch)
        }
        None if facts.branch_gone => {
            let tip = short(&facts.tip);
            format!("keep {tip}, the last commit that is known of '{branch}'")
        }
        None if facts.task.keeps_branch() => {
            format!("leave '{branch}' as it is, without merging it")
        }
        None => format!("drop '{branch}' without merging it"),
    }
}

/// Returns the message that is offered for a commit of what is uncommitted.
pub(super) fn offered(task: &Task) -> String {
    format!("WIP: {}", task.title)
}

/// What else goes with a task.
fn place(task: &Task) -> &'static str {
    let target = task.target.as_ref();
    target.map_or("record", |target| target.kind.into_str())
}

/// Returns the question whether a task is to go. The user is `elsewhere`, if that is said.
pub(super) fn question(facts: &Facts, elsewhere: Option<&str>) -> String {
    let (id, branch) = (&facts.task.id, &facts.task.branch);
    if let Some(why) = facts.nothing_to_merge() {
        return format!("Nothing to merge: {why}. Remove '{id}'?");
    }
    match &facts.into {
        None if facts.branch_gone => format!("The branch '{branch}' is gone. Remove '{id}'?"),
        None if facts.task.keeps_branch() => {
            format!("Remove '{id}', and leave '{branch}' as it is, without merging it?")
        }
        None => format!("Drop '{branch}' without merging it, and remove '{id}'?"),
        Some(into) => {
            let aside = elsewhere.map(|elsewhere| format!(" ({elsewhere})"));
            let [verb, _, to] = verbs(into.style);
            format!(
                "{} {} of '{branch}' {to} '{}'{}, and remove '{id}'?",
                capital(verb),
                count(facts.commits(), "commit"),
                into.branch,
                aside.unwrap_or_default()
            )
        }
    }
}

/// Warns of tasks that are to be merged into the branch that goes with this one.
pub(super) fn heirs(flux: &Flux, store: &Store, task: &Task) {
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

/// Says what was done; then the pane that the command was called in is closed, and it is said where
/// its clients land.
pub(super) fn tell(
    flux: &Flux,
    facts: &Facts,
    merge: Option<&ObjectId>,
    kept: &Kept,
) -> Result<()> {
    let mut story = Story {
        flux,
        said: Vec::new(),
    };
    story.status(&merged(facts, merge));
    story.status(&removed(facts));
    story.tell_what_is_kept(facts, kept);
    if let (Some(into), Some(merge)) = (&facts.into, merge) {
        let merged = Merged {
            branch: into.branch.to_string(),
            from: into.tip.clone(),
            to: merge.to_owned(),
            rest: Rest::default(),
        };
        match revert(flux, &merged) {
            Ok(undo) => undo.iter().for_each(|undo| story.hint(undo)),
            Err(error) => flux.ui.warning(format_args!(
                "how to undo the merge cannot be told: {error:#}"
            )),
        }
    }
    if let Err(error) = flux.expire_in_background() {
        flux.ui
            .warning(format_args!("the trash is not emptied: {error:#}"));
    }
    if flux.repo.current() == Some(facts.task.worktree.as_path()) {
        flux.ui.hint(format_args!(
            "this directory is gone: cd {}",
            quoted(flux.repo.home())
        ));
    }
    leave(facts, &story.said)
}

/// What is said of a removal, here and where the clients of a closed pane land.
struct Story<'a> {
    flux: &'a Flux,
    said: Vec<String>,
}

impl Story<'_> {
    fn status(&mut self, line: &str) {
        self.flux.ui.status(line);
        self.said.push(sanitize::line(line));
    }

    fn hint(&mut self, line: &str) {
        self.flux.ui.hint(line);
        self.said.push(sanitize::line(&format!("hint: {line}")));
    }

    fn tell_what_is_kept(&mut self, facts: &Facts, kept: &Kept) {
        if let Some(name) = &kept.archive
            && !facts.has_no_commits()
        {
            self.status(&format!("its commits stay in refs/flux/archive/{name}/tip"));
        }
        if let Some(path) = &kept.worktree {
            self.status(&format!("its worktree is kept in '{}'", path.display()));
        }
        if let Some(name) = &kept.archive {
            self.hint(&format!("to bring it back: git flux restore {name}"));
        }
    }
}

/// Says what was merged.
fn merged(facts: &Facts, merge: Option<&ObjectId>) -> String {
    let branch = &facts.task.branch;
    match (&facts.into, merge) {
        (Some(into), Some(merge)) => {
            let commits = count(facts.commits(), "commit");
            let [_, verb, to] = verbs(into.style);
            let (target, from, made) = (&into.branch, short(&into.tip), short(merge));
            format!("{verb} {commits} of '{branch}' {to} '{target}' ({from}..{made})")
        }
        (Some(_), None) => nothing_was_merged(facts),
        (None, _) if facts.merged_in.is_some() => nothing_was_merged(facts),
        (None, _) if facts.branch_gone => {
            let tip = short(&facts.tip);
            format!("the branch '{branch}' was gone; {tip} is the last commit that is known of it")
        }
        (None, _) if facts.task.keeps_branch() => {
            format!("'{branch}' is left as it is, without merging it")
        }
        (None, _) => format!("dropped '{branch}' without merging it"),
    }
}

fn nothing_was_merged(facts: &Facts) -> String {
    let why = facts.nothing_to_merge().unwrap_or_default();
    format!("nothing was merged: {why}")
}

/// Says what was removed.
fn removed(facts: &Facts) -> String {
    let (id, branch) = (&facts.task.id, &facts.task.branch);
    let target = place(&facts.task);
    if facts.task.keeps_branch() {
        format!("removed '{id}': worktree and {target}; the branch '{branch}' stays")
    } else if facts.branch_gone {
        format!("removed '{id}': worktree and {target}; its branch '{branch}' was gone")
    } else {
        format!("removed '{id}': worktree, branch '{branch}' and {target}")
    }
}
