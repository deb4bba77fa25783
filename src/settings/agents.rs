//! The agents: the known ones and the user's own.

use std::path::PathBuf;

use anyhow::{Result, ensure};

use super::table::Setting;
use super::{Settings, table};
use crate::agent::{self, Agent, AgentConfig, Yolo};
use crate::failure::Failure;

impl Settings {
    /// Returns the name of the agent that is started by default: `flux.agent`, or `claude` if it is
    /// not set.
    pub(crate) fn agent(&self) -> &str {
        self.value(&table::AGENT).unwrap_or_default()
    }

    /// Returns the agent `name` with its settings, and the path of its program. Fails if the agent
    /// is unknown or not installed, or if one of its settings is invalid.
    pub(crate) fn find_agent(&self, name: &str) -> Result<(Agent, PathBuf)> {
        let (command, prompt) = (&table::COMMAND, &table::PROMPT_ARG);
        for setting in [command, prompt, &table::RESUME, &table::YOLO] {
            if let Some(entry) = self.last_entry(&setting.canonical_key(name)) {
                entry.ensure_allowed(setting)?;
            }
        }
        let own = self.agent_config(name);
        if own.yolo == Some(Yolo::Enabled(true)) && !agent::profile(name).has_yolo() {
            let what = format!("no known option of '{name}' skips permissions");
            let key = table::YOLO.documented_key(name);
            let hint = format!("git config {} '<options>'", shell_words::quote(&key));
            return Err(Failure::new(what).hint(hint).into());
        }
        let agent = Agent::find(name, own).ok_or_else(|| self.unknown_agent(name))?;
        let program = agent.program().ok_or_else(|| {
            let program = agent.argv[0].to_string_lossy();
            let what = format!("the agent '{name}' is not installed: no '{program}' on PATH");
            Failure::new(what)
                .hint(self.installed_hint())
                .hint("to start a shell instead: git flux run --agent shell \"<description>\"")
        })?;
        Ok((agent, program))
    }

    /// Returns the values of `flux.notify`, the ways in which the user is notified; empty if it is
    /// not set. An empty value clears those before it. Fails if one is invalid.
    pub(crate) fn notify_ways(&self) -> Result<Vec<String>> {
        let mut ways = Vec::new();
        for entry in self.all_entries(&table::NOTIFY) {
            entry.ensure_allowed(&table::NOTIFY)?;
            ways.push(entry.value.trim().to_owned());
        }
        ways.retain(|way| !way.is_empty());
        Ok(ways)
    }

    /// Returns the settings `flux.<name>.*` of an agent. An invalid value counts as not set, an
    /// invalid command as empty.
    pub(super) fn agent_config(&self, name: &str) -> AgentConfig {
        let value = |setting: &Setting| self.value_of(&setting.canonical_key(name));
        AgentConfig {
            command: value(&table::COMMAND).map(|it| table::split_command(it).unwrap_or_default()),
            prompt: value(&table::PROMPT_ARG).and_then(table::parse_prompt),
            resume: value(&table::RESUME).and_then(|it| shell_words::split(it).ok()),
            yolo: value(&table::YOLO).and_then(table::parse_yolo),
        }
    }

    /// Fails if the agent `name` is unknown to git flux and has no `flux.<name>.command`. Does not
    /// check whether it is installed.
    pub(super) fn ensure_agent(&self, name: &str) -> Result<()> {
        let is_known = self.agent_names().contains(&name);
        ensure!(is_known, self.unknown_agent(name));
        Ok(())
    }

    /// Returns the error that there is no agent `name`. Its hints are a similar name, where the
    /// name is configured, the installed agents, and the command that configures this one.
    fn unknown_agent(&self, name: &str) -> Failure {
        let origin_hint = self.origin_hint(&table::AGENT, "", name);
        let installed = self.installed_hint();
        if name.is_empty() {
            let what = match origin_hint {
                Some(_) => "'flux.agent' is empty",
                None => "the agent has no name",
            };
            let failure = Failure::new(what).hints(origin_hint).hint(installed);
            return failure.hint("git config flux.agent claude");
        }
        let key = table::COMMAND.documented_key(name);
        let key = shell_words::quote(&key);
        Failure::new(format!("there is no agent '{name}'"))
            .did_you_mean(name, self.agent_names())
            .hints(origin_hint)
            .hint(installed)
            .hint(format!("git config {key} '<program> <options>'"))
    }

    /// Returns the hint `installed agents: …`, with the names of the agents whose program is
    /// installed.
    fn installed_hint(&self) -> String {
        format!("installed agents: {}", self.installed_agents().join(", "))
    }

    /// Returns the names of all agents, sorted: those that git flux knows, and those with a
    /// `flux.<name>.command`, installed or not.
    fn agent_names(&self) -> Vec<&str> {
        let entries = self.entries.iter();
        let own = entries.filter_map(|entry| entry.placeholder_of(&table::COMMAND));
        let mut names: Vec<&str> = agent::known_names().chain(own).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Returns the names of the agents whose program is installed, sorted.
    pub(crate) fn installed_agents(&self) -> Vec<String> {
        let is_usable = |name: &&str| {
            let agent = Agent::find(name, self.agent_config(name));
            agent.is_some_and(|agent| agent.program().is_some())
        };
        let names = self.agent_names().into_iter().filter(is_usable);
        names.map(str::to_owned).collect()
    }
}
