//! The objects of conflicts between tasks: `conflicts`, and a field of each task.

use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use anyhow::Result;
use serde::Serialize;

use super::lines::{Lines, lossy};
use crate::context::Flux;
use crate::failure::{self, DECLINED};
use crate::git::conflicts::merge_batch::ConflictFile;
use crate::lifecycle::conflicts::{ConflictReport, Finding, Opponent, TaskConflict};
use crate::sanitize::{self, shown};
use crate::task::TaskId;

/// The other side of a conflict, and what is known about it.
#[derive(Clone, Debug, Serialize)]
pub(in crate::commands) struct OpponentObject {
    /// `None` for the target, and if both are `None`, for some or all of the other tasks.
    pub(in crate::commands) with: Option<String>,
    /// The branch that the task is merged into; `None` for a task.
    pub(in crate::commands) target: Option<String>,
    /// `None` if it is unknown.
    pub(in crate::commands) files: Option<Vec<ConflictFileObject>>,
    pub(in crate::commands) same: bool,
    pub(in crate::commands) approximate: bool,
    /// The reason if it is unknown.
    pub(in crate::commands) why: Option<String>,
    /// Whether the comparison waits for a later call only because of the limit.
    #[serde(skip)]
    pub(in crate::commands) is_later: bool,
}

/// A file with conflicting lines.
#[derive(Clone, Debug, Serialize)]
pub(in crate::commands) struct ConflictFileObject {
    #[serde(serialize_with = "lossy")]
    pub(in crate::commands) path: Option<PathBuf>,
    pub(in crate::commands) kind: String,
    pub(in crate::commands) function: Option<String>,
}

/// A conflict of a task.
#[derive(Clone, Debug, Serialize)]
pub(in crate::commands) struct TaskConflictObject {
    pub(in crate::commands) task: String,
    #[serde(flatten)]
    pub(in crate::commands) opponent: OpponentObject,
}

/// All conflicts: `conflicts`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::commands) struct ConflictsObject {
    pub(in crate::commands) conflicts: Vec<TaskConflictObject>,
    pub(in crate::commands) unreadable: Vec<UnreadableObject>,
    pub(in crate::commands) order: Vec<String>,
    pub(in crate::commands) to_resolve: usize,
    pub(in crate::commands) to_resolve_by_age: usize,
}

/// A task whose work is not known.
#[derive(Clone, Debug, Serialize)]
pub(in crate::commands) struct UnreadableObject {
    pub(in crate::commands) task: String,
    pub(in crate::commands) why: String,
}

impl OpponentObject {
    fn of(opponent: &Opponent, finding: &Finding) -> Self {
        let (with, target) = match opponent {
            Opponent::Task(id) => (Some(id.to_string()), None),
            Opponent::Target(branch) => (None, Some(branch.to_string())),
            Opponent::Others => (None, None),
        };
        let why = match finding {
            Finding::Unknown(why) => Some(why.clone()),
            Finding::Conflicts(_) | Finding::Same | Finding::NoConflicts => None,
        };
        let files = finding.files().iter().map(ConflictFileObject::of);
        Self {
            with,
            target,
            files: why.is_none().then(|| files.collect()),
            same: *finding == Finding::Same,
            approximate: finding.is_approximate(),
            why,
            is_later: *opponent == Opponent::Others,
        }
    }

    /// Returns an entry for a task whose conflicts are all unknown, with the reason.
    pub(in crate::commands) fn unknown(why: String) -> Self {
        Self {
            with: None,
            target: None,
            files: None,
            same: false,
            approximate: false,
            why: Some(why),
            is_later: false,
        }
    }
}

impl ConflictFileObject {
    /// Describes a conflicting file: `src/auth.rs (contents, fn login())`.
    pub(in crate::commands) fn describe(&self) -> String {
        let path = self.path.as_deref().map(shown).unwrap_or_default();
        let facts = [Some(&self.kind), self.function.as_ref()];
        let facts = facts.into_iter().flatten().filter(|fact| !fact.is_empty());
        let facts: Vec<String> = facts.map(|fact| sanitize::line(fact)).collect();
        match facts.is_empty() {
            true => path,
            false => format!("{path} ({})", facts.join(", ")),
        }
    }

