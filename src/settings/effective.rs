//! The effective value of each setting.

use std::collections::BTreeMap;

use anyhow::{Error, Result};

use super::table::{self, Setting, ValueKind};
use super::{ConfigEntry, Settings};
use crate::agent::{self, Agent, AgentConfig, Profile, Yolo};
use crate::task::BranchName;

/// A key of a setting with its effective value.
#[derive(Debug)]
pub(crate) struct EffectiveSetting<'a> {
    pub(crate) setting: &'static Setting,
    /// The key in its documented form.
    pub(crate) key: String,
    /// The value that an unset key has.
    pub(crate) default: Option<String>,
    /// The entry that sets it.
    pub(crate) entry: Option<&'a ConfigEntry>,
}

/// Keys in git's form, each with its documented form, its default and its entry.
type Keys<'a> = BTreeMap<String, (String, Option<String>, Option<&'a ConfigEntry>)>;

impl EffectiveSetting<'_> {
    /// Returns the effective value of a setting: the configured one, or else its default; `None` if
    /// it has neither.
    pub(crate) fn value(&self) -> Option<&str> {
        let configured = self.entry.map(|entry| entry.value.as_str());
        configured.or(self.default.as_deref())
    }
}

impl Settings {
    /// Returns rows of all settings with their effective values, in the order of the manual. A
    /// setting of agents or branches has a row for each agent or branch with a value, a setting
    /// with several values a row for each value, and any other setting, or one without a value, one
    /// row.
    pub(crate) fn effective(&self) -> Vec<EffectiveSetting<'_>> {
        let all = table::ALL.iter();
        all.flat_map(|it| self.effective_of(it)).collect()
    }

    fn effective_of(&self, setting: &'static Setting) -> Vec<EffectiveSetting<'_>> {
        let row = |key, default: Option<String>, entry| EffectiveSetting {
            setting,
            key,
            default: default.or_else(|| setting.default.map(str::to_owned)),
            entry,
        };
        let key = || setting.key.to_owned();
        let is_list = matches!(setting.kind, ValueKind::Many | ValueKind::Ways);
        let mut rows: Vec<_> = if is_list {
            let all = self.all_entries(setting).into_iter();
            all.map(|entry| row(key(), None, Some(entry))).collect()
        } else {
            let keys = self.keys_of(setting).into_values();
            keys.map(|(key, default, entry)| row(key, default, entry))
                .collect()
        };
        if rows.is_empty() {
            rows.push(row(key(), None, None));
        }
        rows
    }

    /// Returns each configured key of a setting with its last entry, and each key for an agent for
    /// which git flux has a default, with that default. Omits descriptions of branches without a
    /// task.
    fn keys_of(&self, setting: &Setting) -> Keys<'_> {
        // A branch without a task may have a description, too.
        let is_of_task = |entry: &ConfigEntry| {
            let branch = entry.placeholder_of(setting).map(BranchName::new);
            branch.is_some_and(|branch| self.branch_value(&branch, &table::TASK).is_some())
        };
        let mut rows = BTreeMap::new();
        for known in agent::KNOWN {
            if let Some(default) = self.default_for(setting, known) {
                let key = setting.documented_key(known.name);
                let row = (key, Some(default), None);
                rows.insert(setting.canonical_key(known.name), row);
            }
        }
        let is_shown = |it: &&ConfigEntry| setting.key != table::DESCRIPTION.key || is_of_task(it);
        let entries = self.entries.iter().filter(|it| it.is_of(setting));
        for entry in entries.filter(is_shown) {
            let row = rows.entry(entry.key.clone()).or_default();
            (row.0, row.2) = (entry.documented_key(setting), Some(entry));
        }
        rows
    }

    /// Returns the default of a setting for a known agent: its command line, or whether it skips
    /// permission prompts. `None` for any other setting.
    fn default_for(&self, setting: &Setting, profile: &Profile) -> Option<String> {
        if setting.key == table::COMMAND.key {
            let own = AgentConfig {
                yolo: Some(Yolo::Options(Vec::new())),
                ..AgentConfig::default()
            };
            let argv = Agent::find(profile.name, own)?.argv;
            let words = argv.iter().map(|word| word.to_string_lossy());
            return Some(shell_words::join(words));
        }
        let config = self.agent_config(profile.name);
        let skips = || profile.skips_permissions(&config).to_string();
        (setting.key == table::YOLO.key && profile.has_yolo()).then(skips)
    }

    /// Returns an error for each unknown key in the configuration of git flux and each invalid
    /// value that is in effect; empty if there are none. A value that a later one replaces is not
    /// checked.
    pub(crate) fn problems(&self) -> Result<Vec<Error>> {
        let unknown = self.unknown_entries().map(|it| self.unknown_key(it));
        let mut errors: Vec<Error> = unknown.map(Error::from).collect();
        for EffectiveSetting { setting, entry, .. } in self.effective() {
            let Some(entry) = entry else { continue };
            let checked = match setting.kind {
                ValueKind::Agent => self.ensure_agent(&entry.value),
                ValueKind::Time if Self::archive_expiry(&self.dir).is_err() => {
                    Err(entry.bad_value(setting).into())
                }
                _ => entry.ensure_allowed(setting),
            };
            errors.extend(checked.err());
        }
        Ok(errors)
    }
}
