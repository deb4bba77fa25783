//! The typed value of each setting.

use std::collections::HashMap;
use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use jiff::Timestamp;

use super::table::{self, Colour, Setting, parse_colour};
use super::{ConfigEntry, Settings};
use crate::failure::Failure;
use crate::git::repo::parse_bool;
use crate::git::{Git, Style};
use crate::system::clock::{from_seconds, parse_duration};
use crate::task::{BranchName, HEADS, Layout, ObjectId};

impl Settings {
    /// Returns the value of `flux.layout`: where agents run. `None` means `auto`. Fails if it is
    /// invalid.
    pub(crate) fn layout(&self) -> Result<Option<Layout>> {
        let value = self.checked_value(&table::LAYOUT)?;
        Ok(value.and_then(|value| value.parse().ok()))
    }

    /// Returns the configured keys and values that change how git merges files: `merge.*` and
    /// `diff.*`.
    pub(crate) fn merge_entries(&self) -> impl Iterator<Item = (&str, &str)> {
        let is_of = |entry: &&ConfigEntry| {
            ["merge.", "diff."]
                .iter()
                .any(|of| entry.key.starts_with(of))
        };
        let entries = self.entries.iter().filter(is_of);
        entries.map(|entry| (entry.key.as_str(), entry.value.as_str()))
    }

    /// Returns the value of `flux.merge`: how cleanup merges. Fails if it is invalid.
    pub(crate) fn merge_style(&self) -> Result<Style> {
        let value = self.checked_value(&table::MERGE)?.unwrap_or_default();
        Ok(value.parse().unwrap_or_default())
    }

    /// Returns the value of `flux.into`: the branch that cleanup merges a task into unless
    /// `branch.<name>.fluxInto` names another. `None` if it is not set or empty.
    pub(crate) fn default_target(&self) -> Option<&str> {
        self.value(&table::INTO).filter(|branch| !branch.is_empty())
    }

    /// Returns the value of `flux.landRounds`: how often `land` sends a task back to its agent before
    /// it is blocked; at least 1. Fails if it is no number.
    pub(crate) fn land_rounds(&self) -> Result<usize> {
        let value = self.checked_value(&table::LAND_ROUNDS)?.unwrap_or_default();
        let rounds: usize = value.parse().context("'flux.landRounds' is not a number")?;
        Ok(rounds.max(1))
    }

    /// Returns the value of `flux.landUnseen`: whether `land` without a task lands tasks with unseen
    /// files; `true` if it is not set. Fails if it is no boolean.
    pub(crate) fn lands_unseen(&self) -> Result<bool> {
        let value = self.checked_value(&table::LAND_UNSEEN)?;
        Ok(value.and_then(parse_bool).unwrap_or(true))
    }

    /// Returns the arguments with which `git push` pushes a branch: the remote
    /// (`branch.<name>.pushRemote`, `remote.pushDefault` or `branch.<name>.remote`), and the branch,
    /// with the name of its upstream if that is another branch there. `None` if no remote is set, or
    /// if it is this repository.
    pub(crate) fn push_arguments(&self, branch: &BranchName) -> Option<[String; 2]> {
        let section = self.branch_section(branch);
        let of = |key: &str| {
            let mut values = section
                .iter()
                .filter(|(name, _)| name.eq_ignore_ascii_case(key));
            values.next_back().map(|(_, value)| value.clone())
        };
        let default = || self.value_of("remote.pushdefault").map(str::to_owned);
        let remote = of("pushRemote").or_else(default).or_else(|| of("remote"));
        let remote = remote.filter(|remote| remote != ".")?;
        let upstream = of("merge").filter(|_| of("remote").as_ref() == Some(&remote));
        let upstream = upstream
            .as_deref()
            .and_then(|name| name.strip_prefix(HEADS));
        let refspec = match upstream.filter(|name| **name != **branch) {
            Some(upstream) => format!("{branch}:{upstream}"),
            None => branch.to_string(),
        };
        Some([remote, refspec])
    }

    /// Returns the value of `flux.branchPrefix`: the prefix of the names of new branches.
    pub(crate) fn branch_prefix(&self) -> &str {
        self.value(&table::BRANCH_PREFIX).unwrap_or_default()
    }

    /// Returns the directory for new worktrees: `flux.worktreeDir`, where a relative path begins at
    /// `home`, or `beside` if that is not set or empty.
    pub(crate) fn worktree_dir(&self, home: &Path, beside: &Path) -> PathBuf {
        let dir = self.path(&table::WORKTREE_DIR, home);
        dir.map_or_else(|| beside.to_owned(), |(dir, _)| dir)
    }

    /// Returns the path in `flux.template`, and where it is configured, for a message. A relative
    /// path begins at `home`. `None` if the setting is not set or empty.
    pub(crate) fn template(&self, home: &Path) -> Option<(PathBuf, String)> {
        let (file, entry) = self.path(&table::TEMPLATE, home)?;
        Some((file, entry.describe_origin()))
    }

    /// Returns the path in a setting, and its configured entry. `~/` is the user's home directory,
    /// any other relative path begins at `home`. `None` if the setting is not set or empty.
    fn path(&self, setting: &Setting, home: &Path) -> Option<(PathBuf, &ConfigEntry)> {
        let entry = self.entry_of(setting).filter(|it| !it.value.is_empty())?;
        let path = Path::new(&entry.raw);
        let path = match (path.strip_prefix("~"), env::home_dir()) {
            (Ok(rest), Some(user)) => user.join(rest),
            _ => home.join(path),
        };
        Some((path, entry))
    }

