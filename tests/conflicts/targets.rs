//! Tasks with different targets: only their own changes count, also within a file.

use super::*;

/// Returns the lines of [`lines`] with each of these numbers replaced by a text.
fn with<const N: usize>(changes: [(usize, &str); N]) -> String {
    let text = lines("");
    let line = |(at, line): (usize, &str)| {
        let change = changes.iter().find(|(number, _)| *number == at + 1);
        format!("{}\n", change.map_or(line, |(_, text)| text))
    };
    text.lines().enumerate().map(line).collect()
}

/// Makes main and dev, which have both changed line 5, and a task for each.
fn two_targets() -> (World, [PathBuf; 2]) {
    let world = World::new();
    with_code(&world);
    world.git(["branch", "dev"]);
    world.commit_in(world.repo(), "f", &with([(5, "MAIN")]));
    world.git(["checkout", "-q", "dev"]);
    world.commit_in(world.repo(), "f", &with([(5, "DEV")]));
    world.git(["checkout", "-q", "main"]);
    let start = |id: &str, base: &str| {
        let run = world.flux(["run", "-q", "--name", id, "--base", base, "--", id]);
        run.run().success();
        world.agent(id).wait_started();
        world.worktree(id)
    };
    let worktrees = [start("m", "main"), start("d", "dev")];
    age(&world, &["m", "d"]);
    (world, worktrees)
}

#[test]
fn conflicts_blames_no_task_for_changes_of_two_targets() {
    let (world, [m, d]) = two_targets();
    world.write(m.join("f"), with([(1, "m"), (5, "MAIN")]));
    world.commit_in(&d, "f", &with([(5, "DEV"), (9, "d")]));
    let list = world.flux(["list", "--json"]).run().json();
    let targets = [&list[0]["into"], &list[1]["into"]];
    assert_eq!(targets, ["main", "dev"]);
    for names in [&["m", "d"][..], &["m"], &[]] {
        let output = world.flux(["conflicts"].iter().chain(names)).run();
        output.success().says(&expect![[r#"
            no conflicting lines
        "#]]);
    }
    world.flux(["list"]).run().success().has_not("CONFLICTS");
    // Lines that both have changed.
    world.write(d.join("f"), with([(1, "d"), (5, "DEV")]));
    let output = world.flux(["conflicts", "m", "d"]).run();
    output.code(3).says(&expect![[r#"
        TASK      WITH  CONFLICTS
        m         d     f (contents)

        f
        <<<<<<< m
        m
        =======
        d
        >>>>>>> d
    "#]]);
    let known = world.flux(["conflicts"]).run();
    known.code(3).stdout_has("m         d     f (contents)\n");
}

#[test]
fn conflicts_is_unknown_where_two_targets_differ_in_the_changed_lines() {
    let (world, [m, d]) = two_targets();
    world.write(m.join("f"), with([(5, "MAIN m")]));
    world.write(d.join("f"), with([(5, "DEV"), (9, "d")]));
    let unknown = &expect![[r#"
        TASK      WITH  CONFLICTS
        m         d     unknown: their targets differ in lines of 'f' that these tasks change
        --- stderr
        error: not everything could be compared
    "#]];
    world.shim();
    let before = world.snapshot();
    world.flux(["conflicts"]).run().code(1).says(unknown);
    world
        .flux(["conflicts", "m", "d"])
        .run()
        .code(1)
        .says(unknown);
    world.assert_unchanged(&before);
    // It is known from now on.
    world.clear_calls();
    world.flux(["conflicts"]).run().code(1).says(unknown);
    let calls = world.calls();
    let is_merge = |call: &Call| call.args.iter().any(|arg| arg == "merge-tree");
    assert!(!calls.iter().any(is_merge));
    // A conflict elsewhere is one.
    world.write(m.join("new"), "m\n");
    world.write(d.join("new"), "d\n");
    world.flux(["conflicts"]).run().code(3).says(&expect![[r#"
        TASK      WITH  CONFLICTS
        m         d     new (contents)

        order of landing: m, d (1 task with conflicts to resolve)
    "#]]);
    // The other one has not changed the file.
    world.git_in(&d, ["checkout", "-q", "--", "f"]);
    std::fs::remove_file(d.join("new")).unwrap();
    world
        .flux(["conflicts"])
        .run()
        .success()
        .stdout_is("no conflicting lines\n");
}

#[test]
fn conflicts_finds_the_file_of_a_task_whose_target_has_renamed_it() {
    let (world, [m, d]) = two_targets();
    world.git_in(&d, ["mv", "f", "moved"]);
    world.git_in(&d, ["commit", "-q", "-m", "Rename"]);
    world.git(["update-ref", "refs/heads/dev", "feature/d"]);
    world.write(m.join("f"), with([(1, "m"), (5, "MAIN")]));
    world.write(m.join("moved"), "m\n");
    world.write(d.join("moved"), with([(1, "d"), (5, "DEV")]));
    world
        .flux(["conflicts", "m", "d"])
        .run()
        .code(3)
        .stdout_has("f (contents)");
}

#[test]
fn conflicts_of_a_task_and_one_on_top_of_it_are_their_own_changes() {
    let world = World::new();
    with_code(&world);
    let first = task(&world, "first");
    world.commit_in(&first, "f", &with([(1, "first"), (9, "first")]));
    let run = world.flux([
        "run",
        "-q",
        "--name",
        "second",
        "--base",
        "feature/first",
        "2",
    ]);
    run.run().success();
    world.agent("second").wait_started();
    let second = world.worktree("second");
    age(&world, &["first", "second"]);
    // It changes a line of the first one.
    world.write(second.join("f"), with([(1, "first, second"), (9, "first")]));
    let output = world.flux(["conflicts"]).run();
    output.success().stdout_is("no conflicting lines\n");
    // Now both do.
    world.write(first.join("f"), with([(1, "FIRST"), (9, "first")]));
    let output = world.flux(["conflicts"]).run();
    output
        .code(3)
        .stdout_has("first     second  f (contents)\n");
}
