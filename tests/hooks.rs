//! Tests the states that agents report by their hooks.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::thread;

use serde_json::{Value, json};

use crate::world::reports::*;
use crate::world::*;

#[test]
fn agent_hooks_report_its_state() {
    let world = World::new();
    let task = Task::new(&world);
    assert_eq!(task.state(), "running - process");
    let session = |more: Value| {
        let mut value = json!({ "session_id": "s1", "transcript_path": "/t/s1.jsonl" });
        value
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        value
    };
    let bash = |command: &str| {
        session(json!({ "tool_name": "Bash", "tool_input": { "command": command } }))
    };
    let question = json!({ "tool_name": "AskUserQuestion", "tool_input": { "questions": [{ "question": "Which?" }] } });
    for (event, input, expected) in [
        (
            "SessionStart",
            session(json!({ "source": "startup" })),
            "starting - hook",
        ),
        ("UserPromptSubmit", session(json!({})), "working - hook"),
        ("PostToolUse", bash("ls"), "working - hook"),
        ("PermissionRequest", bash("make"), "waiting permission hook"),
        // Of a tool that ran beside it: the question is still open.
        ("PostToolUse", bash("ls"), "waiting permission hook"),
        (
            "Notification",
            session(json!({ "notification_type": "permission_prompt" })),
            "waiting permission hook",
        ),
        ("PostToolUse", bash("make"), "working - hook"),
        (
            "PreToolUse",
            session(question.clone()),
            "waiting question hook",
        ),
        ("PostToolUse", session(question), "working - hook"),
        (
            "Stop",
            session(json!({ "background_tasks": [{ "id": 1 }] })),
            "working - hook",
        ),
        // An agent that this one has started, with its environment.
        (
            "SessionStart",
            json!({ "session_id": "s2", "source": "startup" }),
            "working - hook",
        ),
        ("Stop", json!({ "session_id": "s2" }), "working - hook"),
        (
            "Stop",
            session(json!({ "background_tasks": [], "last_assistant_message": "It is\nfixed" })),
            "done - hook",
        ),
        (
            "Notification",
            session(json!({ "notification_type": "idle_prompt" })),
            "done - hook",
        ),
        ("UserPromptSubmit", session(json!({})), "working - hook"),
        (
            "StopFailure",
            session(json!({ "error": "unknown" })),
            "failed - hook",
        ),
        // The user has begun another conversation.
        (
            "SessionStart",
            json!({ "session_id": "s3", "source": "clear" }),
            "done - hook",
        ),
        (
            "UserPromptSubmit",
            json!({ "session_id": "s3" }),
            "working - hook",
        ),
        (
            "Notification",
            json!({ "session_id": "s3", "notification_type": "idle_prompt" }),
            "interrupted - hook",
        ),
    ] {
        task.fire(event, &input);
        assert_eq!(task.state(), expected, "{event} {input}");
        let word = expected.split(' ').next().unwrap();
        assert_eq!(
            world.tmux(["list-panes", "-a", "-F", "#{@flux_state}"]),
            word
        );
    }
    let events = task.events();
    let line = |state: &str| events.iter().find(|e| e["state"] == state).unwrap();
    assert_eq!(line("done")["message"], "It is\nfixed");
    assert_eq!(line("done")["transcript"], "/t/s1.jsonl");
    assert_eq!(line("waiting")["message"], "Bash: make");
    assert!(events.iter().all(|event| event["session"] != "s2"));
    // A change of state each, but for the first one, which the launcher wrote.
    assert_eq!(events.len(), 13, "{events:#?}");

    let explained = world.flux(["status", "--explain", &task.id]).ok();
    assert!(
        explained.contains("\n* hook        interrupted ("),
        "{explained}"
    );
    let explained = world
        .flux(["status", "--explain", "--json", &task.id])
        .run();
    let explained = explained.success().json();
    let counts: Vec<&Value> = explained["sources"].as_array().unwrap().iter().collect();
    assert_eq!(counts.iter().filter(|one| one["counts"] == true).count(), 1);

    task.agent.tell("exit 3");
    wait_until("the end to be noted", || task.state() == "exited - exit");
    assert_eq!(
        task.events().last().unwrap()["message"],
        "exited with status 3"
    );
    wait_until("the pane to say so", || {
        world.tmux(["list-panes", "-a", "-F", "#{@flux_state}"]) == "exited"
    });
    let explained = world.flux(["status", "--explain", &task.id]).ok();
    assert!(
        explained.contains("\n* exit        exited with status 3 ("),
        "{explained}"
    );
}

