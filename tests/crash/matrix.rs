//! Runs a scenario once to record its calls, then once for each call and each fault.

use std::any::Any;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::settled::{End, Kept};
use crate::world::cases::WORKERS;
use crate::world::*;

/// The task that is started and cleaned up.
pub(super) const ID: &str = "fix-login";

const MODES: [Mode; 5] = [
    Mode::Fail,
    Mode::FailAfter,
    Mode::KillBefore,
    Mode::KillDuring,
    Mode::KillAfter,
];

/// Calls that change nothing: whether they fail before or after they are made, and whether their
/// caller dies before, during or after them, is all one.
/// Any other is taken for one that does.
const READING: [&str; 15] = [
    "--exec-path",
    "-V",
    "cat-file",
    "config -z --show-scope",
    "display-message",
    "fetch --dry-run",
    "for-each-ref",
    "list-panes",
    "list-sessions",
    "ls-files",
    "merge-tree",
    "rev-parse",
    "show-ref",
    "status",
    "worktree list",
];

/// A command, and what exists before it.
#[derive(Clone, Copy)]
pub(super) struct Scenario {
    /// Brings the world to where the command begins, and says what must outlive everything.
    pub(super) before: fn(&World) -> Kept,
    pub(super) command: for<'a> fn(&'a World) -> Flux<'a>,
    /// What the task comes to where nothing goes wrong.
    pub(super) aim: End,
    /// The calls whose failure does not stop it, by design.
    pub(super) harmless: &'static [&'static str],
}

/// Identifies a call, so that it can be found again in another world.
#[derive(Clone, Debug)]
struct Step {
    program: &'static str,
    /// The subcommand, with what tells it from others, between blanks.
    words: &'static str,
    nth: usize,
    by: Caller,
}

impl Step {
    fn modes(&self) -> impl Iterator<Item = Mode> {
        let reading = READING.contains(&self.words.trim());
        let all_one = [Mode::FailAfter, Mode::KillBefore, Mode::KillDuring];
        MODES
            .into_iter()
            .filter(move |mode| !(reading && all_one.contains(mode)))
    }

    /// Returns the faults to inject at this call, the `at`-th of its scenario.
    fn chosen(&self, at: usize) -> impl Iterator<Item = Mode> {
        let modes: Vec<Mode> = self.modes().collect();
        match injects_all() {
            true => modes.into_iter(),
            false => vec![modes[at % modes.len()]].into_iter(),
        }
    }
}

/// Whether every fault is injected at each call, as in `.ci/long`: otherwise one, another at each call.
pub(super) fn injects_all() -> bool {
    std::env::var_os("CRASH_ALL").is_some()
}

/// Calls that are made again when they fail, for they fail beside another `git worktree add`, or
/// where a server comes or goes.
const REPEATED: [&str; 4] = [
    "fetch --dry-run",
    "list-panes",
    "new-session",
    "worktree list",
];

/// The command after the fault.
#[derive(Clone, Copy, Debug)]
enum Next {
    /// A cleanup of something else.
    Cleanup,
    /// Another task.
    Run,
    /// The same command again.
    Again,
}

#[derive(Clone, Debug)]
struct Case {
    step: Step,
    mode: Mode,
    next: Next,
}

impl Scenario {
    /// Injects a fault at every call, or every fault ([`injects_all`]); panics once, with the list of what was not survived.
    #[track_caller]
    pub(super) fn survives_everything(self) {
        let template = World::new();
        let steps = self.record(&template);
        assert!(steps.len() > 5, "too few calls were recorded: {steps:?}");
        // As long as no number of modes, so that every mode meets every one.
        let kinds = [
            Next::Cleanup,
            Next::Again,
            Next::Run,
            Next::Cleanup,
            Next::Again,
            Next::Cleanup,
            Next::Again,
        ];
        let cases: Vec<Case> = steps
            .iter()
            .enumerate()
            .flat_map(|(at, step)| step.chosen(at).map(|mode| (step.clone(), mode)))
            .zip(kinds.iter().cycle())
            .map(|((step, mode), &next)| Case { step, mode, next })
            .filter(|case| wanted(&case.to_string()))
            .collect();
        let (at, failures) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        thread::scope(|scope| {
            for _ in 0..WORKERS {
                scope.spawn(|| {
                    while let Some(case) = cases.get(at.fetch_add(1, Ordering::Relaxed)) {
                        if let Err(why) = self.try_case(&template, case) {
                            failures.lock().unwrap().push(format!("{case}: {why}"));
                        }
                    }
                });
            }
        });
        let failures = failures.into_inner().unwrap();
        let (failed, all) = (failures.len(), cases.len());
        assert!(
            failures.is_empty(),
            "{failed} of {all} faults were not survived:\n\n{}",
            failures.join("\n\n")
        );
    }

