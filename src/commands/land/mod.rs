//! `git flux land`

mod description;
mod failed;
mod plan;
mod refusal;
mod report;
mod select;
mod undo;
mod watch;

use anyhow::{Result, bail};
use clap::Args;
use clap_complete::ArgValueCompleter;

use self::plan::LandPlan;
use self::report::{Report, Trial};
use super::object::LandObject;
use super::styles::Styles;
use super::{candidates, load_recovered};
use crate::context::Flux;
use crate::failure::{Failure, USAGE, replace_hint};
use crate::git::refusals::NEW_REPOSITORY;
use crate::interrupt;
use crate::lifecycle::gate::{Gate, agreed};
use crate::lifecycle::land::batch::BatchSize;
use crate::lifecycle::land::chain_refs;
use crate::lifecycle::land::finding::Tester;
use crate::lifecycle::land::groups::order;
use crate::lifecycle::land::landing::Landed;
use crate::lifecycle::land::queue::Queue;
use crate::lifecycle::land::results::TargetMove;
use crate::store::Store;
use crate::ui::Ui;

/// Merge many tasks back, tested together
#[derive(Clone, Debug, Args)]
#[command(override_usage = "git flux land [<options>] [<task>...]")]
pub(crate) struct LandArgs {
    /// dry run: only print the plan, the order and the targets
    #[arg(short = 'n', long, conflicts_with = "check")]
    dry_run: bool,
    /// agree to the landing and to stopping the agents, never to losing work
    #[arg(short, long)]
    yes: bool,
    /// the tasks: each its id or a part of it, its branch or its worktree
    #[arg(value_name = "<task>", add = ArgValueCompleter::new(candidates::further_tasks))]
    tasks: Vec<String>,
    /// land the tasks whose agents are done and whose files are committed (the default)
    #[arg(long, conflicts_with_all = ["tasks", "all"])]
    ready: bool,
    /// land all tasks
    #[arg(long, conflicts_with = "tasks")]
    all: bool,
    /// land on this branch instead of the one each task started from
    #[arg(long, value_name = "branch", add = ArgValueCompleter::new(candidates::branches))]
    into: Option<String>,
    #[command(flatten)]
    styles: Styles,
    /// commit uncommitted files first
    #[arg(long, value_name = "message", num_args = 0..=1, require_equals = true, default_missing_value = "", conflicts_with = "check")]
    commit: Option<String>,
    /// leave the tasks in place after they have landed
    #[arg(long, conflicts_with = "check")]
    keep: bool,
    /// merge and test, uncommitted files included, but land nothing
    #[arg(long)]
    check: bool,
    /// go on, and land tasks as they become ready
    #[arg(long, conflicts_with_all = ["check", "dry_run", "json", "tasks", "all"])]
    watch: bool,
    /// agree to what changed in the shared configuration while the tasks ran
    #[arg(long)]
    keep_config: bool,
    /// do not test anything with flux.gate
    #[arg(long, conflicts_with = "check")]
    no_gate: bool,
    /// machine-readable output
    #[arg(long)]
    json: bool,
}

impl LandArgs {
    pub(crate) fn run(self) -> Result<()> {
        // A new repository has nothing to land.
        let flux =
            Flux::open(Ui::default()).map_err(|error| replace_hint(error, NEW_REPOSITORY, None))?;
        self.ensure_selection(&flux)?;
        if self.watch {
            return self.land_on(&flux);
        }
        let store = match self.dry_run || self.check {
            true => Store::load(&flux.repo, &flux.settings)?,
            false => load_recovered(&flux)?,
        };
        let selection = self.select(&flux, &store)?;
        selection.report_unseen(&flux);
        let tasks = order(&flux, &store, selection.tasks)?;
        let mut plan = LandPlan::make(&flux, &store, tasks, self.fate());
        if plan.is_empty() {
            flux.ui.status("no task is ready to land");
            return self.print_json(&flux, &[]);
        }
        if self.dry_run {
            return self.finish_dry_run(&flux, plan);
        }
        let run = self.tester(&flux)?.describe_run();
        let lines = plan.lines().into_iter().chain(run);
        lines.for_each(|line| flux.ui.status(line));
        if !self.check {
            if !self.yes {
                plan.ask(&flux)?;
            }
            plan.agree(&flux);
        }
        self.note_configuration(&flux, &plan)?;
        let mut report = Report::new(&flux, if self.check { Trial::Yes } else { Trial::No });
        if !self.check {
            plan.forget_rounds(&flux, &store);
            report.refuse(plan.commit_files(&flux)?);
        }
        let landed = self.land(&flux, &store, plan, &mut report);
        self.hint_at_undo(&flux, report.moves());
        if landed.is_ok() {
            report.tidy_up();
        }
        self.print_json(&flux, report.objects())?;
        landed?;
        report.finish()
    }