#[test]
fn status_finds_an_interruption_in_the_transcript() {
    let world = World::new();
    let task = Task::new(&world);
    let transcript = world.root().join("a transcript.jsonl");
    let path = transcript.to_str().unwrap();
    task.fire(
        "UserPromptSubmit",
        &json!({ "session_id": "s", "transcript_path": path }),
    );
    let entry = |text: &str, time: &str| {
        let entry = json!({ "type": "user", "timestamp": time,
            "message": { "role": "user", "content": [{ "type": "text", "text": text }] } });
        let mut file = fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(&transcript);
        writeln!(file.as_mut().unwrap(), "{entry}").unwrap();
    };
    entry("[Request interrupted by user]", "2020-01-01T00:00:00.000Z");
    assert_eq!(task.state(), "working - hook");
    entry(
        "[Request interrupted by user for tool use]",
        "2099-01-01T00:00:00.000Z",
    );
    assert_eq!(task.state(), "interrupted - transcript");
    entry("Go on", "2099-01-01T00:00:01.000Z");
    assert_eq!(task.state(), "working - hook");
    // Each prompt is written down, also where nothing was heard of what ended the turn before.
    let prompts = task.events().len();
    task.fire("UserPromptSubmit", &json!({ "session_id": "s" }));
    assert_eq!(task.events().len(), prompts + 1);
}

#[test]
fn agent_hooks_count_for_the_task_in_whose_worktree_the_agent_is() {
    let world = World::new();
    // The second lies in the worktree of the first.
    let one = Task::new(&world);
    let inside = world.worktree(&one.id).join("inside");
    world.git(["config", "flux.worktreeDir", inside.to_str().unwrap()]);
    let two = Task::new(&world);
    let place = inside.join(format!("myapp-{}", two.id));
    fs::create_dir(place.join("below")).unwrap();
    let states = || [one.state(), two.state()];
    let [running, working, done] = ["running - process", "working - hook", "done - hook"];
    let fire = |event: &str, session: &str, cwd: &Path| {
        let input = json!({ "session_id": session, "source": "startup", "cwd": cwd });
        one.fire(event, &input);
    };
    fire("UserPromptSubmit", "s2", &place.join("below"));
    assert_eq!(states(), [running, working]);
    fire("UserPromptSubmit", "s1", &world.worktree(&one.id));
    assert_eq!(states(), [working, working]);
    fire("Stop", "s2", &place);
    assert_eq!(states(), [working, done]);
    // Where no task is, its environment counts; so it does where nothing is said of it.
    fire("Stop", "s1", &world.repo());
    assert_eq!(states(), [done, done]);
    one.fire("UserPromptSubmit", &json!({ "session_id": "s1" }));
    assert_eq!(states(), [working, done]);
}

