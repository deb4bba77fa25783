//! What is: computed from what was observed, never stored.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Found, Task, Why, check};

/// How the agent's program ended, as its launcher saw it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Exit {
    /// Exit status, if it exited.
    pub(crate) status: Option<i32>,
    /// Signal number, if a signal ended it.
    pub(crate) signal: Option<i32>,
    /// Why it could not be started, if so.
    pub(crate) error: Option<String>,
    /// Seconds since 1970.
    pub(crate) at: u64,
    /// Whether git flux has ended it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) stopped: bool,
    /// The signal that its launcher received and passed on to it, as when its terminal went.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) received: Option<i32>,
}

// serde wants a reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_false(value: &bool) -> bool {
    !value
}

impl Exit {
    /// Returns whether something can have ended so: an agent can write the file as well.
    pub(crate) fn is_plausible(&self) -> bool {
        self.status.is_none_or(|status| (0..256).contains(&status))
            && self.signal.is_none_or(|signal| (1..128).contains(&signal))
            && self
                .received
                .is_none_or(|signal| (1..128).contains(&signal))
            && check::is_time(self.at)
    }

    /// Whether nothing has ended here, since no agent was started.
    pub(crate) fn is_none(&self) -> bool {
        self.status.is_none() && self.signal.is_none() && self.error.is_none() && !self.stopped
    }

    /// Whether a signal ended the agent that git flux did not send: it did not end by itself.
    pub(crate) fn is_by_signal(&self) -> bool {
        let by_signal = self.signal.is_some() || self.received.is_some();
        by_signal && !self.stopped && self.error.is_none()
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.stopped {
            return f.write_str("was stopped");
        }
        match (&self.error, self.signal, self.status) {
            (Some(error), ..) => write!(f, "could not be started: {error}"),
            (_, Some(signal), _) => write!(f, "was ended by signal {signal}"),
            (_, _, Some(status)) => write!(f, "exited with status {status}"),
            (None, None, None) => f.write_str("ended"),
        }
    }
}

/// How many files of a worktree differ from its `HEAD`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Changes {
    pub(crate) staged: usize,
    pub(crate) unstaged: usize,
    pub(crate) untracked: usize,
    pub(crate) conflicted: usize,
    /// The files that are any of these.
    #[serde(skip)]
    pub(crate) files: usize,
}

impl Changes {
    pub(crate) fn none(self) -> bool {
        self == Self::default()
    }
}

/// The state of a task's agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// A command is starting it right now.
    Starting,
    /// A command is removing it right now.
    Removing,
    /// The agent starts up, and has not got its task yet.
    Opening,
    /// The agent's process is alive, and nothing more can be told of it; since this time if
    /// that is known.
    Running(Option<u64>),
    /// Its launcher lives where this process cannot see it: in another PID namespace, or on
    /// another machine.
    RunningElsewhere,
    /// The agent is at work.
    Working,
    /// The agent goes on when it gets an answer, if it is known to what.
    Waiting(Option<Why>),
    /// The agent has come to the end of its turn.
    Done,
    /// The agent has given up its turn: its service did not answer, for one.
    Failed,
    /// The agent was stopped in its turn (Esc), and waits for what it is told.
    Interrupted,
    /// The agent ended by itself or was ended.
    Ended(Exit),
    /// No agent has been started in it, or none since it was restored.
    Idle,
    /// Its process is gone and nobody saw how: a reboot, a crash, `kill -9`.
    Lost,
    /// A command died half way; the next one that changes anything settles it.
    Incomplete,
    /// The worktree is not where the record says.
    NoWorktree,
    /// The worktree belongs to another repository, of which this one is a copy.
    Elsewhere,
    /// The branch is gone.
    NoBranch,
    /// What its launcher left behind cannot be read.
    Unknown,
}

