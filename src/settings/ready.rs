//! What makes a new worktree ready to work.

use std::ffi::OsString;

use anyhow::Result;

use super::table::{self, Setting};
use super::{Entry, Settings};
use crate::git::repo::parse_bool;

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
        self.all(&table::COPY)
    }

    /// `flux.setup`: commands for a shell.
    pub(crate) fn setup(&self) -> Vec<OsString> {
        self.all(&table::SETUP)
    }

    fn all(&self, setting: &Setting) -> Vec<OsString> {
        let entries = self.every(setting).into_iter();
        entries.map(|entry| entry.raw.clone()).collect()
    }

    /// `flux.setupRequired`
    ///
    /// # Errors
    /// When it is not a boolean.
    pub(crate) fn setup_required(&self) -> Result<bool> {
        let value = self.checked(&table::SETUP_REQUIRED)?;
        Ok(value.and_then(parse_bool).unwrap_or(true))
    }

    /// `flux.wrapper`: its words; none if there is none.
    ///
    /// # Errors
    /// When its quotes do not match.
    pub(crate) fn wrapper(&self) -> Result<Vec<String>> {
        let value = self.checked(&table::WRAPPER)?;
        Ok(value.and_then(table::words).unwrap_or_default())
    }

    /// `flux.wrapper` in one piece.
    pub(crate) fn wrapper_as_written(&self) -> &str {
        self.value(&table::WRAPPER).unwrap_or_default()
    }

    /// Whether `flux.trust` names this tree.
    pub(crate) fn trusts(&self, tree: &str) -> bool {
        let entries = self.every(&table::TRUST);
        entries.iter().any(|entry| entry.value == tree)
    }
}
