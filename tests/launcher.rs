//! Tests the launcher: process groups, signals, suspension, the shell afterwards.

use crate::world::launcher::*;
use crate::world::*;

#[test]
fn launcher_gives_the_agent_its_own_process_group_and_the_terminal() {
    let world = World::new();
    let task = Started::new(
        &world,
        "sh test -t 0 && test -t 1 && test -t 2 && echo on a terminal",
    );
    task.wait_for_screen("on a terminal");
    let agent = task.agent.process().unwrap();
    assert_eq!((agent.group, agent.foreground), (agent.pid, agent.pid));
    assert_eq!(
        (agent.parent, agent.session),
        (task.launcher, task.launcher)
    );
    let launcher = Process::find(task.launcher).unwrap();
    assert_eq!(
        (launcher.session, launcher.group),
        (launcher.pid, launcher.pid)
    );
    assert_eq!(
        (agent.terminal, agent.foreground),
        (launcher.terminal, launcher.foreground)
    );
    task.keys(["hello", "Enter"]);
    task.agent.wait_stdin("hello\n");
}

#[test]
fn launcher_starts_the_agent_with_default_signals() {
    let world = World::new();
    let task = Started::new(
        &world,
        "sh grep -E '^Sig(Blk|Ign)' /proc/self/status >signals",
    );
    task.agent.wait_first_done();
    let signals = world.read(world.worktree(&task.id).join("signals"));
    for (line, name) in signals.lines().zip(["SigBlk", "SigIgn"]) {
        let set = line
            .strip_prefix(name)
            .and_then(|rest| rest.strip_prefix(":\t"))
            .unwrap();
        // Above 31 are the C library's own.
        assert_eq!(
            u64::from_str_radix(set, 16).unwrap() & 0x7fff_ffff,
            0,
            "{signals}"
        );
    }
}

#[test]
fn launcher_survives_an_interrupt_that_ends_the_agent() {
    let world = World::new();
    let task = Started::new(&world, "sigint-42");
    task.keys(["C-c"]);
    assert_eq!(task.end(), exited(42));
    task.wait_for_screen("exited with status 42");
    assert_eq!(
        task.ask_shell("echo $PPID").parse(),
        Ok(Process::find(task.launcher).unwrap().parent)
    );
}

#[test]
fn launcher_keeps_running_if_the_agent_ignores_an_interrupt() {
    let world = World::new();
    let task = Started::new(&world, "stubborn");
    task.keys(["C-c", "C-\\"]);
    task.keys(["still here", "Enter"]);
    task.agent.wait_stdin("still here");
    assert_eq!(task.status()["state"], "running");
    assert!(task.agent.is_alive() && Process::find(task.launcher).is_some());
}

#[test]
fn launcher_survives_a_quit_that_ends_the_agent() {
    let world = World::new();
    let task = Started::new(&world, "wait");
    task.keys(["C-\\"]);
    assert_eq!(task.end(), killed(3));
    assert_eq!(
        task.ask_shell("pwd -P"),
        world.worktree(&task.id).to_str().unwrap()
    );
}

#[test]
fn launcher_runs_a_shell_while_the_agent_is_suspended() {
    let world = World::new();
    let task = Started::new(&world, "wait");
    for round in 0..2 {
        task.keys(["C-z"]);
        wait_until("the agent to stop", || {
            task.agent.process().unwrap().state == 'T'
        });
        task.wait_for_screen("The agent is suspended");
        assert_eq!(
            task.ask_shell("pwd -P"),
            world.worktree(&task.id).to_str().unwrap()
        );
        assert_eq!(task.ask_shell("echo $FLUX_TASK"), task.id);
        assert_eq!(task.status()["state"], "running");
        task.keys([if round == 0 { "exit" } else { "C-d" }]);
        task.keys(["Enter"]);
        wait_until("the agent to go on", || task.is_in_front());
        task.keys([&format!("back {round}"), "Enter"]);
        task.agent.wait_stdin(&format!("back {round}\n"));
        world.tmux(["send-keys", "-R", "-t", &task.pane]);
        world.tmux(["clear-history", "-t", &task.pane]);
    }
    task.agent.tell("exit 5");
    assert_eq!(task.end(), exited(5));
}

#[test]
fn launcher_restores_the_terminal_modes_of_a_suspended_agent() {
    let world = World::new();
    // The keys go to the agent raw, so it is stopped from outside, as some agents stop themselves on ^Z.
    let task = Started::new(&world, "raw");
    let group = format!("-{}", task.agent.pid());
    world
        .command("kill")
        .args(["-STOP", "--", &group])
        .status()
        .unwrap();
    task.wait_for_screen("The agent is suspended");
    let modes = task.ask_shell("stty -a");
    assert!(
        modes.contains(" icanon") && modes.contains(" echo "),
        "{modes}"
    );
    task.keys(["exit", "Enter"]);
    wait_until("the agent to go on", || task.is_in_front());
    task.keys(["x", "Enter"]);
    task.agent.wait_stdin("x\r");
}

