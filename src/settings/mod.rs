//! The configuration: all levels of git config, `git -c` included.
//!
//! All settings are in [`table`].

mod agents;
mod check;
mod effective;
mod hooks;
pub(crate) mod table;
mod values;

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use anyhow::{Result, bail};
use bstr::ByteSlice as _;

pub(crate) use self::effective::EffectiveSetting;
pub(crate) use self::table::Colour;
use self::table::Setting;
use crate::git::records::records;
use crate::git::{Git, completion};
use crate::task::BranchName;

/// A key and value of the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ConfigEntry {
    /// In the form of git: section and variable in lower case, subsection as written.
    pub(crate) key: String,
    pub(crate) value: String,
    /// The bytes of `value`, which may not be UTF-8.
    pub(crate) raw: OsString,
    /// `system`, `global`, `local`, `worktree` or `command`
    pub(crate) scope: String,
    /// `file:.git/config`, `command line:`
    pub(crate) origin: String,
}

impl ConfigEntry {
    /// Returns the text in this entry's key that stands for the placeholder of `setting`, such as
    /// an agent's name. `None` if the key is no key of that setting, or if the setting has no
    /// placeholder.
    fn placeholder_of(&self, setting: &Setting) -> Option<&str> {
        let (before, after) = setting.split_key()?;
        let after = after.to_ascii_lowercase();
        let name = self.key.strip_prefix(before)?.strip_suffix(&after)?;
        (!name.is_empty()).then_some(name)
    }

    /// Returns whether this entry's key is a key of `setting`, with any text for its placeholder.
    fn is_of(&self, setting: &Setting) -> bool {
        match setting.split_key() {
            Some(_) => self.placeholder_of(setting).is_some(),
            None => self.key.eq_ignore_ascii_case(setting.key),
        }
    }

    /// Returns the key of this entry, which must be one of `setting`, as the manual writes it.
    fn documented_key(&self, setting: &Setting) -> String {
        setting.documented_key(self.placeholder_of(setting).unwrap_or_default())
    }

    /// Describes where a configuration entry is set, for a message: `in file '.git/config'`, `from
    /// the command line`.
    fn describe_origin(&self) -> String {
        match self.origin.strip_prefix("file:") {
            Some(file) => format!("in file '{file}'"),
            None if self.origin == "command line:" => "from the command line".to_owned(),
            None => format!("in {}", self.origin.trim_end_matches(':')),
        }
    }
}

/// The configuration that git flux uses.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    /// The directory that origins are relative to.
    dir: PathBuf,
    entries: Vec<ConfigEntry>,
    /// The index of the last entry of each key, filled on first use: there may be thousands of
    /// branches.
    latest: OnceLock<HashMap<String, usize>>,
}

/// The sections that git flux uses.
const SECTIONS: &str = "branch color commit core diff filter flux hook includeif merge remote";

impl Settings {
    /// Loads the configuration, `git -c` included, and keeps the sections that git flux reads: `git
    /// config -z --show-scope --show-origin --list` in `dir`. That is twice as fast as a lookup of
    /// keys; libgit2 knows neither `git -c` nor every kind of include.
    pub(crate) fn load(dir: &Path) -> Result<Self> {
        let git = Git::reading(dir).words("config -z --show-scope --show-origin --list");
        Ok(Self {
            dir: dir.to_owned(),
            entries: parse(&git.output()?)?,
            ..Self::default()
        })
    }

