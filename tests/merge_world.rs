//! The merge of a cleanup is git's own: on the branch, with its identity, configuration and states.

use std::fs;

use crate::cleanup::*;
use crate::cleanup_hooks::{SIGNS, fake_gpg, hook};
use crate::world::*;

fn ready(world: &World) -> String {
    let id = done_task(world);
    world.commit_in(world.repo(), "README.md", "moved\n");
    id
}

fn install(world: &World, name: &str, script: &str) {
    hook(world, &world.repo().join(".git/hooks"), name, script);
}

#[test]
fn a_hook_knows_a_merge_by_what_git_has_written_and_may_stash() {
    for script in [
        // The pre-commit framework looks at conflicts only, where there is a MERGE_HEAD.
        "test ! -e \"$(git rev-parse --git-dir)/MERGE_HEAD\"",
        "git stash push -q -ku; git stash pop -q",
        "test \"$(git symbolic-ref HEAD)\" = refs/heads/main",
    ] {
        let world = World::new();
        let id = ready(&world);
        let (main, tip) = (commit(&world, "main"), tip(&world, &id));
        install(&world, "pre-merge-commit", script);
        world.flux(["cleanup", &id]).run().success();
        assert_merge_of(&world, &main, &tip);
        assert_eq!(world.git(["stash", "list"]), "");
        assert_removed(&world, &id);
    }
}

#[test]
fn a_guard_of_the_branch_holds() {
    for (style, name) in [("--merge", "pre-merge-commit"), ("--squash", "pre-commit")] {
        let world = World::new();
        let id = ready(&world);
        let guard = "[ \"$(git symbolic-ref --short -q HEAD)\" != main ] || exit 1";
        install(&world, name, guard);
        let before = world.snapshot();
        world.flux(["cleanup", "-y", style, &id]).run().code(1);
        fs::remove_file(world.tools().join("hooks.log")).unwrap();
        world.assert_unchanged(&before);
    }
}

#[test]
fn identity_and_signature_are_those_of_the_branch_and_the_place() {
    for (condition, file) in [
        ("includeIf.onbranch:main.path", "@/mine"),
        ("includeIf.gitdir:@repo/.git.path", "@/mine"),
        ("include.path", "../../mine"),
    ] {
        for with_hook in [false, true] {
            let world = World::new();
            let id = ready(&world);
            fake_gpg(&world, SIGNS);
            world.write(
                "../mine",
                "[user]\n\temail = other@example.org\n[commit]\n\tgpgSign = true\n",
            );
            let text = |text: &str| {
                text.replace("@repo", world.repo().to_str().unwrap())
                    .replace('@', world.root().join("flux world").to_str().unwrap())
            };
            let there = world.repo().parent().unwrap().to_str().unwrap().to_owned();
            let file = text(file).replace(
                &world.root().join("flux world").to_string_lossy()[..],
                &there,
            );
            world.git(["config", &text(condition), &file]);
            assert_eq!(
                world.git(["config", "user.email"]),
                "other@example.org",
                "{condition}"
            );
            if with_hook {
                install(&world, "pre-merge-commit", "");
            }
            world.flux(["cleanup", &id]).run().success();
            let merge = world.git(["cat-file", "-p", "main"]);
            assert!(
                merge.contains("committer Ada Lovelace <other@example.org>")
                    || merge.contains("<other@example.org>"),
                "{condition}\n{merge}"
            );
            assert!(merge.contains("gpgsig"), "{condition} {with_hook}\n{merge}");
        }
    }
}

