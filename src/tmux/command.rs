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
use crate::git::Lock;
use crate::interrupt;
use crate::system::captured::{Captured, Stderr};
use crate::system::program::plain_path;
use crate::system::version::version;
use crate::task::{PaneId, SessionId, Target};

/// A client of another version can hang for ever on a server it does not understand.
pub(super) const TIMEOUT: Duration = Duration::from_secs(10);

/// How long to wait until the next look whether it has ended.
const POLL_INTERVAL: Duration = Duration::from_micros(500);

/// The oldest tmux with pane options and argument vectors everywhere.
const MIN_VERSION: (u32, u32) = (3, 0);

/// One `tmux` process; commands are separated by [`Tmux::then`].
#[must_use]
pub(crate) struct Tmux {
    command: Command,
    /// Its first command.
    name: OsString,
    timeout: Duration,
}

impl Tmux {
    /// `tmux -u <name>`. Without `-u` every byte that is not ASCII comes out as `_`.
    pub(crate) fn new(name: impl AsRef<OsStr>) -> Self {
        Self::build(None, name.as_ref())
    }

    /// `tmux -u -S <socket> <name>`
    pub(crate) fn on(socket: &Path, name: impl AsRef<OsStr>) -> Self {
        Self::build(Some(socket), name.as_ref())
    }

    /// `tmux -u -S <socket> <name> -t <pane>`
    pub(crate) fn at(target: &Target, name: impl AsRef<OsStr>) -> Self {
        Self::on(&target.socket, name).target(target.pane)
    }

    /// Its directory is `/`: a server started in a worktree would start every
    /// later pane in a deleted directory.
    pub(super) fn build(socket: Option<&Path>, name: &OsStr) -> Self {
        let mut command = Command::new("tmux");
        command.current_dir("/").arg("-u").stdin(Stdio::null());
        if let Some(socket) = socket {
            command.arg("-S").arg(socket);
        }
        // A server that this starts hands its environment to every pane ever after.
        for (key, _) in env::vars_os() {
            if key.as_bytes().starts_with(b"GIT_") {
                command.env_remove(key);
            }
        }
        command.envs(plain_path().map(|path| ("PATH", path)));
        // A server that is gone, or another user's: we are outside, on our own.
        if !is_inside_tmux() {
            command.env_remove("TMUX").env_remove("TMUX_PANE");
        }
        command.arg(name);
        Self {
            command,
            name: name.to_owned(),
            timeout: TIMEOUT,
        }
    }

    /// Lets it take no longer.
    pub(crate) fn within(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Adds an argument, byte for byte.
    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(escape_semicolon(arg.as_ref()));
        self
    }

    pub(crate) fn args<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(self, args: I) -> Self {
        args.into_iter().fold(self, |tmux, arg| tmux.arg(arg))
    }

    /// `-t <target>`, the id or name of a pane, window or session.
    pub(crate) fn target(self, target: impl Display) -> Self {
        self.arg("-t").arg(target.to_string())
    }

    /// Begins the next command of the same call.
    pub(crate) fn then(mut self, name: impl AsRef<OsStr>) -> Self {
        self.command.arg(";").arg(name);
        self
    }

    /// Lets the client hold `lock` as long as it lives.
    ///
    /// # Errors
    /// When the lock's descriptor cannot be copied.
    pub(crate) fn holding(mut self, lock: &Lock) -> Result<Self> {
        self.command.stdin(lock.share()?);
        Ok(self)
    }

    /// Lets it read `file`.
    pub(crate) fn input(mut self, file: File) -> Self {
        self.command.stdin(file);
        self
    }

    /// Runs it; `None` if it said no, with its words.
    ///
    /// # Errors
    /// When tmux is missing or does not answer in time.
    pub(crate) fn outcome(mut self) -> Result<std::result::Result<String, Error>> {
        // Files, not pipes: nothing has to be read while the clock is watched.
        let captured = Captured::new(&mut self.command, Stderr::Captured)?;
        let mut child = self.command.spawn().map_err(not_started)?;
        self.wait(&mut child)?;
        let mut printed = child.wait_with_output()?;
        captured.read(&mut printed)?;
        if printed.status.success() {
            return Ok(Ok(String::from_utf8_lossy(&printed.stdout).into_owned()));
        }
        Ok(Err(match String::from_utf8_lossy(printed.stderr.trim()) {
            said if said.is_empty() => self.failure(),
            said => anyhow!(said.into_owned()).context(self.failure()),
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
                    .hint("is the server's tmux of another version than the one on PATH? tmux -V; tmux display-message -p '#{version}'")
                    .into());
            }
            thread::sleep(POLL_INTERVAL);
        }
        Ok(())
    }

    fn failure(&self) -> Error {
        anyhow!("`tmux {}` failed", self.name.display())
    }

    /// Runs it and returns what it printed.
    ///
    /// # Errors
    /// When it fails.
    pub(crate) fn output(self) -> Result<String> {
        self.outcome()?
    }

