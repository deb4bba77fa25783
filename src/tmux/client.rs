//! The terminals in which somebody looks at tmux.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::libc::{O_NOCTTY, O_NONBLOCK};

use super::Tmux;
use super::command::outer_socket;

/// Writes `text` to the terminals of all clients of the server that the environment names,
/// by one write each: past tmux, which would keep it from those who look at another session.
/// `tmux list-clients -F …`
///
/// # Errors
/// When there is no server, or it does not answer.
pub(crate) fn write(text: &str) -> Result<()> {
    let socket = outer_socket().context("there is no tmux")?;
    let clients = Tmux::on(&socket, "list-clients")
        .args(["-F", "#{client_control_mode} #{client_tty}"])
        .within(Duration::from_secs(2))
        .output()?;
    for tty in clients.lines().filter_map(|line| line.strip_prefix("0 ")) {
        let terminal = OpenOptions::new()
            .write(true)
            .custom_flags(O_NOCTTY | O_NONBLOCK)
            .open(tty);
        // It may have gone meanwhile, or be stopped and full.
        let written = terminal.and_then(|mut terminal| terminal.write_all(text.as_bytes()));
        drop(written);
    }
    Ok(())
}
