//! Entries of a stash, to note them and back.

use super::StashEntry;
use crate::task::NotedEntry;

impl From<&StashEntry> for NotedEntry {
    fn from(entry: &StashEntry) -> Self {
        Self {
            commit: entry.commit.clone(),
            // A record contains no NUL.
            subject: entry.subject.to_string().replace('\0', ""),
        }
    }
}

impl From<&NotedEntry> for StashEntry {
    fn from(entry: &NotedEntry) -> Self {
        Self {
            commit: entry.commit.clone(),
            subject: entry.subject.as_str().into(),
        }
    }
}
