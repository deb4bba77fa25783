//! The panes there are, and what is on them.

use std::env;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::Tmux;
use super::command::{TIMEOUT, is_gone, outer_socket, own_socket};
use super::fields::Fields;
use crate::sanitize;
use crate::task::{Layout, Rest, Target, TaskId};

/// One pane of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pane {
    server_pid: u32,
    server_start: u64,
    pub(crate) window: String,
    pub(crate) id: String,
    pub(crate) pid: i32,
    socket: PathBuf,
    /// Its session, as an id.
    pub(super) session: String,
    session_name: String,
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
    /// Whether it is the pane that `target` means, and not one that got its id
    /// after a restart of the server or a `respawn-pane`.
    pub(crate) fn is(&self, target: &Target) -> bool {
        (self.server_pid, self.server_start, self.pid)
            == (target.server_pid, target.server_start, target.pane_pid)
            && self.id == target.pane
    }

    /// Returns whether it is one of the server that `target` was made by.
    pub(crate) fn is_beside(&self, target: &Target) -> bool {
        (self.server_pid, self.server_start) == (target.server_pid, target.server_start)
    }

    /// Returns whether git flux wrote this task of this repository on it.
    pub(crate) fn is_made_for(&self, id: &TaskId, repo: &Path) -> bool {
        self.task == id.as_str() && self.repo.as_deref() == Some(repo)
    }

    /// Returns `target` with the names that session and window have now.
    pub(crate) fn named(&self, target: &Target) -> Target {
        Target {
            session: self.session_name.clone(),
            window: self.window.clone(),
            ..target.clone()
        }
    }

    /// The target this pane is, if git flux made it for `repo` as the session of this name.
    pub(crate) fn session_of(&self, repo: &Path, session: &str) -> Option<Target> {
        let ours = self.session_name == session && self.repo.as_deref() == Some(repo);
        ours.then(|| self.target(session))
    }

    /// Returns the target this pane is; `session` is the name that a session of the task's own has.
    pub(crate) fn target(&self, session: &str) -> Target {
        Target {
            kind: if self.session_name == session {
                Layout::Session
            } else {
                Layout::Pane
            },
            session: self.session_name.clone(),
            window: self.window.clone(),
            pane: self.id.clone(),
            pane_pid: self.pid,
            socket: self.socket.clone(),
            server_pid: self.server_pid,
            server_start: self.server_start,
            rest: Rest::default(),
        }
    }
}

const FIELDS: [&str; 16] = [
    "pid",
    "start_time",
    "window_id",
    "pane_id",
    "pane_pid",
    "socket_path",
    "session_name",
    "session_id",
    "prefix",
    "version",
    "pane_tty",
    "window_activity",
    "window_panes",
    "pane_title",
    "@flux_repo",
    "@flux_task",
];

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
    let ask = |name, options: &[&str]| {
        let tmux = socket.map_or_else(|| Tmux::new(name), |socket| Tmux::on(socket, name));
        tmux.args(options).within(patience).outcome()
    };
    let fields = Fields::new(FIELDS);
    let format = fields.format();
    let gone = || is_gone(&socket.map_or_else(own_socket, ToOwned::to_owned));
    let mut attempts = 0;
    let out = loop {
        attempts += 1;
        match ask("list-panes", &["-a", "-F", &format])? {
            Ok(out) => break out,
            // No server has no panes, and one without sessions refuses to list them.
            Err(_) if gone() => return Ok(Vec::new()),
            Err(_) if ask("list-sessions", &[])?.is_ok_and(|out| out.is_empty()) => {
                return Ok(Vec::new());
            }
            // What a server does not tell is not known, unless it has just come or gone.
            Err(error) if attempts == ATTEMPTS => return Err(error),
            Err(_) => {}
        }
    };
    let mut panes: Vec<Pane> = Vec::new();
    for record in fields.read(&out).context("`tmux list-panes` failed")? {
        let pane = read(record).context("`tmux list-panes` printed an unknown line")?;
        // A linked window lists its panes once for every session.
        if panes.iter().all(|p| p.id != pane.id) {
            panes.push(pane);
        }
    }
    Ok(panes)
}

