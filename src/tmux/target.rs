//! Where an agent can run: a pane, a window or a session that git flux makes.

use std::env;
use std::ffi::OsStr;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::Tmux;
use super::client::our_terminal;
use super::command::{ensure_installed, ensure_recent, inside, is_gone, own_socket, unexpanded};
use super::fields::Fields;
use super::window_name::window_name;
use crate::failure::Failure;
use crate::git::Lock;
use crate::task::{Layout, Rest, Target, TaskId};

/// The smallest pane an agent is put into without asking.
const ROOM: (u32, u32) = (80, 15);
/// How many panes a window may have before the next task gets a window of its own.
const PANES: u32 = 4;

/// Where the next task will run, decided before anything exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Beside the pane we stand in; `side` splits it left and right.
    Pane {
        beside: String,
        session: String,
        side: bool,
    },
    /// A new window of the session we stand in. With `cramped`, because no pane had room.
    Window { session: String, cramped: bool },
    /// A detached session of its own.
    Session { name: String },
    /// The pane it had, in which nothing runs any more.
    Again(Target),
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

/// The pane we stand in.
struct Here {
    pane: String,
    session: String,
    panes: u32,
    width: u32,
    height: u32,
    zoomed: bool,
}

/// Decides the place for a task: `layout` if given, else a pane inside tmux and
/// a session outside. `forced` says that a flag, not a setting, named the layout.
///
/// # Errors
/// When tmux is missing or too old, when a pane is demanded outside tmux, or
/// when the session exists already.
pub(crate) fn choose(layout: Option<Layout>, forced: bool, session: String) -> Result<Place> {
    let here = if layout == Some(Layout::Session) {
        None
    } else {
        here()?
    };
    match (here, layout) {
        (None, Some(layout @ (Layout::Pane | Layout::Window))) if forced => {
            Err(Failure::new(format!(
                "no {} can be made: this is not inside tmux",
                layout.into_str()
            ))
            .hint("leave the option out for a session of its own, or start tmux first")
            .into())
        }
        (None, _) => {
            ensure_free(&session)?;
            Ok(Place::Session { name: session })
        }
        (Some(here), Some(Layout::Window)) => Ok(Place::Window {
            session: here.session,
            cramped: false,
        }),
        (Some(here), _) => Ok(here.split(forced)),
    }
}

impl Here {
    fn split(self, forced: bool) -> Place {
        let side = self.width > 2 * ROOM.0;
        let room = !self.zoomed
            && self.panes < PANES
            && (side || (self.width >= ROOM.0 && self.height > 2 * ROOM.1));
        if room || forced {
            Place::Pane {
                beside: self.pane,
                session: self.session,
                side: side || self.height <= 2 * ROOM.1,
            }
        } else {
            Place::Window {
                session: self.session,
                cramped: true,
            }
        }
    }
}

/// The pane we stand in, if we are inside tmux: `$TMUX` answers, and the pane's
/// terminal is ours. Without any terminal (an agent runs us) `$TMUX_PANE` is trusted.
///
/// `tmux display-message -p -t <pane> …`
fn here() -> Result<Option<Here>> {
    let (true, Ok(pane)) = (inside(), env::var("TMUX_PANE")) else {
        return Ok(None);
    };
    let fields = Fields::new([
        "version",
        "session_id",
        "pane_tty",
        "window_panes",
        "pane_width",
        "pane_height",
        "window_zoomed_flag",
    ]);
    let Ok(out) = Tmux::new("display-message")
        .args(["-p", "-t", &pane, &fields.format()])
        .outcome()?
    else {
        return Ok(None);
    };
    let Ok(records) = fields.read(&out) else {
        return Ok(None);
    };
    let &[[version, session, tty, panes, width, height, zoomed]] = records.as_slice() else {
        return Ok(None);
    };
    ensure_recent(version)?;
    if our_terminal().is_some_and(|ours| ours != tty) {
        return Ok(None);
    }
    let (Ok(panes), Ok(width), Ok(height)) = (panes.parse(), width.parse(), height.parse()) else {
        return Ok(None);
    };
    Ok(Some(Here {
        pane,
        session: session.to_owned(),
        panes,
        width,
        height,
        zoomed: zoomed == "1",
    }))
}

/// Fails if the session exists: `tmux list-sessions`, or `tmux -V` without a server.
fn ensure_free(session: &str) -> Result<()> {
    let fields = Fields::new(["version", "session_name"]);
    let Ok(out) = Tmux::new("list-sessions")
        .args(["-F", &fields.format()])
        .outcome()?
    else {
        return ensure_installed();
    };
    let sessions = fields.read(&out).or_else(|error| {
        // One that is too old answers in a form of its own.
        ensure_installed()?;
        Err(error)
    });
    for [version, name] in sessions.context("`tmux list-sessions` failed")? {
        ensure_recent(version)?;
        if name == session {
            return Err(
                Failure::new(format!("the tmux session '{session}' exists already"))
                    .hint(format!("tmux attach -t ={session}"))
                    .hint("git flux list")
                    .into(),
            );
        }
    }
    Ok(())
}

/// The name for a task's session: only what every tmux takes as it is.
pub(crate) fn session_name(project: &OsStr, id: &TaskId) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || c == '-' {
            c
        } else {
            '_'
        }
    };
    let project: String = project
        .to_string_lossy()
        .chars()
        .map(plain)
        .take(30)
        .collect();
    format!("flux-{project}-{id}")
}

/// What is asked of a pane that was made.
const FIELDS: [&str; 11] = [
    "socket_path",
    "pid",
    "start_time",
    "session_name",
    "window_id",
    "pane_id",
    "pane_pid",
    "pane_tty",
    "pane_index",
    "prefix",
    "exit-unattached",
];

