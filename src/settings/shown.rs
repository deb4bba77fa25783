//! Every setting with the value that holds.

use std::collections::BTreeMap;

use anyhow::{Error, Result};

use super::table::{self, Kind, Setting};
use super::{Entry, Settings};
use crate::agent::{self, Agent, AgentConfig, Yolo};

/// A setting, or one of several with the same meaning, and what holds.
#[derive(Debug)]
pub(crate) struct Shown<'a> {
    pub(crate) setting: &'static Setting,
    /// As it is documented.
    pub(crate) key: String,
    /// What holds where nothing is configured.
    pub(crate) default: Option<String>,
    /// What is configured.
    pub(crate) entry: Option<&'a Entry>,
}

impl Shown<'_> {
    /// What holds.
    pub(crate) fn value(&self) -> Option<&str> {
        let configured = self.entry.map(|entry| entry.value.as_str());
        configured.or(self.default.as_deref())
    }
}

impl Settings {
    /// All settings, in the order of the manual. Of those of agents and branches there is one for
    /// each agent, and for each branch that has any; or one that stands for all.
    pub(crate) fn shown(&self) -> Vec<Shown<'_>> {
        table::ALL.iter().flat_map(|s| self.shown_of(s)).collect()
    }

    fn shown_of(&self, setting: &'static Setting) -> Vec<Shown<'_>> {
        let row = |key, default: Option<String>, entry| Shown {
            setting,
            key,
            default: default.or_else(|| setting.default.map(str::to_owned)),
            entry,
        };
        let key = || setting.key.to_owned();
        let mut rows: Vec<Shown<'_>> = if matches!(setting.kind, Kind::Many | Kind::Ways) {
            let every = self.every(setting).into_iter();
            every.map(|entry| row(key(), None, Some(entry))).collect()
        } else {
            let held = self.held(setting).into_iter();
            held.map(|(key, (default, entry))| row(setting.spelled(&key), default, entry))
                .collect()
        };
        if rows.is_empty() {
            rows.push(row(key(), None, None));
        }
        rows
    }

    /// Returns the keys of a setting, each with its default and what is configured.
    fn held(&self, setting: &Setting) -> BTreeMap<String, (Option<String>, Option<&Entry>)> {
        // A branch of anybody's may have a description.
        let is_of_task = |key: &str| {
            let name = setting.name_in(key);
            name.is_some_and(|name| self.of_branch(name, &table::TASK).is_some())
        };
        let mut rows = BTreeMap::new();
        for name in agent::names() {
            if let Some(default) = self.default_for(setting, name) {
                rows.insert(setting.of(name), (Some(default), None));
            }
        }
        let is_shown = |key: &str| setting.key != table::DESCRIPTION.key || is_of_task(key);
        let entries = self.entries.iter().filter(|it| setting.is(&it.key));
        for entry in entries.filter(|it| is_shown(&it.key)) {
            rows.entry(entry.key.clone()).or_default().1 = Some(entry);
        }
        rows
    }

    /// Returns what holds for an agent that is known where nothing is configured.
    fn default_for(&self, setting: &Setting, agent: &str) -> Option<String> {
        let profile = agent::profile(agent);
        if setting.key == table::COMMAND.key {
            return default_of(agent);
        }
        (setting.key == table::YOLO.key && profile.has_yolo())
            .then(|| profile.skips_permissions(&self.own(agent)).to_string())
    }

    /// Everything that is wrong with what is configured for git flux.
    pub(crate) fn wrong(&self) -> Result<Vec<Error>> {
        let mut wrong: Vec<Error> = self.unknown().map(|e| self.misspelt(e).into()).collect();
        for Shown { setting, entry, .. } in self.shown() {
            let Some(entry) = entry else { continue };
            let checked = match setting.kind {
                Kind::Agent => self.ensure_agent(&entry.value),
                Kind::Time if Self::archive_expiry(&self.dir).is_err() => {
                    Err(entry.bad(setting).into())
                }
                _ => entry.ensure_allowed(setting),
            };
            wrong.extend(checked.err());
        }
        Ok(wrong)
    }
}

/// What starts an agent that is known.
fn default_of(name: &str) -> Option<String> {
    let own = AgentConfig {
        yolo: Some(Yolo::Words(Vec::new())),
        ..AgentConfig::default()
    };
    let argv = Agent::find(name, own)?.argv;
    let words = argv.iter().map(|word| word.to_string_lossy());
    Some(shell_words::join(words))
}
