//! Tests the hooks and signatures of the user at the merge of a cleanup.

use std::fs;
use std::path::Path;

use crate::world::hooks::*;
use crate::world::removal::*;
use crate::world::*;

/// Returns the notes of one hook.
#[track_caller]
fn hook_runs(world: &World, name: &str) -> Vec<String> {
    let log = fs::read_to_string(log_file(world)).unwrap_or_default();
    let of = |line: &&str| line.split(' ').next() == Some(name);
    log.lines().filter(of).map(str::to_owned).collect()
}

const MERGE_HOOKS: [&str; 3] = ["pre-merge-commit", "prepare-commit-msg", "commit-msg"];

#[test]
fn cleanup_runs_each_hook_of_a_merge_once() {
    let world = World::new();
    for moved in [false, true] {
        let id = done_task(&world);
        if moved {
            world.commit_in(world.repo(), "README.md", "moved\n");
        }
        let hooks = world.repo().join(".git/hooks");
        for name in MERGE_HOOKS {
            hook(&world, &hooks, name, "");
        }
        hook(
            &world,
            &hooks,
            "commit-msg",
            "echo 'Reviewed-by: hook' >>\"$1\"",
        );
        let (main, tip) = (commit(&world, "main"), tip(&world, &id));
        world.flux(["cleanup", &id]).run().success();
        for name in MERGE_HOOKS {
            assert_eq!(hook_runs(&world, name).len(), 1, "{name}");
        }
        assert_merge_of(&world, &main, &tip);
        let body = world.git(["log", "-1", "--format=%B", "main"]);
        assert!(
            body.starts_with(&format!("Merge task '{id}' into main\n")),
            "{body}"
        );
        assert!(body.ends_with("Reviewed-by: hook"), "{body}");
        assert_eq!(world.git(["worktree", "list"]).lines().count(), 1);
        assert_eq!(world.git(["status", "--porcelain"]), "");
        assert_removed(&world, &id);
        fs::remove_file(log_file(&world)).unwrap();
        fs::remove_dir_all(hooks).unwrap();
        world.git(["reset", "-q", "--hard", &main]);
    }
}

#[test]
fn cleanup_shows_the_merged_files_to_the_pre_merge_commit_hook() {
    let world = World::new();
    let id = done_task(&world);
    world.commit_in(world.repo(), "README.md", "moved\n");
    let check = "grep -q moved README.md && grep -q one agent.txt && git diff --cached --quiet HEAD -- README.md";
    hook(
        &world,
        &world.repo().join(".git/hooks"),
        "pre-merge-commit",
        check,
    );
    world.flux(["cleanup", &id]).run().success();
    assert_eq!(hook_runs(&world, "pre-merge-commit").len(), 1);
    assert_removed(&world, &id);
}

#[test]
fn cleanup_runs_post_merge_once_in_the_worktree_of_the_target() {
    for with in [&[][..], &["pre-merge-commit"]] {
        let world = World::new();
        let id = done_task(&world);
        let hooks = world.repo().join(".git/hooks");
        for name in with.iter().chain(&["post-merge"]) {
            hook(&world, &hooks, name, "");
        }
        world.flux(["cleanup", &id]).run().success();
        let expected = format!("post-merge 1 {}", world.repo().display());
        assert_eq!(hook_runs(&world, "post-merge"), [expected], "with {with:?}");
        assert_removed(&world, &id);
    }
}

#[test]
fn cleanup_runs_no_post_checkout_hook_for_the_merge() {
    let world = World::new();
    let id = done_task(&world);
    let hooks = world.repo().join(".git/hooks");
    hook(&world, &hooks, "pre-merge-commit", "");
    hook(&world, &hooks, "post-checkout", "");
    world.flux(["cleanup", &id]).run().success();
    assert_eq!(hook_runs(&world, "pre-merge-commit").len(), 1);
    assert_eq!(hook_runs(&world, "post-checkout"), Vec::<String>::new());
}

