//! Running git flux off a terminal, and what can be said about the outcome.
//!
//! The program gets a session of its own (so there is no controlling terminal to fall back on), nothing on
//! stdin unless given, and is killed after two minutes: a hanging test names itself.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use expect_test::Expect;

use super::World;

const TIME_OUT: Duration = Duration::from_secs(120);

impl World {
    /// Prepares `git-flux <args>` in the default repository.
    pub(crate) fn flux<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Flux<'_> {
        Flux {
            world: self,
            args: args.into_iter().map(|arg| arg.as_ref().into()).collect(),
            git: None,
            dir: self.repo(),
            env: BTreeMap::new(),
            stdin: None,
        }
    }

    /// Starts a task with the fake agent in a detached session, and gives its id.
    #[track_caller]
    pub(crate) fn start(&self, description: &str) -> String {
        let output = self.flux(["run", "-q", "--", description]).run();
        output.success();
        let id = output.stdout.trim_end().to_owned();
        assert!(!id.is_empty(), "run -q printed no id\n{output}");
        self.agent(&id).wait_started();
        id
    }

    /// Returns the pane of a task, by its record: many tests look for it again and again.
    #[track_caller]
    pub(crate) fn pane(&self, id: &str) -> String {
        let record = self.git(["show", &format!("refs/flux/tasks/{id}:task.json")]);
        let record: serde_json::Value = serde_json::from_str(&record).unwrap();
        record["target"]["pane"].as_str().unwrap().to_owned()
    }
}

/// A call of git flux that is being prepared.
#[must_use]
pub(crate) struct Flux<'a> {
    world: &'a World,
    args: Vec<OsString>,
    git: Option<Vec<OsString>>,
    dir: PathBuf,
    env: BTreeMap<OsString, Option<OsString>>,
    stdin: Option<Vec<u8>>,
}