/// Opens a place with `program` as its process, an argument vector of at least two words.
///
/// `tmux split-window|new-window|new-session -d -P -F … -c <dir> -- <program>`,
/// with the options that let other tools find the task set on the pane.
///
/// # Errors
/// When tmux refuses.
pub(crate) fn open(
    place: &Place,
    id: &TaskId,
    repo: &Path,
    dir: &Path,
    program: &[&OsStr],
    lock: &Lock,
) -> Result<Opened> {
    let dir = unexpanded(dir);
    let fields = Fields::new(FIELDS);
    let format = fields.format();
    let made = |tmux: Tmux| {
        let tmux = tmux.args(["-d", "-P", "-F", &format, "-c"]).arg(&dir);
        tmux.arg("--").args(program)
    };
    // At the next number that is free, as tmux does it: nobody's windows change theirs.
    let new_window = |session: &str| {
        let window = Tmux::new("new-window")
            .args(["-t", &format!("{session}:"), "-n", &window_name(id)])
            .holding(lock)?;
        Ok::<_, anyhow::Error>((made(window).output()?, Layout::Window))
    };
    let (out, kind) = match place {
        Place::Pane {
            beside,
            session,
            side,
        } => {
            let split = Tmux::new("split-window")
                .args([if *side { "-h" } else { "-v" }, "-t", beside])
                .holding(lock)?;
            match made(split).outcome()? {
                Ok(out) => (out, Layout::Pane),
                Err(_) => new_window(session)?,
            }
        }
        Place::Window { session, .. } => new_window(session)?,
        Place::Again(old) => {
            let again = Tmux::on(&old.socket, "respawn-pane").args(["-k", "-t", &old.pane, "-c"]);
            let again = again.arg(&dir).arg("--").args(program);
            again.holding(lock)?.run()?;
            let about = Tmux::on(&old.socket, "display-message");
            let about = about.args(["-p", "-t", &old.pane, &format]);
            (about.output()?, old.kind)
        }
        Place::Session { name } => {
            let (height, width) = console::Term::stderr().size_checked().unwrap_or((50, 200));
            let size = [width.to_string(), height.to_string()];
            let make = || {
                let session = Tmux::new("new-session")
                    .args(["-s", name, "-n", &window_name(id)])
                    .args(["-x", &size[0], "-y", &size[1]])
                    .holding(lock)?;
                // Else it ends at once where the user has `destroy-unattached` on.
                let made = made(session).then("set-option");
                let made = made.args(["-t", &format!("={name}:"), "destroy-unattached", "off"]);
                let made = made.then("set-option");
                tag(made, &format!("={name}:"), id, repo).outcome()
            };
            let out = match make()? {
                // It came to a server that was about to end: the next one is a new one.
                Err(_) if is_gone(&own_socket()) => make()?,
                out => out,
            };
            (out?, Layout::Session)
        }
    };
    let records = fields.read(&out)?;
    let made = records.first().and_then(|values| read(*values, kind));
    let opened = made.context("tmux did not say what it made")?;
    if !matches!(place, Place::Session { .. }) {
        let Target { socket, pane, .. } = &opened.target;
        tag(Tmux::on(socket, "set-option"), pane, id, repo)
            .run()
            .context("the pane closed at once")?;
    }
    Ok(opened)
}

/// Completes `set-option` to write `@flux_task`, `@flux_state` and `@flux_repo` on the pane.
fn tag(tmux: Tmux, pane: &str, id: &TaskId, repo: &Path) -> Tmux {
    let tmux = tmux.args(["-p", "-t", pane, "@flux_task", id.as_str()]);
    tmux.then("set-option")
        .args(["-p", "-t", pane, "@flux_state", "running"])
        .then("set-option")
        .args(["-p", "-t", pane, "@flux_repo", &super::pane::encode(repo)])
}

fn read(values: [&str; FIELDS.len()], kind: Layout) -> Option<Opened> {
    let [
        socket,
        server,
        start,
        session,
        window,
        pane,
        pid,
        tty,
        index,
        prefix,
        exit_unattached,
    ] = values;
    Some(Opened {
        target: Target {
            kind,
            session: session.to_owned(),
            window: window.to_owned(),
            pane: pane.to_owned(),
            pane_pid: pid.parse().ok()?,
            socket: socket.into(),
            server_pid: server.parse().ok()?,
            server_start: start.parse().ok()?,
            rest: Rest::default(),
        },
        pane_index: index.to_owned(),
        prefix: prefix.to_owned(),
        tty: tty.to_owned(),
        exits_unattached: exit_unattached == "1",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_names_are_plain() {
        let id = "fix-1".parse().unwrap();
        assert_eq!(
            session_name(OsStr::new("a.b:c #(x)"), &id),
            "flux-a_b_c___x_-fix-1"
        );
    }

    #[test]
    fn a_pane_is_split_only_where_two_have_room() {
        let here = |width, height, panes, zoomed| Here {
            pane: "%1".to_owned(),
            session: "$1".to_owned(),
            panes,
            width,
            height,
            zoomed,
        };
        let side = |place| matches!(place, Place::Pane { side: true, .. });
        assert!(side(here(200, 50, 1, false).split(false)));
        assert!(matches!(
            here(120, 40, 1, false).split(false),
            Place::Pane { side: false, .. }
        ));
        assert!(matches!(
            here(80, 24, 1, false).split(false),
            Place::Window { cramped: true, .. }
        ));
        assert!(matches!(
            here(200, 50, 4, false).split(false),
            Place::Window { .. }
        ));
        assert!(matches!(
            here(200, 50, 1, true).split(false),
            Place::Window { .. }
        ));
        assert!(side(here(80, 24, 1, false).split(true)));
    }
}
