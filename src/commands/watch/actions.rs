//! The actions of the keys of the view.

use std::ffi::OsString;
use std::iter;
use std::path::PathBuf;

use super::model::{Model, ViewRow};
use crate::agent;
use crate::task::State;

/// The action of a key.
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
    /// Says why a key does nothing now.
    Refuse(String),
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

/// Returns why the agent of a task accepts no message, if its state says so. Otherwise, and if its
/// pane decides, `git flux send` finds out.
pub(super) fn refuse_message(row: &ViewRow) -> Option<String> {
    let status = row.row.status.as_ref()?;
    let id = &row.key.id;
    let has_composer = agent::profile(&status.task.agent).composer.is_some();
    match &status.state {
        State::Waiting(None) if has_composer => None,
        State::Waiting(_) => Some(format!(
            "'{id}' waits for an answer: press Enter to go there"
        )),
        State::Idle => Some(format!("no agent was started in '{id}'")),
        State::Starting | State::Queued => Some(format!("the agent of '{id}' is still starting")),
        State::NoWorktree | State::NoBranch => None,
        state if !state.is_alive() => Some(format!(
            "the agent of '{id}' is not running: press r to start it again"
        )),
        _ => None,
    }
}

/// Returns the command that sends a message to the selected task; without one, that opens the
/// editor.
pub(super) fn send(model: &Model, message: &str) -> Action {
    let mut action = command(model, "send", Pause::OnFailure);
    if let Action::Run(command) = &mut action {
        command.args.extend(text_args(message));
    }
    action
}

/// Returns the command that starts a task with a description, in the repository of the selected one;
/// without a description, that opens the editor.
pub(super) fn run_new(model: &Model, description: &str) -> Action {
    let selected = model.selected();
    let args = iter::once("run".into()).chain(text_args(description));
    Action::Run(FluxCommand {
        home: selected.map(|one| one.key.home.clone()).unwrap_or_default(),
        args: args.collect(),
        pause: Pause::Always,
    })
}

/// Returns the arguments for a text that was typed; for none, the option that opens the editor.
fn text_args(text: &str) -> Vec<OsString> {
    match text.trim() {
        "" => vec!["--edit".into()],
        text => ["--", text].map(OsString::from).into(),
    }
}
