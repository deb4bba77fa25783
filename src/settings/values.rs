//! The value of each setting, as a type.

use std::collections::HashMap;
use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::table::{self, Colour, Setting, colour};
use super::{Entry, Settings};
use crate::failure::Failure;
use crate::git::repo::parse_bool;
use crate::git::{Git, Style};
use crate::task::Layout;

impl Settings {
    /// `flux.layout`; none means `auto`.
    pub(crate) fn layout(&self) -> Result<Option<Layout>> {
        let value = self.checked(&table::LAYOUT)?;
        Ok(value.and_then(|value| value.parse().ok()))
    }

    /// `flux.merge`: how cleanup merges.
    pub(crate) fn style(&self) -> Result<Style> {
        let value = self.checked(&table::MERGE)?.unwrap_or_default();
        Ok(value.parse().unwrap_or_default())
    }

    /// `flux.into`: the branch that cleanup merges into, wherever a task started from.
    pub(crate) fn into(&self) -> Option<&str> {
        self.value(&table::INTO).filter(|branch| !branch.is_empty())
    }

    /// `flux.branchPrefix`: what a task's branch begins with, by default `feature/`.
    pub(crate) fn branch_prefix(&self) -> &str {
        self.value(&table::BRANCH_PREFIX).unwrap_or_default()
    }

    /// `flux.worktreeDir`: where worktrees are made, relative to `home`, by default beside it.
    pub(crate) fn worktree_dir(&self, home: &Path, beside: &Path) -> PathBuf {
        let dir = self.path(&table::WORKTREE_DIR, home);
        dir.map_or_else(|| beside.to_owned(), |(dir, _)| dir)
    }

    /// `flux.template`: a file, relative to `home`, and where it is configured.
    pub(crate) fn template(&self, home: &Path) -> Option<(PathBuf, String)> {
        let (file, entry) = self.path(&table::TEMPLATE, home)?;
        Some((file, entry.place()))
    }

    /// A path, relative to `home`, with a leading `~/` replaced, as `git config --type=path` does.
    fn path(&self, setting: &Setting, home: &Path) -> Option<(PathBuf, &Entry)> {
        let entry = self.entry(setting).filter(|it| !it.value.is_empty())?;
        let path = Path::new(&entry.raw);
        let path = match (path.strip_prefix("~"), env::home_dir()) {
            (Ok(rest), Some(user)) => user.join(rest),
            _ => home.join(path),
        };
        Some((path, entry))
    }

    /// `commit.gpgSign`
    pub(crate) fn sign(&self) -> Result<bool> {
        let Some(entry) = self.last("commit.gpgsign") else {
            return Ok(false);
        };
        parse_bool(&entry.value).with_context(|| {
            let (value, place) = (&entry.value, entry.place());
            format!("bad value '{value}' for 'commit.gpgSign' {place}")
        })
    }

    /// `flux.trashKeep`: how many removed worktrees stay whole, by default 3.
    pub(crate) fn trash_keep(&self) -> Result<usize> {
        let value = self.checked(&table::TRASH_KEEP)?.unwrap_or_default();
        value.parse().context("'flux.trashKeep' is not a number")
    }

    /// `flux.archiveExpire`, in seconds since 1970: what was removed before may go.
    /// `git config --type=expiry-date --default=90.days.ago --get flux.archiveExpire`
    pub(crate) fn archive_expiry(dir: &Path) -> Result<u64> {
        let setting = &table::ARCHIVE_EXPIRE;
        let default = format!("--default={}", setting.default.unwrap_or_default());
        let args = ["--type=expiry-date", &default, "--get", setting.key];
        let line = Git::reading(dir, "config").args(args).line()?;
        line.parse().context("`git config` printed no time")
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
    pub(crate) fn setup_required(&self) -> Result<bool> {
        let value = self.checked(&table::SETUP_REQUIRED)?;
        Ok(value.and_then(parse_bool).unwrap_or(true))
    }

    /// `flux.wrapper`: its words; none if there is none.
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

    /// `color.flux`, or `color.ui`, of which git itself says what is wrong with it.
    pub(crate) fn colour(&self) -> Result<Option<Colour>> {
        let own = self.checked(&table::COLOUR)?;
        Ok(own.or_else(|| self.value_of("color.ui")).and_then(colour))
    }

    /// The slots that have a colour, with what begins it on a terminal:
    /// `git config --get-color color.flux.<slot>`
    pub(crate) fn colours_of_slots(&self, dir: &Path) -> Result<HashMap<String, String>> {
        let mut slots = HashMap::new();
        for entry in self.entries.iter() {
            let slot = table::COLOUR_SLOT.name_in(&entry.key);
            let Some(slot) = slot.filter(|slot| !slots.contains_key(*slot)) else {
                continue;
            };
            let args = ["--get-color", &entry.key];
            let code = Git::reading(dir, "config").args(args).output();
            let code = code.with_context(|| {
                let (key, value, place) = (&entry.key, &entry.value, entry.place());
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
    use super::{Colour, colour};

    #[test]
    fn colours_are_switched_as_git_does() {
        for (value, expected) in [
            ("always", Some(Colour::Always)),
            ("auto", Some(Colour::Auto)),
            ("true", Some(Colour::Auto)),
            ("never", Some(Colour::Never)),
            ("false", Some(Colour::Never)),
            ("sometimes", None),
        ] {
            assert_eq!(colour(value), expected, "{value}");
        }
    }
}
