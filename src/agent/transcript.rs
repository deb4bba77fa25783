//! What an agent writes down of its conversation, in files of its own: there stands what it
//! tells by no hook, that it was interrupted.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde_json::Value;

use crate::run::file::read_tail;
use crate::system::clock::in_milliseconds;
use crate::task::{Heard, Said};

/// How much of the end is looked at, in bytes.
const TAIL: u64 = 64 * 1024;

/// How an agent writes down its conversation.
pub(crate) struct Conversation {
    /// Returns what an entry says of the agent's state, if anything.
    pub(super) read: fn(&Value) -> Option<Said>,
    pub(super) counts: Counts,
    /// How a turn has ended is said there alone: the hook tells of any end alike.
    pub(crate) has_ends: bool,
    /// Returns the file of the conversation of this name.
    pub(crate) of_thread: fn(&str) -> Option<PathBuf>,
    /// Returns the file of the conversation that is held in a worktree, written since then,
    /// before the agent has told of one.
    pub(crate) in_worktree: fn(&Path, Timestamp) -> Option<PathBuf>,
}

/// What of a conversation counts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Counts {
    All,
    /// That it was interrupted or given up: all else is told by hooks, and better.
    EndsWithoutHook,
}

impl Conversation {
    /// One that says nothing, and that is told where it is.
    pub(super) const NONE: Self = Self {
        read: |_| None,
        counts: Counts::All,
        has_ends: false,
        of_thread: |_| None,
        in_worktree: |_, _| None,
    };

    /// Returns the last that the conversation at `path` says of its agent's state. It is the agent's
    /// own file, so what cannot be read says nothing.
    pub(crate) fn last(&self, path: &Path) -> Option<Heard> {
        let (said, at, _) = last_that_says(path, self.read)?;
        let is_end = matches!(said, Said::Interrupted | Said::Failed);
        (is_end || self.counts == Counts::All).then_some(Heard {
            said,
            why: None,
            at: in_milliseconds::of(at),
        })
    }
}

/// Returns the last entry of a conversation that says something, what and when.
pub(super) fn last_that_says(
    path: &Path,
    read: fn(&Value) -> Option<Said>,
) -> Option<(Said, Timestamp, Value)> {
    let bytes = read_tail(path, TAIL).ok()?;
    let lines = bytes.rsplit(|&b| b == b'\n');
    let mut entries = lines.filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    entries.find_map(|entry| {
        let said = read(&entry)?;
        let at: Timestamp = entry["timestamp"].as_str()?.parse().ok()?;
        Some((said, at, entry))
    })
}
