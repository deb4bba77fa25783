//! The only place that starts `git`.

pub(in crate::git) mod died;
pub(in crate::git) mod patience;
pub(crate) mod records;

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, IsTerminal as _, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Error, Result, anyhow, bail};
use console::strip_ansi_codes;
use signal_hook::consts::SIGPIPE;

use self::died::Died;
use crate::failure::Failure;
use crate::interrupt;
use crate::system::captured::{Captured, Stderr};
use crate::system::deadline::Deadline;
use crate::system::version::version;

/// The oldest git with everything used here (`merge-tree --write-tree`, `cat-file -z`).
const OLDEST: (u32, u32) = (2, 38);

/// git's own exit code for a usage error: the option is not known to this git.
const GIT_USAGE: i32 = 129;

/// How long git waits for the locks of refs where it changes something, in ms: many tasks come
/// and go at once, and git's own patience with one reftable is a tenth of a second.
const LOCKS: [&str; 6] = [
    "-c",
    "reftable.lockTimeout=20000",
    "-c",
    "core.filesRefLockTimeout=20000",
    "-c",
    "core.packedRefsTimeout=20000",
];

/// What an outer git leaves in the environment that would make ours look at
/// another repository. `GIT_CONFIG_*` stays: it carries `git -c`.
pub(super) const FOREIGN: [&str; 8] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_PREFIX",
    "GIT_COMMON_DIR",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_NAMESPACE",
];

/// One `git` process, built as [`Command`] is.
#[must_use]
pub(crate) struct Git {
    command: Command,
    /// Options of git itself, before the subcommand.
    options: Vec<OsString>,
    subcommand: String,
    args: Vec<OsString>,
    input: Option<Vec<u8>>,
    holding: Option<File>,
    stderr: Stderr,
    hooks: bool,
    patience: Option<Duration>,
}

impl Git {
    /// `git <subcommand>` in `dir`.
    pub(crate) fn new(dir: &Path, subcommand: &str) -> Self {
        let mut command = Command::new("git");
        command.current_dir(dir);
        for name in FOREIGN {
            command.env_remove(name);
        }
        Self {
            command,
            options: Vec::new(),
            subcommand: subcommand.to_owned(),
            args: Vec::new(),
            input: None,
            holding: None,
            stderr: Stderr::Captured,
            hooks: false,
            patience: None,
        }
    }

    /// A command that only looks: it must not take `index.lock` from an agent.
    pub(crate) fn reading(dir: &Path, subcommand: &str) -> Self {
        Self::new(dir, subcommand).env("GIT_OPTIONAL_LOCKS", "0")
    }

    /// Adds an argument, byte for byte.
    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments, byte for byte.
    pub(crate) fn args<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(self, args: I) -> Self {
        args.into_iter().fold(self, Self::arg)
    }

    /// `git -c <setting>`
    pub(super) fn config(self, setting: impl AsRef<OsStr>) -> Self {
        self.option("-c").option(setting)
    }

    /// Adds an option of git itself.
    pub(super) fn option(mut self, option: impl AsRef<OsStr>) -> Self {
        self.options.push(option.as_ref().to_owned());
        self
    }

    /// Its name, for messages.
    fn name(&self) -> String {
        format!("git {}", self.subcommand)
    }

    /// Whether the caller's environment names another repository than its directory does.
    pub(crate) fn is_directed() -> bool {
        FOREIGN.iter().any(|name| env::var_os(name).is_some())
    }

    /// A command that only looks, at the repository that the caller's directory and environment
    /// name: what is asked while a line is typed, before anything is opened.
    pub(super) fn glancing(subcommand: &str) -> Self {
        let git = Self::reading(Path::new("."), subcommand);
        let named = FOREIGN
            .iter()
            .filter_map(|name| Some((name, env::var_os(name)?)));
        named.fold(git, |git, (name, value)| git.env(name, value))
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    pub(crate) fn input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = Some(bytes.into());
        self
    }

