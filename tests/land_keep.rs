//! Tests `git flux land` with `--keep` and with `--keep-config`.

use crate::land::{done, tasks};
use crate::shared_config::{assert_gone, named_task};
use crate::world::removal::*;
use crate::world::*;

/// Returns how often the gate has run.
fn runs(world: &World) -> usize {
    let notes = std::fs::read_to_string(world.root().join("runs"));
    notes.map_or(0, |notes| notes.lines().count())
}

#[test]
fn land_with_keep_lands_nothing_twice() {
    for style in ["--merge", "--squash", "--rebase"] {
        let world = World::new();
        world.git(["config", "flux.gate", "echo run >>../runs"]);
        done(&world, &["alpha", "beta"]);
        world.commit_in(world.repo(), "README.md", "moved\n");
        let land = ["land", "--all", "--keep", style];
        world.flux(land).run().success();
        let (main, number) = (commit(&world, "main"), runs(&world));
        let dry = world.flux(land.iter().chain(&["-n"])).run();
        dry.success()
            .stdout_has("0 runs of the gate")
            .stdout_has("merge nothing: 'main' already has ");
        let output = world.flux(land).run();
        output
            .success()
            .stderr_has("nothing to land of 'alpha': 'main' already has ")
            .stderr_has("nothing to land of 'beta': 'main' already has ");
        output.has_not("landed").has_not("to undo");
        let json = world.flux(land.iter().chain(&["--json"])).run().json();
        assert_eq!(json[0]["result"], "integrated", "{json}");
        let json = world.flux(land.iter().chain(&["-n", "--json"])).run();
        assert_eq!(json.json()[1]["result"], "integrated");
        assert_eq!((commit(&world, "main"), runs(&world)), (main, number));
        assert_eq!(tasks(&world), ["alpha", "beta"]);
        // New commits land, and only these tasks cost a run.
        world.commit_in(world.worktree("beta"), "new.txt", "more\n");
        let output = world.flux(land).run();
        output
            .success()
            .stderr_has("nothing to land of 'alpha': ")
            .stderr_has("landed beta (1 run, ");
        assert_eq!(world.git(["show", "main:new.txt"]), "more");
    }
}

