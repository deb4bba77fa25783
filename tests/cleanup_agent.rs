//! Tests a cleanup while the agent runs: consent, signals, work done while it stops; and a cleanup from the pane of the
//! task, by the user or the agent.

use crate::world::removal::*;
use crate::world::*;

#[test]
fn cleanup_does_not_stop_a_running_agent_without_consent() {
    let world = World::new();
    let id = working_task(&world);
    let before = world.snapshot();
    for options in [&[][..], &["--discard-branch"]] {
        let output = world.flux(["cleanup", &id].iter().chain(options)).run();
        let again = [&["git flux cleanup", &id], options, &["--yes"]].concat();
        output.code(1).stderr_is(&format!(
            "error: the agent of '{id}' is still running\n\
             hint: to look at the pane: git flux attach {id}\n\
             hint: to clean up anyway: {}\n",
            again.join(" ")
        ));
        world.assert_unchanged(&before);
        assert!(world.agent(&id).is_alive());
    }
}

#[test]
fn cleanup_with_yes_stops_the_agent() {
    for behaviour in ["wait", "raw", "stubborn"] {
        let world = World::new();
        world.behaviour(behaviour);
        let id = world.start("Fix login");
        world.agent(&id).tell("commit one");
        world.flux(["cleanup", "-y", &id]).run().success();
        assert!(!world.agent(&id).is_alive(), "{behaviour}");
        assert_eq!(world.read("agent.txt"), "one\n");
        assert_removed(&world, &id);
    }
}

#[test]
fn cleanup_sends_the_stop_signal_of_the_agent_first() {
    // claude closes its session when it is terminated; of another one nothing is known.
    let heed = "sh trap 'echo TERM >term.txt; exit 0' TERM; trap 'echo HUP >hup.txt; exit 0' HUP";
    for (agent, left) in [("claude", "term.txt"), ("codex", "hup.txt")] {
        let world = World::new();
        world.install_agent("codex");
        world.git(["config", "flux.codex.command", "codex"]);
        let id = world
            .flux(["run", "-q", "--agent", agent, "Fix login"])
            .ok();
        world.agent(&id).tell(heed);
        world.flux(["cleanup", "-y", &id]).run().code(1);
        let changes = world.git_in(world.worktree(&id), ["status", "--porcelain"]);
        assert_eq!(changes, format!("?? {left}"));
        world.flux(["cleanup", "--discard", &id]).run().success();
    }
}

#[test]
fn cleanup_hangs_up_an_agent_that_ignores_its_stop_signal() {
    let world = World::new();
    let id = world.start("Fix login");
    let heed = "sh trap 'echo TERM >term.txt; while :; do sleep 0.1; done' TERM; trap 'echo HUP >hup.txt; exit 0' HUP";
    world.agent(&id).tell(heed);
    world.flux(["cleanup", "-y", &id]).run().code(1);
    let worktree = world.worktree(&id);
    let changes = world.git_in(&worktree, ["status", "--porcelain"]);
    assert_eq!(changes, "?? hup.txt\n?? term.txt");
    world.flux(["cleanup", "--discard", &id]).run().success();
}

#[test]
fn cleanup_merges_a_commit_made_while_the_agent_stops() {
    let world = World::new();
    let id = task_with_stop_handler(&world, "commit late");
    world.flux(["cleanup", "-y", &id]).run().success();
    assert_eq!(world.read("agent.txt"), "one\nlate\n");
    assert_removed(&world, &id);
}

