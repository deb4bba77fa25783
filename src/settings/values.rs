//! The typed value of each setting.

use std::collections::HashMap;
use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::table::{self, Colour, Setting, parse_colour};
use super::{ConfigEntry, Settings};
use crate::failure::Failure;
use crate::git::repo::parse_bool;
use crate::git::{Git, Style};
use crate::task::{Layout, ObjectId};

impl Settings {
    /// Returns `flux.layout`; `None` means `auto`.
    pub(crate) fn layout(&self) -> Result<Option<Layout>> {
        let value = self.checked_value(&table::LAYOUT)?;
        Ok(value.and_then(|value| value.parse().ok()))
    }

    /// Returns `flux.merge`: how cleanup merges.
    pub(crate) fn merge_style(&self) -> Result<Style> {
        let value = self.checked_value(&table::MERGE)?.unwrap_or_default();
        Ok(value.parse().unwrap_or_default())
    }

    /// Returns `flux.into`: the branch that cleanup merges all tasks into.
    pub(crate) fn default_target(&self) -> Option<&str> {
        self.value(&table::INTO).filter(|branch| !branch.is_empty())
    }

    /// Returns `flux.branchPrefix`.
    pub(crate) fn branch_prefix(&self) -> &str {
        self.value(&table::BRANCH_PREFIX).unwrap_or_default()
    }

    /// Returns `flux.worktreeDir`, relative to `home`; by default `beside`.
    pub(crate) fn worktree_dir(&self, home: &Path, beside: &Path) -> PathBuf {
        let dir = self.path(&table::WORKTREE_DIR, home);
        dir.map_or_else(|| beside.to_owned(), |(dir, _)| dir)
    }

    /// Returns `flux.template`, relative to `home`, and its origin.
    pub(crate) fn template(&self, home: &Path) -> Option<(PathBuf, String)> {
        let (file, entry) = self.path(&table::TEMPLATE, home)?;
        Some((file, entry.describe_origin()))
    }

    /// Returns a path, relative to `home`, and expands `~/` as `git config --type=path` does.
    fn path(&self, setting: &Setting, home: &Path) -> Option<(PathBuf, &ConfigEntry)> {
        let entry = self.entry_of(setting).filter(|it| !it.value.is_empty())?;
        let path = Path::new(&entry.raw);
        let path = match (path.strip_prefix("~"), env::home_dir()) {
            (Ok(rest), Some(user)) => user.join(rest),
            _ => home.join(path),
        };
        Some((path, entry))
    }

    /// Returns `commit.gpgSign`.
    pub(crate) fn sign(&self) -> Result<bool> {
        let Some(entry) = self.last_entry("commit.gpgsign") else {
            return Ok(false);
        };
        parse_bool(&entry.value).with_context(|| {
            let (value, place) = (&entry.value, entry.describe_origin());
            format!("bad value '{value}' for 'commit.gpgSign' {place}")
        })
    }

    /// Returns `flux.trashKeep`: how many removed worktrees are kept whole.
    pub(crate) fn trash_keep(&self) -> Result<usize> {
        let value = self.checked_value(&table::TRASH_KEEP)?.unwrap_or_default();
        value.parse().context("'flux.trashKeep' is not a number")
    }

    /// Returns `flux.archiveExpire` in seconds since 1970: tasks that were removed before it
    /// expire. Runs `git config --type=expiry-date --default=90.days.ago --get flux.archiveExpire`.
    pub(crate) fn archive_expiry(dir: &Path) -> Result<u64> {
        let setting = &table::ARCHIVE_EXPIRE;
        let default = format!("--default={}", setting.default.unwrap_or_default());
        let git = Git::reading(dir).words("config --type=expiry-date");
        let line = git.args([&default, "--get", setting.key]).line()?;
        line.parse().context("`git config` printed no time")
    }

    /// Returns `flux.copy`: patterns as in `.gitignore`.
    pub(crate) fn copy_patterns(&self) -> Vec<OsString> {
        self.raw_values(&table::COPY)
    }

    /// Returns `flux.setup`: shell commands.
    pub(crate) fn setup_commands(&self) -> Vec<OsString> {
        self.raw_values(&table::SETUP)
    }

    fn raw_values(&self, setting: &Setting) -> Vec<OsString> {
        let entries = self.all_entries(setting).into_iter();
        entries.map(|entry| entry.raw.clone()).collect()
    }

    /// Returns `flux.setupRequired`.
    pub(crate) fn is_setup_required(&self) -> Result<bool> {
        let value = self.checked_value(&table::SETUP_REQUIRED)?;
        Ok(value.and_then(parse_bool).unwrap_or(true))
    }

    /// Returns the words of `flux.wrapper`, or none.
    pub(crate) fn wrapper(&self) -> Result<Vec<String>> {
        let value = self.checked_value(&table::WRAPPER)?;
        Ok(value.and_then(table::split_command).unwrap_or_default())
    }

    /// Returns `flux.wrapper` as written.
    pub(crate) fn wrapper_as_written(&self) -> &str {
        self.value(&table::WRAPPER).unwrap_or_default()
    }

    /// Returns whether `flux.trust` names a tree.
    pub(crate) fn trusts(&self, tree: &ObjectId) -> bool {
        let entries = self.all_entries(&table::TRUST);
        entries.iter().any(|entry| entry.value == *tree)
    }

    /// Returns `color.flux`, or else `color.ui`, which git itself checks.
    pub(crate) fn colour(&self) -> Result<Option<Colour>> {
        let own = self.checked_value(&table::COLOUR)?;
        Ok(own
            .or_else(|| self.value_of("color.ui"))
            .and_then(parse_colour))
    }

    /// Returns the escape sequences of `color.flux.<slot>`: `git config --get-color
    /// color.flux.<slot>`.
    pub(crate) fn slot_colours(&self, dir: &Path) -> Result<HashMap<String, String>> {
        let mut slots = HashMap::new();
        for entry in self.entries.iter() {
            let slot = entry.placeholder_of(&table::COLOUR_SLOT);
            let Some(slot) = slot.filter(|slot| !slots.contains_key(*slot)) else {
                continue;
            };
            let git = Git::reading(dir).words("config --get-color");
            let code = git.arg(&entry.key).output();
            let code = code.with_context(|| {
                let (key, value, place) = (&entry.key, &entry.value, entry.describe_origin());
                Failure::new(format!("'{value}' is no colour for '{key}' {place}"))
                    .hint(format!("git config {} 'red bold'", shell_words::quote(key)))
            })?;
            slots.insert(slot.to_owned(), String::from_utf8(code)?);
        }
        Ok(slots)
    }
}

#[cfg(test)]
mod tests {
    use super::{Colour, parse_colour};

    #[test]
    fn parse_colour_accepts_the_values_of_git() {
        for (value, expected) in [
            ("always", Some(Colour::Always)),
            ("auto", Some(Colour::Auto)),
            ("true", Some(Colour::Auto)),
            ("never", Some(Colour::Never)),
            ("false", Some(Colour::Never)),
            ("sometimes", None),
        ] {
            assert_eq!(parse_colour(value), expected, "{value}");
        }
    }
}
