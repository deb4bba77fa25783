//! Kills `git flux land` at any moment, and lands again: with the same end. `LAND_KILLS_SEED=<seed>` repeats the kills
//! at random moments of a run that has printed it.

use std::env;
use std::os::unix::process::CommandExt as _;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::land::{assert_no_landing, tasks};
use crate::world::cases::run_cases;
use crate::world::*;

/// The gate fails if a file `red` is there. In the run whose number is in the file `kill`, it first runs the command
/// there, and then does not end by itself.
const GATE: &str = "echo run >>../runs; echo $$ >>../pids; read -r nth command <../kill; \
    if test \"$nth\" = \"$(wc -l <../runs)\"; then eval \"$command\"; sleep 600; fi; \
    test ! -e red";

/// Finds the git flux that has started the gate.
const FIND_FLUX: &str = "pid=$PPID; until grep -q git-flux /proc/$pid/comm; do \
    pid=$(cut -d ' ' -f 4 /proc/$pid/stat); done";

/// The number of kills of each kind in the long test.
const KILLS: usize = 30;

/// The processes that are killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    Flux,
    /// With its git and whatever else is in its group.
    FluxGroup,
    /// The command of the gate.
    Gate,
    GateGroup,
}

impl Victim {
    /// Returns the command by which the gate kills it.
    fn command(self) -> String {
        match self {
            Self::Flux => format!("{FIND_FLUX}; kill -KILL $pid"),
            Self::FluxGroup => format!("{FIND_FLUX}; kill -s KILL -- -$pid"),
            Self::Gate => "kill -KILL $$".to_owned(),
            Self::GateGroup => "kill -KILL 0".to_owned(),
        }
    }
}

/// The moment of a kill.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// At this call of git.
    Call(usize, Mode),
    /// In this run of the gate.
    GateRun(usize, Victim),
    /// After this time.
    Time(Duration, Victim),
}

/// A landing without a kill.
struct Clean {
    tree: String,
    calls: usize,
    runs: usize,
    time: Duration,
}

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

impl Clean {
    fn land() -> Self {
        let world = World::new();
        four_tasks(&world);
        world.shim();
        let begun = Instant::now();
        world.flux(["land", "--all"]).run().code(1);
        let time = begun.elapsed();
        assert_eq!(tasks(&world), ["t2", "t4"]);
        let calls = world.calls();
        Self {
            tree: world.git(["rev-parse", "main^{tree}"]),
            calls: calls.iter().filter(|call| call.program == "git").count(),
            runs: world.read(world.root().join("runs")).lines().count(),
            time,
        }
    }

