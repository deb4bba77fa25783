//! An entry of a stash, as it is noted.

use serde::{Deserialize, Serialize};

use super::ObjectId;

/// An entry of a stash, noted by its commit: numbers such as `stash@{1}` change.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct NotedEntry {
    pub(crate) commit: ObjectId,
    /// The message, such as `WIP on main: 1a2b3c4 Fix`, in one line.
    pub(crate) subject: String,
}

impl NotedEntry {
    /// Cuts the message of the stash entry after `max_chars` characters, and adds an ellipsis, if
    /// it is longer.
    pub(crate) fn shorten(&mut self, max_chars: usize) {
        if let Some((end, _)) = self.subject.char_indices().nth(max_chars) {
            self.subject.truncate(end);
            self.subject.push('…');
        }
    }

    /// Returns whether the commit of the stash entry is a full object name in lower case, as git
    /// writes it. Files that an agent can write may contain anything.
    pub(crate) fn is_plausible(&self) -> bool {
        let name = self.commit.as_bytes();
        ObjectId::parse(name).is_some() && !name.iter().any(u8::is_ascii_uppercase)
    }
}
