//! Tests that no commit and no file is lost if the agent commits, stages and writes during many cleanups.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use crate::world::cases::repetitions;
use crate::world::removal::*;
use crate::world::*;

/// How often the agent of an ordinary task is overtaken, unless `CLEANUP_ROUNDS` says it, as in `.ci/long`.
const ROUNDS: usize = 20;
/// How often one that leaves somebody behind is.
const ROUNDS_LEFT_BEHIND: usize = 5;

/// Commits every second file, stages every fourth, and notes what it has done once it is done.
const WORK: &str = r#"
notes=$1
n=0
until [ -e "$notes.stop" ]; do
	n=$((n + 1))
	echo "$n" >"$FLUX_TASK-$n.txt" && echo "$FLUX_TASK-$n.txt $n" >>"$notes.files"
	case $((n % 4)) in
	1 | 3)
		git add -- "$FLUX_TASK-$n.txt" && git commit -q -m "$n" && git rev-parse HEAD >>"$notes.commits"
		;;
	2) git add -- "$FLUX_TASK-$n.txt" ;;
	esac
done 2>/dev/null
echo ended >"$notes.ended"
"#;

/// Makes a world with an agent `busy` that keeps working, and an agent `parent` whose child keeps working in another
/// session.
fn world() -> World {
    let world = World::new();
    let config = world.tools().join("gitconfig");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text + "[core]\n\tfsync = none\n").unwrap();
    let dir = world.tools().join("loop");
    fs::create_dir(&dir).unwrap();
    let work = world.write(dir.join("work.sh"), WORK);
    let start = |how: &str| {
        format!(
            "#!/bin/sh\nstty -icanon\n{how} sh '{}' '{}'/\"$FLUX_TASK\" {}",
            work.display(),
            dir.display(),
            match how {
                "exec" => "\n",
                _ => "</dev/null >/dev/null 2>&1 &\nexec cat\n",
            }
        )
    };
    world.install("busy", &start("exec"));
    world.install("parent", &start("setsid"));
    world.git(["config", "flux.busy.command", "busy"]);
    world.git(["config", "flux.parent.command", "parent"]);
    world
}

/// The notes of the agent of a task.
struct Notes {
    path: PathBuf,
}

impl Notes {
    fn of(world: &World, id: &str) -> Self {
        let path = world.tools().join("loop").join(id);
        Self { path }
    }

    fn lines(&self, kind: &str) -> Vec<String> {
        let text = fs::read_to_string(self.path.with_extension(kind)).unwrap_or_default();
        // One that is being written right now is no note yet.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(str::to_owned).collect()
    }
}

fn start(world: &World, agent: &str, id: &str) -> Notes {
    let run = ["run", "-q", "--agent", agent, "--name", id, "Work on"];
    world.flux(run).ok();
    let notes = Notes::of(world, id);
    wait_until("the first commits", || notes.lines("commits").len() > 1);
    notes
}

fn is_gone(world: &World, id: &str) -> bool {
    let record = format!("refs/flux/tasks/{id}");
    world.git(["for-each-ref", &record]).is_empty()
}

/// Asserts that every commit that was noted is in a branch or in the archive, and every
/// file where the worktree is now.
#[track_caller]
fn assert_nothing_missing(world: &World, id: &str, notes: &Notes, said: &Output) {
    let reachable = world.git(["rev-list", "--all"]);
    let reachable: BTreeSet<&str> = reachable.lines().collect();
    let commits = notes.lines("commits");
    let lost: Vec<_> = commits
        .iter()
        .filter(|commit| !reachable.contains(commit.as_str()))
        .collect();
    assert!(
        lost.is_empty(),
        "of {commits:?} these are lost: {lost:?}\n{said}"
    );
    let home = match is_gone(world, id) {
        true => trash(world, id),
        false => world.worktree(id),
    };
    for line in notes.lines("files") {
        let (name, text) = line.split_once(' ').unwrap();
        let found = fs::read_to_string(home.join(name)).unwrap_or_default();
        assert_eq!(found.trim_end(), text, "{name} in {home:?}\n{said}");
    }
}

#[test]
fn cleanup_loses_no_commit_or_file_of_an_agent_that_keeps_working() {
    let world = world();
    for round in 0..repetitions("CLEANUP_ROUNDS").unwrap_or(ROUNDS) {
        let id = format!("loop-{round}");
        let notes = start(&world, "busy", &id);
        let output = world.flux(["cleanup", "-y", "--discard", &id]).run();
        output.success();
        assert_nothing_missing(&world, &id, &notes, &output);
        assert!(is_gone(&world, &id), "{output}");
        // What was committed is merged, whenever it was.
        let merged = world.git(["rev-list", "main"]);
        for commit in notes.lines("commits") {
            assert!(merged.contains(&commit), "{commit}\n{output}");
        }
        // And all of it comes back.
        if round % 10 == 0 {
            let status = ["restore", "-q", &id];
            world.flux(status).run().success();
            assert_nothing_missing(&world, &id, &notes, &output);
            world
                .flux(["cleanup", "-y", "--discard", &id])
                .run()
                .success();
        }
    }
    world.git(["fsck", "--connectivity-only", "--no-progress"]);
}

#[test]
fn cleanup_loses_no_commit_or_file_of_a_process_the_agent_left_behind() {
    let world = world();
    for round in 0..repetitions("CLEANUP_ROUNDS").unwrap_or(ROUNDS_LEFT_BEHIND) {
        let id = format!("loop-{round}");
        let notes = start(&world, "parent", &id);
        // Somebody works on whom nobody has stopped: it may refuse, or be overtaken by what changes.
        let output = world.flux(["cleanup", "-y", "--discard", &id]).run();
        assert!(matches!(output.code, Some(0 | 1)), "{output}");
        fs::write(notes.path.with_extension("stop"), "").unwrap();
        wait_until("the work to end", || !notes.lines("ended").is_empty());
        assert_nothing_missing_yet(&world, &id, &notes, &output);
        let output = world.flux(["cleanup", "-y", "--discard", &id]).run();
        assert!(matches!(output.code, Some(0 | 1)), "{output}");
        assert!(is_gone(&world, &id), "{output}");
        assert_nothing_missing(&world, &id, &notes, &output);
    }
    world.git(["fsck", "--connectivity-only", "--no-progress"]);
}

/// Asserts the same as `assert_nothing_missing` if the removal may be incomplete: the next command completes it.
#[track_caller]
fn assert_nothing_missing_yet(world: &World, id: &str, notes: &Notes, said: &Output) {
    let settled = world.flux(["cleanup", "no-such-task"]).run();
    settled.code(1);
    assert_nothing_missing(world, id, notes, said);
}
