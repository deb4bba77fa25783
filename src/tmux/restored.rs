//! Sessions that something else made anew after a restart of tmux, as tmux-resurrect does.

use std::path::Path;

use anyhow::Result;

use super::Tmux;
use super::fields::Fields;
use crate::task::{Layout, Rest, Target};

/// The programs that are a shell; beside them `$SHELL`.
const SHELLS: [&str; 12] = [
    "sh", "bash", "zsh", "fish", "dash", "ksh", "mksh", "tcsh", "csh", "nu", "elvish", "xonsh",
];

const FIELDS: [&str; 9] = [
    "pid",
    "start_time",
    "window_id",
    "pane_id",
    "pane_pid",
    "socket_path",
    "session_name",
    "pane_current_command",
    "pane_current_path",
];

/// Returns the pane of the session of this name, if that is its only one and shows a shell in `dir`
/// or below: `tmux list-panes -s -t =<name>: -F …`. What the shell has put aside is not looked at.
///
/// # Errors
/// When tmux is missing or does not answer.
pub(crate) fn shell(name: &str, dir: &Path) -> Result<Option<Target>> {
    let fields = Fields::new(FIELDS);
    let list = Tmux::new("list-panes").args(["-s", "-t", &format!("={name}:")]);
    // There may be no such session, and no server.
    let Ok(out) = list.args(["-F", &fields.format()]).outcome()? else {
        return Ok(None);
    };
    let records = fields.read(&out)?;
    let &[
        [
            server,
            start,
            window,
            pane,
            pid,
            socket,
            session,
            command,
            path,
        ],
    ] = &records[..]
    else {
        return Ok(None);
    };
    let own = std::env::var_os("SHELL");
    let own = own.as_ref().and_then(|shell| Path::new(shell).file_name());
    let is_shell = SHELLS.contains(&command) || own.is_some_and(|own| own == command);
    let (Ok(pane_pid), Ok(server_pid), Ok(server_start)) =
        (pid.parse(), server.parse(), start.parse())
    else {
        return Ok(None);
    };
    if session != name || !is_shell || !Path::new(path).starts_with(dir) {
        return Ok(None);
    }
    Ok(Some(Target {
        kind: Layout::Session,
        session: session.to_owned(),
        window: window.to_owned(),
        pane: pane.to_owned(),
        pane_pid,
        socket: socket.into(),
        server_pid,
        server_start,
        rest: Rest::default(),
    }))
}
