//! Tests the harness itself with plain git, plain tmux, and `sh` in place of git-flux.

use std::fs;

use super::*;

/// Puts a copy of `sh` under the name git-flux into `bin`: the shim takes it for the product.
fn with_shell_as_flux() -> World {
    let world = World::new();
    world.uninstall("git-flux");
    fs::copy("/bin/sh", world.tools().join("bin/git-flux")).unwrap();
    world
}

/// Starts the fake agent of a task in a terminal, as the launcher would.
fn start_agent<'a>(world: &'a World, task: &str) -> Terminal<'a> {
    let terminal = world.terminal(80, 24);
    terminal.command(&format!(
        "FLUX_TASK={task} claude --flag \"$(printf 'a\\nb')\" ''"
    ));
    terminal
}

#[test]
fn world_agent_records_arguments_environment_and_input() {
    let world = World::at("it's #(touch x) \"odd\";");
    let terminal = start_agent(&world, "t1");
    let agent = world.agent("t1");
    assert_eq!(agent.argv(), [&b"--flag"[..], b"a\nb", b""]);
    assert_eq!(agent.cwd(), world.repo());
    assert_eq!(agent.env("FLUX_TASK").as_deref(), Some("t1"));
    assert_eq!(agent.env("TMUX"), None);
    let process = agent.process().unwrap();
    assert_eq!(process.foreground, process.group);
    terminal.type_line("hello");
    assert_eq!(agent.wait_stdin("hello"), b"hello\n");
    agent.tell("commit one");
    agent.tell("say on screen");
    terminal.wait_for_screen("on screen");
    assert_eq!(world.git(["log", "-1", "--format=%s"]), "one");
    terminal.keys(["C-z"]);
    wait_until("the agent to stop", || {
        agent.process().unwrap().state == 'T'
    });
    terminal.type_line("fg");
    wait_until("the agent to go on", || {
        agent.process().unwrap().state != 'T'
    });
    agent.tell("exit 3");
    agent.wait_gone();
    assert_eq!(world.started_agents(), ["t1"]);
}

#[test]
fn world_agent_follows_its_behaviour() {
    let world = World::new();
    world.behaviour("sigint-42");
    let terminal = start_agent(&world, "t1");
    world.agent("t1").wait_started();
    terminal.keys(["C-c"]);
    assert_eq!(terminal.exit_code(), 42);

    world.behaviour("raw");
    let terminal = start_agent(&world, "t2");
    let agent = world.agent("t2");
    agent.wait_started();
    terminal.text("x;").keys(["Enter"]);
    assert_eq!(agent.wait_stdin("\r"), b"x;\r");
    agent.kill("KILL");
    agent.wait_gone();
    terminal.exit_code();

    world.behaviour("exit 7");
    assert_eq!(start_agent(&world, "t3").exit_code(), 7);
    world.behaviour("stubborn");
    start_agent(&world, "t4");
    let agent = world.agent("t4");
    agent.wait_started().kill("TERM");
    agent.tell("say still here");
    assert!(agent.is_alive());
    let pid = agent.pid();
    drop(world);
    wait_until("the stubborn agent to be reaped", || {
        Process::find(pid).is_none_or(|process| process.state == 'Z')
    });
}

#[test]
fn world_shim_records_only_calls_of_git_flux() {
    let world = with_shell_as_flux();
    world.shim();
    let script =
        "git hash-object --stdin </dev/null; git rev-parse 'a\nb' ''; echo $?; sh -c 'git version'";
    let output = world.flux(["-c", script]).run();
    output.success().stderr_has("fatal: ambiguous argument 'a");
    let mut lines = output.stdout.lines();
    assert_eq!(
        lines.next(),
        Some("e69de29bb2d1d6434b8b29ae775ad8c2e48c5391")
    );
    output.stdout_has("\n128\ngit version ");
    let calls = world.calls();
    assert_eq!(calls.len(), 2, "{calls:?}");
    assert_eq!(calls[0].line(), "git hash-object --stdin");
    assert_eq!(calls[1].args, ["rev-parse", "a\nb", ""]);
    assert_eq!(calls[1].by, Caller::Flux);
    world.clear_calls();
    let launcher = "git version; tmux -V; exit 0";
    world.flux(["-c", launcher, "__run"]).run().success();
    let calls = world.calls();
    assert!(calls.iter().all(|call| call.by == Caller::Launcher));
    assert_eq!(
        calls.iter().map(Call::line).collect::<Vec<_>>(),
        ["git version", "tmux -V"]
    );
}

#[test]
fn world_shim_counts_simultaneous_calls() {
    let world = with_shell_as_flux();
    world.shim();
    let script = "for i in 1 2 3 4 5 6 7 8; do git version & done; wait";
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| world.flux(["-c", script]).run().success().code);
        }
    });
    assert_eq!(world.calls().len(), 32);
}

