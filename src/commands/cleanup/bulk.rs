//! Several tasks at once: one plan, one question, and each task on its own.

use anyhow::Result;

use super::dry_run;
use super::output::{Output, Porcelain};
use super::remove::remove_task;
use super::words::deeds;
use crate::commands::table;
use crate::context::Flux;
use crate::failure::{self, DECLINED, Failure};
use crate::lifecycle::cleanup::options::{Asking, Branch, Options, Question};
use crate::lifecycle::cleanup::plan::Plan;
use crate::sanitize;
use crate::store::Stored;
use crate::task::State;
use crate::ui;
use crate::ui::words::count;

/// Removes the tasks of these plans. One that is refused does not stop the others.
///
/// # Errors
/// When any of them is refused, with the highest exit code of all.
pub(super) fn bulk(flux: &Flux, plans: Vec<Plan>, options: &Options, output: Output) -> Result<()> {
    let foreseen = |plan| dry_run::ensure(plan).map(drop);
    if output == Output::Json {
        dry_run::print_json(flux, &plans, options)?;
        return for_each(plans, foreseen);
    }
    if plans.is_empty() {
        flux.ui.status("no task to remove");
        return Ok(());
    }
    let row = |plan: &Plan| [plan.id.to_string(), row(plan, options)];
    let rows = plans.iter().map(row).collect();
    // Whole, however long: it is what is agreed to.
    let lines = table::lines(["TASK", "PLAN"], rows, None);
    let Output::Removal(porcelain) = output else {
        for line in lines {
            flux.ui.data(line)?;
        }
        flux.ui.status("Nothing was done.");
        return for_each(plans, foreseen);
    };
    for line in lines {
        flux.ui.status(line);
    }
    let options = agree(flux, &plans, options)?;
    remove(flux, plans, &options, porcelain)
}

/// Asks one question about all plans, and returns the options with what is agreed to by that.
fn agree(flux: &Flux, plans: &[Plan], options: &Options) -> Result<Options> {
    let doable = plans.iter().filter(|plan| plan.refusal().is_none());
    let doable: Vec<&Plan> = doable.collect();
    let mut options = options.clone();
    if !doable.is_empty() && flux.ui.can_ask() && !options.agrees(Question::Removal) {
        let question = format!("Do that with {}?", count(doable.len(), "task"));
        let is_harmless = !matches!(options.branch, Branch::Discard)
            && !doable.iter().any(|plan| stops_work(plan));
        if !flux.ui.confirm(question, is_harmless)? {
            return Err(Failure::declined("nothing was changed").into());
        }
        for consent in doable.iter().flat_map(|plan| plan.open()) {
            match consent.question {
                // They are not in the table, and asked about for each task.
                Question::LargeFiles | Question::SuspendedJobs => {}
                _ => options.agree(consent.question, &consent.what),
            }
        }
    }
    options.given.push(Question::Removal);
    if options.asking == Asking::Jointly {
        options.asking = Asking::Everything;
    }
    Ok(options)
}

/// Returns whether a removal stops more than an agent that is done.
fn stops_work(plan: &Plan) -> bool {
    let facts = plan.facts.as_ref();
    facts.is_some_and(|facts| facts.runs.must_stop() && facts.state != State::Done)
}

fn remove(
    flux: &Flux,
    mut plans: Vec<Plan>,
    options: &Options,
    porcelain: Porcelain,
) -> Result<()> {
    // The pane that the command was called in goes with its task: the very last thing.
    plans.sort_by_key(|plan| {
        let facts = plan.facts.as_ref().filter(|_| plan.refusal().is_none());
        facts.is_some_and(|facts| facts.runs.is_own_pane)
    });
    for_each(plans, |plan| {
        let plan = plan.ensure()?;
        // One task's merge may have moved the target of the next.
        remove_task(flux, None, &plan.id, (options, porcelain))
    })
}

/// Does something with each plan, and shows what fails.
///
/// # Errors
/// When one is declined; when any failed, with the highest exit code.
fn for_each(plans: Vec<Plan>, mut each: impl FnMut(Plan) -> Result<()>) -> Result<()> {
    let (all, mut refused, mut worst) = (plans.len(), 0, 0);
    for plan in plans {
        let Err(error) = each(plan) else { continue };
        let code = failure::code(&error);
        if code == DECLINED {
            return Err(error);
        }
        ui::show(&error);
        worst = worst.max(code);
        refused += 1;
    }
    if refused == 0 {
        return Ok(());
    }
    let what = format!("{refused} of {all} tasks were not removed");
    Err(Failure::new(what).code(worst).into())
}

fn row(plan: &Plan, options: &Options) -> String {
    sanitize::line(&match plan.refusal() {
        Some(refusal) => format!("refused: {refusal}"),
        None => {
            let mut deeds = deeds(plan, options);
            // That it is removed goes without saying.
            if !plan.is_update() {
                deeds.pop();
            }
            deeds.join(", ")
        }
    })
}

/// Sorts tasks as `git flux list` does.
pub(super) fn in_order<'a>(
    tasks: impl Iterator<Item = &'a Stored>,
) -> impl Iterator<Item = &'a Stored> {
    let mut tasks: Vec<&Stored> = tasks.collect();
    tasks.sort_by_key(|stored| stored.created());
    tasks.into_iter()
}
