//! The fake agent, installed as `claude`: records argv, cwd, environment and every byte it reads from its
//! terminal, and does what `World::behaviour` (from its start on) or `Agent::tell` (while it runs) says:
//!
//! `wait` · `exit N` · `signal NAME` · `commit [message]` (appends to agent.txt) · `loop-commit` (until told
//! otherwise) · `sh <code>` · `say <text with \n, \033>` · `sigint-N` (exits N on ^C) · `stubborn` (ignores
//! HUP, INT, QUIT, TERM) · `raw` (alternate screen, no line editing, bracketed paste). All but the first three
//! then wait, reading the terminal; at its end (^D) the agent exits 0.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;

use super::{World, wait_for, wait_until};

impl World {
    /// Installs the fake agent under a name; `claude` is there from the start.
    pub(crate) fn install_agent(&self, name: &str) {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/world/agent.sh");
        let agent = self.tools.join("bin").join(name);
        fs::remove_file(&agent).ok();
        symlink(script, agent).unwrap();
    }

    /// Sets what agents do when they start from now on.
    pub(crate) fn behaviour(&self, behaviour: &str) {
        fs::write(self.tools.join("agent/behaviour"), behaviour).unwrap();
    }

    /// Returns the agent of a task, started or not.
    pub(crate) fn agent(&self, task: &str) -> Agent {
        Agent {
            task: task.to_owned(),
            dir: self.tools.join("agent").join(task),
        }
    }

    /// Waits for the agent of another task than those to start; returns that task.
    #[track_caller]
    pub(crate) fn next_agent(&self, others: &[&str]) -> String {
        wait_for("the agent to start", || {
            let mut started = self.started_agents().into_iter();
            started.find(|id| !others.contains(&id.as_str()))
        })
    }

    /// Returns the tasks whose agents were ever started, in the order of their names.
    pub(crate) fn started_agents(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.tools.join("agent"))
            .unwrap()
            .map(|entry| entry.unwrap())
            .filter(|entry| entry.path().join("starts").exists())
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }
}

/// The agent of one task. Methods wait for its records.
pub(crate) struct Agent {
    task: String,
    dir: PathBuf,
}

impl Agent {
    #[track_caller]
    pub(crate) fn wait_started(&self) -> &Self {
        self.wait_starts(1)
    }

    /// Waits for the n-th start of an agent for this task; its records replace those of the one before.
    #[track_caller]
    pub(crate) fn wait_starts(&self, n: usize) -> &Self {
        let what = format!("start {n} of the agent of '{}'", self.task);
        wait_until(&what, || self.starts() >= n);
        self
    }

    pub(crate) fn starts(&self) -> usize {
        self.lines("starts").len()
    }

    #[track_caller]
    pub(crate) fn argv(&self) -> Vec<Vec<u8>> {
        split_nul(&self.record("argv"))
    }

    /// Returns `argv` without the settings for its hooks.
    #[track_caller]
    pub(crate) fn arguments(&self) -> Vec<Vec<u8>> {
        let mut argv = self.argv();
        let at = argv.iter().position(|arg| arg == b"--settings");
        let at = at.expect("claude was given settings");
        assert!(argv[at + 1].ends_with(b"/claude.json"), "{argv:?}");
        argv.drain(at..at + 2);
        argv
    }

    /// Returns its last argument.
    #[track_caller]
    pub(crate) fn prompt(&self) -> Vec<u8> {
        self.argv().pop().expect("the agent was given arguments")
    }

    #[track_caller]
    pub(crate) fn cwd(&self) -> PathBuf {
        let mut bytes = self.record("cwd");
        // The newline of `pwd`, and the dot that guards the directory's own ones from `$(…)`.
        bytes.truncate(bytes.len() - 2);
        OsString::from_vec(bytes).into()
    }

    /// Returns a variable of its environment; `None` when it is not set.
    #[track_caller]
    pub(crate) fn env(&self, name: &str) -> Option<String> {
        let prefix = format!("{name}=");
        self.environment()
            .iter()
            .find_map(|line| line.strip_prefix(&prefix).map(str::to_owned))
    }

    /// Returns its whole environment, as `NAME=value`.
    #[track_caller]
    pub(crate) fn environment(&self) -> Vec<String> {
        split_nul(&self.record("env"))
            .iter()
            .map(|line| String::from_utf8_lossy(line).into_owned())
            .collect()
    }

    /// Returns what it has read from its terminal so far.
    pub(crate) fn stdin(&self) -> Vec<u8> {
        fs::read(self.dir.join("stdin")).unwrap_or_default()
    }

