//! Tests linked worktrees, bare repositories, submodules and `core.worktree`.

use std::fs;
use std::path::{Path, PathBuf};

use crate::world::cycle::Cycle;
use crate::world::*;

#[test]
fn run_and_cleanup_work_from_a_linked_worktree() {
    let world = World::new();
    let dir = world.root().join("linked");
    world.git([
        "worktree",
        "add",
        "-q",
        "-b",
        "topic",
        dir.to_str().unwrap(),
    ]);
    world.commit_in(&dir, "topic.txt", "topic\n");
    for below in ["", "src"] {
        let cycle = Cycle {
            dir: dir.join(below),
            branch: "topic",
            checkout: Some(dir.clone()),
            ..Cycle::of(&world)
        };
        let worktree = cycle.run();
        // Beside the main worktree, wherever the user stood.
        assert_eq!(worktree.parent(), Some(world.root()));
        world.git_in(&dir, ["reset", "-q", "--hard", "HEAD~1"]);
    }
}

/// A bare repository at `bare`, with what `make_repository` makes.
fn make_bare(world: &World, bare: &Path) {
    let args = ["clone", "-q", "--bare", world.repo().to_str().unwrap()].map(str::to_owned);
    world.git(
        args.iter()
            .map(String::as_str)
            .chain([bare.to_str().unwrap()]),
    );
    world.git_in(bare, ["remote", "remove", "origin"]);
}

#[test]
fn run_and_cleanup_work_in_a_bare_repository_with_worktrees() {
    let world = World::new();
    let bare = world.root().join("project.git");
    make_bare(&world, &bare);
    let bare_alone = Cycle {
        checkout: None,
        ..Cycle::at(&world, &bare)
    };
    let worktree = bare_alone.run();
    let name = worktree.file_name().unwrap().to_str().unwrap();
    assert!(name.starts_with("project-fix-login-"), "{name}");
    world.git_in(&bare, ["update-ref", "refs/heads/main", "main~1"]);
    let main = world.root().join("checkout");
    world.git_in(
        &bare,
        ["worktree", "add", "-q", main.to_str().unwrap(), "main"],
    );
    for dir in [&main, &main.join("src"), &bare] {
        let cycle = Cycle {
            dir: dir.clone(),
            checkout: Some(main.clone()),
            ..Cycle::at(&world, &bare)
        };
        cycle.run();
        world.git_in(&main, ["reset", "-q", "--hard", "HEAD~1"]);
    }
}

#[test]
fn run_and_cleanup_work_in_a_bare_repository_behind_a_git_file() {
    let world = World::new();
    let project = world.root().join("project");
    let bare = project.join(".bare");
    fs::create_dir(&project).unwrap();
    make_bare(&world, &bare);
    fs::write(project.join(".git"), "gitdir: ./.bare\n").unwrap();
    let main = project.join("main");
    world.git_in(
        &project,
        ["worktree", "add", "-q", main.to_str().unwrap(), "main"],
    );
    for dir in [&main, &project] {
        let cycle = Cycle {
            dir: dir.clone(),
            checkout: Some(main.clone()),
            ..Cycle::at(&world, &bare)
        };
        let worktree = cycle.run();
        // Beside the other worktrees, named after the project.
        assert_eq!(worktree.parent(), Some(&*project));
        let name = worktree.file_name().unwrap().to_str().unwrap();
        assert!(name.starts_with("project-fix-login-"), "{name}");
        world.git_in(&main, ["reset", "-q", "--hard", "HEAD~1"]);
    }
}

/// Makes a repository `super` with a submodule `sub` that is checked out.
fn make_submodule(world: &World) -> PathBuf {
    let superproject = world.root().join("super");
    world.make_repository(&superproject);
    let (allow, from) = ("protocol.file.allow=always", world.repo());
    let add = [
        "-c",
        allow,
        "submodule",
        "--quiet",
        "add",
        from.to_str().unwrap(),
        "sub",
    ];
    world.git_in(&superproject, add);
    world.git_in(&superproject, ["commit", "-q", "-m", "Add sub"]);
    superproject
}

#[test]
fn run_and_cleanup_work_in_a_repository_with_submodules() {
    let world = World::new();
    let superproject = make_submodule(&world);
    Cycle::at(&world, &superproject).run();
}

