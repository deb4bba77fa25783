//! Closing the pane that we run in: what was said on it goes with it, so it is shown where its clients land.

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

/// Shows `lines` to the clients that look at the pane, and closes it. A pane that they land in shows
/// them in view mode (`run-shell -t`), until `q` is pressed; outside of tmux they stay on the terminal
/// (`detach-client -E`). Who looks elsewhere gets a notice in a line.
///
/// # Errors
/// When the pane cannot be closed.
pub(crate) fn close(target: &Target, lines: &[String]) -> Result<()> {
    // To be read is not worth a failure: everything is done but this.
    if !show_lines(target, lines).unwrap_or(false)
        && let Some(line) = lines.iter().find(|line| line.starts_with("removed"))
    {
        pane::display_message(target, format_args!("git flux: {line}"));
    }
    pane::close(target).map(drop)
}

/// Returns whether a client was shown the lines.
fn show_lines(target: &Target, lines: &[String]) -> Result<bool> {
    let panes = pane::list(Some(&target.socket))?;
    let own = panes.iter().find(|pane| pane.matches(target));
    let own = own.context("the pane is closed already")?;
    let mut clients = client::list(&target.socket)?;
    clients.retain(|client| client.window == own.window());
    // Somebody may look at another pane of the window.
    if clients.is_empty() || active_pane(target, own.window())? != own.id() {
        return Ok(false);
    }
    let text = lines.join("\n") + "\n";
    let file = write_temporary(&text)?;
    let mut shown = Vec::new();
    for client in &clients {
        let Some(pane) = switch(target, own, &panes, client)? else {
            // The client's shell reads it once we have gone.
            let path = quote(&self::write_temporary(&text)?.into_temp_path().keep()?);
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

/// Brings a client to where it would land, and returns the pane there: to the pane, the window or the
/// session that was in front before. Where its session ends with the pane and there was none before,
/// it is left to be detached.
fn switch(target: &Target, own: &Pane, panes: &[Pane], client: &Client) -> Result<Option<PaneId>> {
    let on = |name: &str| Tmux::on(&target.socket, name);
    let mut others = panes.iter().filter(|pane| pane.id() != own.id());
    if let Some(beside) = others.clone().find(|pane| pane.window() == own.window()) {
        // There may have been no other one in front.
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

/// Returns the pane in front in a window or session: `tmux display-message -p -t <it> '#{pane_id}'`
fn active_pane(target: &Target, of: impl Display) -> Result<PaneId> {
    let ask = Tmux::on(&target.socket, "display-message");
    let out = ask.arg("-p").target(of).arg("#{pane_id}").output()?;
    out.trim_end().parse().context("tmux printed no pane")
}

fn write_temporary(text: impl AsRef<[u8]>) -> Result<NamedTempFile> {
    let file = tempfile::Builder::new().prefix("git-flux-").tempfile()?;
    fs::write(file.path(), text)?;
    Ok(file)
}

/// Returns a path of ours as a shell reads it.
fn quote(path: &Path) -> String {
    shell_words::quote(&path.to_string_lossy()).into_owned()
}
