//! Sessions that something else made anew after a restart of tmux, as tmux-resurrect does.

use std::ffi::OsStr;
use std::path::Path;

use anyhow::Result;

use super::Tmux;
use super::fields::Fields;
use crate::system::program;
use crate::task::{Layout, SessionName, Target};

/// The programs that are a shell; beside them `$SHELL`.
const SHELLS: [&str; 12] = [
    "sh", "bash", "zsh", "fish", "dash", "ksh", "mksh", "tcsh", "csh", "nu", "elvish", "xonsh",
];

/// Returns the pane of the session of this name, if that is its only one and shows a shell in `dir`
/// or below: `tmux list-panes -s -t =<name>: -F …`. What the shell has put aside is not looked at.
///
/// # Errors
/// When tmux is missing or does not answer.
pub(crate) fn shell(name: &SessionName, dir: &Path) -> Result<Option<Target>> {
    let fields = Fields::of_target(&["pane_current_command", "pane_current_path"]);
    let list = Tmux::new("list-panes")
        .arg("-s")
        .target(format!("={name}:"));
    // There may be no such session, and no server.
    let Ok(out) = list.args(["-F", &fields.format()]).outcome()? else {
        return Ok(None);
    };
    let records = fields.read(&out)?;
    let [record] = records.as_slice() else {
        return Ok(None);
    };
    let shows_shell = is_shell(OsStr::new(record.get("pane_current_command")))
        && Path::new(record.get("pane_current_path")).starts_with(dir);
    let target = record.target(Layout::Session).filter(|_| shows_shell);
    Ok(target.filter(|target| target.session == *name))
}

fn is_shell(command: &OsStr) -> bool {
    let own = program::shell();
    Path::new(&own).file_name() == Some(command) || SHELLS.iter().any(|shell| *shell == command)
}