    #[track_caller]
    pub(crate) fn wait_stdin(&self, text: &str) -> Vec<u8> {
        let what = format!("{text:?} to be read by the agent of '{}'", self.task);
        wait_for(&what, || {
            let read = self.stdin();
            String::from_utf8_lossy(&read)
                .contains(text)
                .then_some(read)
        })
    }

    #[track_caller]
    pub(crate) fn pid(&self) -> i32 {
        let pid = String::from_utf8(self.record("pid")).unwrap();
        pid.trim_end().parse().unwrap()
    }

    /// Returns its process; `None` if it has ended.
    #[track_caller]
    pub(crate) fn process(&self) -> Option<Process> {
        Process::find(self.pid())
    }

    pub(crate) fn is_alive(&self) -> bool {
        self.process().is_some_and(|process| process.state != 'Z')
    }

    #[track_caller]
    pub(crate) fn wait_gone(&self) {
        let what = format!("the agent of '{}' to end", self.task);
        wait_until(&what, || !self.is_alive());
    }

    /// Sends it a signal by name: `TERM`.
    pub(crate) fn kill(&self, signal: &str) {
        kill(self.pid(), signal);
    }

    /// Tells the running agent to do something else, and waits until it is done (for `exit` and `signal`: until it
    /// ended).
    #[track_caller]
    pub(crate) fn tell(&self, behaviour: &str) {
        self.wait_started();
        let told = || {
            self.lines("done")
                .into_iter()
                .filter(|line| line.starts_with("told"))
        };
        let before = told().count();
        let new = self.dir.join("wish.new");
        fs::write(&new, behaviour).unwrap();
        fs::rename(&new, self.dir.join("wish")).unwrap();
        let what = format!("the agent of '{}' to {behaviour}", self.task);
        wait_until(&what, || {
            self.wake();
            told().count() > before || !self.is_alive()
        });
        if let Some(line) = told().nth(before) {
            assert_eq!(
                line, "told 0",
                "the agent of '{}' failed to {behaviour}",
                self.task
            );
        }
    }

    /// Waits until what `World::behaviour` asked for is done.
    #[track_caller]
    pub(crate) fn wait_first_done(&self) -> &Self {
        let what = format!("the agent of '{}' to have done its first work", self.task);
        wait_until(&what, || {
            self.lines("done")
                .iter()
                .any(|line| line.starts_with("first"))
        });
        self
    }

    /// Ends the read it is blocked in, if there is a wish it has not seen.
    fn wake(&self) {
        let wish = fs::metadata(self.dir.join("wish"));
        if !wish.is_ok_and(|wish| wish.len() > 0) {
            return;
        }
        let reader = fs::read_to_string(self.dir.join("reader")).unwrap_or_default();
        if let Ok(pid) = reader.trim_end().parse() {
            kill(pid, "KILL");
        }
    }

    #[track_caller]
    fn record(&self, name: &str) -> Vec<u8> {
        self.wait_started();
        fs::read(self.dir.join(name)).unwrap()
    }

    fn lines(&self, name: &str) -> Vec<String> {
        let text = fs::read_to_string(self.dir.join(name)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

/// What the kernel says about a process: `/proc/<pid>/stat`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    /// `T` when stopped, `Z` when ended and not yet waited for.
    pub(crate) state: char,
    pub(crate) parent: i32,
    pub(crate) group: i32,
    pub(crate) session: i32,
    /// 0 without a controlling terminal.
    pub(crate) terminal: i32,
    /// The terminal's foreground process group.
    pub(crate) foreground: i32,
}

impl Process {
    pub(crate) fn find(pid: i32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name, in parentheses, may hold spaces and parentheses itself.
        let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
        let number = |n: usize| fields[n].parse().ok();
        Some(Self {
            pid,
            state: fields[0].chars().next()?,
            parent: number(1)?,
            group: number(2)?,
            session: number(3)?,
            terminal: number(4)?,
            foreground: number(5)?,
        })
    }
}

fn split_nul(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut parts: Vec<Vec<u8>> = bytes.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect();
    // Every part ends in a NUL, so what follows the last one is no part.
    parts.pop();
    parts
}

/// Sends a signal to a process, or with a negative number to a process group, that may have ended already.
pub(super) fn kill(pid: i32, signal: &str) {
    let signal: Signal = format!("SIG{signal}").parse().unwrap();
    signal::kill(Pid::from_raw(pid), signal).ok();
}
