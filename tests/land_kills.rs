//! Kills `git flux land` at any moment, and lands again: with the same end.

use crate::land::{assert_no_landing, tasks};
use crate::world::*;

/// The gate fails if a file `red` is there. It kills git flux in the run whose number is in the file
/// `kill`.
const GATE: &str = "echo run >>../runs; echo $$ >>../pids; \
    if test \"$(cat ../kill)\" = \"$(wc -l <../runs)\"; then \
        pid=$PPID; \
        until grep -q git-flux /proc/$pid/comm; do pid=$(cut -d ' ' -f 4 /proc/$pid/stat); done; \
        kill -KILL $pid; sleep 600; \
    fi; \
    test ! -e red";

/// Makes a repository with a gate and four tasks: one does not pass, one conflicts.
fn four_tasks(world: &World) {
    world.write(world.root().join("kill"), "0\n");
    world.commit_in(world.repo(), "main.txt", "main\n");
    world.git(["config", "flux.gate", GATE]);
    for (name, file) in [
        ("t1", "same"),
        ("t2", "red"),
        ("t3", "three"),
        ("t4", "same"),
    ] {
        world.behaviour("exit 0");
        world.flux(["run", "-q", "--name", name, "Fix"]).ok();
        world.wait_ended(name);
        world.commit_in(world.worktree(name), file, &format!("{name}\n"));
    }
}

/// Asserts that the tasks have landed as they do without a kill, after at most three more landings.
#[track_caller]
fn assert_landed(world: &World, tree: &str, killed: &Output) {
    let mut said = killed.to_string();
    let mut landed = Vec::new();
    for _ in 0..3 {
        let output = world.flux(["land", "--all"]).run();
        said += &output.to_string();
        landed = tasks(world);
        if landed == ["t2", "t4"] {
            break;
        }
    }
    assert_eq!(landed, ["t2", "t4"], "{said}");
    let found = world.git(["rev-parse", "main^{tree}"]);
    assert_eq!(found, tree, "another tree\n{said}");
    assert_no_landing(world);
    assert_eq!(world.git(["status", "--porcelain"]), "", "{said}");
    // The one that does not pass and the one that conflicts are blamed, once.
    for id in ["t2", "t4"] {
        let record = world.git(["show", &format!("refs/flux/tasks/{id}:task.json")]);
        assert!(record.contains("\"count\": 1"), "{id}: {record}\n{said}");
    }
    let gates = world.read(world.root().join("pids"));
    for pid in gates.lines() {
        // Another process may have got its number.
        let cwd = std::fs::read_link(format!("/proc/{pid}/cwd"));
        let is_left = cwd.is_ok_and(|cwd| cwd.starts_with(world.root()));
        assert!(!is_left, "the gate {pid} is left\n{said}");
    }
}

fn tree_without_a_kill() -> (String, usize) {
    let world = World::new();
    four_tasks(&world);
    world.shim();
    world.flux(["land", "--all"]).run().code(1);
    assert_eq!(tasks(&world), ["t2", "t4"]);
    let calls = world
        .calls()
        .iter()
        .filter(|call| call.program == "git")
        .count();
    (world.git(["rev-parse", "main^{tree}"]), calls)
}

/// Kills a landing at a call of git, and lands again.
fn kill_at_call(tree: &str, nth: usize, mode: Mode) {
    let world = World::new();
    four_tasks(&world);
    world.fault(&Fault::nth("git", nth, mode));
    let killed = world.flux(["land", "--all"]).run();
    if world.fault_fired() {
        killed.killed();
        world.wait_fault_over();
    }
    world.clear_fault();
    assert_landed(&world, tree, &killed);
}

/// Kills a landing while the gate runs for the nth time, and lands again.
fn kill_in_gate(tree: &str, nth: usize) {
    let world = World::new();
    four_tasks(&world);
    world.write(world.root().join("kill"), format!("{nth}\n"));
    let killed = world.flux(["land", "--all"]).run();
    killed.killed();
    assert_landed(&world, tree, &killed);
}

#[test]
fn land_after_a_kill_ends_as_without_one() {
    let (tree, calls) = tree_without_a_kill();
    for (step, mode) in [
        (3, Mode::KillAfter),
        (5, Mode::KillBefore),
        (7, Mode::KillDuring),
    ] {
        kill_at_call(&tree, calls * step / 8, mode);
    }
    kill_in_gate(&tree, 2);
}

#[test]
#[ignore = "it takes minutes: .ci/long land_kills"]
fn land_after_each_of_sixty_kills_ends_as_without_one() {
    let (tree, calls) = tree_without_a_kill();
    for step in 0..54 {
        let mode = Mode::KILLS[step % Mode::KILLS.len()];
        kill_at_call(&tree, 1 + calls * step / 54, mode);
    }
    (1..=6).for_each(|nth| kill_in_gate(&tree, nth));
}
