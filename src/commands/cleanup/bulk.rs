//! Several tasks at once: one plan, one question, and each task on its own.

use anyhow::{Error, Result};
use console::Style;

use super::consent::Consents;
use super::remove::remove_task;
use super::words::deeds;
use super::{Output, Porcelain, dry_run, merged};
use crate::commands::table;
use crate::failure::{self, DECLINED, Failure};
use crate::lifecycle::Flux;
use crate::lifecycle::cleanup::check::Check;
use crate::lifecycle::cleanup::options::{Agreement, Asking, Branch, Options, Question};
use crate::lifecycle::cleanup::plan::Plan;
use crate::sanitize;
use crate::store::{Store, Stored};
use crate::task::{State, TaskId};
use crate::ui;

/// Which of several tasks.
pub(super) enum Several {
    All,
    Merged,
    Named(Vec<TaskId>),
}

impl Several {
    /// Makes a plan for each of the tasks.
    ///
    /// # Errors
    /// When they would be merged into what is no branch.
    pub(super) fn plans(&self, flux: &Flux, store: &Store, options: &Options) -> Result<Vec<Plan>> {
        let mut plans = match self {
            Self::All => in_order(flux.own_tasks(store))
                .map(|stored| Plan::make(flux, store, &stored.id, options))
                .collect(),
            Self::Named(ids) => ids
                .iter()
                .map(|id| Plan::make(flux, store, id, options))
                .collect(),
            Self::Merged => merged::merged(flux, store, options)?,
        };
        for plan in &mut plans {
            plan.foresee_collisions(flux);
        }
        Ok(plans)
    }
}

/// Removes the tasks of these plans. One that is refused does not stop the others.
///
/// # Errors
/// When any of them is refused, with the highest exit code of all.
pub(super) fn bulk(flux: &Flux, plans: Vec<Plan>, options: &Options, output: Output) -> Result<()> {
    if output == Output::Json {
        dry_run::print_json(flux, &plans, options)?;
        return Tally::of(plans, |plan| dry_run::ensure(plan).map(drop));
    }
    if plans.is_empty() {
        flux.ui.status("no task to remove");
        return Ok(());
    }
    let rows: Vec<[String; 2]> = plans
        .iter()
        .map(|plan| [plan.id.to_string(), row(plan, options)])
        .collect();
    // Whole, however long: it is what is agreed to.
    for line in table::lines(["TASK", "PLAN"], &rows, None, |_, _| Style::new()) {
        match output {
            Output::DryRun => flux.ui.data(line)?,
            _ => flux.ui.status(line),
        }
    }
    if output == Output::DryRun {
        flux.ui.status("Nothing was done.");
        return Tally::of(plans, |plan| dry_run::ensure(plan).map(drop));
    }
    let consents = agree(flux, &plans, options)?;
    remove(flux, plans, &consents, output)
}

/// Asks one question about all plans, and returns what is agreed to by that.
fn agree(flux: &Flux, plans: &[Plan], options: &Options) -> Result<Consents> {
    let doable = plans.iter().filter(|plan| plan.refusal().is_none());
    let doable: Vec<&Plan> = doable.collect();
    let mut options = options.clone();
    if !doable.is_empty() && flux.ui.can_ask() && options.agreement == Agreement::Ask {
        let tasks = ui::words::count(doable.len(), "task");
        let is_harmless = !matches!(options.branch, Branch::Discard)
            && !doable.iter().any(|plan| stops_work(plan));
        if !flux
            .ui
            .confirm(format!("Do that with {tasks}?"), is_harmless)?
        {
            return Err(Failure::declined("nothing was changed").into());
        }
        // What is asked about for each task that has it, is not in the table.
        let open = doable.iter().flat_map(|plan| &plan.checks);
        for consent in open.filter_map(Check::open) {
            match consent.question {
                Question::LargeFiles | Question::SuspendedJobs => {}
                _ => options.agree(consent.question, &consent.what),
            }
        }
    }
    if options.asking == Asking::Jointly {
        options.asking = Asking::Everything;
    }
    Ok(Consents {
        options,
        is_agreed: true,
        is_warned: false,
    })
}

/// Returns whether a removal stops more than an agent that is done.
fn stops_work(plan: &Plan) -> bool {
    let facts = plan.facts.as_ref();
    facts.is_some_and(|facts| facts.runs.must_stop() && facts.state != State::Done)
}

fn remove(flux: &Flux, plans: Vec<Plan>, consents: &Consents, output: Output) -> Result<()> {
    let mut plans = plans;
    // The pane that the command was called in goes with its task: the very last thing.
    plans.sort_by_key(|plan| {
        let facts = plan.facts.as_ref().filter(|_| plan.refusal().is_none());
        facts.is_some_and(|facts| facts.runs.is_own_pane)
    });
    let porcelain = match output {
        Output::Removal(porcelain) => porcelain,
        Output::DryRun | Output::Json => Porcelain::No,
    };
    Tally::of(plans, |plan| {
        let plan = plan.ensure()?;
        // One task's merge may have moved the target of the next.
        remove_task(flux, None, &plan.id, consents, porcelain)
    })
}

/// What several removals came to.
#[derive(Default)]
struct Tally {
    refused: usize,
    worst: u8,
}

impl Tally {
    /// Does something with each plan, and shows what fails.
    ///
    /// # Errors
    /// When one is declined; when any failed, with the highest exit code.
    fn of(plans: Vec<Plan>, mut each: impl FnMut(Plan) -> Result<()>) -> Result<()> {
        let (all, mut tally) = (plans.len(), Self::default());
        for plan in plans {
            if let Err(error) = each(plan) {
                tally.note(error)?;
            }
        }
        if tally.refused == 0 {
            return Ok(());
        }
        let what = format!("{} of {all} tasks were not removed", tally.refused);
        Err(Failure::new(what).code(tally.worst).into())
    }

    fn note(&mut self, error: Error) -> Result<()> {
        let code = failure::code(&error);
        if code == DECLINED {
            return Err(error);
        }
        ui::show(&error);
        self.worst = self.worst.max(code);
        self.refused += 1;
        Ok(())
    }
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
