//! Tests `git flux log`.

use serde_json::json;

use crate::world::reports::hook;
use crate::world::{Output, World, expect};

const SESSION: &str = r#""session_id":"1""#;

/// Makes a task with a prompt, a transcript, a commit and an answer.
fn task_with_log(world: &World) -> String {
    let id = world.start("Fix login\n\nIt does not redirect.");
    let agent = world.agent(&id);
    agent.wait_started();
    let lines = [
        json!({"type": "user", "timestamp": "2026-01-02T03:04:05.000Z", "message": {"role": "user", "content": "Fix login"}}),
        json!({"type": "assistant", "timestamp": "2026-01-02T03:04:06.000Z", "message": {"role": "assistant", "content": [
            {"type": "tool_use", "name": "Bash", "input": {"command": "ls \u{1b}[31m"}},
            {"type": "text", "text": "Fixed.\nTwo lines."}]}}),
    ];
    let lines = lines.map(|line| line.to_string()).join("\n");
    let transcript = world.write("../transcript.jsonl", lines.as_bytes());
    let start = format!(
        "{{{SESSION},\"transcript_path\":{:?}}}",
        transcript.to_str().unwrap()
    );
    hook(world, &id, "SessionStart", &start);
    hook(world, &id, "UserPromptSubmit", &format!("{{{SESSION}}}"));
    agent.tell("commit A first step");
    let stop = format!("{{{SESSION},\"last_assistant_message\":\"Fixed \u{202e}it\"}}");
    hook(world, &id, "Stop", &stop);
    id
}

#[track_caller]
fn assert_shows_in_order(output: &Output, all: &[&str]) {
    output.success();
    let mut rest = output.stdout.as_str();
    for part in all {
        let Some((_, after)) = rest.split_once(part) else {
            panic!("'{part}' is not in its place\n{output}");
        };
        rest = after;
    }
    output.has_not("\u{1b}").has_not("\u{202e}");
}

#[test]
fn log_shows_prompt_events_messages_and_commits_in_order() {
    let world = World::new();
    let id = task_with_log(&world);
    let output = world.flux(["log", &id]).run();
    assert_shows_in_order(
        &output,
        &[
            &format!("{id}  Fix login\n"),
            "    Fix login\n\n    It does not redirect.\n",
            "Events\n",
            "  working\n",
            "  done: Fixed \\u{202e}it\n",
            "Messages\n",
            "2026-01-02 03:04:05  user:\n    Fix login\n",
            "2026-01-02 03:04:06  tool:\n    Bash: ls \\u{1b}[31m\n",
            "  agent:\n    Fixed.\n    Two lines.\n",
            "Transcript\n",
            "transcript.jsonl\n",
        ],
    );
    output.stdout_has(" A first step\n");
    let last = world.flux(["log", "-n", "1", &id]).run();
    last.success().stdout_has("Two lines.").has_not("Bash: ls");
    let json = world.flux(["log", "--json", &id]).run().json();
    assert_eq!(json["id"], id);
    assert_eq!(json["removed"], serde_json::Value::Null);
    assert_eq!(json["prompt"], "Fix login\n\nIt does not redirect.");
    assert_eq!(json["commits"][0]["subject"], "A first step");
    assert_eq!(json["messages"][2]["who"], "agent");
    let events = json["events"].as_array().unwrap();
    assert_eq!(events.last().unwrap()["state"], "done");
}

#[test]
fn log_shows_a_removed_task_and_restore_keeps_its_events() {
    let world = World::new();
    let id = task_with_log(&world);
    world.agent(&id).tell("say the end is here");
    let before = world.flux(["log", "--json", &id]).run().json();
    world.flux(["cleanup", "-y", &id]).run().success();
    let output = world.flux(["log", &id]).run();
    assert_shows_in_order(
        &output,
        &[
            &format!("{id}  Fix login  (removed)\n"),
            "    It does not redirect.\n",
            "  working\n",
            "  done: Fixed",
            "    Fixed.\n",
            "Last screen\n",
            "the end is here",
        ],
    );
    let after = world.flux(["log", "--json", &id]).run().json();
    assert_eq!(after["removed"], id);
    assert_eq!(after["commits"], before["commits"]);
    let events = before["events"].as_array().unwrap();
    assert_eq!(
        after["events"].as_array().unwrap()[..events.len()],
        events[..]
    );
    world.flux(["restore", "-y", &id]).run().success();
    let again = world.flux(["log", "--json", &id]).run().json();
    assert_eq!(
        again["events"].as_array().unwrap()[..events.len()],
        events[..]
    );
}

