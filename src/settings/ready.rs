//! What makes a new worktree ready to work.

use std::ffi::OsString;

use super::table::{self, Setting};
use super::{Entry, Settings};

impl Settings {
    /// The entries of a setting that may be given several times. An empty value takes
    /// back those before it, as it does for git's own.
    pub(super) fn every(&self, setting: &Setting) -> Vec<&Entry> {
        let entries = self.entries.iter().filter(|entry| setting.is(&entry.key));
        let entries: Vec<&Entry> = entries.collect();
        let after = entries.iter().rposition(|entry| entry.value.is_empty());
        entries[after.map_or(0, |at| at + 1)..].to_vec()
    }

    /// `flux.copy`: patterns, as `.gitignore` has them.
    pub(crate) fn copy(&self) -> Vec<OsString> {
        let patterns = self.every(&table::COPY).into_iter();
        patterns.map(|entry| entry.raw.clone()).collect()
    }
}
