//! Tests that the fsmonitor daemon of a worktree is stopped with it. The test itself listens on the socket, since not
//! every git has the daemon.

use std::fs;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use crate::world::*;

const SOCKET: &str = "fsmonitor--daemon.ipc";

/// Listens where the daemon of the repository's worktree would, and nowhere near too long a path.
fn listen(world: &World) -> (UnixListener, PathBuf) {
    let socket = world.root().join("s");
    (UnixListener::bind(&socket).unwrap(), socket)
}

/// Links the socket into the git directory of the task, as if it had a daemon.
fn link_socket(world: &World, socket: &PathBuf, id: &str) {
    let admin = world.git_in(world.worktree(id), ["rev-parse", "--absolute-git-dir"]);
    fs::hard_link(socket, PathBuf::from(admin).join(SOCKET)).unwrap();
}

/// Returns how often a daemon was stopped since the last call.
fn stop_count(world: &World) -> usize {
    let stops = |call: &Call| call.line().ends_with("fsmonitor--daemon stop");
    let count = world.calls().iter().filter(|call| stops(call)).count();
    world.clear_calls();
    count
}

#[test]
fn cleanup_stops_the_fsmonitor_daemon_of_the_worktree() {
    let world = World::new();
    let (_listener, socket) = listen(&world);
    world.shim();
    let ways: [&[&str]; 2] = [&["-y"], &["-y", "--discard-branch"]];
    for way in ways {
        let id = world.start("Fix it");
        assert_eq!(stop_count(&world), 0);
        link_socket(&world, &socket, &id);
        world
            .flux(["cleanup", &id].iter().chain(way))
            .run()
            .success();
        assert_eq!(stop_count(&world), 1, "{way:?}");
        // In the trash it has none; one that was left there by an earlier version ends with its files.
        world.flux(["restore", "--drop", "-y", &id]).run().success();
        assert_eq!(stop_count(&world), 1);
    }
    let id = world.start("Fix it");
    world.flux(["cleanup", "-y", &id]).run().success();
    assert_eq!(stop_count(&world), 0);
}

#[test]
fn run_stops_the_fsmonitor_daemon_when_the_start_fails() {
    let world = World::new();
    let (_listener, socket) = listen(&world);
    world.shim();
    let hook = format!(
        "#!/bin/sh\nln '{}' \"$(git rev-parse --git-dir)/{SOCKET}\"\n",
        socket.display()
    );
    install_at(&world.repo().join(".git/hooks/post-checkout"), &hook);
    let before = world.snapshot();
    world.git(["config", "flux.setup", "false"]);
    world.flux(["run", "Fix it"]).run().code(1);
    assert_eq!(stop_count(&world), 1);
    world.git(["config", "--unset", "flux.setup"]);
    world.assert_unchanged(&before);
}

#[test]
fn cleanup_does_not_wait_for_a_hanging_fsmonitor_daemon() {
    let world = World::new();
    let (_listener, socket) = listen(&world);
    let id = world.start("Fix it");
    link_socket(&world, &socket, &id);
    world.fault(&Fault::every("git", "fsmonitor--daemon", Mode::Hang));
    world.flux(["cleanup", "-y", &id]).run().success();
    assert!(world.fault_fired());
    assert!(!world.worktree(&id).exists());
}

#[test]
fn cleanup_ignores_a_plain_file_in_place_of_the_fsmonitor_socket() {
    let world = World::new();
    world.shim();
    let id = world.start("Fix it");
    let admin = world.git_in(world.worktree(&id), ["rev-parse", "--absolute-git-dir"]);
    world.write(PathBuf::from(admin).join(SOCKET), "");
    world.flux(["cleanup", "-y", &id]).run().success();
    assert_eq!(stop_count(&world), 0);
}