#[test]
fn agent_hooks_print_nothing_and_succeed_even_if_they_fail() {
    let world = World::new();
    let task = Task::new(&world);
    let program = world.flux(["--version"]).run();
    program.success();
    let hook = "git-flux __hook claude Stop";
    let before = task.events();
    task.silently("git-flux __hook", b"");
    task.silently("git-flux __hook claude", b"{}");
    task.silently("git-flux __hook nobody Stop", b"{}");
    task.silently("git-flux __hook claude Unheard", b"{}");
    task.silently("git-flux __hook claude \"$(printf 'St\\377p')\"", b"{}");
    task.silently("git-flux __hook codex notify '{\"type\":'", b"");
    task.silently(&format!("FLUX_TASK=other {hook}"), b"{}");
    task.silently(&format!("env -u FLUX_RUN {hook}"), b"{}");
    task.silently(&format!("FLUX_RUN=/nowhere/$FLUX_TASK {hook}"), b"{}");
    assert_eq!(task.events(), before);
    // Nothing is there to read it, and the server of the pane has gone.
    task.silently(&format!("{hook} <&-"), b"");
    task.silently(
        "TMUX=/nowhere,1,0 git-flux __hook claude UserPromptSubmit",
        b"{}",
    );
    // That something happened counts, also where it cannot be read what.
    task.silently(hook, b"\xff garbage");
    assert_eq!(task.events().last().unwrap()["state"], "done");
    task.silently(
        "git-flux __hook claude UserPromptSubmit",
        &vec![b'['; 3_000_000],
    );
    assert_eq!(task.events().last().unwrap()["state"], "working");

    let events = task.run_dir().join("events");
    fs::remove_file(&events).unwrap();
    std::os::unix::fs::symlink("/dev/full", &events).unwrap();
    task.silently(hook, b"{}");
    fs::remove_file(&events).unwrap();
    fs::create_dir(&events).unwrap();
    task.silently(hook, b"{}");
    assert_eq!(task.state(), "running - process");
}

#[test]
fn agent_hooks_lose_no_event_when_many_run_at_once() {
    const PROCESSES: usize = 8;
    const EVENTS: usize = 25;
    let world = World::new();
    let task = Task::new(&world);
    thread::scope(|scope| {
        for process in 0..PROCESSES {
            let task = &task;
            scope.spawn(move || {
                let code = format!(
                    "unset TMUX; i=0; while [ $i -lt {EVENTS} ]; do i=$((i + 1)); \
                     printf '{{\"session_id\":\"s\",\"last_assistant_message\":\"%0300d %d\"}}' {process} $i |\
                     git-flux __hook claude Stop; done"
                );
                task.silently(&code, b"");
            });
        }
    });
    let mut messages: Vec<String> = task.events()[1..]
        .iter()
        .map(|event| event["message"].as_str().unwrap().to_owned())
        .collect();
    messages.sort();
    messages.dedup();
    assert_eq!(messages.len(), PROCESSES * EVENTS);
}

#[test]
fn status_of_an_agent_without_hooks_is_running() {
    let world = World::new();
    world.git(["config", "flux.agent", "shell"]);
    world.flux(["run", "-q", "By hand"]).ok();
    let state = || world.tmux(["list-panes", "-a", "-F", "#{@flux_state}"]);
    wait_until("it to be shown", || state() == "running");
}

#[test]
fn status_of_an_agent_is_running_until_its_first_hook() {
    let world = World::new();
    let task = Task::new(&world);
    let state = || world.tmux(["list-panes", "-a", "-F", "#{@flux_state}"]);
    wait_until("it to be shown", || state() == "running");
    assert_eq!(task.state(), "running - process");
    task.fire("UserPromptSubmit", &json!({ "session_id": "s" }));
    assert_eq!(state(), "working");
}

#[test]
fn agent_hooks_ignore_another_session_in_the_worktree() {
    let world = World::new();
    let task = Task::new(&world);
    let begins = |session: &str| json!({ "session_id": session, "source": "startup" });
    task.fire("SessionStart", &begins("s"));
    task.fire("Stop", &json!({ "session_id": "s" }));
    // Such as one that claude keeps in reserve, in the same worktree.
    task.fire("SessionStart", &begins("spare"));
    assert_eq!(task.state(), "done - hook");
    assert_eq!(task.events().last().unwrap()["session"], "s");
}
