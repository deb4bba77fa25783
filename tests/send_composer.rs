//! Tests `git flux send` to an agent with a composer, such as Claude Code: the message arrives exactly or not at all.

use std::fs;
use std::thread;

use crate::world::reports::hook;
use crate::world::*;

const SESSION: &str = r#"{"session_id":"1"}"#;

/// Starts a task whose agent has a composer with `text` in it, which takes the key Enter after
/// having swallowed it so often; it is done with its first turn.
pub(crate) fn start(world: &World, name: &str, text: &str, swallows: u32) -> String {
    let script = world.tools().join("composer.pl");
    fs::write(&script, include_str!("world/composer.pl")).unwrap();
    fs::write(world.tools().join("text"), text).unwrap();
    world.behaviour(&format!(
        "sh exec perl '{}' \"$dir\" \"$(cat '{}')\" {swallows}",
        script.display(),
        world.tools().join("text").display(),
    ));
    let id = world.start(name);
    world.agent(&id).wait_started();
    for event in ["SessionStart", "UserPromptSubmit", "Stop"] {
        hook(world, &id, event, SESSION);
    }
    let shown = || screen(world, &id).contains("footer");
    wait_until("the composer to be shown", shown);
    id
}

fn screen(world: &World, id: &str) -> String {
    world.tmux(["capture-pane", "-p", "-t", &world.pane(id)])
}

/// Returns the messages that the agent was sent.
pub(crate) fn messages(world: &World, id: &str) -> Vec<String> {
    let file = world.tools().join("agent").join(id).join("messages");
    let messages = fs::read_to_string(file).unwrap_or_default();
    messages
        .split_terminator('\0')
        .map(ToOwned::to_owned)
        .collect()
}

/// The agent begins with something: then its answer to a message is not waited for.
fn at_work(world: &World, id: &str) {
    hook(world, id, "UserPromptSubmit", SESSION);
}