impl Flux<'_> {
    /// Calls it as users do, `git flux …`. git puts its own programs first on PATH then: the shim sees no call of git.
    pub(crate) fn via_git(self) -> Self {
        self.via_git_with::<&str>([])
    }

    /// `git <options> flux …`, for `-C` and `-c`.
    pub(crate) fn via_git_with<A: AsRef<OsStr>>(
        mut self,
        options: impl IntoIterator<Item = A>,
    ) -> Self {
        self.git = Some(options.into_iter().map(|arg| arg.as_ref().into()).collect());
        self
    }

    pub(crate) fn in_dir(mut self, dir: impl AsRef<Path>) -> Self {
        self.dir = self.world.repo().join(dir);
        self
    }

    pub(crate) fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env
            .insert(name.as_ref().into(), Some(value.as_ref().into()));
        self
    }

    pub(crate) fn env_remove(mut self, name: impl AsRef<OsStr>) -> Self {
        self.env.insert(name.as_ref().into(), None);
        self
    }

    pub(crate) fn stdin(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.stdin = Some(bytes.as_ref().to_vec());
        self
    }

    /// Runs it, asserts success, and gives its stdout without the last newline.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        let output = self.run();
        output.success();
        output.stdout.trim_end_matches('\n').to_owned()
    }

    fn command(&self) -> Command {
        // `setsid` becomes the program itself, so the child's pid and exit status are git-flux's own.
        let mut command = self.world.command("setsid");
        match &self.git {
            Some(options) => command.arg(&self.world.git).args(options).arg("flux"),
            None => command.arg(self.world.tools.join("bin/git-flux")),
        };
        command.args(&self.args).current_dir(&self.dir);
        for (name, value) in &self.env {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command
    }

    /// Runs it to its end.
    #[track_caller]
    pub(crate) fn run(self) -> Output {
        let before = self.starts();
        self.world.forget_changed_config();
        let stdin = match &self.stdin {
            Some(_) => Stdio::piped(),
            None => Stdio::null(),
        };
        let mut child = self
            .command()
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("setsid can be started");
        let pid = i32::try_from(child.id()).unwrap();
        let (sender, events) = channel();
        read_all(child.stdout.take().unwrap(), sender.clone(), Event::Stdout);
        read_all(child.stderr.take().unwrap(), sender.clone(), Event::Stderr);
        if let (Some(mut pipe), Some(bytes)) = (child.stdin.take(), self.stdin.clone()) {
            // It may refuse before it has read everything: a broken pipe is its right.
            thread::spawn(move || pipe.write_all(&bytes).ok());
        }
        thread::spawn(move || sender.send(Event::Exit(child.wait().unwrap())).ok());
        let output = self.collect(pid, &events);
        self.wait_for_agents(&output, &before);
        output
    }

    /// Returns how often the agent of each task was started: a name can be used again.
    fn starts(&self) -> BTreeMap<String, usize> {
        let ids = self.world.started_agents().into_iter();
        ids.map(|id| (id.clone(), self.world.agent(&id).starts()))
            .collect()
    }

    /// Waits until agents have started that were to have their terminals in raw mode: `run -q`
    /// itself waits for none, and what comes next is meant for agents that are up.
    fn wait_for_agents(&self, output: &Output, before: &BTreeMap<String, usize>) {
        let has = |word: &str| self.args.iter().any(|arg| arg == word);
        let behaviour = fs::read_to_string(self.world.tools.join("agent/behaviour"));
        if output.code != Some(0) || !has("run") || !has("-q") || has("--agent") {
            return;
        }
        if behaviour.is_ok_and(|behaviour| behaviour == "raw") {
            for id in output.stdout.lines() {
                let before = before.get(id).copied().unwrap_or_default();
                self.world.agent(id).wait_starts(before + 1);
            }
        }
    }

    #[track_caller]
    fn collect(&self, pid: i32, events: &Receiver<Event>) -> Output {
        let end = Instant::now() + TIME_OUT;
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let mut status = None;
        loop {
            match events.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(Event::Stdout(bytes)) => stdout.extend(bytes),
                Ok(Event::Stderr(bytes)) => stderr.extend(bytes),
                Ok(Event::Exit(exit)) => status = Some(exit),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    super::agent::kill(-pid, "KILL");
                    let what = match status {
                        Some(_) => "ended, but something it started still holds its output open",
                        None => "did not end",
                    };
                    let output = Output::new(self, stdout, &stderr, status);
                    panic!("git flux {:?} {what}\n{output}", self.args);
                }
            }
        }
        Output::new(self, stdout, &stderr, status)
    }
}

enum Event {
    Stdout(Vec<u8>),
    Stderr(Vec<u8>),
    Exit(std::process::ExitStatus),
}

fn read_all(
    mut pipe: impl Read + Send + 'static,
    sender: Sender<Event>,
    event: impl Fn(Vec<u8>) -> Event + Send + 'static,
) {
    thread::spawn(move || {
        let mut buffer = vec![0; 1 << 16];
        while let Ok(n @ 1..) = pipe.read(&mut buffer) {
            sender.send(event(buffer[..n].to_vec())).ok();
        }
    });
}

/// The output of a run of git flux, and how it ended.
#[must_use = "say what is expected: .success() or .code(n)"]
pub(crate) struct Output {
    args: Vec<OsString>,
    root: PathBuf,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// Stdout byte by byte, where it is not UTF-8.
    pub(crate) bytes: Vec<u8>,
    /// `None` when a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) signal: Option<i32>,
}

impl Output {
    fn new(
        flux: &Flux<'_>,
        stdout: Vec<u8>,
        stderr: &[u8],
        status: Option<std::process::ExitStatus>,
    ) -> Self {
        Self {
            args: flux.args.clone(),
            root: flux.world.root().to_owned(),
            stdout: String::from_utf8_lossy(&stdout).into_owned(),
            stderr: String::from_utf8_lossy(stderr).into_owned(),
            bytes: stdout,
            code: status.and_then(|status| status.code()),
            signal: status.and_then(|status| status.signal()),
        }
    }

    #[track_caller]
    pub(crate) fn success(&self) -> &Self {
        self.code(0)
    }

