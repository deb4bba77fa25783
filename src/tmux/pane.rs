//! The panes there are, and what is on them.

use std::env;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::Tmux;
use super::command::{TIMEOUT, is_gone, outer_socket, own_pane, own_socket};
use super::fields::{Fields, Record};
use crate::sanitize;
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
    pub(crate) stirred: Option<u64>,
    pub(crate) extent: Extent,
}

/// How much of its window a pane has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    Window,
    Part,
}

impl Pane {
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
    pub(crate) fn is(&self, target: &Target) -> bool {
        let own = &self.target;
        self.is_beside(target) && (own.pane_pid, own.pane) == (target.pane_pid, target.pane)
    }

    /// Returns whether it is one of the server that `target` was made by.
    pub(crate) fn is_beside(&self, target: &Target) -> bool {
        let own = &self.target;
        (own.server_pid, own.server_start) == (target.server_pid, target.server_start)
    }

    /// Returns whether git flux wrote this task of this repository on it.
    pub(crate) fn is_made_for(&self, id: &TaskId, repo: &Path) -> bool {
        self.task == id.as_str() && self.repo.as_deref() == Some(repo)
    }

    /// Returns `target` with the names that session and window have now.
    pub(crate) fn named(&self, target: &Target) -> Target {
        Target {
            session: self.target.session.clone(),
            window: self.target.window,
            ..target.clone()
        }
    }

    /// The target this pane is, if git flux made it for `repo` as the session of this name.
    pub(crate) fn session_of(&self, repo: &Path, session: &SessionName) -> Option<Target> {
        let is_ours = self.target.session == *session && self.repo.as_deref() == Some(repo);
        is_ours.then(|| self.target(session))
    }

    /// Returns the target this pane is; `session` is the name that a session of the task's own has.
    pub(crate) fn target(&self, session: &SessionName) -> Target {
        let is_own = self.target.session == *session;
        Target {
            kind: if is_own {
                Layout::Session
            } else {
                Layout::Pane
            },
            ..self.target.clone()
        }
    }
}

/// All panes of the server with this socket, or of the user's own; none if
/// there is no server, or no session on it. `tmux list-panes -a -F …`, and
/// `tmux list-sessions` if that fails.
///
/// # Errors
/// When tmux is missing or does not answer: then it is not known what runs.
pub(crate) fn list(socket: Option<&Path>) -> Result<Vec<Pane>> {
    listed(socket, TIMEOUT)
}

/// The same for who has no more than a look, and can do without.
///
/// # Errors
/// When tmux is missing or does not answer soon.
pub(crate) fn glance(socket: &Path) -> Result<Vec<Pane>> {
    listed(Some(socket), Duration::from_secs(2))
}

/// How often a server is asked that says no: it may be about to end.
const ATTEMPTS: u32 = 3;

fn listed(socket: Option<&Path>, patience: Duration) -> Result<Vec<Pane>> {
    let fields = Fields::of_target(&[
        "session_id",
        "prefix",
        "version",
        "pane_tty",
        "window_activity",
        "window_panes",
        "pane_title",
        "@flux_repo",
        "@flux_task",
    ]);
    let Some(out) = ask(socket, patience, &fields)? else {
        return Ok(Vec::new());
    };
    let mut panes: Vec<Pane> = Vec::new();
    for record in fields.read(&out).context("`tmux list-panes` failed")? {
        let pane = read(&record).context("`tmux list-panes` printed an unknown line")?;
        // A linked window lists its panes once for every session.
        if panes.iter().all(|known| known.id() != pane.id()) {
            panes.push(pane);
        }
    }
    Ok(panes)
}

/// Asks a server for its panes; `None` if there is no server, or no session on it.
fn ask(socket: Option<&Path>, patience: Duration, fields: &Fields) -> Result<Option<String>> {
    let ask = |name, options: &[&str]| {
        let tmux = socket.map_or_else(|| Tmux::new(name), |socket| Tmux::on(socket, name));
        tmux.args(options).within(patience).outcome()
    };
    let is_gone = || is_gone(&socket.map_or_else(own_socket, ToOwned::to_owned));
    let mut attempts = 0;
    loop {
        attempts += 1;
        match ask("list-panes", &["-a", "-F", &fields.format()])? {
            Ok(out) => return Ok(Some(out)),
            // No server has no panes, and one without sessions refuses to list them.
            Err(_) if is_gone() => return Ok(None),
            Err(_) if ask("list-sessions", &[])?.is_ok_and(|out| out.is_empty()) => {
                return Ok(None);
            }
            // What a server does not tell is not known, unless it has just come or gone.
            Err(error) if attempts == ATTEMPTS => return Err(error),
            Err(_) => {}
        }
    }
}

fn read(record: &Record) -> Option<Pane> {
    let text = |name| record.get(name).to_owned();
    Some(Pane {
        target: record.target(Layout::Pane)?,
        session: record.parse("session_id")?,
        prefix: text("prefix"),
        version: text("version"),
        tty: text("pane_tty").into(),
        repo: decode(record.get("@flux_repo")),
        task: text("@flux_task"),
        title: text("pane_title"),
        stirred: record.parse("window_activity"),
        extent: match record.get("window_panes") {
            "1" => Extent::Window,
            _ => Extent::Part,
        },
    })
}

