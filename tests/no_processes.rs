//! Tests a build without information about processes, which `.ci/long` makes: what is unknown is refused or asked
//! about.

use std::fs;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::world::launcher::Started;
use crate::world::*;

/// A process that has the id of another process now.
struct Impostor(Child);

impl Impostor {
    fn new() -> Self {
        let mut command = Command::new("sleep");
        Self(command.arg("1000").stdin(Stdio::null()).spawn().unwrap())
    }

    /// Puts its id in place of that of the launcher or the agent.
    fn take(&self, task: &Started<'_>, who: &str) {
        task.note(who, self.0.id());
    }

    fn assert_alive(&mut self) {
        assert_eq!(self.0.try_wait().unwrap(), None);
    }
}

impl Drop for Impostor {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

impl Started<'_> {
    fn run_file(&self, name: &str) -> std::path::PathBuf {
        let runs = self.world.repo().join(".git/flux/run");
        runs.join(&self.id).join(name)
    }

    fn note(&self, who: &str, pid: u32) {
        let path = self.run_file("running");
        let mut running: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        running[who] = pid.into();
        fs::write(path, running.to_string()).unwrap();
    }

    /// Waits for the end of an agent whose launcher is gone. What took it over may never wait for
    /// it: then its number stays, so another stands for it that is certainly free.
    fn wait_agent_gone(&self) {
        self.agent.wait_gone();
        self.note("agent", i32::MAX as u32);
    }

    /// Kills the launcher before it can write anything.
    fn kill_launcher(&self) {
        let kill = format!("kill -9 {}", self.launcher);
        let mut shell = Command::new("/bin/sh");
        assert!(shell.args(["-c", &kill]).status().unwrap().success());
        wait_until("the launcher to end", || {
            Process::find(self.launcher).is_none()
        });
    }

    /// Ends the shell that follows the agent, and with it the pane.
    fn leave_shell(&self) {
        self.keys(["exit", "Enter"]);
        wait_until("the pane to close", || {
            let panes = self
                .world
                .try_tmux(["list-panes", "-a", "-F", "#{pane_id}"]);
            panes.is_none_or(|panes| panes.lines().all(|pane| pane != self.pane))
        });
    }

    fn cleanup(&self) -> Output {
        self.world.flux(["cleanup", "-y", &self.id]).run()
    }

    /// Asserts that cleanup refuses with these words and changes nothing, and follows its hint.
    #[track_caller]
    fn refused(&self, words: &str) {
        let before = self.world.snapshot();
        let output = self.cleanup();
        output.code(1).stderr_has(words);
        self.world.assert_unchanged(&before);
        let hints = output.stderr.lines();
        let mut hints = hints.filter_map(|line| line.strip_prefix("hint: to delete this file: "));
        let hint = hints.next().unwrap_or_else(|| panic!("no hint\n{output}"));
        let mut shell = self.world.command("/bin/sh");
        assert!(shell.args(["-c", hint]).status().unwrap().success());
    }
}

#[test]
fn cleanup_leaves_another_process_with_the_id_of_the_launcher_alone() {
    let world = World::new();
    let mut impostor = Impostor::new();

    // The launcher's lock is there, and free.
    let task = Started::new(&world, "wait");
    task.kill_launcher();
    task.wait_agent_gone();
    impostor.take(&task, "launcher");
    assert_eq!(task.status()["state"], "lost");
    task.cleanup().success();
    impostor.assert_alive();

    // It found no room for a lock.
    let task = Started::new(&world, "wait");
    task.kill_launcher();
    task.wait_agent_gone();
    impostor.take(&task, "launcher");
    fs::remove_file(task.run_file("alive")).unwrap();
    assert_eq!(task.status()["state"], "unknown");
    task.refused("cannot determine whether process");
    impostor.assert_alive();
    task.cleanup().success();

    // The agent's number.
    let task = Started::new(&world, "wait");
    task.kill_launcher();
    task.wait_agent_gone();
    impostor.take(&task, "agent");
    world
        .flux(["resume", &task.id])
        .run()
        .code(1)
        .stderr_has("may be alive, although the process that started it is gone");
    task.refused("may be alive, although the process that started it is gone");
    impostor.assert_alive();
    task.cleanup().success();
    impostor.assert_alive();
}

