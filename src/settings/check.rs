//! Checks the configuration. git names the file of a setting, but not its line.

use anyhow::Result;

use super::table::{self, Setting, ValueKind};
use super::{ConfigEntry, Settings};
use crate::failure::{Failure, nearest};
use crate::launcher::notify::METHODS;
use crate::sanitize::quoted;

impl Settings {
    /// Fails on the first configured key `flux.*` or `branch.<name>.flux*` that is no setting of
    /// git flux. Does not check values.
    pub(crate) fn ensure_keys_known(&self) -> Result<()> {
        let unknown = self.unknown_entries().next();
        unknown.map_or(Ok(()), |entry| Err(self.unknown_key(entry).into()))
    }

    /// Returns the configured entries whose key is `flux.*` or `branch.<name>.flux*` and no setting
    /// of git flux.
    pub(super) fn unknown_entries(&self) -> impl Iterator<Item = &ConfigEntry> {
        let ours = |key: &str| {
            let variable = key.rsplit('.').next().unwrap_or_default();
            key.starts_with("flux.") || key.starts_with("branch.") && variable.starts_with("flux")
        };
        let is_known = |entry: &ConfigEntry| table::ALL.iter().any(|it| entry.is_of(it));
        let entries = self.entries.iter();
        entries.filter(move |entry| ours(&entry.key) && !is_known(entry))
    }

    /// Returns the error that a configured key is no setting of git flux. Its hints are a similar
    /// setting, all settings, and the command that removes the key.
    pub(super) fn unknown_key(&self, entry: &ConfigEntry) -> Failure {
        let key = &entry.key;
        let (section, rest) = key.split_once('.').unwrap_or_default();
        let name = rest.rsplit_once('.').map(|(name, _)| name);
        // The prefix of all keys that this one may be meant to be.
        let common = match name {
            Some(name) if section == "branch" => format!("branch.{name}."),
            _ => "flux.".to_owned(),
        };
        let name = name.unwrap_or("<agent>");
        let known = table::ALL.iter().map(|it| it.documented_key(name));
        let known: Vec<String> = known.filter(|known| known.starts_with(&common)).collect();
        let names = known.iter().map(|known| &known[common.len()..]);
        let near = nearest(key.strip_prefix(&common).unwrap_or(key), names);
        let near = near.into_iter().take(1);
        let near = near.map(|near| format!("did you mean '{common}{near}'?"));
        let remedy = self.removal_of(entry);
        let place = entry.describe_origin();
        Failure::new(format!("unknown setting '{}' {place}", entry.key))
            .hints(near)
            .hint(format!("the settings are {}", known.join(", ")))
            .hints(remedy)
    }

    /// Returns the hint with the command that removes the last value of a setting without a
    /// placeholder in its key. `None` if it has no value, or no file has it.
    pub(crate) fn removal_hint(&self, setting: &Setting) -> Option<String> {
        self.removal_of(self.last_entry(&setting.canonical_key(""))?)
    }

    fn removal_of(&self, entry: &ConfigEntry) -> Option<String> {
        let key = shell_words::quote(&entry.key);
        // A command line stores nothing.
        let file = match entry.origin.strip_prefix("file:")? {
            // The file of the repository, where git looks first.
            ".git/config" => String::new(),
            file => format!("--file {} ", quoted(&self.dir.join(file))),
        };
        Some(format!("to remove it: git config {file}--unset-all {key}"))
    }

    /// Returns the hint that says where a setting is configured, `'<key>' has the
    /// value '<value>' in file '<file>'`,
    /// if `value` is its last configured value; otherwise `None`. `name` replaces the placeholder
    /// in the setting's key, such as `<name>` in `branch.<name>.fluxInto`.
    pub(crate) fn origin_hint(&self, setting: &Setting, name: &str, value: &str) -> Option<String> {
        let entry = self.last_entry(&setting.canonical_key(name))?;
        let is_it = entry.value == value;
        let key = entry.documented_key(setting);
        is_it.then(|| {
            format!(
                "'{key}' has the value '{value}' {}",
                entry.describe_origin()
            )
        })
    }
}

impl ConfigEntry {
    /// Fails if the value of a configured entry is invalid for this setting, as far as it can be
    /// checked without git.
    pub(super) fn ensure_allowed(&self, setting: &Setting) -> Result<()> {
        if setting.kind.allows(&self.value) {
            return Ok(());
        }
        Err(self.bad_value(setting).into())
    }

    /// Returns the error that the value of a configured entry is invalid for this setting. Its
    /// hints are a similar value and the valid ones.
    pub(super) fn bad_value(&self, setting: &Setting) -> Failure {
        let key = self.documented_key(setting);
        let (value, place) = (&self.value, self.describe_origin());
        let values = match setting.kind {
            ValueKind::OneOf(values) => values(),
            ValueKind::Ways => METHODS.to_vec(),
            _ => Vec::new(),
        };
        Failure::new(format!("bad value '{value}' for '{key}' {place}"))
            .did_you_mean(value, values)
            .hints(setting.kind.describe())
    }
}
