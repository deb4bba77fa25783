//! The actions of the keys of the view.

use std::ffi::OsString;
use std::iter;
use std::path::{Path, PathBuf};

use super::model::{Model, TaskKey, ViewRow};
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
    match model.selected() {
        Some(selected) => Action::Run(task_command(&selected.key, name, pause)),
        None => Action::Nothing,
    }
}

fn task_command(key: &TaskKey, name: &str, pause: Pause) -> FluxCommand {
    FluxCommand {
        home: key.home.clone(),
        args: [name, key.id.as_str()].map(OsString::from).into(),
        pause,
    }
}

/// Returns the reason why the agent of a task accepts no message now, as far as its state tells.
/// `None` if it may accept one: `git flux send` then also checks its pane.
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

/// Returns the command that sends a message to a task; without one, that opens the editor. Refuses
/// if the task is gone.
pub(super) fn send(model: &Model, key: &TaskKey, message: &str) -> Action {
    if model.find(key).is_none() {
        let id = &key.id;
        return Action::Refuse(format!("'{id}' is gone: Esc discards the message"));
    }
    let mut command = task_command(key, "send", Pause::OnFailure);
    command.args.extend(text_args(message));
    Action::Run(command)
}

/// Returns the command that starts a task with a description, in the repository of the directory
/// `home`; without a description, the command opens the editor.
pub(super) fn run_new(home: &Path, description: &str) -> Action {
    let args = iter::once("run".into()).chain(text_args(description));
    Action::Run(FluxCommand {
        home: home.to_owned(),
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
