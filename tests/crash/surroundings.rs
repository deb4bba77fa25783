//! Tests `land` and `gate` while the clock moves, another user's git holds locks, or worktrees are moved: each at a
//! call of git that they make.

use std::fs;
use std::path::PathBuf;

use super::gate;
use super::matrix::{fresh, injects_all};
use super::settled::own_changes;
use crate::land::{assert_no_landing, done, file, tasks};
use crate::world::cases::run_cases;
use crate::world::*;

/// Something that happens beside a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    /// The clock moves by more than a year.
    ClockForward,
    ClockBack,
    /// The git of another user locks the index, the target and the configuration.
    Lock,
    /// The user moves the worktree of a task.
    TaskMoved,
    /// The user moves the worktree of the gate.
    ScratchMoved,
}

const EVENTS: [Event; 5] = [
    Event::ClockForward,
    Event::ClockBack,
    Event::Lock,
    Event::TaskMoved,
    Event::ScratchMoved,
];

/// The files that git locks.
const LOCKED: [&str; 3] = ["index", "refs/heads/main", "config"];

/// A user of another number.
const OTHER_USER: u32 = 64_712;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subject {
    Gate,
    Land,
}

#[derive(Debug)]
struct Case {
    event: Event,
    /// The call of git before which it happens.
    nth: usize,
}

/// A world with tasks, and what no command may change in it.
struct Scene {
    world: World,
    subject: Subject,
    /// The worktree of a task.
    task: PathBuf,
    own: String,
}

impl Event {
    fn is_clock(self) -> bool {
        matches!(self, Self::ClockForward | Self::ClockBack)
    }

    /// Returns the script that makes it happen.
    fn script(self, scene: &Scene) -> String {
        let (world, task) = (&scene.world, scene.task.display());
        let (git, root) = (require("git"), world.root().display());
        let what = match self {
            Self::ClockForward => format!("echo 40000000 >'{}'", world.clock().display()),
            Self::ClockBack => format!("echo -40000000 >'{}'", world.clock().display()),
            Self::Lock => format!(
                "set -C; cd '{}'; for name in {}; do : >$name.lock && chown {OTHER_USER} $name.lock && \
                 echo $name.lock >>'{root}/locks'; done",
                world.repo().join(".git").display(),
                LOCKED.join(" ")
            ),
            Self::TaskMoved => format!(
                "'{}' -C '{}' worktree move '{task}' '{task}.moved'",
                git.display(),
                world.repo().display()
            ),
            Self::ScratchMoved => format!("mv '{root}/myapp--land' '{root}/aside'"),
        };
        format!("#!/bin/sh\n{what}\n:\n")
    }

    /// Ends it, except that the clock stays as it is. No lock of the other user may have been deleted.
    fn end(self, scene: &Scene) {
        let (world, root) = (&scene.world, scene.world.root());
        let moved = PathBuf::from(format!("{}.moved", scene.task.display()));
        let [aside, scratch] = ["aside", "myapp--land"].map(|name| root.join(name));
        match self {
            Self::ClockForward | Self::ClockBack => {}
            Self::Lock => {
                let locks = fs::read_to_string(root.join("locks")).unwrap_or_default();
                for name in locks.lines() {
                    fs::remove_file(world.repo().join(".git").join(name)).unwrap();
                }
            }
            Self::TaskMoved if moved.exists() => {
                let names = [&moved, &scene.task].map(|path| path.to_str().unwrap());
                world.git(["worktree", "move", names[0], names[1]]);
            }
            Self::ScratchMoved if aside.exists() => {
                // A new one may have been made.
                match scratch.exists() {
                    true => fs::remove_dir_all(aside).unwrap(),
                    false => fs::rename(aside, scratch).unwrap(),
                }
            }
            Self::TaskMoved | Self::ScratchMoved => {}
        }
    }
}

impl Subject {
    fn scene(self, template: &World) -> Scene {
        let world = fresh(template);
        let task = match self {
            Self::Gate => gate::prepare(&world, gate::Begin::Warm),
            Self::Land => {
                done(&world, &["alpha", "beta"]);
                world.git(["config", "flux.gate", "test -e README.md"]);
                // The worktree of the gate is there.
                world.flux(["gate", "alpha"]).run().success();
                world.write("src/login.txt", "my own\n");
                world.worktree("alpha")
            }
        };
        let own = match self {
            Self::Gate => gate::work(&world, &task).concat(),
            Self::Land => own_changes(&world),
        };
        Scene {
            world,
            subject: self,
            task,
            own,
        }
    }
}

