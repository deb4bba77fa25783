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
use super::{Faults, candidates, settled, table, text};
use crate::context::Flux;
use crate::failure::{Failure, USAGE};
use crate::git::changes::count;
use crate::git::{Ignored, changes};
use crate::lifecycle::start::plan::{Start, Started, choose_place};
use crate::lifecycle::start::preparation::{Preparation, Request, StartPoint};
use crate::lifecycle::start::start;
use crate::task::{Changes, Layout};
use crate::tmux::attach;
use crate::ui::{Ui, ensure_terminal, shown};

/// Start a task: branch, worktree, pane or session, agent, prompt
#[derive(Debug, Args)]
#[command(override_usage = "git flux run [<options>] [--] [<task>...]")]
pub(crate) struct Run {
    /// be quiet: print the task's id alone
    #[arg(short, long)]
    quiet: bool,
    /// dry run: only say what would be done
    #[arg(long)]
    dry_run: bool,
    /// read the task from a file; '-' is standard input
    #[arg(short = 'F', long, value_name = "file", conflicts_with = "task", add = ArgValueCompleter::new(candidates::files))]
    file: Option<PathBuf>,
    /// edit the task before it is started, in git's editor
    #[arg(short, long)]
    edit: bool,
    /// the agent that works on it; several, with commas between, for a task each
    #[arg(long, value_name = "name", value_delimiter = ',', add = ArgValueCompleter::new(candidates::agents))]
    agent: Vec<String>,
    /// start so many tasks on one description, of each agent
    #[arg(short = 'n', long, value_name = "number", default_value_t = 1, hide_default_value = true, value_parser = number)]
    count: u8,
    /// pass an argument to the agent's program
    #[arg(long = "agent-arg", value_name = "arg", allow_hyphen_values = true)]
    agent_args: Vec<OsString>,
    /// start from this commit instead of HEAD
    #[arg(long, value_name = "rev", add = ArgValueCompleter::new(candidates::commits))]
    base: Option<String>,
    /// work on a branch that is there, here or on a remote; it stays when the task goes
    #[arg(long, value_name = "branch", conflicts_with = "base", add = ArgValueCompleter::new(candidates::all_branches))]
    branch: Option<String>,
    /// the task's id, instead of one made from its description
    #[arg(long, value_name = "id")]
    name: Option<String>,
    #[command(flatten)]
    layouts: Layouts,
    /// go there at once
    #[arg(long, conflicts_with_all = ["json", "dry_run"])]
    attach: bool,
    /// take what is uncommitted here along: changed, staged and untracked files
    #[arg(long)]
    with_changes: bool,
    /// give the agent the text of the task alone
    #[arg(long)]
    no_template: bool,
    /// what is to be done; words are joined by spaces
    #[arg(value_name = "<task>")]
    task: Vec<OsString>,
    /// machine-readable output: a task object
    #[arg(long, conflicts_with = "quiet")]
    json: bool,
}

/// How many tasks are started.
fn number(text: &str) -> Result<u8, &'static str> {
    let number = text.parse().ok();
    let number = number.filter(|number| (1..=99).contains(number));
    number.ok_or("it is a number from 1 to 99")
}

const TEXT: text::Kind = text::Kind {
    name: "task",
    help: "Write the task above it; an empty task starts nothing.\n",
    done: "started",
    hints: [
        "git flux run \"<what is to be done>\"",
        "git flux run --edit",
    ],
    piped: "git flux run -F -",
};

impl Run {
    pub(crate) fn run(self) -> Result<()> {
        let flux = Flux::open(Ui { quiet: self.quiet })?;
        // The user's own changes are looked at while the task is prepared, if they are to be named.
        let current = flux.repo.current().filter(|_| !self.quiet);
        let current = current.map(|dir| flux.repo.checkout(dir));
        let own = thread::spawn(move || {
            let changes = changes(&current?.ok()?, Ignored::LeftOut).ok()?;
            Some(count(&changes))
        });
        let request = self.request();
        let preparation = Preparation::new(&flux, settled(&flux)?, &request)?;
        self.ensure_can_attach(preparation.count())?;
        let input = text::Input::of(self.file.as_deref(), &self.task);
        let description = input.get(&flux, &TEXT, self.edit)?;
        let mut starts = preparation.plan_starts(&description)?;
        let others = &preparation.store;
        if let StartPoint::Head = request.start_point {
            report::from_other_task(&flux, others, &starts[0].task);
        }
        if self.dry_run {
            return report::plans(&flux, &starts);
        }
        if self.attach {
            ensure_terminal("leave out --attach")?;
        }
        starting::agree(&flux, &mut starts)?;
        let own = || own.join().ok().flatten();
        let [start_of] = starts.as_mut_slice() else {
            return self.several(&flux, &mut starts, own);
        };
        let short = report::short(others, &start_of.task.id);
        let started = start(&flux, start_of)?;
        starting::ensure_executed(&flux, &started)?;
        report::own_changes(&flux, own(), start_of.takes_changes());
        report::lacking(&flux, &started.task);
        report::cramped(&flux, start_of, &started);
        self.tell(&flux, start_of, &started, &short)
    }

