//! The wording of `git flux cleanup`: its steps, its question and its report.

use anyhow::Result;

use crate::commands::revert::revert_hint;
use crate::context::Flux;
use crate::git::{MergePlan, ObjectId, Style};
use crate::lifecycle::archive::KeptParts;
use crate::lifecycle::cleanup::facts::Facts;
use crate::lifecycle::cleanup::options::{Edits, GateUse, Options, Question};
use crate::lifecycle::cleanup::plan::Plan;
use crate::lifecycle::cleanup::remove::RemovalReport;
use crate::lifecycle::cleanup::target::MergeTarget;
use crate::lifecycle::stash_pins::count_entries;
use crate::sanitize;
use crate::settings::table;
use crate::store::Store;
use crate::task::{MergeRecord, Rest, Task};
use crate::tmux::own_pane;
use crate::ui::words::{capitalize, count};
use crate::ui::{Ui, quoted, shown, word};

/// Describes the steps of a plan, each in a phrase such as `stop the agent of 'x'`; none if the
/// facts of the plan are unknown. Names no program to stop in the caller's own pane.
pub(super) fn list_steps(plan: &Plan, options: &Options) -> Vec<String> {
    let Some(forecast) = plan.forecast() else {
        return Vec::new();
    };
    let (task, worktree) = (&forecast.task, shown(&forecast.task.worktree));
    if let (true, Some(into)) = (plan.is_update(), forecast.merge_target()) {
        let branch = &into.branch;
        let update = format!("merge '{branch}' in '{worktree}', which stops at the conflicts");
        return vec![update];
    }
    let mut steps = Vec::new();
    if !forecast.uncommitted.is_empty() {
        let files = count(forecast.uncommitted.len(), "uncommitted file");
        steps.push(match options.uncommitted {
            Edits::Discard => format!("discard {files}"),
            Edits::Commit(_) => format!("commit {files}"),
            Edits::Ask => format!("ask about {files}"),
        });
    }
    if !forecast.stash.own.is_empty() {
        let verb = match options.agrees(Question::Stash) {
            true => "remove",
            false => "ask about",
        };
        let entries = count_entries(forecast.stash.own.len());
        steps.push(format!("{verb} {entries}"));
    }
    if options.gate == GateUse::Required && merging(forecast).is_some() {
        steps.push("run the gate, unless it is known to pass".to_owned());
    }
    if forecast.processes.must_stop() {
        let program = forecast.processes.name_stopped(&plan.id);
        steps.push(format!("stop {program}"));
    }
    let unseen = forecast.unseen_note().map(|note| format!(" ({note})"));
    let merge = match merging(forecast) {
        Some(into) => {
            let [verb, _, to] = style_words(into.style);
            let commits = count(forecast.commits(), "commit");
            format!("{verb} {commits} {to} '{}'", into.branch)
        }
        None => no_merge_words(forecast).step,
    };
    steps.push(merge + &unseen.unwrap_or_default());
    let (branch, place) = (&task.branch, target_word(task));
    steps.push(match task.keeps_branch() {
        true => format!("remove the worktree '{worktree}' and the {place}; '{branch}' stays"),
        false => format!("remove the worktree '{worktree}', the branch '{branch}' and the {place}"),
    });
    steps
}

/// Returns the word for the tmux target of a task: `pane`, `window` or `session`; `record` if it
/// has none.
fn target_word(task: &Task) -> &'static str {
    let target = task.target.as_ref();
    target.map_or("record", |target| target.kind.into_str())
}

/// Returns the target branch, if it lacks commits of the task; `None` if there is nothing to merge,
/// or no target branch.
fn merging(facts: &Facts) -> Option<&MergeTarget> {
    facts
        .merge_target()
        .filter(|into| !matches!(into.merge, MergePlan::UpToDate(_)))
}

/// The wording if no commit is merged.
struct NoMergeWords {
    step: String,
    question: String,
    done: String,
}

fn no_merge_words(facts: &Facts) -> NoMergeWords {
    let (id, branch, tip) = (&facts.task.id, &facts.task.branch, facts.tip.short());
    if let Some(why) = facts.nothing_to_merge() {
        NoMergeWords {
            step: format!("merge nothing: {why}"),
            question: format!("Nothing to merge: {why}. Remove '{id}'?"),
            done: format!("nothing was merged: {why}"),
        }
    } else if facts.branch_gone {
        let last = "the last known commit of";
        NoMergeWords {
            step: format!("keep {tip}, {last} '{branch}'"),
            question: format!("The branch '{branch}' is gone. Remove '{id}'?"),
            done: format!("the branch '{branch}' was gone; {tip} is {last} it"),
        }
    } else if facts.task.keeps_branch() {
        let leave = format!("leave '{branch}' as it is, without merging it");
        NoMergeWords {
            question: format!("Remove '{id}', and {leave}?"),
            step: leave,
            done: format!("'{branch}' is left as it is, without merging it"),
        }
    } else {
        NoMergeWords {
            step: format!("drop '{branch}' without merging it"),
            question: format!("Drop '{branch}' without merging it, and remove '{id}'?"),
            done: format!("dropped '{branch}' without merging it"),
        }
    }
}