#[test]
fn settings_that_make_another_merge_of_it_do_not_count() {
    for (key, value) in [
        ("branch.main.mergeOptions", "--squash"),
        ("branch.main.mergeOptions", "--no-commit"),
        ("branch.main.mergeOptions", "-s ours"),
        ("pull.twohead", "ours"),
        ("merge.ff", "only"),
        ("merge.log", "true"),
        ("commit.cleanup", "scissors"),
        ("commit.cleanup", "strip"),
        ("commit.verbose", "true"),
        ("commit.template", "nowhere"),
        ("merge.autoStash", "true"),
        ("protocol.allow", "never"),
        ("transfer.fsckObjects", "true"),
        ("rebase.updateRefs", "true"),
        ("rebase.rebaseMerges", "true"),
        ("rebase.autoStash", "true"),
        ("submodule.recurse", "true"),
        ("core.sharedRepository", "group"),
        ("fetch.writeCommitGraph", "true"),
        ("gc.auto", "1"),
    ] {
        for (style, with_hook) in [
            ("--merge", true),
            ("--squash", true),
            ("--rebase", true),
            ("--merge", false),
        ] {
            let world = World::new();
            world.behaviour("commit one");
            let run = world.flux(["run", "-q", "--name", "t", "#1 is fixed"]);
            run.ok();
            world.agent("t").wait_first_done();
            end_agent(&world, "t");
            world.commit_in(world.repo(), "README.md", "moved\n");
            world.git(["config", key, value]);
            if with_hook {
                install(&world, "prepare-commit-msg", "");
            }
            let main = commit(&world, "main");
            world.flux(["cleanup", style, "t"]).run().success();
            let files = world.git(["ls-tree", "--name-only", "main"]);
            assert!(
                files.contains("agent.txt"),
                "{key} {value} {style}: {files}"
            );
            let made = world.git([
                "log",
                "--format=%s|%b",
                &format!("{main}..main"),
                "--first-parent",
            ]);
            let expected = match style {
                "--merge" => "Merge task 't' into main|#1 is fixed",
                "--squash" => "#1 is fixed|Squashed commit of task 't':\n\n* one",
                _ => "one|",
            };
            assert_eq!(made.trim_end(), expected, "{key} {value} {style}");
            assert_eq!(world.git(["status", "--porcelain"]), "");
        }
    }
}

#[test]
fn a_tag_that_is_called_like_a_branch_is_not_taken_for_it() {
    for style in ["--merge", "--squash", "--rebase"] {
        let world = World::new();
        let id = ready(&world);
        world.git(["tag", "main", "main~1"]);
        world.git(["tag", &format!("feature/{id}"), "main"]);
        install(&world, "prepare-commit-msg", "");
        world.flux(["cleanup", style, &id]).run().success();
        assert_eq!(world.read("agent.txt"), "one\n");
        assert_eq!(world.read("README.md"), "moved\n");
    }
}

#[test]
fn identity_and_signature_are_those_of_the_branch_wherever_it_is_checked_out() {
    for elsewhere in [false, true] {
        for style in ["--merge", "--squash", "--rebase"] {
            let world = World::new();
            let id = ready(&world);
            fake_gpg(&world, SIGNS);
            let file = world.write(
                "../mine",
                "[user]\n\temail = other@example.org\n[commit]\n\tgpgSign = true\n",
            );
            let file = file.to_str().unwrap();
            world.git(["switch", "-q", "-c", "side"]);
            if elsewhere {
                world.git(["worktree", "add", "-q", "../the-main-one", "main"]);
            }
            world.git(["config", "includeIf.onbranch:main.path", file]);
            let standing = world.git(["config", "--default", "none", "user.email"]);
            assert_ne!(standing, "other@example.org");
            world
                .flux(["cleanup", style, &id, "--into", "main"])
                .run()
                .success();
            let made = world.git(["cat-file", "-p", "main"]);
            let committer = made.lines().find(|line| line.starts_with("committer"));
            // A rebase commits on the task's branch, and so does git.
            let expected = style != "--rebase";
            let found = committer.unwrap().contains("<other@example.org>");
            assert_eq!(found, expected, "{style} {elsewhere}\n{made}");
            assert_eq!(
                made.contains("gpgsig"),
                expected,
                "{style} {elsewhere}\n{made}"
            );
        }
    }
}
