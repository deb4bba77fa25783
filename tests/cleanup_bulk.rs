//! Tests a cleanup of several tasks, with `--all` and `--merged`.

use crate::world::launcher::Started;
use crate::world::removal::*;
use crate::world::*;

/// Tasks whose agents have committed and ended.
fn done(world: &World, names: &[&str]) {
    for name in names {
        world.behaviour("exit 0");
        world.flux(["run", "-q", "--name", name, "Fix"]).ok();
        world.wait_ended(name);
        world.commit_in(world.worktree(name), &file(name), "work\n");
    }
}

/// Returns the name of the file that a task commits.
fn file(name: &str) -> String {
    format!("{}.txt", name.to_uppercase())
}

fn tasks(world: &World) -> Vec<String> {
    let refs = world.git([
        "for-each-ref",
        "--format=%(refname:lstrip=3)",
        "refs/flux/tasks",
    ]);
    refs.lines().map(str::to_owned).collect()
}

#[test]
fn cleanup_removes_only_the_named_tasks() {
    let world = World::new();
    done(&world, &["alpha", "beta", "gamma"]);
    let output = world.flux(["cleanup", "gamma", "alpha", "alpha"]).run();
    output
        .success()
        .stderr_has("alpha     merge 1 commit into 'main'");
    assert_eq!(tasks(&world), ["beta"]);
    for name in ["alpha", "gamma"] {
        assert_eq!(world.git(["show", &format!("main:{}", file(name))]), "work");
        assert_removed(&world, name);
    }
    let before = world.snapshot();
    let output = world.flux(["cleanup", "beta", "nosuch"]).run();
    output.code(1).says(&expect![[r#"
        --- stderr
        error: there is no task 'nosuch'
        hint: the tasks are: beta
    "#]]);
    world.assert_unchanged(&before);
}

#[test]
fn cleanup_of_several_tasks_continues_after_a_refusal() {
    let world = World::new();
    done(&world, &["clash", "dirty", "fine"]);
    world.write(world.worktree("dirty").join("loose.txt"), "loose\n");
    world.commit_in(world.repo(), "CLASH.txt", "main's\n");
    let state = |name: &str| {
        let worktree = world.worktree(name);
        let status = ["status", "--porcelain=v2", "--branch"];
        world.git_in(worktree, status)
    };
    let before = (state("clash"), state("dirty"));
    let output = world.flux(["cleanup", "--all"]).run();
    output
        .code(1)
        .stderr_has("conflict in 'CLASH.txt'")
        .stderr_has("'dirty' has 1 uncommitted file")
        .stderr_has("error: 2 of 3 tasks were not removed");
    assert_eq!(tasks(&world), ["clash", "dirty"]);
    assert_eq!((state("clash"), state("dirty")), before);
    assert_removed(&world, "fine");
    world
        .flux(["cleanup", "--discard", "dirty", "clash"])
        .run()
        .code(3);
    assert_eq!(tasks(&world), ["clash"]);
    world
        .flux(["cleanup", "--all", "--discard-branch"])
        .run()
        .success();
    assert!(tasks(&world).is_empty());
    world
        .flux(["cleanup", "--all"])
        .run()
        .success()
        .says(&expect![[r#"
            --- stderr
            nothing to clean up
        "#]]);
}

#[test]
fn cleanup_dry_run_of_several_tasks_exits_as_the_cleanup_would() {
    let world = World::new();
    done(&world, &["clash", "dirty"]);
    world.write(world.worktree("dirty").join("loose.txt"), "loose\n");
    world.commit_in(world.repo(), "CLASH.txt", "main's\n");
    let before = world.snapshot();
    let dry = world.flux(["cleanup", "-n", "--all"]).run();
    let json = world.flux(["cleanup", "--json", "--all"]).run();
    let real = world.flux(["cleanup", "--all"]).run();
    world.assert_unchanged(&before);
    real.code(1).says(&expect![[r#"
            --- stderr
            TASK      PLAN
            clash     refused: 'feature/clash' and 'main' conflict in 'CLASH.txt' (contents)
            dirty     refused: 'dirty' has 1 uncommitted file
            error: 'feature/clash' and 'main' conflict in 'CLASH.txt' (contents)
            hint: resolve it in the task's worktree: git -C '$WORLD/myapp-clash' merge main
            hint: or have cleanup start the same merge, for the task's agent or you to resolve: git flux cleanup clash --update
            hint: then: git flux cleanup clash
            error: 'dirty' has 1 uncommitted file
            hint: to commit and merge: git flux cleanup dirty --commit
            hint: to merge only what is committed: git flux cleanup dirty --discard
            error: 2 of 2 tasks were not removed
        "#]]);
    let errors = |output: &Output| {
        let lines = output.stderr.lines().map(str::to_owned);
        let talk = |line: &String| line.starts_with("error: ") || line.starts_with("hint: ");
        lines.filter(talk).collect::<Vec<_>>()
    };
    for output in [&dry, &json] {
        assert_eq!(output.code, real.code, "{output}");
        assert_eq!(errors(output), errors(&real));
    }
}

#[test]
fn cleanup_merged_removes_only_tasks_with_merged_commits() {
    let world = World::new();
    done(&world, &["fresh", "merged", "open", "squashed", "undone"]);
    world.git_in(world.worktree("undone"), ["revert", "--no-edit", "HEAD"]);
    world.git_in(world.worktree("fresh"), ["reset", "-q", "--hard", "HEAD~"]);
    world.git(["merge", "-q", "--no-edit", "feature/merged"]);
    world.git(["merge", "-q", "--squash", "feature/squashed"]);
    world.git(["commit", "-q", "-m", "Squashed"]);
    let before = world.snapshot();
    let output = world.flux(["cleanup", "--merged", "--dry-run"]).run();
    output
        .success()
        .says(&expect![[r#"
            TASK      PLAN
            merged    merge nothing: 'main' already has all commits of 'feature/merged'
            squashed  merge nothing: 'main' already has the changes of 'feature/squashed', in other commits
            --- stderr
            Nothing was done.
        "#]]);
    for name in ["fresh", "open", "undone"] {
        assert!(!output.stdout.contains(name), "{output}");
    }
    world.assert_unchanged(&before);
    world.flux(["cleanup", "--merged"]).run().success();
    assert_eq!(tasks(&world), ["fresh", "open", "undone"]);
}

#[test]
fn cleanup_all_refuses_a_running_agent_and_removes_the_other_tasks() {
    let world = World::new();
    done(&world, &["ended"]);
    world.behaviour("wait");
    let id = world.start("Fix the login");
    let output = world.flux(["cleanup", "--all"]).run();
    output
        .code(1)
        .stderr_has(&format!("the agent of '{id}' is still running"));
    assert_eq!(tasks(&world), [&*id]);
    assert!(world.agent(&id).is_alive());
    world.flux(["cleanup", "--all", "--yes"]).run().success();
    assert!(tasks(&world).is_empty());
}

#[test]
fn cleanup_of_several_tasks_asks_one_question() {
    let world = World::new();
    done(&world, &["one", "two"]);
    let before = world.snapshot();
    for key in ["n", "Escape", "C-c"] {
        let terminal = world.terminal(100, 40);
        terminal.command("git flux cleanup --all");
        let screen = terminal.wait_for_screen("Clean up 2 tasks?");
        assert!(screen.contains("merge 1 commit into 'main'"), "{screen}");
        terminal.keys([key]);
        assert_eq!(terminal.exit_code(), 130, "{}", terminal.screen());
        world.assert_unchanged(&before);
    }
    let terminal = world.terminal(40, 40);
    terminal.command("git flux cleanup one two");
    terminal.wait_for_screen("Clean up 2 tasks?");
    terminal.keys(["y"]);
    assert_eq!(terminal.exit_code(), 0, "{}", terminal.screen());
    assert!(tasks(&world).is_empty());
}

#[test]
fn cleanup_of_several_tasks_defaults_to_no_if_an_agent_runs_in_the_callers_pane() {
    let world = World::new();
    let task = Started::new(&world, "wait");
    task.keys(["C-z"]);
    task.wait_for_screen("The agent is suspended");
    let before = world.snapshot();
    task.keys(["git flux cleanup --all; echo \"ended: $?\"", "Enter"]);
    task.wait_for_screen("Clean up 1 task?");
    task.keys(["Enter"]);
    task.wait_for_screen("ended: 130");
    world.assert_unchanged(&before);
    assert!(task.agent.is_alive());
}

#[test]
fn cleanup_rejects_contradicting_selections_as_a_usage_error() {
    let world = World::new();
    done(&world, &["one"]);
    let before = world.snapshot();
    for args in [
        &["--all", "one"][..],
        &["--merged", "one"],
        &["--all", "--merged"],
        &["--merged=main", "--into", "main"],
        &["--merged=main", "--commit"],
        &["--merged=main", "--discard-branch"],
        &["--merged", "--discard-branch"],
    ] {
        world.flux(["cleanup"].iter().chain(args)).run().code(2);
        world.assert_unchanged(&before);
    }
}

#[test]
fn cleanup_merged_accepts_a_remote_branch_that_contains_the_work() {
    let world = World::new();
    done(&world, &["merged", "squashed", "open", "dirty"]);
    world.behaviour("raw");
    world.flux(["run", "-q", "--name", "fresh", "Fix"]).ok();
    world.agent("fresh").tell("exit 0");
    world.wait_ended("fresh");
    // A hosting service merges, and the user fetches.
    let remote = world.root().join("remote");
    let (from, to) = (world.repo(), remote.display().to_string());
    world.git(["clone", "-q", from.to_str().unwrap(), &to]);
    for (option, name) in [
        ("--no-ff", "merged"),
        ("--squash", "squashed"),
        ("--no-ff", "dirty"),
    ] {
        let branch = format!("origin/feature/{name}");
        world.git_in(&remote, ["merge", "-q", option, &branch]);
        if option == "--squash" {
            world.git_in(&remote, ["commit", "-q", "-m", "Squashed"]);
        }
    }
    world.git(["remote", "add", "origin", &to]);
    world.git(["fetch", "-q", "origin", "main"]);
    world.write(world.worktree("dirty").join("loose.txt"), "loose\n");
    let main = world.git(["rev-parse", "main"]);
    let before = world.snapshot();
    // Here nothing of it is merged.
    let output = world.flux(["cleanup", "--merged"]).run();
    output.success().stderr_is("nothing to clean up\n");
    let into = ["cleanup", "--merged", "--into"];
    for (name, hint) in [
        ("origin/main", "git flux cleanup --merged=origin/main"),
        ("nosuch", "git branch"),
    ] {
        let output = world.flux(into.iter().chain(&[name])).run();
        output.code(1).stderr_is(&format!(
            "error: there is no branch '{name}'\nhint: {hint}\n"
        ));
    }
    let output = world.flux(["cleanup", "--merged=nosuch"]).run();
    output.code(1).says(&expect![[r#"
        --- stderr
        error: 'nosuch' does not name a commit
        hint: git branch --all
        hint: git fetch
    "#]]);
    let dry = world
        .flux(["cleanup", "--merged=origin/main", "--dry-run"])
        .ok();
    assert!(
        dry.contains(
            "merged    merge nothing: 'origin/main' already has all commits of 'feature/merged'"
        ),
        "{dry}"
    );
    assert!(
        dry.contains("'origin/main' already has the changes of 'feature/squashed'"),
        "{dry}"
    );
    world.assert_unchanged(&before);

    let output = world.flux(["cleanup", "--merged=origin/main"]).run();
    output.success().stderr_has(
        "nothing was merged: 'origin/main' already has all commits of 'feature/merged'\n",
    );
    assert_eq!(tasks(&world), ["dirty", "fresh", "open"]);
    assert_eq!(world.git(["rev-parse", "main"]), main);
    let list = world.flux(["restore", "--list"]).ok();
    assert_eq!(
        list.matches("merged into 'origin/main'").count(),
        2,
        "{list}"
    );
    // Any commit will do, and what has been merged is no loss.
    let tip = world.git(["rev-parse", "origin/main"]);
    let discard = ["cleanup", "--discard", &format!("--merged={tip}")];
    world.flux(discard).run().success();
    assert_eq!(tasks(&world), ["fresh", "open"]);
    let log = world.flux(["log", "dirty"]).ok();
    assert!(log.contains("(removed)"), "{log}");
    world.flux(["restore", "merged"]).run().success();
    assert_eq!(
        world.read(world.worktree("merged").join(file("merged"))),
        "work\n"
    );
}
