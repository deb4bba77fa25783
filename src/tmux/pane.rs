//! The panes there are, and what is on them.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fmt::Display;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::Tmux;
use super::command::{TIMEOUT, default_socket, env_pane, env_socket, is_gone};
use super::fields::{Fields, Record};
use crate::sanitize;
use crate::system::program;
use crate::task::{Layout, PaneId, SessionId, SessionName, Target, TaskId, WindowId};

/// One pane of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pane {
    /// Where it is.
    target: Target,
    pub(super) session: SessionId,
    /// The prefix key in it as tmux writes it: `C-b`.
    pub(super) prefix: String,
    /// The version of its server.
    pub(super) version: String,
    /// Its terminal device.
    pub(crate) tty: PathBuf,
    /// The repository that git flux wrote on it.
    pub(crate) repo: Option<PathBuf>,
    /// The task that git flux wrote on it.
    task: String,
    /// What the program in it calls itself.
    pub(crate) title: String,
    /// When its window last showed something, in seconds since 1970.
    pub(crate) last_output_seconds: Option<u64>,
    pub(crate) extent: Extent,
}

/// How much of its window a pane has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    Window,
    Part,
}

impl Pane {
    fn read(record: &Record<9>) -> Option<Self> {
        let [session, prefix, version, tty, others @ ..] = record.values;
        let [activity, panes, title, repo, task] = others;
        Some(Self {
            target: record.target(Layout::Pane)?,
            session: session.parse().ok()?,
            prefix: prefix.to_owned(),
            version: version.to_owned(),
            tty: tty.into(),
            repo: decode_path(repo),
            task: task.to_owned(),
            title: title.to_owned(),
            last_output_seconds: activity.parse().ok(),
            extent: match panes {
                "1" => Extent::Window,
                _ => Extent::Part,
            },
        })
    }

    pub(super) fn id(&self) -> PaneId {
        self.target.pane
    }

    pub(super) fn window(&self) -> WindowId {
        self.target.window
    }

    /// Returns its process.
    pub(crate) fn pid(&self) -> i32 {
        self.target.pane_pid
    }

    /// Returns whether it is the pane that `target` means, and not one that got its id after a
    /// restart of the server or a `respawn-pane`.
    pub(crate) fn matches(&self, target: &Target) -> bool {
        let own = &self.target;
        self.is_on_server_of(target) && (own.pane_pid, own.pane) == (target.pane_pid, target.pane)
    }

    /// Returns whether it is one of the server that `target` was made by.
    pub(crate) fn is_on_server_of(&self, target: &Target) -> bool {
        let own = &self.target;
        (own.server_pid, own.server_start) == (target.server_pid, target.server_start)
    }

    /// Returns whether git flux wrote this task of this repository on it.
    pub(crate) fn belongs_to(&self, id: &TaskId, repo: &Path) -> bool {
        self.task == id.as_str() && self.repo.as_deref() == Some(repo)
    }

    /// Returns `target` with the names that session and window have now.
    pub(crate) fn with_current_names(&self, target: &Target) -> Target {
        Target {
            session: self.target.session.clone(),
            window: self.target.window,
            ..target.clone()
        }
    }

    /// Returns the target this pane is, if git flux made it for `repo` as the session of this name.
    pub(crate) fn as_session_of(&self, repo: &Path, session: &SessionName) -> Option<Target> {
        let is_ours = self.target.session == *session && self.repo.as_deref() == Some(repo);
        is_ours.then(|| self.target(session))
    }

    /// Returns the target this pane is; `session` is the name that a session of the task's own has.
    pub(crate) fn target(&self, session: &SessionName) -> Target {
        let mut target = self.target.clone();
        if target.session == *session {
            target.kind = Layout::Session;
        }
        target
    }
}

/// Returns all panes of the server with this socket, or of the user's own; none if
/// there is no server, or no session on it. `tmux list-panes -a -F …`, and
/// `tmux list-sessions` if that fails.
///
/// # Errors
/// When tmux is missing or does not answer: then it is not known what runs.
pub(crate) fn list(socket: Option<&Path>) -> Result<Vec<Pane>> {
    list_within(socket, TIMEOUT)
}

/// Returns them as [`list`] does, for who has no more than a look and can do without.
///
/// # Errors
/// When tmux is missing or does not answer soon.
pub(crate) fn list_quickly(socket: &Path) -> Result<Vec<Pane>> {
    list_within(Some(socket), Duration::from_secs(2))
}

/// How often a server is asked that says no: it may be about to end.
const MAX_ATTEMPTS: u32 = 3;

