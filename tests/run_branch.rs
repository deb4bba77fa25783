//! Tests `git flux run --branch`, which works on an existing branch and keeps it.

use crate::world::*;

const RUN: [&str; 5] = ["run", "-q", "--name", "go", "--branch"];

/// Makes a branch of the user with a commit and a section in the configuration, and two commits on main.
fn topic(world: &World) -> (String, String) {
    let base = world.git(["rev-parse", "HEAD"]);
    world.git(["switch", "-q", "-c", "topic"]);
    let tip = world.commit_in(world.repo(), "topic.txt", "1\n");
    world.git(["config", "branch.topic.description", "The user's own words"]);
    world.git(["config", "branch.topic.remote", "."]);
    world.git(["switch", "-q", "main"]);
    world.commit_in(world.repo(), "main.txt", "1\n");
    (base, tip)
}

/// Makes a repository `origin` that has the branches `main` and `far`.
fn origin(world: &World) -> String {
    let origin = world.root().join("origin");
    world.git(["branch", "far"]);
    world.git_in(world.root(), ["clone", "-q", "--bare", "myapp", "origin"]);
    world.git(["branch", "-D", "far"]);
    world.git(["remote", "add", "origin", origin.to_str().unwrap()]);
    world.git(["fetch", "-q", "origin"]);
    world.git(["rev-parse", "origin/far"])
}

fn tip(world: &World, branch: &str) -> Option<String> {
    let name = format!("refs/heads/{branch}");
    world.try_git(["rev-parse", "--verify", &name]).ok()
}