/// Asserts that a hook that fails changes nothing and does not stop a running agent.
#[track_caller]
fn assert_hook_refuses(name: &str, script: &str) {
    let world = World::new();
    let id = working_task(&world);
    world.commit_in(world.repo(), "README.md", "moved\n");
    hook(&world, &world.repo().join(".git/hooks"), name, script);
    let before = world.snapshot();
    let output = world.flux(["cleanup", "-y", &id]).run();
    output
        .code(1)
        .stderr_has("because of the hook")
        .stderr_has("nothing was changed");
    fs::remove_file(log_file(&world)).unwrap();
    world.assert_unchanged(&before);
    assert!(world.agent(&id).is_alive(), "{name}");
}

#[test]
fn cleanup_changes_nothing_if_a_hook_refuses_the_merge() {
    for name in MERGE_HOOKS {
        assert_hook_refuses(name, "echo because of the hook >&2; exit 1");
    }
    // One that has made a mess of its worktree before is no different.
    let mess = "echo x >mess; rm README.md; echo because of the hook >&2; exit 3";
    assert_hook_refuses("pre-merge-commit", mess);
}

#[test]
fn cleanup_changes_no_file_if_the_branch_cannot_be_updated() {
    for moved in [false, true] {
        let world = World::new();
        let id = done_task(&world);
        if moved {
            world.commit_in(world.repo(), "README.md", "moved\n");
        }
        // What is not in the way stays as it is.
        world.write("src/login.txt", "mine\n");
        world.write("staged.txt", "mine\n");
        world.git(["add", "staged.txt"]);
        let refuse =
            "#!/bin/sh\n[ \"$1\" != prepared ] || ! grep -q refs/heads/main\\$ || exit 1\n";
        let hook = world.repo().join(".git/hooks/reference-transaction");
        install_at(&hook, refuse);
        let before = world.snapshot();
        world
            .flux(["cleanup", &id])
            .run()
            .code(1)
            .stderr_has("neither was changed");
        world.assert_unchanged(&before);
        fs::remove_file(hook).unwrap();
        world.flux(["cleanup", &id]).run().success();
        assert_removed(&world, &id);
        assert_eq!(world.read("agent.txt"), "one\n");
    }
}

#[test]
fn cleanup_runs_the_hooks_of_core_hooks_path() {
    for (path, dir) in [
        ("@/elsewhere hooks", "@/elsewhere hooks"),
        ("~/hooks", "@home/hooks"),
        (".githooks", "@repo/.githooks"),
    ] {
        let world = World::new();
        let id = working_task(&world);
        let here = |text: &str| {
            text.replace("@home", world.tools().join("home").to_str().unwrap())
                .replace("@repo", world.repo().to_str().unwrap())
                .replace('@', world.root().to_str().unwrap())
        };
        world.git(["config", "core.hooksPath", &here(path)]);
        // A relative one means a directory in the worktree the hook runs in: it must be committed to be there.
        let dir = here(dir);
        hook(
            &world,
            Path::new(&dir),
            "pre-merge-commit",
            "echo because of the hook >&2; exit 1",
        );
        if path.starts_with('.') {
            world.git(["add", ".githooks"]);
            world.git(["commit", "-q", "-m", "Hooks"]);
        }
        let before = world.snapshot();
        let output = world.flux(["cleanup", "-y", &id]).run();
        output.code(1).stderr_has("because of the hook");
        world.assert_unchanged(&before);
        assert!(world.agent(&id).is_alive(), "{path}");
        // What is switched off does not run.
        world.git(["config", "core.hooksPath", "/dev/null"]);
        world.flux(["cleanup", "-y", &id]).run().success();
        assert_eq!(hook_runs(&world, "pre-merge-commit").len(), 1);
        assert_removed(&world, &id);
    }
}

#[test]
fn cleanup_changes_nothing_if_a_hook_refuses_the_commit() {
    let world = World::new();
    let id = done_task(&world);
    let worktree = world.worktree(&id);
    world.write(worktree.join("staged.txt"), "staged\n");
    world.git_in(&worktree, ["add", "staged.txt"]);
    world.write(worktree.join("loose.txt"), "loose\n");
    let refuse = "echo because of the hook >&2; exit 1";
    hook(
        &world,
        &world.repo().join(".git/hooks"),
        "pre-commit",
        refuse,
    );
    let before = world.snapshot();
    let output = world.flux(["cleanup", "-y", "--commit=All", &id]).run();
    output
        .code(1)
        .stderr_has(&format!("could not commit the changes of '{id}'"))
        .stderr_has("because of the hook")
        .stderr_has(&format!(
            "hint: git -C '{0}' add --all && git -C '{0}' commit",
            worktree.display()
        ));
    // Also what was staged and what was not is as it was.
    world.assert_unchanged(&before);
}

