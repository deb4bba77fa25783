//! Cleans up several tasks: lists their plans, asks once, then removes each.

use anyhow::{Result, bail};

use super::args::{Mode, Porcelain};
use super::remove::remove_task;
use super::{dry_run, words};
use crate::commands::table::Table;
use crate::context::Flux;
use crate::failure::{self, DECLINED, Failure, worst_exit_code};
use crate::git::{Integrated, MergePlan, ObjectId, Style as MergeStyle};
use crate::lifecycle::cleanup::called_command::CalledCommand;
use crate::lifecycle::cleanup::check::Check;
use crate::lifecycle::cleanup::facts::Facts;
use crate::lifecycle::cleanup::options::{Agreed, Asking, Branch, Edits, Options, Question};
use crate::lifecycle::cleanup::plan::Plan;
use crate::lifecycle::cleanup::target::Destination;
use crate::lifecycle::stash_pins::warn_of_removed_entries;
use crate::sanitize;
use crate::store::{Store, StoredTask};
use crate::task::{BranchName, State};
use crate::ui::words::count;
use crate::ui::{self, word};

/// Prints the plans of several tasks, asks one question about all, and removes the tasks; in a dry
/// run, only prints. Continues after a task that is refused.
///
/// # Errors
/// When the user declines, without continuing; when a task was refused, at the end, with code 3
/// if only conflicts were the reason.
pub(super) fn run(flux: &Flux, plans: Vec<Plan>, options: &Options, mode: Mode) -> Result<()> {
    if mode == Mode::Json {
        dry_run::print_json(flux, &plans, options)?;
        return for_each(plans, dry_run::ensure_removable);
    }
    if plans.is_empty() {
        flux.ui.status("nothing to clean up");
        return Ok(());
    }
    let row = |plan: &Plan| vec![plan.id.to_string(), describe_plan(plan, options)];
    let table = Table {
        head: &["TASK", "PLAN"],
        rows: plans.iter().map(row).collect(),
        ..Table::default()
    };
    // Untruncated, since the user agrees to it.
    let lines = table.lines(None);
    let Mode::Removal(porcelain) = mode else {
        for line in lines {
            flux.ui.data(line)?;
        }
        for facts in plans.iter().filter_map(|plan| plan.facts.as_ref()) {
            warn_of_removed_entries(&flux.ui, &facts.task.id, &facts.stash.removed);
        }
        flux.ui.status("Nothing was done.");
        return for_each(plans, dry_run::ensure_removable);
    };
    for line in lines {
        flux.ui.status(line);
    }
    let options = ask_once(flux, &plans, options)?;
    remove(flux, plans, &options, porcelain)
}

/// Asks one question about all plans that are not refused, unless `--yes` is given or the user
/// cannot be asked. Returns the options with the consents, except to large files,
/// suspended jobs and changes of the configuration, which each task asks for. Fails if the user declines.
fn ask_once(flux: &Flux, plans: &[Plan], options: &Options) -> Result<Options> {
    let doable = plans.iter().filter(|plan| plan.refusal().is_none());
    let doable: Vec<&Plan> = doable.collect();
    let mut options = options.clone();
    if !doable.is_empty() && flux.ui.can_ask() && !options.agrees(Question::Removal) {
        let question = format!("Clean up {}?", count(doable.len(), "task"));
        let is_harmless = !matches!(options.branch, Branch::Discard)
            && !doable.iter().any(|plan| stops_work(plan));
        flux.ui.ensure_agreed(question, is_harmless)?;
        for consent in doable.iter().flat_map(|plan| plan.consents(Agreed::Ask)) {
            // These are not in the table; each task asks for them.
            use Question::{Configuration, LargeFiles, PlainConfiguration, SuspendedJobs};
            let asked_later = [Configuration, PlainConfiguration, LargeFiles, SuspendedJobs];
            if !asked_later.contains(&consent.question) {
                options.agree(consent.question, &consent.finding);
            }
        }
    }
    options.given.push(Question::Removal);
    if options.asking == Asking::Jointly {
        options.asking = Asking::Everything;
    }
    Ok(options)
}

/// Returns whether the removal of a task would stop its running agent, also in the caller's own
/// pane, or the program in the foreground of its pane, unless that is the caller's own. `false` if
/// the agent is done with its turn, or if the task could not be observed.
fn stops_work(plan: &Plan) -> bool {
    let facts = plan.facts.as_ref();
    facts.is_some_and(|facts| {
        let processes = &facts.processes;
        (processes.must_stop() || processes.is_alive) && facts.state != State::Done
    })
}

fn remove(
    flux: &Flux,
    mut plans: Vec<Plan>,
    options: &Options,
    porcelain: Porcelain,
) -> Result<()> {
    // The task of the caller's pane is last, since its removal closes the pane.
    plans.sort_by_key(|plan| {
        let facts = plan.facts.as_ref().filter(|_| plan.refusal().is_none());
        facts.is_some_and(|facts| facts.processes.is_own_pane)
    });
    for_each(plans, |plan| {
        let id = plan.ensure_not_refused()?.id;
        // The merge of the previous task may have moved the target.
        remove_task(flux, &id, None, options, porcelain)
    })
}