    /// Returns the value of `commit.gpgSign`; `false` if it is not set. Fails if it is no boolean.
    pub(crate) fn signs_commits(&self) -> Result<bool> {
        let Some(entry) = self.last_entry("commit.gpgsign") else {
            return Ok(false);
        };
        parse_bool(&entry.value).with_context(|| {
            let (value, place) = (&entry.value, entry.describe_origin());
            format!("bad value '{value}' for 'commit.gpgSign' {place}")
        })
    }

    /// Returns the value of `flux.trashKeep`: how many of the last removed worktrees stay in the
    /// trash when they are older than an hour. Fails if it is no number.
    pub(crate) fn trash_keep(&self) -> Result<usize> {
        let value = self.checked_value(&table::TRASH_KEEP)?.unwrap_or_default();
        value.parse().context("'flux.trashKeep' is not a number")
    }

    /// Returns the time before which a task must have been removed to expire now, by
    /// `flux.archiveExpire`: `git config --type=expiry-date --default=90.days --get
    /// flux.archiveExpire`
    pub(crate) fn archive_expiry(dir: &Path) -> Result<Timestamp> {
        let setting = &table::ARCHIVE_EXPIRE;
        let default = format!("--default={}", setting.default.unwrap_or_default());
        let git = Git::reading(dir).words("config --type=expiry-date");
        let line = git.args([&default, "--get", setting.key]).line()?;
        let seconds = line.parse().context("`git config` printed no time")?;
        // That of `now` is the largest number.
        Ok(from_seconds(seconds).unwrap_or(Timestamp::MAX))
    }

    /// Returns the values of `flux.copy`: patterns, as in `.gitignore`, of untracked files to copy
    /// to a new worktree. Empty if it is not set.
    pub(crate) fn copy_patterns(&self) -> Vec<OsString> {
        self.raw_values(&table::COPY)
    }

    /// Returns the values of `flux.setup`: shell commands to run in a new worktree before its
    /// agent. Empty if it is not set.
    pub(crate) fn setup_commands(&self) -> Vec<OsString> {
        self.raw_values(&table::SETUP)
    }

    /// Returns the values of `flux.gate`: the shell commands that a tree must pass, in order. Empty
    /// if it is not set.
    pub(crate) fn gate_commands(&self) -> Vec<OsString> {
        self.raw_values(&table::GATE)
    }

    /// Returns the values of `flux.gateSeed`, or else of `flux.copy`: patterns, as in `.gitignore`,
    /// of untracked files to copy to the worktree of the gate. Empty if neither is set.
    pub(crate) fn seed_patterns(&self) -> Vec<OsString> {
        match self.entry_of(&table::GATE_SEED) {
            Some(_) => self.raw_values(&table::GATE_SEED),
            None => self.copy_patterns(),
        }
    }

    /// Returns the value of `flux.gateTimeout`: how long all commands of the gate may take together.
    /// Fails if it is no duration.
    pub(crate) fn gate_timeout(&self) -> Result<Duration> {
        let value = self.checked_value(&table::GATE_TIMEOUT)?;
        let timeout = parse_duration(value.unwrap_or_default());
        timeout.context("'flux.gateTimeout' is not a duration")
    }

    /// Returns the value of `flux.gateRetries`: how often a gate that fails is run again. Fails if it
    /// is no number.
    pub(crate) fn gate_retries(&self) -> Result<usize> {
        let value = self
            .checked_value(&table::GATE_RETRIES)?
            .unwrap_or_default();
        value.parse().context("'flux.gateRetries' is not a number")
    }

    fn raw_values(&self, setting: &Setting) -> Vec<OsString> {
        let entries = self.all_entries(setting).into_iter();
        entries.map(|entry| entry.raw.clone()).collect()
    }

    /// Returns the value of `flux.setupRequired`: whether a failed setup command aborts the start
    /// of a task; `true` if it is not set. Fails if it is no boolean.
    pub(crate) fn is_setup_required(&self) -> Result<bool> {
        let value = self.checked_value(&table::SETUP_REQUIRED)?;
        Ok(value.and_then(parse_bool).unwrap_or(true))
    }

    /// Returns the words of `flux.wrapper`, the command that runs the agent; empty if it is not
    /// set. Fails if its quotes do not match.
    pub(crate) fn wrapper(&self) -> Result<Vec<String>> {
        let value = self.checked_value(&table::WRAPPER)?;
        Ok(value.and_then(table::split_command).unwrap_or_default())
    }

    /// Returns the value of `flux.wrapper` as it is written; empty if it is not set.
    pub(crate) fn wrapper_as_written(&self) -> &str {
        self.value(&table::WRAPPER).unwrap_or_default()
    }

    /// Returns whether a value of `flux.trust` is `tree`, the object name of a directory
    /// `.worktree-init`: the setup scripts in it may run.
    pub(crate) fn trusts(&self, tree: &ObjectId) -> bool {
        let entries = self.all_entries(&table::TRUST);
        entries.iter().any(|entry| entry.value == *tree)
    }

    /// Returns the value of `color.flux`, or else of `color.ui`: when output is coloured. `None` if
    /// neither is set, or `color.ui` is invalid. Fails if `color.flux` is invalid.
    pub(crate) fn colour(&self) -> Result<Option<Colour>> {
        let own = self.checked_value(&table::COLOUR)?;
        Ok(own
            .or_else(|| self.value_of("color.ui"))
            .and_then(parse_colour))
    }

    /// Returns the escape sequence of each configured `color.flux.<slot>`, by slot: `git config
    /// --get-color color.flux.<slot>`. Fails if one is no colour.
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
                Failure::new(format!("'{value}' is not a colour for '{key}' {place}"))
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
