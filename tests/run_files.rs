//! The files of a run, where an agent or a killed command has prepared them.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::world::*;

/// A program that holds the lock on a file.
struct Stranger(Child);

impl Stranger {
    /// Takes the lock by a program that has ended by now, as a shell does.
    fn hold(world: &World, path: &Path) -> Self {
        let ready = world.root().join("locked");
        let script = "exec 9>>\"$0\"; flock 9 || exit; : >\"$1\"; exec sleep 100000";
        let mut command: Command = world.command("sh");
        let child = command
            .args(["-c", script])
            .args([path, &ready])
            .stdout(Stdio::null());
        let stranger = Self(child.spawn().unwrap());
        wait_until("the lock to be held", || ready.exists());
        fs::remove_file(ready).unwrap();
        stranger
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn run_dir(world: &World, id: &str) -> PathBuf {
    world.repo().join(".git/flux/run").join(id)
}

#[test]
fn cleanup_names_the_process_that_holds_a_lock() {
    let world = World::new();
    let id = world.start("Fix login");
    world.agent(&id).wait_started();
    let locks = [
        run_dir(&world, &id).join("lock"),
        world.repo().join(".git/flux/lock"),
    ];
    let before = world.snapshot();
    for (lock, is_first) in locks.iter().zip([true, false]) {
        let stranger = Stranger::hold(&world, lock);
        let pid = stranger.0.id();
        let waits = || {
            let terminal = world.terminal(200, 40);
            terminal.command(&format!("git flux cleanup -y {id}"));
            terminal.wait_for_screen(&format!("waiting for 'sleep' (process {pid}), which holds"));
            terminal
        };
        if is_first {
            let terminal = waits();
            terminal.keys(["C-c"]);
            terminal.wait_for_screen("error: interrupted");
            world.assert_unchanged(&before);
        }
        let terminal = waits();
        drop(stranger);
        assert_eq!(terminal.exit_code(), 0, "{}", terminal.screen());
        world.flux(["restore", "-q", &id]).run().success();
    }
}

#[test]
fn an_agent_that_locks_the_events_delays_its_end_and_no_more() {
    let world = World::new();
    let id = world.start("Fix login");
    let agent = world.agent(&id);
    agent.wait_started();
    let run = run_dir(&world, &id);
    let _stranger = Stranger::hold(&world, &run.join("events"));
    world.flux(["cleanup", "-y", &id]).run().success();
    assert!(!run.exists());
}

#[test]
fn resume_removes_what_a_killed_command_left_and_follows_no_link() {
    let world = World::new();
    let id = world.start("Fix login");
    world.agent(&id).wait_started();
    world.kill_tmux();
    world.wait_ended(&id);
    let run = run_dir(&world, &id);
    let victim = world.write("victim", "untouched\n");
    for name in ["prompt.part", "launch.part", ".running.1a2b3c.part"] {
        fs::write(run.join(name), "left").unwrap();
    }
    for name in ["events", "prompt", "screen"] {
        fs::remove_file(run.join(name)).ok();
        symlink(&victim, run.join(name)).unwrap();
    }
    world.flux(["resume", "-q", "--over", &id]).run().success();
    assert_eq!(fs::read_to_string(&victim).unwrap(), "untouched\n");
    for entry in fs::read_dir(&run).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(!name.ends_with(".part"), "{name}");
    }
    // What is read is no link either: a link to a mark is none.
    let exit = run.join("exit");
    world.kill_tmux();
    world.wait_ended(&id);
    fs::rename(&exit, world.root().join("exit")).unwrap();
    symlink(world.root().join("exit"), &exit).unwrap();
    let list = world.flux(["list", "--json"]).run().json();
    assert_eq!(list[0]["state"], "unknown");
    fs::remove_file(&exit).unwrap();
    fs::rename(world.root().join("exit"), &exit).unwrap();
    // A link in the place of the whole directory is refused.
    let aside = world.root().join("aside");
    fs::rename(&run, &aside).unwrap();
    symlink(&aside, &run).unwrap();
    let before = world.snapshot();
    world
        .flux(["cleanup", "-y", &id])
        .run()
        .code(1)
        .stderr_has("could not lock");
    world.assert_unchanged(&before);
    // It is in the way of no other task, and neither is what is none.
    fs::write(run.with_file_name("file"), "").unwrap();
    symlink("/nowhere", run.with_file_name("link")).unwrap();
    world
        .flux(["run", "-q", "--name", "next", "Next"])
        .run()
        .success();
    world.flux(["cleanup", "-y", "next"]).run().success();
}