#[test]
fn cleanup_refuses_commits_that_are_only_in_a_submodule() {
    let world = World::new();
    let superproject = make_submodule(&world);
    world.behaviour("raw");
    let id = world
        .flux(["run", "-q", "Fix login"])
        .in_dir(&superproject)
        .ok();
    let worktree = world.agent(&id).cwd();
    let update = [
        "-c",
        "protocol.file.allow=always",
        "submodule",
        "--quiet",
        "update",
        "--init",
    ];
    world.git_in(&worktree, update);
    // A commit that is nowhere else, and that the superproject does not even mention.
    let only = world.commit_in(worktree.join("sub"), "only.txt", "here\n");
    let before = world.snapshot_of(&superproject);
    for options in [&["-y"][..], &["-y", "--discard"], &["-y", "--commit"]] {
        let args = ["cleanup", &id].into_iter().chain(options.iter().copied());
        let output = world.flux(args).in_dir(&superproject).run();
        output
            .code(1)
            .says(&expect![[r#"
                --- stderr
                error: submodules of 'fix-login-XXXXXX' have uncommitted or unpushed work: unpushed commits in 'sub'
                hint: git -C '$WORLD/super-fix-login-XXXXXX/sub' status
                hint: git -C '$WORLD/super-fix-login-XXXXXX/sub' push <remote> HEAD:<branch>
            "#]]);
        assert_eq!(
            before.changes(&world.snapshot_of(&superproject)),
            Vec::<String>::new()
        );
        assert_eq!(
            world.git_in(worktree.join("sub"), ["rev-parse", "HEAD"]),
            only
        );
    }
    assert!(world.agent(&id).is_alive());
}

#[test]
fn run_and_cleanup_work_inside_a_submodule() {
    let world = World::new();
    let superproject = make_submodule(&world);
    let sub = superproject.join("sub");
    world.git_in(&sub, ["switch", "-q", "main"]);
    let cycle = Cycle {
        dir: sub.clone(),
        ..Cycle::at(&world, &sub)
    };
    // Worktrees beside it would be files of the superproject's.
    world.git_in(
        &sub,
        ["config", "flux.worktreeDir", world.root().to_str().unwrap()],
    );
    cycle.run();
    let status = world.git_in(&superproject, ["status", "--porcelain"]);
    assert_eq!(status, " M sub");
}

/// With core.worktree, only this setting tells git which files belong to the main worktree.
#[test]
fn cleanup_refuses_core_worktree_without_a_git_file_in_the_work_tree() {
    let world = World::new();
    let id = crate::world::removal::done_task(&world);
    let (repo, files) = (world.repo(), world.root().join("files"));
    fs::create_dir(&files).unwrap();
    world.git(["config", "core.worktree", files.to_str().unwrap()]);
    world.git(["checkout", "-q", "--force", "main"]);
    let cleanup = |dir: &Path| {
        let cleanup = world.flux(["cleanup", "-y", "--into", "main", &id]);
        cleanup.in_dir(dir).run()
    };
    let refs = world.git(["for-each-ref"]);
    let linked = world.worktree(&id);
    for dir in [&repo, &linked] {
        let output = cleanup(dir);
        output.code(1).says(&expect![[r#"
            --- stderr
            error: the worktree '$WORLD/files' has no link to the repository '$WORLD/myapp/.git'
            hint: to add the link: echo 'gitdir: $WORLD/myapp/.git' >'$WORLD/files/.git'
            hint: to no longer use that worktree: git --git-dir='$WORLD/myapp/.git' config --unset core.worktree
        "#]]);
        assert_eq!(world.git(["for-each-ref"]), refs);
        let back = crate::world::hints::hints(&output);
        assert!(back[0].starts_with("echo 'gitdir: "), "{output}");
        assert!(
            back[1].ends_with("config --unset core.worktree"),
            "{output}"
        );
    }
    let output = cleanup(&linked);
    crate::world::hints::paste(&world, &crate::world::hints::hints(&output)[0]).unwrap();
    cleanup(&repo).success();
    assert_eq!(world.git_in(&files, ["status", "--porcelain"]), "");
    assert!(files.join("agent.txt").exists());
}

#[test]
fn errors_name_a_work_tree_that_belongs_to_no_or_another_repository() {
    let world = World::new();
    // As yadm and vcsh have it: the work tree itself belongs to another repository, or to none.
    for in_another in [false, true] {
        let home = world.root().join(format!("home {in_another}"));
        fs::create_dir(&home).unwrap();
        if in_another {
            world.git_in(&home, ["init", "-q"]);
            world.fill(&home);
        }
        let git_dir = world.repo().join(".git");
        let before = (world.snapshot(), world.snapshot_of(&world.repo()));
        for args in [&["list"][..], &["run", "Fix"], &["cleanup", "fix"]] {
            let output = world
                .flux(args)
                .in_dir(&home)
                .env("GIT_DIR", &git_dir)
                .env("GIT_WORK_TREE", &home)
                .run();
            output
                .code(1)
                .stdout_is("")
                .stderr_has("has no link to the repository")
                .stderr_has("unset GIT_DIR GIT_WORK_TREE");
            assert_eq!(output.stderr.matches("error: ").count(), 1, "{output}");
            world.assert_unchanged(&before.0);
        }
        assert!(world.started_agents().is_empty());
    }
}
