//! Tests a repository with the real git-crypt, which `.ci/long git_crypt` installs.

use crate::world::*;

#[test]
#[ignore = "needs git-crypt: .ci/long git_crypt"]
fn run_cleanup_and_restore_work_with_git_crypt() {
    let world = World::new();
    let git_crypt = require("git-crypt");
    let init = world
        .command(git_crypt)
        .current_dir(world.repo())
        .arg("init")
        .status();
    assert!(init.unwrap().success());
    world.write(
        ".gitattributes",
        "*.secret filter=git-crypt diff=git-crypt\n",
    );
    world.write("a.secret", "one\n");
    world.git(["add", "-A"]);
    world.git(["commit", "-q", "-m", "Encrypted"]);
    let id = world.start("Fix login");
    let worktree = world.worktree(&id);
    assert_eq!(world.read(worktree.join("a.secret")), "one\n");
    world.commit_in(&worktree, "b.secret", "two\n");
    world.write(worktree.join("a.secret"), "changed\n");
    let discard = ["cleanup", "-y", "--discard", &id];
    world.flux(discard).run().success();
    assert_eq!(world.read("b.secret"), "two\n");
    let stored = ["cat-file", "blob", "main:b.secret"];
    assert!(world.git(stored).contains("GITCRYPT"));
    for whole in [true, false] {
        if !whole {
            world.flux(discard).run().success();
            let trash = world.repo().join(".git/flux/trash");
            std::fs::remove_dir_all(trash.join(&id)).unwrap();
        }
        world.flux(["restore", &id]).run().success();
        assert_eq!(world.read(worktree.join("a.secret")), "changed\n");
        let status = world.git_in(&worktree, ["status", "--porcelain"]);
        assert_eq!(status, " M a.secret");
    }
    world
        .flux(["cleanup", "-y", "--commit", &id])
        .run()
        .success();
    assert_eq!(world.read("a.secret"), "changed\n");
    assert_eq!(world.git(["status", "--porcelain"]), "");
}
