//! Going to a pane, and the way back.

use std::env;

use anyhow::Result;

use super::Tmux;
use super::client::{self, Client, our_terminal};
use super::command::{answers, outer_session, outer_socket, own_pane};
use super::pane::{self, Pane};
use crate::failure::Failure;
use crate::task::Target;

/// Goes to the pane: `switch-client` for the client that we were called from, if there is one on this
/// server, and `attach-session` otherwise. It says with `display-message` how to come back.
///
/// # Errors
/// When there is no such client, or no terminal.
pub(crate) fn attach(target: &Target) -> Result<()> {
    let panes = pane::list(Some(&target.socket))?;
    let there = panes.iter().find(|pane| pane.is(target));
    // The pane may have been moved since: its id is enough for all of them.
    let to = |tmux: Tmux, name| tmux.then(name).target(target.pane);
    let Some(client) = caller(target, &panes)? else {
        let tmux = Tmux::on(&target.socket, "select-window").target(target.pane);
        let tmux = to(to(tmux, "select-pane"), "attach-session");
        let tmux = match there {
            Some(pane) => say(tmux, pane, &[], &Back::Detach),
            None => tmux,
        };
        if is_inherited() {
            return tmux.outside().in_foreground();
        }
        return tmux.in_foreground();
    };
    let tmux = Tmux::on(&target.socket, "switch-client");
    let tmux = tmux.args(["-c", &client.name]).target(target.pane);
    let tmux = to(to(tmux, "select-window"), "select-pane");
    let tmux = match there {
        Some(pane) => say(tmux, pane, &["-c", &client.name], &Back::of(&client, pane)),
        None => tmux,
    };
    tmux.run()
}

/// Returns the client of the server of `target` that we were called from; `None` outside of it.
///
/// The terminal of `$TMUX_PANE` is ours, or we are in a popup, which has none: what starts another
/// terminal, as an editor does, hands both variables to it.
fn caller(target: &Target, panes: &[Pane]) -> Result<Option<Client>> {
    if outer_socket().as_ref() != Some(&target.socket) || !answers(&target.socket) {
        return Ok(None);
    }
    let ours = our_terminal();
    let pane = panes.iter().find(|pane| match &ours {
        Some(ours) => pane.tty.as_os_str() == ours.as_str(),
        None => own_pane() == Some(pane.id()),
    });
    let mut clients = client::list(&target.socket)?;
    // The one that was used last comes last.
    clients.sort_by_key(|client| client.activity);
    let found = match (pane, outer_session()) {
        (Some(pane), _) => {
            let shows = |client: &&Client| client.window == pane.window();
            let attached = |client: &&Client| client.session == pane.session;
            let shown = clients.iter().rfind(shows);
            shown.or_else(|| clients.iter().rfind(attached))
        }
        (None, Some(session)) if env::var_os("TMUX_PANE").is_none() => {
            clients.iter().rfind(|client| client.session == session)
        }
        _ => return Ok(None),
    };
    match found {
        Some(client) => Ok(Some(client.clone())),
        None => Err(
            Failure::new("no terminal shows the tmux session that this runs in")
                .hint(format!("tmux attach-session -t '{}'", target.pane))
                .into(),
        ),
    }
}

/// Returns whether `$TMUX` came from another terminal: then it says nothing of ours.
fn is_inherited() -> bool {
    let (Some(socket), Some(id)) = (outer_socket(), own_pane()) else {
        return false;
    };
    let panes = pane::list(Some(&socket)).unwrap_or_default();
    let pane = panes.iter().find(|pane| pane.id() == id);
    let ours = our_terminal();
    pane.zip(ours)
        .is_some_and(|(pane, ours)| pane.tty.as_os_str() != ours.as_str())
}

/// What brings a client back to where it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Back {
    Session,
    Window,
    Pane,
    Detach,
}

impl Back {
    fn of(client: &Client, to: &Pane) -> Self {
        if client.session != to.session {
            Self::Session
        } else if client.window != to.window() {
            Self::Window
        } else {
            Self::Pane
        }
    }

    /// The key that tmux has for it, and the command.
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Session => ("L", "switch-client -l"),
            Self::Window => ("l", "last-window"),
            Self::Pane => (";", "last-pane"),
            Self::Detach => ("d", "detach-client"),
        }
    }

    fn line(self, prefix: &str) -> String {
        let (key, command) = self.names();
        let how = keys(prefix, key).unwrap_or_else(|| format!("'tmux {command}'"));
        match self {
            Self::Detach => format!("git flux: {how} detaches; the session keeps running"),
            _ => format!("git flux: {how} goes back"),
        }
    }
}

/// Adds a message about the way back, which stays for some seconds where tmux can do that.
fn say(tmux: Tmux, pane: &Pane, client: &[&str], back: &Back) -> Tmux {
    let line = pane::unexpanded_text(&back.line(&pane.prefix));
    let tmux = tmux.then("display-message").args(client);
    let has_delay = crate::git::version::version(&pane.version).is_none_or(|v| v >= (3, 2));
    if has_delay {
        return tmux.args(["-d", "4000", &line]);
    }
    tmux.arg(&line)
}

/// What to press for `key`, as people write it; `None` where tmux has no prefix key.
pub(crate) fn keys(prefix: &str, key: &str) -> Option<String> {
    let prefix = crate::sanitize::line(prefix);
    let prefix = match (prefix.strip_prefix("C-"), prefix.strip_prefix("M-")) {
        (Some(key), _) => format!("Ctrl+{key}"),
        (_, Some(key)) => format!("Alt+{key}"),
        _ if prefix.eq_ignore_ascii_case("none") || prefix.is_empty() => return None,
        _ => prefix.clone(),
    };
    Some(format!("{prefix} {key}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_written_as_people_say_them() {
        assert_eq!(keys("C-b", "L").as_deref(), Some("Ctrl+b L"));
        assert_eq!(keys("M-x", "d").as_deref(), Some("Alt+x d"));
        assert_eq!(keys("`", "d").as_deref(), Some("` d"));
        assert_eq!(keys("None", "d"), None);
        assert_eq!(
            Back::Session.line("None"),
            "git flux: 'tmux switch-client -l' goes back"
        );
    }
}
