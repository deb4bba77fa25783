//! Opening a pane for a program.

use std::ffi::OsStr;
use std::fmt::Display;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::Tmux;
use super::command::{default_socket, escape_format, is_gone};
use super::fields::Fields;
use super::pane::encode_path;
use super::placement::{Placement, Split};
use crate::system::Lock;
use crate::task::{Layout, SessionId, SessionName, Target, TaskId};

/// The program of a task's pane.
pub(crate) struct PaneProgram<'a> {
    pub(crate) task: &'a TaskId,
    /// The git directory of the repository.
    pub(crate) repo: &'a Path,
    /// The directory to start it in.
    pub(crate) dir: &'a Path,
    /// With one argument only, tmux would start a shell.
    pub(crate) argv: [&'a OsStr; 3],
    /// A lock that the tmux client holds until it ends.
    pub(crate) lock: &'a Lock,
}

/// A new pane.
#[derive(Clone, Debug)]
pub(crate) struct OpenedPane {
    pub(crate) target: Target,
    /// The number that `prefix q` shows.
    pub(crate) pane_index: String,
    /// The prefix key in tmux's notation: `C-b`.
    pub(crate) prefix: String,
    /// The terminal device of the pane.
    pub(crate) tty: String,
    /// The server ends without attached clients.
    pub(crate) exits_unattached: bool,
}

impl Placement {
    /// Opens a pane, a window or a session with a program, or restarts an existing pane with it.
    /// Sets the pane's options `@flux_task`, `@flux_state` and `@flux_repo`, by which other tools
    /// find the task.
    pub(crate) fn open_pane(&self, program: &PaneProgram) -> Result<OpenedPane> {
        let fields = Fields::new("pane_tty pane_index prefix exit-unattached");
        let (out, kind) = self.create_pane(program, &fields)?;
        let (record, _) = fields.read_first(&out)?;
        let [tty, pane_index, prefix, exits_unattached] = record.values;
        let target = record.target(kind);
        let target = target.context("tmux did not print the new pane")?;
        // A new session has its options already.
        if !matches!(self, Self::Session { .. }) {
            let set = Tmux::on(&target.socket, "set-option");
            let tagged = program.add_task_options(set, target.pane).run();
            tagged.context("the pane closed at once")?;
        }
        Ok(OpenedPane {
            target,
            pane_index: pane_index.to_owned(),
            prefix: prefix.to_owned(),
            tty: tty.to_owned(),
            exits_unattached: exits_unattached == "1",
        })
    }

    /// Creates the pane, window or session with the program, or restarts an existing pane, and
    /// returns tmux's output with the resulting layout: a window if the current one has no room for
    /// a pane.
    fn create_pane(&self, program: &PaneProgram, fields: &Fields<4>) -> Result<(String, Layout)> {
        match self {
            Self::Pane {
                beside,
                session,
                split,
            } => {
                let split = match split {
                    Split::LeftRight => "-h",
                    Split::TopBottom => "-v",
                };
                let split = Tmux::new("split-window").arg(split).target(beside);
                match program.add_new_pane_options(split, fields)?.outcome()? {
                    Ok(out) => Ok((out, Layout::Pane)),
                    Err(_) => Ok((program.new_window(*session, fields)?, Layout::Window)),
                }
            }
            Self::Window { session, .. } => {
                Ok((program.new_window(*session, fields)?, Layout::Window))
            }
            Self::Respawn(old) => Ok((program.respawn(old, fields)?, old.kind)),
            Self::Session { name } => {
                let out = match program.new_session(name, fields)? {
                    // The server was about to end; the next attempt starts a new one.
                    Err(_) if is_gone(&default_socket()) => program.new_session(name, fields)?,
                    out => out,
                };
                Ok((out?, Layout::Session))
            }
        }
    }
}