    /// Asserts that the tasks land as without a kill when `git flux land` runs again.
    #[track_caller]
    fn assert_landed(&self, world: &World, killed: &str) {
        let again = world.flux(["land", "--all"]).run();
        let said = format!("{killed}\n{again}");
        assert_eq!(tasks(world), ["t2", "t4"], "{said}");
        let found = world.git(["rev-parse", "main^{tree}"]);
        assert_eq!(found, self.tree, "another tree\n{said}");
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

    /// Kills a landing at this moment, and asserts that landing again ends as without a kill. Returns whether anything
    /// was killed.
    fn kill_at(&self, moment: Moment) -> bool {
        let world = World::new();
        four_tasks(&world);
        let (is_killed, said) = match moment {
            Moment::Call(nth, mode) => kill_at_call(&world, nth, mode),
            Moment::GateRun(nth, victim) => kill_in_gate(&world, nth, victim),
            Moment::Time(time, victim) => kill_after(&world, time, victim),
        };
        self.assert_landed(&world, &format!("{moment:?}\n{said}"));
        is_killed
    }

    /// Kills a landing at each of these moments, or sooner if it has ended before.
    #[track_caller]
    fn kill_at_each(&self, moments: &[Moment]) {
        run_cases(moments, |moment| {
            let mut moment = *moment;
            while !self.kill_at(moment) {
                moment = moment.sooner();
            }
        });
    }
}

impl Moment {
    fn sooner(self) -> Self {
        match self {
            Self::Call(nth, mode) => Self::Call(nth / 2, mode),
            Self::Time(time, victim) => Self::Time(time / 2, victim),
            Self::GateRun(..) => unreachable!("a gate that runs is killed"),
        }
    }
}

fn kill_at_call(world: &World, nth: usize, mode: Mode) -> (bool, String) {
    world.fault(&Fault::nth("git", nth, mode));
    let killed = world.flux(["land", "--all"]).run();
    let is_killed = world.fault_fired();
    if is_killed {
        killed.killed();
        world.wait_fault_over();
    }
    world.clear_fault();
    (is_killed, killed.to_string())
}

fn kill_in_gate(world: &World, nth: usize, victim: Victim) -> (bool, String) {
    let line = format!("{nth} {}\n", victim.command());
    world.write(world.root().join("kill"), line);
    let killed = world.flux(["land", "--all"]).run();
    match victim {
        Victim::Flux | Victim::FluxGroup => killed.killed(),
        // It goes on, without a verdict.
        Victim::Gate | Victim::GateGroup => killed.code(1),
    };
    (true, killed.to_string())
}

fn kill_after(world: &World, time: Duration, victim: Victim) -> (bool, String) {
    let mut command = world.command(world.tools().join("bin/git-flux"));
    command.args(["land", "--all"]).current_dir(world.repo());
    let command = command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.process_group(0).spawn().unwrap();
    thread::sleep(time);
    let is_killed = child.try_wait().unwrap().is_none();
    let pid = i32::try_from(child.id()).unwrap();
    let pid = if victim == Victim::FluxGroup {
        -pid
    } else {
        pid
    };
    kill(Pid::from_raw(pid), Signal::SIGKILL).ok();
    let status = child.wait().unwrap();
    (is_killed, status.to_string())
}

#[test]
fn land_after_a_kill_ends_as_without_one() {
    let clean = Clean::land();
    let mut moments = vec![
        Moment::GateRun(2, Victim::Flux),
        Moment::GateRun(1, Victim::GateGroup),
    ];
    let steps = [
        (2, Mode::KillGroup),
        (3, Mode::KillAfter),
        (5, Mode::KillBefore),
        (7, Mode::KillDuring),
    ];
    moments.extend(steps.map(|(step, mode)| Moment::Call(clean.calls * step / 8, mode)));
    clean.kill_at_each(&moments);
}

#[test]
#[ignore = "it takes minutes: .ci/long land_kills"]
fn land_after_each_of_sixty_kills_ends_as_without_one() {
    let seed =
        env::var("LAND_KILLS_SEED").map_or_else(|_| rand::random(), |it| it.parse().unwrap());
    println!("LAND_KILLS_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let clean = Clean::land();
    let modes = [&Mode::KILLS[..], &[Mode::KillGroup]].concat();
    let at_call = |step| {
        let nth = 1 + clean.calls * step / KILLS;
        Moment::Call(nth, modes[step % modes.len()])
    };
    let at_calls: Vec<Moment> = (0..KILLS).map(at_call).collect();
    let mut at_random = |step| match step % 3 {
        0 | 1 => {
            let victim = [Victim::Flux, Victim::FluxGroup][step % 3];
            Moment::Time(clean.time.mul_f64(random.random()), victim)
        }
        _ => {
            let victim = [Victim::Gate, Victim::GateGroup][step % 2];
            Moment::GateRun(random.random_range(1..=clean.runs), victim)
        }
    };
    let at_random: Vec<Moment> = (0..KILLS).map(&mut at_random).collect();
    for (kind, moments) in [("calls", at_calls), ("random", at_random)] {
        clean.kill_at_each(&moments);
        println!("{kind}: {KILLS} were killed, and ended as without a kill");
    }
}