    /// Prints the results of tasks as a JSON array if `--json` is given.
    fn print_json(&self, flux: &Flux, objects: &[LandObject]) -> Result<()> {
        match self.json {
            true => flux.ui.json(&objects),
            false => Ok(()),
        }
    }

    fn fate(&self) -> Landed {
        match self.keep {
            true => Landed::Kept,
            false => Landed::Removed,
        }
    }

    /// Warns of each change of the shared configuration to which the options agree. With
    /// `--keep-config`, records that the user has agreed to all changes, also to those of the gate.
    fn note_configuration(&self, flux: &Flux, plan: &LandPlan) -> Result<()> {
        plan.note_configuration(flux)?;
        match self.keep_config {
            true => agreed::agree(flux),
            false => Ok(()),
        }
    }

    /// Fails without a terminal, unless the command line names tasks or has `--ready`, `--all` or
    /// `--dry-run`.
    fn ensure_selection(&self, flux: &Flux) -> Result<()> {
        let is_selected = self.ready || self.all || !self.tasks.is_empty();
        if is_selected || flux.ui.can_ask() || self.dry_run {
            return Ok(());
        }
        let command = self.called_command(flux);
        let hints = match self.watch {
            true => vec![command.for_tasks("", "--watch --ready")],
            false => vec![
                command.for_tasks("<task>...", ""),
                command.for_tasks("", "--ready"),
            ],
        };
        bail!(Failure::new("no task given").hints(hints).code(USAGE))
    }

    fn finish_dry_run(&self, flux: &Flux, mut plan: LandPlan) -> Result<()> {
        let tester = self.tester(flux)?;
        let runs = plan.forecast(flux, &tester)?;
        match self.json {
            true => flux.ui.json(&plan.objects())?,
            false => {
                let run = tester.describe_run();
                let mut lines = plan.lines().into_iter().chain(run);
                lines.try_for_each(|line| flux.ui.data(line))?;
                flux.ui.data(match tester.has_gate() {
                    true => runs,
                    false => "untested: there is no gate".to_owned(),
                })?;
                flux.ui.status("Nothing was done.");
            }
        }
        match plan.exit_code() {
            0 => Ok(()),
            code => bail!(Failure::new("not every task can land").code(code)),
        }
    }

    /// Lands the tasks of each target branch, one branch after the other; with `--check`, only
    /// tests them. If a branch fails, prints the error and continues with the next one. Fails at
    /// once on ^C.
    fn land(&self, flux: &Flux, store: &Store, plan: LandPlan, report: &mut Report) -> Result<()> {
        let lock = chain_refs::lock(flux)?;
        let mut landed = Ok(());
        for group in plan.into_groups(store) {
            let tester = match self.tester(flux) {
                Ok(tester) => tester,
                Err(error) => {
                    landed = Err(error);
                    break;
                }
            };
            let mut queue = Queue {
                flux,
                command: self.called_command(flux),
                tell: &mut |event| report.tell(&event),
                lock: &lock,
                fate: self.fate(),
                size: match tester.has_gate() {
                    true => BatchSize::default(),
                    // Tests cost nothing.
                    false => BatchSize::unlimited(),
                },
                tester,
                results: Vec::new(),
                moves: Vec::new(),
                green: None,
                undecided: Vec::new(),
                begun: None,
            };
            let done = self
                .ensure_gate_agreed(flux)
                .and_then(|()| match self.check {
                    true => queue.check(group.tasks),
                    false => queue.land(group.tasks),
                });
            let (results, moves) = (queue.results, queue.moves);
            report.add_moves(moves);
            landed = report.add(&group.branch, results, done);
            if landed.is_err() {
                break;
            }
        }
        landed
    }

    /// Returns the tester that runs `flux.gate`. With `--no-gate`, or if no gate is configured, it
    /// runs nothing and everything passes.
    fn tester<'a>(&self, flux: &'a Flux) -> Result<Tester<'a>> {
        let gate = match self.no_gate {
            true => None,
            false => Gate::read(flux)?,
        };
        Ok(Tester::new(flux, gate))
    }

    /// Fails if the configuration of the gate was changed or removed while a task ran, and the user
    /// has not agreed to that, even if the gate need not run. Does nothing with `--no-gate`.
    fn ensure_gate_agreed(&self, flux: &Flux) -> Result<()> {
        match self.no_gate {
            true => Ok(()),
            false => agreed::ensure_agreed(flux),
        }
    }

    /// Prints how to undo the landings, and what to push. Does nothing if nothing has landed.
    fn hint_at_undo(&self, flux: &Flux, moves: &[TargetMove]) {
        if moves.is_empty() {
            return;
        }
        // After ^C, the commands behind the hints are not to end at once.
        interrupt::clear();
        let style = self.styles.chosen(&flux.settings);
        if let Err(error) = style.and_then(|style| undo::print_hints(flux, moves, style)) {
            let what = "could not find how to undo the landing";
            flux.ui.warn_of(&error.context(what));
        }
    }
}
