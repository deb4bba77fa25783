//! Tests how many processes each command starts.

use crate::world::*;

/// Counts the calls that `command` makes itself, and shows them where there are too many. A launcher
/// makes its own beside it.
#[track_caller]
fn at_most(world: &World, git: usize, tmux: usize, command: Flux<'_>) {
    world.shim();
    world.clear_calls();
    command.run().success();
    let mut calls = world.calls();
    calls.retain(|call| call.by != Caller::Launcher);
    let count = |program: &str| calls.iter().filter(|call| call.program == program).count();
    let lines: Vec<String> = calls.iter().map(Call::line).collect();
    let (gits, tmuxes) = (count("git"), count("tmux"));
    assert!(gits > 0, "no call of git was seen");
    assert!(
        gits <= git && tmuxes <= tmux,
        "{gits} of at most {git} git and {tmuxes} of at most {tmux} tmux processes:\n{}",
        lines.join("\n")
    );
}

/// A task with one commit, whose agent runs.
fn task(world: &World, name: &str) {
    world.behaviour("raw");
    world.flux(["run", "-q", "--name", name, "Fix it"]).ok();
    world.commit_in(world.worktree(name), &format!("{name}.txt"), "work\n");
}

/// Makes the same task as `task`, with an agent that has ended.
fn ended(world: &World, name: &str) {
    task(world, name);
    world.agent(name).tell("exit 0");
    world.wait_ended(name);
}

/// Starts a server, and gives the environment of its first pane.
fn inside(world: &World) -> [(&'static str, String); 2] {
    world.tmux(["new-session", "-d", "-s", "mine", "-x", "200", "-y", "50"]);
    let tmux = world.tmux(["display-message", "-p", "#{socket_path},#{pid},0"]);
    [("TMUX", tmux), ("TMUX_PANE", "%0".to_owned())]
}

fn run(world: &World) -> Flux<'_> {
    world.behaviour("raw");
    world.flux(["run", "Fix it"])
}

#[test]
fn run_without_a_tmux_server_starts_few_processes() {
    let world = World::new();
    at_most(&world, 12, 3, run(&world));
}

#[test]
fn run_with_a_tmux_server_starts_few_processes() {
    let world = World::new();
    world.tmux(["new-session", "-d", "-s", "mine"]);
    at_most(&world, 12, 3, run(&world));
}

#[test]
fn run_inside_tmux_starts_few_processes() {
    let world = World::new();
    let [tmux, pane] = inside(&world);
    at_most(
        &world,
        12,
        3,
        run(&world).env(tmux.0, &tmux.1).env(pane.0, &pane.1),
    );
    assert_eq!(world.tmux(["list-panes", "-t", "%0"]).lines().count(), 2);
}

#[test]
fn run_in_a_window_starts_few_processes() {
    let world = World::new();
    let [tmux, pane] = inside(&world);
    let run = world.flux(["run", "--window", "Fix it"]);
    at_most(&world, 12, 3, run.env(tmux.0, &tmux.1).env(pane.0, &pane.1));
}

#[test]
fn run_with_options_starts_few_processes() {
    let world = World::new();
    world.write("changed.txt", "not committed\n");
    world.behaviour("raw");
    let args = [
        "run", "--base", "main", "--name", "fix", "--json", "--agent", "claude", "Fix it",
    ];
    at_most(&world, 12, 3, world.flux(args));
}

#[test]
fn run_with_quiet_does_not_look_for_uncommitted_changes() {
    let world = World::new();
    world.write("changed.txt", "not committed\n");
    world.behaviour("raw");
    at_most(&world, 11, 3, world.flux(["run", "-q", "Fix it"]));
    let calls: Vec<String> = world.calls().iter().map(Call::line).collect();
    let has_status = |call: &String| call.split(' ').any(|word| word == "status");
    assert!(!calls.iter().any(has_status), "{calls:#?}");
}

#[test]
fn list_starts_one_git_status_per_task() {
    let world = World::new();
    world.behaviour("raw");
    at_most(&world, 3, 1, world.flux(["list"]));
    for tasks in [1, 5] {
        for n in 1..=tasks {
            let name = format!("task-{n}");
            if !world.worktree(&name).exists() {
                task(&world, &name);
            }
        }
        for format in ["--json", "--porcelain"] {
            at_most(&world, 3 + tasks, 1, world.flux(["list", format]));
        }
        // One look for the repositories there are, and one for what their agents show.
        at_most(&world, 3 + tasks, 2, world.flux(["list", "--all-repos"]));
        at_most(&world, 3 + tasks, 1, world.flux(["list"]));
        let statuses = |call: &Call| call.args.iter().any(|arg| arg == "status");
        let calls = world.calls();
        assert_eq!(calls.iter().filter(|call| statuses(call)).count(), tasks);
    }
}

#[test]
fn status_starts_few_processes() {
    let world = World::new();
    task(&world, "fix");
    at_most(&world, 12, 4, world.flux(["status", "fix"]));
}

#[test]
fn wait_starts_no_more_processes_for_more_tasks() {
    let world = World::new();
    for (tasks, names) in [(1, &["one"][..]), (4, &["two", "three", "four"])] {
        names.iter().for_each(|name| ended(&world, name));
        at_most(&world, 4, 2, world.flux(["wait", "--all"]));
        let output = world.flux(["wait", "--all"]).ok();
        assert_eq!(output.lines().count(), tasks);
    }
}

#[test]
fn attach_starts_few_processes() {
    let world = World::new();
    task(&world, "fix");
    task(&world, "other");
    world.shim();
    world.clear_calls();
    let terminal = world.terminal(100, 30);
    terminal.command("git-flux attach fix");
    terminal.wait_for_screen("fake agent ready");
    let calls = world.calls();
    let lines: Vec<String> = calls.iter().map(Call::line).collect();
    let count = |program: &str| calls.iter().filter(|call| call.program == program).count();
    assert!(
        lines.iter().any(|line| line.contains("attach-session")),
        "{lines:?}"
    );
    assert!(count("git") <= 12 && count("tmux") <= 4, "{lines:#?}");
}

#[test]
fn cleanup_of_a_clean_task_starts_few_processes() {
    let world = World::new();
    ended(&world, "fix");
    at_most(&world, 12, 4, world.flux(["cleanup", "fix"]));
    assert!(world.repo().join("fix.txt").exists());
}

#[test]
fn cleanup_into_a_branch_that_moved_starts_few_processes() {
    let world = World::new();
    ended(&world, "fix");
    world.commit_in(world.repo(), "moved.txt", "main moved\n");
    at_most(&world, 12, 4, world.flux(["cleanup", "fix"]));
    assert!(world.repo().join("fix.txt").exists());
}

#[test]
fn cleanup_that_stops_the_agent_starts_few_processes() {
    let world = World::new();
    task(&world, "fix");
    // One more than any other, and two: the task and its target are looked at again.
    at_most(&world, 13, 4, world.flux(["cleanup", "fix", "--yes"]));
    assert!(world.repo().join("fix.txt").exists());
    task(&world, "more");
    world.commit_in(world.repo(), "moved.txt", "main moved\n");
    at_most(&world, 14, 4, world.flux(["cleanup", "more", "--yes"]));
    assert!(world.repo().join("more.txt").exists());
}