#[test]
fn run_branch_works_on_an_existing_branch_and_cleanup_keeps_it() {
    let world = World::new();
    let (base, before) = topic(&world);
    let section = world.git(["config", "--get-regexp", "^branch.topic"]);
    world.flux(RUN.into_iter().chain(["topic", "Go on"])).ok();
    let worktree = world.worktree("go");
    let head = world.git_in(&worktree, ["symbolic-ref", "HEAD"]);
    assert_eq!(head, "refs/heads/topic");
    let task = world.flux(["status", "--json", "go"]).run().json();
    assert_eq!(task["base"], *base);
    assert_eq!(
        (&task["into"], &task["title"]),
        (&"main".into(), &"Go on".into())
    );
    assert_eq!(
        (&task["branchKept"], &task["ahead"]),
        (&true.into(), &1.into())
    );
    let status = world.flux(["status", "go"]).run();
    status.success().stdout_has("topic (kept by cleanup)");
    let lines = world.flux(["list", "--porcelain"]).run();
    lines.success().stdout_has("branch topic\nbranch-kept\n");
    assert!(tip(&world, "feature/go").is_none());
    let after = world.commit_in(&worktree, "more.txt", "2\n");
    assert_ne!(before, after);
    world
        .flux(["cleanup", "-y", "go"])
        .run()
        .success()
        .says(&expect![[r#"
            --- stderr
            merged 2 commits of 'topic' into 'main' (<object>..<object>)
            removed 'go': worktree and session; the branch 'topic' stays
            its commits stay in refs/flux/archive/go/tip
            its files are kept in '$WORLD/myapp/.git/flux/trash/go'
            hint: to restore the task: git flux restore go
            hint: to undo the merge, on 'main': git revert -m 1 <object>
        "#]]);
    assert_eq!(tip(&world, "topic"), Some(after.clone()));
    assert!(
        world
            .try_git(["merge-base", "--is-ancestor", &after, "main"])
            .is_ok()
    );
    assert!(!worktree.exists());
    assert_eq!(
        world.git(["config", "--get-regexp", "^branch.topic"]),
        section
    );
    assert_eq!(
        world.git(["for-each-ref", "refs/flux/tasks", "refs/flux/base"]),
        ""
    );
}

#[test]
fn cleanup_discard_branch_keeps_a_branch_given_to_run() {
    let world = World::new();
    let (_, before) = topic(&world);
    world.flux(RUN.into_iter().chain(["topic", "Go on"])).ok();
    let merged = world.git(["rev-parse", "main"]);
    world
        .flux(["cleanup", "-n", "-y", "--discard-branch", "go"])
        .run()
        .success()
        .stdout_has("leave 'topic' as it is, without merging it");
    world
        .flux(["cleanup", "-y", "--discard-branch", "go"])
        .run()
        .success()
        .says(&expect![[r#"
            --- stderr
            'topic' is left as it is, without merging it
            removed 'go': worktree and session; the branch 'topic' stays
            its commits stay in refs/flux/archive/go/tip
            its files are kept in '$WORLD/myapp/.git/flux/trash/go'
            hint: to restore the task: git flux restore go
        "#]]);
    assert_eq!(tip(&world, "topic"), Some(before));
    assert_eq!(world.git(["rev-parse", "main"]), merged);
}

#[test]
fn run_branch_tracks_a_remote_branch_and_cleanup_keeps_it() {
    for name in ["origin/far", "far"] {
        let world = World::new();
        let commit = origin(&world);
        world.flux(RUN.into_iter().chain([name, "Go on"])).ok();
        let head = world.git_in(world.worktree("go"), ["symbolic-ref", "HEAD"]);
        assert_eq!(head, "refs/heads/far");
        assert_eq!(tip(&world, "far"), Some(commit.clone()));
        let upstream = world.git(["rev-parse", "--abbrev-ref", "far@{upstream}"]);
        assert_eq!(upstream, "origin/far");
        world.flux(["cleanup", "-y", "go"]).run().success();
        assert_eq!(tip(&world, "far"), Some(commit));
        let upstream = world.git(["rev-parse", "--abbrev-ref", "far@{upstream}"]);
        assert_eq!(upstream, "origin/far");
    }
}

#[test]
fn run_branch_refuses_unusable_branches_before_creating_anything() {
    let world = World::new();
    topic(&world);
    origin(&world);
    world.git(["branch", "far"]);
    world.git(["worktree", "add", "-q", "../elsewhere", "topic"]);
    let orphan = world.git(["commit-tree", "-m", "Alone", "HEAD^{tree}"]);
    world.git(["branch", "alone", &orphan]);
    world.git(["remote", "add", "other", "../origin"]);
    world.git(["fetch", "-q", "other"]);
    let third = world.git(["rev-parse", "HEAD"]);
    for remote in ["origin", "other"] {
        world.git(["update-ref", &format!("refs/remotes/{remote}/both"), &third]);
    }
    let refused = |args: &[&str], code: i32, why: &str, hint: &str| {
        let before = world.snapshot();
        let run = world.flux(RUN.iter().chain(args).chain(&["Go on"]));
        run.run().code(code).stderr_has(why).stderr_has(hint);
        world.assert_unchanged(&before);
    };
    refused(
        &["main"],
        1,
        "the branch 'main' is checked out in '",
        "switch <another branch>",
    );
    refused(
        &["topic"],
        1,
        "the branch 'topic' is checked out in '",
        "git flux adopt ",
    );
    refused(
        &["nowhere"],
        1,
        "there is no branch 'nowhere'",
        "git branch --all",
    );
    refused(&["v1"], 1, "there is no branch 'v1'", "git branch --all");
    refused(
        &["alone"],
        1,
        "'alone' has no commit in common with 'main'",
        "fluxInto",
    );
    let beside = "the branch 'far' exists already, beside 'origin/far'";
    refused(&["origin/far"], 1, beside, "git flux run --branch far");
    let both = "more than one remote has a branch 'both': origin/both, other/both";
    refused(&["both"], 1, both, "git flux run --branch origin/both");
    refused(
        &["far", "--count=2"],
        2,
        "--branch can start only one task",
        "leave out --branch",
    );
    refused(&["far", "--base", "main"], 2, "--base", "");
    world.git(["branch", "-m", "far", "near"]);
    world.git(["config", "branch.far.description", "What it is for"]);
    let settings = "there are settings for 'far', but no such branch";
    refused(&["origin/far"], 1, settings, "git branch far origin/far");
    let id = world.start("Another");
    let branch = format!("feature/{id}");
    refused(
        &[&branch],
        1,
        "is checked out in '",
        &format!("git flux attach {id}"),
    );
}

#[test]
fn run_branch_keeps_the_branch_when_the_start_fails() {
    let world = World::new();
    topic(&world);
    origin(&world);
    for name in ["topic", "origin/far"] {
        let before = world.snapshot();
        world.fault(&Fault::every("tmux", "new-session", Mode::Fail));
        let run = world.flux(RUN.into_iter().chain([name, "Go on"])).run();
        run.code(1).stderr_has("nothing was left behind");
        world.clear_fault();
        world.assert_unchanged(&before);
    }
}

#[test]
fn run_branch_keeps_the_branch_when_killed() {
    for words in [
        "update-ref",
        "worktree add",
        "config",
        "reset",
        "new-session",
    ] {
        for mode in [Mode::KillDuring, Mode::KillAfter] {
            let world = World::new();
            let (_, commit) = topic(&world);
            let section = world.git(["config", "--get-regexp", "^branch.topic"]);
            let program = if words == "new-session" {
                "tmux"
            } else {
                "git"
            };
            let fault = Fault::nth(program, 1, mode);
            world.fault(&Fault { words, ..fault });
            world
                .flux(RUN.into_iter().chain(["topic", "Go on"]))
                .run()
                .killed();
            world.wait_fault_over();
            world.clear_fault();
            world.flux(["cleanup", "no-such-task"]).run().code(1);
            assert_eq!(tip(&world, "topic"), Some(commit), "{words} {mode:?}");
            // Whole or gone: whichever, it can be removed, and nothing of the user's is lost.
            if tip(&world, "topic").is_some() && world.worktree("go").exists() {
                world
                    .flux(["cleanup", "-y", "--discard-branch", "go"])
                    .run()
                    .success();
            }
            let now = world.git(["config", "--get-regexp", "^branch.topic"]);
            assert_eq!(now, section, "{words} {mode:?}");
            assert_eq!(world.git(["for-each-ref", "refs/flux/tasks"]), "");
        }
    }
}

#[test]
fn restore_refuses_a_task_on_an_existing_branch_only_if_it_has_moved() {
    let world = World::new();
    let (_, commit) = topic(&world);
    world.flux(RUN.into_iter().chain(["topic", "Go on"])).ok();
    world.write(world.worktree("go").join("left.txt"), "left\n");
    let cleanup = ["cleanup", "-y", "--discard", "--discard-branch", "go"];
    world.flux(cleanup).run().success();
    world.git(["update-ref", "refs/heads/topic", "main"]);
    let before = world.snapshot();
    world
        .flux(["restore", "go"])
        .run()
        .code(1)
        .says(&expect![[r#"
            --- stderr
            error: the branch 'topic' has moved since 'go' was removed, from <object> to <object>
            hint: to see what has changed: git log <object>...<object>
            hint: to start a new task on it: git flux run --branch topic
        "#]]);
    world.assert_unchanged(&before);
    world.git(["update-ref", "refs/heads/topic", &commit]);
    world.git(["switch", "-q", "topic"]);
    let before = world.snapshot();
    let elsewhere = world.flux(["restore", "go"]).run();
    elsewhere.code(1).says(&expect![[r#"
        --- stderr
        error: the branch 'topic' is checked out in '$WORLD/myapp'
        hint: to free the branch: git -C '$WORLD/myapp' switch --detach
    "#]]);
    world.assert_unchanged(&before);
    world.git(["switch", "-q", "main"]);
    world.flux(["restore", "go"]).run().success();
    assert_eq!(world.read(world.worktree("go").join("left.txt")), "left\n");
    world.flux(cleanup).run().success();
    assert_eq!(tip(&world, "topic"), Some(commit.clone()));
    // Deleted meanwhile, it is made again, and stays then.
    world.git(["branch", "-D", "topic"]);
    world.flux(["restore", "go"]).run().success();
    assert_eq!(tip(&world, "topic"), Some(commit.clone()));
    world.flux(cleanup).run().success();
    assert_eq!(tip(&world, "topic"), Some(commit));
}