/// The last `lines` lines of text on the pane: `tmux capture-pane -p -J`.
///
/// # Errors
/// When the pane is gone.
pub(crate) fn capture(target: &Target, lines: usize) -> Result<Vec<String>> {
    let out = Tmux::on(&target.socket, "capture-pane")
        .args(["-p", "-J"])
        .target(target.pane)
        .output()?;
    let text: Vec<&str> = out.trim_end().lines().collect();
    Ok(text[text.len().saturating_sub(lines)..]
        .iter()
        .map(|&l| l.trim_end().to_owned())
        .collect())
}

/// What the pane that this process was started in shows: `tmux capture-pane -p -J`. None if
/// there is no such pane, or tmux does not tell.
pub(crate) fn capture_own() -> Option<String> {
    let tmux = Tmux::new("capture-pane")
        .args(["-p", "-J"])
        .target(own_pane()?);
    tmux.within(Duration::from_secs(1)).output().ok()
}

/// `tmux kill-pane -t <pane>`: a session or window of its own goes with its last pane.
///
/// # Errors
/// When tmux refuses.
pub(crate) fn kill(target: &Target) -> Result<()> {
    Tmux::on(&target.socket, "kill-pane")
        .target(target.pane)
        .run()
}

/// Closes the pane if it is still the one that `target` means, by one process. Returns whether its
/// process was alive in it until now:
/// `tmux if-shell -F <it is> 'display-message -p …; kill-pane -t <pane>'`
///
/// # Errors
/// When tmux refuses, for one since there is no such pane.
pub(crate) fn close(target: &Target) -> Result<bool> {
    let is = |field: &str, value: String| format!("#{{==:#{{{field}}},{value}}}");
    let [server, start, process] = [
        is("pid", target.server_pid.to_string()),
        is("start_time", target.server_start.to_string()),
        is("pane_pid", target.pane_pid.to_string()),
    ];
    let pane = target.pane;
    let out = Tmux::on(&target.socket, "if-shell")
        .arg("-F")
        .target(pane)
        .arg(format!("#{{&&:{server},#{{&&:{start},{process}}}}}"))
        .arg(format!(
            "display-message -p -t {pane} '#{{pane_dead}}'; kill-pane -t {pane}"
        ))
        .output()?;
    Ok(out.trim() == "0")
}

/// Shows `message` to the clients that show the pane: `tmux display-message`, which expands
/// formats and the conversions of strftime(3). That there is no client is no error.
pub(crate) fn notice(target: &Target, message: &str) {
    let text = unexpanded_text(&sanitize::line(message));
    let told = Tmux::on(&target.socket, "display-message")
        .target(target.pane)
        .arg(&text)
        .run();
    drop(told);
}

/// A text that `display-message` shows as it is.
pub(super) fn unexpanded_text(text: &str) -> String {
    text.replace('#', "##").replace('%', "%%")
}

/// Writes `state`, a word of ours, as `@flux_state` on the pane that the environment names, if
/// `launcher` is still its process: `tmux if-shell -F <it is> 'set-option -p … @flux_state <state>'`.
/// For status lines, so it is no error if that fails.
pub(crate) fn mark_own(launcher: i32, state: &str) {
    mark_own_if(&format!("#{{==:#{{pane_pid}},{launcher}}}"), state);
}

/// Writes `running`, like [`mark_own`], unless the agent has said more meanwhile.
pub(crate) fn mark_own_running(launcher: i32) {
    let is = format!("#{{&&:#{{==:#{{pane_pid}},{launcher}}},#{{==:#{{@flux_state}},starting}}}}");
    mark_own_if(&is, "running");
}

fn mark_own_if(condition: &str, state: &str) {
    let (Some(socket), Some(pane)) = (outer_socket(), own_pane()) else {
        return;
    };
    let marked = Tmux::on(&socket, "if-shell")
        .arg("-F")
        .target(pane)
        .arg(condition)
        .arg(format!("set-option -p -t {pane} @flux_state {state}"))
        .within(Duration::from_secs(1))
        .run();
    drop(marked);
}

/// Whether we were started in this pane: by its user, or by the agent itself.
pub(crate) fn is_ours(target: &Target) -> bool {
    let Ok(tmux) = env::var("TMUX") else {
        return false;
    };
    let mut parts = tmux.rsplitn(3, ',').skip(1);
    parts.next().and_then(|pid| pid.parse().ok()) == Some(target.server_pid)
        && parts
            .next()
            .is_some_and(|socket| Path::new(socket) == target.socket)
        && own_pane() == Some(target.pane)
}

/// Bytes as a pane option may hold them: letters, digits, `.`, `-`, `_`, and `:` with two hex digits.
pub(super) fn encode(path: &Path) -> String {
    let mut out = String::new();
    for &byte in path.as_os_str().as_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!(":{byte:02X}")),
        }
    }
    out
}

fn decode(text: &str) -> Option<PathBuf> {
    let mut bytes = text.bytes();
    let mut out = Vec::new();
    while let Some(byte) = bytes.next() {
        out.push(if byte == b':' {
            let digits = [bytes.next()?, bytes.next()?];
            u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
        } else {
            byte
        });
    }
    (!out.is_empty()).then(|| OsString::from_vec(out).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_survive_in_pane_options() {
        let path = PathBuf::from(OsString::from_vec(b"/a b/#(x)\n\xff/.git".to_vec()));
        let text = encode(&path);
        assert!(
            text.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b".-_:".contains(&b)),
            "{text}"
        );
        assert_eq!(decode(&text), Some(path));
        assert_eq!(decode(""), None);
    }
}
