//! Transcripts of agents. They record interruptions, which no hook reports.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde_json::Value;

use crate::run::file::read_tail;
use crate::task::{Activity, Report};

/// The end of the file that is read.
const TAIL_BYTES: u64 = 64 * 1024;

/// The transcript of an agent.
pub(crate) struct Conversation {
    /// Returns the activity of an entry, if it has one.
    pub(super) read: fn(&Value) -> Option<Activity>,
    pub(super) coverage: Coverage,
    /// It alone records how a turn has ended: the hook reports any end alike.
    pub(crate) is_exact_about_ends: bool,
    /// Returns the file of a conversation.
    pub(crate) find_by_thread: fn(&str) -> Option<PathBuf>,
    /// Returns the file of the conversation in a worktree that was written since then, before the
    /// agent reports one.
    pub(crate) find_by_worktree: fn(&Path, Timestamp) -> Option<PathBuf>,
}

/// The entries of a transcript that count.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Coverage {
    All,
    /// Interruptions and failures: hooks report the rest more exactly.
    EndsWithoutHook,
}

impl Conversation {
    /// No transcript, or one whose path the agent reports.
    pub(super) const NONE: Self = Self {
        read: |_| None,
        coverage: Coverage::All,
        is_exact_about_ends: false,
        find_by_thread: |_| None,
        find_by_worktree: |_, _| None,
    };

    /// Returns the last activity in the transcript at `path`, with its time. `None` if there is
    /// none in the last 64 KiB, if the file cannot be read, or if the agent's hooks report this
    /// activity more exactly.
    pub(crate) fn last_report(&self, path: &Path) -> Option<Report> {
        let (activity, at, _) = last_activity(path, self.read)?;
        let is_end = matches!(activity, Activity::Interrupted | Activity::Failed);
        (is_end || self.coverage == Coverage::All).then_some(Report {
            activity,
            why: None,
            at,
        })
    }
}

/// Returns the last entry of a transcript in which `read` finds an activity, with activity and
/// time. Reads the last 64 KiB; `None` if there is none there, or if the file cannot be read.
pub(super) fn last_activity(
    path: &Path,
    read: fn(&Value) -> Option<Activity>,
) -> Option<(Activity, Timestamp, Value)> {
    let bytes = read_tail(path, TAIL_BYTES).ok()?;
    let lines = bytes.rsplit(|&b| b == b'\n');
    let mut entries = lines.filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    entries.find_map(|entry| {
        let activity = read(&entry)?;
        let at: Timestamp = entry["timestamp"].as_str()?.parse().ok()?;
        Some((activity, at, entry))
    })
}