#[test]
fn log_names_a_task_that_does_not_exist() {
    let world = World::new();
    let before = world.snapshot();
    world
        .flux(["log", "nothing"])
        .run()
        .code(1)
        .says(&expect![[r#"
            --- stderr
            error: there is no task 'nothing'
            hint: to start a task: git flux run "<description>"
        "#]]);
    world.assert_unchanged(&before);
}

#[test]
fn log_uses_the_pager_of_git_on_a_terminal() {
    let world = World::new();
    let id = task_with_log(&world);
    world.git(["config", "core.pager", "sed 's/^/paged: /'"]);
    let terminal = world.terminal(100, 40);
    terminal.command(&format!("git-flux log {id}"));
    terminal.wait_for_screen("paged: ");
    world.flux(["log", &id]).run().success().has_not("paged: ");
}

#[test]
fn log_shows_the_commits_if_the_events_cannot_be_read() {
    let world = World::new();
    let id = task_with_log(&world);
    let run = world.repo().join(".git/flux/run").join(&id);
    std::fs::remove_file(run.join("events")).unwrap();
    std::fs::create_dir(run.join("events")).unwrap();
    std::fs::create_dir(run.join("screen")).unwrap();
    world.flux(["list"]).run().success();
    world.flux(["cleanup", "-y", &id]).run().success();
    let log = world.flux(["log", "--json", &id]).run().json();
    assert_eq!(log["events"], json!([]));
    assert_eq!(log["commits"][0]["subject"], "A first step");
}

#[test]
fn log_does_not_wait_for_a_transcript_that_is_a_pipe() {
    let world = World::new();
    let id = task_with_log(&world);
    let transcript = world.repo().join("../transcript.jsonl");
    std::fs::remove_file(&transcript).unwrap();
    nix::unistd::mkfifo(&transcript, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let list = world.flux(["list"]).run();
    list.success().stdout_has("done");
    world
        .flux(["log", &id])
        .run()
        .success()
        .stdout_has("Events")
        .stderr_has("warning: could not read the transcript");
}

#[test]
fn log_accepts_a_commit_with_any_time() {
    let world = World::new();
    let id = task_with_log(&world);
    let commit = ["commit", "--allow-empty", "-q", "-m", "Far off"];
    let mut git = world.command("git");
    git.current_dir(world.worktree(&id)).args(commit);
    git.env("GIT_COMMITTER_DATE", "@99999999999999999 +0000");
    assert!(git.status().unwrap().success());
    world
        .flux(["log", &id])
        .run()
        .success()
        .stdout_has(" Far off\n");
}

#[test]
fn log_leaves_out_commits_that_the_task_merged() {
    let world = World::new();
    let id = task_with_log(&world);
    world.commit_in(world.repo(), "theirs", "of another\n");
    let worktree = world.worktree(&id);
    world.git_in(
        &worktree,
        ["merge", "-q", "-m", "Merge what is new", "main"],
    );
    let log = world.flux(["log", "--json", &id]).run().json();
    let commits = log["commits"].as_array().unwrap().iter();
    let subjects: Vec<&str> = commits
        .map(|one| one["subject"].as_str().unwrap())
        .collect();
    assert_eq!(subjects, ["A first step", "Merge what is new"]);
}

#[test]
fn log_asks_for_a_removed_task_if_there_are_no_others() {
    let world = World::new();
    let id = task_with_log(&world);
    world.flux(["cleanup", "-y", &id]).run().success();
    let before = world.snapshot();
    let output = world.flux(["log"]).run();
    output.code(2).stderr_is(
        "error: no removed task given\nhint: git flux log <task>\nhint: git flux restore --list\n",
    );
    world.assert_unchanged(&before);
    let terminal = world.terminal(100, 40);
    terminal.type_line("git -c core.pager=cat flux log");
    terminal.wait_for_screen("Which removed task?");
    terminal.keys(["Enter"]);
    terminal.wait_for_screen("It does not redirect.");
}
