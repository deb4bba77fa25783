//! The only place that starts `tmux`.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fmt::Display;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Error, Result, anyhow};
use bstr::ByteSlice as _;

use crate::failure::Failure;
use crate::interrupt;
use crate::system::Lock;
use crate::system::captured::{CapturedOutput, Stderr};
use crate::system::program::path_without_git;
use crate::system::version::find_version;
use crate::task::{PaneId, SessionId, Target};

/// A client may hang forever on a server of another version.
pub(super) const TIMEOUT: Duration = Duration::from_secs(10);

const INTERVAL: Duration = Duration::from_micros(500);

/// The first version with pane options and with argument vectors for every command.
const MIN_VERSION: (u32, u32) = (3, 0);

/// One `tmux` process; commands are separated by [`Tmux::then`].
#[must_use]
pub(crate) struct Tmux {
    command: Command,
    /// The first command.
    name: OsString,
    timeout: Duration,
}

impl Tmux {
    /// Prepares `tmux -u <name>`, for the server of `$TMUX` or the default one; does not run it.
    /// Without `-u`, tmux prints `_` for characters beyond ASCII.
    pub(crate) fn new(name: impl AsRef<OsStr>) -> Self {
        Self::build(None, name.as_ref())
    }

    /// Prepares `tmux -u -S <socket> <name>`, for the server at `socket`; does not run it.
    pub(crate) fn on(socket: &Path, name: impl AsRef<OsStr>) -> Self {
        Self::build(Some(socket), name.as_ref())
    }

    /// Prepares `tmux -u -S <socket> <name> -t <pane>`, for the pane `target` on its own server;
    /// does not run it.
    pub(crate) fn at(target: &Target, name: impl AsRef<OsStr>) -> Self {
        Self::on(&target.socket, name).target(target.pane)
    }

    /// Prepares `tmux -u <name>`, with `-S <socket>` if there is one, to run in `/` without `GIT_*`
    /// variables: a new server would keep directory and environment for later panes. Removes
    /// `$TMUX` if its server is not running.
    pub(super) fn build(socket: Option<&Path>, name: &OsStr) -> Self {
        let mut command = Command::new("tmux");
        command.current_dir("/").arg("-u").stdin(Stdio::null());
        if let Some(socket) = socket {
            command.arg("-S").arg(socket);
        }
        // A new server passes its environment on to all panes.
        for (key, _) in env::vars_os() {
            if key.as_bytes().starts_with(b"GIT_") {
                command.env_remove(key);
            }
        }
        command.envs(path_without_git().map(|path| ("PATH", path)));
        // The server has ended, or belongs to another user.
        if !is_inside() {
            command.env_remove("TMUX").env_remove("TMUX_PANE");
        }
        command.arg(name);
        Self {
            command,
            name: name.to_owned(),
            timeout: TIMEOUT,
        }
    }

    /// Sets the time after which [`Tmux::outcome`] kills the tmux process, instead of ten seconds.
    pub(crate) fn within(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Adds an argument to the tmux command, and escapes a final `;`, so that tmux gets it
    /// unchanged.
    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(escape_semicolon(arg.as_ref()));
        self
    }

    pub(crate) fn args<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(self, args: I) -> Self {
        args.into_iter().fold(self, |tmux, arg| tmux.arg(arg))
    }

    /// Adds `-t <target>` to the tmux command, the id or name of a pane, window or session.
    pub(crate) fn target(self, target: impl Display) -> Self {
        self.arg("-t").arg(target.to_string())
    }

    /// Adds `; <name>` to the tmux process: begins another command.
    pub(crate) fn then(mut self, name: impl AsRef<OsStr>) -> Self {
        self.command.arg(";").arg(name);
        self
    }

    /// Lets the tmux process inherit `lock` as its standard input, so that the lock stays held
    /// until that process ends.
    pub(crate) fn holding(mut self, lock: &Lock) -> Result<Self> {
        self.command.stdin(lock.share()?);
        Ok(self)
    }

