//! Input and state of the launcher.
//!
//! A command that starts a task communicates with the launcher in the pane by files in
//! `<git-common-dir>/flux/run/<id>/`. `launch` is the input; the launcher removes it to accept
//! the request, the command removes it to cancel. `running` and `exit` are the launcher's state.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::sanitize;
use crate::system::clock::{in_optional_seconds, in_seconds};
use crate::system::process;
use crate::task::{Bytes, record};

/// The input of the launcher.
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
    /// The agent's working directory in the worktree, if that is not the top.
    pub(crate) directory: Option<Bytes>,
    #[serde(with = "record::path")]
    pub(crate) shell: OsString,
    /// A file to print before the agent starts.
    pub(crate) shown: Option<Bytes>,
    /// A file for the agent's standard input.
    pub(crate) input: Option<Bytes>,
    #[serde(default)]
    pub(crate) ready: Setup,
}

/// The state of a launcher that has accepted the request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Running {
    pub(crate) launcher: i32,
    /// The id of the boot, if the system has one.
    pub(crate) boot: Option<String>,
    /// The machine and the PID namespace of the process ids.
    pub(crate) machine: Option<Machine>,
    pub(crate) worktree: Option<Bytes>,
    /// The id of the agent and of its process group, once started.
    pub(crate) agent: Option<i32>,
    #[serde(with = "in_seconds")]
    pub(crate) since: Timestamp,
    /// The start of the wrapper that starts the agent, if there is a wrapper.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "in_optional_seconds"
    )]
    pub(crate) wrapper_since: Option<Timestamp>,
    #[serde(default)]
    pub(crate) setup: SetupProgress,
}

impl Running {
    /// Returns whether the process ids in the file `running` are greater than 1, as those of a
    /// launcher and an agent are. An agent can write the file, too.
    pub(super) fn is_plausible(&self) -> bool {
        // kill(2) gives other ids a special meaning, and 1 is init.
        let is_process = |pid: i32| pid > 1;
        is_process(self.launcher) && self.agent.is_none_or(is_process)
    }

    /// Returns the id of the agent of a launcher that the caller knows to have ended, if the agent
    /// still leads its process group, with its working directory in `worktree`. Otherwise, and
    /// after a restart of the system, `None`.
    ///
    /// # Errors
    /// When the system gives no information about the process.
    pub(crate) fn orphan(&self, worktree: &Path) -> Result<Option<i32>> {
        // Process ids are valid within one boot only.
        let mut boots = self.boot.iter().zip(process::boot_id());
        let is_of_this_boot = boots.all(|(then, now)| *then == now);
        let Some(agent) = self.agent.filter(|_| is_of_this_boot) else {
            return Ok(None);
        };
        match process::is_group_leader_in(agent, worktree) {
            Some(is_there) => Ok(is_there.then_some(agent)),
            None if !process::is_alive(agent, None) => Ok(None),
            None => bail!("cannot determine whether it is process {agent}"),
        }
    }
}

/// A machine, and a PID namespace on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Machine {
    /// The machine id, if any.
    pub(crate) id: Option<String>,
    /// The host name.
    pub(crate) host: String,
    /// The PID namespace, such as `pid:[4026531836]`, if the system has them.
    pub(crate) pid_namespace: Option<String>,
}

impl Machine {
    /// Returns the machine id, the host name and the PID namespace of this process.
    pub(crate) fn current() -> Self {
        Self {
            id: process::machine_id(),
            host: process::hostname().unwrap_or_default(),
            pid_namespace: process::own_pid_namespace(),
        }
    }

    /// Returns whether `other` is the same machine: it has the same machine id or, if neither has
    /// an id, the same host name. `false` if only one has an id. Ignores PID namespaces.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (&self.id, &other.id) {
            (Some(id), Some(other)) => id == other,
            (None, None) => self.host == other.host,
            _ => false,
        }
    }

    /// Describes where a launcher runs, for a message: on this machine `in another PID namespace of
    /// '<host>'`, otherwise `on the machine '<host>'`.
    pub(crate) fn location(&self) -> String {
        let host = sanitize::line(&self.host);
        if self.is_same(&Self::current()) {
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

/// Commands before and around the agent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Setup {
    /// A command that runs the agent.
    pub(crate) wrapper: Vec<Bytes>,
    /// Commands that run before the agent.
    pub(crate) steps: Vec<SetupStep>,
    /// Do not start the agent after a failed step.
    pub(crate) required: bool,
}

/// A command that runs before the agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SetupStep {
    /// A name in one line.
    pub(crate) name: String,
    pub(crate) argv: Vec<Bytes>,
}

impl SetupStep {
    /// Creates a setup command that `sh -c` runs. Its name is the first line of `command`, and `…`
    /// if there are more lines.
    pub(crate) fn shell(command: &OsStr) -> Self {
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

/// The progress of setup.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SetupProgress {
    /// The current step, or the one that failed.
    pub(crate) step: Option<String>,
    /// Failed steps that were not required.
    pub(crate) missed: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(id: Option<&str>, host: &str) -> Machine {
        Machine {
            id: id.map(str::to_owned),
            host: host.to_owned(),
            pid_namespace: process::own_pid_namespace(),
        }
    }

    #[test]
    fn is_same_compares_machine_ids_or_else_host_names() {
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
