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
        if matches!(setting.kind, Kind::Many | Kind::Ways) {
            let row = |entry| Shown {
                setting,
                key: setting.key.to_owned(),
                default: None,
                entry,
            };
            let every = self.every(setting);
            return match every.is_empty() {
                true => vec![row(None)],
                false => every.into_iter().map(|entry| row(Some(entry))).collect(),
            };
        }
        // A branch of anybody's may have a description.
        let wanted = |key: &str| {
            let of_task = |name| self.of_branch(name, &table::TASK).is_some();
            setting.key != table::DESCRIPTION.key || setting.name_in(key).is_some_and(of_task)
        };
        let mut rows = BTreeMap::new();
        if setting.key == table::COMMAND.key {
            rows.extend(agent::names().map(|name| (setting.of(name), (default_of(name), None))));
        }
        if setting.key == table::YOLO.key {
            let known = agent::names().filter(|name| agent::profile(name).has_yolo());
            let default = |name| {
                let command = self.own(name).command;
                Some(
                    agent::profile(name)
                        .skips_permissions(command.as_deref())
                        .to_string(),
                )
            };
            rows.extend(known.map(|name| (setting.of(name), (default(name), None))));
        }
        let entries = self.entries.iter().filter(|entry| setting.is(&entry.key));
        for entry in entries.filter(|entry| wanted(&entry.key)) {
            let row = rows.entry(entry.key.clone()).or_default();
            row.1 = Some(entry);
        }
        if rows.is_empty() {
            rows.insert(String::new(), (None, None));
        }
        let row = |(key, (default, entry)): (String, (Option<String>, _))| Shown {
            setting,
            key: if key.is_empty() {
                setting.key.to_owned()
            } else {
                setting.spelled(&key)
            },
            default: default.or_else(|| setting.default.map(str::to_owned)),
            entry,
        };
        rows.into_iter().map(row).collect()
    }

    /// Everything that is wrong with what is configured for git flux.
    ///
    /// # Errors
    /// When git fails.
    pub(crate) fn wrong(&self) -> Result<Vec<Error>> {
        let mut wrong: Vec<Error> = self.unknown().map(|e| self.misspelt(e).into()).collect();
        for Shown { setting, entry, .. } in self.shown() {
            let Some(entry) = entry else { continue };
            let checked = match setting.kind {
                Kind::Agent => self.ensure_agent(&entry.value),
                Kind::Time => Self::archive_expiry(&self.dir)
                    .map(drop)
                    .map_err(|_| self.bad(setting, entry).into()),
                _ => self.ensure_allowed(setting, entry),
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
