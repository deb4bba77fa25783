//! Tests many runs, cleanups and agents at once, beside other programs that write the same repository.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::world::*;

const MANY: usize = 20;

/// Runs a command for each of `items` at once, and returns their outputs in the same order.
fn run_at_once<T: Sync>(items: &[T], run: impl Fn(&T) -> Output + Sync) -> Vec<Output> {
    let waiting = std::sync::Barrier::new(items.len());
    thread::scope(|scope| {
        let start = |item| {
            let (waiting, run) = (&waiting, &run);
            scope.spawn(move || {
                waiting.wait();
                run(item)
            })
        };
        let threads: Vec<_> = items.iter().map(start).collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    })
}

/// Asserts that every one succeeded, and shows all that did not.
#[track_caller]
fn all_succeed(outputs: &[Output]) {
    let failed: Vec<String> = outputs
        .iter()
        .filter(|output| output.code != Some(0))
        .map(ToString::to_string)
        .collect();
    let count = failed.len();
    assert!(failed.is_empty(), "{count} failed:\n{}", failed.join("\n"));
}

/// Asserts that a command failed and said only this, except that it waited for another one, which it says after a
/// while.
#[track_caller]
fn assert_refused(output: &Output, expected: &[&str]) {
    output.code(1).stdout_is("");
    let lines = output.stderr.lines();
    let said = lines.filter(|line| !line.starts_with("waiting for another git flux that works on"));
    assert_eq!(said.collect::<Vec<_>>(), expected);
}

/// Makes a world whose repository is made by `git init` with these options.
fn world_of(options: &[&str]) -> World {
    let world = World::without_repository("flux world");
    std::fs::create_dir(world.repo()).unwrap();
    world.git(["init", "-q"].iter().chain(options));
    world.fill(&world.repo());
    world
}

/// Starts and removes twenty tasks at once.
#[track_caller]
fn run_and_clean_up_twenty(world: &World) {
    world.behaviour("raw");
    let before = world.git(["rev-parse", "main"]);
    let numbers: Vec<usize> = (1..=MANY).collect();
    let outputs = run_at_once(&numbers, |n| {
        world
            .flux(["run", "-q", &format!("Task {n} of many")])
            .run()
    });
    all_succeed(&outputs);
    let ids: Vec<String> = outputs
        .iter()
        .map(|output| output.stdout.trim_end().to_owned())
        .collect();
    assert_whole(world, &ids, &before);
    for (n, id) in ids.iter().enumerate() {
        let prompt = world.agent(id).prompt();
        let task = format!("Task {} of many", n + 1);
        assert!(String::from_utf8_lossy(&prompt).contains(&task), "{id}");
    }

    for id in &ids {
        world.commit_in(world.worktree(id), &format!("{id}.txt"), id);
    }
    let outputs = run_at_once(&ids, |id| world.flux(["cleanup", "-y", id]).run());
    all_succeed(&outputs);
    for id in &ids {
        assert_eq!(world.read(format!("{id}.txt")), *id);
        assert!(!world.worktree(id).exists(), "the worktree of {id} is left");
    }
    assert_eq!(world.git(["status", "--porcelain"]), "");
    let merged = world.git([
        "rev-list",
        "--count",
        "--no-merges",
        "main",
        &format!("^{before}"),
    ]);
    assert_eq!(merged, MANY.to_string());
    assert_nothing_left(world);
    world.git(["fsck", "--strict"]);
}

/// Asserts that these tasks are there, each with all that belongs to it, and no other.
#[track_caller]
fn assert_whole(world: &World, ids: &[String], base: &str) {
    let tasks = world.flux(["list", "--json"]).run();
    tasks.success();
    let tasks = tasks.json();
    let tasks = tasks.as_array().unwrap();
    assert_eq!(tasks.len(), ids.len());
    let worktrees = world.git(["worktree", "list", "--porcelain"]);
    for id in ids {
        let task = tasks.iter().find(|task| task["id"] == id.as_str());
        let task = task.unwrap_or_else(|| panic!("{id} is not listed"));
        assert_eq!(task["state"], "running", "{task}");
        assert_eq!(task["base"], base);
        let branch = format!("branch refs/heads/feature/{id}\n");
        assert!(format!("{worktrees}\n").contains(&branch), "{id}");
        let section = format!("branch.feature/{id}.fluxTask");
        assert_eq!(world.git(["config", "--local", &section]), *id);
        assert_eq!(world.git(["rev-parse", &format!("feature/{id}")]), base);
        let of_base = format!("refs/flux/base/{id}");
        assert_eq!(world.git(["rev-parse", &of_base]), base);
        let status = ["--no-optional-locks", "status", "--porcelain"];
        assert_eq!(world.git_in(world.worktree(id), status), "");
        let files = world.git_in(world.worktree(id), ["ls-files"]);
        assert_eq!(files, ".gitignore\nREADME.md\nsrc/login.txt");
        assert_eq!(world.agent(id).wait_started().starts(), 1);
    }
    assert_eq!(worktrees.matches("worktree /").count(), ids.len() + 1);
    let panes = world.tmux(["list-panes", "-a"]);
    assert_eq!(panes.lines().count(), ids.len());
}

