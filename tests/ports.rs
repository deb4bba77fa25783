//! Tests the ports that are reserved for a task.

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::world::*;

/// Returns the first port of each block.
fn blocks() -> impl Iterator<Item = u16> {
    (20_000..32_750).step_by(20)
}

fn claims(world: &World) -> PathBuf {
    world.tools().join("home/.local/state/git-flux/ports")
}

/// Returns the ports that are claimed.
fn claimed(world: &World) -> BTreeSet<String> {
    let entries = fs::read_dir(claims(world)).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name != "lock").collect()
}

/// Claims all blocks but these for something that is `there`.
fn claim_others(world: &World, but: &[u16], there: &Path) {
    fs::create_dir_all(claims(world)).unwrap();
    for port in blocks().filter(|port| !but.contains(port)) {
        symlink(there, claims(world).join(port.to_string())).unwrap();
    }
}

#[track_caller]
fn port(world: &World, id: &str) -> u16 {
    let status = world.flux(["status", "--json", id]).run().success().json();
    let port = status["port"].as_u64().unwrap().try_into().unwrap();
    let line = format!("Ports:     {port} to {}\n", port + 10);
    world.flux(["status", id]).run().success().stdout_has(&line);
    port
}

/// Returns two blocks on which no process listens, and a lock: a concurrent test would find the same blocks.
fn two_free() -> ([u16; 2], MutexGuard<'static, ()>) {
    static TURN: Mutex<()> = Mutex::new(());
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let all: Vec<u16> = blocks().collect();
    let free =
        |port: &&u16| (**port..**port + 11).all(|p| TcpListener::bind(("127.0.0.1", p)).is_ok());
    // Other processes look for the same: each begins somewhere else.
    let begin = std::process::id() as usize * 7 % all.len();
    let mut found = all.iter().cycle().skip(begin).take(all.len()).filter(free);
    ([*found.next().unwrap(), *found.next().unwrap()], turn)
}

#[test]
fn ports_are_unique_across_tasks_and_repositories() {
    let world = World::new();
    let other = world.root().join("other");
    world.make_repository(&other);
    let ports: Vec<u16> = thread::scope(|scope| {
        let run = |n: usize| {
            let (world, other) = (&world, &other);
            move || {
                let dir = if n < 3 { world.repo() } else { other.clone() };
                let name = format!("task-{n}");
                let run = ["run", "--json", "--name", &name, "Fix it"];
                let task = world.flux(run).in_dir(dir).run().success().json();
                u16::try_from(task["port"].as_u64().unwrap()).unwrap()
            }
        };
        let tasks: Vec<_> = (0..6).map(|n| scope.spawn(run(n))).collect();
        tasks.into_iter().map(|task| task.join().unwrap()).collect()
    });
    for (n, port) in ports.iter().enumerate() {
        assert!(blocks().any(|first| first == *port), "{port}");
        assert_eq!(
            ports.iter().filter(|other| *other == port).count(),
            1,
            "{ports:?}"
        );
        let agent = world.agent(&format!("task-{n}"));
        agent.wait_started();
        assert_eq!(agent.env("FLUX_PORT"), Some(port.to_string()));
    }
    let expected: BTreeSet<String> = ports.iter().map(u16::to_string).collect();
    assert_eq!(claimed(&world), expected);
}

#[test]
fn ports_are_released_by_cleanup_and_reused_by_restore_if_free() {
    let world = World::new();
    world.behaviour("commit one");
    let id = world.start("Fix it");
    world.agent(&id).wait_first_done();
    let first = port(&world, &id);
    world.flux(["cleanup", "-y", &id]).run().success();
    assert!(claimed(&world).is_empty());
    world.flux(["restore", &id]).run().success();
    assert_eq!(port(&world, &id), first);
    let agent = world.agent(&id);
    agent.wait_starts(2);
    assert_eq!(agent.env("FLUX_PORT"), Some(first.to_string()));

    world.flux(["cleanup", "-y", &id]).run().success();
    symlink(world.repo(), claims(&world).join(first.to_string())).unwrap();
    world.flux(["restore", &id]).run().success();
    let second = port(&world, &id);
    assert_ne!(second, first);
    agent.wait_starts(3);
    assert_eq!(agent.env("FLUX_PORT"), Some(second.to_string()));
    // The other one's is not touched.
    world.flux(["cleanup", "-y", &id]).run().success();
    assert_eq!(claimed(&world), BTreeSet::from([first.to_string()]));
}

