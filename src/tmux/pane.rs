//! Panes of a server.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fmt::Display;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use jiff::Timestamp;

use super::Tmux;
use super::command::{TIMEOUT, default_socket, env_pane, env_socket, is_gone};
use super::fields::{Fields, Record};
use crate::sanitize;
use crate::system::clock::from_seconds;
use crate::system::program;
use crate::task::{Layout, PaneId, SessionId, SessionName, Target, TaskId, WindowId};

/// A pane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pane {
    target: Target,
    pub(super) session: SessionId,
    /// The prefix key in tmux's notation: `C-b`.
    pub(super) prefix: String,
    /// The version of the server.
    pub(super) version: String,
    /// The terminal device.
    pub(crate) tty: PathBuf,
    /// The pane's option `@flux_repo`.
    pub(crate) repo: Option<PathBuf>,
    /// The pane's option `@flux_task`.
    task: String,
    /// The title, set by the program.
    pub(crate) title: String,
    /// The time of the window's last output.
    pub(crate) last_output: Option<Timestamp>,
    /// The time of the last key that a client pressed in the session, or was attached to it.
    last_key: Option<Timestamp>,
    /// The only pane of its window.
    pub(crate) is_alone: bool,
}

impl Pane {
    fn read(record: &Record<10>) -> Option<Self> {
        let [session, prefix, version, tty, rest @ ..] = record.values;
        let [output, key, panes, title, repo, task] = rest;
        let time = |text: &str| text.parse().ok().and_then(from_seconds);
        Some(Self {
            target: record.target(Layout::Pane)?,
            session: session.parse().ok()?,
            prefix: prefix.to_owned(),
            version: version.to_owned(),
            tty: tty.into(),
            repo: decode_path(repo),
            task: task.to_owned(),
            title: title.to_owned(),
            last_output: time(output),
            last_key: time(key),
            is_alone: panes == "1",
        })
    }

    pub(super) fn id(&self) -> PaneId {
        self.target.pane
    }

    pub(super) fn window(&self) -> WindowId {
        self.target.window
    }

    pub(crate) fn pid(&self) -> i32 {
        self.target.pane_pid
    }

    /// Returns whether this is the pane that `target` records: id, process and server are the same.
    /// After a restart of the server or a `tmux respawn-pane`, another pane may have that id.
    pub(crate) fn matches(&self, target: &Target) -> bool {
        let ids = |it: &Target| (it.pane_pid, it.pane);
        self.is_on_server_of(target) && ids(&self.target) == ids(target)
    }

    /// Returns whether the pane is on the tmux server that `target` records. `false` if that server
    /// was restarted since.
    pub(crate) fn is_on_server_of(&self, target: &Target) -> bool {
        let server = |it: &Target| (it.server_pid, it.server_start);
        server(&self.target) == server(target)
    }

    /// Returns whether the pane's options `@flux_task` and `@flux_repo` name this task and this
    /// repository.
    pub(crate) fn belongs_to(&self, id: &TaskId, repo: &Path) -> bool {
        self.task == id.as_str() && self.repo.as_deref() == Some(repo)
    }

    /// Returns a copy of `target` with the session name and the window id that the pane has now.
    pub(crate) fn with_current_names(&self, target: &Target) -> Target {
        Target {
            session: self.target.session.clone(),
            window: self.target.window,
            ..target.clone()
        }
    }

    /// Returns the time of the last key that a client pressed in the session that was opened for
    /// `target`; attaching a client counts as a key. `None` if the pane is in a session of the user:
    /// a key there may be meant for another pane.
    pub(crate) fn last_key_in_session_of(&self, target: &Target) -> Option<Timestamp> {
        let is_own = target.kind == Layout::Session && self.target.session == target.session;
        self.last_key.filter(|_| is_own)
    }

    /// Returns the pane as a target with the layout session if its session is named `session` and
    /// the pane's own option `@flux_repo` names `repo`; otherwise `None`. A pane that the user
    /// opened in that session does not have the option.
    pub(crate) fn as_session_of(&self, repo: &Path, session: &SessionName) -> Option<Target> {
        let is_ours = self.target.session == *session && self.repo.as_deref() == Some(repo);
        is_ours.then(|| self.target(session))
    }

