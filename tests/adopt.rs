//! Tests `git flux adopt`, which makes a task of an existing worktree.

use std::path::PathBuf;

use crate::world::*;

/// Makes a worktree of the user on the branch `topic`, with a commit and a change.
fn topic_worktree(world: &World) -> PathBuf {
    let path = world.root().join("topic");
    world.git(["worktree", "add", "-q", "-b", "topic", "../topic"]);
    world.commit_in(&path, "topic.txt", "1\n");
    world.write(path.join("left.txt"), "left\n");
    path
}

#[test]
fn adopt_makes_a_task_of_a_worktree_that_diff_cleanup_and_restore_accept() {
    let world = World::new();
    let path = topic_worktree(&world);
    let base = world.git(["rev-parse", "main"]);
    world.commit_in(world.repo(), "main.txt", "1\n");
    world
        .flux(["adopt", "../topic", "--name", "mine"])
        .run()
        .success()
        .says(&expect![[r#"
            --- stderr
            adopted '$WORLD/topic' as 'mine'; cleanup keeps its branch 'topic'
            hint: to go to the task: git flux attach mine
            hint: to see its changes: git flux diff mine
            hint: to merge and remove it: git flux cleanup mine
        "#]]);
    let task = world.flux(["status", "--json", "mine"]).run().json();
    assert_eq!(
        (&task["branch"], &task["title"]),
        (&"topic".into(), &"topic".into())
    );
    assert_eq!(
        (&task["into"], &task["base"]),
        (&"main".into(), &(*base).into())
    );
    assert_eq!(
        (&task["state"], &task["branchKept"]),
        (&"idle".into(), &true.into())
    );
    assert_eq!(task["worktree"], *path.to_str().unwrap());
    assert_eq!(world.read(path.join("left.txt")), "left\n");
    let diff = world.flux(["diff", "mine", "--", "--name-only"]).run();
    diff.success().says(&expect![[r#"
        left.txt
        topic.txt
    "#]]);
    let cleanup = ["cleanup", "-y", "--commit=The rest", "mine"];
    world.flux(cleanup).run().success().says(&expect![[r#"
        --- stderr
        committed 1 file on 'topic'
        merged 2 commits of 'topic' into 'main' (<object>..<object>)
        removed 'mine': worktree and record; the branch 'topic' stays
        its commits stay in refs/flux/archive/mine/tip
        its files are kept in '$WORLD/myapp/.git/flux/trash/mine'
        hint: to restore the task: git flux restore mine
        hint: to undo the merge, on 'main': git revert -m 1 <object>
    "#]]);
    assert!(!path.exists());
    assert_eq!(world.read("left.txt"), "left\n");
    world.git(["rev-parse", "--verify", "refs/heads/topic"]);
    assert!(
        world
            .try_git(["config", "--get-regexp", "^branch.topic"])
            .is_err()
    );
    // And back again.
    world.flux(["restore", "mine"]).run().success();
    assert!(path.join("left.txt").exists());
}

#[test]
fn adopt_starts_an_agent_in_the_worktree_if_given_a_description() {
    let world = World::new();
    let path = topic_worktree(&world);
    let adopt = ["adopt", "-q", "../topic", "--name", "mine", "Go", "on"];
    world.flux(adopt).run().success().stdout_is("mine\n");
    let agent = world.agent("mine");
    agent.wait_started();
    assert_eq!(agent.cwd(), path);
    assert!(String::from_utf8_lossy(&agent.prompt()).contains("Go on"));
    let task = world.flux(["status", "--json", "mine"]).run().json();
    assert_eq!(
        (&task["state"], &task["title"]),
        (&"running".into(), &"Go on".into())
    );
}

#[test]
fn adopt_keeps_the_task_if_its_agent_does_not_start() {
    let world = World::new();
    let path = topic_worktree(&world);
    world.fault(&Fault::every("tmux", "new-session", Mode::Fail));
    let adopt = ["adopt", "../topic", "--name", "mine", "Go on"];
    world
        .flux(adopt)
        .run()
        .code(1)
        .stderr_has("'mine' is a task now, but its agent did not start")
        .stderr_has("git flux resume mine --restart");
    world.clear_fault();
    assert_eq!(world.read(path.join("left.txt")), "left\n");
    world.flux(["resume", "mine", "--restart"]).run().success();
    world.agent("mine").wait_started();
}

#[test]
fn adopt_takes_the_target_from_into_or_the_current_branch() {
    let world = World::new();
    let path = topic_worktree(&world);
    world.git(["branch", "release"]);
    let into = |args: &[&str]| {
        let adopt = world.flux(["adopt", "-q", "--name", "mine"].iter().chain(args));
        adopt.in_dir(&path).ok();
        let task = world.flux(["status", "--json", "mine"]).run().json();
        let cleanup = ["cleanup", "-y", "--discard", "--discard-branch", "mine"];
        world.flux(cleanup).run().success();
        world.git(["worktree", "add", "-q", "../topic", "topic"]);
        task["into"].as_str().unwrap().to_owned()
    };
    assert_eq!(into(&["--into", "release", "."]), "release");
    assert_eq!(into(&["."]), "main");
}

#[test]
fn adopt_refuses_a_path_that_is_no_unlocked_linked_worktree_on_a_branch() {
    let world = World::new();
    let path = topic_worktree(&world);
    let refused = |args: &[&str], why: &str| {
        let before = world.snapshot();
        let adopt = world.flux(["adopt"].iter().chain(args)).run();
        adopt.code(1).stderr_has(why).stderr_has("hint: ");
        world.assert_unchanged(&before);
    };
    refused(&["../nowhere"], "there is nothing at '../nowhere'");
    refused(&["src"], "'src' is not a worktree of this repository");
    refused(&["."], "'.' is the main worktree");
    world.git(["config", "flux.into", "main"]);
    world.git(["branch", "release"]);
    let configured = "'topic' is configured to be merged into 'main'";
    refused(&["../topic", "--into", "release"], configured);
    refused(&["../topic", "--into", "none"], "there is no branch 'none'");
    refused(&["../topic", "--agent", "nobody"], "'nobody'");
    world.git(["worktree", "lock", "--reason", "on a stick", "../topic"]);
    refused(&["../topic"], "topic' is locked: on a stick");
    world.git(["worktree", "unlock", "../topic"]);
    world.git_in(&path, ["checkout", "-q", "--detach"]);
    refused(&["../topic"], "has no branch checked out");
    world.git_in(&path, ["checkout", "-q", "topic"]);
    let stops = "-C ../topic rebase -q --exec false --root".split(' ');
    assert!(world.try_git(stops).is_err());
    refused(&["../topic"], "a rebase is in progress in '");
    world.git_in(&path, ["rebase", "--abort"]);
    let id = world.start("Another");
    let task = world.worktree(&id);
    let task = task.to_str().unwrap();
    refused(&[task], &format!("is the worktree of the task '{id}'"));
    refused(
        &["../topic", "--name", &id],
        &format!("the task '{id}' exists already"),
    );
    std::fs::remove_dir_all(&path).unwrap();
    refused(&["../topic"], "the worktree '../topic' is missing");
}

#[test]
fn adopt_leaves_the_worktree_unchanged_when_killed() {
    for words in ["update-ref", "config"] {
        for mode in Mode::KILLS {
            let world = World::new();
            let path = topic_worktree(&world);
            let tip = world.git(["rev-parse", "topic"]);
            let fault = Fault::nth("git", 1, mode);
            world.fault(&Fault { words, ..fault });
            let adopt = world.flux(["adopt", "../topic", "--name", "mine"]);
            let adopt = adopt.run();
            world.wait_fault_over();
            world.clear_fault();
            assert!(adopt.signal.is_some() || words == "config", "{adopt}");
            world.flux(["cleanup", "no-such-task"]).run().code(1);
            assert_eq!(world.git(["rev-parse", "topic"]), tip);
            assert_eq!(world.read(path.join("left.txt")), "left\n");
            if world
                .try_git(["rev-parse", "--verify", "refs/flux/tasks/mine"])
                .is_err()
            {
                world
                    .flux(["adopt", "../topic", "--name", "mine"])
                    .run()
                    .success();
            }
            world.flux(["status", "mine"]).run().success();
        }
    }
}

#[test]
fn adopt_refuses_a_branch_of_another_worktree_or_task() {
    let world = World::new();
    topic_worktree(&world);
    world.git(["worktree", "add", "-q", "-f", "../again", "topic"]);
    let before = world.snapshot();
    let output = world.flux(["adopt", "../again"]).run();
    output.code(1).says(&expect![[r#"
        --- stderr
        error: 'topic' is checked out twice: in '$WORLD/again' and '$WORLD/topic'
        hint: to switch one to a new branch: git -C '$WORLD/again' switch -c <branch>
    "#]]);
    world.assert_unchanged(&before);
    world.git(["worktree", "remove", "../again"]);
    world.flux(["adopt", "../topic", "--name", "mine"]).ok();
    world.git(["worktree", "add", "-q", "-f", "../again", "topic"]);
    let before = world.snapshot();
    let output = world.flux(["adopt", "../again"]).run();
    output.code(1).says(&expect![[r#"
        --- stderr
        error: 'topic' is the branch of the task 'mine'
        hint: to go to the task: git flux attach mine
    "#]]);
    world.assert_unchanged(&before);
}

/// Locks the worktree as claude does for a process that started then.
fn lock_like_claude(world: &World, pid: u32, start: &str) {
    let reason = format!("claude session topic (pid {pid} start {start})");
    world.git(["worktree", "lock", "--reason", &reason, "../topic"]);
}

/// Returns when a process has started: the 22nd field of `/proc/<pid>/stat`.
fn start_of(world: &World, pid: u32) -> String {
    let stat = world.read(format!("/proc/{pid}/stat"));
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    fields.split(' ').nth(19).unwrap().to_owned()
}

#[test]
fn adopt_takes_over_the_lock_of_an_agent_that_has_ended() {
    let world = World::new();
    let path = topic_worktree(&world);
    let mut child = world.command("sleep").arg("1000").spawn().unwrap();
    let (pid, start) = (child.id(), start_of(&world, child.id()));
    lock_like_claude(&world, pid, &start);
    let before = world.snapshot();
    let adopt = [
        "adopt", "../topic", "--name", "mine", "--into", "main", "Go on",
    ];
    let refused = world.flux(adopt).run();
    refused
        .code(1)
        .stderr_has(&format!(
            "'claude' works in '{}' (process {pid})",
            path.display()
        ))
        .stderr_has(&format!("hint: to end it: kill {pid}\n"));
    world.assert_unchanged(&before);
    child.kill().unwrap();
    child.wait().unwrap();
    world.flux(adopt).run().success().stderr_has(&format!(
        "unlocked '{}': 'claude' (process {pid}), which locked it, has ended\nadopted '",
        path.display()
    ));
    let agent = world.agent("mine");
    agent.wait_started();
    let worktrees = world.git(["worktree", "list", "--porcelain"]);
    assert!(worktrees.contains("locked git flux: mine"), "{worktrees}");
    agent.tell("exit 0");
    world.wait_ended("mine");
    world
        .flux(["cleanup", "-y", "--commit=The rest", "mine"])
        .run()
        .success();
    assert!(!path.exists());
}

#[test]
fn adopt_tells_a_process_from_a_later_one_with_its_id() {
    let world = World::new();
    topic_worktree(&world);
    // A process with the id runs, but has not started then; without a start, it may be the agent.
    let pid = std::process::id();
    let adopt = ["adopt", "../topic", "--name", "mine"];
    let reason = format!("claude agent topic (pid {pid})");
    world.git(["worktree", "lock", "--reason", &reason, "../topic"]);
    let before = world.snapshot();
    world
        .flux(adopt)
        .run()
        .code(1)
        .stderr_has("'claude' works in");
    world.assert_unchanged(&before);
    world.git(["worktree", "unlock", "../topic"]);
    lock_like_claude(&world, pid, "1");
    world.flux(adopt).run().success().stderr_has("has ended");
    let worktrees = world.git(["worktree", "list", "--porcelain"]);
    assert!(!worktrees.contains("locked"), "{worktrees}");
}

#[test]
fn adopt_takes_the_agent_that_made_the_worktree() {
    let world = World::new();
    world.git(["config", "flux.agent", "shell"]);
    for (path, agent) in [
        (".claude/worktrees/one", "claude"),
        (".gemini/worktrees/two", "gemini"),
        ("../three", "shell"),
    ] {
        let name = path.rsplit('/').next().unwrap();
        world.git(["worktree", "add", "-q", "-b", name, path]);
        world
            .flux(["adopt", "-q", path, "--name", name])
            .run()
            .success();
        let task = world.flux(["status", "--json", name]).run().json();
        assert_eq!(task["agent"], agent);
    }
    world.git([
        "worktree",
        "add",
        "-q",
        "-b",
        "four",
        ".claude/worktrees/four",
    ]);
    let adopt = ["adopt", "-q", "--agent", "shell", "--name", "four"];
    let adopt = adopt.into_iter().chain([".claude/worktrees/four"]);
    world.flux(adopt).run().success();
    let task = world.flux(["status", "--json", "four"]).run().json();
    assert_eq!(task["agent"], "shell");
}