#[test]
fn cleanup_signs_the_merge_if_commit_gpg_sign_is_set() {
    for (config, value, hooks) in [
        ("commit.gpgSign", "true", false),
        ("commit.gpgSign", "1", true),
        ("commit.gpgSign", "on", false),
    ] {
        let world = World::new();
        let id = done_task(&world);
        world.commit_in(world.repo(), "README.md", "moved\n");
        fake_gpg(&world, SIGNS);
        world.git(["config", config, value]);
        if hooks {
            hook(&world, &world.repo().join(".git/hooks"), "commit-msg", "");
        }
        world.flux(["cleanup", &id]).run().success();
        let merge = world.git(["cat-file", "-p", "main"]);
        assert!(
            merge.contains("gpgsig -----BEGIN PGP SIGNATURE-----"),
            "{merge}"
        );
        assert_removed(&world, &id);
    }
}

#[test]
fn cleanup_does_not_sign_the_merge_if_commit_gpg_sign_is_false() {
    let world = World::new();
    let id = done_task(&world);
    fake_gpg(&world, SIGNS);
    world.git(["config", "commit.gpgSign", "false"]);
    world.flux(["cleanup", &id]).run().success();
    assert!(!world.git(["cat-file", "-p", "main"]).contains("gpgsig"));
}

#[test]
fn cleanup_changes_nothing_if_signing_fails() {
    for with_hook in [false, true] {
        let world = World::new();
        let id = working_task(&world);
        fake_gpg(&world, "echo 'no secret key' >&2; exit 2");
        world.git(["config", "commit.gpgSign", "true"]);
        if with_hook {
            hook(&world, &world.repo().join(".git/hooks"), "post-merge", "");
            hook(&world, &world.repo().join(".git/hooks"), "commit-msg", "");
        }
        let before = world.snapshot();
        let output = world.flux(["cleanup", "-y", &id]).run();
        output
            .code(1)
            // What gpg says itself, git shows since 2.40.
            .stderr_has("gpg failed to sign the data")
            .stderr_has("nothing was changed");
        fs::remove_file(log_file(&world)).ok();
        world.assert_unchanged(&before);
        assert!(world.agent(&id).is_alive());
    }
}

#[test]
fn cleanup_opens_no_editor() {
    let world = World::new();
    let id = done_task(&world);
    let opened = world.root().join("opened");
    world.install(
        "editor",
        &format!("#!/bin/sh\ntouch '{}'\nexit 1\n", opened.display()),
    );
    world.git(["config", "core.editor", "editor"]);
    world.git(["config", "merge.edit", "true"]);
    hook(&world, &world.repo().join(".git/hooks"), "commit-msg", "");
    world.write(world.worktree(&id).join("loose.txt"), "loose\n");
    world
        .flux(["cleanup", "--commit", &id])
        .env("GIT_MERGE_AUTOEDIT", "yes")
        .run()
        .success();
    assert!(!opened.exists());
    assert_removed(&world, &id);
}

#[test]
fn cleanup_strips_colours_and_escapes_control_characters_of_a_hook() {
    let world = World::new();
    let id = done_task(&world);
    world.commit_in(world.repo(), "README.md", "moved\n");
    // One that is put together by what is left out of it is shown, and not obeyed.
    let said = r"\033[38;2;255;0;0mrefused\033[0m \033[1mby\033[22m \033]8;;http://x\033\\a hook\033]8;;\033\\\n\033\033[31m[31mtwo\302\23331m\007";
    let script = format!("printf '{said}\\n' >&2; exit 1");
    hook(
        &world,
        &world.repo().join(".git/hooks"),
        "pre-merge-commit",
        &script,
    );
    let before = world.snapshot();
    let output = world.flux(["cleanup", &id]).run();
    output
        .code(1)
        .stderr_has("  caused by: refused by a hook\n")
        .stderr_has("  caused by: \\u{1b}[31mtwo\\u{7}\n")
        .has_not("\u{1b}")
        .has_not("\u{9b}")
        .has_not("\u{7}");
    world.assert_unchanged(&before);
}
