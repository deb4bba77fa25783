//! Where an agent can run: a pane, a window or a session that git flux makes.

use std::ffi::OsStr;

use anyhow::{Context as _, Result};

use super::Tmux;
use super::client::our_terminal;
use super::command::{ensure_installed, ensure_recent, inside, own_pane};
use super::fields::Fields;
use crate::failure::Failure;
use crate::task::{Layout, PaneId, SessionId, SessionName, Target, TaskId};

/// The smallest pane an agent is put into without asking.
const ROOM: (u32, u32) = (80, 15);
/// How many panes a window may have before the next task gets a window of its own.
const PANES: u32 = 4;

/// Where the next task will run, decided before anything exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Beside the pane we stand in.
    Pane {
        beside: PaneId,
        session: SessionId,
        split: Split,
    },
    /// A new window of the session we stand in.
    Window {
        session: SessionId,
        /// No pane had room.
        cramped: bool,
    },
    /// A detached session of its own.
    Session { name: SessionName },
    /// The pane it had, in which nothing runs any more.
    Again(Target),
}

/// How a pane is split in two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Split {
    LeftRight,
    TopBottom,
}

/// Which layout the user wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// A pane inside tmux and a session outside.
    Any,
    /// This one where there is room: by a setting.
    Preferred(Layout),
    /// This one: by an option.
    Demanded(Layout),
}

/// The pane we stand in.
struct Here {
    pane: PaneId,
    session: SessionId,
    panes: u32,
    width: u32,
    height: u32,
    zoomed: bool,
}

/// Decides the place for a task.
///
/// # Errors
/// When tmux is missing or too old, when a pane is demanded outside tmux, or
/// when the session exists already.
pub(crate) fn choose(wanted: Wanted, session: SessionName) -> Result<Place> {
    let layout = match wanted {
        Wanted::Any => None,
        Wanted::Preferred(layout) | Wanted::Demanded(layout) => Some(layout),
    };
    let here = match layout {
        Some(Layout::Session) => None,
        _ => here()?,
    };
    let Some(here) = here else {
        if let Wanted::Demanded(layout @ (Layout::Pane | Layout::Window)) = wanted {
            let layout = layout.into_str();
            let what = format!("no {layout} can be made: this is not inside tmux");
            return Err(Failure::new(what)
                .hint("leave the option out for a session of its own, or start tmux first")
                .into());
        }
        ensure_free(&session)?;
        return Ok(Place::Session { name: session });
    };
    let is_window = layout == Some(Layout::Window);
    let is_demanded = matches!(wanted, Wanted::Demanded(_));
    if !is_window && (is_demanded || here.has_room()) {
        return Ok(here.beside());
    }
    Ok(Place::Window {
        session: here.session,
        cramped: !is_window,
    })
}

impl Here {
    fn is_wide(&self) -> bool {
        self.width > 2 * ROOM.0
    }

    fn is_high(&self) -> bool {
        self.height > 2 * ROOM.1
    }

    /// Returns whether there is room for another pane.
    fn has_room(&self) -> bool {
        let fits = self.is_wide() || (self.width >= ROOM.0 && self.is_high());
        !self.zoomed && self.panes < PANES && fits
    }

    fn beside(&self) -> Place {
        let split = match self.is_wide() || !self.is_high() {
            true => Split::LeftRight,
            false => Split::TopBottom,
        };
        Place::Pane {
            beside: self.pane,
            session: self.session,
            split,
        }
    }
}

/// Returns the pane we stand in, if we are inside tmux: `$TMUX` answers, and the pane's
/// terminal is ours. Without any terminal (an agent runs us) `$TMUX_PANE` is trusted.
///
/// `tmux display-message -p -t <pane> …`
fn here() -> Result<Option<Here>> {
    let Some(pane) = own_pane().filter(|_| inside()) else {
        return Ok(None);
    };
    let fields = Fields::new(
        "version session_id pane_tty window_panes pane_width pane_height window_zoomed_flag",
    );
    let ask = Tmux::new("display-message").arg("-p").target(pane);
    let Ok(out) = ask.arg(fields.format()).outcome()? else {
        return Ok(None);
    };
    let Ok((record, _)) = fields.first(&out) else {
        return Ok(None);
    };
    let [version, session, tty, panes, width, height, is_zoomed] = record.values;
    ensure_recent(version)?;
    if our_terminal().is_some_and(|ours| ours != tty) {
        return Ok(None);
    }
    let read = || {
        Some(Here {
            pane,
            session: session.parse().ok()?,
            panes: panes.parse().ok()?,
            width: width.parse().ok()?,
            height: height.parse().ok()?,
            zoomed: is_zoomed == "1",
        })
    };
    Ok(read())
}

/// Fails if the session exists: `tmux list-sessions`, or `tmux -V` without a server.
fn ensure_free(session: &SessionName) -> Result<()> {
    let fields = Fields::new("version session_name");
    let list = Tmux::new("list-sessions").args(["-F", &fields.format()]);
    let Ok(out) = list.outcome()? else {
        return ensure_installed();
    };
    let sessions = fields.read(&out).or_else(|error| {
        // One that is too old answers in a form of its own.
        ensure_installed()?;
        Err(error)
    });
    for record in sessions.context("`tmux list-sessions` failed")? {
        let [version, name] = record.values;
        ensure_recent(version)?;
        if name == session.as_str() {
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

/// Returns the name for a task's session: only what every tmux takes as it is.
pub(crate) fn session_name(project: &OsStr, id: &TaskId) -> SessionName {
    let is_odd = |c: char| !c.is_ascii_alphanumeric() && c != '-';
    let project = project.to_string_lossy().replace(is_odd, "_");
    SessionName::new(format!("flux-{project:.30}-{id}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_names_are_plain() {
        let id = "fix-1".parse().unwrap();
        assert_eq!(
            session_name(OsStr::new("a.b:c #(x)"), &id).as_str(),
            "flux-a_b_c___x_-fix-1"
        );
    }

    #[test]
    fn a_pane_is_split_only_where_two_have_room() {
        let place = |width, height, panes, zoomed| {
            let here = Here {
                pane: "%1".parse().unwrap(),
                session: SessionId(1),
                panes,
                width,
                height,
                zoomed,
            };
            (here.has_room(), here.beside())
        };
        let case = |(has_room, place): (bool, Place), expected: (bool, Split)| {
            let Place::Pane { split, .. } = place else {
                panic!("{place:?} is no pane");
            };
            assert_eq!((has_room, split), expected);
        };
        case(place(200, 50, 1, false), (true, Split::LeftRight));
        case(place(120, 40, 1, false), (true, Split::TopBottom));
        case(place(80, 24, 1, false), (false, Split::LeftRight));
        case(place(200, 50, 4, false), (false, Split::LeftRight));
        case(place(200, 50, 1, true), (false, Split::LeftRight));
        case(place(79, 40, 1, false), (false, Split::TopBottom));
    }
}
