//! Tests directories, files and branches with any name.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;

use crate::world::cycle::Cycle;
use crate::world::hooks::hook;
use crate::world::removal::*;
use crate::world::removal::{assert_removed, done_task};
use crate::world::*;
use std::path::PathBuf;

const NAMES: [&[u8]; 12] = [
    b"a b  c",
    b"it's",
    b"say \"hi\"",
    b"two\nlines",
    b"#1 #{pane_id}",
    b"-leading dash",
    b"tail; ",
    b"back\\slash",
    b"$HOME `x` $(x) *?[a]",
    "größe 日本 \u{1f3af}".as_bytes(),
    b"latin-1 \xe9\xff",
    b"%%s: {a,b} ~",
];

#[test]
fn run_and_cleanup_work_in_a_directory_with_any_name() {
    for name in NAMES {
        let world = World::at(OsStr::from_bytes(name));
        Cycle::of(&world).run();
    }
}

#[test]
fn run_and_cleanup_work_in_a_repository_with_any_name() {
    for name in NAMES {
        let world = World::without_repository("names");
        let repo = world.root().join(OsStr::from_bytes(name));
        world.make_repository(&repo);
        let worktree = Cycle::at(&world, &repo).run();
        let project = worktree.file_name().unwrap().as_bytes();
        assert!(
            project.starts_with(&[name, b"-fix-login-"].concat()),
            "{worktree:?}"
        );
    }
}

#[test]
fn run_and_cleanup_execute_no_tmux_format_in_a_directory_name() {
    let world = World::at("#(touch repository-pwned)");
    Cycle::of(&world).run();
    for dir in [
        world.root().to_owned(),
        world.repo(),
        world.tools().join("home"),
        "/".into(),
    ] {
        assert!(!dir.join("repository-pwned").exists(), "{}", dir.display());
    }
}

#[test]
fn list_porcelain_prints_every_path_byte_for_byte() {
    for name in NAMES {
        let world = World::at(OsStr::from_bytes(name));
        world.behaviour("raw");
        let id = world.start("Fix login");
        let output = world.flux(["list", "--porcelain", "-z"]).run();
        output.success();
        let expected = [b"worktree ", world.worktree(&id).as_os_str().as_bytes()].concat();
        let lines: Vec<&[u8]> = output.bytes.split(|byte| *byte == 0).collect();
        assert!(
            lines.contains(&&*expected),
            "{:?} in {output}",
            OsStr::from_bytes(name)
        );
    }
}

#[test]
fn cleanup_commits_and_merges_files_with_any_name() {
    let world = World::new();
    world.behaviour("raw");
    let id = world.start("Fix login");
    let worktree = world.worktree(&id);
    for name in NAMES {
        fs::write(worktree.join(OsStr::from_bytes(name)), name).unwrap();
    }
    let list = world.flux(["list", "--json"]).run().json();
    assert_eq!(list[0]["changes"]["untracked"], NAMES.len());
    world.flux(["status", &id]).run().success();
    world
        .flux(["diff", &id])
        .run()
        .success()
        .stdout_has("+it's");
    let output = world.flux(["cleanup", "-y", &id]).run();
    output.code(1).says(&expect![[r#"
        --- stderr
        error: 'fix-login-XXXXXX' has 12 uncommitted files
        hint: to commit and merge: git flux cleanup fix-login-XXXXXX --commit
        hint: to merge only what is committed: git flux cleanup fix-login-XXXXXX --discard
    "#]]);
    world
        .flux(["cleanup", "-y", "--commit", &id])
        .run()
        .success();
    for name in NAMES {
        assert_eq!(
            fs::read(world.repo().join(OsStr::from_bytes(name))).unwrap(),
            name
        );
    }
    assert_eq!(world.git(["status", "--porcelain"]), "");
}

#[test]
fn cleanup_merges_into_branches_with_any_name() {
    for branch in [
        "a/b/c",
        "it's",
        "größe",
        "say\"hi\"",
        "#1",
        "$(x)",
        "a;b",
        "@x",
        "main.lock.x",
    ] {
        let world = World::new();
        world.git(["switch", "-q", "-c", branch]);
        let cycle = Cycle {
            branch,
            ..Cycle::of(&world)
        };
        cycle.run();
    }
}

#[test]
fn cleanup_distinguishes_a_branch_named_like_a_full_ref() {
    let world = World::new();
    world.git(["branch", "x"]);
    world.git(["switch", "-q", "-c", "refs/heads/x"]);
    let id = done_task(&world);
    let x = world.git(["rev-parse", "refs/heads/x"]);
    world.flux(["cleanup", &id]).run().success();
    assert_eq!(world.git(["rev-parse", "refs/heads/x"]), x);
    assert_eq!(
        world.git(["show", "refs/heads/refs/heads/x:agent.txt"]),
        "one"
    );
    assert_removed(&world, &id);
}

#[test]
fn run_and_cleanup_work_with_a_worktree_dir_that_is_not_utf_8() {
    let world = World::new();
    let dir = world.root().join(OsStr::from_bytes(b"w\xff\xe9"));
    fs::create_dir(&dir).unwrap();
    world.git([
        OsStr::new("config"),
        "flux.worktreeDir".as_ref(),
        dir.as_os_str(),
    ]);
    let id = done_task(&world);
    assert!(dir.join(format!("myapp-{id}/agent.txt")).exists());
    let beside: Vec<PathBuf> = fs::read_dir(world.root())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| *path != world.repo())
        .collect();
    assert_eq!(beside, [dir]);
    world.flux(["cleanup", &id]).run().success();
    assert_removed(&world, &id);
}

#[test]
fn run_reads_a_template_with_a_path_that_is_not_utf_8() {
    let world = World::new();
    let file = world.root().join(OsStr::from_bytes(b"t\xff.md"));
    fs::write(&file, "Do this: {{task}}").unwrap();
    world.git([
        OsStr::new("config"),
        "flux.template".as_ref(),
        file.as_os_str(),
    ]);
    let id = running_task(&world);
    assert_eq!(world.agent(&id).prompt(), b"Do this: Fix login");
}

#[test]
fn cleanup_runs_hooks_in_a_repository_with_a_path_that_is_not_utf_8() {
    let world = World::at(OsStr::from_bytes(b"r\xff\xe9"));
    let id = done_task(&world);
    let hooks = world.repo().join(".git/hooks");
    for name in ["prepare-commit-msg", "commit-msg"] {
        hook(&world, &hooks, name, "echo \"Seen-by: hook\" >>\"$1\"");
    }
    let (main, tip) = (commit(&world, "main"), tip(&world, &id));
    world.flux(["cleanup", &id]).run().success();
    assert_merge_of(&world, &main, &tip);
    let body = world.git(["log", "-1", "--format=%B", "main"]);
    assert_eq!(body.matches("Seen-by: hook").count(), 2, "{body}");
    assert_removed(&world, &id);
}
