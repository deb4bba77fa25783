//! Tests `flux.setup`, which runs in a new worktree before the agent, and `flux.wrapper`.

use std::fs;
use std::path::PathBuf;
use std::thread;

use crate::world::removal::assert_removed;
use crate::world::*;

fn configure(world: &World, commands: &[&str]) {
    for command in commands {
        world.git(["config", "--add", "flux.setup", command]);
    }
}

/// Returns the command that starts the task `fix`.
fn run(world: &World) -> Flux<'_> {
    world.flux(["run", "--name", "fix", "Fix it"])
}

/// Returns the path of a file beside the repository, for a setup command to write.
fn note(world: &World, name: &str) -> PathBuf {
    world.root().join(name)
}

/// Waits until a setup command has written a line to a file, and gives it.
#[track_caller]
fn told(world: &World, name: &str) -> String {
    let file = note(world, name);
    let text = wait_for(&format!("the setup to write '{name}'"), || {
        fs::read_to_string(&file)
            .ok()
            .filter(|text| text.ends_with('\n'))
    });
    text.trim_end().to_owned()
}

fn is_alive(pid: &str) -> bool {
    Process::find(pid.parse().unwrap()).is_some_and(|process| process.state != 'Z')
}

/// Returns the only pane.
fn pane(world: &World) -> String {
    world.tmux(["list-panes", "-a", "-F", "#{pane_id}"])
}

/// A command that waits in the pane until it is ended, and says who it is.
const WAITS: &str = "echo waiting; echo $$ >../pid; exec sleep 1000";

#[test]
fn run_runs_the_setup_commands_in_order_before_the_agent() {
    let world = World::new();
    configure(
        &world,
        &[
            "pwd -P >order; echo first",
            "echo \"$FLUX_TASK $FLUX_PORT $FLUX_SOURCE\" >>order; echo 'the  second'\necho its second line",
        ],
    );
    world.behaviour("sh cp order seen");
    let before = fs::read_dir(world.root()).unwrap().count();
    run(&world).run().success();
    world.agent("fix").wait_first_done();
    let status = world.flux(["status", "--json", "fix"]).run().json();
    let worktree = world.worktree("fix");
    let (source, worktree_line) = (world.repo(), worktree.display());
    let expected = format!(
        "{worktree_line}\nfix {} {}\n",
        status["port"],
        source.display()
    );
    assert_eq!(world.read(worktree.join("seen")), expected);
    assert_eq!(fs::read_dir(world.root()).unwrap().count(), before + 1);
    let screen = world.tmux(["capture-pane", "-p", "-t", &pane(&world)]);
    let lines: Vec<&str> = screen.lines().collect();
    let shown = [
        "$ pwd -P >order; echo first",
        "first",
        "$ echo \"$FLUX_TASK $FLUX_PORT $FLUX_SOURCE\" >>order; echo 'the  second' …",
        "the  second",
        "its second line",
    ];
    assert_eq!(lines[..shown.len()], shown);
}

#[test]
fn run_fails_with_the_output_of_a_setup_command_that_fails() {
    let world = World::new();
    configure(
        &world,
        &[
            "echo fine",
            "printf 'no such \\033[31mpackage\\n'; exit 3",
            "echo >../never",
        ],
    );
    let before = world.snapshot();
    let output = run(&world).run();
    output
        .code(1)
        .stdout_is("")
        .stderr_has("  fine\n")
        .stderr_has("  no such package\n")
        .stderr_has("error: could not start 'fix'; nothing was left behind\n")
        .stderr_has(
            "caused by: 'printf 'no such \\033[31mpackage\\n'; exit 3' exited with status 3\n",
        )
        .stderr_has("git config flux.setupRequired false\n")
        .has_not("To merge its work");
    world.assert_unchanged(&before);
    assert!(world.started_agents().is_empty());
    assert!(!note(&world, "never").exists());
    // In a pane the same.
    let terminal = world.terminal_inside();
    terminal.command("git flux run --name fix Fix it");
    assert_eq!(terminal.exit_code(), 1);
    terminal.wait_for_screen("exited with status 3");
    world.assert_pristine();
}

#[test]
fn run_keeps_the_files_of_a_setup_that_fails() {
    let world = World::new();
    configure(&world, &["echo log >install.log; exit 1"]);
    run(&world)
        .run()
        .code(1)
        .stderr_has("could not start 'fix'; its files are in '");
    let trash = world
        .repo()
        .join(".git/flux/trash/fix/worktree/install.log");
    assert_eq!(world.read(trash), "log\n");
    assert_removed(&world, "fix");
}

