//! The agents there are: those known from the start and the user's own.

use std::path::PathBuf;

use anyhow::Result;

use super::{Settings, table};
use crate::agent::{self, Agent};
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
        let entry = self.last(&table::COMMAND.of(name));
        if let Some(entry) = entry {
            self.ensure_allowed(&table::COMMAND, entry)?;
        }
        let words = entry.and_then(|entry| table::words(&entry.value));
        let Some(agent) = Agent::find(name, words) else {
            return Err(self.no_agent(name).into());
        };
        let Some(program) = agent.program() else {
            let program = agent.argv[0].to_string_lossy().into_owned();
            return Err(Failure::new(format!(
                "the agent '{name}' is not installed: no '{program}' on PATH"
            ))
            .hint(format!("installed agents: {}", self.installed().join(", ")))
            .hint("git flux run --agent shell … needs nothing installed")
            .into());
        };
        Ok((agent, program))
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
        let mut failure = Failure::new(format!("there is no agent '{name}'"));
        if let Some(near) = nearest(name, self.known()).first() {
            failure = failure.hint(format!("did you mean '{near}'?"));
        }
        let whence = self.whence(&table::AGENT, "", name);
        whence
            .into_iter()
            .fold(failure, Failure::hint)
            .hint(format!("installed agents: {}", self.installed().join(", ")))
            .hint(format!(
                "git config {} '<program> <options>'",
                shell_words::quote(&table::COMMAND.named(name))
            ))
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
            let entry = self.last(&table::COMMAND.of(name));
            let words = entry.map(|entry| table::words(&entry.value).unwrap_or_default());
            Agent::find(name, words).is_some_and(|agent| agent.program().is_some())
        };
        self.known()
            .into_iter()
            .filter(usable)
            .map(str::to_owned)
            .collect()
    }
}
