//! Tests gates in repositories of every kind.

use super::*;

/// Makes a repository with a task, whose worktree is returned, and a gate that passes only there.
fn prepare(world: &World, repo: &Path) -> PathBuf {
    world.git_in(repo, ["config", "--add", "flux.gate", NOTE]);
    world.git_in(
        repo,
        [
            "config",
            "--add",
            "flux.gate",
            "test -e new -a -e README.md",
        ],
    );
    let path = task_in(world, repo, "fix");
    world.write(path.join("new"), "");
    path
}

#[test]
fn gate_works_with_reftable_and_sha_256() {
    for formats in [
        &["--ref-format=reftable"][..],
        &["--object-format=sha256"],
        &["--ref-format=reftable", "--object-format=sha256"],
    ] {
        let world = World::without_repository("flux world");
        let repo = world.repo();
        let init = [
            &["init", "-q", "-b", "main"],
            formats,
            &[repo.to_str().unwrap()],
        ];
        world.git_in(world.root(), init.concat());
        world.fill(&repo);
        prepare(&world, &repo);
        for _ in 0..2 {
            world.flux(["gate", "fix"]).run().success();
        }
        assert_eq!(runs(&world), 1, "{formats:?}");
        let name = verdicts(&world)[0].file_name().unwrap().len();
        let length = if formats.last().unwrap().ends_with("sha256") {
            64
        } else {
            40
        };
        assert_eq!(name, 2 * length + 1);
    }
}

#[test]
fn gate_works_in_a_bare_repository_with_and_without_a_checkout() {
    let world = World::new();
    let bare = world.root().join("project/.bare");
    let clone = ["clone", "-q", "--bare", "myapp", "project/.bare"];
    world.git_in(world.root(), clone);
    world.git_in(&bare, ["config", "flux.copy", "README.md"]);
    let path = prepare(&world, &bare);
    let scratch = world.root().join("project/project--land");
    for dir in [&bare, &path, &scratch] {
        world.flux(["gate", "fix"]).in_dir(dir).run().success();
        assert!(scratch.join("new").exists());
    }
    assert_eq!(runs(&world), 1);
    let main = world.root().join("project/main");
    world.git_in(
        &bare,
        ["worktree", "add", "-q", main.to_str().unwrap(), "main"],
    );
    world.write(path.join("more"), "");
    world.flux(["gate", "fix"]).in_dir(&main).run().success();
    assert_eq!(runs(&world), 2);
}

#[test]
fn gate_works_in_a_submodule_and_leaves_out_submodules() {
    let world = World::new();
    let top = world.root().join("top");
    world.make_repository(&top);
    let allow = ["-c", "protocol.file.allow=always"];
    let add = ["submodule", "--quiet", "add", "../myapp", "sub"];
    world.git_in(&top, [&allow[..], &add].concat());
    world.git_in(&top, ["commit", "-q", "-m", "Submodule"]);
    let path = task_in(&world, &top, "over");
    world.git_in(
        &top,
        ["config", "flux.gate", "test -d sub -a ! -e sub/README.md"],
    );
    world.write(path.join("new"), "");
    world.flux(["gate", "over"]).in_dir(&top).run().success();
    let sub = top.join("sub");
    prepare(&world, &sub);
    world.flux(["gate", "fix"]).in_dir(&sub).run().success();
    assert!(top.join("sub--land/README.md").exists());
}

#[test]
fn gate_finds_its_worktree_again_after_the_repository_was_moved() {
    let world = World::new();
    let [old, new] = ["old", "new"].map(|name| world.root().join(name));
    let repo = old.join("repo");
    world.make_repository(&repo);
    world.git_in(&repo, ["config", "flux.gate", NOTE]);
    let path = old.join("fix");
    let place = path.to_str().unwrap();
    world.git_in(&repo, ["worktree", "add", "-q", "-b", "fix", place]);
    let adopt = ["adopt", "-q", "--name", "fix", place];
    world.flux(adopt).in_dir(&repo).run().success();
    world.flux(["gate", "fix"]).in_dir(&repo).run().success();
    std::fs::rename(&old, &new).unwrap();
    let (repo, path) = (new.join("repo"), new.join("fix"));
    world.git_in(&repo, ["worktree", "repair", path.to_str().unwrap()]);
    let adopt = ["adopt", path.to_str().unwrap()];
    world.flux(adopt).in_dir(&repo).run().success();
    world.write(path.join("more"), "");
    let output = world.flux(["gate", "fix"]).in_dir(&repo).run();
    output.code(125).says(&expect![[r#"
        fix: no verdict: '$WORLD/new/repo--land' is in the way: the worktree for gates belongs there
        --- stderr
        error: '$WORLD/new/repo--land' is in the way: the worktree for gates belongs there
        hint: if the repository was moved: git worktree repair '$WORLD/new/repo--land'
        hint: to make room: mv '$WORLD/new/repo--land' '$WORLD/new/repo--land'.away
        error: no verdict about 1 of 1 task
    "#]]);
    let scratch = new.join("repo--land");
    world.git_in(&repo, ["worktree", "repair", scratch.to_str().unwrap()]);
    world.flux(["gate", "fix"]).in_dir(&repo).run().success();
    assert_eq!(runs(&world), 2);
}