    /// Returns the calls of a clean run.
    #[track_caller]
    fn record(self, template: &World) -> Vec<Step> {
        let world = fresh(template);
        let kept = (self.before)(&world);
        world.shim();
        (self.command)(&world).run().success();
        let mut calls = world.calls();
        // The launcher makes these beside the command; `worktree_lock` has their faults.
        calls.retain(|call| call.by != Caller::Launcher || !is_beside(call));
        let end = kept.assert_settled(&world, "after a clean run");
        assert_eq!(end, self.aim, "after a clean run");
        let mut steps: Vec<Step> = Vec::new();
        for (at, call) in calls.iter().enumerate() {
            let words = subcommand(call);
            // As the shim counts: by the same program and caller, with these words anywhere.
            let same = |other: &&Call| {
                other.program == call.program
                    && other.by == call.by
                    && format!("{} ", other.line()).contains(&words)
            };
            steps.push(Step {
                program: if call.program == "git" { "git" } else { "tmux" },
                nth: calls[..=at].iter().filter(same).count(),
                words: Box::leak(words.into_boxed_str()),
                by: call.by,
            });
        }
        steps
    }

    /// Runs a case in its own thread, and returns its panic.
    fn try_case(self, template: &World, case: &Case) -> Result<(), String> {
        thread::scope(|scope| {
            let name = case.to_string();
            let thread = thread::Builder::new().name(name);
            let handle = thread.spawn_scoped(scope, || self.survives(template, case));
            handle.unwrap().join().map_err(|panic| said(&*panic))
        })
    }

    fn survives(self, template: &World, case: &Case) {
        let world = fresh(template);
        let kept = (self.before)(&world);
        world.fault(&Fault {
            program: case.step.program,
            nth: match case.mode {
                Mode::Fail if REPEATED.contains(&case.step.words.trim()) => 0,
                _ => case.step.nth,
            },
            mode: case.mode,
            caller: case.step.by,
            words: case.step.words,
        });
        let output = (self.command)(&world).run();
        // A pane that closes by itself is asked for more or less often.
        if !world.fault_fired() && case.step.nth > 1 && case.step.words.trim() == "list-panes" {
            output.success();
            return;
        }
        assert!(world.fault_fired(), "the call was not made\n{output}");
        if Mode::KILLS.contains(&case.mode) {
            output.killed();
            world.wait_fault_over();
        }
        wait_until("the calls to end", || {
            let alive = |call: &Call| Process::find(call.pid).is_some_and(|p| p.state != 'Z');
            !world.calls().iter().any(alive)
        });
        world.clear_fault();
        if !Mode::KILLS.contains(&case.mode) {
            self.check_failure(&world, &kept, case, &output);
        }

        let before = format!("the command that was hit:\n{output}");
        let next = match case.next {
            Next::Cleanup => world.flux(["cleanup", "no-such-task"]).run(),
            Next::Run => world.flux(["run", "-q", "--name", "other", "Other"]).run(),
            Next::Again => (self.command)(&world).run(),
        };
        let context = format!("{before}\nthe next command:\n{next}");
        let expected: &[i32] = match case.next {
            Next::Cleanup => &[1],
            Next::Run => &[0],
            Next::Again => &[0, 1],
        };
        let code = next.code.unwrap_or_default();
        assert!(expected.contains(&code), "unexpected exit code\n{context}");
        let end = kept.assert_settled(&world, &context);
        if matches!(case.next, Next::Again) {
            assert_eq!(end, self.aim, "the command again\n{context}");
        }
        if Mode::KILLS.contains(&case.mode) {
            let settled = world.snapshot();
            world.flux(["cleanup", "no-such-task"]).run().code(1);
            let changes = settled.changes(&world.snapshot()).join("\n");
            assert!(changes.is_empty(), "not settled: {changes}\n{context}");
        }
        if end != self.aim {
            let retry = (self.command)(&world).run();
            let context = format!("{context}\nthe retry:\n{retry}");
            assert!(retry.code == Some(0), "the retry failed\n{context}");
            let end = kept.assert_settled(&world, &context);
            assert_eq!(end, self.aim, "the retry\n{context}");
        }
    }

