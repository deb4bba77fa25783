//! What is: computed from what was observed, never stored.

use std::fmt;

use serde::Serialize;
use strum::IntoStaticStr;

use super::{Exit, Found, Task, Why};

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
    pub(crate) fn none(self) -> bool {
        self == Self::default()
    }
}

/// The state of a task's agent.
#[derive(Clone, Debug, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "lowercase", const_into_str)]
pub(crate) enum State {
    /// A command is starting it right now.
    Starting,
    /// A command is removing it right now.
    Removing,
    /// The agent starts up, and has not got its task yet.
    #[strum(serialize = "starting")]
    Opening,
    /// The agent's process is alive, and nothing more can be told of it; since this time if
    /// that is known.
    Running(Option<u64>),
    /// Its launcher lives where this process cannot see it: in another PID namespace, or on
    /// another machine.
    #[strum(serialize = "running")]
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
    #[strum(serialize = "broken")]
    NoWorktree,
    /// The worktree belongs to another repository, of which this one is a copy.
    Elsewhere,
    /// The branch is gone.
    #[strum(serialize = "broken")]
    NoBranch,
    /// What its launcher left behind cannot be read.
    Unknown,
}

impl State {
    /// Returns one word, stable, for tables and programs.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Ended(exit) => exit.name(),
            state => state.into_str(),
        }
    }

    /// Returns the word with its number or its reason, as a table shows it.
    pub(crate) fn label(&self) -> String {
        match (self, self.reason()) {
            (Self::Ended(exit), _) => exit.label(),
            (_, Some(reason)) => format!("{}({reason})", self.name()),
            (_, None) => self.name().to_owned(),
        }
    }

    /// Whether the agent's process is alive.
    pub(crate) fn is_alive(&self) -> bool {
        matches!(
            self,
            Self::Opening
                | Self::Running(_)
                | Self::RunningElsewhere
                | Self::Working
                | Self::Waiting(_)
                | Self::Done
                | Self::Failed
                | Self::Interrupted
        )
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