#[test]
fn send_refuses_if_a_draft_is_in_the_composer() {
    let world = World::new();
    let id = start(&world, "Fix login", "my half-written draft", 0);
    let (before, shown) = (world.snapshot(), screen(&world, &id));
    let refused = world.flux(["send", &id, "And test it"]).run();
    refused.code(1).says(&expect![[r#"
        --- stderr
        error: the agent of 'fix-login-XXXXXX' has other text in its input field, so the message was not sent
        hint: to look at its pane: git flux attach fix-login-XXXXXX
    "#]]);
    world.assert_unchanged(&before);
    assert_eq!(screen(&world, &id), shown);
    assert_eq!(messages(&world, &id), [""; 0]);
}

#[test]
fn send_clears_the_interrupted_prompt_in_the_composer() {
    let world = World::new();
    let template = world.tools().join("template");
    fs::write(&template, "{{task}}").unwrap();
    world.git(["config", "flux.template", template.to_str().unwrap()]);
    let prompt = "Fix login\n\nof everyone";
    let id = start(&world, prompt, prompt, 0);
    at_work(&world, &id);
    world.flux(["send", &id, "Stop that"]).run().success();
    assert_eq!(messages(&world, &id), ["Stop that"]);
}

#[test]
fn send_submits_two_simultaneous_messages_one_after_the_other() {
    let world = World::new();
    let id = start(&world, "Fix login", "", 0);
    at_work(&world, &id);
    thread::scope(|scope| {
        for message in ["AAAA first message", "BBBB second message"] {
            let (world, id) = (&world, &id);
            scope.spawn(move || {
                world.flux(["send", id, message]).run().success();
            });
        }
    });
    let mut messages = messages(&world, &id);
    messages.sort();
    assert_eq!(messages, ["AAAA first message", "BBBB second message"]);
}

#[test]
fn send_delivers_text_with_special_characters_and_refuses_commands() {
    let world = World::new();
    let id = start(&world, "Fix login", "", 0);
    at_work(&world, &id);
    let long = (1..9).map(|n| format!("line {n}\n")).collect::<String>();
    let texts = [
        "hi",
        "!date",
        "!important: fix\nit",
        "!",
        "# no heading",
        "read @f",
        "look at C:\\tmp\\",
        "/tmp/x is full",
        "-b; #{pane_id} $(x)",
        long.trim_end(),
    ];
    for (at, text) in texts.into_iter().enumerate() {
        world.flux(["send", &id, "--", text]).run().success();
        assert_eq!(
            messages(&world, &id).get(at).map(String::as_str),
            Some(text)
        );
    }
    let shown = screen(&world, &id);
    let refused = world.flux(["send", &id, "/exit"]).run();
    refused
        .code(1)
        .says(&expect![[r#"
            --- stderr
            error: nothing was sent to 'fix-login-XXXXXX': the text begins with a command, so the agent would not read it as a message
            hint: to type it in the pane yourself: git flux attach fix-login-XXXXXX
        "#]]);
    assert_eq!(screen(&world, &id), shown);
}

#[test]
fn send_delivers_a_long_message_in_a_pane_of_any_height() {
    let world = World::new();
    let id = start(&world, "Fix login", "", 0);
    at_work(&world, &id);
    let comments = (1..9).map(|n| format!("f:{n}\n> Try \"{n}\"\n❯ comment {n}\n"));
    let text = comments.collect::<Vec<_>>().join("\n");
    let pane = world.pane(&id);
    // The first visible row is blank, the place, the line or the comment.
    for (at, height) in [26, 24, 22, 20, 18, 12].into_iter().enumerate() {
        world.tmux(["resize-window", "-t", &pane, "-y", &height.to_string()]);
        world.flux(["send", &id, &text]).run().success();
        let sent = messages(&world, &id);
        assert_eq!(
            sent.get(at).map(String::as_str),
            Some(text.trim_end()),
            "{height}"
        );
    }
}

#[test]
fn send_presses_enter_again_only_if_the_message_is_still_shown() {
    let world = World::new();
    let id = start(&world, "Fix login", "", 1);
    at_work(&world, &id);
    world.flux(["send", &id, "And test it"]).run().success();
    assert_eq!(messages(&world, &id), ["And test it"]);
}

#[test]
fn send_clears_the_composer_when_it_fails() {
    let world = World::new();
    let id = start(&world, "Fix login", "", 99);
    let (before, shown) = (world.snapshot(), screen(&world, &id));
    for text in ["!date", "one\ntwo\nthree\n\nfive"] {
        let refused = world.flux(["send", &id, text]).run();
        refused
            .code(1)
            .says(&expect![[r#"
                --- stderr
                error: the agent of 'fix-login-XXXXXX' did not accept the message in time; the message was cleared from its pane
                hint: to look at its pane: git flux attach fix-login-XXXXXX
            "#]]);
        assert_eq!(screen(&world, &id), shown);
    }
    world.assert_unchanged(&before);
    assert_eq!(messages(&world, &id), [""; 0]);
}

#[test]
fn send_refuses_if_no_composer_is_shown() {
    let world = World::new();
    world.behaviour(
        "sh stty raw -echo; printf 'Do it?\\r\\n > 1. Yes\\r\\n   2. No'; cat >>\"$dir/stdin\"",
    );
    let id = world.start("Fix login");
    world.agent(&id).wait_started();
    for event in ["SessionStart", "UserPromptSubmit", "Stop"] {
        hook(&world, &id, event, SESSION);
    }
    wait_until("a dialog", || screen(&world, &id).contains("2. No"));
    let before = world.snapshot();
    let refused = world.flux(["send", &id, "And test it"]).run();
    refused.code(1).says(&expect![[r#"
        --- stderr
        error: the agent of 'fix-login-XXXXXX' shows no input field, so the message was not sent
        hint: to look at its pane: git flux attach fix-login-XXXXXX
    "#]]);
    world.assert_unchanged(&before);
    assert_eq!(world.agent(&id).stdin(), b"");
}

#[test]
fn send_finds_a_short_message_in_the_composer_of_an_unknown_agent() {
    let world = World::new();
    world.install_agent("mine");
    world.git(["config", "flux.mine.command", "mine"]);
    world.behaviour(
        "sh stty raw -echo; printf '> say hi\\r\\033[2C'; c=$(dd bs=1 count=1 2>/dev/null); \
         printf '\\r\\033[K> %s' \"$c\"; exec tee \"$dir/stdin\"",
    );
    let run = ["run", "-q", "--agent", "mine", "--name", "own", "x"];
    world.flux(run).run().success();
    wait_until("its prompt", || screen(&world, "own").contains("> say hi"));
    let sent = world.flux(["send", "own", "hi"]).run();
    sent.success().says(&expect![[r#"
        --- stderr
        warning: sent to 'own'; this agent cannot confirm receipt
    "#]]);
    world.agent("own").wait_stdin("i\r");
}

#[test]
fn send_all_sends_to_all_agents_at_the_same_time() {
    let world = World::new();
    let ids = ["One", "Two", "Three"].map(|name| start(&world, name, "", 0));
    thread::scope(|scope| {
        // None of them says that it has the message before all have it.
        scope.spawn(|| {
            for id in &ids {
                wait_for("a message", || messages(&world, id).pop());
            }
            for id in &ids {
                at_work(&world, id);
            }
        });
        let sent = world.flux(["send", "--all", "Stop", "soon"]).run();
        sent.success().says(&expect![[r#"
            --- stderr
            sent to 'one-XXXXXX'
            sent to 'three-XXXXXX'
            sent to 'two-XXXXXX'
        "#]]);
    });
}

#[test]
fn send_starts_few_processes() {
    let world = World::new();
    let id = start(&world, "Fix login", "", 0);
    at_work(&world, &id);
    world.shim();
    world.flux(["send", &id, "And test it"]).run().success();
    let calls = world.calls();
    let tmux = calls.iter().filter(|call| call.program == "tmux");
    // Two lists of panes, a paste and Enter; and looks at the pane, as many as it takes.
    let is_look = |call: &&Call| call.args.iter().any(|arg| arg == "display-message");
    assert_eq!(tmux.filter(|call| !is_look(call)).count(), 4, "{calls:?}");
    let git = calls.iter().filter(|call| call.program == "git");
    assert_eq!(git.count(), 3, "{calls:?}");
}