fn read(values: [&str; FIELDS.len()]) -> Option<Pane> {
    let [
        server,
        start,
        window,
        id,
        pid,
        socket,
        session_name,
        session,
        prefix,
        version,
        tty,
        stirred,
        panes,
        title,
        repo,
        task,
    ] = values;
    Some(Pane {
        server_pid: server.parse().ok()?,
        server_start: start.parse().ok()?,
        window: window.to_owned(),
        id: id.to_owned(),
        pid: pid.parse().ok()?,
        repo: decode(repo),
        task: task.to_owned(),
        socket: socket.into(),
        session: session.to_owned(),
        session_name: session_name.to_owned(),
        prefix: prefix.to_owned(),
        version: version.to_owned(),
        tty: tty.into(),
        title: title.to_owned(),
        stirred: stirred.parse().ok(),
        extent: match panes {
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
        .args(["-p", "-J", "-t", &target.pane])
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
    let pane = env::var("TMUX_PANE").ok()?;
    let tmux = Tmux::new("capture-pane").args(["-p", "-J", "-t", &pane]);
    tmux.within(Duration::from_secs(1)).output().ok()
}

/// `tmux kill-pane -t <pane>`: a session or window of its own goes with its last pane.
///
/// # Errors
/// When tmux refuses.
pub(crate) fn kill(target: &Target) -> Result<()> {
    Tmux::on(&target.socket, "kill-pane")
        .args(["-t", &target.pane])
        .run()
}

/// Closes the pane if it is still the one that `target` means, by one process. Returns whether its
/// process was alive in it until now:
/// `tmux if-shell -F <it is> 'display-message -p …; kill-pane -t <pane>'`
///
/// # Errors
/// When tmux refuses, for one since there is no such pane.
pub(crate) fn close(target: &Target) -> Result<bool> {
    let number = target.pane.strip_prefix('%').unwrap_or_default();
    let number: u32 = number.parse().context("a pane has a number")?;
    let is = |field: &str, value: String| format!("#{{==:#{{{field}}},{value}}}");
    let [server, start, pane] = [
        is("pid", target.server_pid.to_string()),
        is("start_time", target.server_start.to_string()),
        is("pane_pid", target.pane_pid.to_string()),
    ];
    let out = Tmux::on(&target.socket, "if-shell")
        .args(["-F", "-t", &target.pane])
        .arg(format!("#{{&&:{server},#{{&&:{start},{pane}}}}}"))
        .arg(format!(
            "display-message -p -t %{number} '#{{pane_dead}}'; kill-pane -t %{number}"
        ))
        .output()?;
    Ok(out.trim() == "0")
}

/// Shows `message` to the clients that show the pane: `tmux display-message`, which expands
/// formats and the conversions of strftime(3). That there is no client is no error.
pub(crate) fn notice(target: &Target, message: &str) {
    let text = unexpanded_text(&sanitize::line(message));
    let told = Tmux::on(&target.socket, "display-message")
        .args(["-t", &target.pane, &text])
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
    let (Some(socket), Ok(pane)) = (outer_socket(), env::var("TMUX_PANE")) else {
        return;
    };
    let number = pane.strip_prefix('%').and_then(|n| n.parse::<u32>().ok());
    if let Some(number) = number {
        let marked = Tmux::on(&socket, "if-shell")
            .args(["-F", "-t", &pane, condition])
            .arg(format!("set-option -p -t %{number} @flux_state {state}"))
            .within(Duration::from_secs(1))
            .run();
        drop(marked);
    }
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
        && env::var("TMUX_PANE").is_ok_and(|pane| pane == target.pane)
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