    pub(in crate::commands) fn of(file: &ConflictFile) -> Self {
        Self {
            path: Some(file.path.clone()),
            kind: file.kind.clone(),
            function: file.function.clone(),
        }
    }
}

/// Returns the comparison, or the reason why it failed, after a warning that begins with `what`. Fails
/// only on ^C.
pub(in crate::commands) fn report_or_reason<'a>(
    flux: &Flux,
    found: Result<ConflictReport<'a>>,
    what: &str,
) -> Result<Result<ConflictReport<'a>, String>> {
    match found {
        Ok(report) => Ok(Ok(report)),
        Err(error) if failure::exit_code(&error) == DECLINED => Err(error),
        Err(error) => {
            let why = failure::reason(&error);
            flux.ui.warning(format_args!("{what}: {why}"));
            Ok(Err(why))
        }
    }
}

/// Returns the conflicts of one task, and an entry with the reason if its work cannot be compared, or
/// if the comparison failed; `None` if it was not to be compared.
pub(in crate::commands) fn opponents(
    found: &Result<ConflictReport, String>,
    id: &TaskId,
) -> Option<Vec<OpponentObject>> {
    match found {
        Ok(report) => reported(report, id),
        Err(why) => Some(vec![OpponentObject::unknown(why.clone())]),
    }
}

fn reported(report: &ConflictReport, id: &TaskId) -> Option<Vec<OpponentObject>> {
    let mut unreadable = report.unreadable.iter().filter(|(one, _)| one == id);
    let unknown = unreadable
        .next()
        .map(|(_, why)| OpponentObject::unknown(why.clone()));
    if unknown.is_none() && !report.tasks.contains(id) {
        return None;
    }
    let seen_from = |one: &TaskConflict| match &one.with {
        with if one.task == *id => Some(OpponentObject::of(with, &one.finding)),
        Opponent::Task(other) if other == id => {
            let with = Opponent::Task(one.task.clone());
            Some(OpponentObject::of(&with, &one.finding))
        }
        Opponent::Task(_) | Opponent::Target(_) | Opponent::Others => None,
    };
    let found = report.conflicts.iter().filter_map(seen_from);
    Some(unknown.into_iter().chain(found).collect())
}

impl ConflictsObject {
    pub(in crate::commands) fn of(report: &ConflictReport) -> Self {
        let conflict = |one: &TaskConflict| TaskConflictObject {
            task: one.task.to_string(),
            opponent: OpponentObject::of(&one.with, &one.finding),
        };
        let unreadable = |(id, why): &(TaskId, String)| UnreadableObject {
            task: id.to_string(),
            why: why.clone(),
        };
        let order = &report.order;
        Self {
            conflicts: report.conflicts.iter().map(conflict).collect(),
            unreadable: report.unreadable.iter().map(unreadable).collect(),
            order: order.tasks.iter().map(ToString::to_string).collect(),
            to_resolve: order.to_resolve,
            to_resolve_by_age: order.to_resolve_by_age,
        }
    }

    /// Appends to `lines` a record for each conflict and for each task that could not be read, and
    /// a last one with the suggested order of merging, if there is one.
    pub(in crate::commands) fn write(&self, lines: &mut Lines) {
        for TaskConflictObject { task, opponent } in &self.conflicts {
            lines.line("task", Some(task));
            lines.line("with", opponent.with.as_ref());
            lines.line("target", opponent.target.as_ref());
            for file in opponent.files.iter().flatten() {
                let path = file.path.as_ref();
                lines.line("path", path.map(|path| path.as_os_str().as_bytes()));
                lines.line("kind", Some(&file.kind));
                lines.line("function", file.function.as_ref());
            }
            if opponent.same {
                lines.key("same");
            }
            if opponent.approximate {
                lines.key("approximate");
            }
            lines.line("unknown", opponent.why.as_ref());
            lines.end();
        }
        for one in &self.unreadable {
            lines.line("task", Some(&one.task));
            lines.line("unknown", Some(&one.why));
            lines.end();
        }
        if !self.order.is_empty() {
            for id in &self.order {
                lines.line("order", Some(id));
            }
            lines.line("resolve", Some(self.to_resolve.to_string()));
            lines.end();
        }
    }
}
