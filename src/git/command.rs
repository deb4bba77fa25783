//! The only place that starts `git`.

mod failure;
pub(crate) mod records;

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, IsTerminal as _, Write as _};
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use signal_hook::consts::SIGPIPE;

use self::failure::start_error;
pub(crate) use self::failure::{GitKilled, exit_error};
use self::records::join_records;
use super::{Lock, ObjectId};
use crate::failure::Failure;
use crate::interrupt;
use crate::system::captured::{Captured, Stderr};
use crate::system::deadline::Deadline;
use crate::system::version::version;

/// git's own exit code for a usage error: the option is not known to this git.
const USAGE_EXIT_CODE: i32 = 129;

/// How long git waits for the locks of refs where it changes something, in ms: many tasks come
/// and go at once, and git's own timeout with one reftable is a tenth of a second.
const LOCK_TIMEOUTS_MS: [&str; 3] = [
    "reftable.lockTimeout=20000",
    "core.filesRefLockTimeout=20000",
    "core.packedRefsTimeout=20000",
];

/// The oldest git with everything used here (`merge-tree --write-tree`, `cat-file -z`).
const MIN_VERSION: (u32, u32) = (2, 38);

/// What an outer git leaves in the environment that would make ours look at
/// another repository. `GIT_CONFIG_*` stays: it carries `git -c`.
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

/// What git takes the author of a commit from.
pub(super) const AUTHOR_ENV: [&str; 3] = ["GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_AUTHOR_DATE"];