#[test]
fn cleanup_refuses_a_file_written_while_the_agent_stops() {
    let world = World::new();
    let id = task_with_stop_handler(&world, "echo late >late.txt");
    let main = commit(&world, "main");
    let output = world.flux(["cleanup", "-y", &id]).run();
    output.code(1).says(&expect![[r#"
        --- stderr
        'fix-login-XXXXXX' or its target has changed; planning again
        error: 'fix-login-XXXXXX' has 1 uncommitted file
        hint: to commit and merge: git flux cleanup fix-login-XXXXXX --commit
        hint: to merge only what is committed: git flux cleanup fix-login-XXXXXX --discard
    "#]]);
    assert_eq!(commit(&world, "main"), main);
    assert_eq!(world.read(world.worktree(&id).join("late.txt")), "late\n");
    // The task is whole, and can be cleaned up with what it was asked for.
    world.flux(["cleanup", "--commit", &id]).run().success();
    assert_eq!(world.read("late.txt"), "late\n");
    assert_removed(&world, &id);
}

#[test]
fn cleanup_discard_keeps_a_file_written_while_the_agent_stops() {
    let world = World::new();
    let id = task_with_stop_handler(&world, "echo late >late.txt");
    world.write(world.worktree(&id).join("early.txt"), "early\n");
    let output = world.flux(["cleanup", "-y", "--discard", &id]).run();
    output.success();
    assert_eq!(world.read(trash(&world, &id).join("early.txt")), "early\n");
    assert_eq!(world.read(trash(&world, &id).join("late.txt")), "late\n");
    assert!(!world.repo().join("late.txt").exists());
    assert_removed(&world, &id);
}

#[test]
fn cleanup_loses_no_commit_of_an_agent_that_keeps_committing() {
    let world = World::new();
    let id = working_task(&world);
    world.agent(&id).tell("loop-commit");
    let ahead = || world.git(["rev-list", "--count", &format!("main..feature/{id}")]);
    wait_until("ten commits", || ahead().parse::<usize>().unwrap() >= 10);
    // Between two commits of the agent's there is an uncommitted line.
    let output = world
        .flux(["cleanup", "-y", "--commit=Another one", &id])
        .run();
    output.success();
    // A commit of the agent's is one line of the file, so what was merged can be counted.
    let lines = world.read("agent.txt").lines().count();
    let commits = world.git(["rev-list", "--count", "--no-merges", "main^1..main"]);
    assert_eq!(commits, lines.to_string());
    let archived = commit(&world, &format!("refs/flux/archive/{id}/tip"));
    assert_eq!(archived, commit(&world, "main^2"));
    let kept = world.read(trash(&world, &id).join("agent.txt"));
    assert_eq!(kept.lines().count(), lines);
    assert_removed(&world, &id);
}

#[test]
fn cleanup_succeeds_when_called_by_the_agent_itself() {
    let world = World::new();
    world.behaviour("sh commit one; git flux cleanup -y");
    let id = running_or_gone(&world);
    wait_until("the task's session to close", || {
        !world
            .try_tmux(["list-sessions"])
            .unwrap_or_default()
            .contains(&id)
    });
    world.agent(&id).wait_gone();
    assert_eq!(world.read("agent.txt"), "one\n");
    assert_eq!(world.git(["status", "--porcelain"]), "");
    assert_removed(&world, &id);
}

/// Starts a task that may be over by the time `run` looks.
fn running_or_gone(world: &World) -> String {
    let output = world.flux(["run", "-q", "Fix login"]).run();
    output.success();
    output.stdout.trim_end().to_owned()
}

#[test]
fn cleanup_keeps_the_agent_running_when_it_refuses_its_own_call() {
    let world = World::new();
    let id = working_task(&world);
    world.write(world.worktree(&id).join("loose.txt"), "loose\n");
    let before = world.snapshot();
    // Off a terminal, as agents run commands.
    world
        .agent(&id)
        .tell("sh git flux cleanup -y </dev/null 2>../said; test $? = 1");
    let said = world.root().join("said");
    let text = world.read(&said);
    assert!(text.contains("1 uncommitted file"), "{text}");
    std::fs::remove_file(said).unwrap();
    world.assert_unchanged(&before);
    assert!(world.agent(&id).is_alive());
}

#[test]
fn cleanup_called_by_the_agent_requires_yes() {
    let world = World::new();
    let id = working_task(&world);
    let before = world.snapshot();
    world
        .agent(&id)
        .tell("sh git flux cleanup </dev/null 2>../said; test $? = 1");
    let said = world.root().join("said");
    let text = world.read(&said);
    assert!(text.contains("--yes"), "{text}");
    std::fs::remove_file(said).unwrap();
    world.assert_unchanged(&before);
}

#[test]
fn cleanup_from_the_pane_of_the_task_closes_the_pane() {
    let world = World::new();
    keep_path_in_login_shells(&world);
    let id = done_task(&world);
    let pane = world.pane(&id);
    type_into(&world, &pane, "git flux cleanup");
    wait_until("the question", || capture(&world, &pane).contains("(y/n)"));
    world.tmux(["send-keys", "-t", &pane, "y"]);
    wait_until("the pane to close", || {
        world
            .try_tmux(["list-panes", "-a", "-F", "#{pane_id}"])
            .is_none_or(|panes| panes.lines().all(|line| line != pane))
    });
    assert_eq!(world.read("agent.txt"), "one\n");
    assert_removed(&world, &id);
}

#[test]
fn cleanup_keeps_the_pane_it_is_called_from_when_it_refuses() {
    let world = World::new();
    keep_path_in_login_shells(&world);
    let id = done_task(&world);
    world.write(world.worktree(&id).join("loose.txt"), "loose\n");
    let pane = world.pane(&id);
    let before = world.snapshot();
    type_into(
        &world,
        &pane,
        "git flux cleanup -y </dev/null; echo \"ended: $?\"",
    );
    wait_until("the refusal", || {
        capture(&world, &pane).contains("ended: 1")
    });
    let screen = capture(&world, &pane);
    assert!(screen.contains("1 uncommitted file"), "{screen}");
    world.assert_unchanged(&before);
}

/// The shell in a task's pane is a login shell, for which the machine's `/etc/profile` may set another PATH.
fn keep_path_in_login_shells(world: &World) {
    let line = format!("PATH='{}'\n", world.path().display());
    world.write(world.tools().join("home/.profile"), line);
}

fn type_into(world: &World, pane: &str, line: &str) {
    world.wait_for_shell(pane);
    world.tmux(["send-keys", "-t", pane, "-l", "--", line]);
    world.tmux(["send-keys", "-t", pane, "Enter"]);
}

fn capture(world: &World, pane: &str) -> String {
    world
        .try_tmux(["capture-pane", "-p", "-J", "-t", pane])
        .unwrap_or_default()
}

/// Types a cleanup into the pane of 'fix', which `client` shows, and waits for the result and the hint to undo it.
#[track_caller]
fn clean_up_from_pane(world: &World, client: &Terminal) {
    world.agent("fix").tell("commit one");
    end_agent(world, "fix");
    client.wait_for_screen("To merge its work");
    client.type_line("git flux cleanup -y");
    client.wait_for_screen("hint: to restore the task: git flux restore fix");
    let screen = client.wait_for_screen("git revert");
    assert!(screen.contains("removed 'fix'"), "{screen}");
    wait_until("its pane to close", || {
        let tasks = ["list-panes", "-a", "-F", "#{@flux_task}"];
        !world.try_tmux(tasks).unwrap_or_default().contains("fix")
    });
    assert_removed(world, "fix");
}

#[test]
fn cleanup_prints_its_result_on_the_terminal_after_closing_its_session() {
    let world = World::new();
    world.behaviour("raw");
    world.flux(["run", "-q", "--name", "fix", "Fix it"]).ok();
    let terminal = world.terminal(150, 40);
    terminal.command("git flux attach fix");
    clean_up_from_pane(&world, &terminal);
    assert_eq!(terminal.exit_code(), 0);
    // It is text on the terminal, and nothing is left of it elsewhere.
    assert!(world.try_tmux(["list-sessions"]).is_none());
}

#[test]
fn cleanup_shows_its_result_in_the_pane_beside_after_closing_its_pane() {
    for layout in ["--pane", "--window", "--session"] {
        let world = World::new();
        world.behaviour("raw");
        let inside = world.terminal_inside();
        let client = inside.client(200, 50);
        inside.command(&format!("git flux run -q --name fix {layout} Fix it"));
        world.agent("fix").wait_started();
        assert_eq!(inside.command("git flux attach fix").exit_code(), 0);
        client.wait_for_screen("fake agent ready");
        clean_up_from_pane(&world, &client);
        // It is in front until q is pressed.
        assert_eq!(inside.ask("#{pane_in_mode}"), "1", "{layout}");
        client.keys(["q"]);
        wait_until("the shell", || inside.ask("#{pane_in_mode}") == "0");
    }
}
