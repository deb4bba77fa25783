//! What the launcher is told, and what it leaves behind.
//!
//! The files in `<git-common-dir>/flux/run/<id>/` are the whole conversation
//! between the command that starts a task and the launcher in its pane:
//! `launch` asks (removing it takes the request, or takes it back), `running`
//! and `exit` answer.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::sanitize;
use crate::system::clock::in_seconds;
use crate::system::process;
use crate::task::{Bytes, record};

/// What the launcher is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Launch {
    pub(crate) id: String,
    /// The agent's name.
    #[serde(default)]
    pub(crate) agent: String,
    pub(crate) argv: Vec<Bytes>,
    pub(crate) env: Vec<(Bytes, Bytes)>,
    #[serde(with = "record::path")]
    pub(crate) worktree: PathBuf,
    /// The directory in the worktree to start the agent in, if that is not the top.
    pub(crate) directory: Option<Bytes>,
    #[serde(with = "record::path")]
    pub(crate) shell: OsString,
    /// A file to print before the agent starts, for a person.
    pub(crate) shown: Option<Bytes>,
    /// A file that is the agent's standard input.
    pub(crate) input: Option<Bytes>,
    #[serde(default)]
    pub(crate) ready: Ready,
}

/// The launcher's mark: it has taken the request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Running {
    pub(crate) launcher: i32,
    /// The name of the boot that it runs in, where it can be read.
    pub(crate) boot: Option<String>,
    /// The machine and the PID namespace that its numbers of processes count in.
    pub(crate) machine: Option<Machine>,
    /// The worktree of the task.
    pub(crate) worktree: Option<Bytes>,
    /// The agent, once it is started: also its process group.
    pub(crate) agent: Option<i32>,
    #[serde(with = "in_seconds")]
    pub(crate) since: Timestamp,
    #[serde(default)]
    pub(crate) setup: Progress,
}

impl Running {
    /// Returns whether a launcher can have written this: an agent can write the file as well.
    pub(super) fn is_plausible(&self) -> bool {
        // Below are process groups, everything at once, and what started the system.
        let is_process = |pid: i32| pid > 1;
        is_process(self.launcher) && self.agent.is_none_or(is_process)
    }

    /// Returns the agent, if it is still alive in `worktree`. Its launcher is not.
    ///
    /// # Errors
    /// When the system does not tell.
    pub(crate) fn orphan(&self, worktree: &Path) -> Result<Option<i32>> {
        // Numbers of processes are given out again once the system has been started anew.
        let mut boots = self.boot.iter().zip(process::boot());
        let is_of_this_boot = boots.all(|(then, now)| *then == now);
        let Some(agent) = self.agent.filter(|_| is_of_this_boot) else {
            return Ok(None);
        };
        match process::leads_group_in(agent, worktree) {
            Some(is_there) => Ok(is_there.then_some(agent)),
            None if !process::is_alive(agent, None) => Ok(None),
            None => bail!("this system does not tell whether it is process {agent}"),
        }
    }
}

/// A machine, and a PID namespace on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Machine {
    /// Its machine id, where it has one.
    pub(crate) id: Option<String>,
    /// Its host name.
    pub(crate) host: String,
    /// The PID namespace, such as `pid:[4026531836]`, where the system has them.
    pub(crate) pid_namespace: Option<String>,
}

impl Machine {
    /// Returns the machine and the PID namespace of this process.
    pub(crate) fn here() -> Self {
        Self {
            id: process::machine_id(),
            host: process::host().unwrap_or_default(),
            pid_namespace: process::own_namespace(),
        }
    }

    /// Returns whether it is the machine `other`: by its id, or where one has none by its host name.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (&self.id, &other.id) {
            (Some(id), Some(other)) => id == other,
            (None, None) => self.host == other.host,
            _ => false,
        }
    }

    /// Returns where it is, for people.
    pub(crate) fn place(&self) -> String {
        let host = sanitize::line(&self.host);
        if self.is_same(&Self::here()) {
            return format!("in another PID namespace of '{host}'");
        }
        format!("on the machine '{host}'")
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let facts = [&self.id, &self.pid_namespace];
        let facts: Vec<&str> = facts.into_iter().filter_map(Option::as_deref).collect();
        write!(f, "{} ({})", self.host, facts.join(", "))
    }
}

/// What the launcher is told beside the agent itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ready {
    /// What is put before the agent's program.
    pub(crate) wrapper: Vec<Bytes>,
    /// What runs before it, one after the other.
    pub(crate) steps: Vec<SetupStep>,
    /// Whether a step that fails is a reason not to start it.
    pub(crate) required: bool,
}

/// One command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SetupStep {
    /// What it is called, in a line.
    pub(crate) name: String,
    pub(crate) argv: Vec<Bytes>,
}

impl SetupStep {
    /// A command of the user's, for a shell.
    pub(crate) fn of_shell(command: &OsStr) -> Self {
        let text = command.to_string_lossy();
        let mut lines = text.trim().lines();
        let mut name = lines.next().unwrap_or_default().to_owned();
        if lines.next().is_some() {
            name.push_str(" …");
        }
        let argv = [OsString::from("sh"), "-c".into(), command.to_owned()];
        let argv = argv.map(Bytes).to_vec();
        Self { name, argv }
    }
}

/// How far the launcher has come with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// The step that runs now, or has failed.
    pub(crate) step: Option<String>,
    /// What failed, and was no reason to stop.
    pub(crate) missed: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(id: Option<&str>, host: &str) -> Machine {
        Machine {
            id: id.map(str::to_owned),
            host: host.to_owned(),
            pid_namespace: process::own_namespace(),
        }
    }

    #[test]
    fn a_machine_is_the_same_by_its_id_or_else_by_its_name() {
        for (one, other, is_same) in [
            ((Some("1"), "a"), (Some("1"), "b"), true),
            ((Some("1"), "a"), (Some("2"), "a"), false),
            ((None, "a"), (None, "a"), true),
            ((None, "a"), (None, "b"), false),
            ((Some("1"), "a"), (None, "a"), false),
        ] {
            let machines = [one, other].map(|(id, host)| machine(id, host));
            assert_eq!(machines[0].is_same(&machines[1]), is_same, "{machines:?}");
        }
    }
}
