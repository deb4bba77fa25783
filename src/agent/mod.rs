//! Agents: programs that are given a task. What differs between them is data.

pub(crate) mod launch;
pub(crate) mod launcher;
pub(crate) mod process;
pub(crate) mod prompt;

use std::env;
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;

/// How an agent is given its prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Prompt {
    /// As the last argument, after `--`, so that it may begin with a dash.
    AfterDashes,
    /// As the last argument.
    Last,
    /// Printed for the person who works in the pane.
    Shown,
    /// Not at all: it goes on with what it has.
    Resumed,
}

/// A known agent.
struct Known {
    name: &'static str,
    /// The program and its options.
    argv: &'static [&'static str],
    prompt: Prompt,
    /// What makes it go on with its last conversation in this directory.
    resume: Option<&'static str>,
    /// The signal on which it closes its session and ends.
    end: Signal,
}

/// The agents known from the start. Seen with: claude 2.1.197, which runs its hooks for
/// the end of a session and exits with 143 when it is terminated.
const KNOWN: &[Known] = &[
    Known {
        name: "claude",
        argv: &["claude", "--dangerously-skip-permissions"],
        prompt: Prompt::AfterDashes,
        resume: Some("--continue"),
        end: Signal::SIGTERM,
    },
    // The user's shell: its argv is empty here, since it is not the same for everybody.
    Known {
        name: "shell",
        argv: &[],
        prompt: Prompt::Shown,
        resume: None,
        // What a shell takes for its end; the other one it does not heed.
        end: Signal::SIGHUP,
    },
];

/// An agent, ready to be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Agent {
    pub(crate) argv: Vec<OsString>,
    pub(crate) prompt: Prompt,
    resume: Option<&'static str>,
}

impl Agent {
    /// The agent of this name; `command` is what `flux.<name>.command` says.
    pub(crate) fn find(name: &str, command: Option<Vec<String>>) -> Option<Self> {
        let known = KNOWN.iter().find(|known| known.name == name);
        let argv: Vec<OsString> = match (command, known) {
            (Some(words), _) => words.into_iter().map(OsString::from).collect(),
            (None, Some(known)) if known.argv.is_empty() => vec![shell()],
            (None, Some(known)) => known.argv.iter().map(OsString::from).collect(),
            (None, None) => return None,
        };
        Some(Self {
            argv,
            prompt: known.map_or(Prompt::Last, |known| known.prompt),
            resume: known.and_then(|known| known.resume),
        })
    }

    /// The same agent, to go on where it was; none if it cannot.
    pub(crate) fn resumed(&self) -> Option<Self> {
        let mut argv = self.argv.clone();
        argv.push(self.resume?.into());
        Some(Self {
            argv,
            prompt: Prompt::Resumed,
            resume: None,
        })
    }

    /// Where its program is on PATH.
    pub(crate) fn program(&self) -> Option<PathBuf> {
        which(Path::new(self.argv.first()?))
    }
}

/// The signal that asks the agent of this name to end. One that is not known is hung
/// up, as if its terminal were closed.
pub(crate) fn farewell(name: &str) -> Signal {
    let known = KNOWN.iter().find(|known| known.name == name);
    known.map_or(Signal::SIGHUP, |known| known.end)
}

/// Whether the agent of this name takes what is typed for a message: a shell would
/// take it for a command.
pub(crate) fn converses(name: &str) -> bool {
    let known = KNOWN.iter().find(|known| known.name == name);
    known.is_none_or(|known| known.prompt != Prompt::Shown)
}

/// The names of all known agents.
pub(crate) fn names<'a>() -> impl Iterator<Item = &'a str> {
    KNOWN.iter().map(|known| known.name)
}

/// The user's shell.
pub(crate) fn shell() -> OsString {
    env::var_os("SHELL")
        .filter(|shell| !shell.is_empty())
        .unwrap_or_else(|| "/bin/sh".into())
}

/// The file that running `program` would execute.
pub(crate) fn which(program: &Path) -> Option<PathBuf> {
    let executable = |path: &Path| {
        path.metadata()
            .is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
    };
    if program.components().count() > 1 {
        let path = std::path::absolute(program).ok()?;
        return executable(&path).then_some(path);
    }
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|dir| dir.join(program))
        .find(|path| path.is_absolute() && executable(path))
}