    /// Returns the pane as a target of tmux commands (`-t`): with the layout session if `session` is
    /// the name of the pane's session, otherwise with the layout pane.
    pub(crate) fn target(&self, session: &SessionName) -> Target {
        let mut target = self.target.clone();
        if target.session == *session {
            target.kind = Layout::Session;
        }
        target
    }
}

/// Lists all panes of the tmux server at `socket`, or of the user's server without one; empty if it
/// is not running or has no session. `tmux list-panes -a`, and `tmux list-sessions` if that fails
///
/// # Errors
/// Any other failure, because panes may exist then.
pub(crate) fn list(socket: Option<&Path>) -> Result<Vec<Pane>> {
    list_within(socket, TIMEOUT)
}

/// Lists all panes of the tmux server at `socket` like [`list`], but waits at most two seconds for
/// each command.
pub(crate) fn list_quickly(socket: &Path) -> Result<Vec<Pane>> {
    list_within(Some(socket), Duration::from_secs(2))
}

/// A server may refuse while it starts or ends.
const ATTEMPTS: u32 = 3;

fn list_within(socket: Option<&Path>, timeout: Duration) -> Result<Vec<Pane>> {
    let fields = Fields::new(
        "session_id prefix version pane_tty window_activity session_activity window_panes \
         pane_title @flux_repo @flux_task",
    );
    let Some(out) = ask(socket, timeout, &fields)? else {
        return Ok(Vec::new());
    };
    let mut panes: Vec<Pane> = Vec::new();
    for record in fields.read(&out).context("`tmux list-panes` failed")? {
        let pane = Pane::read(&record).context("`tmux list-panes` printed an unknown line")?;
        // A linked window lists its panes once for every session.
        if panes.iter().all(|known| known.id() != pane.id()) {
            panes.push(pane);
        }
    }
    Ok(panes)
}

/// Runs `tmux list-panes -a -F <format>`, at most three times, because a server may refuse while it
/// starts or ends. Returns `None` if the server is not running or has no session.
fn ask(socket: Option<&Path>, timeout: Duration, fields: &Fields<10>) -> Result<Option<String>> {
    let ask = |name: &str, options: &[&str]| {
        let tmux = Tmux::build(socket, name.as_ref());
        tmux.args(options).within(timeout).outcome()
    };
    let mut attempts = 0;
    loop {
        attempts += 1;
        let error = match ask("list-panes", &["-a", "-F", &fields.format()])? {
            Ok(out) => return Ok(Some(out)),
            Err(error) => error,
        };
        // A server without sessions refuses to list panes.
        if is_gone(&socket.map_or_else(default_socket, ToOwned::to_owned))
            || ask("list-sessions", &[])?.is_ok_and(|out| out.is_empty())
        {
            return Ok(None);
        }
        if attempts == ATTEMPTS {
            return Err(error);
        }
    }
}

/// Returns the last `lines` lines of the text that a pane shows, without empty lines at its end:
/// `tmux capture-pane -pJ`
pub(crate) fn capture(target: &Target, lines: usize) -> Result<Vec<String>> {
    let out = Tmux::at(target, "capture-pane").arg("-pJ").output()?;
    let text: Vec<&str> = out.trim_end().lines().map(str::trim_end).collect();
    let first = text.len().saturating_sub(lines);
    Ok(text[first..].iter().map(ToString::to_string).collect())
}

/// Returns the text that the pane of this process shows; `None` outside tmux, after a failure, or
/// after a second: `tmux capture-pane -pJ`
pub(crate) fn capture_own() -> Option<String> {
    let capture = Tmux::new("capture-pane").arg("-pJ").target(env_pane()?);
    capture.within(Duration::from_secs(1)).output().ok()
}

/// Closes a pane, unless it is gone or another pane has its id by now: `tmux if-shell -F
/// <condition> 'display-message -p -t <pane> #{pane_dead}; kill-pane -t <pane>'`. Returns `true` if
/// its program was still running; `false` if not, or if nothing was closed.
///
/// # Errors
/// If tmux fails: the server does not run, or the pane disappears meanwhile.
pub(crate) fn close(target: &Target) -> Result<bool> {
    let pane = target.pane;
    let is = format!(
        "#{{==:#{{pid}} #{{start_time}} #{{pane_pid}},{} {} {}}}",
        target.server_pid,
        target.server_start.as_second(),
        target.pane_pid
    );
    let close = format!("display-message -p -t {pane} '#{{pane_dead}}'; kill-pane -t {pane}");
    let ask = Tmux::at(target, "if-shell").arg("-F");
    Ok(ask.arg(is).arg(close).output()?.trim() == "0")
}

