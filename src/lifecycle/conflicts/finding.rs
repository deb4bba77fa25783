//! What is known about two tasks, or a task and its target.

use crate::git::conflicts::merge_batch::{Answer, ConflictFile, NoResult, TrialResult};

/// The result of the comparison of two sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    Conflicts(TrialResult),
    /// Both have made the same changes.
    Same,
    NoConflicts,
    /// The reason why it is unknown.
    Unknown(String),
}

impl Finding {
    pub(super) fn of(answer: Answer) -> Self {
        match answer {
            Ok(result) if result.files.is_empty() => Self::NoConflicts,
            Ok(result) => Self::Conflicts(result),
            Err(NoResult::Killed) => Self::Unknown("git gives up on this pair".to_owned()),
            Err(NoResult::Refused(why) | NoResult::Inexact(why)) => Self::Unknown(why),
        }
    }

    /// Returns the finding that a merge was not tried yet, because the limit of new trial merges
    /// was reached.
    pub(super) fn later() -> Self {
        Self::Unknown("not compared yet".to_owned())
    }

    pub(crate) fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflicts(_))
    }

    /// Returns whether the conflicts are those of a merge without detection of renamed directories,
    /// with which git has crashed. `false` if there are no conflicts.
    pub(crate) fn is_approximate(&self) -> bool {
        matches!(self, Self::Conflicts(found) if found.is_approximate)
    }

    /// Returns the conflicting files, none unless there are conflicts.
    pub(crate) fn files(&self) -> &[ConflictFile] {
        match self {
            Self::Conflicts(result) => &result.files,
            Self::Same | Self::NoConflicts | Self::Unknown(_) => &[],
        }
    }
}
