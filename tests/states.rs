//! What agents keep in files of their own, and what is made of it.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::hooks::Task;
use crate::world::*;

/// Writes the file of its session as claude does, for the agent of `task`.
fn write_session(dir: &Path, task: &Task, status: &str, more: &Value) {
    let mut session = json!({
        "pid": task.agent.pid(), "cwd": task.world.worktree(&task.id), "kind": "interactive",
        "startedAt": 4_000_000_000_000_u64, "statusUpdatedAt": 1, "status": status,
    });
    let more = more.as_object().unwrap().clone();
    session.as_object_mut().unwrap().extend(more);
    fs::create_dir_all(dir).unwrap();
    let file = dir.join(format!("{}.json", task.agent.pid()));
    fs::write(file, session.to_string()).unwrap();
}

fn home(world: &World) -> PathBuf {
    world.tools().join("home/.claude/sessions")
}

#[test]
fn what_claude_keeps_of_its_session_is_read() {
    let world = World::new();
    let task = Task::new(&world);
    let session = |status: &str, more: &Value| write_session(&home(&world), &task, status, more);
    session("busy", &json!({}));
    assert_eq!(task.state(), "working - session");
    task.fire(
        "SessionStart",
        &json!({ "session_id": "s", "source": "startup" }),
    );
    task.fire("UserPromptSubmit", &json!({ "session_id": "s" }));
    session("waiting", &json!({ "waitingFor": "permission prompt" }));
    assert_eq!(task.state(), "waiting permission session");
    // Of the turn that an agent within has been started in: its question is still open.
    let stop = json!({ "session_id": "s", "background_tasks": [{ "id": 1 }] });
    task.fire("Stop", &stop);
    assert_eq!(task.state(), "waiting permission session");
    session("shell", &json!({}));
    assert_eq!(task.state(), "working - hook");
    session("idle", &json!({}));
    wait_until("Esc to be believed", || {
        task.state() == "interrupted - session"
    });
    session("idle", &json!({ "cwd": "/elsewhere" }));
    assert_eq!(task.state(), "working - hook");
    fs::write(home(&world).join(format!("{}.json", task.agent.pid())), "{").unwrap();
    assert_eq!(task.state(), "working - hook");
}

#[test]
fn the_files_of_claudes_sessions_are_where_its_user_has_them() {
    let world = World::new();
    let task = Task::new(&world);
    let own = world.root().join("own");
    write_session(&own.join("sessions"), &task, "busy", &json!({}));
    let args = ["status", "--json", &task.id];
    let state = |dir: &Path| {
        let status = world.flux(args).env("CLAUDE_CONFIG_DIR", dir).run();
        status.success().json()["stateSource"].clone()
    };
    assert_eq!(state(&own), "session");
    assert_eq!(state(Path::new("")), "process");
}

#[test]
fn codex_is_seen_to_fail_in_a_turn_that_it_tells_nothing_of() {
    let world = World::new();
    world.install_agent("codex");
    let args = ["run", "-q", "--agent", "codex", "Fix"];
    let id = world.flux(args).ok();
    world.agent(&id).wait_started();
    let day = world.tools().join("home/.codex/sessions/2026/11/29");
    fs::create_dir_all(&day).unwrap();
    let cwd = world.worktree(&id);
    let entry = |kind: &str, payload: Value| json!({ "timestamp": "2099-01-01T00:00:00.000Z", "type": kind, "payload": payload });
    let mut lines = entry("session_meta", json!({ "cwd": cwd, "source": "cli" })).to_string();
    let mut say = |payload: Value| {
        lines = format!("{lines}\n{}", entry("event_msg", payload));
        fs::write(day.join("rollout-x.jsonl"), format!("{lines}\n")).unwrap();
        let status = world.flux(["status", "--json", &id]).run();
        let status = status.success().json();
        assert_eq!(status["stateSource"], "transcript");
        status["state"].as_str().unwrap().to_owned()
    };
    assert_eq!(say(json!({ "type": "task_started" })), "working");
    assert_eq!(
        say(json!({ "type": "task_complete", "error": { "message": "401" } })),
        "failed"
    );
    assert_eq!(say(json!({ "type": "task_started" })), "working");
    assert_eq!(say(json!({ "type": "turn_aborted" })), "interrupted");
}
