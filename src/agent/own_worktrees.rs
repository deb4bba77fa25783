//! The worktrees that agents make themselves, as far as their paths and locks tell.
//!
//! On what a fact rests is beside it: a version that was tried, its source, or its manual.

use std::path::Path;

use crate::system::process;

/// The worktrees of an agent.
struct OwnWorktrees {
    agent: &'static str,
    /// The end of the path of the directory that contains them.
    dir: &'static str,
    /// The number of names below that directory.
    depth: usize,
    /// Reads the reason of their lock.
    lock: fn(&str) -> Option<Owner>,
}

/// The process that an agent names in the reason of a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Owner {
    pid: i32,
    /// Its start, as [`process::start_time`] returns it.
    start: Option<u64>,
}

/// An agent that has locked a worktree which it made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AgentLock {
    /// The agent's name.
    pub(crate) agent: &'static str,
    pub(crate) pid: i32,
    start: Option<u64>,
}

static OWN_WORKTREES: [OwnWorktrees; 5] = [
    // 2.1.332, tried: `<repository>/.claude/worktrees/<name>` on the branch `worktree-<name>`, with
    // `+` for `/`; also those of its subagents. It stays locked if its process is killed.
    OwnWorktrees {
        agent: "claude",
        dir: ".claude/worktrees",
        depth: 1,
        lock: read_claude_lock,
    },
    // By the manual of 0.61: `<repository>/.gemini/worktrees/<name>` on the branch `<name>`.
    OwnWorktrees {
        agent: "gemini",
        dir: ".gemini/worktrees",
        depth: 1,
        lock: |_| None,
    },
    // By the manual of its app: `~/.codex/worktrees/<id>/<project>`, without a branch.
    OwnWorktrees {
        agent: "codex",
        dir: ".codex/worktrees",
        depth: 2,
        lock: |_| None,
    },
    // By its source: `~/.local/share/opencode/worktree/<project id>/<name>` on the branch
    // `opencode/<name>`.
    OwnWorktrees {
        agent: "opencode",
        dir: "opencode/worktree",
        depth: 2,
        lock: |_| None,
    },
    // By its `--help`: `~/.cursor/worktrees/<project>/<name>`.
    OwnWorktrees {
        agent: "cursor-agent",
        dir: ".cursor/worktrees",
        depth: 2,
        lock: |_| None,
    },
];

/// Returns the name of the agent in whose directory for worktrees `path` lies, such as `claude` for
/// `<repository>/.claude/worktrees/<name>`; `None` for any other path.
pub(crate) fn maker(path: &Path) -> Option<&'static str> {
    let is_there = |own: &&OwnWorktrees| {
        let above = path.ancestors().nth(own.depth);
        above.is_some_and(|above| above.ends_with(own.dir))
    };
    OWN_WORKTREES.iter().find(is_there).map(|own| own.agent)
}

impl AgentLock {
    /// Parses the reason with which a worktree is locked (`git worktree lock --reason`). Returns
    /// the agent and the process that have locked the worktree; `None` if no known agent writes
    /// such a reason.
    pub(crate) fn read(reason: &str) -> Option<Self> {
        OWN_WORKTREES.iter().find_map(|own| {
            let Owner { pid, start } = (own.lock)(reason)?;
            let agent = own.agent;
            Some(Self { agent, pid, start })
        })
    }

    /// Returns whether the process that locked the worktree runs on this machine. `true` also for
    /// any process with its id if the reason does not tell when it started.
    pub(crate) fn is_alive(&self) -> bool {
        process::is_alive(self.pid, self.start)
    }
}

/// Parses the reason with which Claude Code locks a worktree:
/// `claude session <name> (pid <pid> start <start>)`, or `claude agent …` for a subagent. `start`
/// may be missing; on Linux it is the start time in `/proc/<pid>/stat`, elsewhere a date, which is
/// ignored. `None` for any other text.
fn read_claude_lock(reason: &str) -> Option<Owner> {
    let rest = reason.strip_prefix("claude ")?;
    let rest = rest
        .strip_prefix("session ")
        .or_else(|| rest.strip_prefix("agent "))?;
    let (name, rest) = rest.rsplit_once(" (pid ")?;
    let process = rest.strip_suffix(')').filter(|_| !name.is_empty())?;
    let (pid, start) = match process.split_once(" start ") {
        Some((pid, start)) => (pid, start.parse().ok()),
        None => (process, None),
    };
    let pid = pid.parse().ok().filter(|pid| *pid > 0)?;
    let start = start.filter(|_| cfg!(target_os = "linux"));
    Some(Owner { pid, start })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agent_lock_read_accepts_only_reasons_of_agents() {
        #[track_caller]
        fn case(reason: &str, expected: Option<(i32, Option<u64>)>) {
            let start = |start: Option<u64>| start.filter(|_| cfg!(target_os = "linux"));
            let expected = expected.map(|(pid, at)| AgentLock {
                agent: "claude",
                pid,
                start: start(at),
            });
            assert_eq!(AgentLock::read(reason), expected, "{reason}");
        }
        let r9 = "claude session t1 (pid 20112 start 215259)";
        case(r9, Some((20112, Some(215_259))));
        case("claude agent a (pid 7 start 8)", Some((7, Some(8))));
        // Without a start, and from a Mac.
        case("claude session probe0 (pid 29884)", Some((29884, None)));
        let date = "claude session t1 (pid 7 start Sun Nov 29 19:25:05 2026)";
        case(date, Some((7, None)));
        case(
            "claude session a (pid 1) (pid 7 start 8)",
            Some((7, Some(8))),
        );
        for other in [
            "",
            "mine",
            "claude session t1",
            "claude session  (pid x start 1)",
            "claude session (pid 7 start 8)",
            "claude session t1 (pid -7 start 8)",
            "claude session t1 (pid 0 start 8)",
            "claude session t1 (pid 99999999999 start 8)",
            "claude session t1 (pid 7 start 8) and more",
            "my claude session t1 (pid 7 start 8)",
        ] {
            case(other, None);
        }
    }

    #[test]
    fn maker_is_told_by_the_path() {
        for (path, agent) in [
            ("/repo/.claude/worktrees/t1", Some("claude")),
            ("/repo/.gemini/worktrees/t1", Some("gemini")),
            ("/home/a/.codex/worktrees/ab12/repo", Some("codex")),
            (
                "/home/a/.local/share/opencode/worktree/12ab/calm-wolf",
                Some("opencode"),
            ),
            ("/home/a/.cursor/worktrees/repo/fix", Some("cursor-agent")),
            ("/repo/.claude/worktrees", None),
            ("/repo/.claude/worktrees/t1/sub", None),
            ("/repo/worktrees/t1", None),
            ("/", None),
        ] {
            assert_eq!(maker(Path::new(path)), agent, "{path}");
        }
    }
}