#[test]
fn cleanup_refuses_while_an_agent_without_a_launcher_may_be_alive() {
    let world = World::new();
    let task = Started::new(&world, "stubborn");
    task.kill_launcher();
    assert_eq!(task.status()["state"], "lost");
    let before = world.snapshot();
    task.cleanup()
        .code(1)
        .stderr_has("may be alive, although the process that started it is gone");
    world.assert_unchanged(&before);
    assert!(task.agent.is_alive());
    task.agent.kill("KILL");
    task.wait_agent_gone();
    task.cleanup().success();
}

#[test]
fn cleanup_resume_and_send_refuse_if_the_jobs_of_the_pane_are_unknown() {
    let world = World::new();
    let task = Started::new(&world, "wait");
    let before = world.snapshot();
    world
        .flux(["send", &task.id, "hello"])
        .run()
        .code(1)
        .stderr_has("cannot tell what reads input");
    // What the user has begun while the agent was stopped is not known either.
    let unknown = "this system cannot list the jobs in the pane";
    task.cleanup().code(1).stderr_has(unknown);
    world.assert_unchanged(&before);
    assert!(task.agent.is_alive());

    task.agent.tell("exit 0");
    world.wait_ended(&task.id);
    task.wait_for_screen("To merge its work");
    world
        .flux(["cleanup", "-n", &task.id])
        .run()
        .code(1)
        .stdout_has(unknown);
    let before = world.snapshot();
    let attach = format!("git flux attach {}", task.id);
    task.cleanup()
        .code(1)
        .stderr_has(unknown)
        .stderr_has(&attach);
    let resume = || world.flux(["resume", &task.id]).run();
    resume()
        .code(1)
        .stderr_has("cannot tell what runs")
        .stderr_has(&attach);
    world.assert_unchanged(&before);
    task.leave_shell();
    world.behaviour("wait");
    resume().success();
    task.agent.wait_starts(2);
    assert_eq!(task.status()["state"], "running");

    // Who agrees to it, on a terminal.
    let terminal = world.terminal(120, 30);
    terminal.type_line(&format!("git flux cleanup -y {}", task.id));
    terminal.wait_for_screen("Remove the task anyway?");
    terminal.keys(["y"]);
    wait_until("the task to be removed", || {
        !world.worktree(&task.id).exists()
    });
    task.agent.wait_gone();
}

#[test]
fn launcher_hangs_up_background_jobs_of_setup_after_the_agent() {
    let world = World::new();
    let setup = "sleep 1000 & echo $! >../left";
    world.git(["config", "flux.setup", setup]);
    let task = Started::new(&world, "wait");
    let left = fs::read_to_string(world.root().join("left")).unwrap();
    let left = || Process::find(left.trim().parse().unwrap());
    assert!(left().is_some());
    task.agent.tell("exit 0");
    world.wait_ended(&task.id);
    wait_until("the rest to end", || {
        left().is_none_or(|one| one.state == 'Z')
    });
    task.wait_for_screen("To merge its work");
}

#[test]
fn gate_refuses_while_the_commands_of_a_killed_one_may_still_run() {
    let world = World::new();
    let gate = "test -e \"$HOME/pid\" || { echo $$ >\"$HOME/new\"; mv \"$HOME/new\" \"$HOME/pid\"; sleep 1000; }";
    world.git(["config", "flux.gate", gate]);
    world
        .flux(["run", "--session", "--name", "fix", "Fix it"])
        .ok();
    let mut first = world.command(world.tools().join("bin/git-flux"));
    let first = first.args(["gate", "fix"]).current_dir(world.repo());
    let first = first.stdout(Stdio::null()).stderr(Stdio::null());
    let mut first = first.spawn().unwrap();
    let pid = world.tools().join("home/pid");
    wait_until("the command to start", || pid.exists());
    first.kill().unwrap();
    first.wait().unwrap();
    let record = fs::read(world.repo().join(".git/flux/gate/running")).unwrap();
    let record: Value = serde_json::from_slice(&record).unwrap();
    let group = record["group"].as_i64().unwrap();
    let what = format!("error: process group {group} may still run the gate\n");
    let hint = format!("hint: kill -- -{group}\n");
    let refused = world.flux(["gate", "fix"]).run();
    refused.code(125).stderr_has(&what).stderr_has(&hint);
    let mut kill = Command::new("kill");
    let kill = kill.args(["-s", "KILL", "--", &format!("-{group}")]);
    assert!(kill.status().unwrap().success());
}
