//! A task as programs read it: one JSON object everywhere, and stable lines.

use std::path::Path;

use clap::Args;
use serde_json::{Value, json};

use crate::sanitize;
use crate::task::{State, Status};

/// The task object. Field names are stable; what is not known is `null`.
pub(super) fn json(status: &Status) -> Value {
    let task = &status.task;
    let target = task.target.as_ref().map(|target| {
        json!({ "kind": target.kind.into_str(), "session": target.session, "window": target.window, "pane": target.pane })
    });
    let exit = match &status.state {
        State::Ended(exit) => {
            json!({ "status": exit.status, "signal": exit.signal, "at": exit.at })
        }
        _ => Value::Null,
    };
    json!({
        "id": task.id.as_str(),
        "owner": status.owner,
        "title": task.title,
        "phase": task.phase.into_str(),
        "state": status.state.name(),
        "stateSource": status.found.source.into_str(),
        "stateReason": status.state.reason(),
        "stateSince": status.found.since,
        "stateGuess": status.found.guess,
        "agent": task.agent,
        "branch": task.branch,
        "branchKept": task.existing.is_some(),
        "base": task.base,
        "into": task.into,
        "worktree": task.worktree.to_string_lossy(),
        "created": task.created,
        "port": task.port,
        "target": target,
        "ahead": status.ahead,
        "behind": status.behind,
        "changes": status.changes,
        "exit": exit,
    })
}

/// The object of a task of which only the id is known, and why.
pub(super) fn unknown(id: &str, state: &str, error: &str) -> Value {
    json!({
        "id": id, "owner": null, "title": null, "phase": null, "state": state, "stateSource": "record",
        "stateReason": null, "stateSince": null, "stateGuess": false, "agent": null, "branch": null,
        "branchKept": null, "base": null, "into": null, "worktree": null, "created": null, "port": null, "target": null, "ahead": null, "behind": null,
        "changes": null, "exit": null, "error": error,
    })
}

/// Lines for programs, as options.
#[derive(Debug, Default, Args)]
pub(super) struct Porcelain {
    /// Machine-readable output
    #[arg(long, conflicts_with = "json")]
    porcelain: bool,
    /// Terminate records of --porcelain with a NUL character
    #[arg(short = 'z', requires = "porcelain")]
    nul: bool,
}

impl Porcelain {
    /// The lines to be filled, if they are asked for.
    pub(super) fn lines(&self) -> Option<Lines> {
        self.porcelain.then(|| Lines::new(self.nul))
    }
}

/// Lines of `key value` as `git worktree list --porcelain` has them, ended by an
/// empty one. With NUL as `end` every value is exact, with a newline it is harmless.
#[derive(Debug)]
pub(super) struct Lines {
    end: u8,
    bytes: Vec<u8>,
}

impl Lines {
    fn new(nul: bool) -> Self {
        Self {
            end: if nul { 0 } else { b'\n' },
            bytes: Vec::new(),
        }
    }

    pub(super) fn line(&mut self, key: &str, value: impl AsRef<[u8]>) {
        self.bytes.extend_from_slice(key.as_bytes());
        self.bytes.push(b' ');
        if self.end == b'\n' {
            let text = String::from_utf8_lossy(value.as_ref());
            self.bytes
                .extend_from_slice(sanitize::line(&text).as_bytes());
        } else {
            self.bytes.extend_from_slice(value.as_ref());
        }
        self.bytes.push(self.end);
    }

    /// What is so.
    fn label(&mut self, key: &str) {
        self.bytes.extend_from_slice(key.as_bytes());
        self.bytes.push(self.end);
    }

    /// Ends what the lines before it are about.
    pub(super) fn end(&mut self) {
        self.bytes.push(self.end);
    }

    pub(super) fn task(&mut self, status: &Status) {
        let task = &status.task;
        self.line("task", task.id.as_str());
        if let Some(owner) = &status.owner {
            self.line("owner", owner);
        }
        self.line("state", status.state.name());
        if let Some(why) = status.state.reason() {
            self.line("reason", why);
        }
        if let State::Ended(exit) = &status.state {
            if let Some(code) = exit.status {
                self.line("status", code.to_string());
            }
            if let Some(signal) = exit.signal {
                self.line("signal", signal.to_string());
            }
        }
        self.line("phase", task.phase.into_str());
        self.line("agent", &task.agent);
        self.line("branch", &task.branch);
        if task.existing.is_some() {
            self.label("branch-kept");
        }
        self.line("base", &task.base);
        if let Some(into) = &task.into {
            self.line("into", into);
        }
        self.path("worktree", &task.worktree);
        self.line("created", task.created.to_string());
        if let Some(target) = &task.target {
            self.line(
                target.kind.into_str(),
                format!("{} {} {}", target.window, target.pane, target.session),
            );
        }
        if let (Some(ahead), Some(behind)) = (status.ahead, status.behind) {
            self.line("commits", format!("+{ahead} -{behind}"));
        }
        if let Some(c) = status.changes {
            self.line(
                "changes",
                format!(
                    "{} {} {} {}",
                    c.staged, c.unstaged, c.untracked, c.conflicted
                ),
            );
        }
        self.line("title", &task.title);
        self.end();
    }

    pub(super) fn unknown(&mut self, id: &str, state: &str, error: &str) {
        self.line("task", id);
        self.line("state", state);
        self.line("error", error);
        self.bytes.push(self.end);
    }

    fn path(&mut self, key: &str, path: &Path) {
        use std::os::unix::ffi::OsStrExt as _;
        self.line(key, path.as_os_str().as_bytes());
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}
