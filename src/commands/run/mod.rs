//! `git flux run`

mod report;

use std::ffi::OsString;
use std::fmt::Display;
use std::path::PathBuf;
use std::thread;

use anyhow::Result;
use clap::Args;
use clap_complete::ArgValueCompleter;

use super::object::TaskObject;
use super::starting::{self, Layouts};
use super::table::Table;
use super::text::{Text, TextKind, TextSource};
use super::{Faults, candidates, load_recovered};
use crate::context::Flux;
use crate::failure::{Failure, USAGE};
use crate::git::changes::count;
use crate::git::{Ignored, changes};
use crate::lifecycle::start::plan::{Start, Started, choose_place};
use crate::lifecycle::start::preparation::{Preparation, Request, StartPoint};
use crate::lifecycle::start::{OTHER_ID_HINT, start};
use crate::task::{BranchName, Changes, Layout};
use crate::tmux::attach;
use crate::ui::{Ui, ensure_terminal, shown};

/// Start a task: branch, worktree, pane or session, agent, prompt
#[derive(Debug, Args)]
#[command(override_usage = "git flux run [<options>] [--] [<description>...]")]
pub(crate) struct RunArgs {
    /// be quiet: print the task's id alone
    #[arg(short, long)]
    quiet: bool,
    /// dry run: only say what would be done
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// read the description from a file; '-' is standard input
    #[arg(short = 'F', long, value_name = "file", conflicts_with = "description", add = ArgValueCompleter::new(candidates::files))]
    file: Option<PathBuf>,
    /// edit the description in git's editor first
    #[arg(short, long)]
    edit: bool,
    /// the agent; with several, separated by commas, one task for each
    #[arg(long, value_name = "name", value_delimiter = ',', add = ArgValueCompleter::new(candidates::agents))]
    agent: Vec<String>,
    /// start <number> tasks per agent from one description
    #[arg(long, value_name = "number", default_value_t = 1, hide_default_value = true, value_parser = parse_count)]
    count: u8,
    /// pass an argument to the agent's program
    #[arg(long = "agent-arg", value_name = "arg", allow_hyphen_values = true)]
    agent_args: Vec<OsString>,
    /// start from this commit instead of HEAD
    #[arg(long, value_name = "rev", add = ArgValueCompleter::new(candidates::commits))]
    base: Option<String>,
    /// use an existing local or remote branch; cleanup keeps it
    #[arg(long, value_name = "branch", conflicts_with = "base", add = ArgValueCompleter::new(candidates::all_branches))]
    branch: Option<String>,
    /// the task's id, instead of one made from its description
    #[arg(long, value_name = "id")]
    name: Option<String>,
    #[command(flatten)]
    layouts: Layouts,
    /// attach to the task at once
    #[arg(long, conflicts_with_all = ["json", "dry_run"])]
    attach: bool,
    /// start with a copy of your uncommitted changes and untracked files
    #[arg(long)]
    with_changes: bool,
    /// give the agent only the description
    #[arg(long)]
    no_template: bool,
    /// the description of the work; words are joined by spaces
    #[arg(value_name = "<description>")]
    description: Vec<OsString>,
    /// machine-readable output: a task object
    #[arg(long, conflicts_with = "quiet")]
    json: bool,
}

fn parse_count(text: &str) -> Result<u8, &'static str> {
    let number = text.parse().ok();
    let number = number.filter(|number| (1..=99).contains(number));
    number.ok_or("expected a number from 1 to 99")
}

const DESCRIPTION: TextKind = TextKind {
    name: "description",
    help: "Write the description above; an empty description aborts.\n",
    done: "started",
    hints: ["git flux run \"<description>\"", "git flux run --edit"],
    piped: "git flux run -F -",
};

impl RunArgs {
    pub(crate) fn run(self) -> Result<()> {
        let flux = Flux::open(Ui { quiet: self.quiet })?;
        // Count the user's changes while the task is prepared, if they will be reported.
        let current = flux.repo.current().filter(|_| !self.quiet);
        let current = current.map(|dir| flux.repo.checkout(dir));
        let changes = thread::spawn(move || {
            let changes = changes(&current?.ok()?, Ignored::LeftOut).ok()?;
            Some(count(&changes))
        });
        let request = self.request();
        let preparation = Preparation::new(&flux, load_recovered(&flux)?, &request)?;
        self.ensure_can_attach(preparation.count())?;
        let source = TextSource::of(self.file.as_deref(), &self.description);
        let mut text = source.read(&flux, &DESCRIPTION, self.edit)?;
        let changes = || changes.join().ok().flatten();
        let done = self.start(&flux, &preparation, &mut text, changes);
        text.keep_unused(done, &DESCRIPTION, "git flux run -F")
    }

    /// Plans the tasks, and starts them unless this is a dry run.
    fn start(
        &self,
        flux: &Flux,
        preparation: &Preparation,
        text: &mut Text,
        changes: impl FnOnce() -> Option<Changes>,
    ) -> Result<()> {
        let mut starts = preparation.plan_starts(&text.bytes)?;
        let store = &preparation.store;
        if self.base.is_none() && self.branch.is_none() {
            report::warn_of_other_task(flux, store, &starts[0].task);
        }
        if self.dry_run {
            return report::print_plans(flux, &starts);
        }
        if self.attach {
            ensure_terminal("leave out --attach")?;
        }
        starting::add_scripts(flux, &mut starts)?;
        let [plan] = starts.as_mut_slice() else {
            return self.start_several(flux, &mut starts, text, changes);
        };
        let short = report::short_id(store, &plan.task.id);
        let started = start(flux, plan)?;
        text.note_used();
        starting::ensure_executed(flux, &started)?;
        report::report_own_changes(flux, changes(), plan.takes_changes());
        report::hint_missing_files(flux, &started.task);
        report::report_no_room(flux, plan, &started);
        self.report(flux, plan, &started, &short)
    }

