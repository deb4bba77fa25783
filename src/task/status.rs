//! What is: computed from what was observed, never stored.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Phase, Task};

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
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
    /// The agent's process is alive, since this time if that is known.
    Running(Option<u64>),
    /// The agent ended by itself or was ended.
    Ended(Exit),
    /// Its process is gone and nobody saw how: a reboot, a crash, `kill -9`.
    Lost,
    /// A command died half way; the next one that changes anything settles it.
    Interrupted,
    /// The worktree is not where the record says.
    NoWorktree,
    /// The branch is gone.
    NoBranch,
    /// What its launcher left behind cannot be read.
    Unknown,
}

impl State {
    /// One word, stable, for tables and programs.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Removing => "removing",
            Self::Running(_) => "running",
            Self::Ended(exit) if exit.error.is_some() => "failed",
            Self::Ended(exit) if exit.signal.is_some() => "killed",
            Self::Ended(_) => "exited",
            Self::Lost => "lost",
            Self::Interrupted => "interrupted",
            Self::NoWorktree | Self::NoBranch => "broken",
            Self::Unknown => "unknown",
        }
    }

    /// The word with its number, as a table shows it.
    pub(crate) fn label(&self) -> String {
        match self {
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
            other => other.name().to_owned(),
        }
    }

    /// What the state was concluded from.
    pub(crate) fn source(&self) -> &'static str {
        match self {
            Self::Starting | Self::Removing => "lock",
            Self::Interrupted => "record",
            Self::Running(_) | Self::Lost => "process",
            Self::Ended(_) => "exit",
            Self::NoWorktree => "worktree",
            Self::NoBranch => "branch",
            Self::Unknown => "none",
        }
    }
}

/// What was seen of one task from outside.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// A live command holds the task's lock.
    pub(crate) locked: bool,
    pub(crate) worktree: bool,
    pub(crate) branch: bool,
    /// The launcher left its mark, and is alive.
    pub(crate) alive: Option<bool>,
    pub(crate) started: Option<u64>,
    pub(crate) exit: Option<Exit>,
}

impl State {
    /// Concludes the state of `task` from what was seen.
    pub(crate) fn of(phase: Phase, seen: &Seen) -> Self {
        match (phase, seen.locked) {
            (Phase::Starting, true) => return Self::Starting,
            (Phase::Removing, true) => return Self::Removing,
            (Phase::Starting | Phase::Removing, false) => return Self::Interrupted,
            (Phase::Active, _) => {}
        }
        if !seen.worktree {
            return Self::NoWorktree;
        }
        if !seen.branch {
            return Self::NoBranch;
        }
        match (&seen.exit, seen.alive) {
            (Some(exit), _) => Self::Ended(exit.clone()),
            (None, Some(true)) => Self::Running(seen.started),
            (None, _) => Self::Lost,
        }
    }
}

/// A task together with everything observed of it.
#[derive(Clone, Debug)]
pub(crate) struct Status {
    pub(crate) task: Task,
    pub(crate) state: State,
    /// Commits on the branch that are not in `into` (or its base), and the reverse.
    pub(crate) ahead: Option<usize>,
    pub(crate) behind: Option<usize>,
    pub(crate) changes: Option<Changes>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn case(phase: Phase, change: impl FnOnce(&mut Seen), expected: &str) {
        let mut seen = Seen {
            worktree: true,
            branch: true,
            alive: Some(true),
            ..Seen::default()
        };
        change(&mut seen);
        assert_eq!(State::of(phase, &seen).label(), expected);
    }

    #[test]
    fn states_follow_from_what_is_seen() {
        case(Phase::Active, |_| {}, "running");
        case(Phase::Active, |s| s.alive = Some(false), "lost");
        case(Phase::Active, |s| s.alive = None, "lost");
        case(Phase::Active, |s| s.worktree = false, "broken");
        case(Phase::Active, |s| s.branch = false, "broken");
        case(
            Phase::Active,
            |s| {
                s.exit = Some(Exit {
                    status: Some(3),
                    ..Exit::default()
                });
            },
            "exited(3)",
        );
        case(
            Phase::Active,
            |s| {
                s.exit = Some(Exit {
                    signal: Some(9),
                    ..Exit::default()
                });
            },
            "killed(9)",
        );
        case(
            Phase::Active,
            |s| {
                s.exit = Some(Exit {
                    error: Some(String::new()),
                    ..Exit::default()
                });
            },
            "failed",
        );
        case(Phase::Starting, |s| s.locked = true, "starting");
        case(Phase::Starting, |_| {}, "interrupted");
        case(Phase::Removing, |s| s.locked = true, "removing");
        case(
            Phase::Removing,
            |s| s.exit = Some(Exit::default()),
            "interrupted",
        );
    }
}