#[test]
fn launcher_resets_the_terminal_after_the_agent_was_killed() {
    let world = World::new();
    let task = Started::new(&world, "raw");
    assert_eq!(
        world.tmux(["display-message", "-p", "-t", &task.pane, "#{alternate_on}"]),
        "1"
    );
    task.agent.kill("KILL");
    assert_eq!(task.end(), killed(9));
    task.wait_for_screen("was ended by signal 9");
    assert_eq!(
        world.tmux([
            "display-message",
            "-p",
            "-t",
            &task.pane,
            "#{alternate_on} #{cursor_flag}"
        ]),
        "0 1"
    );
    let modes = task.ask_shell("stty -a");
    assert!(
        modes.contains(" icanon") && modes.contains(" echo ") && modes.contains(" icrnl"),
        "{modes}"
    );
}

#[test]
fn launcher_runs_a_shell_if_the_agent_cannot_be_started() {
    let world = World::new();
    world.install("claude", "#!/no/such/interpreter\n");
    world
        .flux(["run", "--name", "fix", "Fix"])
        .run()
        .code(1)
        .stderr_has("could not be started");
    let task = world.flux(["status", "--json", "fix"]).run().json();
    assert_eq!(
        (&task["state"], task["exit"]["at"].is_u64()),
        (&"failed".into(), true)
    );
    let started = Started {
        world: &world,
        id: "fix".to_owned(),
        pane: task["target"]["pane"].as_str().unwrap().to_owned(),
        launcher: 0,
        agent: world.agent("fix"),
    };
    started.wait_for_screen("could not be started");
    assert_eq!(
        started.ask_shell("pwd -P"),
        world.worktree("fix").to_str().unwrap()
    );
}

#[test]
fn launcher_runs_the_shell_of_the_user_in_the_worktree_after_the_agent() {
    let world = World::new();
    world.install(
        "mysh",
        "#!/bin/sh\necho \"my shell [$*]\"\nexec /bin/sh -i\n",
    );
    let shell = world.tools().join("bin/mysh");
    let id = world.flux(["run", "-q", "Fix"]).env("SHELL", &shell).ok();
    let pane = world.tmux(["list-panes", "-a", "-F", "#{pane_id}"]);
    let launcher = world
        .tmux(["list-panes", "-a", "-F", "#{pane_pid}"])
        .parse()
        .unwrap();
    let task = Started {
        world: &world,
        agent: world.agent(&id),
        id,
        pane,
        launcher,
    };
    task.agent.tell("exit 0");
    task.wait_for_screen("exited with status 0");
    task.wait_for_screen(&format!("git flux cleanup {}", task.id));
    // No login shell: its profile would undo the environment that was carried here.
    task.wait_for_screen("my shell []");
    assert_eq!(
        task.ask_shell("pwd -P"),
        world.worktree(&task.id).to_str().unwrap()
    );
    assert_eq!(
        task.ask_shell("echo $FLUX_TASK $FLUX_BRANCH"),
        format!("{0} feature/{0}", task.id)
    );
    // git in this shell is the user's own.
    assert_eq!(
        task.ask_shell("env | grep -c ^GIT_; git log -1 --format=%s"),
        "0\nInitial commit"
    );
    assert_eq!(Process::find(task.launcher).unwrap().group, task.launcher);
}

/// Installs a tmux that runs `code` just before it opens a session.
fn run_before_new_session(world: &World, code: &str) {
    let real = require("tmux");
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in *new-session*)\n{code}\n;; esac\nexec '{}' \"$@\"\n",
        real.display()
    );
    world.install("tmux", &script);
}

#[test]
fn launcher_refuses_to_start_the_agent_outside_its_worktree() {
    for code in [
        // The directory is gone, is another one, is a link to another worktree.
        "mv '@' '@.away'",
        "mv '@' '@.away'; mkdir '@'",
        "mv '@' '@.away'; ln -s '%' '@'",
        "rm '@/.git'",
    ] {
        let world = World::new();
        let worktree = world.worktree("fix");
        let other = world.root().join("other");
        world.git(["worktree", "add", "-q", "../other"]);
        let code = code.replace('@', worktree.to_str().unwrap());
        run_before_new_session(&world, &code.replace('%', other.to_str().unwrap()));
        let output = world.flux(["run", "--name", "fix", "Fix"]).run();
        assert_eq!(output.code, Some(1), "{code}\n{output}");
        assert!(world.started_agents().is_empty(), "{code}\n{output}");
    }
}

#[test]
fn launcher_starts_the_agent_of_a_launch_file_only_once() {
    let world = World::new();
    let task = Started::new(&world, "wait");
    let launch = world
        .repo()
        .join(".git/flux/run")
        .join(&task.id)
        .join("launch");
    assert!(!launch.exists());
    let again = world.flux(["__run".as_ref(), launch.as_os_str()]).run();
    again.code(1).says(&expect![[r#"
        --- stderr
        error: the task was not started
          caused by: No such file or directory (os error 2)
    "#]]);
    assert_eq!(task.agent.starts(), 1);
    assert_eq!(task.status()["state"], "running");
}