    /// Gives `file` to the tmux process as its standard input.
    pub(crate) fn input(mut self, file: File) -> Self {
        self.command.stdin(file);
        self
    }

    /// Runs the tmux process and waits until it ends. Returns its standard output, or the inner
    /// error with its standard error if tmux failed.
    ///
    /// # Errors
    /// When tmux is missing or the timeout, by default ten seconds, has passed.
    pub(crate) fn outcome(mut self) -> Result<std::result::Result<String, Error>> {
        // Files instead of pipes, so that the output need not be read during the wait.
        let captured = CapturedOutput::new(&mut self.command, Stderr::CapturedOutput)?;
        let mut child = self.command.spawn().map_err(not_started)?;
        self.wait(&mut child)?;
        let mut printed = child.wait_with_output()?;
        captured.read(&mut printed)?;
        if printed.status.success() {
            return Ok(Ok(String::from_utf8_lossy(&printed.stdout).into_owned()));
        }
        Ok(Err(match String::from_utf8_lossy(printed.stderr.trim()) {
            text if text.is_empty() => self.failure(),
            text => anyhow!(text.into_owned()).context(self.failure()),
        }))
    }

    fn wait(&self, child: &mut Child) -> Result<()> {
        let begun = Instant::now();
        while child.try_wait()?.is_none() {
            if begun.elapsed() > self.timeout {
                child.kill()?;
                child.wait()?;
                let (name, seconds) = (self.name.display(), self.timeout.as_secs());
                return Err(Failure::new(format!("`tmux {name}` did not answer in {seconds} seconds"))
                    .hint("compare the versions of client and server: tmux -V; tmux display-message -p '#{version}'")
                    .into());
            }
            thread::sleep(INTERVAL);
        }
        Ok(())
    }

    fn failure(&self) -> Error {
        anyhow!("`tmux {}` failed", self.name.display())
    }

    /// Runs the tmux process, waits until it ends, and returns its standard output. Fails if tmux
    /// fails or takes longer than its timeout.
    pub(crate) fn output(self) -> Result<String> {
        self.outcome()?
    }

    pub(crate) fn run(self) -> Result<()> {
        self.output().map(drop)
    }

    /// Runs the tmux process on this terminal until it ends, without a time limit, for `tmux
    /// attach-session`. Then forgets the signals that arrived meanwhile.
    pub(crate) fn in_foreground(mut self) -> Result<()> {
        let status = self.command.stdin(Stdio::inherit()).status();
        let status = status.map_err(not_started)?;
        interrupt::clear();
        status.success().then_some(()).ok_or_else(|| self.failure())
    }
}

/// Returns whether this process runs in a popup of tmux, which covers the panes.
pub(crate) fn is_in_popup() -> bool {
    is_inside() && env::var_os("TMUX_PANE").is_none()
}

/// Returns whether `$TMUX` is set and its server is running. Connects to its socket.
pub(super) fn is_inside() -> bool {
    env_socket().is_some_and(|socket| is_listening(&socket))
}

/// Returns whether a tmux server accepts a connection on this socket. The file remains when a
/// server ends.
pub(super) fn is_listening(socket: &Path) -> bool {
    UnixStream::connect(socket).is_ok()
}

/// Returns whether certainly no tmux server listens on this socket: a connection is refused, or the
/// file is missing. `false` after any other failure.
pub(super) fn is_gone(socket: &Path) -> bool {
    let error = UnixStream::connect(socket).err();
    let gone = [ErrorKind::ConnectionRefused, ErrorKind::NotFound];
    error.is_some_and(|error| gone.contains(&error.kind()))
}