#[test]
fn run_only_warns_about_a_failed_setup_if_it_is_not_required() {
    let world = World::new();
    configure(&world, &["no-such-program", "echo >../next"]);
    let config = ["-c", "flux.setupRequired=no"];
    let output = run(&world).via_git_with(config).run();
    output
        .success()
        .stderr_has("warning: 'no-such-program' exited with status 127\n");
    world.agent("fix").wait_started();
    told(&world, "next");
    let screen = world.tmux(["capture-pane", "-p", "-J", "-t", &pane(&world)]);
    assert!(
        screen.contains("warning: 'no-such-program' exited with status 127\n"),
        "{screen}"
    );
    // What is no boolean means nothing.
    let before = world.snapshot();
    let config = ["-c", "flux.setupRequired=perhaps"];
    let run = world.flux(["run", "--name", "next", "Fix it"]);
    run.via_git_with(config).run().code(1).says(&expect![[r#"
        --- stderr
        error: bad value 'perhaps' for 'flux.setupRequired' from the command line
        hint: use true or false
    "#]]);
    world.assert_unchanged(&before);
}

#[test]
fn run_kills_the_setup_and_leaves_nothing_behind_when_interrupted() {
    let world = World::new();
    // One that does not end when it is asked to either.
    configure(
        &world,
        &["trap '' HUP; echo $$ >../pid; while :; do sleep 1; done"],
    );
    let before = world.snapshot();
    let terminal = world.terminal(80, 24);
    terminal.type_line("git flux run --name fix Fix it");
    let pid = told(&world, "pid");
    fs::remove_file(note(&world, "pid")).unwrap();
    terminal.wait_for_screen("setting up (git flux attach fix shows it): trap");
    terminal.keys(["C-c"]);
    terminal.wait_for_screen("interrupted; nothing is left of 'fix'");
    terminal.command("echo it was $?");
    terminal.wait_for_screen("it was 130");
    assert!(!is_alive(&pid));
    world.assert_unchanged(&before);
}

#[test]
fn run_fails_if_the_setup_is_interrupted_in_its_pane() {
    let world = World::new();
    configure(&world, &[WAITS, "echo >../never"]);
    thread::scope(|scope| {
        let started = scope.spawn(|| run(&world).run());
        let pid = told(&world, "pid");
        world.tmux(["send-keys", "-t", &pane(&world), "C-c"]);
        let output = started.join().unwrap();
        output
            .code(1)
            .stderr_has("  waiting\n")
            .stderr_has("' was ended by signal 2\n");
        assert!(!is_alive(&pid));
    });
    assert!(!note(&world, "never").exists() && world.started_agents().is_empty());
    world.assert_pristine();
}

#[test]
fn run_fails_and_ends_the_setup_if_its_pane_closes() {
    let world = World::new();
    configure(&world, &[WAITS]);
    thread::scope(|scope| {
        let started = scope.spawn(|| run(&world).run());
        let pid = told(&world, "pid");
        world.tmux(["kill-pane", "-t", &pane(&world)]);
        let output = started.join().unwrap();
        output
            .code(1)
            .stderr_has("could not start 'fix'; nothing was left behind")
            .stderr_has("exec sleep 1000' got SIGHUP\n")
            .has_not("hint");
        assert!(!is_alive(&pid));
    });
    world.assert_pristine();
}

#[test]
fn run_fails_and_ends_the_setup_if_its_launcher_is_killed() {
    let world = World::new();
    configure(&world, &[WAITS]);
    thread::scope(|scope| {
        let started = scope.spawn(|| run(&world).run());
        let pid = told(&world, "pid");
        let launcher = world.tmux(["list-panes", "-a", "-F", "#{pane_pid}"]);
        world
            .command("kill")
            .args(["-9", &launcher])
            .status()
            .unwrap();
        let output = started.join().unwrap();
        output.code(1).says(&expect![[r#"
            --- stderr
            error: could not start 'fix'; nothing was left behind
              caused by: the pane closed before the agent was started
        "#]]);
        wait_until("the setup to end", || !is_alive(&pid));
    });
    world.assert_pristine();
}

#[test]
fn launcher_discards_unread_input_of_the_setup_before_the_agent() {
    let world = World::new();
    configure(
        &world,
        &[
            "echo asking >../asks; while [ ! -e ../go ]; do sleep 0.05; done; read answer; echo $answer >../answer",
        ],
    );
    thread::scope(|scope| {
        let started = scope.spawn(|| run(&world).run());
        told(&world, "asks");
        let pane = pane(&world);
        world.tmux(["send-keys", "-t", &pane, "yes", "Enter", "rm -rf", "Enter"]);
        wait_until("the terminal to have it", || {
            world
                .tmux(["capture-pane", "-p", "-t", &pane])
                .contains("rm -rf")
        });
        fs::write(note(&world, "go"), "").unwrap();
        started.join().unwrap().success();
        assert_eq!(told(&world, "answer"), "yes");
        let agent = world.agent("fix");
        agent.wait_started();
        world.tmux(["send-keys", "-t", &pane, "hello", "Enter"]);
        agent.wait_stdin("hello\n");
        assert_eq!(agent.stdin(), b"hello\n");
    });
}

#[test]
fn launcher_continues_a_setup_that_suspends_itself() {
    let world = World::new();
    configure(&world, &["kill -TSTP $$; kill -STOP $$; echo on >../on"]);
    run(&world).run().success();
    told(&world, "on");
    world.agent("fix").wait_started();
}

#[test]
fn launcher_ends_background_jobs_of_setup_with_the_agent() {
    let world = World::new();
    configure(
        &world,
        &[
            "sleep 1000 & echo $! >../server",
            "(setsid sleep 1000 & echo $! >../daemon)",
        ],
    );
    run(&world).run().success();
    let server = told(&world, "server");
    let daemon = told(&world, "daemon");
    let agent = world.agent("fix");
    agent.wait_started();
    assert!(is_alive(&server));
    agent.tell("exit 0");
    wait_until("the server to end", || !is_alive(&server));
    // What has left the terminal is nobody's job.
    assert!(is_alive(&daemon));
    world.command("kill").arg(&daemon).status().unwrap();
}

#[test]
fn run_does_not_block_other_commands_during_a_long_setup() {
    let world = World::new();
    let id = world.start("Another");
    configure(
        &world,
        &["echo waiting; echo $$ >../pid; while [ ! -e ../go ]; do sleep 0.05; done"],
    );
    thread::scope(|scope| {
        let started = scope.spawn(|| run(&world).run());
        told(&world, "pid");
        let state = |id: &str| {
            let status = world.flux(["status", "--json", id]).run().success().json();
            status["state"].as_str().unwrap().to_owned()
        };
        assert_eq!(state("fix"), "starting");
        world
            .flux(["run", "-q", "--name", "third", "Fix it"])
            .via_git_with(["-c", "flux.setup="])
            .ok();
        world.agent("third").wait_started();
        world.flux(["cleanup", "-y", &id]).run().success();
        // It can be watched from elsewhere.
        let terminal = world.terminal(80, 24);
        terminal.command("git flux attach fix");
        terminal.wait_for_screen("waiting");
        assert!(world.started_agents().iter().all(|id| id != "fix"));
        fs::write(note(&world, "go"), "").unwrap();
        started.join().unwrap().success();
        assert_ne!(state("fix"), "starting");
        terminal.close();
    });
}

#[test]
fn run_is_completed_by_the_next_command_if_killed_during_setup() {
    let world = World::new();
    configure(
        &world,
        &["echo $PPID >../pid; while [ ! -e ../go ]; do sleep 0.05; done"],
    );
    let mut run = world.command("git-flux");
    run.args(["run", "--name", "fix", "Fix it"])
        .current_dir(world.repo());
    let mut run = run.spawn().unwrap();
    told(&world, "pid");
    run.kill().unwrap();
    run.wait().unwrap();
    let list = world.flux(["list", "--json"]).run().json();
    assert_eq!(list[0]["state"], "incomplete");
    world.flux(["cleanup", "--merged"]).run().says(&expect![[r#"
        --- stderr
        the start of 'fix' was interrupted during its setup; the task is complete now
        nothing to clean up
    "#]]);
    let list = world.flux(["list", "--json"]).run().json();
    assert_eq!(list[0]["state"], "starting");
    assert!(world.started_agents().is_empty());
    fs::write(note(&world, "go"), "").unwrap();
    world.agent("fix").wait_started();
    // And one that fails when nobody waits for it any more says so in the pane.
    world.flux(["cleanup", "-y", "fix"]).run().success();
    assert_removed(&world, "fix");
}

#[test]
fn restore_runs_the_setup_again_if_the_trash_is_empty() {
    let world = World::new();
    configure(&world, &["echo x >>made.log"]);
    let id = world.start("Fix it");
    world.agent(&id).tell("commit one");
    let made = world.worktree(&id).join("made.log");
    let remove = |world: &World| {
        let cleanup = ["cleanup", "-y", "--discard-branch", &id];
        world.flux(cleanup).run().success();
    };
    remove(&world);
    world.flux(["restore", &id]).run().success();
    assert_eq!(world.read(&made), "x\n");
    world.git(["config", "flux.trashKeep", "0"]);
    world.write(&made, "gone\n");
    remove(&world);
    let trash = world.repo().join(".git/flux/trash");
    wait_until("the trash to be empty", || {
        fs::read_dir(&trash).is_ok_and(|mut dir| dir.next().is_none())
    });
    world.flux(["restore", &id]).run().success();
    assert_eq!(world.read(&made), "x\n");
}

#[test]
fn config_shows_every_setup_command_and_an_empty_value_resets_them() {
    let world = World::new();
    world.git(["config", "--global", "--add", "flux.setup", "make deps"]);
    configure(&world, &["npm ci", "npm run build"]);
    let setup = |config: &[&str]| {
        let flux = world.flux(["config", "--json"]);
        let all = flux
            .via_git_with(config.iter().copied())
            .run()
            .success()
            .json();
        let rows = all.as_array().unwrap().iter();
        let rows = rows.filter(|row| row["key"] == "flux.setup");
        rows.map(|row| format!("{} {}", row["value"], row["scope"]))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        setup(&["-c", "flux.x.command=y"]),
        [
            "\"make deps\" \"global\"",
            "\"npm ci\" \"local\"",
            "\"npm run build\" \"local\""
        ]
    );
    assert_eq!(
        setup(&["-c", "flux.setup=", "-c", "flux.setup=make"]),
        ["\"make\" \"command\""]
    );
    assert_eq!(setup(&["-c", "flux.setup="]), ["null null"]);
    // The same is what would be run.
    let plan = world.flux(["run", "--dry-run", "Fix it"]).via_git_with([
        "-c",
        "flux.setup=",
        "-c",
        "flux.setup=make",
    ]);
    plan.run()
        .success()
        .stderr_has("Nothing was done.")
        .stdout_has("  Setup: make\n")
        .has_not("npm");
}

#[test]
fn run_starts_the_agent_through_the_wrapper_and_signals_reach_it() {
    let world = World::new();
    // One that becomes the agent, and one that waits for it.
    world.install(
        "becomes",
        "#!/bin/sh\nexport WRAPPED=\"$1\"\nshift\nexec \"$@\"\n",
    );
    world.install("waits", "#!/bin/sh\nexport WRAPPED=\"$1\"\nshift\n\"$@\"\n");
    for wrapper in ["becomes", "waits"] {
        world.git(["config", "flux.wrapper", &format!("{wrapper} 'two words'")]);
        let id = world.start("Fix 'it' $HOME");
        let agent = world.agent(&id);
        agent.wait_started();
        assert_eq!(agent.env("WRAPPED").as_deref(), Some("two words"));
        assert_eq!(agent.argv()[0], b"--dangerously-skip-permissions");
        assert!(String::from_utf8_lossy(&agent.prompt()).contains("Fix 'it' $HOME"));
        // ^C is for the agent, and so is the farewell.
        let process = agent.process().unwrap();
        assert_eq!(process.foreground, process.group);
        world.flux(["cleanup", "-y", &id]).run().success();
        agent.wait_gone();
        assert_removed(&world, &id);
    }
    let before = world.snapshot();
    world.git(["config", "flux.wrapper", "no-such-wrapper -x"]);
    let output = world.flux(["run", "Fix it"]).run();
    output.code(1).says(&expect![[r#"
        --- stderr
        error: flux.wrapper: 'no-such-wrapper' not found on PATH
        hint: 'flux.wrapper' has the value 'no-such-wrapper -x' in file '.git/config'
        hint: to remove it: git config --unset-all flux.wrapper
    "#]]);
    world.git(["config", "flux.wrapper", "waits 'one"]);
    let output = world.flux(["run", "Fix it"]).run();
    output.code(1).says(&expect![[r#"
        --- stderr
        error: bad value 'waits 'one' for 'flux.wrapper' in file '.git/config'
        hint: quote the arguments as in a shell, and close each quote
    "#]]);
    world.git(["config", "flux.wrapper", "waits 'two words'"]);
    world.assert_unchanged(&before);
    // An empty one is none.
    let plan = world.flux(["run", "--dry-run", "Fix it"]);
    plan.run()
        .stdout_has("  Agent: waits 'two words' claude --dangerously");
    let run = world.flux(["run", "-q", "--name", "bare", "Fix it"]);
    run.via_git_with(["-c", "flux.wrapper="]).ok();
    let agent = world.agent("bare");
    agent.wait_started();
    assert_eq!(agent.env("WRAPPED"), None);
    agent.tell("exit 4");
    let says = "claude exited with status 4\n";
    wait_until("the launcher to say how the agent ended", || {
        world
            .tmux(["capture-pane", "-p", "-t", &pane(&world)])
            .contains(says)
    });
}
