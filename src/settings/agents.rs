//! The agents there are: those known from the start and the user's own.

use std::path::PathBuf;

use anyhow::Result;

use super::table::Setting;
use super::{Settings, table};
use crate::agent::{self, Agent, AgentConfig, Yolo};
use crate::failure::{Failure, nearest};

impl Settings {
    /// The name of the agent to use: `flux.agent`, or `claude`.
    pub(crate) fn agent(&self) -> &str {
        self.value(&table::AGENT).unwrap_or_default()
    }

    /// The agent `name`, its program found on PATH.
    ///
    /// # Errors
    /// When it is not known, or not installed.
    pub(crate) fn find_agent(&self, name: &str) -> Result<(Agent, PathBuf)> {
        for setting in [
            &table::COMMAND,
            &table::PROMPT_ARG,
            &table::RESUME,
            &table::YOLO,
        ] {
            if let Some(entry) = self.last(&setting.of(name)) {
                self.ensure_allowed(setting, entry)?;
            }
        }
        let own = self.own(name);
        if own.yolo == Some(Yolo::Is(true)) && !agent::profile(name).has_yolo() {
            return Err(Failure::new(format!(
                "'{name}' has no option that is known to skip permissions"
            ))
            .hint(format!(
                "git config {} '<options>'",
                shell_words::quote(&table::YOLO.named(name))
            ))
            .into());
        }
        let Some(agent) = Agent::find(name, own) else {
            return Err(self.no_agent(name).into());
        };
        let Some(program) = agent.program() else {
            let program = agent.argv[0].to_string_lossy().into_owned();
            return Err(Failure::new(format!(
                "the agent '{name}' is not installed: no '{program}' on PATH"
            ))
            .hint(self.installed_agents())
            .hint("git flux run --agent shell … needs nothing installed")
            .into());
        };
        Ok((agent, program))
    }

    /// `flux.notify`: the ways in which the user is told of an agent.
    ///
    /// # Errors
    /// When one of them is none.
    pub(crate) fn notify(&self) -> Result<Vec<String>> {
        let mut ways = Vec::new();
        for entry in self.every(&table::NOTIFY) {
            self.ensure_allowed(&table::NOTIFY, entry)?;
            ways.push(entry.value.trim().to_owned());
        }
        ways.retain(|way| !way.is_empty());
        Ok(ways)
    }

    /// What is configured for the agent `name`, as far as it means something.
    pub(super) fn own(&self, name: &str) -> AgentConfig {
        let value = |setting: &Setting| {
            let entry = self.last(&setting.of(name));
            entry.map(|entry| entry.value.as_str())
        };
        AgentConfig {
            command: value(&table::COMMAND).map(|it| table::words(it).unwrap_or_default()),
            prompt: value(&table::PROMPT_ARG).and_then(table::prompt),
            resume: value(&table::RESUME).and_then(|it| shell_words::split(it).ok()),
            yolo: value(&table::YOLO).and_then(table::yolo),
        }
    }

    /// Fails where nobody knows an agent.
    ///
    /// # Errors
    /// With those there are.
    pub(super) fn ensure_agent(&self, name: &str) -> Result<()> {
        let own = self.last(&table::COMMAND.of(name)).is_some();
        if own || agent::names().any(|known| known == name) {
            return Ok(());
        }
        Err(self.no_agent(name).into())
    }

    /// The error for an agent that nobody knows.
    fn no_agent(&self, name: &str) -> Failure {
        let whence = self.whence(&table::AGENT, "", name);
        if name.is_empty() {
            let what = whence
                .as_ref()
                .map_or("the agent has no name", |_| "'flux.agent' is empty");
            let failure = whence.into_iter().fold(Failure::new(what), Failure::hint);
            return failure
                .hint(self.installed_agents())
                .hint("git config flux.agent claude");
        }
        let mut failure = Failure::new(format!("there is no agent '{name}'"));
        if let Some(near) = nearest(name, self.known()).first() {
            failure = failure.hint(format!("did you mean '{near}'?"));
        }
        whence
            .into_iter()
            .fold(failure, Failure::hint)
            .hint(self.installed_agents())
            .hint(format!(
                "git config {} '<program> <options>'",
                shell_words::quote(&table::COMMAND.named(name))
            ))
    }

    /// Returns the hint that names the agents to choose from.
    fn installed_agents(&self) -> String {
        format!("installed agents: {}", self.installed().join(", "))
    }

    /// The names of all agents, also of those that are not installed.
    fn known(&self) -> Vec<&str> {
        let own = self.entries.iter();
        let own = own.filter_map(|entry| table::COMMAND.name_in(&entry.key));
        let mut names: Vec<&str> = agent::names().chain(own).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The names of the agents that could be started now.
    pub(crate) fn installed(&self) -> Vec<String> {
        let usable = |name: &&str| {
            let agent = Agent::find(name, self.own(name));
            agent.is_some_and(|agent| agent.program().is_some())
        };
        self.known()
            .into_iter()
            .filter(usable)
            .map(str::to_owned)
            .collect()
    }
}
