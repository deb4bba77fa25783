//! Tests ^C, SIGTERM and SIGHUP: exit code 130, and nothing half done.

use std::fs;
use std::io::Write as _;
use std::process::Command;

use nix::sys::stat;
use nix::unistd::mkfifo;

use super::matrix::ID;
use super::run::own_work;
use crate::world::*;

const RUN: &str = "git-flux run --name fix-login 'Fix the login'";

/// Ways to ask a command to stop.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Stop {
    /// ^C on its terminal.
    Key,
    /// A signal for git-flux alone.
    Signal(&'static str),
}

const STOPS: [Stop; 4] = [
    Stop::Key,
    Stop::Signal("INT"),
    Stop::Signal("TERM"),
    Stop::Signal("HUP"),
];

impl Stop {
    fn send(self, world: &World, terminal: &Terminal<'_>) {
        match self {
            Self::Key => drop(terminal.keys(["C-c"])),
            Self::Signal(name) => kill(name, &flux_pid(world).to_string()),
        }
    }
}

fn kill(signal: &str, pid: &str) {
    let sent = Command::new("kill").args(["-s", signal, pid]).status();
    assert!(sent.unwrap().success());
}

/// Returns the process id of the running git-flux.
fn flux_pid(world: &World) -> i32 {
    world.calls().last().expect("it has called git").parent
}

/// A checkout that waits at a file until `go` appears, and notes that it does.
fn slow_checkout(world: &World) {
    let dir = world.tools().display();
    let script = format!(
        "#!/bin/sh\necho >'{dir}/smudging'\nuntil [ -e '{dir}/go' ]; do sleep 0.02; done\nexec cat\n"
    );
    world.install("slowly", &script);
    world.git(["config", "filter.slow.smudge", "slowly"]);
    world.write(".gitattributes", "z*.slow filter=slow\n");
    world.write("a.txt", "checked out before\n");
    world.write("z1.slow", "slow\n");
    world.git(["add", "-A"]);
    world.git(["commit", "-q", "-m", "Slow files"]);
}

fn wait_for_smudging(world: &World) {
    let note = world.tools().join("smudging");
    wait_until("the checkout to be under way", || note.exists());
}

#[test]
fn run_leaves_nothing_behind_when_interrupted_during_the_checkout() {
    for stop in STOPS {
        let world = World::new();
        slow_checkout(&world);
        own_work(&world);
        let before = world.snapshot();
        world.shim();
        let terminal = world.terminal(100, 30);
        terminal.command(RUN);
        wait_for_smudging(&world);
        assert!(world.worktree(ID).exists(), "{stop:?} came too early");
        stop.send(&world, &terminal);
        if stop != Stop::Key {
            // The checkout was not asked to stop.
            fs::write(world.tools().join("go"), "").unwrap();
        }
        assert_eq!(terminal.exit_code(), 130, "{stop:?}: {}", terminal.screen());
        terminal.wait_for_screen("nothing is left of 'fix-login'");
        world.assert_unchanged(&before);
        assert_eq!(world.started_agents(), [""; 0]);
        fs::write(world.tools().join("go"), "").unwrap();
        world.behaviour("raw");
        world
            .flux(["run", "-q", "--name", ID, "Fix the login"])
            .ok();
    }
}

#[test]
fn run_ends_and_leaves_nothing_behind_when_its_terminal_closes() {
    let world = World::new();
    slow_checkout(&world);
    let before = world.snapshot();
    world.shim();
    let terminal = world.terminal(100, 30);
    terminal.command(RUN);
    wait_for_smudging(&world);
    let flux = flux_pid(&world);
    terminal.close();
    wait_until("git flux to end", || Process::find(flux).is_none());
    world.assert_unchanged(&before);
}

/// A tmux that makes the pane, in which the launcher then waits for ever to start.
fn slow_pane(world: &World) {
    let dir = world.tools().display();
    let tmux = require("tmux");
    let script = format!(
        "#!/bin/sh\n\
         n=$#\n\
         while [ $n -gt 0 ]; do\n\
         set -- \"$@\" \"$1\"\n\
         [ \"$1\" = -- ] && set -- \"$@\" sh -c 'echo >\"$0/waiting\"; sleep 100000; exec \"$@\"' '{dir}'\n\
         shift; n=$((n - 1))\n\
         done\n\
         exec {} \"$@\"\n",
        tmux.display()
    );
    world.install("tmux", &script);
}

#[test]
fn run_leaves_nothing_behind_when_interrupted_while_the_agent_starts() {
    for stop in STOPS {
        let world = World::new();
        slow_pane(&world);
        own_work(&world);
        let before = world.snapshot();
        // Seen by what the launcher's place does, and by whom git was called.
        world.shim();
        let plain = world.tools().join("shim/tmux");
        fs::remove_file(plain).unwrap();
        let terminal = world.terminal(100, 30);
        terminal.command(RUN);
        let waiting = world.tools().join("waiting");
        wait_until("the pane to be there", || waiting.exists());
        stop.send(&world, &terminal);
        assert_eq!(terminal.exit_code(), 130, "{stop:?}: {}", terminal.screen());
        world.assert_unchanged(&before);
        assert_eq!(world.started_agents(), [""; 0]);
    }
}

#[test]
fn run_can_be_interrupted_while_tmux_hangs() {
    let world = World::new();
    let before = world.snapshot();
    world.fault(&Fault::every("tmux", "new-session", Mode::Hang));
    let terminal = world.terminal(100, 30);
    terminal.command(RUN);
    wait_until("tmux to hang", || world.fault_fired());
    terminal.keys(["C-c"]);
    assert_eq!(terminal.exit_code(), 130, "{}", terminal.screen());
    world.assert_unchanged(&before);
}

