//! Closing the pane of this process, and showing its messages elsewhere.

use std::fmt::Display;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use tempfile::NamedTempFile;

use super::Tmux;
use super::client::{self, Client};
use super::command::escape_format;
use super::pane::{self, Pane};
use crate::task::{PaneId, Target};

/// Closes the pane of this process. Shows `lines` to its clients: in view mode in the pane that
/// they switch to (`tmux run-shell -t`), or in the terminal if they detach (`tmux detach-client
/// -E`). If no client shows the pane, displays one line.
pub(crate) fn close(target: &Target, lines: &[String]) -> Result<()> {
    // The pane must close even if the lines cannot be shown.
    if !show_lines(target, lines).unwrap_or(false)
        && let Some(line) = lines.iter().find(|line| line.starts_with("removed"))
    {
        pane::display_message(target, format_args!("git flux: {line}"));
    }
    pane::close(target).map(drop)
}

/// Switches the clients that show the pane to another one, or detaches them, and shows them the
/// lines there. Returns `false`, and does nothing, if no client shows the pane.
fn show_lines(target: &Target, lines: &[String]) -> Result<bool> {
    let panes = pane::list(Some(&target.socket))?;
    let own = panes.iter().find(|pane| pane.matches(target));
    let own = own.context("the pane is closed already")?;
    let mut clients = client::list(&target.socket)?;
    clients.retain(|client| client.window == own.window());
    if clients.is_empty() || active_pane(target, own.window())? != own.id() {
        return Ok(false);
    }
    let text = lines.join("\n") + "\n";
    let file = write_temporary(&text)?;
    let mut shown = Vec::new();
    for client in &clients {
        let Some(pane) = switch(target, own, &panes, client)? else {
            // The client's shell reads the file after this process has ended.
            let path = quote(&write_temporary(&text)?.into_temp_path().keep()?);
            let detach = Tmux::on(&target.socket, "detach-client");
            let detach = detach.args(["-t", &client.name, "-E"]);
            detach.arg(format!("cat {path}; rm -f {path}")).run()?;
            continue;
        };
        if !shown.contains(&pane) {
            let cat = format!("cat {}; echo; echo '(q closes this)'", quote(file.path()));
            let run = Tmux::on(&target.socket, "run-shell").target(pane);
            run.arg(escape_format(Path::new(&cat))).run()?;
            shown.push(pane);
        }
    }
    Ok(true)
}

/// Switches a client to its previous pane, window or session, and returns the pane that it shows
/// then. Returns `None` if the session ends with the pane and the client has no previous one.
fn switch(target: &Target, own: &Pane, panes: &[Pane], client: &Client) -> Result<Option<PaneId>> {
    let on = |name: &str| Tmux::on(&target.socket, name);
    let mut others = panes.iter().filter(|pane| pane.id() != own.id());
    if let Some(beside) = others.clone().find(|pane| pane.window() == own.window()) {
        // There may be no last pane.
        if on("last-pane").target(own.id()).outcome()?.is_err() {
            on("select-pane").target(beside.id()).run()?;
        }
        return active_pane(target, own.window()).map(Some);
    }
    if others.any(|pane| pane.session == client.session) {
        let session = format!("{}:", client.session);
        if on("last-window").target(&session).outcome()?.is_err() {
            on("next-window").target(&session).run()?;
        }
        return active_pane(target, session).map(Some);
    }
    let last = format!("={}:", client.last_session);
    let switch = on("switch-client").args(["-c", &client.name]).target(&last);
    if client.last_session.as_str().is_empty() || switch.outcome()?.is_err() {
        return Ok(None);
    }
    active_pane(target, last).map(Some)
}

/// Returns the id of the active pane of a window or session: `tmux display-message -p -t <id>
/// '#{pane_id}'`
fn active_pane(target: &Target, of: impl Display) -> Result<PaneId> {
    let ask = Tmux::on(&target.socket, "display-message");
    let out = ask.arg("-p").target(of).arg("#{pane_id}").output()?;
    out.trim_end().parse().context("tmux printed no pane id")
}

fn write_temporary(text: impl AsRef<[u8]>) -> Result<NamedTempFile> {
    let file = tempfile::Builder::new().prefix("git-flux-").tempfile()?;
    fs::write(file.path(), text)?;
    Ok(file)
}

/// Quotes a path for a shell command.
fn quote(path: &Path) -> String {
    shell_words::quote(&path.to_string_lossy()).into_owned()
}