/// One `git` process, built as [`Command`] is.
#[must_use]
pub(crate) struct Git {
    command: Command,
    /// `git <subcommand>`, for messages.
    name: String,
    /// Options of git itself, before the subcommand.
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
    /// `git <subcommand>` in `dir`. Arguments that are known here may follow, with a space before each;
    /// what anybody else has named comes by [`Git::arg`].
    pub(crate) fn new(dir: &Path, subcommand: &str) -> Self {
        let mut command = Command::new("git");
        command.current_dir(dir);
        for name in REPOSITORY_ENV {
            command.env_remove(name);
        }
        Self {
            command,
            name: format!("git {}", subcommand.split(' ').next().unwrap_or_default()),
            options: Vec::new(),
            args: subcommand.split(' ').map(OsString::from).collect(),
            input: None,
            holding: None,
            stderr: Stderr::Captured,
            hooks: false,
            timeout: None,
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

    /// Adds arguments that are known here, with a space between each two.
    pub(crate) fn words(self, words: &'static str) -> Self {
        self.args(words.split(' '))
    }

    /// Gives it these paths, each as nothing else than a path:
    /// `--literal-pathspecs --pathspec-from-file=- --pathspec-file-nul`
    pub(super) fn with_paths<P: AsRef<Path>>(self, paths: impl IntoIterator<Item = P>) -> Self {
        let git = self.words("--pathspec-from-file=- --pathspec-file-nul");
        git.env("GIT_LITERAL_PATHSPECS", "1")
            .input(join_records(paths))
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

    /// Whether the caller's environment names another repository than its directory does.
    pub(crate) fn is_repository_set_by_env() -> bool {
        REPOSITORY_ENV
            .iter()
            .any(|name| env::var_os(name).is_some())
    }

    /// A command that only looks, at the repository that the caller's directory and environment
    /// name: what is asked while a line is typed, before anything is opened.
    pub(super) fn in_caller_env(subcommand: &str) -> Self {
        let named = |name| Some((name, env::var_os(name)?));
        Self::reading(Path::new("."), subcommand).envs(REPOSITORY_ENV.into_iter().filter_map(named))
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

    /// Lets the process hold `lock` as long as it lives, so that nobody settles
    /// a task while a child of a killed command is still at work on it. What
    /// changes something is patient with others that do.
    ///
    /// # Errors
    /// When the lock's descriptor cannot be copied.
    pub(crate) fn holding(mut self, lock: &Lock) -> Result<Self> {
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
    pub(super) fn own_process_group(mut self) -> Self {
        self.command.process_group(0);
        self
    }

    /// Gives up after a time, and ends git and what it has started: an agent can have it wait for ever.
    pub(super) fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Shows what git says on standard error while it runs, on a terminal.
    pub(super) fn inherit_stderr(mut self) -> Self {
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
        let captured = self.connect_streams()?;
        let started = self.add_args().spawn();
        let mut child = started.map_err(|error| start_error(error, &self.name))?;
        let deadline = self.timeout.map(|time| Deadline::new(&child, time));
        feed(&mut child, &self.input.unwrap_or_default())?;
        let name = self.name;
        let ended = child.wait_with_output();
        let mut output = ended.with_context(|| format!("`{name}` was lost"))?;
        if let Some(captured) = captured {
            captured.read(&mut output)?;
        }
        if deadline.is_some_and(Deadline::end) {
            interrupt::check()?;
            let seconds = self.timeout.unwrap_or_default().as_secs();
            bail!("`{name}` did not end within {seconds} seconds: it may wait for a pipe");
        }
        let Some(code) = output.status.code() else {
            interrupt::check()?;
            let signal = output.status.signal().unwrap_or_default();
            return Err(GitKilled { name, signal }.into());
        };
        if code == USAGE_EXIT_CODE {
            ensure_recent()?;
        }
        Ok((code, output))
    }

    /// Connects its standard streams.
    fn connect_streams(&mut self) -> Result<Option<Captured>> {
        if self.holding.is_some() && !self.hooks {
            for setting in LOCK_TIMEOUTS_MS {
                self.command.arg("-c").arg(setting);
            }
        }
        let stderr = match self.stderr {
            Stderr::Shown => Stdio::inherit(),
            Stderr::Captured => Stdio::piped(),
        };
        self.command.stdout(Stdio::piped()).stderr(stderr);
        let (command, stderr) = (&mut self.command, self.stderr);
        let captured = self.hooks.then(|| Captured::new(command, stderr));
        match (&self.input, self.holding.take()) {
            // git reads nothing from an empty lock file, and writes nothing to
            // standard output where it is given its input here.
            (None, Some(lock)) => self.command.stdin(lock),
            (None, None) => self.command.stdin(Stdio::null()),
            (Some(_), Some(lock)) => self.command.stdin(Stdio::piped()).stdout(lock),
            (Some(_), None) => self.command.stdin(Stdio::piped()),
        };
        if self.timeout.is_some() {
            // So that what it has started can be ended with it.
            self.command.process_group(0);
        }
        captured.transpose()
    }

    /// Adds its words to the command.
    fn add_args(&mut self) -> &mut Command {
        self.command.args(&self.options).args(&self.args)
    }

    /// Runs it and returns its standard output.
    ///
    /// # Errors
    /// When it fails: the exit code decides, its messages become the cause.
    pub(crate) fn output(self) -> Result<Vec<u8>> {
        self.with_code(0).map(|(_, out)| out)
    }

    /// Runs it and returns its exit code and its standard output, if the code is not more than `most`.
    fn with_code(self, most: i32) -> Result<(i32, Vec<u8>)> {
        let name = self.name.clone();
        match self.outcome()? {
            (code, output) if code <= most => Ok((code, output.stdout)),
            // `git commit` gives its reasons on standard output.
            (code, output) if output.stderr.is_empty() => {
                Err(exit_error(&name, code, &output.stdout))
            }
            (code, output) => Err(exit_error(&name, code, &output.stderr)),
        }
    }

    /// Runs it and returns the line that it printed.
    ///
    /// # Errors
    /// As [`Git::output`].
    pub(crate) fn line(self) -> Result<String> {
        parse_line(self.output()?)
    }

    /// Runs it and returns the object whose name it printed.
    pub(crate) fn object(self) -> Result<ObjectId> {
        self.line().map(ObjectId::from)
    }

    /// Runs it and returns the path that it printed, which may have a newline in it.
    pub(crate) fn path(self) -> Result<PathBuf> {
        let mut out = self.output()?;
        out.pop_if(|last| *last == b'\n');
        Ok(OsString::from_vec(out).into())
    }

    /// Runs it and returns the paths that it printed with `-z`.
    pub(crate) fn paths(self) -> Result<Vec<PathBuf>> {
        records::paths(&self.output()?)
    }

    /// Asks it for a line; none if its answer is no, by exit code 1.
    ///
    /// # Errors
    /// When it fails in any other way.
    pub(crate) fn answer(self) -> Result<Option<String>> {
        match self.with_code(1)? {
            (0, line) => parse_line(line).map(Some),
            _ => Ok(None),
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
        let status = self.add_args().status();
        let status = status.map_err(|error| start_error(error, &self.name))?;
        let left = (status.signal() == Some(SIGPIPE)).then_some(0);
        let code = status.code().or(left);
        code.ok_or_else(|| Failure::declined(String::new()).into())
    }
}

/// Gives a process its input. That it stopped reading is no error: its exit code says why.
pub(super) fn feed(child: &mut Child, input: &[u8]) -> io::Result<()> {
    let stdin = child.stdin.take();
    match stdin.map_or(Ok(()), |mut stdin| stdin.write_all(input)) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// A line without its end; nothing is an answer too.
///
/// # Errors
/// When it has no end: it is cut off.
fn parse_line(line: Vec<u8>) -> Result<String> {
    let line = String::from_utf8(line)?;
    if !(line.is_empty() || line.ends_with('\n')) {
        bail!("git printed half a line");
    }
    Ok(line.trim_end().to_owned())
}

/// Returns the version of git: `git version`
pub(super) fn version_of_git() -> Result<Option<(u32, u32)>> {
    Ok(version(&Git::reading(Path::new("/"), "version").line()?))
}

/// Explains a usage error of git's by its age.
fn ensure_recent() -> Result<()> {
    let Some(found) = version_of_git()?.filter(|found| *found < MIN_VERSION) else {
        return Ok(());
    };
    let what = format!("git {}.{} is too old, git flux needs", found.0, found.1);
    let failure = Failure::new(format!(
        "{what} {}.{} or newer",
        MIN_VERSION.0, MIN_VERSION.1
    ));
    let hint = "apt install git (from backports)  |  dnf install git  |  pacman -S git  |  brew install git";
    Err(failure.hint(hint).into())
}