/// Returns the socket of `$TMUX` if its server is running, otherwise that of the user's default
/// server, which may not be running: `$TMUX_TMPDIR/tmux-<uid>/default`, or below `/tmp`.
pub(super) fn default_socket() -> PathBuf {
    let outer = env_socket().filter(|socket| is_listening(socket));
    outer.unwrap_or_else(|| {
        let dir = env::var_os("TMUX_TMPDIR").and_then(|dir| fs::canonicalize(dir).ok());
        let dir = dir.unwrap_or_else(|| PathBuf::from("/tmp"));
        dir.join(format!("tmux-{}/default", nix::unistd::getuid()))
    })
}

/// Returns the path of the socket in `$TMUX`, whose server may have ended; `None` if that is not
/// set.
pub(super) fn env_socket() -> Option<PathBuf> {
    let tmux = env::var_os("TMUX")?;
    let socket = tmux.as_bytes().split(|&b| b == b',').next()?;
    Some(OsStr::from_bytes(socket).into())
}

/// Returns the session id in `$TMUX`, which in a popup is the session of the client that shows it.
/// Starts no tmux. `None` if `$TMUX` is not set.
pub(super) fn env_session() -> Option<SessionId> {
    let tmux = env::var("TMUX").ok()?;
    Some(SessionId(tmux.rsplit(',').next()?.parse().ok()?))
}

/// Returns the pane id in `$TMUX_PANE`; `None` if it is not set, as in a popup.
pub(super) fn env_pane() -> Option<PaneId> {
    env::var("TMUX_PANE").ok()?.parse().ok()
}

/// Runs `tmux -V`, and fails if tmux is missing or older than 3.0.
pub(super) fn ensure_installed() -> Result<()> {
    let mut command = Command::new("tmux");
    let output = command.arg("-V").stdin(Stdio::null()).output();
    let output = output.map_err(not_started)?;
    ensure_recent(&String::from_utf8_lossy(&output.stdout))
}

/// Fails if the first version in `text` is older than 3.0, the oldest tmux that git flux supports.
/// A development version has no number, and passes.
pub(crate) fn ensure_recent(text: &str) -> Result<()> {
    let Some((major, minor)) = find_version(text).filter(|found| *found < MIN_VERSION) else {
        return Ok(());
    };
    let (oldest, old) = MIN_VERSION;
    Err(Failure::new(format!(
        "tmux {major}.{minor} is too old, git flux needs {oldest}.{old} or newer"
    ))
    .hint(INSTALL_HINT)
    .into())
}

const INSTALL_HINT: &str =
    "to install it: apt install tmux, dnf install tmux, pacman -S tmux or brew install tmux";

fn not_started(error: io::Error) -> Error {
    if error.kind() == ErrorKind::NotFound {
        return Failure::new("tmux is not installed, or not on PATH")
            .hint(INSTALL_HINT)
            .into();
    }
    Error::new(error).context("could not start tmux")
}

/// Writes a final `;` of an argument as `\;`, because tmux would end the command there.
fn escape_semicolon(arg: &OsStr) -> OsString {
    match arg.as_bytes() {
        [head @ .., b';'] => OsString::from_vec([head, b"\\;"].concat()),
        _ => arg.to_owned(),
    }
}

/// Doubles each `#` in a path for an option that tmux expands, such as `-c`: `#(…)` would run a
/// shell.
pub(super) fn escape_format(path: &Path) -> OsString {
    OsString::from_vec(path.as_os_str().as_bytes().replace("#", "##"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_escape_semicolons_and_formats() {
        assert_eq!(escape_semicolon(OsStr::new("a;")), "a\\;");
        assert_eq!(escape_semicolon(OsStr::new("a\\;")), "a\\\\;");
        assert_eq!(escape_semicolon(OsStr::new(";a")), ";a");
        assert_eq!(escape_format(Path::new("/#(x)/##")), "/##(x)/####");
    }

    #[test]
    fn ensure_recent_fails_only_for_a_known_old_version() {
        assert!(ensure_recent("tmux 2.9a").is_err());
        assert!(ensure_recent("tmux 3.0").is_ok());
        assert!(ensure_recent("tmux master").is_ok());
    }
}
