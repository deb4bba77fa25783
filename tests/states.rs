//! Tests states that are read from the session files and transcripts of agents.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::world::reports::Task;
use crate::world::*;

/// Writes the file of its session as claude does, for the agent of `task`.
fn write_session(dir: &Path, task: &Task, status: &str, more: &Value) {
    let mut session = json!({
        "pid": task.agent.pid(), "cwd": task.world.worktree(&task.id), "kind": "interactive",
        "startedAt": now(), "statusUpdatedAt": now(), "status": status,
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
fn status_reads_and_records_the_session_file_of_claude() {
    let world = World::new();
    let told = world.tools().join("told");
    let tell = format!("echo $FLUX_STATE $FLUX_REASON >>'{}'", told.display());
    world.git(["config", "flux.notify", &tell]);
    let task = Task::new(&world);
    let session = |status: &str, more: &Value| write_session(&home(&world), &task, status, more);
    session("busy", &json!({}));
    assert_eq!(task.state(), "working - session");
    let begins = json!({ "session_id": "s", "source": "startup" });
    task.fire("SessionStart", &begins);
    task.fire("UserPromptSubmit", &json!({ "session_id": "s" }));
    let is_waiting = || task.state().starts_with("waiting permission ");
    session("waiting", &json!({ "waitingFor": "permission prompt" }));
    assert!(is_waiting());
    // Of the turn that an agent within was started in: its question is still open.
    let stop = json!({ "session_id": "s", "background_tasks": [{ "id": 1 }] });
    task.fire("Stop", &stop);
    assert!(is_waiting());
    let noted = |state: &str| {
        let last = task.events().pop().unwrap();
        last["event"] == "session" && last["state"] == state && last["session"] == "s"
    };
    wait_until("the question to be noted", || noted("waiting"));
    let said = || fs::read_to_string(&told).unwrap_or_default();
    wait_until("the user to be told", || said() == "waiting permission\n");
    session("shell", &json!({}));
    assert!(task.state().starts_with("working "));
    session("idle", &json!({}));
    wait_until("Esc to be noted", || noted("interrupted"));
    assert_eq!(task.state(), "interrupted - hook");
    let shown = || world.tmux(["list-panes", "-a", "-F", "#{@flux_state}"]);
    wait_until("it to be shown", || shown() == "interrupted");
    task.fire("UserPromptSubmit", &json!({ "session_id": "s" }));
    // Of something else, and broken.
    session("idle", &json!({ "cwd": "/elsewhere" }));
    assert_eq!(task.state(), "working - hook");
    fs::write(home(&world).join(format!("{}.json", task.agent.pid())), "{").unwrap();
    assert_eq!(task.state(), "working - hook");
}

#[test]
fn status_finds_the_session_files_in_claude_config_dir() {
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
fn status_reads_and_records_the_turns_of_codex() {
    let world = World::new();
    world.install_agent("codex");
    let told = world.tools().join("told");
    let tell = format!("echo $FLUX_STATE $FLUX_MESSAGE >>'{}'", told.display());
    world.git(["config", "flux.notify", &tell]);
    let id = world.flux(["run", "-q", "--agent", "codex", "Fix"]).ok();
    let agent = world.agent(&id);
    agent.wait_started();
    // It is made only now: nobody has used it before.
    let thread = "01a225cf-ae6f-78a3-9ef4-36ba4cc1e9a2";
    let day = world.tools().join("home/.codex/sessions/2026/11/29");
    let file = day.join(format!("rollout-2026-11-29T05-38-17-{thread}.jsonl"));
    fs::create_dir_all(&day).unwrap();
    let at = std::cell::Cell::new(now());
    let entry = |kind: &str, payload: &Value| {
        at.set(at.get() + 1);
        let time = jiff::Timestamp::from_millisecond(i64::try_from(at.get()).unwrap()).unwrap();
        json!({ "timestamp": time.to_string(), "type": kind, "payload": payload })
    };
    let meta = json!({ "cwd": world.worktree(&id), "source": "cli", "id": thread });
    let mut lines = format!("{}\n", entry("session_meta", &meta));
    let mut write = |payload: &Value, expected: &str| {
        lines += &format!("{}\n", entry("event_msg", payload));
        fs::write(&file, &lines).unwrap();
        let events = world.repo().join(format!(".git/flux/run/{id}/events"));
        let last = || -> Value {
            let events = fs::read_to_string(&events).unwrap();
            serde_json::from_str(events.lines().last().unwrap()).unwrap()
        };
        wait_until(expected, || last()["state"] == expected);
        assert_eq!(last()["session"], thread);
        let status = world.flux(["status", "--json", &id]).run();
        assert_eq!(status.success().json()["state"], expected);
    };
    let ends = |error: &Value| json!({ "type": "task_complete", "turn_id": "1", "error": error, "last_agent_message": "Done" });
    let begins = json!({ "type": "task_started", "turn_id": "1" });
    write(&begins, "working");
    write(&ends(&json!({ "message": "401" })), "failed");
    write(&begins, "working");
    write(
        &json!({ "type": "turn_aborted", "turn_id": "1" }),
        "interrupted",
    );
    write(&begins, "working");
    write(&ends(&Value::Null), "done");
    // Its hook says that, too, and its user is told once.
    let hook = json!({ "type": "agent-turn-complete", "thread-id": thread, "turn-id": "1",
        "last-assistant-message": "Done" });
    let mut tells = world.command("git-flux");
    tells.args(["__hook", "codex", "notify", &hook.to_string()]);
    for name in ["FLUX_TASK", "FLUX_RUN"] {
        tells.env(name, agent.env(name).unwrap());
    }
    assert!(
        tells.status().unwrap().success(),
        "the hook of codex succeeds"
    );
    let said = || fs::read_to_string(&told).unwrap_or_default();
    wait_until("the user to be told", || {
        said() == "failed 401\ndone Done\n"
    });
}

#[test]
fn status_ignores_turns_of_codex_before_its_last_start() {
    let world = World::new();
    world.install_agent("codex");
    let id = world.flux(["run", "-q", "--agent", "codex", "Fix"]).ok();
    world.agent(&id).wait_started();
    let events = world.repo().join(format!(".git/flux/run/{id}/events"));
    let events = fs::read_to_string(events).unwrap();
    let start: Value = serde_json::from_str(events.lines().next().unwrap()).unwrap();
    let before = start["at"].as_i64().unwrap() - 1;
    let entry = |at: i64, kind: &str, payload: &Value| {
        let time = jiff::Timestamp::from_millisecond(at).unwrap().to_string();
        json!({ "timestamp": time, "type": kind, "payload": payload })
    };
    let meta = json!({ "cwd": world.worktree(&id), "source": "cli" });
    let aborted = json!({ "type": "turn_aborted", "turn_id": "1" });
    let day = world.tools().join("home/.codex/sessions/2026/11/29");
    fs::create_dir_all(&day).unwrap();
    for (at, expected) in [(before, "running"), (before + 1, "interrupted")] {
        let lines = [
            entry(before, "session_meta", &meta),
            entry(at, "event_msg", &aborted),
        ];
        let lines = lines.map(|line| line.to_string()).join("\n");
        fs::write(day.join("rollout-2026-11-29T05-38-17-t.jsonl"), lines).unwrap();
        let status = world.flux(["status", "--json", &id]).run();
        assert_eq!(status.success().json()["state"], expected, "at {at}");
    }
}

#[test]
fn status_shows_a_failed_or_cancelled_turn_of_gemini() {
    let world = World::new();
    world.install_agent("gemini");
    let id = world.flux(["run", "-q", "--agent", "gemini", "Fix"]).ok();
    let agent = world.agent(&id);
    agent.wait_started();
    let transcript = world.root().join("chat.jsonl");
    let fires = |event: &str| {
        let input = json!({ "session_id": "s", "transcript_path": transcript,
            "prompt_response": "[no response text]" });
        let mut hook = world.command("git-flux");
        hook.args(["__hook", "gemini", event]).stdin(Stdio::piped());
        for name in ["FLUX_TASK", "FLUX_RUN"] {
            hook.env(name, agent.env(name).unwrap());
        }
        let mut hook = hook.spawn().unwrap();
        let mut pipe = hook.stdin.take().unwrap();
        pipe.write_all(input.to_string().as_bytes()).unwrap();
        drop(pipe);
        assert!(
            hook.wait().unwrap().success(),
            "the hook of gemini succeeds"
        );
    };
    for (last, expected) in [
        (
            json!({ "type": "error", "content": "[API Error]" }),
            "failed",
        ),
        (
            json!({ "type": "info", "content": "Request cancelled." }),
            "interrupted",
        ),
        (json!({ "type": "gemini", "content": "Done." }), "done"),
    ] {
        fires("BeforeAgent");
        let mut last = last;
        last["timestamp"] = "2026-11-29T05:46:33.080Z".into();
        let prompt = r#"{"type":"user","timestamp":"2026-11-29T05:46:32.840Z"}"#;
        fs::write(&transcript, format!("{prompt}\n{last}\n")).unwrap();
        fires("AfterAgent");
        let status = world.flux(["status", "--json", &id]).run();
        let status = status.success().json();
        assert_eq!(
            (&status["state"], &status["stateSource"]),
            (&expected.into(), &"hook".into())
        );
    }
}

#[test]
fn send_refuses_if_claude_shows_its_list_of_sessions() {
    let world = World::new();
    let task = Task::new(&world);
    task.fire("Stop", &json!({ "session_id": "s" }));
    write_session(
        &home(&world),
        &task,
        "idle",
        &json!({ "parkedJobId": "2f3a" }),
    );
    let sent = world.flux(["send", &task.id, "Go on"]).run();
    sent.code(1).says(&expect![[r#"
        --- stderr
        error: the agent of 'fix-the-login-XXXXXX' does not accept input
        hint: to look at its pane: git flux attach fix-the-login-XXXXXX
    "#]]);
    assert_eq!(task.agent.stdin(), b"");
    let explained = world.flux(["status", "--explain", &task.id]).ok();
    assert!(
        explained.contains("idle, in another process"),
        "{explained}"
    );
}

/// Milliseconds since 1970.
fn now() -> u64 {
    let now = std::time::UNIX_EPOCH.elapsed().unwrap();
    u64::try_from(now.as_millis()).unwrap()
}