#[test]
fn ports_in_use_by_another_process_are_skipped() {
    let world = World::new();
    let ([busy, free], _turn) = two_free();
    claim_others(&world, &[busy, free], &world.repo());
    let _listener = TcpListener::bind(("0.0.0.0", busy + 10)).unwrap();
    let id = world.start("Fix it");
    assert_eq!(port(&world, &id), free);
}

#[test]
fn ports_of_a_missing_task_are_reused_if_no_others_are_free() {
    let world = World::new();
    let ([gone, free], _turn) = two_free();
    claim_others(&world, &[gone, free], &world.repo());
    symlink(
        world.root().join("gone"),
        claims(&world).join(gone.to_string()),
    )
    .unwrap();
    let first = world.start("Fix it");
    assert_eq!(port(&world, &first), free);
    let second = world.start("Fix it");
    assert_eq!(port(&world, &second), gone);
    // And where all are taken the task does without.
    let output = world.flux(["run", "--name", "third", "Fix it"]).run();
    output
        .success()
        .stderr_has("warning: no ports reserved: all are in use\n");
    let agent = world.agent("third");
    agent.wait_started();
    assert_eq!(agent.env("FLUX_PORT"), None);
    let status = world.flux(["status", "--json", "third"]).run().json();
    assert!(status["port"].is_null());
}

#[test]
fn ports_are_released_if_the_start_fails() {
    let world = World::new();
    world.fault(&Fault::every("tmux", "new-session", Mode::Fail));
    world.flux(["run", "-q", "Fix it"]).run().code(1);
    assert!(claimed(&world).is_empty());
    world.clear_fault();
    // Nor one that was killed, once the next command has settled it.
    world.fault(&Fault::nth("git", 3, Mode::KillBefore).by(Caller::Flux));
    world.flux(["run", "-q", "Fix it"]).run().killed();
    world.wait_fault_over();
    world.clear_fault();
    let id = world.start("Fix it");
    let own = port(&world, &id).to_string();
    for claim in claimed(&world).into_iter().filter(|claim| *claim != own) {
        // What is left leads nowhere.
        assert!(!claims(&world).join(claim).exists());
    }
    assert!(claims(&world).join(own).exists());
}

#[test]
fn run_succeeds_without_ports_if_they_cannot_be_reserved() {
    let world = World::new();
    let state = world.write("state", "a file");
    let output = world
        .flux(["run", "--name", "fix", "Fix it"])
        .env("XDG_STATE_HOME", &state)
        .run();
    output
        .success()
        .stderr_has("warning: no ports reserved: could not make");
    // A relative one does not count, as the standard has it.
    let output = world
        .flux(["run", "--name", "next", "Fix it"])
        .env("XDG_STATE_HOME", "state")
        .run();
    output.success().has_not("warning");
    assert_eq!(claimed(&world).len(), 1);
}

#[test]
fn run_sets_a_compose_project_name_for_each_task() {
    let world = World::new();
    let project = world.root().join("My App");
    world.make_repository(&project);
    let run = ["run", "-q", "--name", "fix-1", "Fix it"];
    let flux = world.flux(run).in_dir(&project);
    flux.env("COMPOSE_PROJECT_NAME", "mine").ok();
    let agent = world.agent("fix-1");
    agent.wait_started();
    let name = agent.env("COMPOSE_PROJECT_NAME");
    assert_eq!(name.as_deref(), Some("my-app-fix-1"));
}
