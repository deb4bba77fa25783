//! What the keys of the view do.

use std::ffi::OsString;
use std::path::PathBuf;

use super::model::Model;

/// What a key does.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Action {
    Nothing,
    Quit,
    /// ^C
    Interrupt,
    /// ^Z
    Suspend,
    /// ^L
    Redraw,
    Run(FluxCommand),
}

/// A command of git flux in a repository.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct FluxCommand {
    pub(super) home: PathBuf,
    pub(super) args: Vec<OsString>,
    pub(super) pause: Pause,
}

/// When the user presses a key before the view covers what a command has printed. Always if it
/// fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pause {
    OnFailure,
    /// It was shown no longer than a second.
    IfShort,
    Always,
}

/// Returns the command `git flux <name> <task>` for the selected task.
pub(super) fn command(model: &Model, name: &str, pause: Pause) -> Action {
    let Some(selected) = model.selected() else {
        return Action::Nothing;
    };
    Action::Run(FluxCommand {
        home: selected.key.home.clone(),
        args: [name, selected.key.id.as_str()].map(OsString::from).into(),
        pause,
    })
}

/// Returns the command that sends a message to the selected task; without one, that opens the
/// editor.
pub(super) fn send(model: &Model, message: &str) -> Action {
    let mut action = command(model, "send", Pause::OnFailure);
    if let Action::Run(command) = &mut action {
        match message.trim() {
            "" => command.args.push("--edit".into()),
            message => command.args.extend(["--", message].map(OsString::from)),
        }
    }
    action
}

/// Returns the command that starts a task, in the repository of the selected one.
pub(super) fn run_new(model: &Model) -> Action {
    let selected = model.selected();
    Action::Run(FluxCommand {
        home: selected.map(|one| one.key.home.clone()).unwrap_or_default(),
        args: vec!["run".into()],
        pause: Pause::Always,
    })
}
