//! Opening a place for a program.

use std::ffi::{OsStr, OsString};
use std::fmt::Display;
use std::path::Path;

use anyhow::{Context as _, Error, Result};

use super::Tmux;
use super::command::{is_gone, own_socket, unexpanded};
use super::fields::{Fields, Record};
use super::pane::encode;
use super::target::{Place, Split};
use super::window_name::window_name;
use crate::git::Lock;
use crate::task::{Layout, SessionId, SessionName, Target, TaskId};

/// The program of a task's pane.
pub(crate) struct PaneProgram<'a> {
    pub(crate) task: &'a TaskId,
    /// The git directory of the repository.
    pub(crate) repo: &'a Path,
    /// The directory to start it in.
    pub(crate) dir: &'a Path,
    /// At least two words.
    pub(crate) argv: [&'a OsStr; 3],
    /// Held by the tmux client as long as it lives.
    pub(crate) lock: &'a Lock,
}

/// What a made target looks like to its user.
#[derive(Clone, Debug)]
pub(crate) struct Opened {
    pub(crate) target: Target,
    /// The number `prefix q` shows on it.
    pub(crate) pane_index: String,
    /// The user's prefix key as tmux writes it: `C-b`.
    pub(crate) prefix: String,
    /// The terminal device of the pane.
    pub(crate) tty: String,
    /// Whether its server ends when no client is attached to it.
    pub(crate) exits_unattached: bool,
}

/// What tmux printed of a pane that it made, or what it said.
type Printed = std::result::Result<String, Error>;

impl Place {
    /// Opens the place with a program as its process, and sets the options on the pane that let other
    /// tools find the task.
    ///
    /// # Errors
    /// When tmux refuses.
    pub(crate) fn open(&self, program: &PaneProgram) -> Result<Opened> {
        let fields = Fields::of_target(&["pane_tty", "pane_index", "prefix", "exit-unattached"]);
        let (out, kind) = self.make(program, &fields)?;
        let record = fields.read(&out)?;
        let opened = record.first().and_then(|record| Opened::read(record, kind));
        let opened = opened.context("tmux did not say what it made")?;
        // That of a new session is set with it.
        if !matches!(self, Self::Session { .. }) {
            let Target { socket, pane, .. } = &opened.target;
            let tagged = program.tag(Tmux::on(socket, "set-option"), pane).run();
            tagged.context("the pane closed at once")?;
        }
        Ok(opened)
    }

    /// Makes the pane; returns what tmux printed of it, and what it is.
    fn make(&self, program: &PaneProgram, fields: &Fields) -> Result<(String, Layout)> {
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
                match program.start(split, fields)?.outcome()? {
                    Ok(out) => Ok((out, Layout::Pane)),
                    Err(_) => Ok((program.new_window(*session, fields)?, Layout::Window)),
                }
            }
            Self::Window { session, .. } => {
                Ok((program.new_window(*session, fields)?, Layout::Window))
            }
            Self::Again(old) => Ok((program.respawn(old, fields)?, old.kind)),
            Self::Session { name } => {
                let out = match program.new_session(name, fields)? {
                    // It came to a server that was about to end: the next one is a new one.
                    Err(_) if is_gone(&own_socket()) => program.new_session(name, fields)?,
                    out => out,
                };
                Ok((out?, Layout::Session))
            }
        }
    }
}

impl Opened {
    fn read(record: &Record, kind: Layout) -> Option<Self> {
        let text = |name| record.get(name).to_owned();
        Some(Self {
            target: record.target(kind)?,
            pane_index: text("pane_index"),
            prefix: text("prefix"),
            tty: text("pane_tty"),
            exits_unattached: record.get("exit-unattached") == "1",
        })
    }
}

impl PaneProgram<'_> {
    /// Completes a command that makes a pane: `-d -P -F <format> -c <dir> -- <program>`
    fn start(&self, tmux: Tmux, fields: &Fields) -> Result<Tmux> {
        let tmux = tmux
            .holding(self.lock)?
            .args(["-d", "-P", "-F", &fields.format()]);
        let tmux = tmux.arg("-c").arg(self.unexpanded_dir());
        Ok(tmux.arg("--").args(self.argv))
    }

    fn unexpanded_dir(&self) -> OsString {
        unexpanded(self.dir)
    }

    /// `tmux new-window -t <session>: -n <name> …`, at the next number that is free, as tmux does
    /// it: the other windows keep their numbers.
    fn new_window(&self, session: SessionId, fields: &Fields) -> Result<String> {
        let window = Tmux::new("new-window").target(format!("{session}:"));
        let window = window.args(["-n", &window_name(self.task)]);
        self.start(window, fields)?.output()
    }

    /// `tmux respawn-pane -k -t <pane> …`, which does not print what it has made.
    fn respawn(&self, old: &Target, fields: &Fields) -> Result<String> {
        let again = Tmux::on(&old.socket, "respawn-pane")
            .arg("-k")
            .target(old.pane);
        let again = again.arg("-c").arg(self.unexpanded_dir());
        let again = again.arg("--").args(self.argv);
        again.holding(self.lock)?.run()?;
        let about = Tmux::on(&old.socket, "display-message").arg("-p");
        about.target(old.pane).arg(fields.format()).output()
    }

    /// `tmux new-session -s <name> -n <name> -x <width> -y <height> … ; set-option …`
    fn new_session(&self, name: &SessionName, fields: &Fields) -> Result<Printed> {
        let (height, width) = console::Term::stderr().size_checked().unwrap_or((50, 200));
        let session = Tmux::new("new-session")
            .args(["-s", name.as_str(), "-n", &window_name(self.task)])
            .args(["-x", &width.to_string(), "-y", &height.to_string()]);
        let own = format!("={name}:");
        // Else it ends at once where the user has `destroy-unattached` on.
        let made = self.start(session, fields)?.then("set-option");
        let made = made.target(&own).args(["destroy-unattached", "off"]);
        self.tag(made.then("set-option"), &own).outcome()
    }

    /// Completes `set-option` to write `@flux_task`, `@flux_state` and `@flux_repo` on the pane.
    fn tag(&self, tmux: Tmux, pane: &impl Display) -> Tmux {
        let tmux = tmux.arg("-p").target(pane);
        let tmux = tmux.args(["@flux_task", self.task.as_str()]);
        let tmux = tmux.then("set-option").arg("-p").target(pane);
        let tmux = tmux.args(["@flux_state", "running"]);
        let tmux = tmux.then("set-option").arg("-p").target(pane);
        tmux.args(["@flux_repo", &encode(self.repo)])
    }
}
