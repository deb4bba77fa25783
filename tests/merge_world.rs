//! Tests that a merge by cleanup has the branch, identity, configuration and hooks of a merge by git.

use std::fs;

use crate::world::hooks::{SIGNS, fake_gpg, hook};
use crate::world::removal::*;
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
fn hook_sees_the_branch_and_no_merge_head_and_can_stash_at_a_merge() {
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
fn hook_that_protects_a_branch_refuses_the_cleanup() {
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
fn cleanup_commits_with_identity_and_signature_of_conditional_includes() {
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
fn cleanup_ignores_settings_that_change_a_merge() {
    // Several at once, none of which hides what another would do.
    for settings in [
        [
            ("branch.main.mergeOptions", "--squash"),
            ("merge.ff", "only"),
            ("commit.cleanup", "scissors"),
            ("protocol.allow", "never"),
        ],
        [
            ("branch.main.mergeOptions", "--no-commit"),
            ("merge.log", "true"),
            ("commit.verbose", "true"),
            ("rebase.updateRefs", "true"),
        ],
        [
            ("branch.main.mergeOptions", "-s ours"),
            ("commit.cleanup", "strip"),
            ("rebase.rebaseMerges", "true"),
            ("transfer.fsckObjects", "true"),
        ],
        [
            ("pull.twohead", "ours"),
            ("merge.autoStash", "true"),
            ("commit.template", "nowhere"),
            ("submodule.recurse", "true"),
        ],
        [
            ("rebase.autoStash", "true"),
            ("core.sharedRepository", "group"),
            ("fetch.writeCommitGraph", "true"),
            ("gc.auto", "1"),
        ],
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
            for (key, value) in settings {
                world.git(["config", key, value]);
            }
            if with_hook {
                install(&world, "prepare-commit-msg", "");
            }
            let main = commit(&world, "main");
            world.flux(["cleanup", style, "t"]).run().success();
            let files = world.git(["ls-tree", "--name-only", "main"]);
            assert!(files.contains("agent.txt"), "{settings:?} {style}: {files}");
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
            assert_eq!(made.trim_end(), expected, "{settings:?} {style}");
            assert_eq!(world.git(["status", "--porcelain"]), "");
        }
    }
}

#[test]
fn cleanup_does_not_take_a_tag_for_the_branch_of_the_same_name() {
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
fn cleanup_commits_with_the_identity_of_a_target_that_is_not_current() {
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

#[test]
fn cleanup_runs_a_hook_that_the_merge_adds() {
    for (style, name) in [
        ("--merge", "commit-msg"),
        ("--squash", "pre-commit"),
        ("--rebase", "prepare-commit-msg"),
    ] {
        for path in [".githooks", "@/.githooks"] {
            let world = World::new();
            let id = done_task(&world);
            let worktree = world.worktree(&id);
            let file = worktree.join(".githooks").join(name);
            install_at(&file, "#!/bin/sh\nexit 1\n");
            world.git_in(&worktree, ["add", "-A"]);
            world.git_in(&worktree, ["commit", "-q", "-m", "Hook"]);
            world.commit_in(world.repo(), "README.md", "moved\n");
            let path = path.replace('@', world.repo().to_str().unwrap());
            world.git(["config", "core.hooksPath", &path]);
            let before = world.snapshot();
            let output = world.flux(["cleanup", "-y", style, &id]).run();
            // A rebase asks each commit's hook from the second one on.
            output.code(1).stderr_has("nothing was changed");
            world.assert_unchanged(&before);
        }
    }
}

#[test]
fn cleanup_runs_hooks_configured_for_one_branch_only_on_that_branch() {
    for (pattern, refuses) in [("main", true), ("side", false)] {
        let world = World::new();
        let id = ready(&world);
        // The target is checked out nowhere.
        world.git(["switch", "-q", "-c", "side"]);
        let dir = world.root().join("hooks of one");
        hook(&world, &dir, "commit-msg", "exit 1");
        let file = format!("[core]\n\thooksPath = \"{}\"\n", dir.display());
        let file = world.write("../of-one", file);
        let key = format!("includeIf.onbranch:{pattern}.path");
        world.git(["config", &key, file.to_str().unwrap()]);
        for style in ["--squash", "--merge"] {
            let before = world.snapshot();
            let output = world.flux(["cleanup", style, &id, "--into", "main"]).run();
            if refuses {
                output.code(1).stderr_has("nothing was changed");
                world.assert_unchanged(&before);
            } else {
                output.success();
                break;
            }
        }
    }
}

#[test]
fn cleanup_runs_the_hooks_of_the_target_from_every_worktree() {
    let world = World::new();
    let id = ready(&world);
    world.git(["config", "extensions.worktreeConfig", "true"]);
    let dir = world.root().join("hooks of main");
    let dir = dir.to_str().unwrap();
    let own = world.write("../of-main", format!("[core]\n\thooksPath = {dir}\n"));
    world.git([
        "config",
        "includeIf.onbranch:main.path",
        own.to_str().unwrap(),
    ]);
    hook(&world, dir.as_ref(), "pre-merge-commit", "exit 1");
    for place in [world.repo(), world.worktree(&id)] {
        let before = world.snapshot();
        let output = world
            .flux(["cleanup", "-y", &id, "--into", "main"])
            .in_dir(&place)
            .run();
        output.code(1);
        fs::remove_file(world.tools().join("hooks.log")).unwrap();
        world.assert_unchanged(&before);
    }
}

#[test]
fn hook_finds_files_in_the_hooks_and_git_directories() {
    let check = "set -e; dir=$(git rev-parse --git-path hooks); grep -q beside \"$dir/lib.sh\"\n\
        grep -q beside \"$(dirname \"$0\")/lib.sh\"; test -x \"$dir/pre-merge-commit.d/10\"\n\
        grep -q policy \"$(git rev-parse --git-dir)/policy\"; test \"$(git config --local hooks.strict)\" = yes";
    let world = World::new();
    let id = ready(&world);
    world.write(".git/hooks/lib.sh", "beside\n");
    install_at(
        &world.repo().join(".git/hooks/pre-merge-commit.d/10"),
        "#!/bin/sh\n",
    );
    world.write(".git/policy", "policy\n");
    world.git(["config", "hooks.strict", "yes"]);
    install(&world, "pre-merge-commit", check);
    world.flux(["cleanup", &id]).run().success();
    assert_removed(&world, &id);
}

#[test]
fn cleanup_respects_merge_verify_signatures() {
    let world = World::new();
    let id = ready(&world);
    world.git(["config", "merge.verifySignatures", "true"]);
    world.git(["config", "gpg.minTrustLevel", "undefined"]);
    let before = world.snapshot();
    let output = world.flux(["cleanup", "-y", &id]).run();
    output.code(1).stderr_has("nothing was changed");
    world.assert_unchanged(&before);
    // One that says that every signature is good.
    let verifies = "case \" $* \" in *' --verify '*) cat >/dev/null; printf '\\n'; echo '[GNUPG:] GOODSIG 1 a'; echo '[GNUPG:] VALIDSIG 1 2 3 0 4 0 1 10 00 1'; echo '[GNUPG:] TRUST_ULTIMATE 0 pgp'; exit;; esac";
    fake_gpg(&world, &format!("{verifies}\n{SIGNS}"));
    world.git_in(
        world.worktree(&id),
        ["commit", "-q", "--amend", "-S", "--no-edit"],
    );
    world.flux(["cleanup", "-y", &id]).run().success();
    assert_removed(&world, &id);
}
