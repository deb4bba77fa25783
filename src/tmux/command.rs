//! The only place that starts `tmux`.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fmt::Display;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Error, Result, anyhow, bail};

use crate::failure::Failure;
use crate::git::Lock;
use crate::interrupt;
use crate::system::program::plain_path;
use crate::task::{PaneId, SessionId};

/// A client of another version can hang for ever on a server it does not understand.
pub(super) const TIMEOUT: Duration = Duration::from_secs(10);

/// The oldest tmux with pane options and argument vectors everywhere.
const OLDEST: (u32, u32) = (3, 0);

/// One `tmux` process; commands are separated by [`Tmux::then`].
#[must_use]
pub(crate) struct Tmux {
    command: Command,
    name: String,
    patience: Duration,
}

impl Tmux {
    /// `tmux -u <name>`. Without `-u` every byte that is not ASCII comes out as `_`.
    pub(crate) fn new(name: &str) -> Self {
        Self::with(Vec::new(), name)
    }

    /// `tmux -u -S <socket> <name>`
    pub(crate) fn on(socket: &Path, name: &str) -> Self {
        Self::with(vec![OsStr::new("-S"), socket.as_os_str()], name)
    }

    /// Its directory is `/`: a server started in a worktree would start every
    /// later pane in a deleted directory.
    fn with(options: Vec<&OsStr>, name: &str) -> Self {
        let mut command = Command::new("tmux");
        command.current_dir("/").arg("-u").args(options).arg(name);
        // A server that this starts hands its environment to every pane ever after.
        for (key, _) in env::vars_os() {
            if key.as_bytes().starts_with(b"GIT_") {
                command.env_remove(key);
            }
        }
        if let Some(path) = plain_path() {
            command.env("PATH", path);
        }
        // A server that is gone, or another user's: we are outside, on our own.
        if !inside() {
            command.env_remove("TMUX").env_remove("TMUX_PANE");
        }
        command.stdin(Stdio::null());
        Self {
            command,
            name: name.to_owned(),
            patience: TIMEOUT,
        }
    }

    /// The same, and it may take no longer.
    pub(crate) fn within(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Adds an argument, byte for byte.
    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(literal(arg.as_ref()));
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
    pub(crate) fn then(mut self, name: &str) -> Self {
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

    /// Starts it as from outside of tmux: `attach-session` refuses to be nested.
    pub(super) fn outside(mut self) -> Self {
        self.command.env_remove("TMUX").env_remove("TMUX_PANE");
        self
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
        let mut files = [scratch()?, scratch()?];
        let [out, err] = &files;
        self.command
            .stdout(out.try_clone()?)
            .stderr(err.try_clone()?);
        let mut child = self.command.spawn().map_err(not_started)?;
        let status = self.wait(&mut child)?;
        let [out, err] = files.each_mut().map(read_back);
        let (out, err) = (out?, err?);
        if status.success() {
            return Ok(Ok(String::from_utf8_lossy(&out).into_owned()));
        }
        let said = String::from_utf8_lossy(&err).trim().to_owned();
        let headline = format!("`tmux {}` failed", self.name);
        Ok(Err(if said.is_empty() {
            anyhow!(headline)
        } else {
            anyhow!(said).context(headline)
        }))
    }

    fn wait(&self, child: &mut Child) -> Result<ExitStatus> {
        let begun = Instant::now();
        let mut pause = Duration::from_micros(200);
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(status);
            }
            if begun.elapsed() > self.patience {
                child.kill()?;
                child.wait()?;
                return Err(Failure::new(format!("`tmux {}` did not answer in {} seconds", self.name, self.patience.as_secs()))
                    .hint("is the server's tmux of another version than the one on PATH? tmux -V; tmux display-message -p '#{version}'")
                    .into());
            }
            thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(1));
        }
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
        let status = self
            .command
            .stdin(Stdio::inherit())
            .status()
            .map_err(not_started)?;
        interrupt::clear();
        if !status.success() {
            bail!("`tmux {}` failed", self.name);
        }
        Ok(())
    }
}

/// Whether the server that `$TMUX` names answers.
pub(super) fn inside() -> bool {
    outer_socket().is_some_and(|socket| answers(&socket))
}

/// Whether a server listens on this socket. Its file stays when the server goes.
pub(super) fn answers(socket: &Path) -> bool {
    UnixStream::connect(socket).is_ok()
}

