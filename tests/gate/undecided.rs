//! Tests that what is no verdict is none, and never green.

use std::fs;

use super::*;

/// Runs the gate with one command, and asserts that there is no verdict, now and later.
#[track_caller]
fn undecided(world: &World, command: &str, why: &str) {
    configure(world, [NOTE, command]);
    for _ in 0..2 {
        let before = runs(world);
        let output = world.flux(["gate", "fix"]).run();
        output
            .code(125)
            .stdout_is(&format!("fix: no verdict: {why}\n"));
        assert_eq!(runs(world), before + 1, "{command}");
    }
    assert!(verdicts(world).is_empty(), "{command}");
    let status = world.flux(["status", "--json", "fix"]).run().json();
    assert_eq!(status["gate"]["state"], "none");
}

#[test]
fn gate_has_no_verdict_if_a_command_is_killed_or_cannot_be_started() {
    let world = World::new();
    task(&world, "fix");
    for (command, why) in [
        ("kill -9 $$", "'kill -9 $$' was killed by signal 9"),
        (
            "sh -c 'kill $$'; exit $?",
            "'sh -c 'kill $$'; exit $?' was killed by signal 15",
        ),
        (
            "no-such-program",
            "'no-such-program' could not be started (status 127)",
        ),
        (
            "./README.md",
            "'./README.md' could not be started (status 126)",
        ),
        ("exit 192", "'exit 192' was killed by signal 64"),
    ] {
        undecided(&world, command, why);
    }
    // These are statuses like any other.
    for status in [1, 100, 125, 128, 193, 255] {
        configure(&world, [format!("exit {status}").as_str()]);
        let output = world.flux(["gate", "fix"]).run();
        output
            .code(1)
            .stdout_has(&format!("exited with status {status}\n"));
    }
}

#[test]
fn gate_has_no_verdict_if_the_wrapper_does_not_start_its_command() {
    let world = World::new();
    task(&world, "fix");
    for wrapper in ["true", "false", "sh -c 'exit 3'"] {
        world.git(["config", "flux.wrapper", wrapper]);
        configure(&world, ["exit 1"]);
        // What an earlier gate has left says nothing.
        let begun = world.repo().join(".git/flux/gate/begun");
        fs::create_dir_all(begun.parent().unwrap()).unwrap();
        fs::write(begun, "").unwrap();
        world
            .flux(["gate", "fix"])
            .run()
            .code(125)
            .stdout_is("fix: no verdict: flux.wrapper did not start 'exit 1'\n");
        assert!(verdicts(&world).is_empty(), "{wrapper}");
    }
    // As in a job step on a machine that fails.
    let step = "#!/bin/sh\nstatus=$1; shift\nSLURM_STEP_ID=0 \"$@\"\nexit \"$status\"\n";
    world.install("step", step);
    for status in ["0", "1"] {
        world.git(["config", "flux.wrapper", &format!("step {status}")]);
        configure(&world, ["kill -9 $PPID"]);
        let output = world.flux(["gate", "fix"]).run();
        output
            .code(125)
            .stdout_has("'kill -9 $PPID' was not seen to end: its machine failed");
        assert!(verdicts(&world).is_empty(), "{status}");
    }
    world.git(["config", "flux.wrapper", "env"]);
    configure(&world, ["exit 1"]);
    world.flux(["gate", "fix"]).run().code(1);
}

#[test]
fn gate_has_no_verdict_if_a_command_takes_too_long() {
    let world = World::new();
    task(&world, "fix");
    world.git(["config", "flux.gateTimeout", "1s"]);
    let command = "echo $$ >\"$HOME/pid\"; exec sleep 600";
    undecided(&world, command, &format!("'{command}' timed out (1 s)"));
    let pid = fs::read_to_string(world.tools().join("home/pid")).unwrap();
    assert!(!is_alive(pid.trim().parse().unwrap()));
}