    /// Lets the process hold `lock` as long as it lives, so that nobody settles
    /// a task while a child of a killed command is still at work on it. What
    /// changes something is patient with others that do.
    ///
    /// # Errors
    /// When the lock's descriptor cannot be copied.
    pub(crate) fn holding(mut self, lock: &super::Lock) -> Result<Self> {
        self.holding = Some(lock.share()?);
        Ok(self)
    }

    /// Runs hooks of the user's as a git of the user's own would: it is told no settings, which they
    /// would see in their environment, and what they leave running is not waited for.
    pub(super) fn with_hooks(mut self) -> Self {
        self.hooks = true;
        self
    }

    /// Keeps ^C from it: a step that takes a moment and must not stop half way.
    pub(super) fn shielded(mut self) -> Self {
        self.command.process_group(0);
        self
    }

    /// Gives up after a time, and ends git and what it has started: an agent can have it wait for ever.
    pub(super) fn within(mut self, patience: Duration) -> Self {
        self.patience = Some(patience);
        self
    }

    /// Shows what git says on standard error while it runs, on a terminal.
    pub(super) fn loud(mut self) -> Self {
        if io::stderr().is_terminal() {
            self.stderr = Stderr::Shown;
        }
        self
    }

    /// Runs it and returns what it printed, whatever its exit code.
    ///
    /// # Errors
    /// When it could not be started, was ended by a signal, or is too old.
    pub(crate) fn outcome(mut self) -> Result<(i32, Output)> {
        let captured = self.set_up()?;
        let mut child = self.spawn()?;
        let deadline = self
            .patience
            .map(|patience| (Deadline::new(&child, patience), patience));
        if let (Some(bytes), Some(mut stdin)) = (self.input.take(), child.stdin.take()) {
            match stdin.write_all(&bytes) {
                // It stopped reading: its exit code says why.
                Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error.into()),
                _ => {}
            }
        }
        let mut output = child
            .wait_with_output()
            .with_context(|| format!("`{}` was lost", self.name()))?;
        if let Some(captured) = captured {
            captured.read(&mut output)?;
        }
        if let Some((deadline, patience)) = deadline
            && deadline.end()
        {
            interrupt::check()?;
            let (name, seconds) = (self.name(), patience.as_secs());
            bail!("`{name}` did not end within {seconds} seconds: it may wait for a pipe");
        }
        match output.status.code() {
            Some(GIT_USAGE) => {
                ensure_recent()?;
                Ok((GIT_USAGE, output))
            }
            Some(code) => Ok((code, output)),
            None => {
                interrupt::check()?;
                let signal = output.status.signal().unwrap_or_default();
                let command = self.name();
                Err(Died { command, signal }.into())
            }
        }
    }

    /// Connects its standard streams.
    fn set_up(&mut self) -> Result<Option<Captured>> {
        if self.holding.is_some() && !self.hooks {
            self.command.args(LOCKS);
        }
        let stderr = match self.stderr {
            Stderr::Shown => Stdio::inherit(),
            Stderr::Captured => Stdio::piped(),
        };
        self.command.stdout(Stdio::piped()).stderr(stderr);
        let captured = match self.hooks {
            true => Some(Captured::new(&mut self.command, self.stderr)?),
            false => None,
        };
        match (&self.input, self.holding.take()) {
            // git reads nothing from an empty lock file, and writes nothing to
            // standard output where it is given its input here.
            (None, Some(lock)) => self.command.stdin(lock),
            (None, None) => self.command.stdin(Stdio::null()),
            (Some(_), Some(lock)) => self.command.stdin(Stdio::piped()).stdout(lock),
            (Some(_), None) => self.command.stdin(Stdio::piped()),
        };
        if self.patience.is_some() {
            // So that what it has started can be ended with it.
            self.command.process_group(0);
        }
        Ok(captured)
    }

    fn spawn(&mut self) -> Result<Child> {
        self.add_words();
        let child = self.command.spawn();
        child.map_err(|error| not_started(error, &self.name()))
    }

    fn add_words(&mut self) {
        self.command.args(&self.options);
        self.command.arg(&self.subcommand).args(&self.args);
    }

    /// Runs it and returns its standard output.
    ///
    /// # Errors
    /// When it fails: the exit code decides, its messages become the cause.
    pub(crate) fn output(self) -> Result<Vec<u8>> {
        let name = self.name();
        match self.outcome()? {
            (0, output) => Ok(output.stdout),
            // `git commit` gives its reasons on standard output.
            (code, output) if output.stderr.is_empty() => Err(failed(&name, code, &output.stdout)),
            (code, output) => Err(failed(&name, code, &output.stderr)),
        }
    }

    /// Runs it and returns the line that it printed.
    ///
    /// # Errors
    /// As [`Git::output`].
    pub(crate) fn line(self) -> Result<String> {
        let name = self.name();
        text(&name, self.output()?)
    }

    /// Asks it for a line; none if its answer is no, by exit code 1.
    ///
    /// # Errors
    /// When it fails in any other way.
    pub(crate) fn answer(self) -> Result<Option<String>> {
        let name = self.name();
        match self.outcome()? {
            (0, output) => text(&name, output.stdout).map(Some),
            (1, _) => Ok(None),
            (code, output) => Err(failed(&name, code, &output.stderr)),
        }
    }

    /// Runs it for its effect.
    ///
    /// # Errors
    /// As [`Git::output`].
    pub(crate) fn run(self) -> Result<()> {
        self.output().map(drop)
    }

    /// Hands the terminal to it (a pager) and returns its exit code. That the
    /// reader left before the end is no failure.
    ///
    /// # Errors
    /// When it could not be started or was ended by a signal.
    pub(crate) fn in_foreground(mut self) -> Result<i32> {
        self.add_words();
        let status = self.command.status();
        let status = status.map_err(|error| not_started(error, &self.name()))?;
        match (status.code(), status.signal()) {
            (Some(code), _) => Ok(code),
            (None, Some(SIGPIPE)) => Ok(0),
            (None, _) => Err(Failure::declined(String::new()).into()),
        }
    }
}

