//! Output for programs: the JSON objects, and the lines of `--porcelain`, which are written from the same
//! objects. Names of fields are stable; unknown values are `null`.

pub(super) mod conflicts;
mod lines;
pub(super) mod review;

use std::fmt::Display;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use self::conflicts::OpponentObject;
use self::lines::lossy;
pub(super) use self::lines::{Lines, PorcelainArgs};
use crate::agent::messages::Message;
use crate::git::log::CommitSummary;
use crate::run::events::Event;
use crate::system::clock::in_seconds;
use crate::task::{
    Changes, Evidence, GateVerdict, LandState, Layout, NotedEntry, Phase, Source, State, Status,
    TaskId,
};

#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TaskObject {
    id: String,
    owner: Option<String>,
    title: Option<String>,
    phase: Option<Phase>,
    #[serde(flatten)]
    pub(super) state: StateObject,
    agent: Option<String>,
    branch: Option<String>,
    branch_kept: Option<bool>,
    base: Option<String>,
    into: Option<String>,
    #[serde(serialize_with = "lossy")]
    pub(super) worktree: Option<PathBuf>,
    #[serde(serialize_with = "seconds")]
    created: Option<Timestamp>,
    port: Option<u16>,
    target: Option<TargetObject>,
    ahead: Option<usize>,
    behind: Option<usize>,
    changes: Option<Changes>,
    /// `None` if they are not known.
    pub(super) conflicts: Option<Vec<OpponentObject>>,
    /// The number of files that the user has not looked at; `None` if it is not known, or nothing is
    /// reviewed here.
    pub(super) unseen: Option<usize>,
    /// `None` if the task has no part in landings.
    land: Option<&'static str>,
    /// The number of times that a landing sent it back.
    land_rounds: Option<usize>,
    exit: Option<ExitObject>,
    pub(super) gate: Option<GateVerdict>,
    /// The reason if only the id is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// A task that is gone: `list --follow`.
#[derive(Debug, Serialize)]
pub(super) struct GoneObject<'a> {
    pub(super) id: &'a str,
    #[serde(serialize_with = "lossy")]
    pub(super) worktree: Option<&'a Path>,
    pub(super) removed: bool,
}

/// The state of a task and its source.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StateObject {
    pub(super) state: &'static str,
    state_source: Source,
    state_reason: Option<&'static str>,
    #[serde(serialize_with = "seconds")]
    state_since: Option<Timestamp>,
    state_guess: bool,
}

#[derive(Clone, Debug, Serialize)]
struct TargetObject {
    kind: Layout,
    session: String,
    window: String,
    pane: String,
}

#[derive(Clone, Debug, Serialize)]
struct ExitObject {
    status: Option<i32>,
    signal: Option<i32>,
    #[serde(with = "in_seconds")]
    at: Timestamp,
}

/// A task in detail: `status`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DetailObject {
    #[serde(flatten)]
    pub(super) task: TaskObject,
    pub(super) files: Vec<FileObject>,
    /// The entries of its own stash, the latest first.
    pub(super) stash: Option<Vec<NotedEntry>>,
    /// The entries that were removed from the shared stash while its agent ran.
    pub(super) removed_stash_entries: Option<Vec<NotedEntry>>,
    /// The changes of the shared configuration, if it could be compared.
    pub(super) configuration: Option<Vec<ConfigChangeObject>>,
    pub(super) screen: Option<Vec<String>>,
}

/// A changed file of a worktree.
#[derive(Debug, Serialize)]
pub(super) struct FileObject {
    pub(super) code: String,
    #[serde(serialize_with = "lossy")]
    pub(super) path: Option<PathBuf>,
}

/// A change of the configuration that worktrees share.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ConfigChangeObject {
    pub(super) name: String,
    pub(super) change: String,
    pub(super) runs_program: bool,
}

/// The evidence for the state of a task: `status --explain`.
#[derive(Debug, Serialize)]
pub(super) struct ExplanationObject {
    pub(super) id: String,
    #[serde(flatten)]
    pub(super) state: StateObject,
    pub(super) sources: Vec<SourceObject>,
}

/// The report of one source.
#[derive(Debug, Serialize)]
pub(super) struct SourceObject {
    pub(super) source: Source,
    pub(super) says: String,
    #[serde(serialize_with = "seconds")]
    pub(super) since: Option<Timestamp>,
    pub(super) counts: bool,
}