#[test]
fn gate_has_no_verdict_if_it_changes_what_was_tested() {
    let world = World::new();
    let path = task(&world, "fix");
    for name in ["a", "b", "c", "d"] {
        world.commit_in(&path, name, "1\n");
    }
    for (command, names) in [
        ("echo 2 >a", "a"),
        ("echo 2 >a; git add a; false", "a"),
        ("rm a b c d", "a, b, c …"),
        ("chmod +x b", "b"),
        (
            "git update-index --add --cacheinfo 100644,$(git hash-object -w a),new",
            "new",
        ),
    ] {
        undecided(&world, command, &format!("the gate changes files: {names}"));
    }
    let commit = "git -c user.name=a -c user.email=a@b commit -q --allow-empty -m Empty";
    undecided(&world, commit, "the gate changes HEAD");
    undecided(&world, "git checkout -q HEAD~1", "the gate changes HEAD");
    // New and ignored files are its own.
    configure(&world, ["echo 1 >out; mkdir -p build && echo 2 >build/out"]);
    world.flux(["gate", "fix"]).run().success();
}

#[test]
fn gate_has_no_verdict_if_it_hides_its_change_of_a_tracked_file() {
    let world = World::new();
    let path = task(&world, "fix");
    world.commit_in(&path, "conf", "1\n");
    for flag in ["assume-unchanged", "skip-worktree"] {
        for change in ["echo local >conf", "rm conf"] {
            let hides = format!("git update-index --{flag} conf; {change}");
            undecided(&world, &hides, "the gate changes files: conf");
            // What a killed gate has left hidden is tested no more.
            let left = scratch(&world);
            world.git_in(&left, ["update-index", &format!("--{flag}"), "conf"]);
            world.write(left.join("conf"), "left\n");
            let is_checked_out = "test \"$(cat conf)\" = 1";
            configure(&world, [is_checked_out]);
            world.flux(["gate", "fix"]).run().success();
            fs::remove_dir_all(world.repo().join(".git/flux/verdicts")).unwrap();
        }
    }
    let sparse = "git sparse-checkout set --no-cone '/*' '!/conf'";
    undecided(&world, sparse, "the gate changes files: conf");
    configure(&world, ["test -e conf"]);
    world.flux(["gate", "fix"]).run().success();
    // Without a change, nothing is hidden.
    configure(&world, ["git update-index --assume-unchanged conf"]);
    world.flux(["gate", "fix"]).run().success();
}

#[test]
fn gate_has_no_verdict_if_the_red_one_cannot_be_confirmed() {
    let world = World::new();
    task(&world, "fix");
    let command = "test $(($(wc -l <\"$HOME/runs\") % 2)) = 0 && kill -9 $$; exit 1";
    configure(&world, [NOTE, command]);
    let output = world.flux(["gate", "fix"]).run();
    output.code(125).stdout_has("was killed by signal 9\n");
    assert!(verdicts(&world).is_empty());
}

#[test]
fn gate_has_no_verdict_if_the_disk_is_full() {
    let world = World::new();
    let path = task(&world, "fix");
    let dir = world.root().join("small");
    let Some(_small) = limits::Small::mount(&dir, "size=1024k") else {
        return;
    };
    // The gate writes there, as to a directory for temporary files.
    let fill = format!("head -c 9000000 /dev/zero >'{}/filler'", dir.display());
    configure(&world, [&fill]);
    let gate = || world.flux(["gate", "fix"]).env("TMPDIR", &dir).run();
    gate()
        .code(125)
        .stdout_has("no verdict: no space is left on the disk");
    assert!(verdicts(&world).is_empty());
    drop(path);
}

