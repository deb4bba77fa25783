//! Tests a launcher that tmux has not reaped: a zombie counts as ended.

use std::fs;
use std::process::{Child, Command, Stdio};

use crate::world::*;

/// A process that has ended and that nobody has waited for, with its start time as the kernel has it.
struct Zombie {
    child: Child,
    born: u64,
}

impl Zombie {
    fn new() -> Self {
        let child = Command::new("true").stdin(Stdio::null()).spawn().unwrap();
        let stat = format!("/proc/{}/stat", child.id());
        let fields = wait_for("a process to end", || {
            let stat = fs::read_to_string(&stat).unwrap();
            let (_, fields) = stat.rsplit_once(") ").unwrap();
            fields.starts_with('Z').then(|| fields.to_owned())
        });
        let born = fields.split(' ').nth(19).unwrap().parse().unwrap();
        Self { child, born }
    }
}

impl Drop for Zombie {
    fn drop(&mut self) {
        self.child.wait().ok();
    }
}

#[test]
fn status_of_a_task_is_lost_if_its_launcher_is_a_zombie() {
    let world = World::new();
    let id = world.start("Fix login");
    let agent = world.agent(&id);
    agent.wait_started();
    world.kill_tmux();
    let run = world.repo().join(".git/flux/run").join(&id);
    world.wait_ended(&id);

    // As after `kill -9` of launcher and agent, under a tmux that has not noticed.
    let zombie = Zombie::new();
    let (pid, born) = (zombie.child.id(), zombie.born);
    let running = format!(r#"{{"launcher":{pid},"born":{born},"agent":{pid},"since":1}}"#);
    fs::write(run.join("running"), running).unwrap();
    fs::remove_file(run.join("exit")).unwrap();

    let list = world.flux(["list", "--json"]).run().json();
    assert_eq!(list[0]["state"], "lost");
    world.flux(["cleanup", &id]).run().success();
    assert!(!world.worktree(&id).exists());
}