    /// Says what was started, and goes there if that is asked for.
    fn tell(
        &self,
        flux: &Flux,
        start_of: &Start,
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
                .bytes(report::started(flux, start_of, started, short).as_bytes())?;
        }
        if self.attach {
            return attach::attach(&started.opened.target);
        }
        starting::ensure_not_ended(flux, started)
    }

    fn ensure_can_attach(&self, count: usize) -> Result<()> {
        if !self.attach || count == 1 {
            return Ok(());
        }
        let failure = Failure::new("--attach goes to one task, and several are asked for");
        Err(failure.hint("git flux attach <task>").code(USAGE).into())
    }

    fn request(&self) -> Request {
        let start_point = match (&self.base, &self.branch) {
            (Some(base), _) => StartPoint::Commit(base.clone()),
            (None, Some(branch)) => StartPoint::Branch(branch.clone()),
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

    /// Starts them one after the other. One that fails leaves the others.
    ///
    /// # Errors
    /// When any of them fails, or the user interrupts: then no more are started.
    fn several(
        &self,
        flux: &Flux,
        starts: &mut [Start],
        own: impl FnOnce() -> Option<Changes>,
    ) -> Result<()> {
        let all = starts.len();
        let (mut made, mut faults) = (Vec::new(), Faults::default());
        let started = self.start_all(flux, starts, &mut made, &mut faults);
        report::own_changes(flux, own(), starts.iter().any(Start::takes_changes));
        if let Some(first) = made.first() {
            report::lacking(flux, &first.task);
        }
        self.tell_all(&flux.ui, &made)?;
        if let Err(error) = started {
            let begun = made.len();
            flux.ui
                .status(format_args!("{begun} of {all} tasks were started"));
            return Err(error);
        }
        if !self.json {
            let ended = starting::ended(flux, &made)?;
            ended.iter().for_each(|error| faults.show(error));
        }
        match faults.0 {
            0 => Ok(()),
            failed => {
                let what = format!("{failed} of {all} tasks were not started as they should");
                Err(Failure::new(what).hint("git flux list").into())
            }
        }
    }

    /// Starts each; no more once the user interrupts.
    fn start_all(
        &self,
        flux: &Flux,
        starts: &mut [Start],
        made: &mut Vec<Started>,
        faults: &mut Faults,
    ) -> Result<()> {
        let mut is_told = false;
        for (at, start_of) in starts.iter_mut().enumerate() {
            let started = self.next(flux, start_of, at);
            if let Some(started) = faults.note(started)? {
                is_told = is_told || report::cramped(flux, start_of, &started);
                if self.quiet {
                    flux.ui.data(&started.task.id)?;
                }
                made.push(started);
            }
        }
        Ok(())
    }

    /// Starts one, the `at`th.
    fn next(&self, flux: &Flux, start_of: &mut Start, at: usize) -> Result<Started> {
        // Those before it have taken room.
        if let Some(pane) = start_of.pane.as_mut().filter(|_| at > 0) {
            pane.place = choose_place(flux, &start_of.task.id, self.layouts.layout())?;
        }
        let started = start(flux, start_of)?;
        starting::ensure_executed(flux, &started)?;
        Ok(started)
    }

    fn tell_all(&self, ui: &Ui, made: &[Started]) -> Result<()> {
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
            [task.id.to_string(), task.agent.clone(), place, worktree]
        };
        let rows = made.iter().map(row).collect();
        let head = ["TASK", "AGENT", "TARGET", "WORKTREE"];
        for line in table::lines(head, rows, ui.width()) {
            ui.data(line)?;
        }
        ui.status("");
        ui.hint("git flux list, git flux attach <task>, git flux cleanup <task>");
        Ok(())
    }
}
