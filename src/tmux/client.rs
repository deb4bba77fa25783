//! Clients of a tmux server.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::libc::{O_NOCTTY, O_NONBLOCK};
use nix::unistd::ttyname;

use super::Tmux;
use super::command::env_socket;
use super::fields::Fields;
use crate::task::{SessionId, SessionName, WindowId};

/// A client of a server.
#[derive(Clone, Debug)]
pub(super) struct Client {
    /// The name for `-c` of tmux's commands.
    pub(super) name: String,
    pub(super) session: SessionId,
    pub(super) window: WindowId,
    /// The previous session; empty if none.
    pub(super) last_session: SessionName,
    /// The time of its last use, in seconds since 1970.
    pub(super) activity: u64,
}

/// Lists the clients that are attached to any session of the server at `socket`: `tmux
/// list-clients`.
pub(super) fn list(socket: &Path) -> Result<Vec<Client>> {
    let fields =
        Fields::new("client_name session_id window_id client_last_session client_activity");
    let list = Tmux::on(socket, "list-clients").args(["-F", &fields.format()]);
    let out = list.output()?;
    let records = fields.read(&out).context("`tmux list-clients` failed")?;
    let clients = records.iter().map(|record| {
        let [name, session, window, last_session, activity] = record.values;
        Some(Client {
            name: name.to_owned(),
            session: session.parse().ok()?,
            window: window.parse().ok()?,
            last_session: SessionName::new(last_session),
            activity: activity.parse().unwrap_or_default(),
        })
    });
    let clients = clients.collect::<Option<_>>();
    clients.context("`tmux list-clients` printed an unknown line")
}

/// Returns the path of this process's terminal: the first of standard input, standard error and
/// standard output, in this order, that is a terminal. `None` if none is.
pub(super) fn own_terminal() -> Option<String> {
    let tty = ttyname(io::stdin()).or_else(|_| ttyname(io::stderr()));
    let tty = tty.or_else(|_| ttyname(io::stdout()));
    Some(tty.ok()?.to_string_lossy().into_owned())
}

/// Writes `text` to the terminals of all clients of the server of `$TMUX`, except control clients.
/// Finds them with `tmux list-clients`, within two seconds. Writes directly, because tmux would
/// reach only clients of one session.
pub(crate) fn write_to_all(text: &str) -> Result<()> {
    let socket = env_socket().context("not in tmux")?;
    let format = "#{client_control_mode} #{client_tty}";
    let list = Tmux::on(&socket, "list-clients").args(["-F", format]);
    let clients = list.within(Duration::from_secs(2)).output()?;
    let mut options = OpenOptions::new();
    options.write(true).custom_flags(O_NOCTTY | O_NONBLOCK);
    for tty in clients.lines().filter_map(|line| line.strip_prefix("0 ")) {
        let terminal = options.open(tty);
        drop(terminal.and_then(|mut terminal| terminal.write_all(text.as_bytes())));
    }
    Ok(())
}