    /// Prints the report of a started task (with `--json` only its object, with `--quiet` its id).
    /// Then attaches to it with `--attach`, or waits and fails as
    /// [`starting::ensure_no_early_failure`] does; with `--json` neither.
    fn report(
        &self,
        flux: &Flux,
        plan: &Start,
        started: &Started,
        short: impl Display,
    ) -> Result<()> {
        if self.json {
            return flux.ui.json(&TaskObject::of(&report::status(started)));
        }
        if self.quiet {
            flux.ui.data(&started.task.id)?;
        } else {
            flux.ui
                .bytes(report::format_started(flux, plan, started, short).as_bytes())?;
        }
        if self.attach {
            return attach::attach(&started.opened.target);
        }
        starting::ensure_no_early_failure(flux, started)
    }

    fn ensure_can_attach(&self, count: usize) -> Result<()> {
        if !self.attach || count == 1 {
            return Ok(());
        }
        let failure = Failure::new("--attach is for a single task");
        Err(failure.hint("git flux attach <task>").code(USAGE).into())
    }

    fn request(&self) -> Request {
        let start_point = match (&self.base, &self.branch) {
            (Some(base), _) => StartPoint::Commit(base.clone()),
            (None, Some(branch)) => StartPoint::Branch(BranchName::new(branch)),
            (None, None) => StartPoint::Head,
        };
        Request {
            start_point,
            name: self.name.clone(),
            agents: self.agent.clone(),
            count: self.count.into(),
            agent_args: self.agent_args.clone(),
            has_template: !self.no_template,
            takes_changes: self.with_changes,
            layout: self.layouts.layout(),
        }
    }

    /// Starts several tasks one after the other, and reports them. Goes on after a failure, and
    /// fails at the end; stops when the user interrupts.
    fn start_several(
        &self,
        flux: &Flux,
        starts: &mut [Start],
        text: &mut Text,
        changes: impl FnOnce() -> Option<Changes>,
    ) -> Result<()> {
        let all = starts.len();
        let (mut made, mut faults) = (Vec::new(), Faults::default());
        let started = self.start_all(flux, starts, &mut made, &mut faults);
        if !made.is_empty() {
            text.note_used();
        }
        report::report_own_changes(flux, changes(), starts.iter().any(Start::takes_changes));
        if let Some(first) = made.first() {
            report::hint_missing_files(flux, &first.task);
        }
        self.report_all(&flux.ui, &made)?;
        if let Err(error) = started {
            let begun = made.len();
            flux.ui
                .status(format_args!("{begun} of {all} tasks were started"));
            return Err(error);
        }
        if !self.json {
            let errors = starting::wait_for_early_failures(flux, &made)?;
            errors.iter().for_each(|error| faults.show(error));
        }
        match faults.0 {
            0 => Ok(()),
            failed => {
                let message = format!("{failed} of {all} tasks did not start properly");
                Err(Failure::new(message)
                    .hint("to see the tasks: git flux list")
                    .into())
            }
        }
    }

    /// Starts each task, and appends it to `made`; prints failures, counts them in `faults` and
    /// continues. Fails, without starting the rest, only if the user interrupts or declines.
    fn start_all(
        &self,
        flux: &Flux,
        starts: &mut [Start],
        made: &mut Vec<Started>,
        faults: &mut Faults,
    ) -> Result<()> {
        let mut is_reported = false;
        for (at, plan) in starts.iter_mut().enumerate() {
            let started = self.start_one(flux, plan, at);
            if let Some(started) = faults.note(started)? {
                is_reported = is_reported || report::report_no_room(flux, plan, &started);
                if self.quiet {
                    flux.ui.data(&started.task.id)?;
                }
                made.push(started);
            }
        }
        Ok(())
    }

    fn start_one(&self, flux: &Flux, plan: &mut Start, at: usize) -> Result<Started> {
        // The panes before it took room.
        if let Some(pane) = plan.pane.as_mut().filter(|_| at > 0) {
            let (id, layout) = (&plan.task.id, self.layouts.layout());
            pane.place = choose_place(flux, id, layout, Some(OTHER_ID_HINT))?;
        }
        let started = start(flux, plan)?;
        starting::ensure_executed(flux, &started)?;
        Ok(started)
    }

    fn report_all(&self, ui: &Ui, made: &[Started]) -> Result<()> {
        if self.json {
            let objects = made.iter().map(|one| TaskObject::of(&report::status(one)));
            return ui.json(&objects.collect::<Vec<_>>());
        }
        if self.quiet || made.is_empty() {
            return Ok(());
        }
        let row = |Started { task, opened, .. }: &Started| {
            let place = match opened.target.kind {
                Layout::Pane => format!("pane {}", opened.target.pane),
                Layout::Window => format!("window {}", opened.target.window),
                Layout::Session => "session".to_owned(),
            };
            let worktree = shown(&task.worktree);
            vec![task.id.to_string(), task.agent.clone(), place, worktree]
        };
        let table = Table {
            head: &["TASK", "AGENT", "TARGET", "WORKTREE"],
            rows: made.iter().map(row).collect(),
            ..Table::default()
        };
        table.print(ui)?;
        ui.status("");
        ui.hint("git flux list, git flux attach <task>, git flux cleanup <task>");
        Ok(())
    }
}
