//! Tests a fault in each call of `git flux gate`, with and without the worktree of an earlier gate.

use std::fs;
use std::path::PathBuf;

use super::matrix::{fresh, injects_all};
use crate::world::cases::run_cases;
use crate::world::*;

const MODES: [Mode; 4] = [
    Mode::Fail,
    Mode::KillBefore,
    Mode::KillDuring,
    Mode::KillAfter,
];

/// What exists before the gate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Begin {
    Cold,
    /// A gate has run on other files.
    Warm,
}

/// Makes a task with uncommitted work, and a gate that passes only if it is there.
pub(super) fn prepare(world: &World, begin: Begin) -> PathBuf {
    let path = world.root().join("fix");
    let place = path.to_str().unwrap();
    world.git(["worktree", "add", "-q", "-b", "fix", place]);
    let adopt = ["adopt", "-q", "--name", "fix", place];
    world.flux(adopt).run().success();
    if begin == Begin::Warm {
        world.write(path.join("other"), "");
        world.git(["config", "flux.gate", "true"]);
        world.flux(["gate", "fix"]).run().success();
        fs::remove_file(path.join("other")).unwrap();
    }
    world.write(path.join("new"), "1\n");
    world.git([
        "config",
        "flux.gate",
        "test -e new -a -e README.md -a ! -e other",
    ]);
    path
}

/// Returns all that no gate may change.
pub(super) fn work(world: &World, path: &PathBuf) -> [String; 4] {
    let status = ["status", "--porcelain=v2", "--untracked-files=all"];
    [
        world.git(["for-each-ref"]),
        world.git(["config", "--local", "--list"]),
        world.git(status),
        world.git_in(path, status),
    ]
}

fn survives(template: &World, begin: Begin, nth: usize, mode: Mode) {
    let world = fresh(template);
    let path = prepare(&world, begin);
    let before = work(&world, &path);
    world.fault(&Fault::nth("git", nth, mode));
    let output = world.flux(["gate", "fix"]).run();
    assert!(world.fault_fired(), "the call was not made\n{output}");
    if Mode::KILLS.contains(&mode) {
        output.killed();
        world.wait_fault_over();
    }
    world.clear_fault();
    if mode == Mode::Fail {
        let code = output.code.unwrap_or_default();
        assert!(
            [1, 125].contains(&code),
            "the failure was not noticed\n{output}"
        );
        output.has_not("green").has_not("red:");
    }
    assert_eq!(work(&world, &path), before, "{output}");
    let again = world.flux(["gate", "fix"]).run();
    again.success().stdout_is("fix: green\n");
    assert_eq!(work(&world, &path), before, "{again}");
    let worktrees = world.git(["worktree", "list", "--porcelain"]);
    assert_eq!(worktrees.matches("worktree ").count(), 3, "{worktrees}");
    let admin = world.repo().join(".git/worktrees");
    for entry in fs::read_dir(admin).unwrap() {
        let dir = entry.unwrap().path();
        let locks = ["index.lock", "HEAD.lock"].map(|name| dir.join(name).exists());
        assert_eq!(locks, [false; 2], "{}", dir.display());
    }
    assert!(!world.repo().join(".git/flux/gate/running").exists());
}

#[track_caller]
fn survives_every_fault(begin: Begin) {
    let template = World::new();
    let world = fresh(&template);
    prepare(&world, begin);
    world.shim();
    world.flux(["gate", "fix"]).run().success();
    let calls = world.calls();
    let calls = calls.iter().filter(|call| call.program == "git").count();
    assert!(calls > 5, "too few calls were recorded: {calls}");
    let cases: Vec<_> = (1..=calls)
        .flat_map(|nth| MODES.map(|mode| (nth, mode)))
        .enumerate()
        // Another fault at each call.
        .filter(|(at, (nth, _))| injects_all() || at % MODES.len() == nth % MODES.len())
        .map(|(_, case)| case)
        .collect();
    run_cases(&cases, |(nth, mode)| {
        survives(&template, begin, *nth, *mode);
    });
}

#[test]
fn gate_survives_every_fault_in_a_new_worktree() {
    survives_every_fault(Begin::Cold);
}

#[test]
fn gate_survives_every_fault_in_a_warm_worktree() {
    survives_every_fault(Begin::Warm);
}