    /// Runs it for its effect.
    ///
    /// # Errors
    /// When it fails.
    pub(crate) fn run(self) -> Result<()> {
        self.output().map(drop)
    }

    /// Gives it the terminal until it is done: `attach-session`.
    ///
    /// # Errors
    /// When it cannot be started or fails.
    pub(crate) fn in_foreground(mut self) -> Result<()> {
        let status = self.command.stdin(Stdio::inherit()).status();
        let status = status.map_err(not_started)?;
        interrupt::clear();
        status.success().then_some(()).ok_or_else(|| self.failure())
    }
}

/// Returns whether the server that `$TMUX` names answers.
pub(super) fn is_inside_tmux() -> bool {
    env_socket().is_some_and(|socket| is_listening(&socket))
}

/// Returns whether a server listens on this socket. Its file stays when the server goes.
pub(super) fn is_listening(socket: &Path) -> bool {
    UnixStream::connect(socket).is_ok()
}

/// Returns whether surely no server listens on this socket.
pub(super) fn is_not_listening(socket: &Path) -> bool {
    let error = UnixStream::connect(socket).err();
    let gone = [ErrorKind::ConnectionRefused, ErrorKind::NotFound];
    error.is_some_and(|error| gone.contains(&error.kind()))
}

/// Returns the socket of the user's own server: the one we stand in, or the default one.
pub(super) fn default_socket() -> PathBuf {
    let outer = env_socket().filter(|socket| is_listening(socket));
    outer.unwrap_or_else(|| {
        let dir = env::var_os("TMUX_TMPDIR").and_then(|dir| fs::canonicalize(dir).ok());
        let dir = dir.unwrap_or_else(|| PathBuf::from("/tmp"));
        dir.join(format!("tmux-{}/default", nix::unistd::getuid()))
    })
}

/// Returns the socket that `$TMUX` names.
pub(super) fn env_socket() -> Option<PathBuf> {
    let tmux = env::var_os("TMUX")?;
    let socket = tmux.as_bytes().split(|&b| b == b',').next()?;
    Some(OsStr::from_bytes(socket).into())
}

/// Returns the session that `$TMUX` names: that of a popup's client, too.
pub(super) fn env_session() -> Option<SessionId> {
    let tmux = env::var("TMUX").ok()?;
    Some(SessionId(tmux.rsplit(',').next()?.parse().ok()?))
}

/// Returns the pane that this process was started in, by `$TMUX_PANE`.
pub(super) fn env_pane() -> Option<PaneId> {
    env::var("TMUX_PANE").ok()?.parse().ok()
}

/// Fails unless `tmux -V` is new enough.
///
/// # Errors
/// When it is not, or tmux is missing.
pub(super) fn ensure_installed() -> Result<()> {
    let mut command = Command::new("tmux");
    let output = command.arg("-V").stdin(Stdio::null()).output();
    let output = output.map_err(not_started)?;
    ensure_recent(&String::from_utf8_lossy(&output.stdout))
}

/// Fails unless the version in `text` is new enough; a development version is.
///
/// # Errors
/// When it is too old.
pub(crate) fn ensure_recent(text: &str) -> Result<()> {
    let Some((major, minor)) = version(text).filter(|found| *found < MIN_VERSION) else {
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
    "apt install tmux  |  dnf install tmux  |  pacman -S tmux  |  brew install tmux";

fn not_started(error: io::Error) -> Error {
    if error.kind() == ErrorKind::NotFound {
        return Failure::new("tmux is not installed, or not on PATH")
            .hint(INSTALL_HINT)
            .into();
    }
    Error::new(error).context("could not start tmux")
}

/// Writes a `;` at the end of an argument as `\;`: else it would end the command.
fn escape_semicolon(arg: &OsStr) -> OsString {
    match arg.as_bytes() {
        [head @ .., b';'] => OsString::from_vec([head, b"\\;"].concat()),
        _ => arg.to_owned(),
    }
}

/// Returns a path for an option that tmux expands as a format (`-c`): `#(…)` would run a shell.
pub(super) fn escape_format(path: &Path) -> OsString {
    OsString::from_vec(path.as_os_str().as_bytes().replace("#", "##"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_argument_is_a_command_or_a_format() {
        assert_eq!(escape_semicolon(OsStr::new("a;")), "a\\;");
        assert_eq!(escape_semicolon(OsStr::new("a\\;")), "a\\\\;");
        assert_eq!(escape_semicolon(OsStr::new(";a")), ";a");
        assert_eq!(escape_format(Path::new("/#(touch x)/##")), "/##(touch x)/####");
    }

    #[test]
    fn old_versions_are_refused_and_unknown_ones_are_not() {
        assert!(ensure_recent("tmux 2.9a").is_err());
        assert!(ensure_recent("tmux 3.0").is_ok());
        assert!(ensure_recent("tmux master").is_ok());
    }
}
