//! The object of a task: `list`, `run`, `status` and others.

use std::fmt::Display;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Serialize;

use super::conflicts::OpponentObject;
use super::lines::{Lines, lossy};
use super::seconds;
use crate::system::clock::in_seconds;
use crate::task::{
    Changes, Evidence, GateVerdict, LandState, Layout, Phase, Source, State, Status, TaskId,
};

#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::commands) struct TaskObject {
    pub(super) id: String,
    pub(super) owner: Option<String>,
    pub(super) title: Option<String>,
    pub(super) phase: Option<Phase>,
    #[serde(flatten)]
    pub(in crate::commands) state: StateObject,
    pub(super) agent: Option<String>,
    pub(super) branch: Option<String>,
    pub(super) branch_kept: Option<bool>,
    pub(super) base: Option<String>,
    pub(super) into: Option<String>,
    #[serde(serialize_with = "lossy")]
    pub(in crate::commands) worktree: Option<PathBuf>,
    #[serde(serialize_with = "seconds")]
    pub(super) created: Option<Timestamp>,
    pub(super) port: Option<u16>,
    pub(super) target: Option<TargetObject>,
    pub(super) ahead: Option<usize>,
    pub(super) behind: Option<usize>,
    pub(super) changes: Option<Changes>,
    /// `None` if they are not known.
    pub(in crate::commands) conflicts: Option<Vec<OpponentObject>>,
    /// The number of files that the user has not looked at; `None` if it is not known, or nothing is
    /// reviewed here.
    pub(in crate::commands) unseen: Option<usize>,
    /// `None` if the task has no part in landings.
    pub(super) land: Option<&'static str>,
    /// The number of times that a landing sent it back.
    pub(super) land_rounds: Option<usize>,
    pub(super) exit: Option<ExitObject>,
    pub(in crate::commands) gate: Option<GateVerdict>,
    /// The reason if only the id is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<String>,
}

/// A task that is gone: `list --follow`.
#[derive(Debug, Serialize)]
pub(in crate::commands) struct GoneObject<'a> {
    pub(in crate::commands) id: &'a str,
    #[serde(serialize_with = "lossy")]
    pub(in crate::commands) worktree: Option<&'a Path>,
    pub(in crate::commands) removed: bool,
}

/// The state of a task and its source.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::commands) struct StateObject {
    pub(in crate::commands) state: &'static str,
    pub(super) state_source: Source,
    pub(super) state_reason: Option<&'static str>,
    #[serde(serialize_with = "seconds")]
    pub(super) state_since: Option<Timestamp>,
    pub(super) state_guess: bool,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct TargetObject {
    pub(super) kind: Layout,
    pub(super) session: String,
    pub(super) window: String,
    pub(super) pane: String,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct ExitObject {
    pub(super) status: Option<i32>,
    pub(super) signal: Option<i32>,
    #[serde(with = "in_seconds")]
    pub(super) at: Timestamp,
}

impl StateObject {
    pub(in crate::commands) fn of(state: &State, found: Evidence) -> Self {
        Self {
            state: state.name(),
            state_source: found.source,
            state_reason: state.reason(),
            state_since: found.since,
            state_guess: found.is_inferred,
        }
    }
}

impl TaskObject {
    pub(in crate::commands) fn of(status: &Status) -> Self {
        let task = &status.task;
        let target = task.target.as_ref().map(|target| TargetObject {
            kind: target.kind,
            session: target.session.to_string(),
            window: target.window.to_string(),
            pane: target.pane.to_string(),
        });
        let exit = match &status.state {
            State::Ended(exit) => Some(ExitObject {
                status: exit.status(),
                signal: exit.signal(),
                at: exit.at,
            }),
            _ => None,
        };
        Self {
            id: task.id.to_string(),
            owner: status.owner.clone(),
            title: Some(task.title.clone()),
            phase: Some(task.phase),
            state: StateObject::of(&status.state, status.found),
            agent: Some(task.agent.clone()),
            branch: Some(task.branch.to_string()),
            branch_kept: Some(task.existing.is_some()),
            base: Some(task.base.to_string()),
            into: task.into.clone().map(String::from),
            worktree: Some(task.worktree.clone()),
            created: Some(task.created),
            port: task.port,
            target,
            ahead: status.divergence.map(|commits| commits.ahead),
            behind: status.divergence.map(|commits| commits.behind),
            changes: status.changes,
            land: status.land.map(LandState::name),
            land_rounds: match status.land {
                Some(LandState::Back(rounds)) => Some(rounds),
                _ => None,
            },
            conflicts: None,
            unseen: None,
            exit,
            gate: status.gate.clone(),
            error: None,
        }
    }

    /// Returns the JSON object of a task of which only the id is known, with the task's state and
    /// the reason `why`; other values are unknown.
    pub(in crate::commands) fn unknown(
        id: &TaskId,
        state: &'static str,
        why: impl Display,
    ) -> Self {
        Self {
            id: id.to_string(),
            state: StateObject {
                state,
                state_source: Source::Record,
                ..StateObject::default()
            },
            error: Some(why.to_string()),
            ..Self::default()
        }
    }

    /// Appends the record of a task to `lines`: a line for each known value, and an empty line.
    pub(in crate::commands) fn write(&self, lines: &mut Lines) {
        lines.line("task", Some(&self.id));
        lines.line("owner", self.owner.as_ref());
        lines.line("state", Some(self.state.state));
        lines.line("reason", self.state.state_reason);
        if let Some(exit) = &self.exit {
            lines.line("status", exit.status.map(|number| number.to_string()));
            lines.line("signal", exit.signal.map(|number| number.to_string()));
        }
        lines.line("phase", self.phase.map(|phase| phase.into_str()));
        lines.line("agent", self.agent.as_ref());
        lines.line("branch", self.branch.as_ref());
        if self.branch_kept == Some(true) {
            lines.key("branch-kept");
        }
        lines.line("base", self.base.as_ref());
        lines.line("into", self.into.as_ref());
        let worktree = self.worktree.as_ref();
        lines.line("worktree", worktree.map(|path| path.as_os_str().as_bytes()));
        lines.line("created", self.created.map(|at| at.as_second().to_string()));
        if let Some(target) = &self.target {
            let value = format!("{} {} {}", target.window, target.pane, target.session);
            lines.line(target.kind.into_str(), Some(value));
        }
        if let (Some(ahead), Some(behind)) = (self.ahead, self.behind) {
            lines.line("commits", Some(format!("+{ahead} -{behind}")));
        }
        lines.line("changes", self.changes.map(|changes| changes.to_string()));
        lines.line("unseen", self.unseen.map(|count| count.to_string()));
        lines.line("land", self.land);
        if let Some(gate) = &self.gate {
            lines.verdict(gate);
        }
        lines.line("title", self.title.as_ref());
        lines.line("error", self.error.as_ref());
        lines.end();
    }
}