#[test]
fn gate_has_no_verdict_about_files_that_cannot_be_tested() {
    let world = World::new();
    configure(&world, [NOTE]);
    let path = task(&world, "fix");
    let untestable = |why: &str| {
        let output = world.flux(["gate", "fix"]).run();
        output
            .code(125)
            .stdout_is(&format!("fix: no verdict: {why}\n"));
        let object = world.flux(["gate", "--json", "fix"]).run().code(125).json();
        assert_eq!(object[0]["gate"]["tree"], serde_json::Value::Null);
    };
    world.git_in(&path, ["init", "-q", "nested"]);
    world.commit_in(path.join("nested"), "file", "");
    untestable("'nested/' is a repository");
    fs::remove_dir_all(path.join("nested")).unwrap();
    world.git_in(&path, ["switch", "-q", "-c", "another"]);
    untestable("'fix' is not checked out");
    world.git_in(&path, ["switch", "-q", "--detach", "fix"]);
    untestable("'fix' is not checked out");
    world.git_in(&path, ["switch", "-q", "another"]);
    world.commit_in(&path, "file", "another\n");
    world.git_in(&path, ["switch", "-q", "fix"]);
    world.commit_in(&path, "file", "fix\n");
    world
        .try_git(["-C", path.to_str().unwrap(), "merge", "another"])
        .unwrap_err();
    untestable("'file' has conflicts");
    // A resolved merge is tested as it is.
    world.write(path.join("file"), "both\n");
    world.git_in(&path, ["add", "file"]);
    configure(&world, ["test \"$(cat file)\" = both"]);
    world.flux(["gate", "fix"]).run().success();
    assert_eq!(runs(&world), 0);
}

#[test]
fn gate_refuses_a_task_without_its_worktree_or_branch() {
    let world = World::new();
    configure(&world, [NOTE]);
    let path = task(&world, "fix");
    fs::rename(&path, world.root().join("aside")).unwrap();
    let before = world.snapshot();
    let output = world.flux(["gate", "fix"]).run();
    output
        .code(125)
        .stderr_has("error: the worktree of 'fix' is gone");
    output.stdout_has("fix: no verdict: the worktree of 'fix' is gone");
    world.assert_unchanged(&before);
    assert_eq!(runs(&world), 0);
}

#[test]
fn gate_refuses_bad_settings() {
    let world = World::new();
    task(&world, "fix");
    configure(&world, [NOTE]);
    for (key, value, error) in [
        (
            "flux.gateTimeout",
            "soon",
            "bad value 'soon' for 'flux.gateTimeout'",
        ),
        (
            "flux.gateRetries",
            "-1",
            "bad value '-1' for 'flux.gateRetries'",
        ),
        (
            "flux.wrapper",
            "no-such-wrapper",
            "flux.wrapper: 'no-such-wrapper' not found",
        ),
    ] {
        let gate = world.flux(["gate", "fix"]);
        let output = gate.via_git_with(["-c", &format!("{key}={value}")]).run();
        output.code(125).stderr_has(error);
        assert_eq!((runs(&world), verdicts(&world).len()), (0, 0), "{key}");
    }
}

#[test]
fn gate_does_not_run_if_its_configuration_changed_while_a_task_ran() {
    let world = World::new();
    world.behaviour("commit work");
    world.flux(["run", "-q", "--name", "fix", "Fix it"]).ok();
    world.agent("fix").wait_first_done();
    world.compare_config();
    configure(&world, [NOTE]);
    let command = format!("'{}'", NOTE.replace('\'', "'\\''"));
    let refused = format!(
        "error: flux.gate was set to {command} while the agent of 'fix' ran\n\
         hint: to undo this change: git config --local --unset-all flux.gate\n\
         hint: to keep it: git flux gate --keep-config fix\n\
         hint: to see all such changes: git flux status fix\n"
    );
    let output = world.flux(["gate", "fix"]).run();
    output.code(125).stderr_has(&refused);
    assert_eq!(runs(&world), 0);
    let dry_run = world.flux(["gate", "-n", "--keep-config", "fix"]).run();
    dry_run.code(125);
    world.flux(["gate", "fix"]).run().code(125);
    assert_eq!(runs(&world), 0);
    let kept = world.flux(["gate", "--keep-config", "fix"]).run();
    kept.success().stdout_is("fix: green\n");
    assert_eq!(runs(&world), 1);
    // Without another question.
    world.agent("fix").tell("commit more");
    world.flux(["gate", "fix"]).run().success();
    assert_eq!(runs(&world), 2);
}