#[test]
fn land_with_keep_does_not_stop_agents() {
    let world = World::new();
    world.behaviour("raw");
    world.flux(["run", "-q", "--name", "works", "Fix"]).ok();
    world.commit_in(world.worktree("works"), "works.txt", "work\n");
    let pane = world.pane("works");
    let output = world.flux(["land", "works", "--keep"]).run();
    output.success().says(&expect![[r#"
        --- stderr
        TASK      TARGET  PLAN
        works     main    merge 1 commit
        landed works (untested)
        hint: to undo the landing on 'main': git reset --keep <object>
        hint: or, if 'main' has newer commits: git revert --no-edit -m 1 <object>
    "#]]);
    assert_eq!(world.pane("works"), pane);
    world.agent("works").tell("commit More");
    let question = "Land 1 task?";
    let terminal = world.terminal(120, 40);
    terminal.command("git flux land works --keep");
    terminal.wait_for_screen(question);
    terminal.keys(["y"]);
    assert_eq!(terminal.exit_code(), 0, "{}", terminal.screen());
    // With nothing to land, there is no question.
    let terminal = world.terminal(120, 40);
    terminal.command("git flux land works --keep");
    assert_eq!(terminal.exit_code(), 0, "{}", terminal.screen());
    terminal.wait_for_screen("nothing to land of 'works': ");
    assert_eq!(world.pane("works"), pane);
}

#[test]
fn land_refuses_changed_programs_without_keep_config() {
    let world = World::new();
    world.compare_config();
    named_task(&world, "fix");
    named_task(&world, "plain");
    world.git(["config", "core.hooksPath", ".husky/_"]);
    world.git(["config", "user.name", "Mallory"]);
    let before = world.snapshot();
    let output = world.flux(["land", "fix"]).run();
    output.code(1).says(&expect![[r#"
        --- stderr
        TASK      TARGET  PLAN
        fix       main    refused: core.hooksPath was set to '.husky/_' while the agent of 'fix' ran (and 1 more change)
        error: core.hooksPath was set to '.husky/_' while the agent of 'fix' ran (and 1 more change)
        hint: to undo this change: git config --local --unset-all core.hooksPath
        hint: to see all such changes: git flux status fix
        hint: to keep all of them: git flux land fix --keep-config
        error: no task has landed
    "#]]);
    let dry = world.flux(["land", "-n", "fix"]).run();
    dry.code(1).says(&expect![[r#"
        TASK      TARGET  PLAN
        fix       main    refused: core.hooksPath was set to '.husky/_' while the agent of 'fix' ran (and 1 more change)
        untested: there is no gate
        --- stderr
        Nothing was done.
        error: not every task can land
    "#]]);
    // One question about all tasks is no answer to it.
    let terminal = world.terminal(120, 40);
    terminal.command("git flux land fix");
    assert_eq!(terminal.exit_code(), 1, "{}", terminal.screen());
    terminal.wait_for_screen("git flux land fix --keep-config");
    world.assert_unchanged(&before);
    let output = world.flux(["land", "fix", "--keep-config"]).run();
    output.success().says(&expect![[r#"
        --- stderr
        TASK      TARGET  PLAN
        fix       main    merge 1 commit
        warning: core.hooksPath was set to '.husky/_' while the agent of 'fix' ran
        warning: user.name was set to 'Mallory' while the agent of 'fix' ran
        landed fix (untested)
        hint: to undo the landing on 'main': git reset --keep <object>
        hint: or, if 'main' has newer commits: git revert --no-edit -m 1 <object>
    "#]]);
    assert_gone(&world, "fix");
    // The answer counts for the other task, too.
    world.flux(["land", "plain"]).run().success();
    assert_gone(&world, "plain");
}

#[test]
fn land_runs_no_changed_gate_without_keep_config() {
    let world = World::new();
    world.compare_config();
    // Only this task has begun before the change.
    named_task(&world, "before");
    world.git(["config", "flux.gate", "echo run >>../runs"]);
    named_task(&world, "fix");
    let before = world.snapshot();
    let output = world.flux(["land", "fix"]).run();
    output.code(1).says(&expect![[r#"
        --- stderr
        TASK      TARGET  PLAN
        fix       main    merge 1 commit
        gate: 'echo run >>../runs'
        error: flux.gate was set to 'echo run >>../runs' while the agent of 'before' ran
        hint: to undo this change: git config --local --unset-all flux.gate
        hint: to keep it: git flux gate --keep-config before
        hint: to see all such changes: git flux status before
        error: no task has landed
    "#]]);
    world.assert_unchanged(&before);
    assert_eq!(runs(&world), 0);
    world
        .flux(["land", "fix", "--keep-config"])
        .run()
        .success()
        .stderr_has("landed fix (1 run, ");
    assert_gone(&world, "fix");
}

#[test]
fn gate_runs_nothing_that_the_configuration_of_the_main_worktree_got_while_a_task_ran() {
    let world = World::new();
    world.compare_config();
    world.git(["config", "flux.gate", "true"]);
    named_task(&world, "fix");
    world.git(["config", "extensions.worktreeConfig", "true"]);
    for (key, value) in [
        ("flux.gate", "echo run >>../runs"),
        ("flux.wrapper", "sh -c 'echo run >>../runs'"),
        ("include.path", "included"),
    ] {
        world.git(["config", "--worktree", key, value]);
        let before = world.snapshot();
        let why = format!("error: {key} in 'config.worktree' was set to ");
        for args in [&["gate", "fix"][..], &["land", "fix", "-y"]] {
            let output = world.flux(args).run();
            output.stderr_has(&why);
            assert!(matches!(output.code, Some(1 | 125)), "{output}");
        }
        world.assert_unchanged(&before);
        world.git(["config", "--worktree", "--unset", key]);
    }
    assert_eq!(runs(&world), 0);
    world.flux(["gate", "fix"]).run().success();
}

#[test]
fn cleanup_gate_agrees_to_a_changed_gate_with_keep_config() {
    let world = World::new();
    world.compare_config();
    named_task(&world, "fix");
    named_task(&world, "other");
    world.git(["config", "flux.gate", "echo run >>../runs"]);
    let before = world.snapshot();
    let cleanup = ["cleanup", "fix", "--gate", "-y"];
    world.flux(cleanup).run().code(1);
    world.assert_unchanged(&before);
    assert_eq!(runs(&world), 0);
    world
        .flux(cleanup.iter().chain(&["--keep-config"]))
        .run()
        .success();
    assert_eq!(runs(&world), 1);
    assert_gone(&world, "fix");
}

#[test]
fn land_refuses_without_the_gate_that_was_removed_while_a_task_ran() {
    let world = World::new();
    world.compare_config();
    world.git(["config", "flux.gate", "false"]);
    named_task(&world, "x");
    // The other task begins after the change.
    world.git(["config", "--unset-all", "flux.gate"]);
    named_task(&world, "y");
    let before = world.snapshot();
    let output = world.flux(["land", "y", "-y"]).run();
    output.code(1).says(&expect![[r#"
        --- stderr
        TASK      TARGET  PLAN
        y         main    merge 1 commit
        error: flux.gate was removed from the configuration while the agent of 'x' ran
        hint: to undo this change: git config --local --replace-all flux.gate false
        hint: to keep it: git flux gate --keep-config x
        hint: to see all such changes: git flux status x
        error: no task has landed
    "#]]);
    world.flux(["cleanup", "--gate", "-y", "y"]).run().code(1);
    world.assert_unchanged(&before);
    let land = world.flux(["land", "y", "-y", "--no-gate"]).run();
    land.success().stderr_has("landed y (untested)");
    assert_gone(&world, "y");
}

#[test]
fn land_and_cleanup_refuse_what_a_gate_knows_that_was_set_while_a_task_ran() {
    let world = World::new();
    world.compare_config();
    world.git(["config", "flux.gate", "true"]);
    named_task(&world, "y");
    world.flux(["gate", "y"]).run().success();
    world.git(["config", "flux.gate", "false"]);
    named_task(&world, "x");
    world.git(["config", "flux.gate", "true"]);
    let before = world.snapshot();
    let why = "error: flux.gate changed to 'true' while the agent of 'x' ran\n";
    for args in [&["land", "y", "-y"][..], &["cleanup", "--gate", "-y", "y"]] {
        world.flux(args).run().code(1).stderr_has(why);
    }
    world.assert_unchanged(&before);
    let land = world.flux(["land", "y", "-y", "--keep-config"]).run();
    land.success()
        .stderr_has("the gate has passed on the same files before");
    assert_gone(&world, "y");
}
