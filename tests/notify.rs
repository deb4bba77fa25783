//! Tests `flux.notify`.

use std::fs;

use serde_json::json;

use crate::world::reports::Task;
use crate::world::*;

/// Returns a command for `flux.notify` that appends a line to the file of this name.
fn note_command(world: &World, name: &str) -> String {
    let script = format!(
        "#!/bin/sh\nprintf '%s|' \"$FLUX_TASK\" \"$FLUX_STATE\" \"$FLUX_REASON\" \"$FLUX_TITLE\" \
         \"$FLUX_BRANCH\" \"$FLUX_WORKTREE\" \"$FLUX_MESSAGE\" \"$PWD\" \"$@\" >>'{0}'; echo >>'{0}'\n",
        world.tools().join(name).display()
    );
    world.install(name, &script);
    name.to_owned()
}

fn notes(world: &World, name: &str) -> String {
    fs::read_to_string(world.tools().join(name)).unwrap_or_default()
}

#[test]
fn notify_runs_the_command_once_per_change_without_a_shell_for_its_text() {
    let world = World::new();
    world.git(["config", "--add", "flux.notify", "false"]);
    world.git([
        "config",
        "--add",
        "flux.notify",
        &format!("{} 'two words'", note_command(&world, "note")),
    ]);
    let title = "Fix $(touch pwned) `x` \"y\" 'z'";
    let id = world.flux(["run", "-q", "--name", "fix", title]).ok();
    let agent = world.agent(&id);
    agent.wait_started();
    let task = Task {
        world: &world,
        id,
        agent,
    };
    let bash = json!({ "session_id": "s", "tool_name": "Bash", "tool_input": { "command": "$(touch pwned); make" } });
    let reminder = json!({ "session_id": "s", "notification_type": "permission_prompt" });
    let stop = json!({ "session_id": "s", "last_assistant_message": "`touch pwned`\0" });
    task.fire("UserPromptSubmit", &json!({ "session_id": "s" }));
    task.fire("PermissionRequest", &bash);
    wait_until("the first note", || notes(&world, "note").ends_with("|\n"));
    task.fire("Notification", &reminder);
    task.fire("PostToolUse", &bash);
    task.fire("Stop", &stop);
    wait_until("the second note", || {
        notes(&world, "note").lines().count() == 2
    });
    task.fire("Stop", &stop);
    task.agent.tell("exit 2");
    wait_until("the third note", || {
        let notes = notes(&world, "note");
        notes.lines().count() == 3 && notes.ends_with('\n')
    });
    let worktree = world.worktree("fix");
    let worktree = worktree.display();
    let line = |state: &str, message: &str| {
        format!("fix|{state}|{title}|feature/fix|{worktree}|{message}|{worktree}|two words|\n")
    };
    let expected = [
        line("waiting|permission", "Bash: $(touch pwned); make"),
        line("done|", "`touch pwned`\u{fffd}"),
        line("exited|", "exited with status 2"),
    ];
    assert_eq!(notes(&world, "note"), expected.concat());
    assert!(!worktree.to_string().is_empty() && !world.worktree("fix").join("pwned").exists());
}

#[test]
fn notify_starts_no_process_without_the_setting() {
    let world = World::new();
    world.git([
        "config",
        "--add",
        "flux.notify",
        &note_command(&world, "note"),
    ]);
    world.git(["config", "--add", "flux.notify", ""]);
    let task = Task::new(&world);
    assert!(!task.run_dir().join("notify").exists());
    task.fire("Stop", &json!({ "session_id": "s" }));
    assert_eq!(task.state(), "done - hook");
    assert_eq!(notes(&world, "note"), "");
}

#[test]
fn notify_calls_notify_send_for_the_desktop() {
    let world = World::new();
    let script = "#!/bin/sh\nprintf '%s|' \"$@\" >\"$HOME/sent.part\"; mv \"$HOME/sent.part\" \"$HOME/sent\"\n";
    world.install("notify-send", script);
    world.git(["config", "flux.notify", "desktop"]);
    let task = Task::new(&world);
    let stop =
        json!({ "session_id": "s", "last_assistant_message": "\n-a <b>\u{1b}[31m & c\nmore" });
    task.fire("Stop", &stop);
    let sent = world.tools().join("home/sent");
    let sent = wait_for("the notice", || fs::read_to_string(&sent).ok());
    let id = &task.id;
    let expected = format!("--app-name=git flux|--|{id}: done|-a &lt;b>\\u{{1b}}[31m &amp; c|");
    assert_eq!(sent, expected);
}

#[test]
fn run_refuses_an_unknown_value_of_flux_notify() {
    let world = World::new();
    world.git(["config", "flux.notify", "bel"]);
    let before = world.snapshot();
    let refused = world.flux(["run", "Fix it"]).run();
    refused.code(1).says(&expect![[r#"
        --- stderr
        error: bad value 'bel' for 'flux.notify' in file '.git/config'
        hint: did you mean 'bell'?
        hint: use bell, osc9, osc777, desktop, or a shell command
    "#]]);
    world.assert_unchanged(&before);
    let config = world.flux(["config"]).run();
    config.code(1).stderr_has("bad value 'bel'");
    world.assert_unchanged(&before);
}

#[test]
fn notify_rings_the_bell_and_sends_notices_in_every_session() {
    let world = World::new();
    for way in ["bell", "osc9", "osc777"] {
        world.git(["config", "--add", "flux.notify", way]);
    }
    let inside = world.terminal_inside();
    let client = inside.client(100, 30);
    let raw = world.tools().join("raw");
    client.record(&raw);
    // The agent runs in a session of its own, which nobody looks at.
    let task = Task::new(&world);
    assert_eq!(client.ask("#{window_bell_flag}"), "0");
    let stop = json!({ "session_id": "s", "last_assistant_message": "All; done" });
    task.fire("Stop", &stop);
    let id = &task.id;
    let expected =
        format!("\x1b]9;{id}: done: All; done\x07\x1b]777;notify;{id}: done;All, done\x07");
    wait_until("the notices", || {
        let seen = fs::read(&raw).unwrap_or_default();
        let seen = String::from_utf8_lossy(&seen).into_owned();
        // tmux may paint between the two.
        let (first, second) = expected.split_once('\x07').unwrap();
        seen.contains(first) && seen.contains(second)
    });
    wait_until("the bell", || client.ask("#{window_bell_flag}") == "1");
}

/// The launcher runs outside the sandbox of the agent, which can write the files in the run directory.
#[test]
fn notify_ignores_a_command_that_the_agent_wrote() {
    let world = World::new();
    world.git(["config", "flux.notify", &note_command(&world, "note")]);
    let evil = note_command(&world, "evil");
    let task = Task::new(&world);
    task.agent.wait_started();
    let file = task.run_dir().join("notify");
    let told = fs::read_to_string(&file).unwrap();
    fs::write(&file, told.replace("\"note\"", &format!("\"{evil}\""))).unwrap();
    task.agent.tell("exit 2");
    wait_until("the note", || notes(&world, "note").ends_with('\n'));
    assert_eq!(notes(&world, "evil"), "");
}
