//! Tests `git flux send`.

use std::thread;

use crate::world::reports::hook;
use crate::world::{World, expect, hints, wait_until};

const SESSION: &str = r#"{"session_id":"1"}"#;

/// Makes a task whose agent is done with its first turn.
fn done(world: &World, description: &str) -> String {
    let id = world.start(description);
    world.agent(&id).wait_started();
    for event in ["SessionStart", "UserPromptSubmit", "Stop"] {
        hook(world, &id, event, SESSION);
    }
    id
}

/// Returns what an agent has read so far.
fn read_by(world: &World, id: &str) -> String {
    String::from_utf8(world.agent(id).stdin()).unwrap()
}

/// Runs the hook of the agent once it has read `text`.
fn confirm_when_read(world: &World, id: &str, text: &str) {
    world.agent(id).wait_stdin(text);
    hook(world, id, "UserPromptSubmit", SESSION);
}

#[test]
fn send_is_confirmed_by_a_hook_of_the_agent() {
    let world = World::new();
    let id = done(&world, "Fix login");
    thread::scope(|scope| {
        scope.spawn(|| confirm_when_read(&world, &id, "[201~it"));
        world
            .flux(["send", &id, "And", "test \u{1b}[201~it"])
            .run()
            .success()
            .stdout_is("")
            .stderr_is(&format!("sent to '{id}'\n"));
    });
    let read = read_by(&world, &id);
    assert!(read.contains("And test \\u{1b}[201~it\n"), "{read}");
}

