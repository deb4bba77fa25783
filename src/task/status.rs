//! The status of a task: observed, never stored.

use std::fmt;

use jiff::Timestamp;
use serde::Serialize;
use strum::IntoStaticStr;

use super::{Evidence, Exit, GateVerdict, LandState, Task, WaitReason};

/// The numbers of files in a worktree that differ from `HEAD`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Changes {
    pub(crate) staged: usize,
    pub(crate) unstaged: usize,
    pub(crate) untracked: usize,
    pub(crate) conflicted: usize,
    /// The files that have any of these changes.
    #[serde(skip)]
    pub(crate) files: usize,
}

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (staged, unstaged) = (self.staged, self.unstaged);
        write!(
            f,
            "{staged} {unstaged} {} {}",
            self.untracked, self.conflicted
        )
    }
}

impl Changes {
    pub(crate) fn is_none(self) -> bool {
        self == Self::default()
    }
}

/// The state of a task's agent.
#[derive(Clone, Debug, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "lowercase", const_into_str)]
pub(crate) enum State {
    /// A command is starting it.
    Starting,
    /// A command is removing it.
    Removing,
    /// The wrapper that starts the agent has not done so: its job is in a queue, for example.
    Queued,
    /// The agent starts up.
    #[strum(serialize = "starting")]
    Opening,
    /// The agent's process is alive, and its activity is unknown; since this time.
    Running(Option<Timestamp>),
    /// Its launcher lives in another PID namespace, or on another machine.
    #[strum(serialize = "running")]
    RunningElsewhere,
    Working,
    /// The agent needs an answer.
    Waiting(Option<WaitReason>),
    /// The agent has finished its turn.
    Done,
    /// The agent has given up its turn, because its service does not answer for example.
    Failed,
    /// The user has stopped the turn of the agent (Esc).
    Interrupted,
    /// The agent has exited or was killed.
    Ended(Exit),
    /// No agent was started, or none since it was restored.
    Idle,
    /// Its process is gone without a trace: a reboot, a crash, `kill -9`.
    Lost,
    /// A command was killed; the next one that changes anything repairs it.
    Incomplete,
    /// The worktree is not where the record says.
    #[strum(serialize = "broken")]
    NoWorktree,
    /// The worktree belongs to the repository that this one was copied from.
    Elsewhere,
    /// The branch is gone.
    #[strum(serialize = "broken")]
    NoBranch,
    /// The files of its launcher cannot be read.
    Unknown,
}

impl State {
    /// Returns the state of a task in one word, such as `working`, which does not change between
    /// versions: for tables and programs.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Ended(exit) => exit.name(),
            state => state.into_str(),
        }
    }

    /// Returns the state of a task in one word, with the exit status, signal or reason in
    /// parentheses, for tables: `exited(1)`, `waiting(question)`.
    pub(crate) fn label(&self) -> String {
        match (self, self.reason()) {
            (Self::Ended(exit), _) => exit.label(),
            (_, Some(reason)) => format!("{}({reason})", self.name()),
            (_, None) => self.name().to_owned(),
        }
    }

    /// Returns whether, in this state, the agent's launcher is alive, here or elsewhere: it runs
    /// the setup, its wrapper waits to start the agent, or the agent works, waits, or has finished, failed or interrupted its turn.
    /// `false` for `Starting`, while a command creates the task.
    pub(crate) fn is_alive(&self) -> bool {
        matches!(
            self,
            Self::Queued
                | Self::Opening
                | Self::Running(_)
                | Self::RunningElsewhere
                | Self::Working
                | Self::Waiting(_)
                | Self::Done
                | Self::Failed
                | Self::Interrupted
        )
    }

    /// Returns a stable word for what the agent waits for, or `elsewhere` if it runs where its
    /// state is not visible. `None` in any other state, or if it is unknown what it waits for.
    pub(crate) fn reason(&self) -> Option<&'static str> {
        match self {
            Self::Waiting(why) => why.map(|why| why.into_str()),
            Self::RunningElsewhere => Some("elsewhere"),
            _ => None,
        }
    }
}

/// The numbers of commits that only a branch has, and only its target (or else its base).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Divergence {
    pub(crate) ahead: usize,
    pub(crate) behind: usize,
}

/// A task and its observed state.
#[derive(Clone, Debug)]
pub(crate) struct Status {
    pub(crate) task: Task,
    /// The user who owns it, if it is another one.
    pub(crate) owner: Option<String>,
    pub(crate) state: State,
    pub(crate) found: Evidence,
    pub(crate) divergence: Option<Divergence>,
    pub(crate) changes: Option<Changes>,
    pub(crate) land: Option<LandState>,
    pub(crate) git_refusal: Option<GitRefusal>,
    /// The verdict of the gate, if there is one and the tree is known without a search.
    pub(crate) gate: Option<GateVerdict>,
}

/// The reason why git was not run in a worktree: an agent can make it run a program there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GitRefusal {
    pub(crate) why: String,
    pub(crate) hints: Vec<String>,
}