/// A line without its end; nothing is an answer too.
///
/// # Errors
/// When it has no end: it is cut off.
fn text(name: &str, line: Vec<u8>) -> Result<String> {
    let line = String::from_utf8(line)?;
    if !(line.is_empty() || line.ends_with('\n')) {
        bail!("`{name}` printed half a line");
    }
    Ok(line.trim_end().to_owned())
}

/// The error for a git that ran and said no.
pub(crate) fn failed(name: &str, code: i32, stderr: &[u8]) -> Error {
    let said = String::from_utf8_lossy(stderr);
    // A hook speaks in colours, also where it should not.
    let said = strip_ansi_codes(&said);
    // Progress is drawn over itself; what counts is what stands at the end.
    let said: Vec<&str> = said
        .lines()
        .map(|l| l.rsplit('\r').next().unwrap_or(l))
        .collect();
    let said = said.join("\n");
    let headline = format!("`{name}` failed with exit code {code}");
    if said.trim().is_empty() {
        anyhow!(headline)
    } else {
        anyhow!(said).context(headline)
    }
}

fn not_started(error: io::Error, name: &str) -> Error {
    if error.kind() == io::ErrorKind::NotFound {
        return Failure::new("git is not installed, or not on PATH")
            .hint("apt install git  |  dnf install git  |  pacman -S git  |  brew install git")
            .into();
    }
    Error::new(error).context(format!("could not start `{name}`"))
}

/// Explains a usage error of git's by its age: `git version`.
fn ensure_recent() -> Result<()> {
    let output = Command::new("git")
        .arg("version")
        .stdin(Stdio::null())
        .output()
        .context("could not start `git version`")?;
    let text = String::from_utf8_lossy(&output.stdout);
    match version(&text) {
        Some(found) if found < OLDEST => Err(Failure::new(format!(
            "git {}.{} is too old, git flux needs {}.{} or newer",
            found.0, found.1, OLDEST.0, OLDEST.1
        ))
        .hint("apt install git (from backports)  |  dnf install git  |  pacman -S git  |  brew install git")
        .into()),
        _ => Ok(()),
    }
}
