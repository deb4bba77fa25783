//! `git flux gate`

use std::collections::BTreeSet;
use std::io::Read as _;

use anyhow::{Error, Result, bail};
use clap::Args;
use clap_complete::ArgValueCompleter;

use super::object::{GateObject, PorcelainArgs};
use super::{candidates, choose};
use crate::context::Flux;
use crate::failure::{self, DECLINED, Failure, NO_VERDICT, Verb};
use crate::lifecycle::copied_repository::ensure_not_copied;
use crate::lifecycle::damage;
use crate::lifecycle::gate::subject::{Candidate, Subject};
use crate::lifecycle::gate::verdicts::Verdicts;
use crate::lifecycle::gate::{self, Gate, agreed};
use crate::sanitize;
use crate::store::{Store, StoredTask};
use crate::system::disk::full_disk_hint;
use crate::task::{GateState, GateVerdict, ObjectId, Task, TaskId};
use crate::ui::{self, Ui, words};

/// Test a task's files with the commands of flux.gate
#[derive(Debug, Args)]
#[command(override_usage = "git flux gate [<options>] [<task>...]")]
pub(crate) struct GateArgs {
    /// the tasks: each its id or a part of it, its branch or its worktree
    #[arg(value_name = "<task>", add = ArgValueCompleter::new(candidates::further_tasks))]
    tasks: Vec<String>,
    /// dry run: only print what is known
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// print the output of the last run on these files
    #[arg(long, conflicts_with_all = ["dry_run", "json", "porcelain"])]
    log: bool,
    /// agree to what changed in the configuration of the gate while tasks ran
    #[arg(long)]
    keep_config: bool,
    /// machine-readable output: an array of objects
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    porcelain: PorcelainArgs,
}

impl GateArgs {
    pub(crate) fn run(self) -> Result<()> {
        let flux = Flux::open(Ui::default())?;
        let store = Store::load(&flux.repo, &flux.settings)?;
        let tasks = self.selected(&flux, &store)?;
        if self.log {
            return tasks
                .into_iter()
                .try_for_each(|task| print_log(&flux, task));
        }
        let gate = Gate::read(&flux)?;
        if self.keep_config && !self.dry_run {
            agreed::agree(&flux)?;
        }
        let (mut all, mut errors) = (Vec::new(), ShownErrors::default());
        for task in tasks {
            let found = self.find_verdict(&flux, gate.as_ref(), task);
            let verdict = found.or_else(|error| errors.show(&flux, error))?;
            if let Some(gate) = &gate {
                warn_if_alike(&flux, &store, (gate, task), &verdict)?;
            }
            all.push(self.report(&flux, &task.id, verdict)?);
        }
        if self.json {
            flux.ui.json(&all)?;
        } else if let Some(mut lines) = self.porcelain.lines() {
            all.iter().for_each(|one| one.write(&mut lines));
            flux.ui.bytes(&lines.into_bytes())?;
        }
        conclude(gate.as_ref(), &all)
    }

    /// Returns the named tasks, each once; without a name, that of the current worktree, or one that
    /// the user picks.
    fn selected<'a>(&self, flux: &Flux, store: &'a Store) -> Result<Vec<&'a Task>> {
        if self.tasks.is_empty() {
            return Ok(vec![choose(flux, store, None, Verb::Gate)?.readable()?]);
        }
        let mut tasks: Vec<&StoredTask> = Vec::new();
        for name in &self.tasks {
            let stored = choose(flux, store, Some(name), Verb::Gate)?;
            if !tasks.iter().any(|task| task.id == stored.id) {
                tasks.push(stored);
            }
        }
        tasks.into_iter().map(StoredTask::readable).collect()
    }

    /// Returns the verdict about the files of a task, and runs the gate if it is not known.
    fn find_verdict(&self, flux: &Flux, gate: Option<&Gate>, task: &Task) -> Result<GateVerdict> {
        let none = |tree: Option<ObjectId>, why| GateVerdict {
            why,
            ..GateVerdict::untested(tree)
        };
        match (find_subject(flux, task)?, gate) {
            (Subject::Untestable(why), _) => Ok(none(None, Some(why))),
            (Subject::Candidate(found), None) => Ok(none(Some(found.tree), None)),
            (Subject::Candidate(found), Some(gate)) => self.test(flux, gate, &found),
        }
    }

    fn test(&self, flux: &Flux, gate: &Gate, found: &Candidate) -> Result<GateVerdict> {
        match self.dry_run {
            true => Ok(Verdicts::of(flux, gate)?.look_up(found.tree.clone())),
            false => gate::test(flux, gate, found),
        }
    }

    /// Prints the verdict about a task as a line, unless the output is for programs.
    fn report(&self, flux: &Flux, id: &TaskId, gate: GateVerdict) -> Result<GateObject> {
        if !self.json && self.porcelain.lines().is_none() {
            flux.ui.data(sanitize::line(&format!("{id}: {gate}")))?;
        }
        let id = id.to_string();
        Ok(GateObject { id, gate })
    }
}

