//! The agents there are: those known from the start and the user's own.

use std::path::PathBuf;

use anyhow::Result;

use super::table::Setting;
use super::{Settings, table};
use crate::agent::{self, Agent, AgentConfig, Yolo};
use crate::failure::Failure;

impl Settings {
    /// The name of the agent to use: `flux.agent`, or `claude`.
    pub(crate) fn agent(&self) -> &str {
        self.value(&table::AGENT).unwrap_or_default()
    }

    /// The agent `name`, its program found on PATH.
    pub(crate) fn find_agent(&self, name: &str) -> Result<(Agent, PathBuf)> {
        let (command, prompt) = (&table::COMMAND, &table::PROMPT_ARG);
        for setting in [command, prompt, &table::RESUME, &table::YOLO] {
            if let Some(entry) = self.last(&setting.of(name)) {
                entry.ensure_allowed(setting)?;
            }
        }
        let own = self.own(name);
        if own.yolo == Some(Yolo::Is(true)) && !agent::profile(name).has_yolo() {
            let what = format!("'{name}' has no option that is known to skip permissions");
            let key = table::YOLO.named(name);
            let hint = format!("git config {} '<options>'", shell_words::quote(&key));
            return Err(Failure::new(what).hint(hint).into());
        }
        let agent = Agent::find(name, own).ok_or_else(|| self.no_agent(name))?;
        let program = agent.program().ok_or_else(|| {
            let program = agent.argv[0].to_string_lossy();
            let what = format!("the agent '{name}' is not installed: no '{program}' on PATH");
            Failure::new(what)
                .hint(self.installed_agents())
                .hint("git flux run --agent shell … needs nothing installed")
        })?;
        Ok((agent, program))
    }

    /// `flux.notify`: the ways in which the user is told of an agent.
    pub(crate) fn notify(&self) -> Result<Vec<String>> {
        let mut ways = Vec::new();
        for entry in self.every(&table::NOTIFY) {
            entry.ensure_allowed(&table::NOTIFY)?;
            ways.push(entry.value.trim().to_owned());
        }
        ways.retain(|way| !way.is_empty());
        Ok(ways)
    }

    /// What is configured for the agent `name`, as far as it means something.
    pub(super) fn own(&self, name: &str) -> AgentConfig {
        let value = |setting: &Setting| self.value_of(&setting.of(name));
        AgentConfig {
            command: value(&table::COMMAND).map(|it| table::words(it).unwrap_or_default()),
            prompt: value(&table::PROMPT_ARG).and_then(table::prompt),
            resume: value(&table::RESUME).and_then(|it| shell_words::split(it).ok()),
            yolo: value(&table::YOLO).and_then(table::yolo),
        }
    }

    /// Fails where nobody knows an agent.
    pub(super) fn ensure_agent(&self, name: &str) -> Result<()> {
        let own = self.last(&table::COMMAND.of(name)).is_some();
        if !own && agent::names().all(|known| known != name) {
            return Err(self.no_agent(name).into());
        }
        Ok(())
    }

    /// The error for an agent that nobody knows.
    fn no_agent(&self, name: &str) -> Failure {
        let whence = self.whence(&table::AGENT, "", name);
        let installed = self.installed_agents();
        if name.is_empty() {
            let what = match whence {
                Some(_) => "'flux.agent' is empty",
                None => "the agent has no name",
            };
            let failure = Failure::new(what).hints(whence).hint(installed);
            return failure.hint("git config flux.agent claude");
        }
        let key = table::COMMAND.named(name);
        let key = shell_words::quote(&key);
        Failure::new(format!("there is no agent '{name}'"))
            .did_you_mean(name, self.known())
            .hints(whence)
            .hint(installed)
            .hint(format!("git config {key} '<program> <options>'"))
    }

    /// Returns the hint that names the agents to choose from.
    fn installed_agents(&self) -> String {
        format!("installed agents: {}", self.installed().join(", "))
    }

    /// The names of all agents, also of those that are not installed.
    fn known(&self) -> Vec<&str> {
        let keys = self.entries.iter().map(|entry| &entry.key);
        let own = keys.filter_map(|key| table::COMMAND.name_in(key));
        let mut names: Vec<&str> = agent::names().chain(own).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The names of the agents that could be started now.
    pub(crate) fn installed(&self) -> Vec<String> {
        let is_usable = |name: &&str| {
            let agent = Agent::find(name, self.own(name));
            agent.is_some_and(|agent| agent.program().is_some())
        };
        let names = self.known().into_iter().filter(is_usable);
        names.map(str::to_owned).collect()
    }
}