fn list_within(socket: Option<&Path>, timeout: Duration) -> Result<Vec<Pane>> {
    let fields = Fields::new(
        "session_id prefix version pane_tty window_activity window_panes pane_title \
         @flux_repo @flux_task",
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

/// Asks a server for its panes; `None` if there is no server, or no session on it.
fn ask(socket: Option<&Path>, timeout: Duration, fields: &Fields<9>) -> Result<Option<String>> {
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
        // No server has no panes, and one without sessions refuses to list them.
        if is_gone(&socket.map_or_else(default_socket, ToOwned::to_owned))
            || ask("list-sessions", &[])?.is_ok_and(|out| out.is_empty())
        {
            return Ok(None);
        }
        // What a server does not tell is not known, unless it has just come or gone.
        if attempts == MAX_ATTEMPTS {
            return Err(error);
        }
    }
}

/// Returns the last `lines` lines of text on the pane: `tmux capture-pane -pJ`.
///
/// # Errors
/// When the pane is gone.
pub(crate) fn capture(target: &Target, lines: usize) -> Result<Vec<String>> {
    let out = Tmux::at(target, "capture-pane").arg("-pJ").output()?;
    let text: Vec<&str> = out.trim_end().lines().map(str::trim_end).collect();
    let first = text.len().saturating_sub(lines);
    Ok(text[first..].iter().map(ToString::to_string).collect())
}

/// Returns what the pane that this process was started in shows: `tmux capture-pane -pJ`. None if
/// there is no such pane, or tmux does not tell.
pub(crate) fn capture_own() -> Option<String> {
    let capture = Tmux::new("capture-pane").arg("-pJ").target(env_pane()?);
    capture.within(Duration::from_secs(1)).output().ok()
}

/// Closes the pane if it is still the one that `target` means, by one process. Returns whether its
/// process was alive in it until now:
/// `tmux if-shell -F <it is> 'display-message -p …; kill-pane -t <pane>'`
///
/// # Errors
/// When tmux refuses, for one since there is no such pane.
pub(crate) fn close(target: &Target) -> Result<bool> {
    let pane = target.pane;
    let is = format!(
        "#{{==:#{{pid}} #{{start_time}} #{{pane_pid}},{} {} {}}}",
        target.server_pid, target.server_start, target.pane_pid
    );
    let close = format!("display-message -p -t {pane} '#{{pane_dead}}'; kill-pane -t {pane}");
    let ask = Tmux::at(target, "if-shell").arg("-F");
    Ok(ask.arg(is).arg(close).output()?.trim() == "0")
}

/// Shows `message` to the clients that show the pane: `tmux display-message`, which expands
/// formats and the conversions of strftime(3). That there is no client is no error.
pub(crate) fn display_message(target: &Target, message: impl Display) {
    let text = escape_message(&sanitize::line(&message.to_string()));
    drop(Tmux::at(target, "display-message").arg(text).run());
}

/// Returns a text that `display-message` shows as it is.
pub(super) fn escape_message(text: &str) -> String {
    text.replace('#', "##").replace('%', "%%")
}

/// Writes `state`, a word of ours, as `@flux_state` on the pane that the environment names, if
/// `launcher` is still its process: `tmux if-shell -F <it is> 'set-option -p … @flux_state <state>'`.
/// For status lines, so it is no error if that fails.
pub(crate) fn set_own_state(launcher: i32, state: impl Display) {
    let (Some(socket), Some(pane)) = (env_socket(), env_pane()) else {
        return;
    };
    let mark = Tmux::on(&socket, "if-shell").arg("-F").target(pane);
    let mark = mark.arg(format!("#{{==:#{{pane_pid}},{launcher}}}"));
    let mark = mark.arg(format!("set-option -p -t {pane} @flux_state {state}"));
    drop(mark.within(Duration::from_secs(1)).run());
}

/// Returns whether we were started in this pane: by its user, or by the agent itself.
pub(crate) fn is_own(target: &Target) -> bool {
    let tmux = env::var("TMUX").unwrap_or_default();
    let server = tmux.rsplit(',').nth(1).and_then(|pid| pid.parse().ok());
    server == Some(target.server_pid)
        && env_socket().as_ref() == Some(&target.socket)
        && env_pane() == Some(target.pane)
}

/// Returns bytes as a pane option may hold them: letters, digits, `.`, `-`, `_`, and `:` with two hex digits.
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

/// The programs that are a shell; beside them `$SHELL`.
const KNOWN_SHELLS: &str = "sh bash zsh fish dash ksh mksh tcsh csh nu elvish xonsh";

/// Returns the pane of the session of this name, which something else made anew after a restart of
/// tmux as tmux-resurrect does, if that is its only one and shows a shell in `dir`
/// or below: `tmux list-panes -s -t =<name>: -F …`. What the shell has put aside is not looked at.
///
/// # Errors
/// When tmux is missing or does not answer.
pub(crate) fn restored_shell(name: &SessionName, dir: &Path) -> Result<Option<Target>> {
    let fields = Fields::new("pane_current_command pane_current_path");
    let list = Tmux::new("list-panes").arg("-s");
    let list = list.target(format!("={name}:"));
    // There may be no such session, and no server.
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
    let own = program::shell();
    Path::new(&own).file_name() == Some(command)
        || KNOWN_SHELLS.split(' ').any(|shell| command == shell)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_survive_in_pane_options() {
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
