//! Tests what `git flux restore` brings back from the trash, and from the archive alone. Options are in
//! `restore_options`, refusals in `restore_refusals`, random edits in `restore_property`.

use std::fs;

use crate::world::archive::*;
use crate::world::removal::*;
use crate::world::*;

/// Expires the reflogs and prunes all unreachable objects.
fn collect_garbage(world: &World) {
    world.git(["reflog", "expire", "--expire=now", "--all"]);
    world.git(["gc", "-q", "--prune=now"]);
}

/// Removes and restores a task, from the trash and from the archive alone, and then merges it.
#[track_caller]
fn assert_comes_back(world: &World, id: &str) {
    let worktree = world.worktree(id);
    let before = State::of(world, &worktree);
    let discard = ["cleanup", "-y", "--discard", "--discard-branch", id];
    world.flux(discard).run().success();
    assert_removed(world, id);
    collect_garbage(world);
    let output = world.flux(["restore", id]).run();
    output
        .success()
        .says(&expect![[r#"
            --- stderr
            restored 'fix-login-XXXXXX' (as it was, ignored files too): worktree '$WORLD/myapp-fix-login-XXXXXX', branch 'feature/fix-login-XXXXXX', session 'flux-myapp-fix-login-XXXXXX'
            hint: to go to the task: git flux attach fix-login-XXXXXX
        "#]]);
    before.assert_back(world, &worktree);
    assert_not_archived(world, id);

    world.flux(discard).run().success();
    empty_trash(world);
    collect_garbage(world);
    let output = world.flux(["restore", id]).run();
    output
        .success()
        .says(&expect![[r#"
            --- stderr
            restored 'fix-login-XXXXXX' (from its snapshot, without ignored files): worktree '$WORLD/myapp-fix-login-XXXXXX', branch 'feature/fix-login-XXXXXX', session 'flux-myapp-fix-login-XXXXXX'
            hint: to go to the task: git flux attach fix-login-XXXXXX
        "#]]);
    let kept = before.without(&[".env", "build"]);
    let now = State::of(world, &worktree).without(&[]);
    assert_eq!(now, kept);
    assert_not_archived(world, id);

    let merge = ["cleanup", "-y", "--commit=All of it", id];
    world.flux(merge).run().success();
    assert_eq!(world.git(["show", "main:agent.txt"]), "one");
    assert_eq!(world.git(["show", "main:README.md"]), "changed after that");
    world.git(["fsck", "--no-progress", "--no-dangling"]);
}

#[test]
fn restore_brings_back_commits_index_and_files() {
    let world = World::new();
    let id = dirty_task(&world);
    assert_comes_back(&world, &id);
}

#[test]
fn restore_brings_back_the_files_of_a_split_index() {
    let world = World::new();
    world.git(["config", "core.splitIndex", "true"]);
    let id = dirty_task(&world);
    assert_comes_back(&world, &id);
}

#[test]
fn restore_brings_back_a_worktree_with_relative_paths() {
    let world = World::new();
    world.git(["config", "worktree.useRelativePaths", "true"]);
    let id = dirty_task(&world);
    // A git older than 2.48 reads it, but does not write it.
    let link = format!("gitdir: ../myapp/.git/worktrees/myapp-{id}\n");
    world.write(world.worktree(&id).join(".git"), link);
    assert_comes_back(&world, &id);
}

#[test]
fn restore_brings_back_everything_with_reftable_and_sha256() {
    for format in ["--ref-format=reftable", "--object-format=sha256"] {
        let world = World::without_repository("flux world");
        let repo = world.repo();
        let dir = repo.to_str().unwrap();
        world.git_in(world.root(), ["init", "-q", format, dir]);
        world.fill(&repo);
        let id = dirty_task(&world);
        assert_comes_back(&world, &id);
    }
}

#[test]
fn restore_brings_back_the_index_despite_settings_of_git_apply() {
    let world = World::new();
    world.git(["config", "apply.whitespace", "fix"]);
    world.git(["config", "diff.noprefix", "true"]);
    let id = dirty_task(&world);
    let worktree = world.worktree(&id);
    world.write(worktree.join("blanks.txt"), "one  \ntwo\t\n\n\n");
    world.git_in(&worktree, ["add", "blanks.txt"]);
    assert_comes_back(&world, &id);
}

#[test]
fn restore_brings_back_a_sparse_checkout() {
    let world = World::new();
    let id = done_task(&world);
    let worktree = world.worktree(&id);
    world.git_in(&worktree, ["sparse-checkout", "set", "--cone", "nothing"]);
    assert!(!worktree.join("src").exists());
    world.write(worktree.join("README.md"), "changed\n");
    world.write(worktree.join("staged.txt"), "staged\n");
    world.git_in(&worktree, ["add", "--sparse", "staged.txt"]);
    let (before, list) = (
        State::of(&world, &worktree),
        world.git_in(&worktree, ["sparse-checkout", "list"]),
    );
    world.flux(["cleanup", "--discard", &id]).run().success();
    collect_garbage(&world);
    world.flux(["restore", &id]).run().success();
    before.assert_back(&world, &worktree);
    assert_eq!(world.git_in(&worktree, ["sparse-checkout", "list"]), list);
    // Nothing that is not checked out is taken for deleted.
    let commit = ["cleanup", "-y", "--commit", &id];
    world.flux(commit).run().success();
    assert_eq!(world.read("src/login.txt"), "one\ntwo\nthree\n");
    assert_eq!(world.read("README.md"), "changed\n");
}

#[test]
fn restore_brings_back_the_commits_without_trash_and_snapshot() {
    let world = World::new();
    let id = done_task(&world);
    let before = State::of(&world, &world.worktree(&id));
    world.flux(["cleanup", &id]).run().success();
    empty_trash(&world);
    let output = world.flux(["restore", &id]).run();
    output
        .success()
        .says(&expect![[r#"
            --- stderr
            restored 'fix-login-XXXXXX' (from its commits): worktree '$WORLD/myapp-fix-login-XXXXXX', branch 'feature/fix-login-XXXXXX', session 'flux-myapp-fix-login-XXXXXX'
            What was merged stays merged.
            hint: to undo the merge, on 'main': git revert -m 1 <object>
            hint: to go to the task: git flux attach fix-login-XXXXXX
        "#]]);
    before.assert_back(&world, &world.worktree(&id));
    assert_not_archived(&world, &id);
}

#[test]
fn restore_overwrites_files_that_a_post_checkout_hook_made() {
    let world = World::new();
    let hooks = world.repo().join(".git/hooks");
    // A setup as people have it, which git does not ignore.
    let script = "[ -e setup.txt ] || echo new >setup.txt";
    crate::world::hooks::hook(&world, &hooks, "post-checkout", script);
    let id = done_task(&world);
    let worktree = world.worktree(&id);
    world.write(worktree.join("setup.txt"), "changed\n");
    let before = State::of(&world, &worktree);
    world.flux(["cleanup", "--discard", &id]).run().success();
    empty_trash(&world);
    let log = world.tools().join("hooks.log");
    fs::remove_file(&log).unwrap();
    world.flux(["restore", &id]).run().success();
    before.assert_back(&world, &worktree);
    assert!(world.read(log).starts_with("post-checkout 3 "));
}

#[test]
fn restore_brings_back_the_settings_of_the_branch() {
    let world = World::new();
    let id = done_task(&world);
    let section = format!("branch.feature/{id}");
    let set = |name: &str, value: &str| world.git(["config", &format!("{section}.{name}"), value]);
    world.git(["branch", "release"]);
    world.install_agent("helper");
    world.git(["config", "flux.helper.command", "helper"]);
    set("description", "Fix the login\n\nand all of its redirects");
    set("fluxInto", "release");
    set("fluxAgent", "helper");
    // As an agent's `git push -u` leaves it.
    set("remote", ".");
    set("merge", "refs/heads/release");
    let config = || {
        let got = world.git(["config", "--local", "--get-regexp", "^branch[.]feature/"]);
        let mut lines: Vec<String> = got.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let before = (config(), State::of(&world, &world.worktree(&id)));
    let discard = ["cleanup", "-y", "--discard-branch", &id];
    for from_trash in [true, false] {
        world.flux(discard).run().success();
        assert_eq!(
            world.try_git(["config", "--get-regexp", "^branch[.]"]).ok(),
            None
        );
        if !from_trash {
            empty_trash(&world);
        }
        world.flux(["restore", &id]).run().success();
        assert_eq!(config(), before.0);
        before.1.assert_back(&world, &world.worktree(&id));
    }
    let list = world.flux(["list", "--json"]).run();
    let task = &list.success().json()[0];
    assert_eq!(task["title"], "Fix the login");
    assert_eq!(task["into"], "release");
    assert_eq!(task["agent"], "helper");
    let main = commit(&world, "main");
    world
        .flux(["cleanup", "-y", "--into", "release", &id])
        .run()
        .success();
    assert_eq!(commit(&world, "main"), main);
    assert_eq!(world.git(["show", "release:agent.txt"]), "one");
}
