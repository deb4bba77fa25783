//! `git flux conflicts`

use anyhow::Result;
use clap::Args;
use clap_complete::ArgValueCompleter;
use console::Style;

use super::object::PorcelainArgs;
use super::object::conflicts::{ConflictFileObject, ConflictsObject};
use super::table::Table;
use super::{candidates, choose};
use crate::context::Flux;
use crate::failure::{self, CONFLICTS, Failure, USAGE, Verb};
use crate::lifecycle::conflicts::{
    ConflictReport, Finding, Opponent, Scope, TaskConflict, find_conflicts,
};
use crate::lifecycle::copied_repository::ensure_not_copied;
use crate::lifecycle::observe;
use crate::sanitize;
use crate::store::{Store, StoredTask};
use crate::task::{Task, TaskId, version};
use crate::ui::words::count;
use crate::ui::{Ui, shown};

/// Show tasks that change the same lines, and an order to merge them
#[derive(Debug, Args)]
#[command(override_usage = "git flux conflicts [<options>] [<task> [<task>]]")]
pub(crate) struct ConflictsArgs {
    /// compare this task with all others, or two tasks with each other
    #[arg(value_name = "<task>", num_args = 0..=2, add = ArgValueCompleter::new(candidates::further_tasks))]
    tasks: Vec<String>,
    /// machine-readable output: an object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    porcelain: PorcelainArgs,
}

impl ConflictsArgs {
    pub(crate) fn run(self) -> Result<()> {
        let flux = Flux::open(Ui::default())?;
        let store = Store::load(&flux.repo, &flux.settings)?;
        let named = self.tasks.iter().map(|name| find_task(&flux, &store, name));
        let named: Vec<&TaskId> = named.collect::<Result<_>>()?;
        let scope = match named[..] {
            [] => Scope::All,
            [one] => Scope::Of(one),
            [one, two, ..] if one == two => return Err(same_task(one).into()),
            [one, two, ..] => Scope::Pair(one, two),
        };
        let report = read(&flux, &store, scope)?;
        if self.json {
            flux.ui.json(&ConflictsObject::of(&report))?;
        } else if let Some(mut lines) = self.porcelain.lines() {
            ConflictsObject::of(&report).write(&mut lines);
            flux.ui.bytes(&lines.into_bytes())?;
        } else {
            print(&flux.ui, &report, scope)?;
        }
        conclude(&report)
    }
}

fn find_task<'a>(flux: &Flux, store: &'a Store, name: &str) -> Result<&'a TaskId> {
    let task = choose(flux, store, Some(name), Verb::Conflicts)?.readable()?;
    ensure_not_copied(flux, task)?;
    Ok(&task.id)
}

fn same_task(id: &TaskId) -> Failure {
    let failure = Failure::new(format!("both tasks are '{id}'"));
    failure
        .hint(format!(
            "to compare it with all others: git flux conflicts {id}"
        ))
        .code(USAGE)
}

/// Observes the tasks to compare, the two of a [`Scope::Pair`] or else all, and finds their
/// conflicts. Except for a pair, also reports the tasks whose records cannot be read.
fn read<'a>(flux: &'a Flux, store: &Store, scope: Scope) -> Result<ConflictReport<'a>> {
    let _spinner = flux.ui.spinner("comparing the tasks");
    let is_needed = |task: &&Task| match scope {
        Scope::Pair(one, two) => task.id == *one || task.id == *two,
        Scope::All | Scope::Of(_) => true,
    };
    let tasks: Vec<&Task> = store.readable().filter(is_needed).collect();
    let observed = match tasks.is_empty() {
        true => Vec::new(),
        false => observe::observe_tasks(flux, store, &tasks)?,
    };
    let mut report = find_conflicts(flux, store, &observed, scope, None)?;
    if !matches!(scope, Scope::Pair(..)) {
        report
            .unreadable
            .extend(store.tasks.iter().filter_map(unread));
    }
    Ok(report)
}

