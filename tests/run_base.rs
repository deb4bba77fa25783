//! Tests `git flux run --base` and `--name`, and the target of a task.

use crate::world::*;

#[track_caller]
fn assert_base(world: &World, args: &[&str], commit: &str, into: Option<&str>) {
    let output = world
        .flux(["run", "--json"].iter().chain(args).chain(&["Fix"]))
        .run();
    let task = output.success().json();
    assert_eq!(task["base"], commit, "{args:?}");
    assert_eq!(task["into"].as_str(), into, "{args:?}");
    let worktree = task["worktree"].as_str().unwrap();
    assert_eq!(
        world.git_in(worktree, ["rev-parse", "HEAD"]),
        commit,
        "{args:?}"
    );
    assert_eq!(task["ahead"], 0, "{args:?}");
    let id = task["id"].as_str().unwrap();
    let status = world.flux(["status", "--json", id]).run().json();
    assert_eq!(
        (status["base"].as_str(), status["into"].as_str()),
        (Some(commit), into)
    );
    assert_eq!(
        world.git(["show", &format!("refs/flux/tasks/{id}:prompt.md")]),
        "Fix"
    );
}

#[test]
fn run_stores_the_configured_target() {
    let world = World::new();
    world.git(["branch", "dev"]);
    let head = world.git(["rev-parse", "HEAD"]);
    world.git(["config", "flux.into", "dev"]);
    let run = ["run", "--dry-run", "--name", "fix", "Fix"];
    assert!(world.flux(run).ok().contains("\n  Into: dev\n"));
    assert_base(&world, &[], &head, Some("dev"));
    // That of a branch comes before, also of one that is still to be made.
    world.git(["config", "branch.feature/fix.fluxInto", "refs/heads/main"]);
    assert!(world.flux(run).ok().contains("\n  Into: main\n"));
    assert_base(&world, &["--name", "fix"], &head, Some("main"));
}

#[test]
fn run_and_adopt_refuse_if_the_configured_target_does_not_exist() {
    let world = World::new();
    world.git(["branch", "topic"]);
    world.git(["branch", "theirs"]);
    world.git(["worktree", "add", "-q", "../theirs", "theirs"]);
    world.git(["config", "flux.into", "gone"]);
    let before = world.snapshot();
    for args in [
        &["run", "Fix"][..],
        &["run", "--dry-run", "Fix"],
        &["run", "--branch", "topic", "Fix"],
        &["adopt", "../theirs"],
    ] {
        let output = world.flux(args).run();
        output.code(1).says(&expect![[r#"
            --- stderr
            error: there is no branch 'gone' to merge the task into
            hint: 'flux.into' has the value 'gone' in file '.git/config'
            hint: git config flux.into <branch>
        "#]]);
        world.assert_unchanged(&before);
    }
}

#[test]
fn run_accepts_any_commit_as_base_and_takes_its_branch_as_target() {
    let world = World::new();
    let first = world.git(["rev-parse", "HEAD"]);
    world.git(["tag", "-a", "v1", "-m", "Version 1"]);
    let second = world.commit_in(world.repo(), "second.txt", "2");
    world.git(["branch", "topic/one", &first]);
    world.git(["remote", "add", "origin", "../myapp"]);
    world.git(["fetch", "-q", "origin"]);
    assert_base(&world, &[], &second, Some("main"));
    assert_base(&world, &["--base", "HEAD"], &second, Some("main"));
    assert_base(&world, &["--base", "main"], &second, Some("main"));
    assert_base(&world, &["--base", "topic/one"], &first, Some("topic/one"));
    assert_base(
        &world,
        &["--base=refs/heads/topic/one"],
        &first,
        Some("topic/one"),
    );
    assert_base(&world, &["--base", "v1"], &first, None);
    assert_base(&world, &["--base", "HEAD~1"], &first, None);
    assert_base(&world, &["--base", &first[..9]], &first, None);
    assert_base(&world, &["--base", "origin/main"], &second, None);
    world.git(["checkout", "-q", "topic/one"]);
    assert_base(&world, &[], &first, Some("topic/one"));
    world.git(["checkout", "-q", "--detach", "main"]);
    assert_base(&world, &[], &second, None);
}

#[test]
fn run_refuses_a_base_that_is_not_a_commit() {
    let world = World::new();
    let before = world.snapshot();
    for rev in [
        "nowhere",
        "HEAD:README.md",
        "HEAD^{tree}",
        "0000000",
        "main..main",
        "--all",
        "main\nmain",
        "",
    ] {
        let output = world.flux(["run", &format!("--base={rev}"), "Fix"]).run();
        output
            .code(1)
            .stderr_has("does not name a commit")
            .stderr_has("hint: git ");
        world.assert_unchanged(&before);
    }
}

#[test]
fn run_uses_the_name_as_the_id() {
    let world = World::new();
    for name in ["fix", "0", "a-b-c", &"x".repeat(50)] {
        world
            .flux(["run", "-q", "--name", name, "Fix"])
            .run()
            .success()
            .stdout_is(&format!("{name}\n"));
        assert_eq!(
            world.git(["config", &format!("branch.feature/{name}.fluxTask")]),
            name
        );
        assert!(world.worktree(name).is_dir());
    }
}

#[test]
fn run_refuses_a_name_that_is_not_a_valid_id() {
    let world = World::new();
    let before = world.snapshot();
    for name in [
        "",
        "-x",
        "Fix",
        "a b",
        "a/b",
        "../x",
        "a.b",
        "a_b",
        "ä",
        "a\n",
        &"x".repeat(51),
    ] {
        let output = world.flux(["run", &format!("--name={name}"), "Fix"]).run();
        output
            .code(2)
            .stderr_has("is not a task id")
            .stderr_has("hint: ");
        world.assert_unchanged(&before);
    }
}

#[test]
fn run_refuses_a_name_that_exists() {
    let world = World::new();
    world.flux(["run", "--name", "fix", "Fix"]).run().success();
    world.agent("fix").wait_started();
    let before = world.snapshot();
    let output = world.flux(["run", "--name", "fix", "Another"]).run();
    output.code(1).says(&expect![[r#"
        --- stderr
        error: the task 'fix' exists already
        hint: to go to the task: git flux attach fix
        hint: to merge and remove it: git flux cleanup fix
    "#]]);
    world.assert_unchanged(&before);
    // A name that another begins with is its own.
    world.flux(["run", "--name", "fi", "Fix"]).run().success();
}
