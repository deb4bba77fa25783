//! What the user has configured: git config, every level of it, `git -c` included.
//!
//! What there is to configure is in [`table`], once.

mod agents;
mod check;
mod hooks;
mod shown;
pub(crate) mod table;
mod values;

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use anyhow::{Result, bail};
use bstr::ByteSlice as _;

pub(crate) use self::shown::Shown;
pub(crate) use self::table::Colour;
use self::table::Setting;
use crate::git::records::records;
use crate::git::{Git, completion};
use crate::task::BranchName;

/// One line of configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    /// As git prints it: section and variable in lower case, subsection as written.
    pub(crate) key: String,
    pub(crate) value: String,
    /// The same, also where it is not UTF-8.
    pub(crate) raw: OsString,
    /// `system`, `global`, `local`, `worktree` or `command`
    pub(crate) scope: String,
    /// `file:.git/config`, `command line:`
    pub(crate) origin: String,
}

impl Entry {
    /// Returns where it is configured, in words: `in file '.git/config'`.
    fn place(&self) -> String {
        match self.origin.strip_prefix("file:") {
            Some(file) => format!("in file '{file}'"),
            None if self.origin == "command line:" => "from the command line".to_owned(),
            None => format!("in {}", self.origin.trim_end_matches(':')),
        }
    }
}

/// The configuration that concerns git flux, read in one go.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    /// Where it was read: what git says of files is relative to it.
    dir: PathBuf,
    entries: Vec<Entry>,
    /// Where the last entry of each key is, once somebody has asked: there may be thousands of branches.
    latest: OnceLock<HashMap<String, usize>>,
}

/// The sections that concern git flux.
const SECTIONS: &str = "branch color commit core filter flux hook includeif merge";

/// Whether a key concerns git flux.
fn concerns(key: &str) -> bool {
    let section = key.split('.').next();
    SECTIONS.split(' ').any(|it| section == Some(it))
}

impl Settings {
    /// `git config -z --show-scope --show-origin --list` in `dir`, which takes git half the time
    /// that looking for keys does. git reads it, not libgit2, which knows neither `git -c` nor
    /// every kind of include.
    ///
    /// # Errors
    /// When git fails.
    pub(crate) fn load(dir: &Path) -> Result<Self> {
        let args = ["-z", "--show-scope", "--show-origin", "--list"];
        Ok(Self {
            dir: dir.to_owned(),
            entries: parse(&Git::reading(dir, "config").args(args).output()?)?,
            ..Self::default()
        })
    }