/// The log of a task: `log`.
#[derive(Debug, Default, Serialize)]
pub(super) struct LogObject {
    pub(super) id: String,
    pub(super) title: String,
    /// The name in the archive, if it was removed.
    pub(super) removed: Option<String>,
    pub(super) prompt: String,
    pub(super) events: Vec<Event>,
    pub(super) commits: Vec<CommitSummary>,
    pub(super) transcript: Option<String>,
    pub(super) messages: Vec<Message>,
    /// The last screen of the pane.
    pub(super) screen: Option<String>,
    /// The number of events written by a newer git flux.
    #[serde(skip)]
    pub(super) unknown: usize,
}

/// A verdict about a task: `gate`.
#[derive(Debug, Serialize)]
pub(super) struct GateObject {
    pub(super) id: String,
    pub(super) gate: GateVerdict,
}

impl GateObject {
    /// Appends the record of a verdict to `lines`: its task, its lines, and an empty line.
    pub(super) fn write(&self, lines: &mut Lines) {
        lines.line("task", Some(&self.id));
        lines.verdict(&self.gate);
        lines.end();
    }
}

/// A setting: `config`.
#[derive(Debug, Serialize)]
pub(super) struct SettingObject<'a> {
    pub(super) key: &'a str,
    pub(super) value: Option<&'a str>,
    pub(super) default: Option<&'a str>,
    pub(super) scope: Option<&'a str>,
    pub(super) origin: Option<&'a str>,
    pub(super) meaning: &'static str,
    pub(super) values: Option<Vec<&'static str>>,
}

/// A removed task: `restore --list`.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RemovedObject<'a> {
    pub(super) name: &'a str,
    pub(super) id: Option<&'a str>,
    pub(super) title: Option<&'a str>,
    pub(super) agent: Option<&'a str>,
    pub(super) branch: Option<&'a str>,
    pub(super) base: Option<&'a str>,
    pub(super) tip: Option<&'a str>,
    pub(super) snapshot: Option<&'a str>,
    #[serde(serialize_with = "seconds")]
    pub(super) removed: Option<Timestamp>,
    pub(super) merged_into: Option<&'a str>,
    #[serde(serialize_with = "lossy")]
    pub(super) worktree: Option<&'a Path>,
    #[serde(serialize_with = "lossy")]
    pub(super) trash: Option<&'a Path>,
    pub(super) size: Option<u64>,
    pub(super) foreign: Option<bool>,
    #[serde(flatten)]
    pub(super) unread: Option<UnreadObject>,
}

/// An unreadable entry of the archive.
#[derive(Debug, Serialize)]
pub(super) struct UnreadObject {
    pub(super) state: &'static str,
    pub(super) error: String,
}

/// The plan of a cleanup: `cleanup --dry-run`.
#[derive(Debug, Serialize)]
pub(super) struct CleanupObject {
    pub(super) id: String,
    pub(super) checks: Vec<CheckObject>,
    pub(super) into: Option<String>,
    pub(super) style: Option<&'static str>,
    pub(super) commits: Option<usize>,
    pub(super) conflicts: Vec<ConflictObject>,
    pub(super) would: Option<Vec<String>>,
}

/// The result of a check of a cleanup.
#[derive(Debug, Serialize)]
pub(super) struct CheckObject {
    pub(super) check: &'static str,
    pub(super) result: &'static str,
    pub(super) why: String,
    pub(super) hints: Vec<String>,
}

/// A file with a merge conflict.
#[derive(Debug, Serialize)]
pub(super) struct ConflictObject {
    #[serde(serialize_with = "lossy")]
    pub(super) path: Option<PathBuf>,
    pub(super) kind: String,
}

/// The fate of a task in a landing: `land`.
#[derive(Debug, Default, Serialize)]
pub(super) struct LandObject {
    pub(super) id: String,
    pub(super) result: &'static str,
    pub(super) into: Option<String>,
    pub(super) why: Option<String>,
    /// The number of times that it was sent back.
    pub(super) rounds: Option<usize>,
}

/// Serializes a time as a number of seconds since 1970; `None` as `null`.
fn seconds<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    at.map(in_seconds::of).serialize(serializer)
}

impl StateObject {
    pub(super) fn of(state: &State, found: Evidence) -> Self {
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
    pub(super) fn of(status: &Status) -> Self {
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
    pub(super) fn unknown(id: &TaskId, state: &'static str, why: impl Display) -> Self {
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
    pub(super) fn write(&self, lines: &mut Lines) {
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

#[cfg(test)]
mod tests;