    #[track_caller]
    pub(crate) fn code(&self, code: i32) -> &Self {
        assert!(self.code == Some(code), "expected exit code {code}\n{self}");
        self
    }

    /// Asserts that it was ended by SIGKILL, as by a fault.
    #[track_caller]
    pub(crate) fn killed(&self) -> &Self {
        assert!(self.signal == Some(9), "expected it to be killed\n{self}");
        self
    }

    /// Compares everything that it printed, standard error below a line, without what differs each
    /// time. `UPDATE_EXPECT=1` writes what is expected anew.
    pub(crate) fn says(&self, expected: &Expect) -> &Self {
        let mut said = self.stdout.clone();
        if !self.stderr.is_empty() {
            said += "--- stderr\n";
            said += &self.stderr;
        }
        eprintln!("git-flux {:.500}", format!("{:?}", self.args));
        expected.assert_eq(&normal(&said, &self.root));
        self
    }

    #[track_caller]
    pub(crate) fn stdout_is(&self, text: &str) -> &Self {
        assert!(self.stdout == text, "expected stdout {text:?}\n{self}");
        self
    }

    #[track_caller]
    pub(crate) fn stderr_is(&self, text: &str) -> &Self {
        assert!(self.stderr == text, "expected stderr {text:?}\n{self}");
        self
    }

    #[track_caller]
    pub(crate) fn stdout_has(&self, text: &str) -> &Self {
        assert!(self.stdout.contains(text), "no {text:?} in stdout\n{self}");
        self
    }

    #[track_caller]
    pub(crate) fn stderr_has(&self, text: &str) -> &Self {
        assert!(self.stderr.contains(text), "no {text:?} in stderr\n{self}");
        self
    }

    /// Neither stdout nor stderr holds this.
    #[track_caller]
    pub(crate) fn has_not(&self, text: &str) -> &Self {
        let found = self.stdout.contains(text) || self.stderr.contains(text);
        assert!(!found, "unexpected {text:?}\n{self}");
        self
    }

    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|e| panic!("no JSON: {e}\n{self}"))
    }
}

/// Replaces what differs each time: the world's directory, names of objects, digits of ids, and numbers of
/// processes and panes.
fn normal(text: &str, root: &Path) -> String {
    let tools = root.with_file_name("the tools");
    let text = text.replace(root.to_str().unwrap(), "$WORLD");
    let text = text.replace(tools.to_str().unwrap(), "$TOOLS");
    let mut normal = String::new();
    let is_pid = |before: &str, after: &str| {
        let named = before.ends_with("process ") || before.ends_with("kill ");
        let is_time = before.ends_with(", ") && after.starts_with(" s)");
        named || is_time || (before.ends_with(" (") && after.starts_with(')'))
    };
    let is_of_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut rest = text.as_str();
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|c| !is_of_word(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end.max(first.len_utf8()));
        let is_hex = word.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let is_number = word.bytes().all(|b| b.is_ascii_digit());
        let new = match word.len() {
            _ if is_number && is_pid(&normal, after) => "<number>",
            7.. if is_hex && word.contains(|c: char| c.is_ascii_digit()) => "<object>",
            6 if is_hex && normal.ends_with('-') => "XXXXXX",
            _ if is_number && normal.ends_with('%') => "<pane>",
            _ if normal.ends_with("/tmp/ft-") => "XXXXXX",
            _ => word,
        };
        normal.push_str(new);
        rest = after;
    }
    normal
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let args = format!("{:?}", self.args);
        // A prompt of megabytes must not bury the message.
        writeln!(f, "------- git-flux {:.500} -------\n{}", args, self.stdout)?;
        writeln!(f, "------- stderr -------\n{}", self.stderr)?;
        match (self.code, self.signal) {
            (Some(code), _) => writeln!(f, "[exit status: {code}]"),
            (None, Some(signal)) => writeln!(f, "[signal: {signal}]"),
            (None, None) => writeln!(f, "[still running]"),
        }
    }
}
