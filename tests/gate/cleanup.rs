//! Tests what cleanup does with verdicts, and `cleanup --gate`.

use super::*;

/// Makes a task with a commit, and a commit on the target branch, which together the gate does not pass.
fn two_sides(world: &World) -> PathBuf {
    let path = task(world, "fix");
    world.commit_in(&path, "fix.txt", "1\n");
    world.commit_in(world.repo(), "main.txt", "1\n");
    configure(world, [NOTE, "test ! -e fix.txt -o ! -e main.txt"]);
    path
}

#[track_caller]
fn assert_gone(world: &World, id: &str) {
    let record = format!("refs/flux/tasks/{id}");
    assert!(world.try_git(["rev-parse", "--verify", &record]).is_err());
    assert!(!world.root().join(id).exists());
}

/// Returns the row of the check `gate` in the table of a dry run.
#[track_caller]
fn row(world: &World, options: &[&str]) -> String {
    let args = ["cleanup", "-n", "fix"];
    let output = world.flux(args.iter().chain(options)).run();
    let row = output.stdout.lines().find(|line| line.starts_with("gate "));
    row.unwrap_or_default()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn cleanup_shows_the_verdicts_of_the_task_and_of_the_merge() {
    let world = World::new();
    let path = task(&world, "fix");
    world.commit_in(&path, "fix.txt", "1\n");
    assert_eq!(row(&world, &[]), "gate ok untested, there is no gate");
    configure(&world, [NOTE]);
    assert_eq!(row(&world, &[]), "gate ok untested");
    world.flux(["gate", "fix"]).run().success();
    assert_eq!(row(&world, &[]), "gate ok green");
    assert_eq!(row(&world, &["--squash"]), "gate ok green");
    world.commit_in(world.repo(), "main.txt", "1\n");
    assert_eq!(row(&world, &[]), "gate ok green, merged untested");
    // Uncommitted files are part of what is merged only with --commit.
    world.write(path.join("new.txt"), "");
    assert_eq!(
        row(&world, &["--discard"]),
        "gate ok green, merged untested"
    );
    assert_eq!(
        row(&world, &["--commit"]),
        "gate ok untested, merged untested"
    );
    world.flux(["gate", "fix"]).run().success();
    assert_eq!(row(&world, &["--commit"]), "gate ok green, merged untested");
    let terminal = world.terminal(100, 30);
    terminal.command("git-flux cleanup fix --discard");
    let question = "into 'main' (gate: green, merged untested), and remove 'fix'?";
    terminal.wait_for_screen(question);
    terminal.keys(["C-c"]);
    assert_eq!(terminal.exit_code(), 130);
}

#[test]
fn cleanup_with_gate_refuses_a_merge_that_fails() {
    let world = World::new();
    two_sides(&world);
    world.flux(["gate", "fix"]).run().success();
    assert_eq!(runs(&world), 1);
    let before = world.snapshot();
    let output = world.flux(["cleanup", "fix", "--gate", "-y"]).run();
    output.code(1).says(&expect![[r#"
        --- stderr
        error: the merge of 'fix' does not pass the gate: 'test ! -e fix.txt -o ! -e main.txt' exited with status 1
        hint: to see the output of the gate: cat '$WORLD/myapp/.git/flux/gate/<object>.log'
    "#]]);
    assert_eq!(runs(&world), 3, "it was confirmed");
    // The branches, the worktree and the record are as they were.
    let changes = before.changes(&world.snapshot());
    let foreign = changes
        .iter()
        .filter(|it| !it.contains("flux file") && !it.contains("myapp--land"));
    assert_eq!(foreign.collect::<Vec<_>>(), Vec::<&String>::new());
    // It is known now.
    let before = world.snapshot();
    let dry = world.flux(["cleanup", "fix", "--gate", "-n"]).run();
    dry.code(1)
        .stdout_has("refuses")
        .stderr_has("does not pass the gate: '");
    world.flux(["cleanup", "fix", "--gate", "-y"]).run().code(1);
    world.assert_unchanged(&before);
    assert_eq!(runs(&world), 3);
    assert_eq!(row(&world, &[]), "gate ok green, merged red(1)");
    // Without the option it is the user's choice.
    world.flux(["cleanup", "fix", "-y"]).run().success();
    assert_gone(&world, "fix");
}

#[test]
fn cleanup_with_gate_merges_the_tree_that_has_passed() {
    for style in ["--merge", "--squash", "--rebase"] {
        let world = World::new();
        let path = task(&world, "fix");
        world.commit_in(&path, "fix.txt", "1\n");
        world.write(path.join("new.txt"), "");
        world.commit_in(world.repo(), "main.txt", "1\n");
        configure(
            &world,
            [NOTE, "test -e fix.txt -a -e main.txt -a -e new.txt"],
        );
        let dry = world
            .flux(["cleanup", "fix", "--gate", "--commit", style, "-n"])
            .run();
        let step = "would run the gate, unless it is known to pass\n";
        dry.success()
            .stdout_has(step)
            .stdout_has("untested, merged untested");
        let cleanup = ["cleanup", "fix", "--gate", "--commit", style, "-y"];
        world.flux(cleanup).run().success();
        assert_eq!(runs(&world), 1, "{style}");
        let tree = world.git(["rev-parse", "main^{tree}"]);
        let verdict = verdicts(&world).remove(0);
        assert!(verdict.to_str().unwrap().ends_with(&*tree), "{style}");
        assert_gone(&world, "fix");
    }
}

#[test]
fn cleanup_with_gate_tests_what_hooks_have_made_of_the_merge() {
    let world = World::new();
    let path = task(&world, "fix");
    world.commit_in(&path, "fix.txt", "1\n");
    world.commit_in(world.repo(), "main.txt", "1\n");
    configure(&world, [NOTE, "test ! -e by-hook"]);
    let script = "#!/bin/sh\necho >by-hook\ngit add by-hook\n";
    install_at(&world.repo().join(".git/hooks/pre-commit"), script);
    let main = world.git(["rev-parse", "main"]);
    let output = world
        .flux(["cleanup", "fix", "--gate", "--squash", "-y"])
        .run();
    output
        .code(1)
        .stderr_has("does not pass the gate: 'test ! -e by-hook'");
    assert_eq!(world.git(["rev-parse", "main"]), main);
    assert!(path.exists());
    let cleanup = ["cleanup", "fix", "--gate", "--squash", "--no-verify", "-y"];
    world.flux(cleanup).run().success();
}

#[test]
fn cleanup_with_gate_refuses_without_a_gate_or_a_verdict() {
    let world = World::new();
    let path = task(&world, "fix");
    world.commit_in(&path, "fix.txt", "1\n");
    let before = world.snapshot();
    let output = world.flux(["cleanup", "fix", "--gate", "-y"]).run();
    output.code(1).says(&expect![[r#"
        --- stderr
        error: no gate is configured
        hint: git config flux.gate '<command>'
    "#]]);
    world.assert_unchanged(&before);
    configure(&world, ["no-such-program"]);
    let output = world.flux(["cleanup", "fix", "--gate", "-y"]).run();
    output
        .code(1)
        .stderr_has("does not pass the gate: no verdict: 'no-such-program' could not");
    assert!(path.exists());
    // Nothing is merged, so nothing is tested.
    world.git_in(&path, ["reset", "-q", "--hard", "main"]);
    world
        .flux(["cleanup", "fix", "--gate", "-y"])
        .run()
        .success();
}

#[test]
fn cleanup_with_gate_refuses_one_of_several_and_removes_the_others() {
    let world = World::new();
    for name in ["one", "two", "three"] {
        let path = task(&world, name);
        world.commit_in(&path, name, "1\n");
    }
    configure(&world, ["test ! -e two"]);
    let output = world.flux(["cleanup", "--all", "--gate", "-y"]).run();
    output
        .code(1)
        .stderr_has("the merge of 'two' does not pass the gate");
    assert_gone(&world, "one");
    assert_gone(&world, "three");
    assert!(world.root().join("two").exists());
    assert!(world.try_git(["cat-file", "-e", "main:three"]).is_ok());
}

#[test]
fn cleanup_with_gate_notices_a_commit_made_while_the_gate_ran() {
    let world = World::new();
    let path = task(&world, "fix");
    world.commit_in(&path, "fix.txt", "1\n");
    let commit = "cd \"$FLUX_SOURCE/../fix\" && echo >late.txt && git add . && git commit -qm Late";
    let once = format!("[ -e \"$HOME/once\" ] || {{ touch \"$HOME/once\"; ({commit}); }}");
    configure(&world, [NOTE, &once]);
    world
        .flux(["cleanup", "fix", "--gate", "-y"])
        .run()
        .success();
    assert_eq!(
        world.git(["show", "--format=", "--name-only", "main^2"]),
        "late.txt"
    );
    assert_eq!(runs(&world), 2, "what is merged was tested");
    assert_gone(&world, "fix");
}