/// The errors that were printed: one in the configuration is the same for all tasks.
#[derive(Default)]
struct ShownErrors(BTreeSet<String>);

impl ShownErrors {
    /// Prints an error once, and returns it as the reason that there is no verdict. Fails on ^C.
    fn show(&mut self, flux: &Flux, error: Error) -> Result<GateVerdict> {
        if failure::exit_code(&error) == DECLINED {
            return Err(error);
        }
        if self.0.insert(format!("{error:#}")) {
            ui::show(&error);
        }
        let full = full_disk_hint(&error, &[flux.repo.common_dir()]);
        Ok(GateVerdict {
            why: Some(full.unwrap_or_else(|| error.to_string())),
            ..GateVerdict::untested(None)
        })
    }
}

/// Finds the tree to test for a task, uncommitted files included, or the reason why there is none.
/// Fails if the task's worktree or branch is missing, or if the worktree belongs to another
/// repository.
fn find_subject(flux: &Flux, task: &Task) -> Result<Subject> {
    ensure_not_copied(flux, task)?;
    damage::ensure_intact(flux, task)?;
    Subject::of_task(flux, task)
}

/// Warns if the gate is known to fail in the same way on the branch that the task is merged into: perhaps
/// it does not run here at all.
fn warn_if_alike(
    flux: &Flux,
    store: &Store,
    (gate, task): (&Gate, &Task),
    verdict: &GateVerdict,
) -> Result<()> {
    let Some((into, tip)) = task.into.as_ref().and_then(|it| Some((it, store.tip(it)?))) else {
        return Ok(());
    };
    let known = Verdicts::of(flux, gate)?.look_up(flux.repo.tree_of(tip)?);
    let end = |it: &GateVerdict| (it.state, it.command.clone(), it.status);
    if verdict.state == GateState::Red && end(&known) == end(verdict) {
        let what = format!("the gate fails on '{into}', too; perhaps it cannot run here");
        flux.ui.warning(what);
    }
    Ok(())
}

/// Fails unless all verdicts are green or flaky: with exit code 1 if one is red, else with 125.
fn conclude(gate: Option<&Gate>, all: &[GateObject]) -> Result<()> {
    let count = |state| all.iter().filter(|one| one.gate.state == state).count();
    let (red, none) = (count(GateState::Red), count(GateState::None));
    let first = |state| all.iter().find(|one| one.gate.state == state);
    let number = all.len();
    if let (Some(task), true) = (first(GateState::Red), red > 0) {
        let what = format!("{red} of {number} failed the gate");
        let hint = format!("git flux gate --log {}", task.id);
        bail!(Failure::new(what).hint(hint));
    }
    if none == 0 {
        return Ok(());
    }
    if gate.is_none() {
        let failure = Failure::new("no gate is configured");
        let hint = "git config flux.gate '<command>'";
        bail!(failure.hint(hint).code(NO_VERDICT));
    }
    let ran = first(GateState::None).filter(|task| task.gate.log.is_some());
    let hint = ran.map(|task| format!("git flux gate --log {}", task.id));
    let what = format!(
        "no verdict about {none} of {}",
        words::count(number, "task")
    );
    bail!(Failure::new(what).hints(hint).code(NO_VERDICT))
}

/// Prints the output of the last run of the gate on the files of a task; on a terminal with control
/// characters escaped. Fails if there is none.
fn print_log(flux: &Flux, task: &Task) -> Result<()> {
    let id = &task.id;
    let log = match find_subject(flux, task)? {
        Subject::Candidate(found) => gate::open_log(&flux.repo, &found.tree)?,
        Subject::Untestable(why) => bail!(Failure::new(format!("'{id}' cannot be tested: {why}"))),
    };
    let Some(mut log) = log else {
        let failure = Failure::new(format!("the gate has not run on '{id}' as it is now"));
        bail!(failure.hint(format!("to run it: git flux gate {id}")));
    };
    let mut bytes = Vec::new();
    log.read_to_end(&mut bytes)?;
    match flux.ui.width() {
        None => flux.ui.bytes(&bytes),
        Some(_) => {
            let text = sanitize::text(&String::from_utf8_lossy(&bytes));
            flux.ui.data(text.trim_end())
        }
    }
}
