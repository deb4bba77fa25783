//! Tests the hooks and signatures of each merge style, and `--no-verify`.

use std::fs;

use crate::world::hooks::{SIGNS, fake_gpg, hook};
use crate::world::removal::*;
use crate::world::removal::{people, two_commits};
use crate::world::*;

/// Returns the names of the hooks that have run, in order.
fn hooks_run(world: &World) -> Vec<String> {
    let log = fs::read_to_string(world.tools().join("hooks.log")).unwrap_or_default();
    let name = |line: &str| line.split(' ').next().unwrap().to_owned();
    log.lines().map(name).collect()
}

const HOOKS: [&str; 10] = [
    "pre-commit",
    "prepare-commit-msg",
    "commit-msg",
    "post-commit",
    "pre-merge-commit",
    "post-merge",
    "pre-rebase",
    "post-rewrite",
    "post-checkout",
    "applypatch-msg",
];

#[test]
fn cleanup_runs_the_hooks_of_each_style_and_skips_some_with_no_verify() {
    for (style, all, unverified) in [
        (
            "--merge",
            "pre-merge-commit prepare-commit-msg commit-msg post-merge",
            "prepare-commit-msg post-merge",
        ),
        (
            "--squash",
            "pre-commit prepare-commit-msg commit-msg post-merge post-commit",
            "prepare-commit-msg post-merge post-commit",
        ),
        (
            "--rebase",
            "pre-rebase prepare-commit-msg prepare-commit-msg post-merge",
            "prepare-commit-msg prepare-commit-msg post-merge",
        ),
    ] {
        for (option, expected) in [(None, all), (Some("--no-verify"), unverified)] {
            let world = World::new();
            let id = two_commits(&world);
            world.commit_in(world.repo(), "README.md", "moved\n");
            let messages = people(&world, &format!("main..feature/{id}"));
            for name in HOOKS {
                let add = "echo 'Seen-by: hook' >>\"$1\"";
                let script = if name == "prepare-commit-msg" {
                    add
                } else {
                    ""
                };
                hook(&world, &world.repo().join(".git/hooks"), name, script);
            }
            let args = [Some("cleanup"), Some(style), option, Some(&*id)];
            world.flux(args.into_iter().flatten()).run().success();
            assert_eq!(hooks_run(&world).join(" "), expected, "{style} {option:?}");
            let message = world.git(["log", "-1", "--format=%B", "main"]);
            assert!(message.contains("Seen-by: hook"), "{message}");
            if style == "--rebase" {
                let lines = |text: &str| {
                    let lines = text.lines().filter(|line| !line.is_empty());
                    lines
                        .filter(|line| *line != "Seen-by: hook")
                        .map(str::to_owned)
                        .collect::<Vec<_>>()
                };
                let made = people(&world, "main~2..main");
                assert_eq!(lines(&made), lines(&messages));
            }
            assert_eq!(world.git(["status", "--porcelain"]), "");
            assert_eq!(world.read("two.txt"), "two\n");
            assert_removed(&world, &id);
        }
    }
}

#[test]
fn cleanup_changes_nothing_if_a_hook_refuses_unless_no_verify_is_given() {
    for (style, name) in [
        ("--merge", "pre-merge-commit"),
        ("--merge", "commit-msg"),
        ("--squash", "pre-commit"),
        ("--squash", "commit-msg"),
        ("--rebase", "pre-rebase"),
    ] {
        let world = World::new();
        let id = working_task(&world);
        world.commit_in(world.repo(), "README.md", "moved\n");
        let refuse = "echo because of the hook >&2; exit 1";
        hook(&world, &world.repo().join(".git/hooks"), name, refuse);
        let before = world.snapshot();
        let output = world.flux(["cleanup", "-y", style, &id]).run();
        output.code(1).stderr_has("because of the hook");
        fs::remove_file(world.tools().join("hooks.log")).unwrap();
        world.assert_unchanged(&before);
        assert!(world.agent(&id).is_alive(), "{style} {name}");
        let args = ["cleanup", "-y", style, "--no-verify", &id];
        world.flux(args).run().success();
        assert_eq!(hooks_run(&world), Vec::<String>::new());
        assert_removed(&world, &id);
    }
}

#[test]
fn cleanup_with_no_verify_skips_the_hooks_of_the_commit() {
    for name in ["pre-commit", "commit-msg"] {
        let world = World::new();
        let id = done_task(&world);
        world.write(world.worktree(&id).join("loose.txt"), "loose\n");
        hook(&world, &world.repo().join(".git/hooks"), name, "exit 1");
        let args = ["cleanup", "--commit", &id, "--no-verify"];
        world.flux(&args[..3]).run().code(1);
        fs::remove_file(world.tools().join("hooks.log")).unwrap();
        world.flux(args).run().success();
        assert_eq!(hooks_run(&world), Vec::<String>::new());
        assert_eq!(world.read("loose.txt"), "loose\n");
        assert_removed(&world, &id);
    }
}

#[test]
fn cleanup_shows_the_staged_files_to_the_hooks_of_a_squash_or_rebase() {
    for (style, name, seen) in [
        ("--squash", "pre-commit", "A\tone.txt\nA\ttwo.txt"),
        ("--squash", "prepare-commit-msg", "A\tone.txt\nA\ttwo.txt"),
        ("--rebase", "prepare-commit-msg", "A\tone.txt\nA\ttwo.txt"),
    ] {
        let world = World::new();
        let id = two_commits(&world);
        world.commit_in(world.repo(), "README.md", "moved\n");
        let log = world.root().join("seen");
        let note = format!(
            "git diff --cached --name-status >>'{}'; test -f README.md && grep -q moved README.md && test -f one.txt",
            log.display()
        );
        hook(&world, &world.repo().join(".git/hooks"), name, &note);
        world.flux(["cleanup", style, &id]).run().success();
        assert_eq!(world.read(&log).trim_end(), seen, "{style} {name}");
    }
}

#[test]
fn cleanup_signs_every_commit_of_each_style() {
    for style in ["--merge", "--squash", "--rebase"] {
        for with_hook in [false, true] {
            let world = World::new();
            let id = two_commits(&world);
            let main = world.commit_in(world.repo(), "README.md", "moved\n");
            fake_gpg(&world, SIGNS);
            world.git(["config", "commit.gpgSign", "true"]);
            if with_hook {
                let hooks = world.repo().join(".git/hooks");
                hook(&world, &hooks, "prepare-commit-msg", "");
            }
            world.flux(["cleanup", style, &id]).run().success();
            let made = world.git(["rev-list", "--first-parent", &format!("{main}..main")]);
            for commit in made.lines() {
                let commit = world.git(["cat-file", "-p", commit]);
                assert!(commit.contains("gpgsig -----BEGIN"), "{style}\n{commit}");
            }
        }
    }
}
