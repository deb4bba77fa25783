//! The entries of the shared stash that stood in it while a task's agent ran.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr};

use super::RunDir;
use super::file::{read_json, write_private};
use crate::failure::Failure;
use crate::task::{NotedEntry, ObjectId};

const FILE_NAME: &str = "stash-seen";

/// The limit for each of the two lists, so that the file stays readable.
const MAX_ENTRIES: usize = 500;

/// The limit for the message of an entry, in characters.
const MAX_SUBJECT_CHARS: usize = 500;

/// The moment of a comparison of the stash with the notes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub(crate) enum StashMoment {
    /// The agent starts: what is missing went while it did not run.
    Start,
    /// The stash has changed while the agent runs.
    Change,
}

/// The entries of the shared stash as a task's launcher has seen them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StashNotes {
    /// The entries when the stash was last listed, the latest first.
    pub(crate) present: Vec<NotedEntry>,
    /// The entries that were removed while the agent ran, the last removed first.
    pub(crate) removed: Vec<NotedEntry>,
}

impl StashNotes {
    /// Updates the notes to the entries `listed` that are in the stash now. An entry that was put
    /// back is no longer noted as removed. Keeps at most 500 entries of each kind.
    pub(crate) fn update(&mut self, listed: Vec<NotedEntry>, moment: StashMoment) {
        let there: BTreeSet<&ObjectId> = listed.iter().map(|entry| &entry.commit).collect();
        let is_missing = |entry: &NotedEntry| !there.contains(&entry.commit);
        self.present.retain(is_missing);
        self.removed.retain(is_missing);
        if moment == StashMoment::Change {
            self.removed.splice(0..0, self.present.drain(..));
            self.removed.truncate(MAX_ENTRIES);
        }
        self.present = listed;
        self.present.truncate(MAX_ENTRIES);
        for entry in &mut self.present {
            entry.shorten(MAX_SUBJECT_CHARS);
        }
    }

    /// Returns all entries that the notes name, in the stash or removed from it.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &NotedEntry> {
        self.present.iter().chain(&self.removed)
    }
}

impl RunDir {
    fn stash_notes_file(&self) -> PathBuf {
        self.0.join(FILE_NAME)
    }

    /// Returns whether a launcher has noted any entries of the shared stash.
    pub(crate) fn has_stash_notes(&self) -> bool {
        self.stash_notes_file().exists()
    }

    /// Reads the notes about the shared stash, empty ones if there are none. Fails if they are
    /// damaged: an agent can write them, too.
    pub(crate) fn stash_notes(&self) -> Result<StashNotes> {
        let path = self.stash_notes_file();
        let found = read_json(&path).and_then(|found: Option<StashNotes>| {
            let notes = found.unwrap_or_default();
            let is_plausible = notes.entries().all(NotedEntry::is_plausible);
            if !is_plausible {
                bail!("'{}' was not written by a launcher", path.display());
            }
            Ok(notes)
        });
        found.with_context(|| {
            Failure::new("cannot read the file that notes the entries of your stash")
                .hint(self.removal_hint(FILE_NAME))
        })
    }

    pub(crate) fn write_stash_notes(&self, notes: &StashNotes) -> Result<()> {
        write_private(&self.stash_notes_file(), &serde_json::to_vec(notes)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(digits: &str) -> Vec<NotedEntry> {
        let entry = |digit: char| NotedEntry {
            commit: String::from(digit).repeat(40).into(),
            subject: format!("On main: {digit}"),
        };
        digits.chars().map(entry).collect()
    }

    /// Updates notes with lists of entries, and asserts which are noted as removed.
    #[track_caller]
    fn assert_removed(updates: &[(&str, StashMoment)], removed: &str) {
        let mut notes = StashNotes::default();
        for (listed, moment) in updates {
            notes.update(entries(listed), *moment);
        }
        assert_eq!(notes.removed, entries(removed));
    }

    #[test]
    fn update_notes_what_is_removed_while_the_agent_runs() {
        use StashMoment::{Change, Start};
        assert_removed(&[("ab", Start), ("b", Change)], "a");
        assert_removed(&[("abc", Start), ("bc", Change), ("c", Change)], "ba");
        assert_removed(&[("a", Start), ("", Change), ("a", Change)], "");
        assert_removed(&[("a", Start), ("ba", Change), ("", Change)], "ba");
        // Between two runs the user may have removed it.
        assert_removed(&[("ab", Start), ("b", Start)], "");
        assert_removed(&[("ab", Start), ("b", Change), ("", Start)], "a");
        assert_removed(&[("ab", Start), ("b", Change), ("ab", Start)], "");
    }

    #[test]
    fn update_limits_entries_and_messages() {
        let many = |from: usize| {
            let entry = |n: usize| NotedEntry {
                commit: format!("{n:040}").into(),
                subject: "ä".repeat(MAX_SUBJECT_CHARS + 1),
            };
            (from..from + MAX_ENTRIES + 1).map(entry).collect()
        };
        let mut notes = StashNotes::default();
        notes.update(many(0), StashMoment::Start);
        notes.update(many(1000), StashMoment::Change);
        notes.update(many(2000), StashMoment::Change);
        assert_eq!(notes.removed.len(), MAX_ENTRIES);
        assert_eq!(&*notes.removed[0].commit, format!("{:040}", 1000));
        assert_eq!(notes.present.len(), MAX_ENTRIES);
        assert_eq!(
            notes.present[0].subject,
            "ä".repeat(MAX_SUBJECT_CHARS) + "…"
        );
    }

    #[test]
    fn stash_notes_fail_when_damaged() {
        let dir = tempfile::tempdir().unwrap();
        let run = RunDir(dir.path().to_owned());
        assert_eq!(run.stash_notes().unwrap(), StashNotes::default());
        let mut notes = StashNotes::default();
        notes.update(entries("a"), StashMoment::Start);
        run.write_stash_notes(&notes).unwrap();
        assert_eq!(run.stash_notes().unwrap(), notes);
        for text in [
            "",
            "{}",
            r#"{"present":[{"commit":"x\ny","subject":""}],"removed":[]}"#,
        ] {
            std::fs::write(run.stash_notes_file(), text).unwrap();
            assert!(run.stash_notes().is_err(), "{text}");
        }
    }
}
