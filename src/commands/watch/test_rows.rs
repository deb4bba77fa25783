//! Tasks for the tests of the view.

use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::model::Model;
use crate::commands::list::rows::{Rows, TaskRow};
use crate::commands::object::TaskObject;
use crate::task::{
    Changes, Divergence, Evidence, Exit, ExitReason, Source, State, Status, Task, WaitReason,
};

/// Returns the state that the first word of a test task's name stands for, such as `failed` in
/// `failed-login`; `Working` for an unknown word.
fn state(name: &str) -> State {
    let exit = |status| Exit::new(ExitReason::Status(status), Timestamp::UNIX_EPOCH);
    match name.split('-').next().unwrap() {
        "waits" => State::Waiting(Some(WaitReason::Permission)),
        "asks" | "mute" => State::Waiting(None),
        "failed" => State::Failed,
        "done" | "seen" | "empty" => State::Done,
        "idle" => State::Idle,
        "exited" => State::Ended(exit(0)),
        "died" => State::Ended(exit(1)),
        "lost" => State::Lost,
        _ => State::Working,
    }
}

fn row(home: &Path, (name, minutes): (&str, i64), now: Timestamp) -> TaskRow {
    let ago = |minutes| now - SignedDuration::from_secs(60 * minutes + 30);
    // A shell has no input field that git flux knows.
    let agent = match name.starts_with("mute") {
        true => "shell",
        false => "claude",
    };
    let record = json!({
        "version": 1, "id": name, "title": format!("The title of {name}"), "phase": "active",
        "agent": agent, "branch": format!("feature/{name}"), "base": "0".repeat(40),
        "into": "main", "worktree": home.join(name), "created": ago(100).as_second(),
        "target": {
            "kind": "session", "session": name, "window": "@1", "pane": "%1", "pane_pid": 2,
            "socket": "/tmp/tmux", "server_pid": 3, "server_start": 1,
        },
    });
    let (ahead, files) = if name.starts_with("empty") {
        (0, 0)
    } else {
        (2, 3)
    };
    let status = Status {
        task: Task::from_json(record.to_string().as_bytes()).unwrap(),
        owner: None,
        state: state(name),
        found: Evidence {
            source: Source::Hook,
            since: Some(ago(minutes)),
            is_inferred: false,
        },
        divergence: Some(Divergence { ahead, behind: 0 }),
        changes: Some(Changes {
            files,
            ..Changes::default()
        }),
        land: None,
        git_refusal: None,
        gate: None,
    };
    let mut object = TaskObject::of(&status);
    object.unseen = name.starts_with("seen").then_some(0);
    TaskRow::of(status, object, String::new(), now)
}

/// Returns the tasks of the repository at `home`, from their names and the minutes for which each
/// has been in its state. The first word of a name, such as `failed-login`, stands for the state.
pub(super) fn rows(home: &str, tasks: &[(&str, i64)]) -> Rows {
    let home = Path::new(home);
    let now = Timestamp::now();
    let rows = tasks.iter().map(|task| row(home, *task, now));
    Rows {
        home: home.to_owned(),
        rows: rows.collect(),
    }
}

/// Returns a model with the tasks of a repository.
pub(super) fn model(tasks: &[(&str, i64)]) -> Model {
    let mut model = Model::default();
    model.set_rows(vec![rows("/home/alice/myapp", tasks)]);
    model
}
