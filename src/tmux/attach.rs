//! Attaching to a pane.

use std::env;
use std::fmt::Display;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::Tmux;
use super::client::{self, Client, own_terminal};
use super::command::{env_pane, env_session, env_socket, is_listening};
use super::pane::{self, Pane};
use crate::failure::Failure;
use crate::system::version::find_version;
use crate::task::Target;

/// Shows a pane: attaches this terminal with `tmux attach-session`, until the user detaches, or
/// switches the client that this was called from with `tmux switch-client`. Shows with `tmux
/// display-message` how to return.
pub(crate) fn attach(target: &Target) -> Result<()> {
    let panes = pane::list(Some(&target.socket))?;
    let client = calling_client(target, &panes)?;
    // The pane may have moved, but its id is enough for each command.
    let add = |tmux: Tmux, name| tmux.then(name).target(target.pane);
    let tmux = match &client {
        None => {
            let tmux = Tmux::at(target, "select-window");
            add(add(tmux, "select-pane"), "attach-session")
        }
        Some(client) => {
            let tmux = Tmux::at(target, "switch-client").args(["-c", &client.name]);
            add(add(tmux, "select-window"), "select-pane")
        }
    };
    let tmux = match panes.iter().find(|pane| pane.matches(target)) {
        Some(pane) => add_return_message(tmux, pane, client.as_ref()),
        None => tmux,
    };
    match client {
        None => tmux.in_foreground(),
        Some(_) => tmux.run(),
    }
}

/// Returns the tmux client that this process was called from; `None` outside the panes and popups
/// of the server of `target`. Fails if no client is attached to the session of this process's pane.
///
/// `$TMUX_PANE` is valid only if the pane has this terminal: an editor passes it on to other
/// terminals. Popups have no `$TMUX_PANE`.
fn calling_client(target: &Target, panes: &[Pane]) -> Result<Option<Client>> {
    if env_socket().as_ref() != Some(&target.socket) || !is_listening(&target.socket) {
        return Ok(None);
    }
    let ours = own_terminal();
    let pane = panes.iter().find(|pane| match &ours {
        Some(ours) => pane.tty == Path::new(ours),
        None => env_pane() == Some(pane.id()),
    });
    let mut clients = client::list(&target.socket)?;
    // Last: the client that shows the window, or the one that was used most recently.
    let window = pane.map(Pane::window);
    clients.sort_by_key(|client| (Some(client.window) == window, client.activity));
    let in_popup = || env_session().filter(|_| env::var_os("TMUX_PANE").is_none());
    let Some(session) = pane.map(|pane| pane.session).or_else(in_popup) else {
        return Ok(None);
    };
    let is_shown = |it: &Client| Some(it.window) == window || it.session == session;
    let found = clients.into_iter().rfind(is_shown);
    let found = found.with_context(|| {
        Failure::new("no tmux client is attached to this session")
            .hint(format!("tmux attach-session -t '{}'", target.pane))
    });
    found.map(Some)
}

/// Adds a `tmux display-message` that says by which keys the user detaches or goes back, for four
/// seconds if tmux is 3.2 or newer.
fn add_return_message(tmux: Tmux, pane: &Pane, client: Option<&Client>) -> Tmux {
    let (key, command) = match client {
        None => ('d', "detach-client"),
        Some(client) if client.session != pane.session => ('L', "switch-client -l"),
        Some(client) if client.window != pane.window() => ('l', "last-window"),
        Some(_) => (';', "last-pane"),
    };
    let keys = format_keys(&pane.prefix, key);
    let keys = keys.unwrap_or_else(|| format!("'tmux {command}'"));
    let effect = match client {
        None => "detaches; the session keeps running",
        Some(_) => "goes back",
    };
    let line = format!("git flux: {keys} {effect}");
    let tmux = tmux.then("display-message");
    let client = client.map(|client| ["-c", &client.name]);
    let tmux = tmux.args(client.iter().flatten());
    let has_delay = find_version(&pane.version).is_none_or(|version| version >= (3, 2));
    let tmux = tmux.args(has_delay.then_some(["-d", "4000"]).iter().flatten());
    tmux.arg(pane::escape_message(&line))
}

/// Formats the prefix key, in tmux's notation `C-b`, and another key for a message: `Ctrl+b d`.
/// Returns `None` if there is no prefix key.
pub(crate) fn format_keys(prefix: &str, key: impl Display) -> Option<String> {
    let prefix = crate::sanitize::line(prefix);
    let prefix = match prefix.split_once('-') {
        Some(("C", key)) => format!("Ctrl+{key}"),
        Some(("M", key)) => format!("Alt+{key}"),
        _ if prefix.eq_ignore_ascii_case("none") || prefix.is_empty() => return None,
        _ => prefix,
    };
    Some(format!("{prefix} {key}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn format_keys_spells_out_modifiers() {
        assert_eq!(format_keys("C-b", 'L').as_deref(), Some("Ctrl+b L"));
        assert_eq!(format_keys("M-x", 'd').as_deref(), Some("Alt+x d"));
        assert_eq!(format_keys("`", 'd').as_deref(), Some("` d"));
        assert_eq!(format_keys("None", 'd'), None);
    }
}