impl Scene {
    fn command(&self) -> Flux<'_> {
        let args = match self.subject {
            Subject::Gate => ["gate", "fix"],
            Subject::Land => ["land", "--all"],
        };
        self.world.flux(args).with_clock(&self.world)
    }

    /// Asserts that the work is there as it was, and that nothing is half done.
    #[track_caller]
    fn assert_kept(&self, said: &str) {
        let world = &self.world;
        if self.subject == Subject::Gate {
            assert_eq!(gate::work(world, &self.task).concat(), self.own, "{said}");
            return;
        }
        assert_eq!(own_changes(world), self.own, "{said}");
        let left = tasks(world);
        for name in ["alpha", "beta"] {
            let is_there = world.worktree(name).join(file(name)).exists();
            let is_task = left.iter().any(|id| id == name) && is_there;
            let merged = world.try_git(["cat-file", "-e", &format!("main:{}", file(name))]);
            assert!(is_task || merged.is_ok(), "'{name}' is lost\n{said}");
        }
    }

    #[track_caller]
    fn assert_done(&self, output: &Output, said: &str) {
        let world = &self.world;
        assert_eq!(output.code, Some(0), "{said}");
        self.assert_kept(said);
        let worktrees = world.git(["worktree", "list", "--porcelain"]);
        let mut expected = 2;
        match self.subject {
            Subject::Gate => {
                output.stdout_is("fix: green\n");
                expected += 1;
            }
            Subject::Land => {
                assert_eq!(tasks(world), [""; 0], "{said}");
                assert_no_landing(world);
                let runs = fs::read_dir(world.repo().join(".git/flux/run")).unwrap();
                assert_eq!(runs.count(), 0, "{said}");
            }
        }
        let count = worktrees.matches("worktree /").count();
        assert_eq!(count, expected, "{worktrees}\n{said}");
    }
}

/// Lets an event happen at a call; the command may fail then, but the next one does not.
fn survives(subject: Subject, template: &World, case: &Case) {
    let scene = subject.scene(template);
    let world = &scene.world;
    world.install("meanwhile", &case.event.script(&scene));
    world.fault(&Fault::nth("git", case.nth, Mode::Meanwhile));
    let output = scene.command().run();
    assert!(world.fault_fired(), "the call was not made\n{output}");
    world.clear_fault();
    let said = format!("{case:?}\n{output}");
    if case.event.is_clock() {
        scene.assert_done(&output, &said);
    } else if output.code != Some(0) {
        assert!([Some(1), Some(125)].contains(&output.code), "{said}");
        output.stderr_has("error: ").has_not("red").has_not("green");
    }
    case.event.end(&scene);
    let again = scene.command().run();
    scene.assert_done(&again, &format!("{said}\n{again}"));
}

#[track_caller]
fn survives_each_event(subject: Subject) {
    let template = World::new();
    let scene = subject.scene(&template);
    scene.world.shim();
    scene.command().run().success();
    let calls = scene.world.calls();
    let calls = calls.iter().filter(|call| call.program == "git").count();
    assert!(calls > EVENTS.len(), "too few calls were recorded: {calls}");
    let cases: Vec<Case> = (1..=calls)
        .flat_map(|nth| EVENTS.map(|event| Case { event, nth }))
        // Each event once, at another part of the way.
        .filter(|case| {
            let at = EVENTS.iter().position(|event| *event == case.event);
            let part = calls * (at.unwrap() + 1) / (EVENTS.len() + 1);
            injects_all() || case.nth == part
        })
        .collect();
    run_cases(&cases, |case| survives(subject, &template, case));
}

#[test]
fn gate_survives_a_moved_clock_locks_of_others_and_moved_worktrees() {
    survives_each_event(Subject::Gate);
}

#[test]
fn land_survives_a_moved_clock_locks_of_others_and_moved_worktrees() {
    survives_each_event(Subject::Land);
}