impl State {
    /// One word, stable, for tables and programs.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Starting | Self::Opening => "starting",
            Self::Removing => "removing",
            Self::Running(_) | Self::RunningElsewhere => "running",
            Self::Working => "working",
            Self::Waiting(_) => "waiting",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Ended(exit) if exit.stopped => "stopped",
            Self::Ended(exit) if exit.error.is_some() => "failed",
            Self::Ended(exit) if exit.signal.is_some() => "killed",
            Self::Ended(_) => "exited",
            Self::Idle => "idle",
            Self::Lost => "lost",
            Self::Interrupted => "interrupted",
            Self::Incomplete => "incomplete",
            Self::NoWorktree | Self::NoBranch => "broken",
            Self::Elsewhere => "elsewhere",
            Self::Unknown => "unknown",
        }
    }

    /// The word with its number, as a table shows it.
    pub(crate) fn label(&self) -> String {
        match self {
            Self::Ended(Exit { stopped: true, .. }) => self.name().to_owned(),
            Self::Ended(Exit {
                error: None,
                signal: Some(signal),
                ..
            }) => format!("killed({signal})"),
            Self::Ended(Exit {
                error: None,
                status: Some(status),
                ..
            }) => format!("exited({status})"),
            other => match other.reason() {
                Some(reason) => format!("{}({reason})", other.name()),
                None => other.name().to_owned(),
            },
        }
    }

    /// Whether the agent's process is alive.
    pub(crate) fn is_alive(&self) -> bool {
        match self {
            Self::Opening
            | Self::Running(_)
            | Self::RunningElsewhere
            | Self::Working
            | Self::Waiting(_)
            | Self::Done
            | Self::Failed
            | Self::Interrupted => true,
            Self::Starting
            | Self::Removing
            | Self::Ended(_)
            | Self::Idle
            | Self::Lost
            | Self::Incomplete
            | Self::NoWorktree
            | Self::NoBranch
            | Self::Elsewhere
            | Self::Unknown => false,
        }
    }

    /// Returns what the agent waits for, if it does, or that it runs elsewhere: one word, stable.
    pub(crate) fn reason(&self) -> Option<&'static str> {
        match self {
            Self::Waiting(why) => why.map(|why| why.into_str()),
            Self::RunningElsewhere => Some("elsewhere"),
            _ => None,
        }
    }
}

/// How many commits of a branch are not in the one it is merged into (or else its base), and the reverse.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Divergence {
    pub(crate) ahead: usize,
    pub(crate) behind: usize,
}

/// A task together with everything observed of it.
#[derive(Clone, Debug)]
pub(crate) struct Status {
    pub(crate) task: Task,
    /// The user whose task it is, if that is another one.
    pub(crate) owner: Option<String>,
    pub(crate) state: State,
    /// How that was found.
    pub(crate) found: Found,
    pub(crate) divergence: Option<Divergence>,
    pub(crate) changes: Option<Changes>,
    pub(crate) unlooked: Option<Unlooked>,
}

/// Why git was not run in a worktree: an agent can have it run a program there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unlooked {
    pub(crate) why: String,
    pub(crate) hints: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_one_that_a_program_can_have() {
        let exit = |text: &str| serde_json::from_str::<Exit>(text).unwrap().is_plausible();
        for right in [
            r#"{"status":0,"signal":null,"error":null,"at":1700000000}"#,
            r#"{"status":255,"at":253402207200}"#,
            r#"{"signal":64,"at":0,"later":1}"#,
        ] {
            assert!(exit(right), "{right}");
        }
        for wrong in [
            r#"{"status":-1,"at":1}"#,
            r#"{"status":256,"at":1}"#,
            r#"{"signal":-9,"at":1}"#,
            r#"{"signal":128,"at":1}"#,
            r#"{"status":0,"at":253402207201}"#,
            r#"{"status":0,"at":18446744073709551615}"#,
        ] {
            assert!(!exit(wrong), "{wrong}");
        }
    }
}