/// A task with a commit and an uncommitted file, whose agent runs.
fn task(world: &World) {
    world.behaviour("raw");
    world
        .flux(["run", "-q", "--name", ID, "Fix the login"])
        .ok();
    world.commit_in(world.worktree(ID), "agent.txt", "work\n");
}

#[test]
fn cleanup_ends_at_its_question_on_a_signal_or_a_closed_terminal() {
    let world = World::new();
    task(&world);
    let before = world.snapshot();
    for stop in STOPS {
        world.shim();
        world.clear_calls();
        let terminal = world.terminal(100, 30);
        terminal.command("git-flux cleanup fix-login");
        terminal.wait_for_screen("and remove 'fix-login'?");
        stop.send(&world, &terminal);
        assert_eq!(terminal.exit_code(), 130, "{stop:?}: {}", terminal.screen());
        world.assert_unchanged(&before);
    }
    let terminal = world.terminal(100, 30);
    world.clear_calls();
    terminal.command("git-flux cleanup fix-login");
    terminal.wait_for_screen("and remove 'fix-login'?");
    let flux = flux_pid(&world);
    terminal.close();
    wait_until("git flux to end", || Process::find(flux).is_none());
    world.assert_unchanged(&before);
    assert!(world.agent(ID).is_alive());
}

#[test]
fn commands_end_on_a_signal_while_they_read_a_text() {
    let world = World::new();
    task(&world);
    let [file, pid] = ["text", "pid"].map(|name| world.tools().join(name));
    mkfifo(&file, stat::Mode::S_IRWXU).unwrap();
    let dir = world.tools().display();
    let script = format!("#!/bin/sh\necho $$ >'{dir}/pid'\nexec git-flux \"$@\" <'{dir}/text'\n");
    world.install("reading", &script);
    let before = world.snapshot();
    for command in [
        "send --stdin fix-login",
        "run --name other --file -",
        "review --from - fix-login",
    ] {
        for stop in STOPS {
            let mut options = fs::File::options();
            let mut pipe = options.read(true).write(true).open(&file).unwrap();
            pipe.write_all(b"A text that goes on\n").unwrap();
            let terminal = world.terminal(100, 30);
            terminal.command(&format!("reading {command}"));
            wait_until("the text to be read", || {
                rustix::io::ioctl_fionread(&pipe).unwrap() == 0
            });
            match stop {
                Stop::Key => drop(terminal.keys(["C-c"])),
                Stop::Signal(name) => kill(name, world.read(&pid).trim()),
            }
            assert_eq!(terminal.exit_code(), 130, "{command}, {stop:?}");
            drop(pipe);
            world.assert_unchanged(&before);
        }
    }
}

#[test]
fn cleanup_keeps_the_task_when_interrupted_while_the_agent_stops() {
    for stop in STOPS {
        let world = World::new();
        task(&world);
        // Only a kill ends this one, and that takes some seconds.
        world.agent(ID).tell("stubborn");
        world.write(world.worktree(ID).join("loose.txt"), "not committed\n");
        let worktree = world.worktree(ID);
        let before = (
            world.git(["for-each-ref"]),
            world.git_in(&worktree, ["status", "--porcelain"]),
        );
        world.shim();
        world.clear_calls();
        let terminal = world.terminal(100, 30);
        terminal.command("git-flux cleanup --yes --discard fix-login");
        terminal.wait_for_screen("stopping the agent");
        stop.send(&world, &terminal);
        assert_eq!(terminal.exit_code(), 130, "{stop:?}: {}", terminal.screen());
        let after = (
            world.git(["for-each-ref"]),
            world.git_in(&worktree, ["status", "--porcelain"]),
        );
        assert_eq!(before, after, "{stop:?}");
        assert_eq!(world.read(worktree.join("loose.txt")), "not committed\n");
        world
            .flux(["cleanup", "--yes", "--discard", ID])
            .run()
            .success();
        assert_eq!(world.read("agent.txt"), "work\n");
    }
}

#[test]
fn cleanup_completes_or_undoes_a_merge_that_is_interrupted() {
    for stop in STOPS {
        let world = World::new();
        task(&world);
        world.agent(ID).tell("exit 0");
        // The files of the merge come slowly into the user's own worktree.
        let dir = world.tools().display();
        let script = format!(
            "#!/bin/sh\necho >'{dir}/smudging'\nuntil [ -e '{dir}/go' ]; do sleep 0.02; done\nexec cat\n"
        );
        world.install("slowly", &script);
        world.git(["config", "filter.slow.smudge", "slowly"]);
        let attributes = world.repo().join(".git/info/attributes");
        world.write(attributes, "agent.txt filter=slow\n");
        let main = world.git(["rev-parse", "main"]);
        world.shim();
        let terminal = world.terminal(100, 30);
        terminal.command("git-flux cleanup --yes fix-login");
        wait_for_smudging(&world);
        stop.send(&world, &terminal);
        fs::write(world.tools().join("go"), "").unwrap();
        let code = terminal.exit_code();
        let screen = terminal.screen();
        let merged = world.git(["rev-parse", "main"]) != main;
        let ends = [(130, false), (0, true)];
        assert!(
            ends.contains(&(code, merged)),
            "{stop:?}, {merged}: {screen}"
        );
        assert_eq!(
            world.git(["status", "--porcelain"]),
            "",
            "{stop:?}: {screen}"
        );
        if code != 0 {
            assert!(world.worktree(ID).join("agent.txt").exists());
            world.flux(["cleanup", "--yes", ID]).run().success();
        }
        assert_eq!(world.read("agent.txt"), "work\n");
        assert!(!world.worktree(ID).exists());
    }
}