/// Returns the text of the question whether to merge and remove a task, with the number of unseen
/// files. If commits would be merged, `notes` are added: `you are on '<branch>'`, if that is not the
/// target branch, and the verdict of the gate, if there is one.
pub(super) fn removal_question(facts: &Facts, notes: &[String]) -> String {
    let unseen = facts.unseen_note();
    let Some(into) = merging(facts) else {
        let unseen = unseen.map(|note| format!("{}. ", capitalize(&note)));
        return unseen.unwrap_or_default() + &no_merge_words(facts).question;
    };
    let notes: Vec<String> = notes.iter().cloned().chain(unseen).collect();
    let (id, branch, target) = (&facts.task.id, &facts.task.branch, &into.branch);
    let notes = match notes.join("; ") {
        notes if notes.is_empty() => notes,
        notes => format!(" ({notes})"),
    };
    let [verb, _, to] = style_words(into.style);
    let (verb, commits) = (capitalize(verb), count(facts.commits(), "commit"));
    format!("{verb} {commits} of '{branch}' {to} '{target}'{notes}, and remove '{id}'?")
}

/// Warns of each task whose target is the branch of `task`, if that branch is deleted with `task`. If `task` has a target branch, hints at the command that merges the other task into
/// that.
pub(super) fn warn_of_dependents(flux: &Flux, store: &Store, task: &Task) {
    let (ui, branch) = (&flux.ui, &task.branch);
    let dependents = store
        .readable()
        .filter(|other| other.into.as_ref() == Some(branch));
    for other in dependents.filter(|_| !task.keeps_branch()) {
        let id = &other.id;
        let why = format!("which is removed with '{}'", task.id);
        ui.warning(format_args!("the target of '{id}' is '{branch}', {why}"));
        if let Some(into) = &task.into {
            let key = word(&table::BRANCH_INTO.documented_key(&other.branch));
            let config = format!("git config {key} {}", word(into));
            ui.hint(format_args!("to make '{into}' its target: {config}"));
        }
    }
}

/// Returns the verb, the past participle and the preposition for a style of merge: `merge`,
/// `merged`, `into`.
fn style_words(style: Style) -> [&'static str; 3] {
    match style {
        Style::Merge => ["merge", "merged", "into"],
        Style::Squash => ["squash", "squashed", "into"],
        Style::Rebase => ["rebase", "rebased", "onto"],
        Style::FastForward => ["fast-forward", "fast-forwarded", "into"],
    }
}

/// Prints what was merged, removed and kept, and starts to delete expired tasks in the background.
/// Then closes the task's pane, if the command was called in it; its clients see the report again.
pub(super) fn report_removal(flux: &Flux, facts: &Facts, done: &RemovalReport) -> Result<()> {
    let merge = done.merge.as_ref();
    let ui = &flux.ui;
    let mut report = ReportLines {
        ui,
        lines: Vec::new(),
    };
    report.report_done(facts, merge);
    report.report_kept(facts, &done.kept);
    if let (Some(into), Some(merge)) = (facts.merge_target(), merge) {
        let merged = MergeRecord {
            branch: into.branch.to_string(),
            from: into.tip.clone(),
            to: merge.to_owned(),
            rest: Rest::default(),
        };
        match revert_hint(flux, &merged) {
            Ok(undo) => undo.iter().for_each(|undo| report.hint(undo)),
            Err(error) => ui.warning(format_args!(
                "could not find how to undo the merge: {error:#}"
            )),
        }
    }
    if let Err(error) = flux.expire_in_background() {
        ui.warning(format_args!("could not delete expired tasks: {error:#}"));
    }
    if flux.repo.current() == Some(&facts.task.worktree) {
        let home = quoted(flux.repo.home());
        ui.hint(format_args!("this directory is gone: cd {home}"));
    }
    match (&facts.task.target, facts.processes.is_own_pane) {
        (Some(target), true) => own_pane::close(target, &report.lines),
        _ => Ok(()),
    }
}

/// The report of a removal, printed and kept for the clients of a closed pane.
struct ReportLines<'a> {
    ui: &'a Ui,
    lines: Vec<String>,
}

impl ReportLines<'_> {
    fn status(&mut self, line: &str) {
        self.ui.status(line);
        self.lines.push(sanitize::line(line));
    }

    fn hint(&mut self, line: &str) {
        self.ui.hint(line);
        self.lines.push(sanitize::line(&format!("hint: {line}")));
    }

    fn report_done(&mut self, facts: &Facts, merge: Option<&ObjectId>) {
        let (id, branch, place) = (&facts.task.id, &facts.task.branch, target_word(&facts.task));
        self.status(&match (facts.merge_target(), merge) {
            (Some(into), Some(merge)) => {
                let commits = count(facts.commits(), "commit");
                let [_, verb, to] = style_words(into.style);
                let (target, from, made) = (&into.branch, into.tip.short(), merge.short());
                format!("{verb} {commits} of '{branch}' {to} '{target}' ({from}..{made})")
            }
            _ => no_merge_words(facts).done,
        });
        self.status(&if facts.task.keeps_branch() {
            format!("removed '{id}': worktree and {place}; the branch '{branch}' stays")
        } else if facts.branch_gone {
            format!("removed '{id}': worktree and {place}; its branch '{branch}' was gone")
        } else {
            format!("removed '{id}': worktree, branch '{branch}' and {place}")
        });
    }

    fn report_kept(&mut self, facts: &Facts, kept: &KeptParts) {
        if let Some(name) = &kept.archive
            && !facts.has_no_commits()
        {
            self.status(&format!("its commits stay in refs/flux/archive/{name}/tip"));
        }
        if let Some(path) = &kept.worktree {
            self.status(&format!("its files are kept in '{}'", path.display()));
        }
        if let Some(name) = &kept.archive {
            self.hint(&format!("to restore the task: git flux restore {name}"));
        }
    }
}