#[test]
fn send_warns_if_the_agent_does_not_confirm() {
    let world = World::new();
    let id = done(&world, "Fix login");
    world
        .flux(["send", &id, "And test it"])
        .run()
        .success()
        .says(&expect![[r#"
            --- stderr
            warning: sent to 'fix-login-XXXXXX'; this agent cannot confirm receipt
        "#]]);
    let read = read_by(&world, &id);
    // And that was all: another Enter might answer what the agent asks by then.
    assert_eq!(read, "And test it\n");
}

#[test]
fn send_queues_a_message_for_a_working_agent() {
    let world = World::new();
    let id = done(&world, "Fix login");
    hook(&world, &id, "UserPromptSubmit", SESSION);
    world
        .flux(["send", &id, "And test it"])
        .run()
        .success()
        .says(&expect![[r#"
            --- stderr
            sent to 'fix-login-XXXXXX'; the agent is busy and reads the message later
        "#]]);
    world.agent(&id).wait_stdin("And test it");
}

#[test]
fn send_reads_the_message_from_stdin_or_an_editor() {
    let world = World::new();
    let id = done(&world, "Fix login");
    hook(&world, &id, "UserPromptSubmit", SESSION);
    world
        .flux(["send", "--stdin", &id])
        .stdin("From a pipe\n")
        .run()
        .success();
    world.agent(&id).wait_stdin("From a pipe");
    world.install("editor", "#!/bin/sh\necho From the editor >\"$1\"\n");
    world
        .flux(["send", "-e", &id])
        .env("GIT_EDITOR", "editor")
        .run()
        .success();
    world.agent(&id).wait_stdin("From the editor");
    // A message that could not be sent is kept.
    let script = format!("#!/bin/sh\necho Too late >\"$1\"\ngit-flux stop {id}\n");
    world.install("editor", &script);
    let output = world.flux(["send", "-e", &id]).env("GIT_EDITOR", "editor");
    let output = output.run();
    output.code(1).stderr_has("\nhint: to use the text again: ");
    let hint = hints::hints(&output).pop().unwrap();
    let (command, file) = hint.split_once(" < ").unwrap();
    assert_eq!(command, format!("git flux send --stdin {id}"));
    let kept = std::fs::read_to_string(file.trim_matches('\'')).unwrap();
    assert_eq!(kept, "Too late");
}

#[test]
fn send_says_that_git_has_no_editor_for_a_dumb_terminal() {
    let world = World::new();
    let id = done(&world, "Fix login");
    let before = world.snapshot();
    let send = world.flux(["send", "-e", &id]).env("TERM", "dumb");
    let said = "error: git has no editor for a dumb terminal\n\
        hint: to set one: git config --global core.editor <editor>\n";
    send.run().code(1).stderr_is(said);
    world.assert_unchanged(&before);
}

#[test]
fn send_keeps_a_message_that_was_saved_before_the_editor_failed() {
    let world = World::new();
    let id = done(&world, "Fix login");
    world.install("editor", "#!/bin/sh\necho Half of it >\"$1\"\nexit 1\n");
    let before = world.snapshot();
    let output = world.flux(["send", "-e", &id]).env("GIT_EDITOR", "editor");
    let output = output.run();
    output.code(1).stderr_has("nothing was sent\nhint: ");
    world.assert_unchanged(&before);
    let hint = hints::hints(&output).pop().unwrap();
    let file = hint
        .strip_prefix("git flux send --stdin <task> < ")
        .unwrap();
    let kept = std::fs::read_to_string(file.trim_matches('\'')).unwrap();
    assert_eq!(kept, "Half of it");
    assert_eq!(read_by(&world, &id), "");
}

#[test]
fn send_refuses_an_agent_that_is_asking_has_ended_or_is_a_shell() {
    let world = World::new();
    let id = done(&world, "Fix login");
    hook(&world, &id, "PermissionRequest", SESSION);
    let refused = |id: &str, why: &str| {
        let before = world.snapshot();
        let output = world.flux(["send", id, "yes"]).run();
        output.code(1).stderr_has(why).stderr_has("git flux ");
        world.assert_unchanged(&before);
    };
    refused(
        &id,
        "waits for an answer, and would take the message as one",
    );
    assert_eq!(read_by(&world, &id), "");
    world.agent(&id).tell("exit 0");
    world.flux(["wait", "--for", "exited", &id]).run().success();
    refused(&id, "is not running: exited(0)");
    let shell = ["run", "-q", "--agent", "shell", "--name", "by-hand", "x"];
    world.flux(shell).run().success();
    refused("by-hand", "does not accept input");
}

#[test]
fn send_refuses_if_a_dialog_opens_just_before() {
    let world = World::new();
    let id = done(&world, "Fix login");
    let script = format!(
        "#!/bin/sh\nPATH=${{PATH#*:}}; PATH=${{PATH#*:}}\n\
         case \" $* \" in *' capture-pane '*)\n\
         FLUX_TASK={id} FLUX_RUN='{}' '{}' __hook claude PermissionRequest '{SESSION}' ;;\nesac\nexec tmux \"$@\"\n",
        world.repo().join(".git/flux/run").join(&id).display(),
        world.tools().join("bin/git-flux").display(),
    );
    world.install("tmux", &script);
    let output = world.flux(["send", &id, "And test it"]).run();
    output.code(1).says(&expect![[r#"
        --- stderr
        error: the agent of 'fix-login-XXXXXX' has asked a question or stopped reading input, so the message was not sent
        hint: to look at its pane: git flux attach fix-login-XXXXXX
    "#]]);
    world.uninstall("tmux");
    let screen = world.tmux(["capture-pane", "-p", "-t", &world.pane(&id)]);
    assert!(!screen.contains("And test it"), "{screen}");
}

#[test]
fn send_refuses_an_empty_message_or_two_messages() {
    let world = World::new();
    let id = done(&world, "Fix login");
    let before = world.snapshot();
    for args in [
        vec!["send", &id],
        vec!["send", &id, " "],
        vec!["send", "--all"],
    ] {
        world
            .flux(args)
            .run()
            .code(2)
            .stderr_has("error: no message given");
    }
    let twice = world.flux(["send", "--stdin", &id, "x"]).stdin("y").run();
    twice.code(2).says(&expect![[r#"
        --- stderr
        error: the message is given both as arguments and with --stdin
        hint: git flux send --stdin <task>
    "#]]);
    world.assert_unchanged(&before);
}

#[test]
fn send_all_reaches_every_agent_that_can_receive_messages() {
    let world = World::new();
    let before = world.snapshot();
    let nobody = world.flux(["send", "--all", "x"]).run();
    nobody.code(1).says(&expect![[r#"
        --- stderr
        error: no running agent accepts messages
        hint: to see the tasks: git flux list
    "#]]);
    world.assert_unchanged(&before);
    let ids = ["One", "Two", "Three"].map(|name| done(&world, name));
    for id in &ids {
        hook(&world, id, "UserPromptSubmit", SESSION);
    }
    hook(&world, &ids[2], "PermissionRequest", SESSION);
    world
        .flux(["send", "--all", "Stop", "soon"])
        .run()
        .success()
        .says(&expect![[r#"
            --- stderr
            not sent: the agent of 'three-XXXXXX' waits for an answer, and would take the message as one
            sent to 'one-XXXXXX'; the agent is busy and reads the message later
            sent to 'two-XXXXXX'; the agent is busy and reads the message later
        "#]]);
    for id in &ids[..2] {
        world.agent(id).wait_stdin("Stop soon");
    }
    assert_eq!(read_by(&world, &ids[2]), "");
}

#[test]
fn send_does_not_submit_a_long_message_that_is_not_shown() {
    let world = World::new();
    // It shows nothing that is typed, and its clock moves.
    let clock = "stty -echo; (while :; do echo tick; sleep 0.1; done) & echo first; \
                 cat >>read; wait";
    world.behaviour(&format!("sh {clock}"));
    let id = world.start("Fix login");
    let read = world.worktree(&id).join("read");
    wait_until("the agent to read", || read.exists());
    let before = world.snapshot();
    world
        .flux(["send", &id, &"word ".repeat(200)])
        .run()
        .code(1)
        .says(&expect![[r#"
            --- stderr
            error: the agent of 'fix-login-XXXXXX' shows something else than what was typed, so the message was not sent
            hint: to look at its pane: git flux attach fix-login-XXXXXX
        "#]]);
    world.assert_unchanged(&before);
}