/// Shows a message in the status line of a client of the pane's session, and ignores failures:
/// `tmux display-message -t <pane>`
pub(crate) fn display_message(target: &Target, message: impl Display) {
    let text = escape_message(&sanitize::line(&message.to_string()));
    drop(Tmux::at(target, "display-message").arg(text).run());
}

/// Doubles each `#` and `%` in a text for `tmux display-message`, which expands formats and
/// conversions of strftime(3).
pub(super) fn escape_message(text: &str) -> String {
    text.replace('#', "##").replace('%', "%%")
}

/// Sets the option `@flux_state` of this process's pane, for status lines, if `launcher` is the
/// pane's process: `tmux if-shell -F <condition> 'set-option -p @flux_state <state>'`. Waits at
/// most a second, and ignores failures.
pub(crate) fn set_own_state(launcher: i32, state: impl Display) {
    let (Some(socket), Some(pane)) = (env_socket(), env_pane()) else {
        return;
    };
    let mark = Tmux::on(&socket, "if-shell").arg("-F").target(pane);
    let mark = mark.arg(format!("#{{==:#{{pane_pid}},{launcher}}}"));
    let mark = mark.arg(format!("set-option -p -t {pane} @flux_state {state}"));
    drop(mark.within(Duration::from_secs(1)).run());
}

/// Returns whether this process was started in the pane `target`, by the user or by the agent:
/// `$TMUX` and `$TMUX_PANE` name it.
pub(crate) fn is_own(target: &Target) -> bool {
    let tmux = env::var("TMUX").unwrap_or_default();
    let server = tmux.rsplit(',').nth(1).and_then(|pid| pid.parse().ok());
    server == Some(target.server_pid)
        && env_socket().as_ref() == Some(&target.socket)
        && env_pane() == Some(target.pane)
}

/// Encodes a path for a pane option: keeps ASCII letters, digits, `.`, `-` and `_`, and writes any
/// other byte as `:` and two hex digits.
pub(super) fn encode_path(path: &Path) -> String {
    let encoded = |byte: &u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' => char::from(*byte).into(),
        _ => format!(":{byte:02X}"),
    };
    path.as_os_str().as_bytes().iter().map(encoded).collect()
}

fn decode_path(text: &str) -> Option<PathBuf> {
    let mut parts = text.split(':');
    let mut bytes = parts.next()?.as_bytes().to_owned();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend(rest.as_bytes());
    }
    (!bytes.is_empty()).then(|| OsString::from_vec(bytes).into())
}

/// Shells, beside `$SHELL`.
const SHELLS: &str = "sh bash zsh fish dash ksh mksh tcsh csh nu elvish xonsh";

/// Returns the only pane of the session of this name, if a shell runs there in `dir` or below, as
/// after tmux-resurrect; otherwise `None`: `tmux list-panes -s -t =<name>:`. The shell may have
/// jobs.
pub(crate) fn restored_shell(name: &SessionName, dir: &Path) -> Result<Option<Target>> {
    let fields = Fields::new("pane_current_command pane_current_path");
    let list = Tmux::new("list-panes").arg("-s");
    let list = list.target(format!("={name}:"));
    // The session or the server may not exist.
    let Ok(out) = list.args(["-F", &fields.format()]).outcome()? else {
        return Ok(None);
    };
    let records = fields.read(&out)?;
    let [record] = &records[..] else {
        return Ok(None);
    };
    let [command, path] = record.values;
    let shows_shell = is_shell(OsStr::new(command)) && Path::new(path).starts_with(dir);
    let target = record.target(Layout::Session).filter(|_| shows_shell);
    Ok(target.filter(|target| target.session == *name))
}

fn is_shell(command: &OsStr) -> bool {
    let shell = program::user_shell();
    Path::new(&shell).file_name() == Some(command)
        || SHELLS.split(' ').any(|shell| command == shell)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decode_path_reverses_encode_path() {
        let path = PathBuf::from(OsString::from_vec(b"/a b/#(x)\n\xff/.git".to_vec()));
        let text = encode_path(&path);
        assert!(
            text.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b".-_:".contains(&b)),
            "{text}"
        );
        assert_eq!(decode_path(&text), Some(path));
        assert_eq!(decode_path(""), None);
    }
}
