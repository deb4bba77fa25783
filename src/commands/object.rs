//! Output for programs: the JSON objects, and the lines of `--porcelain`, which are written from the same
//! objects. Names of fields are stable; unknown values are `null`.

mod cleanup;
pub(super) mod conflicts;
mod lines;
mod removed;
pub(super) mod review;
mod status;
mod task;

use jiff::Timestamp;
use serde::{Serialize, Serializer};

pub(super) use self::cleanup::{CheckObject, CleanupObject, ConflictObject, LandObject};
pub(super) use self::lines::{Lines, PorcelainArgs};
pub(super) use self::removed::{RemovedObject, UnreadObject};
pub(super) use self::status::{
    ConfigChangeObject, DetailObject, ExplanationObject, FileObject, SourceObject,
};
pub(super) use self::task::{GoneObject, StateObject, TaskObject};
use crate::agent::messages::Message;
use crate::git::log::CommitSummary;
use crate::run::events::Event;
use crate::system::clock::in_seconds;
use crate::task::GateVerdict;

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

/// Serializes a time as a number of seconds since 1970; `None` as `null`.
fn seconds<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    at.map(in_seconds::of).serialize(serializer)
}

#[cfg(test)]
mod tests;