/// Returns the id of a task whose record cannot be read, with the reason in words; `None` for a
/// task whose record can be read.
fn unread(StoredTask { id, task, .. }: &StoredTask) -> Option<(TaskId, String)> {
    let error = task.as_ref().err()?;
    let why = match version::is_newer(error) {
        true => "a newer git flux made it".to_owned(),
        false => format!("its record cannot be read: {}", failure::reason(error)),
    };
    Some((id.clone(), why))
}

fn print(ui: &Ui, report: &ConflictReport, scope: Scope) -> Result<()> {
    let mut rows: Vec<Vec<String>> = report.conflicts.iter().flat_map(rows).collect();
    let unreadable = report.unreadable.iter();
    rows.extend(unreadable.map(|(id, why)| {
        let why = sanitize::line(&format!("unknown: {why}"));
        vec![id.to_string(), String::new(), why]
    }));
    if !is_unknown(report) && !has_conflicts(report) {
        ui.data("no conflicting lines")?;
    }
    if !rows.is_empty() {
        let table = Table {
            head: &["TASK", "WITH", "CONFLICTS"],
            rows,
            optional: &["WITH"],
        };
        table.print(ui)?;
    }
    if matches!(scope, Scope::Pair(..)) {
        return print_text(ui, report);
    }
    print_order(ui, report)
}

/// Returns the rows of a conflict, one for each file.
fn rows(conflict: &TaskConflict) -> Vec<Vec<String>> {
    let with = match &conflict.with {
        Opponent::Task(id) => id.to_string(),
        Opponent::Target(branch) => sanitize::line(branch),
        Opponent::Others => "others".to_owned(),
    };
    let texts = match &conflict.finding {
        Finding::Conflicts(found) => found
            .files
            .iter()
            .map(|file| ConflictFileObject::of(file).describe())
            .collect(),
        Finding::Same => vec!["none: both make the same changes".to_owned()],
        Finding::NoConflicts => Vec::new(),
        Finding::Unknown(why) => vec![sanitize::line(&format!("unknown: {why}"))],
    };
    let mut texts: Vec<String> = texts;
    if conflict.finding.is_approximate() {
        texts.push("approximate: without renamed directories".to_owned());
    }
    let row = |text| vec![conflict.task.to_string(), with.clone(), text];
    texts.into_iter().map(row).collect()
}

fn print_order(ui: &Ui, report: &ConflictReport) -> Result<()> {
    let order = &report.order;
    if order.to_resolve == 0 {
        return Ok(());
    }
    let ids: Vec<&str> = order.tasks.iter().map(TaskId::as_str).collect();
    let tasks = count(order.to_resolve, "task");
    let by_age = match order.to_resolve_by_age {
        same if same == order.to_resolve => String::new(),
        other => format!("; in order of age {other}"),
    };
    let ids = ids.join(", ");
    ui.data(format_args!(
        "\norder of landing: {ids} ({tasks} with conflicts to resolve{by_age})"
    ))
}

/// Prints the conflicting text of two tasks.
fn print_text(ui: &Ui, report: &ConflictReport) -> Result<()> {
    for file in report.read_text()? {
        let title = Style::new().bold().apply_to(shown(&file.path));
        for conflict in file.conflicts {
            let text = sanitize::text(&conflict);
            ui.data(format_args!("\n{title}\n{}", text.trim_end_matches('\n')))?;
        }
    }
    Ok(())
}

/// Fails with exit code 1 if a task could not be read or compared, or else with exit code 3 if
/// there are conflicts.
fn conclude(report: &ConflictReport) -> Result<()> {
    if is_unknown(report) {
        return Err(Failure::new("not everything could be compared").into());
    }
    match has_conflicts(report) {
        true => Err(Failure::new("").code(CONFLICTS).into()),
        false => Ok(()),
    }
}

fn is_unknown(report: &ConflictReport) -> bool {
    let is_unknown = |one: &TaskConflict| matches!(one.finding, Finding::Unknown(_));
    !report.unreadable.is_empty() || report.conflicts.iter().any(is_unknown)
}

fn has_conflicts(report: &ConflictReport) -> bool {
    let mut conflicts = report.conflicts.iter();
    conflicts.any(|one| one.finding.is_conflict())
}