    /// Returns the configuration with `dir` as the directory where relative paths in it begin.
    pub(crate) fn relative_to(self, dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            ..self
        }
    }

    /// Returns the configuration without the entries of scope `worktree`, from a linked worktree's
    /// `config.worktree`: its agent may have written them, and settings name programs.
    pub(crate) fn without_worktree_scope(mut self) -> Self {
        self.entries.retain(|entry| entry.scope != "worktree");
        self
    }

    /// Loads the configuration for shell completion, in the repository of the caller's directory
    /// and environment: `git config -z --list`. Entries have no scope and no origin.
    pub(crate) fn load_for_completion() -> Result<Self> {
        let entry = |(key, value): (String, String)| ConfigEntry {
            key,
            raw: value.clone().into(),
            value,
            ..ConfigEntry::default()
        };
        Ok(Self {
            entries: completion::read_config()?.into_iter().map(entry).collect(),
            ..Self::default()
        })
    }

    /// Returns the last configured entry of a setting whose key has no placeholder; `None` if it is
    /// not configured.
    fn entry_of(&self, setting: &Setting) -> Option<&ConfigEntry> {
        self.last_entry(&setting.canonical_key(""))
    }

    /// Returns the last configured entry of a key, whose section and variable must be in lower
    /// case; `None` if it is not configured.
    fn last_entry(&self, key: &str) -> Option<&ConfigEntry> {
        let latest = self.latest.get_or_init(|| {
            let keys = self.entries.iter().map(|entry| entry.key.clone());
            keys.zip(0..).collect()
        });
        latest.get(key).map(|at| &self.entries[*at])
    }

    /// Returns the last configured value of a key, whose section and variable must be in lower
    /// case; `None` if it is not configured.
    fn value_of(&self, key: &str) -> Option<&str> {
        self.last_entry(key).map(|entry| entry.value.as_str())
    }

    /// Returns the last configured value of a setting, or else its default; `None` if it has
    /// neither. Does not check the value.
    fn value(&self, setting: &'static Setting) -> Option<&str> {
        self.value_of(&setting.canonical_key(""))
            .or(setting.default)
    }

    /// Returns the last configured value of a setting, or else its default; `None` if it has
    /// neither. Fails if the configured value is invalid.
    fn checked_value(&self, setting: &'static Setting) -> Result<Option<&str>> {
        if let Some(entry) = self.entry_of(setting) {
            entry.ensure_allowed(setting)?;
        }
        Ok(self.value(setting))
    }

    /// Returns all configured entries of a setting with several values, in order. An empty value
    /// clears those before it, as in git.
    pub(super) fn all_entries(&self, setting: &Setting) -> Vec<&ConfigEntry> {
        let is_of = |it: &&ConfigEntry| it.is_of(setting);
        let entries: Vec<_> = self.entries.iter().filter(is_of).collect();
        let after = entries.iter().rposition(|entry| entry.value.is_empty());
        entries[after.map_or(0, |at| at + 1)..].to_vec()
    }

    /// Returns the first key `filter.*` in the repository's own configuration, of scope `local` or
    /// `worktree`; `None` if there is none.
    pub(crate) fn repository_filter(&self) -> Option<&str> {
        let is_own = |entry: &&ConfigEntry| {
            entry.key.starts_with("filter.") && ["local", "worktree"].contains(&&*entry.scope)
        };
        self.entries.iter().find(is_own).map(|entry| &*entry.key)
    }

    /// Returns the last configured value of a setting `branch.<name>.*` for `branch`; `None` if it
    /// is not configured.
    pub(crate) fn branch_value(&self, branch: &BranchName, setting: &Setting) -> Option<&str> {
        self.value_of(&setting.canonical_key(branch))
    }

    /// Returns the names and values of all `branch.<branch>.<name>` for this branch in the
    /// repository's own configuration, of scope `local`.
    pub(crate) fn branch_section(&self, branch: &BranchName) -> Vec<(String, String)> {
        let prefix = format!("branch.{branch}.");
        let entry = |entry: &ConfigEntry| {
            let name = entry.key.strip_prefix(&prefix)?;
            let is_own = entry.scope == "local" && !name.contains('.');
            is_own.then(|| (name.to_owned(), entry.value.clone()))
        };
        self.entries.iter().filter_map(entry).collect()
    }

    /// Returns the branch whose `branch.<name>.fluxTask` is `id`, the last of several; `None` if
    /// there is none. `git branch -m` may have renamed it since the task started.
    pub(crate) fn branch_of_task(&self, id: &str) -> Option<BranchName> {
        let belongs = |entry: &&ConfigEntry| entry.value == id && entry.is_of(&table::TASK);
        let entry = self.entries.iter().rev().find(belongs)?;
        entry.placeholder_of(&table::TASK).map(BranchName::new)
    }
}

fn parse(out: &[u8]) -> Result<Vec<ConfigEntry>> {
    let mut fields = records(out)?;
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    let is_relevant = |entry: &ConfigEntry| {
        let section = entry.key.split('.').next();
        SECTIONS.split(' ').any(|it| section == Some(it))
    };
    let mut entries = Vec::new();
    while let Some(scope) = fields.next() {
        let (Some(origin), Some(pair)) = (fields.next(), fields.next()) else {
            bail!("`git config` printed an incomplete entry");
        };
        // A key without a value is true.
        let (key, value) = pair.split_once_str("\n").unwrap_or((pair, b"true"));
        let entry = ConfigEntry {
            key: text(key),
            value: text(value),
            raw: OsStr::from_bytes(value).to_owned(),
            origin: text(origin),
            scope: text(scope),
        };
        entries.extend(Some(entry).filter(is_relevant));
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        let entries = parse(
            b"global\0file:/g\0flux.agent\ncodex\0local\0file:/l\0flux.agent\nclaude\0\
              command\0command line:\0flux.layout\nmiddle\0\
              local\0file:/l\0commit.gpgsign\0local\0file:/l\0branch.feature/a.b.description\none\ntwo\0\
              global\0file:/g\0branch.feature/a.b.remote\nup\0\
              local\0file:/l\0branch.renamed.fluxtask\nfix-1\0local\0file:/l\0flux.Mine.command\nsh -c 'a b'\0",
        ).unwrap();
        Settings {
            entries,
            ..Settings::default()
        }
    }

    #[test]
    fn last_value_takes_precedence() {
        let settings = settings();
        assert_eq!(settings.agent(), "claude");
        assert_eq!(
            settings.layout().unwrap_err().to_string(),
            "bad value 'middle' for 'flux.layout' from the command line"
        );
        assert!(settings.signs_commits().unwrap());
        assert_eq!(
            settings.branch_value(&BranchName::new("feature/a.b"), &table::DESCRIPTION),
            Some("one\ntwo")
        );
        let section = [("description".to_owned(), "one\ntwo".to_owned())];
        assert_eq!(
            settings.branch_section(&BranchName::new("feature/a.b")),
            section
        );
        assert!(
            settings
                .branch_section(&BranchName::new("feature/a"))
                .is_empty()
        );
        assert_eq!(
            settings.branch_of_task("fix-1"),
            Some(BranchName::new("renamed"))
        );
    }

    #[test]
    fn find_agent_splits_a_command_without_expansion() {
        let (agent, _) = settings().find_agent("Mine").unwrap();
        assert_eq!(agent.argv, ["sh", "-c", "a b"]);
        assert!(settings().find_agent("none").is_err());
    }
}