    /// A failure is said, and what is said about it is true.
    fn check_failure(self, world: &World, kept: &Kept, case: &Case, output: &Output) {
        let context = output.to_string();
        if output.code == Some(0) {
            // What did its work may be taken for done, whatever it says.
            let harmless =
                case.mode == Mode::FailAfter || self.harmless.contains(&case.step.words.trim());
            assert!(harmless, "the failure was not noticed\n{output}");
            assert_eq!(kept.assert_settled(world, &context), self.aim, "{output}");
            return;
        }
        output.code(1).stderr_has("error: ");
        // A call that did its work and says it did not may leave it to the next command.
        // Where one of two tasks fails, the other one may land.
        let mut partly = ["not complete", "'second'"].iter();
        let is_partial = partly.any(|words| output.stderr.contains(words));
        if case.mode == Mode::Fail && !is_partial {
            let end = kept.assert_settled(world, &context);
            assert_ne!(end, self.aim, "it failed, yet\n{output}");
        }
    }
}

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Step {
            program,
            words,
            nth,
            ..
        } = &self.step;
        write!(
            f,
            "{:?} at {program}{words}#{nth}, then {:?}",
            self.mode, self.next
        )
    }
}

/// Makes a world with a copy of the template's repository, which is faster than making one.
pub(super) fn fresh(template: &World) -> World {
    let world = World::without_repository("flux world");
    let copied = world
        .command("cp")
        .arg("-a")
        .args([template.repo(), world.repo()])
        .status();
    assert!(copied.unwrap().success());
    // Nobody pulls the plug here.
    let config = world.tools().join("gitconfig");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text + "[core]\n\tfsync = none\n").unwrap();
    world
}

/// Returns the subcommand of a call, behind git's and tmux's own options: ` worktree add `.
fn subcommand(call: &Call) -> String {
    let args: Vec<_> = call.args.iter().map(|arg| arg.to_string_lossy()).collect();
    let mut at = 0;
    while args[at].starts_with('-') && !["-V", "--exec-path"].contains(&&*args[at]) {
        at += if ["-c", "-S"].contains(&&*args[at]) {
            2
        } else {
            1
        };
    }
    let further = match &*args[at] {
        "worktree" | "hook" => 1,
        "config" => 2,
        "fetch" if args[at + 1] == "--dry-run" => 1,
        _ => 0,
    };
    format!(" {} ", args[at..=at + further].join(" "))
}

/// Returns whether a call is `git worktree lock`, `git worktree unlock`, `git --exec-path` or `tmux if-shell`.
fn is_beside(call: &Call) -> bool {
    if call
        .args
        .iter()
        .any(|arg| arg == "--exec-path" || arg == "if-shell")
    {
        return true;
    }
    let words = call.args.windows(2);
    let mut words = words.filter(|words| words[0] == "worktree");
    words.any(|words| words[1] == "lock" || words[1] == "unlock")
}

/// Only cases whose name has `CRASH_CASE` in it, to look at one closely.
fn wanted(name: &str) -> bool {
    std::env::var("CRASH_CASE").map_or(true, |case| name.contains(&case))
}

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .unwrap_or_default()
}