/// Asserts that no task is there, and nothing of one but the archive.
#[track_caller]
fn assert_nothing_left(world: &World) {
    let refs = world.git(["for-each-ref", "--format=%(refname)"]);
    let left = |name: &&str| *name != "refs/heads/main" && !name.starts_with("refs/flux/archive/");
    assert_eq!(refs.lines().find(left), None);
    assert_eq!(world.git(["worktree", "list"]).lines().count(), 1);
    let config = world.read(".git/config");
    assert!(!config.contains("feature/"), "{config}");
    for dir in [".git/flux/run", ".git/worktrees"] {
        let entries = std::fs::read_dir(world.repo().join(dir))
            .into_iter()
            .flatten();
        assert_eq!(entries.count(), 0, "in {dir}");
    }
    assert_eq!(world.try_tmux(["list-panes", "-a"]), None);
}

#[test]
fn run_and_cleanup_handle_twenty_tasks_at_once() {
    run_and_clean_up_twenty(&World::new());
}

#[test]
fn run_and_cleanup_handle_twenty_tasks_at_once_with_reftable_and_sha256() {
    let options = ["--ref-format=reftable", "--object-format=sha256"];
    run_and_clean_up_twenty(&world_of(&options));
}

#[test]
fn cleanup_waits_for_the_lock_of_a_ref_held_by_another_process() {
    let kinds = [
        ("files", "refs/heads/main.lock"),
        ("reftable", "reftable/tables.list.lock"),
    ];
    for (kind, lock) in kinds {
        let world = world_of(&[&format!("--ref-format={kind}")]);
        world.behaviour("commit one");
        world.flux(["run", "-q", "--name", "fix", "Fix it"]).ok();
        world.agent("fix").wait_first_done();
        let lock = world.repo().join(".git").join(lock);
        // Ten times git's own patience; that it is given up in the end does not matter here.
        let script = format!(
            "#!/bin/sh\ncase \" $* \" in *' merge --quiet --ff-only '*)\n\
             [ -e '{done}' ] || {{ (set -C; : >'{lock}') || exit 70; : >'{done}'\n\
             (sleep 1; rm '{lock}') </dev/null >/dev/null 2>&1 & }} ;;\nesac\nexec '{git}' \"$@\"\n",
            lock = lock.display(),
            done = world.root().join("done").display(),
            git = require("git").display()
        );
        world.install("git", &script);
        world.flux(["cleanup", "-y", "fix"]).run().success();
        world.uninstall("git");
        assert_eq!(world.git(["log", "-1", "--format=%s", "main^2"]), "one");
        assert_nothing_left(&world);
    }
}

/// Starts twenty runs with the same name at once.
#[track_caller]
fn run_twenty_with_one_name(world: &World) {
    world.behaviour("raw");
    let base = world.git(["rev-parse", "main"]);
    let numbers: Vec<usize> = (1..=MANY).collect();
    let outputs = run_at_once(&numbers, |n| {
        let task = format!("Wanted by {n}");
        world.flux(["run", "-q", "--name", "wanted", &task]).run()
    });
    let winners: Vec<usize> = (0..MANY).filter(|n| outputs[*n].code == Some(0)).collect();
    for (n, output) in outputs.iter().enumerate() {
        if !winners.contains(&n) {
            let lines = [
                "error: the task 'wanted' exists already",
                "hint: to go to the task: git flux attach wanted",
                "hint: to merge and remove it: git flux cleanup wanted",
            ];
            assert_refused(output, &lines);
        }
    }
    assert_eq!(winners.len(), 1, "exactly one wins");
    assert_whole(world, &["wanted".to_owned()], &base);
    let prompt = world.agent("wanted").prompt();
    let task = format!("Wanted by {}", winners[0] + 1);
    assert!(String::from_utf8_lossy(&prompt).contains(&task));
    let runs = std::fs::read_dir(world.repo().join(".git/flux/run")).unwrap();
    assert_eq!(runs.count(), 1);
    world.flux(["cleanup", "-y", "wanted"]).run().success();
    assert_nothing_left(world);
}

#[test]
fn run_succeeds_once_if_twenty_use_the_same_name() {
    run_twenty_with_one_name(&World::new());
}

#[test]
fn run_succeeds_once_if_twenty_use_the_same_name_with_reftable() {
    run_twenty_with_one_name(&world_of(&["--ref-format=reftable"]));
}

#[test]
fn cleanup_succeeds_once_if_several_remove_the_same_task() {
    let world = World::new();
    world.behaviour("raw");
    world.flux(["run", "-q", "--name", "fix", "Fix it"]).ok();
    world.commit_in(world.worktree("fix"), "fix.txt", "work\n");
    let outputs = run_at_once(&[(); 6], |()| world.flux(["cleanup", "-y", "fix"]).run());
    let winners = outputs.iter().filter(|output| output.code == Some(0));
    let winners = winners.count();
    let said: String = outputs.iter().map(ToString::to_string).collect();
    assert_eq!(winners, 1, "exactly one removes it:\n{said}");
    for output in outputs.iter().filter(|output| output.code != Some(0)) {
        // The hint tells whether it waited for the others, or came too late.
        let said = "error: there is no task 'fix'\nhint: ";
        assert!(output.stderr.starts_with(said), "{output}");
    }
    assert_eq!(world.read("fix.txt"), "work\n");
    assert_nothing_left(&world);
}

