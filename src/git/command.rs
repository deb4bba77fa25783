//! The only place that starts `git`.

mod failure;
pub(crate) mod records;
mod streams;

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, IsTerminal as _};
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use signal_hook::consts::{SIGINT, SIGPIPE};

use self::failure::start_error;
pub(crate) use self::failure::{GitKilled, exit_error};
use self::records::join_records;
use self::streams::exchange;
pub(super) use self::streams::feed;
use super::{Lock, ObjectId};
use crate::failure::Failure;
use crate::interrupt;
use crate::system::captured::{CapturedOutput, Stderr};
use crate::system::deadline::Deadline;
use crate::system::version::find_version;

/// git's exit code for a usage error, such as an option that this git does not know.
const USAGE_EXIT_CODE: i32 = 129;

/// Settings that let git wait 20 s for locked refs: tasks start and end concurrently, and git's
/// default for a reftable is 100 ms.
const LOCK_TIMEOUTS_MS: [&str; 3] = [
    "reftable.lockTimeout=20000",
    "core.filesRefLockTimeout=20000",
    "core.packedRefsTimeout=20000",
];

/// The oldest supported git (`merge-tree --write-tree`, `cat-file -z`).
const MIN_VERSION: (u32, u32) = (2, 38);

/// Variables that an outer git sets and that would select another repository. `GIT_CONFIG_*`
/// stays: it carries `git -c`.
pub(super) const REPOSITORY_ENV: [&str; 8] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_PREFIX",
    "GIT_COMMON_DIR",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_NAMESPACE",
];

/// The variables that set the author of a commit.
pub(super) const AUTHOR_ENV: [&str; 3] = ["GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_AUTHOR_DATE"];

/// A builder for one `git` process.
#[must_use]
pub(crate) struct Git {
    command: Command,
    /// Options before the subcommand.
    options: Vec<OsString>,
    /// The subcommand and its arguments.
    args: Vec<OsString>,
    input: Option<Vec<u8>>,
    holding: Option<File>,
    stderr: Stderr,
    hooks: bool,
    timeout: Option<Duration>,
}

impl Git {
    /// Builds a `git` command that runs in `dir`, without the caller's `GIT_DIR` and other
    /// variables that select a repository. The first argument that is added later is the
    /// subcommand. Starts nothing.
    pub(crate) fn new(dir: &Path) -> Self {
        let mut command = Command::new("git");
        command.current_dir(dir);
        Self::remove_repository_env(&mut command);
        Self {
            command,
            options: Vec::new(),
            args: Vec::new(),
            input: None,
            holding: None,
            stderr: Stderr::CapturedOutput,
            hooks: false,
            timeout: None,
        }
    }

    /// Builds a `git` command as [`Git::new`] does, with `GIT_OPTIONAL_LOCKS=0`, so that a
    /// subcommand such as `status` does not lock the index, which an agent may need. Does not keep
    /// other subcommands from writing.
    pub(crate) fn reading(dir: &Path) -> Self {
        Self::new(dir).env("GIT_OPTIONAL_LOCKS", "0")
    }

    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    pub(crate) fn args<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(self, args: I) -> Self {
        args.into_iter().fold(self, Self::arg)
    }

    /// Adds fixed arguments to the git command; a space separates two arguments.
    pub(crate) fn words(self, words: &'static str) -> Self {
        self.args(words.split(' '))
    }

    /// Passes paths to the git command on standard input, and lets it match each literally, without
    /// wildcards: `git --literal-pathspecs … --pathspec-from-file=- --pathspec-file-nul`
    pub(super) fn with_paths<P: AsRef<Path>>(self, paths: impl IntoIterator<Item = P>) -> Self {
        let git = self.words("--pathspec-from-file=- --pathspec-file-nul");
        git.env("GIT_LITERAL_PATHSPECS", "1")
            .input(join_records(paths))
    }

    /// Adds `-c <setting>` before the subcommand of the git command.
    pub(super) fn config(self, setting: impl AsRef<OsStr>) -> Self {
        self.option("-c").option(setting)
    }

    /// Adds one argument before the subcommand of the git command, after earlier ones.
    pub(super) fn option(mut self, option: impl AsRef<OsStr>) -> Self {
        self.options.push(option.as_ref().to_owned());
        self
    }

    /// Returns whether the environment of this process has any variable that selects another
    /// repository, index or object directory: `GIT_DIR`, `GIT_WORK_TREE`, `GIT_INDEX_FILE` and
    /// others.
    pub(crate) fn has_repository_env() -> bool {
        REPOSITORY_ENV
            .iter()
            .any(|name| env::var_os(name).is_some())
    }