/// Calls `each` with each plan; prints an error of `each` and continues with the next plan.
///
/// # Errors
/// An error with exit code 130, when the user declined, without continuing; if another call failed,
/// at the end, with code 3 if only conflicts were the reason.
fn for_each(plans: Vec<Plan>, mut each: impl FnMut(Plan) -> Result<()>) -> Result<()> {
    let (all, mut codes) = (plans.len(), Vec::new());
    for plan in plans {
        let Err(error) = each(plan) else { continue };
        let code = failure::exit_code(&error);
        if code == DECLINED {
            return Err(error);
        }
        ui::show(&error);
        codes.push(code);
    }
    if codes.is_empty() {
        return Ok(());
    }
    let what = format!("{} of {all} tasks were not removed", codes.len());
    bail!(Failure::new(what).code(worst_exit_code(codes)))
}

fn describe_plan(plan: &Plan, options: &Options) -> String {
    if let Some(refusal) = plan.refusal() {
        return sanitize::line(&format!("refused: {refusal}"));
    }
    let mut steps = words::list_steps(plan, options);
    // The last step, the removal, is the same for each task.
    if !plan.is_update() {
        steps.pop();
    }
    sanitize::line(&steps.join(", "))
}

/// Plans the cleanup of this user's tasks that `--merged` selects: those that [`is_selected`]
/// selects, and those with unreadable records. Fails if the branch of `--into` does not exist.
pub(super) fn plan_merged(flux: &Flux, store: &Store, options: &Options) -> Result<Vec<Plan>> {
    if let Branch::Merge {
        into: Some(into), ..
    } = &options.branch
    {
        ensure_branch(flux, store, (into, &options.command))?;
    }
    let tasks = sort_tasks(flux, store);
    let tasks = tasks.filter(|stored| may_be_merged(flux, store, stored, &options.branch));
    let plans = tasks.map(|stored| Plan::make(flux, store, &stored.id, options));
    Ok(plans.filter(|plan| is_selected(plan, options)).collect())
}

/// Returns whether a task may be merged already, by a quick check; `true` is not certain. `true`
/// also for an unreadable task. `false` also if the branch is gone or cannot be compared with the
/// commit of `--merged=<commit>`.
fn may_be_merged(flux: &Flux, store: &Store, stored: &StoredTask, branch: &Branch) -> bool {
    let Ok(task) = &stored.task else { return true };
    match branch {
        Branch::MergedIn { commit, .. } => store
            .tip(&task.branch)
            .is_some_and(|tip| *tip != task.base && contains_work(flux, commit, tip)),
        // A task without a target is not merged.
        Branch::Merge { into, .. } => into.is_some() || task.into.is_some(),
        Branch::Discard => false,
    }
}

/// Returns whether `--merged` selects a task: it is merged, and no check refuses, except for lack
/// of a consent that is asked for even if several tasks are removed. Also `true` for a merged task
/// whose uncommitted files cannot be read, and for a task that could not be observed.
fn is_selected(plan: &Plan, options: &Options) -> bool {
    let Some(facts) = plan.forecast() else {
        return true;
    };
    let is_unread = facts.read_error.is_some() && options.uncommitted != Edits::Discard;
    let is_joint = |check: &Check| check.consent().is_some_and(|it| it.question.is_joint());
    let is_left_out = |check: &Check| check.agreed() == Agreed::No && !is_joint(check);
    is_merged(facts) && (is_unread || !plan.checks.iter().any(is_left_out))
}

/// Fails if the branch of `--into` does not exist, or is a symbolic ref to another kind of ref.
fn ensure_branch(
    flux: &Flux,
    store: &Store,
    (into, command): (&BranchName, &CalledCommand),
) -> Result<()> {
    if store.tip(&store.resolve_symbolic(into)?).is_some() {
        return Ok(());
    }
    let hint = match flux.repo.resolve(into)? {
        Some(_) => command.for_tasks("", &format!("--merged={}", word(into))),
        None => "git branch".to_owned(),
    };
    bail!(Failure::new(format!("there is no branch '{into}'")).hint(hint))
}

/// Returns whether `commit` contains the changes of the branch at `tip`, also as other commits;
/// `false` if this is unknown, or if the commits of the branch cancel each other out.
fn contains_work(flux: &Flux, commit: &ObjectId, tip: &ObjectId) -> bool {
    let plan = MergePlan::make(&flux.repo, commit, tip, MergeStyle::Merge);
    matches!(plan, Ok(MergePlan::UpToDate(how)) if how != Integrated::Cancelled)
}

/// Returns whether the target branch contains the changes of a task; `false` if the task has no
/// commits, or if they cancel each other out. Always `true` with `--merged=<commit>`, for which
/// [`may_be_merged`] has checked it.
fn is_merged(facts: &Facts) -> bool {
    match &facts.destination {
        Destination::MergedIn { .. } => true,
        Destination::Merge(into) => {
            let is_there = |how| how != Integrated::Cancelled && !facts.has_no_commits();
            matches!(into.merge, MergePlan::UpToDate(how) if is_there(how))
        }
        Destination::Dropped => false,
    }
}

/// Returns this user's tasks, the oldest first; those with unreadable records come last.
pub(super) fn sort_tasks<'a>(
    flux: &Flux,
    store: &'a Store,
) -> impl Iterator<Item = &'a StoredTask> {
    let mut tasks: Vec<&StoredTask> = flux.own_tasks(store).collect();
    tasks.sort_by_key(|stored| stored.created());
    tasks.into_iter()
}