#[test]
fn world_fault_affects_only_the_selected_call() {
    let world = with_shell_as_flux();
    let script = "git branch one; git branch two; echo $?; exit 0";
    let branches = || {
        world
            .git(["branch", "--format=%(refname:short)"])
            .replace('\n', " ")
    };
    let run = |fault: Fault| {
        world.fault(&fault);
        let output = world.flux(["-c", script]).run();
        assert!(world.fault_fired());
        world.wait_fault_over();
        let left = branches();
        for branch in ["one", "two"] {
            world.try_git(["branch", "-D", branch]).ok();
        }
        (output, left)
    };
    let (output, left) = run(Fault::nth("git", 2, Mode::Fail));
    output
        .success()
        .stdout_is("1\n")
        .stderr_is("fatal: injected\n");
    assert_eq!(left, "main one");
    let (output, left) = run(Fault::every("git", "branch two", Mode::FailAfter));
    output.success().stdout_is("1\n");
    assert_eq!(left, "main one two");
    let (output, left) = run(Fault::nth("git", 2, Mode::KillBefore));
    output.killed();
    assert_eq!(left, "main one");
    let (output, left) = run(Fault::nth("git", 1, Mode::KillAfter));
    output.killed();
    assert_eq!(left, "main one");
    let (output, left) = run(Fault::nth("git", 2, Mode::KillDuring));
    output.killed();
    assert_eq!(left, "main one two");
    world.fault(&Fault::nth("git", 3, Mode::KillBefore));
    world.flux(["-c", script]).run().success();
    assert!(!world.fault_fired());
    // Stdin is the real one also while the caller dies.
    world.fault(&Fault::nth("git", 1, Mode::KillDuring));
    let script = "git hash-object -w --stdin; exit 0";
    world
        .flux(["-c", script])
        .stdin("some text")
        .run()
        .killed()
        .stdout_has("b649a9bf89116c58");
}

#[test]
fn world_flux_runs_without_a_terminal_and_with_a_clean_environment() {
    let world = with_shell_as_flux();
    let output = world
        .flux([
            "-c",
            "cat; (: </dev/tty) 2>/dev/null || echo none; env; exit 4",
        ])
        .stdin("in\n")
        .env("X", "y")
        .run();
    output
        .code(4)
        .stdout_has("in\nnone\n")
        .stdout_has("X=y\n")
        .has_not("CARGO");
    world
        .flux(["--version"])
        .via_git()
        .run()
        .has_not("is not a git command");
    let path = world.path_without(["tmux"]);
    let script = "command -v tmux || command -v git";
    world
        .flux(["-c", script])
        .env("PATH", path)
        .run()
        .success()
        .stdout_has("without tmux/git");
}

#[test]
fn world_terminal_is_inside_or_outside_tmux() {
    let world = World::new();
    let outside = world.terminal(60, 10);
    assert_eq!(
        outside
            .command("test -z \"$TMUX$TMUX_PANE\" && tty")
            .exit_code(),
        0
    );
    outside.command("read answer; exit_with() { return $1; }; exit_with $answer");
    outside.text("5").keys(["Enter"]);
    assert_eq!(outside.exit_code(), 5);
    assert!(world.try_tmux(["list-sessions"]).is_none());
    let inside = world.terminal_inside();
    inside.command(
        "tmux display-message -p '#{pane_id}=='$TMUX_PANE; tmux split-window -d sleep 1000",
    );
    assert_eq!(inside.exit_code(), 0);
    inside.wait_for_screen(&format!("{0}=={0}", inside.pane()));
    let client = inside.client(100, 30);
    client.wait_for_screen("[exit 0 of 1]");
    assert_eq!(world.tmux(["list-panes", "-a"]).lines().count(), 2);
    let long =
        "a long line that is wrapped by the terminal is still found on its screen as one line";
    outside
        .command(&format!("echo '{long}' | tr a-z A-Z"))
        .wait_for_screen(&long.to_uppercase());
    world.kill_tmux();
    outside.close();
}

#[test]
fn world_snapshot_detects_every_change() {
    let world = World::new();
    world.assert_pristine();
    let before = world.snapshot();
    world.git(["status"]);
    world.assert_unchanged(&before);
    case(&world, "ref refs/flux/x", |w| {
        w.git(["update-ref", "refs/flux/x", "HEAD"])
    });
    case(&world, "README.md: 100644", |w| {
        w.write("README.md", "changed")
    });
    case(&world, "index of", |w| w.git(["add", "README.md"]));
    case(&world, "config file", |w| w.git(["config", "a.b", "c"]));
    case(&world, "myapp-x", |w| w.write("../myapp-x/file", ""));
    case(&world, "flux file run/x/exit", |w| {
        w.write(".git/flux/run/x/exit", "")
    });
    case(&world, "git dir has MERGE_HEAD", |w| {
        w.write(".git/MERGE_HEAD", "")
    });
    fs::remove_file(world.repo().join(".git/MERGE_HEAD")).unwrap();
    case(&world, "worktree entry b", |w| {
        w.git(["worktree", "add", "-q", "../b"])
    });
    case(&world, "pane %", |w| {
        w.tmux(["new-session", "-d", "-s", "flux-x", "sleep 1000"])
    });
    case(&world, "[branch", |w| {
        w.git(["config", "branch.feature/x.fluxTask", "x"])
    });
    case(&world, "index.lock", |w| w.write(".git/index.lock", ""));
    let failure =
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| world.assert_pristine()));
    let message = *failure.unwrap_err().downcast::<String>().unwrap();
    for trace in [
        "refs/flux/x",
        "myapp-x",
        "fluxTask",
        "index.lock",
        "run/x/exit",
        "worktree entry b",
        ": flux-x",
    ] {
        assert!(message.contains(trace), "no {trace} in {message}");
    }
}

#[test]
fn world_accepts_any_directory_name() {
    for name in ["a:b", "new\nline", "ü 'q' \"", "#{pid}", "$(touch x);"] {
        let world = World::at(name);
        let before = world.snapshot();
        let terminal = world.terminal(80, 24);
        terminal.command("git status");
        assert_eq!(terminal.exit_code(), 0);
        world.assert_unchanged(&before);
        world.assert_pristine();
    }
}

/// Makes a change and expects it to be noticed.
#[track_caller]
fn case<T>(world: &World, what: &str, change: impl FnOnce(&World) -> T) {
    let before = world.snapshot();
    drop(change(world));
    let changes = before.changes(&world.snapshot());
    assert!(
        changes.iter().any(|line| line.contains(what)),
        "{what}: {changes:#?}"
    );
}