    /// Removes from a command the variables that select another repository.
    pub(crate) fn remove_repository_env(command: &mut Command) {
        for name in REPOSITORY_ENV {
            command.env_remove(name);
        }
    }

    /// Builds a `git` command for shell completion: in the current directory, with the caller's
    /// `GIT_DIR` and similar variables, and with `GIT_OPTIONAL_LOCKS=0`.
    pub(super) fn in_caller_env() -> Self {
        let named = |name| Some((name, env::var_os(name)?));
        Self::reading(Path::new(".")).envs(REPOSITORY_ENV.into_iter().filter_map(named))
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    pub(super) fn envs<V: AsRef<OsStr>>(
        mut self,
        vars: impl IntoIterator<Item = (&'static str, V)>,
    ) -> Self {
        self.command.envs(vars);
        self
    }

    pub(crate) fn input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = Some(bytes.into());
        self
    }

    /// Lets the git process and its children inherit `lock`, which stays held until they end, even
    /// if git flux is killed. Without [`Git::with_hooks`], git also waits up to 20 seconds for
    /// locked refs. With [`Git::input`], standard output is lost.
    pub(crate) fn holding(mut self, lock: &Lock) -> Result<Self> {
        self.holding = Some(lock.share()?);
        Ok(self)
    }

    /// Prepares the git command for the user's hooks: output goes to temporary files, so that
    /// processes that a hook leaves running are not waited for. Leaves out the `-c` settings that
    /// [`Git::holding`] adds, which hooks would see.
    pub(super) fn with_hooks(mut self) -> Self {
        self.hooks = true;
        self
    }

    /// Makes git run in a process group of its own, so that ^C on the terminal does not reach git
    /// and its children during a short critical step.
    pub(super) fn own_process_group(mut self) -> Self {
        self.command.process_group(0);
        self
    }

    /// Makes git and its children be killed after `timeout`, or on ^C, SIGTERM or SIGHUP, with an
    /// error; [`Git::in_foreground`] ignores this. A pipe in an agent's worktree would block git
    /// forever.
    pub(super) fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Lets git print its standard error on that of this process, if that is a terminal; the error
    /// of a failed git then contains only its standard output. Otherwise standard error is
    /// captured.
    pub(super) fn inherit_stderr(mut self) -> Self {
        if io::stderr().is_terminal() {
            self.stderr = Stderr::Shown;
        }
        self
    }

    /// Runs git, waits for its end, and returns its exit code and output; any code is a success
    /// here. Fails if git cannot be started, is ended by a signal or exceeds its timeout, or if
    /// exit code 129 comes from a git older than 2.38.
    pub(crate) fn outcome(mut self) -> Result<(i32, Output)> {
        let name = self.name();
        let captured = self.connect_streams()?;
        let started = self.add_args().spawn();
        let child = started.map_err(|error| start_error(error, &name))?;
        let deadline = self.timeout.map(|time| Deadline::new(&child, time));
        let ended = exchange(child, &self.input.unwrap_or_default());
        let mut output = ended.with_context(|| format!("could not wait for `{name}`"))?;
        if let Some(captured) = captured {
            captured.read(&mut output)?;
        }
        if deadline.is_some_and(Deadline::end) {
            interrupt::check()?;
            let seconds = self.timeout.unwrap_or_default().as_secs();
            bail!("`{name}` timed out after {seconds} seconds: one file may be a FIFO");
        }
        let Some(code) = output.status.code() else {
            interrupt::check()?;
            let signal = output.status.signal().unwrap_or_default();
            // ^C is for the whole process group, and git may get it first.
            if signal == SIGINT {
                return Err(interrupt::interrupted().into());
            }
            return Err(GitKilled { name, signal }.into());
        };
        if code == USAGE_EXIT_CODE {
            ensure_recent()?;
        }
        Ok((code, output))
    }

    fn connect_streams(&mut self) -> Result<Option<CapturedOutput>> {
        if self.holding.is_some() && !self.hooks {
            for setting in LOCK_TIMEOUTS_MS {
                self.command.arg("-c").arg(setting);
            }
        }
        let stderr = match self.stderr {
            Stderr::Shown => Stdio::inherit(),
            Stderr::CapturedOutput => Stdio::piped(),
        };
        self.command.stdout(Stdio::piped()).stderr(stderr);
        let (command, stderr) = (&mut self.command, self.stderr);
        let captured = self.hooks.then(|| CapturedOutput::new(command, stderr));
        match (&self.input, self.holding.take()) {
            // An empty lock file is a harmless standard input, and commands with input here print
            // nothing to standard output.
            (None, Some(lock)) => self.command.stdin(lock),
            (None, None) => self.command.stdin(Stdio::null()),
            (Some(_), Some(lock)) => self.command.stdin(Stdio::piped()).stdout(lock),
            (Some(_), None) => self.command.stdin(Stdio::piped()),
        };
        if self.timeout.is_some() {
            // The timeout kills the whole group.
            self.command.process_group(0);
        }
        captured.transpose()
    }

    /// Returns `git <subcommand>`, for messages.
    fn name(&self) -> String {
        format!("git {}", self.args[0].display())
    }

    fn add_args(&mut self) -> &mut Command {
        self.command.args(&self.options).args(&self.args)
    }

    /// Runs git and returns its standard output.
    ///
    /// # Errors
    /// If the exit code is not 0; git's messages become the cause.
    pub(crate) fn output(self) -> Result<Vec<u8>> {
        self.with_code(0).map(|(_, out)| out)
    }

    /// Runs git and returns its exit code and standard output; fails if the code is greater than
    /// `most`.
    pub(super) fn with_code(self, most: i32) -> Result<(i32, Vec<u8>)> {
        let name = self.name();
        match self.outcome()? {
            (code, output) if code <= most => Ok((code, output.stdout)),
            // `git commit` prints its reasons to standard output.
            (code, output) if output.stderr.is_empty() => {
                Err(exit_error(&name, code, &output.stdout))
            }
            (code, output) => Err(exit_error(&name, code, &output.stderr)),
        }
    }

    /// Runs git and returns its standard output as text, without the newline and other white space
    /// at the end; empty if git printed nothing. Fails if the output is not UTF-8 or lacks the last
    /// newline.
    pub(crate) fn line(self) -> Result<String> {
        parse_line(self.output()?)
    }

    /// Runs git and returns the line that it printed as an object name, without verifying it.
    pub(crate) fn object(self) -> Result<ObjectId> {
        self.line().map(ObjectId::from)
    }

    /// Runs git and returns its standard output, without the last newline, as one path; the path
    /// may contain further newlines.
    pub(crate) fn path(self) -> Result<PathBuf> {
        let mut out = self.output()?;
        out.pop_if(|last| *last == b'\n');
        Ok(OsString::from_vec(out).into())
    }

    /// Runs git, whose arguments include `-z`, and returns the NUL-terminated paths that it
    /// printed.
    pub(crate) fn paths(self) -> Result<Vec<PathBuf>> {
        records::paths(&self.output()?)
    }

    /// Runs git and returns the line that it printed if the exit code is 0, `None` if it is 1.
    /// Fails for any other code.
    pub(crate) fn answer(self) -> Result<Option<String>> {
        match self.with_code(1)? {
            (0, line) => parse_line(line).map(Some),
            _ => Ok(None),
        }
    }

    /// Runs git, and ignores its standard output; fails if the exit code is not 0.
    pub(crate) fn run(self) -> Result<()> {
        self.output().map(drop)
    }

    /// Runs git with the standard streams of this process, without its input, lock and timeout, and
    /// returns its exit code: 0 if you quit the pager early (`SIGPIPE`). Fails if another signal
    /// ends git.
    pub(crate) fn in_foreground(mut self) -> Result<i32> {
        let status = self.add_args().status();
        let status = status.map_err(|error| start_error(error, self.name()))?;
        let left = (status.signal() == Some(SIGPIPE)).then_some(0);
        let code = status.code().or(left);
        code.ok_or_else(|| Failure::declined(String::new()).into())
    }
}

/// Returns git's output as text without white space at the end, empty if there is no output. Fails
/// if it is not UTF-8 or does not end with a newline.
fn parse_line(line: Vec<u8>) -> Result<String> {
    let line = String::from_utf8(line)?;
    if !(line.is_empty() || line.ends_with('\n')) {
        bail!("git printed an incomplete line");
    }
    Ok(line.trim_end().to_owned())
}

/// Returns the major and minor version of the installed git; `None` if the output is unknown:
/// `git version`
pub(super) fn version_of_git() -> Result<Option<(u32, u32)>> {
    Ok(find_version(
        &Git::reading(Path::new("/")).words("version").line()?,
    ))
}

/// Fails if the installed git is older than 2.38, the oldest supported version; accepts an unknown
/// version. Runs `git version`.
fn ensure_recent() -> Result<()> {
    let Some(found) = version_of_git()?.filter(|found| *found < MIN_VERSION) else {
        return Ok(());
    };
    let what = format!("git {}.{} is too old, git flux needs", found.0, found.1);
    let failure = Failure::new(format!(
        "{what} {}.{} or newer",
        MIN_VERSION.0, MIN_VERSION.1
    ));
    let hint = "to install it: apt install git (from backports), dnf install git, pacman -S git or brew install git";
    Err(failure.hint(hint).into())
}
