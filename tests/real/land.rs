//! Tests `git flux land --watch` with agents of the real Claude Code in a make project.

use std::time::{Duration, Instant};

use super::api::Turn;
use super::claude::claude;
use super::{Real, wait_until};
use crate::land::{assert_no_landing, tasks};
use crate::world::World;

/// Checks that each part is a shell script without syntax errors.
const MAKEFILE: &str = "check:\n\t@for part in parts/*.sh; do sh -n $$part || exit 1; done\n";

/// The parts that the agents write, the third one at first without its end.
const PARTS: [(&str, &str); 4] = [
    ("one", "echo one"),
    ("two", "echo two"),
    ("three", "if true; then"),
    ("four", "echo four"),
];

/// The time for all tasks to land, for agents start slowly where others are at work.
const PATIENCE: Duration = Duration::from_secs(300);

/// Makes a make project whose gate is its check.
fn make_project(world: &World) {
    world.write("Makefile", MAKEFILE);
    world.write("parts/zero.sh", "echo zero\n");
    world.git(["add", "-A"]);
    world.git(["commit", "-q", "-m", "Check the parts"]);
    world.git(["config", "flux.gate", "make -s check"]);
}

/// Returns the text with which the gate sent the task back, if the turn answers that.
fn sent_back(turn: &Turn) -> Option<&str> {
    let last = *turn.said().last()?;
    last.contains("git flux: this task could not land")
        .then_some(last)
}

/// Answers as a model would: writes the part that it is asked for, and mends it if it was sent back.
fn answer(turn: Turn) {
    if turn.is_after_tool() {
        return turn.say("It is written and committed.");
    }
    let is_of = |name: &str| {
        let prompt = format!("Write part {name}");
        turn.said().iter().any(|said| said.contains(&prompt))
    };
    let part = PARTS.iter().find(|(name, _)| is_of(name));
    let Some((name, text)) = part else {
        panic!("the agent says {:?}", turn.said());
    };
    let text = match sent_back(&turn) {
        Some(_) => format!("{text} echo {name}; fi"),
        None => (*text).to_owned(),
    };
    turn.call(&format!(
        "echo '{text}' >parts/{name}.sh && git add parts && git commit -qm 'Write part {name}'"
    ));
}

/// Answers the agents until all tasks have landed. Returns the message with which each was sent back.
fn answer_until_landed(real: &Real, shown: impl Fn(&str)) -> Vec<String> {
    let (begun, mut messages) = (Instant::now(), Vec::new());
    while !tasks(&real.world).is_empty() {
        let left = || tasks(&real.world).join(", ");
        assert!(begun.elapsed() < PATIENCE, "not landed: {}", left());
        let Some(turn) = real.api.turn_within(Duration::from_millis(200)) else {
            continue;
        };
        if let (false, Some(message)) = (turn.is_after_tool(), sent_back(&turn)) {
            shown(message);
            messages.push(message.to_owned());
        }
        answer(turn);
    }
    messages
}

#[test]
#[ignore = "a real agent: .ci/long real_agents"]
fn agent_claude_mends_what_land_sends_back_until_all_have_landed() {
    let real = claude();
    let world = &real.world;
    make_project(world);
    let terminal = world.terminal(100, 30);
    terminal.command("git-flux land --watch --yes");
    let ids: Vec<String> = PARTS
        .iter()
        .map(|(name, _)| real.start(format!("Write part {name}").as_bytes()))
        .collect();
    let messages = answer_until_landed(&real, |_| {
        println!("{}", terminal.screen());
        println!("{}", real.screen(&ids[2]));
    });
    let screen = terminal.screen();
    println!("{screen}");
    // One was sent back, once, with the command, its status and its output.
    let [message] = &messages[..] else {
        panic!("{messages:#?}\n{screen}");
    };
    for part in [
        "'make -s check' failed (status 2)",
        "parts/three.sh: 2: Syntax error: end of file unexpected",
        "/gate/",
    ] {
        assert!(message.contains(part), "no {part:?} in {message}");
    }
    wait_until("all landings to be said", || {
        let screen = terminal.screen();
        let landed = screen.lines().filter(|line| line.starts_with("landed "));
        let landed: String = landed.collect();
        ids.iter().all(|id| landed.contains(id.as_str()))
    });
    let screen = terminal.screen();
    let back = format!(
        "sent {} back to its agent: 'make -s check' failed (status 2)",
        ids[2]
    );
    assert_eq!(
        screen.matches(" back to its agent: ").count(),
        1,
        "{screen}"
    );
    assert!(screen.contains(&back), "{screen}");
    terminal.keys(["C-c"]);
    assert_eq!(terminal.exit_code(), 130);
    assert_no_landing(world);
    // Nothing is left of the agents, and the target passes.
    assert_eq!(world.try_tmux(["list-panes", "-a"]), None);
    let mut check = world.command("make");
    let check = check.args(["-s", "check"]).current_dir(world.repo());
    assert!(check.status().unwrap().success());
    for (name, _) in PARTS {
        assert!(world.repo().join(format!("parts/{name}.sh")).exists());
    }
}
