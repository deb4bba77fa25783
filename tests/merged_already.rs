//! Tests which work cleanup recognises as merged already: squashed, cherry-picked, reverted.

use crate::world::removal::*;
use crate::world::*;

const LINES: &str = "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n";

/// Makes a task with two commits, in `one.txt` and `two.txt`; the target has moved in another file since.
fn task(world: &World) -> String {
    let id = running_task(world);
    let worktree = world.worktree(&id);
    world.commit_in(&worktree, "one.txt", LINES);
    world.commit_in(&worktree, "two.txt", "two\n");
    world.commit_in(&worktree, "one.txt", &LINES.replace("5\n", "five\n"));
    end_agent(world, &id);
    world.commit_in(world.repo(), "README.md", "moved\n");
    id
}

fn squash(world: &World, branch: &str) {
    world.git(["merge", "-q", "--squash", branch]);
    world.git(["commit", "-q", "-m", "All of it"]);
}

fn pick(world: &World, branch: &str) {
    world.git(["cherry-pick", &format!("main..{branch}")]);
}

/// A later change of the target, and the reason that cleanup then gives.
type Then = (fn(&World), &'static str);

fn go_on(world: &World) {
    world.commit_in(world.repo(), "one.txt", &LINES.replace("5\n", "V\n"));
    world.commit_in(world.repo(), "two.txt", "two, and more\n");
}

fn remove(world: &World) {
    world.git(["rm", "-q", "one.txt", "two.txt"]);
    world.git(["commit", "-q", "-m", "Not any more"]);
}

/// Cleans up, and asserts that nothing was merged, for this reason, and that all of it was kept.
#[track_caller]
fn assert_nothing_is_merged(world: &World, id: &str, style: &str, why: &str) {
    let (main, tip) = (commit(world, "main"), tip(world, id));
    let before = world.snapshot();
    let dry = world.flux(["cleanup", style, "--dry-run", id]).run();
    dry.success()
        .stdout_has("would merge nothing: ")
        .stdout_has(why);
    world.assert_unchanged(&before);
    let output = world.flux(["cleanup", style, id]).run();
    output
        .success()
        .stderr_has("nothing was merged: ")
        .stderr_has(why);
    assert_eq!(commit(world, "main"), main, "{style}\n{output}");
    let archived = commit(world, &format!("refs/flux/archive/{id}/tip"));
    assert_eq!(archived, tip, "{style}");
    assert_removed(world, id);
}

const STYLES: [&str; 4] = ["--merge", "--squash", "--rebase", "--ff-only"];

#[test]
fn cleanup_recognises_a_squash_after_further_changes() {
    let then: [Then; 3] = [
        (|_| {}, "has the changes of"),
        (go_on, "squashed into one commit"),
        (remove, "squashed into one commit"),
    ];
    for (style, (then, why)) in STYLES
        .iter()
        .flat_map(|style| then.map(|then| (*style, then)))
    {
        let world = World::new();
        let id = task(&world);
        squash(&world, &format!("feature/{id}"));
        then(&world);
        assert_nothing_is_merged(&world, &id, style, why);
    }
}

#[test]
fn cleanup_recognises_cherry_picked_commits_after_further_changes() {
    let then: [Then; 3] = [
        (|_| {}, "has the changes of"),
        (go_on, "has each commit of"),
        (remove, "has each commit of"),
    ];
    for (style, (then, why)) in STYLES
        .iter()
        .flat_map(|style| then.map(|then| (*style, then)))
    {
        let world = World::new();
        let id = task(&world);
        pick(&world, &format!("feature/{id}"));
        then(&world);
        assert_nothing_is_merged(&world, &id, style, why);
    }
}

#[test]
fn cleanup_recognises_a_squash_of_a_branch_that_merged_its_target() {
    let world = World::new();
    let id = task(&world);
    let worktree = world.worktree(&id);
    world.git_in(&worktree, ["merge", "-q", "--no-edit", "main"]);
    world.commit_in(&worktree, "two.txt", "two, after the merge\n");
    squash(&world, &format!("feature/{id}"));
    go_on(&world);
    assert_nothing_is_merged(&world, &id, "--merge", "squashed into one commit");
}

#[test]
fn cleanup_recognises_a_merge_after_further_changes() {
    for style in STYLES {
        let world = World::new();
        let id = task(&world);
        world.git(["merge", "-q", "--no-edit", &format!("feature/{id}")]);
        go_on(&world);
        assert_nothing_is_merged(&world, &id, style, "already has all commits of");
    }
}

#[test]
fn cleanup_does_not_call_a_branch_without_commits_merged() {
    for style in STYLES {
        let world = World::new();
        let id = running_task(&world);
        end_agent(&world, &id);
        world.commit_in(world.repo(), "README.md", "moved\n");
        assert_nothing_is_merged(&world, &id, style, "has no commits of its own");
    }
}

#[test]
fn cleanup_merges_nothing_if_the_commits_change_nothing_in_total() {
    for style in STYLES {
        for moved in [false, true] {
            let world = World::new();
            let id = working_task(&world);
            let worktree = world.worktree(&id);
            world.git_in(&worktree, ["revert", "--no-edit", "HEAD"]);
            end_agent(&world, &id);
            if moved {
                world.commit_in(world.repo(), "README.md", "moved\n");
            }
            assert_nothing_is_merged(&world, &id, style, "cancel each other out");
        }
    }
}

/// Cleans up, and asserts that `file` came to be what the task made of it.
#[track_caller]
fn assert_is_merged(world: &World, id: &str, file: &str) {
    let wanted = world.read(world.worktree(id).join(file));
    let main = commit(world, "main");
    world.flux(["cleanup", id]).run().success();
    assert_ne!(commit(world, "main"), main);
    assert_eq!(world.read(file), wanted);
    assert_removed(world, id);
}

#[test]
fn cleanup_merges_a_branch_that_was_merged_only_in_part() {
    // Work after the squash.
    let world = World::new();
    let id = task(&world);
    squash(&world, &format!("feature/{id}"));
    world.commit_in(world.worktree(&id), "three.txt", "three\n");
    assert_is_merged(&world, &id, "three.txt");
    // One commit of three.
    let world = World::new();
    let id = task(&world);
    world.git(["cherry-pick", &format!("feature/{id}~1")]);
    assert_is_merged(&world, &id, "one.txt");
    // A change of the same file that is another one.
    let world = World::new();
    let id = working_task(&world);
    end_agent(&world, &id);
    world.commit_in(world.repo(), "one.txt", LINES);
    world.commit_in(world.worktree(&id), "README.md", "# theirs\n");
    world.commit_in(world.repo(), "README.md", "# myapp\n\nmoved\n");
    world.git(["revert", "--no-edit", "HEAD"]);
    assert_is_merged(&world, &id, "README.md");
}

#[test]
fn cleanup_compares_the_whole_content_of_binary_files() {
    let world = World::new();
    let id = working_task(&world);
    end_agent(&world, &id);
    world.commit_in(world.worktree(&id), "blob", "\0task\n");
    world.commit_in(world.repo(), "agent.txt", "one\n");
    world.commit_in(world.repo(), "blob", "\0main\n");
    world.git(["rm", "-q", "blob"]);
    world.git(["commit", "-q", "-m", "Not any more"]);
    assert_is_merged(&world, &id, "blob");
}

/// The target has the commits of the branch, but not the resolution of its merge.
#[test]
fn cleanup_merges_a_resolution_that_is_only_in_a_merge_commit() {
    let world = World::new();
    let id = running_task(&world);
    end_agent(&world, &id);
    let worktree = world.worktree(&id);
    world.commit_in(&worktree, "one.txt", LINES);
    let theirs = world.git_in(&worktree, ["rev-parse", "HEAD"]);
    let ours = world.commit_in(world.repo(), "README.md", "moved\n");
    world.git_in(&worktree, ["merge", "-q", "--no-commit", &ours]);
    world.write(worktree.join("resolved.txt"), "only in the merge\n");
    world.git_in(&worktree, ["add", "--all"]);
    world.git_in(&worktree, ["commit", "-q", "-m", "Merge"]);
    world.git(["cherry-pick", &theirs]);
    world.commit_in(world.repo(), "two.txt", "two\n");
    assert_is_merged(&world, &id, "resolved.txt");
}

#[test]
fn cleanup_compares_patches_only_if_both_sides_changed_the_same_file() {
    let compared = |world: &World, id: &str| {
        world.shim();
        world.clear_calls();
        world.flux(["cleanup", "-n", id]).run().success();
        let calls = world.calls();
        calls
            .iter()
            .any(|call| call.line().contains("--cherry-mark"))
    };
    let world = World::new();
    let id = task(&world);
    assert!(!compared(&world, &id));
    world.commit_in(world.repo(), "three.txt", "three\n");
    assert!(!compared(&world, &id));
    squash(&world, &format!("feature/{id}"));
    assert!(!compared(&world, &id), "the trees say it already");
    remove(&world);
    assert!(compared(&world, &id));
}

#[test]
fn cleanup_merges_without_comparing_patches_if_the_history_is_too_long() {
    let world = World::new();
    let id = task(&world);
    squash(&world, &format!("feature/{id}"));
    remove(&world);
    let mut commits = String::new();
    for n in 0..1000 {
        let author = "committer A <a@example.com> 1767323045 +0000";
        let parent = if n == 0 {
            "from refs/heads/main^0\n"
        } else {
            ""
        };
        commits += &format!("commit refs/heads/main\n{author}\ndata 1\nx\n{parent}\n");
    }
    world.write("import", commits);
    let import = std::fs::File::open(world.repo().join("import")).unwrap();
    let mut git = world.command("git");
    git.current_dir(world.repo())
        .args(["fast-import", "--quiet", "--force"]);
    assert!(git.stdin(import).status().unwrap().success());
    std::fs::remove_file(world.repo().join("import")).unwrap();
    assert_is_merged(&world, &id, "two.txt");
}

#[test]
fn cleanup_refuses_in_every_style_if_the_base_branch_is_gone() {
    for style in STYLES {
        let world = World::new();
        world.git(["switch", "-q", "-c", "base"]);
        let id = working_task(&world);
        world.git(["switch", "-q", "main"]);
        world.git(["branch", "-D", "base"]);
        let before = world.snapshot();
        let output = world.flux(["cleanup", "-y", style, &id]).run();
        output.code(1).stderr_is(&format!(
            "error: there is no branch 'base' to merge '{id}' into\n\
             hint: to merge it elsewhere: git flux cleanup {id} {style} --into <branch>\n\
             hint: to remove it without a merge: git flux cleanup {id} --discard-branch\n"
        ));
        world.assert_unchanged(&before);
        assert!(world.agent(&id).is_alive());
    }
}
