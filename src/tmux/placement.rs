//! The place of a new agent: a pane, a window or a session.

use std::ffi::OsStr;

use anyhow::{Context as _, Result, bail};

use super::Tmux;
use super::client::own_terminal;
use super::command::{ensure_installed, ensure_recent, env_pane, is_inside};
use super::fields::Fields;
use crate::failure::Failure;
use crate::task::{Layout, PaneId, SessionId, SessionName, Target, TaskId};

/// The minimum columns and lines of a pane.
const MIN_PANE: (u32, u32) = (80, 15);
/// A window with as many panes is not split further.
const MAX_PANES: u32 = 4;

/// The place of a new task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Placement {
    /// Beside the current pane.
    Pane {
        beside: PaneId,
        session: SessionId,
        split: Split,
    },
    /// A new window of the current session.
    Window {
        session: SessionId,
        /// The window is too small for another pane.
        no_room: bool,
    },
    /// A new detached session.
    Session { name: SessionName },
    /// The task's previous pane, which is idle.
    Respawn(Target),
}

/// The direction in which a pane is split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Split {
    LeftRight,
    TopBottom,
}

/// The layout that the user wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LayoutRequest {
    /// A pane inside tmux, a session outside.
    Any,
    /// A setting: used if there is room.
    Preferred(Layout),
    /// An option.
    Required(Layout),
}

/// The pane of this process.
struct CurrentPane {
    pane: PaneId,
    session: SessionId,
    panes: u32,
    width: u32,
    height: u32,
    is_zoomed: bool,
}

/// Chooses where to open the pane of a task: beside the current pane, in a new window, or in a new
/// session. Opens nothing. `other_name` is a hint for the error that the session exists.
///
/// # Errors
/// When tmux is missing or too old, when a pane or window is required outside tmux, or when the
/// session exists already.
pub(crate) fn choose(
    request: LayoutRequest,
    session: SessionName,
    other_name: Option<&str>,
) -> Result<Placement> {
    let layout = match request {
        LayoutRequest::Any => None,
        LayoutRequest::Preferred(layout) | LayoutRequest::Required(layout) => Some(layout),
    };
    let current = match layout {
        Some(Layout::Session) => None,
        _ => current_pane()?,
    };
    let Some(current) = current else {
        if let LayoutRequest::Required(layout @ (Layout::Pane | Layout::Window)) = request {
            let layout = layout.into_str();
            let what = format!("no {layout} can be opened outside tmux");
            return Err(Failure::new(what)
                .hint("omit the option for a new session, or start tmux first")
                .into());
        }
        ensure_session_unused(&session, other_name)?;
        return Ok(Placement::Session { name: session });
    };
    let is_window = layout == Some(Layout::Window);
    let is_required = matches!(request, LayoutRequest::Required(_));
    if !is_window && (is_required || current.has_room()) {
        return Ok(current.beside());
    }
    Ok(Placement::Window {
        session: current.session,
        no_room: !is_window,
    })
}

impl CurrentPane {
    fn is_wide(&self) -> bool {
        self.width > 2 * MIN_PANE.0
    }

    fn is_tall(&self) -> bool {
        self.height > 2 * MIN_PANE.1
    }

    fn has_room(&self) -> bool {
        let fits = self.is_wide() || (self.width >= MIN_PANE.0 && self.is_tall());
        !self.is_zoomed && self.panes < MAX_PANES && fits
    }

    fn beside(&self) -> Placement {
        let split = match self.is_wide() || !self.is_tall() {
            true => Split::LeftRight,
            false => Split::TopBottom,
        };
        Placement::Pane {
            beside: self.pane,
            session: self.session,
            split,
        }
    }
}

/// Returns the pane in `$TMUX_PANE` with its size: `tmux display-message -p -t <pane>`. `None`
/// outside tmux, if its server is not running, or if this process has a terminal that is not the
/// pane's. Fails if tmux is too old.
fn current_pane() -> Result<Option<CurrentPane>> {
    let Some(pane) = env_pane().filter(|_| is_inside()) else {
        return Ok(None);
    };
    let fields = Fields::new(
        "version session_id pane_tty window_panes pane_width pane_height window_zoomed_flag",
    );
    let ask = Tmux::new("display-message").arg("-p").target(pane);
    let Ok(out) = ask.arg(fields.format()).outcome()? else {
        return Ok(None);
    };
    let Ok((record, _)) = fields.read_first(&out) else {
        return Ok(None);
    };
    let [version, session, tty, panes, width, height, is_zoomed] = record.values;
    ensure_recent(version)?;
    if own_terminal().is_some_and(|ours| ours != tty) {
        return Ok(None);
    }
    let read = || {
        Some(CurrentPane {
            pane,
            session: session.parse().ok()?,
            panes: panes.parse().ok()?,
            width: width.parse().ok()?,
            height: height.parse().ok()?,
            is_zoomed: is_zoomed == "1",
        })
    };
    Ok(read())
}

/// Fails if a session of this name exists, or if tmux is missing or too old: `tmux list-sessions`,
/// or `tmux -V` without a server.
fn ensure_session_unused(session: &SessionName, other_name: Option<&str>) -> Result<()> {
    let fields = Fields::new("version session_name");
    let list = Tmux::new("list-sessions").args(["-F", &fields.format()]);
    let Ok(out) = list.outcome()? else {
        return ensure_installed();
    };
    let sessions = fields.read(&out).or_else(|error| {
        // An old tmux may not know the format.
        ensure_installed()?;
        Err(error)
    });
    for record in sessions.context("`tmux list-sessions` failed")? {
        let [version, name] = record.values;
        ensure_recent(version)?;
        if name == session.as_str() {
            let failure = Failure::new(format!("the tmux session '{session}' exists already"));
            let failure = failure.hint(format!("to go to the session: tmux attach -t ={session}"));
            bail!(
                failure
                    .hint("to see the tasks: git flux list")
                    .hints(other_name)
            );
        }
    }
    Ok(())
}

/// Returns the name of a task's session, `flux-<project>-<id>`: at most 30 characters of the
/// project, with `_` for all but ASCII letters, digits and `-`.
pub(crate) fn session_name(project: &OsStr, id: &TaskId) -> SessionName {
    let is_odd = |c: char| !c.is_ascii_alphanumeric() && c != '-';
    let project = project.to_string_lossy().replace(is_odd, "_");
    SessionName::new(format!("flux-{project:.30}-{id}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_name_replaces_special_characters() {
        let id = "fix-1".parse().unwrap();
        assert_eq!(
            session_name(OsStr::new("a.b:c #(x)"), &id).as_str(),
            "flux-a_b_c___x_-fix-1"
        );
    }

    #[test]
    fn has_room_depends_on_size_panes_and_zoom() {
        let place = |width, height, panes, is_zoomed| {
            let current = CurrentPane {
                pane: "%1".parse().unwrap(),
                session: SessionId(1),
                panes,
                width,
                height,
                is_zoomed,
            };
            (current.has_room(), current.beside())
        };
        let case = |(has_room, place): (bool, Placement), expected: (bool, Split)| {
            let Placement::Pane { split, .. } = place else {
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