    /// The same, which were read below `dir`.
    pub(crate) fn of(self, dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            ..self
        }
    }

    /// Leaves out what a linked worktree has configured for itself: its agent may have, and
    /// settings name programs.
    pub(crate) fn without_worktree(mut self) -> Self {
        self.entries.retain(|entry| entry.scope != "worktree");
        self
    }

    /// The same for the repository that the caller's directory and environment name: what is
    /// asked while a line is typed.
    ///
    /// # Errors
    /// When git fails.
    pub(crate) fn glance() -> Result<Self> {
        let entry = |(key, value): (String, String)| Entry {
            key,
            raw: value.clone().into(),
            value,
            ..Entry::default()
        };
        Ok(Self {
            entries: completion::read_config()?.into_iter().map(entry).collect(),
            ..Self::default()
        })
    }

    /// The entry of a setting that holds, if there is one.
    fn entry(&self, setting: &Setting) -> Option<&Entry> {
        self.last(&setting.of(""))
    }

    /// The last entry of a key, as git prints it.
    fn last(&self, key: &str) -> Option<&Entry> {
        let latest = self.latest.get_or_init(|| {
            let keys = self.entries.iter().map(|entry| entry.key.clone());
            keys.zip(0..).collect()
        });
        latest.get(key).map(|at| &self.entries[*at])
    }

    /// The last value of a key, as git prints it.
    fn value_of(&self, key: &str) -> Option<&str> {
        self.last(key).map(|entry| entry.value.as_str())
    }

    /// What is configured for a setting, or else holds for everybody.
    fn value(&self, setting: &'static Setting) -> Option<&str> {
        self.value_of(&setting.of("")).or(setting.default)
    }

    /// The same, looked at.
    ///
    /// # Errors
    /// When it is no value for that.
    fn checked(&self, setting: &'static Setting) -> Result<Option<&str>> {
        if let Some(entry) = self.entry(setting) {
            entry.ensure_allowed(setting)?;
        }
        Ok(self.value(setting))
    }

    /// The entries of a setting that may be given several times. An empty value takes
    /// back those before it, as it does for git's own.
    pub(super) fn every(&self, setting: &Setting) -> Vec<&Entry> {
        let entries = self.entries.iter().filter(|entry| setting.is(&entry.key));
        let entries: Vec<&Entry> = entries.collect();
        let after = entries.iter().rposition(|entry| entry.value.is_empty());
        entries[after.map_or(0, |at| at + 1)..].to_vec()
    }

    /// The first key of a filter that the repository itself has configured.
    pub(crate) fn own_filter(&self) -> Option<&str> {
        let is_own = |entry: &&Entry| {
            entry.key.starts_with("filter.") && ["local", "worktree"].contains(&&*entry.scope)
        };
        self.entries.iter().find(is_own).map(|entry| &*entry.key)
    }

    /// A setting of a branch.
    pub(crate) fn of_branch(&self, branch: &str, setting: &Setting) -> Option<&str> {
        self.value_of(&setting.of(branch))
    }

    /// What the repository itself has configured for a branch, in order: name and value.
    pub(crate) fn section_of_branch(&self, branch: &BranchName) -> Vec<(String, String)> {
        let prefix = format!("branch.{branch}.");
        let entry = |entry: &Entry| {
            let name = entry.key.strip_prefix(&prefix)?;
            let is_own = entry.scope == "local" && !name.contains('.');
            is_own.then(|| (name.to_owned(), entry.value.clone()))
        };
        self.entries.iter().filter_map(entry).collect()
    }

    /// The branch that says it belongs to task `id`: it may have been renamed by `git branch -m`.
    pub(crate) fn branch_of(&self, id: &str) -> Option<&str> {
        let belongs = |entry: &&Entry| entry.value == id && table::TASK.is(&entry.key);
        let entry = self.entries.iter().rev().find(belongs)?;
        table::TASK.name_in(&entry.key)
    }
}

/// # Errors
/// When it is not all of a configuration.
fn parse(out: &[u8]) -> Result<Vec<Entry>> {
    let mut fields = records(out)?;
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    let mut entries = Vec::new();
    while let Some(scope) = fields.next() {
        let (Some(origin), Some(pair)) = (fields.next(), fields.next()) else {
            bail!("`git config` printed half an entry");
        };
        // A key without a value is true, as git has it.
        let (key, value) = pair.split_once_str("\n").unwrap_or((pair, b"true"));
        let entry = Entry {
            key: text(key),
            value: text(value),
            raw: OsStr::from_bytes(value).to_owned(),
            origin: text(origin),
            scope: text(scope),
        };
        entries.extend(Some(entry).filter(|entry| concerns(&entry.key)));
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
    fn the_last_value_wins_and_says_where_it_is_from() {
        let settings = settings();
        assert_eq!(settings.agent(), "claude");
        assert_eq!(
            settings.layout().unwrap_err().to_string(),
            "bad value 'middle' for 'flux.layout' from the command line"
        );
        assert!(settings.sign().unwrap());
        assert_eq!(
            settings.of_branch("feature/a.b", &table::DESCRIPTION),
            Some("one\ntwo")
        );
        let section = [("description".to_owned(), "one\ntwo".to_owned())];
        assert_eq!(
            settings.section_of_branch(&BranchName::new("feature/a.b")),
            section
        );
        assert!(
            settings
                .section_of_branch(&BranchName::new("feature/a"))
                .is_empty()
        );
        assert_eq!(settings.branch_of("fix-1"), Some("renamed"));
    }

    #[test]
    fn commands_are_split_as_a_shell_would_and_nothing_is_expanded() {
        let (agent, _) = settings().find_agent("Mine").unwrap();
        assert_eq!(agent.argv, ["sh", "-c", "a b"]);
        assert!(settings().find_agent("none").is_err());
    }
}