/// Whether surely no server listens on this socket.
pub(super) fn is_gone(socket: &Path) -> bool {
    UnixStream::connect(socket).is_err_and(|error| {
        use io::ErrorKind::{ConnectionRefused, NotFound};
        matches!(error.kind(), ConnectionRefused | NotFound)
    })
}

/// The socket of the user's own server: the one we stand in, or the default one.
pub(super) fn own_socket() -> PathBuf {
    let outer = outer_socket().filter(|socket| answers(socket));
    outer.unwrap_or_else(|| {
        let dir = env::var_os("TMUX_TMPDIR").and_then(|dir| fs::canonicalize(dir).ok());
        let dir = dir.unwrap_or_else(|| PathBuf::from("/tmp"));
        dir.join(format!("tmux-{}", nix::unistd::getuid()))
            .join("default")
    })
}

/// The socket that `$TMUX` names.
pub(super) fn outer_socket() -> Option<PathBuf> {
    let tmux = env::var_os("TMUX")?;
    let socket = tmux.as_bytes().split(|&b| b == b',').next()?;
    Some(OsStr::from_bytes(socket).into())
}

/// The session that `$TMUX` names: that of a popup's client, too.
pub(super) fn outer_session() -> Option<SessionId> {
    let tmux = env::var("TMUX").ok()?;
    Some(SessionId(tmux.rsplit(',').next()?.parse().ok()?))
}

/// The pane that this process was started in, by `$TMUX_PANE`.
pub(super) fn own_pane() -> Option<PaneId> {
    env::var("TMUX_PANE").ok()?.parse().ok()
}

/// An anonymous file for a child's output.
fn scratch() -> Result<File> {
    tempfile::tempfile().context("could not make a temporary file")
}

fn read_back(file: &mut File) -> Result<Vec<u8>> {
    use std::io::Seek as _;
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Fails unless `tmux -V` is new enough.
///
/// # Errors
/// When it is not, or tmux is missing.
pub(super) fn ensure_installed() -> Result<()> {
    let output = Command::new("tmux")
        .arg("-V")
        .stdin(Stdio::null())
        .output()
        .map_err(not_started)?;
    ensure_recent(&String::from_utf8_lossy(&output.stdout))
}

/// Fails unless the version in `text` is new enough; a development version is.
///
/// # Errors
/// When it is too old.
pub(crate) fn ensure_recent(text: &str) -> Result<()> {
    match crate::git::version::version(text) {
        Some(found) if found < OLDEST => Err(Failure::new(format!(
            "tmux {}.{} is too old, git flux needs {}.{} or newer",
            found.0, found.1, OLDEST.0, OLDEST.1
        ))
        .hint(INSTALL)
        .into()),
        _ => Ok(()),
    }
}

const INSTALL: &str =
    "apt install tmux  |  dnf install tmux  |  pacman -S tmux  |  brew install tmux";

fn not_started(error: io::Error) -> Error {
    if error.kind() == io::ErrorKind::NotFound {
        return Failure::new("tmux is not installed, or not on PATH")
            .hint(INSTALL)
            .into();
    }
    Error::new(error).context("could not start tmux")
}

/// An argument that ends in `;` would end the command: tmux wants it as `\;`.
fn literal(arg: &OsStr) -> OsString {
    match arg.as_bytes() {
        [head @ .., b';'] => OsString::from_vec([head, b"\\;"].concat()),
        _ => arg.to_owned(),
    }
}

/// A path for an option that tmux expands as a format (`-c`): `#(…)` would run a shell.
pub(super) fn unexpanded(path: &Path) -> OsString {
    let mut out = Vec::new();
    for &byte in path.as_os_str().as_bytes() {
        out.push(byte);
        if byte == b'#' {
            out.push(b'#');
        }
    }
    OsString::from_vec(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_argument_is_a_command_or_a_format() {
        assert_eq!(literal(OsStr::new("a;")), "a\\;");
        assert_eq!(literal(OsStr::new("a\\;")), "a\\\\;");
        assert_eq!(literal(OsStr::new(";a")), ";a");
        assert_eq!(unexpanded(Path::new("/#(touch x)/##")), "/##(touch x)/####");
    }

    #[test]
    fn old_versions_are_refused_and_unknown_ones_are_not() {
        assert!(ensure_recent("tmux 2.9a").is_err());
        assert!(ensure_recent("tmux 3.0").is_ok());
        assert!(ensure_recent("tmux master").is_ok());
    }
}
