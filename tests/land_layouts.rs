//! Tests `git flux land` in repositories of other kinds.

use std::path::{Path, PathBuf};

use crate::world::*;

/// Lands two tasks of the repository at `home`, tested, from the directory `dir`.
#[track_caller]
fn assert_lands(world: &World, home: &Path, dir: &Path) {
    let git = |args: &[&str]| world.git_in(home, args);
    git(&["config", "flux.gate", "test -e src/login.txt && ls ?.txt"]);
    world.behaviour("exit 0");
    for name in ["one", "two"] {
        world
            .flux(["run", "-q", "--name", name, "Fix"])
            .in_dir(dir)
            .ok();
        let common_dir = git(&["rev-parse", "--path-format=absolute", "--git-common-dir"]);
        world.wait_ended_in(Path::new(&common_dir), name);
        let path = world.flux(["status", "--path", name]).in_dir(dir).ok();
        let file = format!("{}.txt", &name[..1]);
        world.commit_in(PathBuf::from(path), &file, "work\n");
    }
    let output = world.flux(["land", "--all"]).in_dir(dir).run();
    output.success().stderr_has("landed one, two (1 run, ");
    assert_eq!(
        git(&["ls-tree", "--name-only", "main", "o.txt", "t.txt"]),
        "o.txt\nt.txt"
    );
    assert_eq!(
        git(&["for-each-ref", "refs/flux/land", "refs/flux/tasks"]),
        ""
    );
}

#[test]
fn land_works_with_reftable_and_sha256() {
    for option in ["--ref-format=reftable", "--object-format=sha256"] {
        let world = World::new();
        let dir = world.root().join("other");
        world.git(["init", "-q", option, dir.to_str().unwrap()]);
        world.fill(&dir);
        assert_lands(&world, &dir, &dir);
    }
}

#[test]
fn land_works_in_a_bare_repository_with_worktrees() {
    let world = World::new();
    let bare = world.root().join("project.git");
    let (from, to) = (world.repo(), bare.to_str().unwrap().to_owned());
    world.git(["clone", "-q", "--bare", from.to_str().unwrap(), &to]);
    world.git_in(&bare, ["remote", "remove", "origin"]);
    let main = world.root().join("checkout");
    world.git_in(
        &bare,
        ["worktree", "add", "-q", main.to_str().unwrap(), "main"],
    );
    assert_lands(&world, &bare, &main);
    assert_eq!(world.read(main.join("o.txt")), "work\n");
}