impl PaneProgram<'_> {
    /// Completes a tmux command that creates a pane, without running it: adds `-d -P -F <format> -c
    /// <dir> -- <program>`.
    fn add_new_pane_options(&self, tmux: Tmux, fields: &Fields<4>) -> Result<Tmux> {
        self.add_program(tmux.args(["-d", "-P", "-F", &fields.format()]))
    }

    /// Completes a tmux command that starts a program in a pane, without running it: adds `-c <dir>
    /// -- <program>`, and lets the tmux process inherit [`PaneProgram::lock`], so that the lock
    /// stays held until that process ends.
    fn add_program(&self, tmux: Tmux) -> Result<Tmux> {
        let tmux = tmux.arg("-c").arg(escape_format(self.dir));
        tmux.arg("--").args(self.argv).holding(self.lock)
    }

    /// Creates a window of `session` with the next free number, and returns what tmux prints about
    /// it: `tmux new-window -t <session>: -n <name> -d -P -F <format> -c <dir> -- <program>`
    fn new_window(&self, session: SessionId, fields: &Fields<4>) -> Result<String> {
        let window = Tmux::new("new-window").target(format!("{session}:"));
        let window = window.args(["-n", &window_name(self.task)]);
        self.add_new_pane_options(window, fields)?.output()
    }

    /// Kills what runs in an existing pane, starts the program there, and returns what tmux prints
    /// about the pane: `tmux respawn-pane -t <pane> -k -c <dir> -- <program>`, then `tmux
    /// display-message -p`
    fn respawn(&self, old: &Target, fields: &Fields<4>) -> Result<String> {
        self.add_program(Tmux::at(old, "respawn-pane").arg("-k"))?
            .run()?;
        let about = Tmux::at(old, "display-message").arg("-p");
        about.arg(fields.format()).output()
    }

    /// Creates a detached session of this terminal's size with `tmux new-session`, sets its options
    /// with `set-option`, and returns what tmux prints about it. The inner error is that tmux
    /// failed.
    fn new_session(&self, name: &SessionName, fields: &Fields<4>) -> Result<Result<String>> {
        let (height, width) = console::Term::stderr().size_checked().unwrap_or((50, 200));
        let session = Tmux::new("new-session")
            .args(["-s", name.as_str(), "-n", &window_name(self.task)])
            .args(["-x", &width.to_string(), "-y", &height.to_string()]);
        let by_name = format!("={name}:");
        // With `destroy-unattached`, the session would end at once.
        let made = self
            .add_new_pane_options(session, fields)?
            .then("set-option");
        let made = made.target(&by_name).args(["destroy-unattached", "off"]);
        self.add_task_options(made.then("set-option"), by_name)
            .outcome()
    }

    /// Completes a `tmux set-option`, without running it: sets the pane's options `@flux_task`,
    /// `@flux_state` and `@flux_repo`.
    fn add_task_options(&self, tmux: Tmux, pane: impl Display) -> Tmux {
        let tmux = tmux.arg("-p").target(&pane);
        let tmux = tmux.args(["@flux_task", self.task.as_str()]);
        let tmux = tmux.then("set-option").arg("-p").target(&pane);
        let tmux = tmux.args(["@flux_state", "running"]);
        let tmux = tmux.then("set-option").arg("-p").target(&pane);
        tmux.args(["@flux_repo", &encode_path(self.repo)])
    }
}

/// The approximate limit for the name of a window.
const MAX_NAME_LENGTH: usize = 16;

/// Returns the name of a task's window: the first word of the task's id, each further word that
/// fits into 16 characters, and each number, joined by `-`. Omits words of six hex digits, such as
/// the random ones.
fn window_name(id: &TaskId) -> String {
    let is_random = |word: &&str| word.len() == 6 && word.bytes().all(|b| b.is_ascii_hexdigit());
    let mut words = id.as_str().split('-').filter(|word| !is_random(word));
    let mut name = words.next().unwrap_or(id.as_str()).to_owned();
    for word in words {
        // The number distinguishes tasks with the same description.
        let is_number = word.bytes().all(|b| b.is_ascii_digit());
        if is_number || name.len() + word.len() < MAX_NAME_LENGTH {
            name = [&name, word].join("-");
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::window_name;

    #[test]
    fn window_name_keeps_the_first_words_and_the_number() {
        #[track_caller]
        fn case(id: &str, expected: &str) {
            assert_eq!(window_name(&id.parse().unwrap()), expected, "{id}");
        }
        case("fix-the-login-redirect-5c3c4d", "fix-the-login");
        case("add-oauth-authentication-a1b2c3-2", "add-oauth-2");
        case("internationalization-5c3c4d", "internationalization");
        case("5c3c4d", "5c3c4d");
        case("fix", "fix");
    }
}