#[test]
fn cleanup_says_that_a_task_is_gone_which_was_removed_since_it_was_read() {
    let world = World::new();
    world.behaviour("raw");
    world.flux(["run", "-q", "--name", "fix", "Fix it"]).ok();
    world.commit_in(world.worktree("fix"), "fix.txt", "work\n");
    // Another cleanup begins and ends while the first one reads the tasks.
    let script = format!(
        "#!/bin/sh\ncase \" $* \" in *' for-each-ref '*)\n\
         if mkdir '{dir}/once' 2>/dev/null; then\n\
         '{git}' \"$@\" >'{dir}/once/refs' || exit\n\
         git-flux cleanup -y fix >&2 || exit\n\
         exec cat '{dir}/once/refs'\nfi ;;\nesac\nexec '{git}' \"$@\"\n",
        dir = world.tools().display(),
        git = require("git").display()
    );
    world.install("git", &script);
    let output = world.flux(["cleanup", "-y", "fix"]).run();
    world.uninstall("git");
    output.code(1).says(&expect![[r#"
        --- stderr
        error: there is no task 'fix'
        hint: to see the tasks: git flux list
    "#]]);
    assert_eq!(world.read("fix.txt"), "work\n");
    assert_nothing_left(&world);
}

#[test]
fn list_and_status_take_no_lock_that_an_agent_needs_to_commit() {
    let world = &World::new();
    // Every failure of the agent's git is noted beside its other records.
    world.behaviour(
        "sh for n in $(seq 60); do echo $n >>agent.txt; git add agent.txt || echo add >>\"$dir/failed\"; \
         git commit -q -m $n || echo commit >>\"$dir/failed\"; done",
    );
    world.flux(["run", "-q", "--name", "busy", "Be busy"]).ok();
    let records = world.tools().join("agent/busy");
    let done = &|| records.join("done").exists();
    let readers: [&[&str]; 3] = [&["list"], &["status", "busy"], &["list", "--json"]];
    thread::scope(|scope| {
        for args in readers {
            scope.spawn(move || {
                while !done() {
                    world.flux(args).run().success();
                }
            });
        }
        scope.spawn(|| {
            for n in 1..=3 {
                world
                    .flux(["run", "-q", "--name", &format!("beside-{n}"), "Beside"])
                    .run()
                    .success();
            }
        });
    });
    for id in world.started_agents() {
        world.agent(&id).wait_first_done();
        let failed = world.tools().join("agent").join(&id).join("failed");
        assert!(!failed.exists(), "a git of {id} failed");
    }
    let commits = world.git(["rev-list", "--count", "main..feature/busy"]);
    assert_eq!(commits, "60");
}

#[test]
fn run_succeeds_while_other_processes_write_the_configuration() {
    let world = World::new();
    world.behaviour("raw");
    let base = world.git(["rev-parse", "main"]);
    let over = AtomicBool::new(false);
    let ids: Vec<String> = (1..=6).map(|n| format!("task-{n}")).collect();
    thread::scope(|scope| {
        let writers: Vec<_> = (1..=12)
            .map(|n| {
                let (world, over) = (&world, &over);
                scope.spawn(move || {
                    let key = format!("branch.stranger-{n}.note");
                    let mut written = 0;
                    // Strangers do not wait for the lock: they fail, and we try again for them.
                    while !over.load(Ordering::Relaxed) || written == 0 {
                        let value = (written + 1).to_string();
                        if world.try_git(["config", "--local", &key, &value]).is_ok() {
                            written += 1;
                        }
                    }
                    (key, written)
                })
            })
            .collect();
        let outputs = run_at_once(&ids, |id| {
            world.flux(["run", "-q", "--name", id, "Fix it"]).run()
        });
        over.store(true, Ordering::Relaxed);
        all_succeed(&outputs);
        for writer in writers {
            let (key, written) = writer.join().unwrap();
            assert_eq!(world.git(["config", "--local", &key]), written.to_string());
        }
    });
    assert_whole(&world, &ids, &base);
}

#[test]
fn cleanup_stops_each_of_several_agents_on_one_server() {
    let world = World::new();
    world.behaviour("raw");
    let ids: Vec<String> = (1..=MANY).map(|n| format!("task-{n}")).collect();
    // The server lives on, for there is always another task.
    world.flux(["run", "-q", "--name", "last", "Stay"]).ok();
    for id in &ids {
        world.flux(["run", "-q", "--name", id, "Fix it"]).ok();
        world.flux(["cleanup", "-y", id]).run().success();
        assert!(!world.agent(id).is_alive());
    }
    assert!(world.agent("last").is_alive());
}
