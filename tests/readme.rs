//! Types the commands of README and docs for set-up and restore in a shell with a new HOME.

use std::fs;
use std::path::Path;
use std::process::Output;

use crate::world::documents::{block, document};
use crate::world::*;

/// Runs README's text as its reader would: in a shell, with nothing but a new HOME.
fn as_a_reader(world: &World, home: &Path, dir: &Path, text: &str) -> Output {
    let mut path = home.join(".cargo/bin").into_os_string();
    path.push(":");
    path.push(world.path_without(["git-flux", "claude", "cargo"]));
    world
        .command("bash")
        .args(["-euc", text])
        .env("HOME", home)
        .env("PATH", path)
        .env_remove("GIT_CONFIG_GLOBAL")
        .current_dir(dir)
        .output()
        .unwrap()
}

#[track_caller]
fn said(output: &Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {stderr}", output.status);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn readme_set_up_command_installs_and_starts_a_first_task() {
    let world = World::new();
    let home = world.root().join("new home");
    let bin = home.join(".cargo/bin");
    fs::create_dir_all(&bin).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_git-flux"), bin.join("git-flux")).unwrap();
    let command = block(&document("README.md"), "## Set up");
    assert_eq!(command.lines().count(), 1, "one command: {command}");
    // Its first half has been done by whoever built the program under test.
    let rest = command.strip_prefix("cargo install --path . --locked && ");
    let report = said(&as_a_reader(
        &world,
        &home,
        &world.repo(),
        rest.expect("the install"),
    ));
    assert!(report.contains("Task ID: try-git-flux-"), "{report}");

    let list = world.flux(["list", "--json"]).run().json();
    let task = &list[0];
    assert_eq!(task["title"], "Try git flux");
    assert_eq!(
        (&task["agent"], &task["state"]),
        (&"shell".into(), &"running".into())
    );
    let pane = task["target"]["pane"].as_str().unwrap().to_owned();
    wait_until("the task to be on its screen", || {
        let screen = world.try_tmux(["capture-pane", "-p", "-t", &pane]);
        screen.is_some_and(|screen| screen.contains("Try git flux"))
    });
    // As README goes on.
    world.flux(["cleanup", "try", "--yes"]).run().success();
    let left = world.flux(["list", "--json"]).ok();
    assert_eq!(left, "[]");
    assert_eq!(world.git(["branch", "--format=%(refname:short)"]), "main");
}

#[test]
fn readme_commands_for_restoring_bring_everything_back() {
    let world = World::new();
    world.write(".gitignore", ".env\n");
    world.git(["add", ".gitignore"]);
    world.git(["commit", "-q", "-m", "Ignore .env"]);
    let id = world.start("Fix the login redirect");
    let worktree = world.worktree(&id);
    world.commit_in(&worktree, "login", "committed\n");
    fs::write(worktree.join("login"), "staged\n").unwrap();
    world.git_in(&worktree, ["add", "login"]);
    fs::write(worktree.join("login"), "changed\n").unwrap();
    fs::write(worktree.join("new file"), "untracked\n").unwrap();
    fs::write(worktree.join(".env"), "ignored\n").unwrap();
    let status = [
        "status",
        "--porcelain",
        "--ignored",
        "--untracked-files=all",
    ];
    let before = (
        world.git_in(&worktree, status),
        world.git_in(&worktree, ["diff", "--cached"]),
    );
    assert_eq!(before.0.lines().count(), 3, "{}", before.0);
    world
        .flux(["cleanup", &id, "--yes", "--discard"])
        .run()
        .success();
    assert!(!worktree.exists());

    let page = document("docs/files.md");
    let (_, section) = page.split_once("\n## Bringing something back\n").unwrap();
    let blocks: Vec<&str> = section
        .split("\n## ")
        .next()
        .unwrap()
        .split("```sh\n")
        .skip(1)
        .map(|part| part.split_once("```").unwrap().0)
        .collect();
    let [restore, look] = blocks.as_slice() else {
        panic!("two blocks: {blocks:?}");
    };
    let (example, look) = look.split_once('\n').unwrap();
    assert!(example.starts_with("id="), "{example}");
    let home = world.tools().join("home");
    let type_in = |text: &str| {
        let text = format!("id={id}\nexport GIT_PAGER=cat\n{text}");
        said(&as_a_reader(&world, &home, &world.repo(), &text))
    };

    let seen = type_in(look);
    for part in ["+committed", "+changed"] {
        assert!(seen.contains(part), "no {part:?} in {seen}");
    }
    assert_eq!(world.read(".env"), "ignored\n");

    for line in restore.lines() {
        let words = line
            .split('#')
            .next()
            .unwrap()
            .replace("fix-the-login", &id);
        let words: Vec<&str> = words.split_whitespace().skip(2).collect();
        world.flux(words).run().success();
    }
    let after = (
        world.git_in(&worktree, status),
        world.git_in(&worktree, ["diff", "--cached"]),
    );
    assert_eq!(after, before);
    for (name, text) in [
        ("login", "changed\n"),
        ("new file", "untracked\n"),
        (".env", "ignored\n"),
    ] {
        assert_eq!(fs::read_to_string(worktree.join(name)).unwrap(), text);
    }
    let branch = world.git_in(&worktree, ["branch", "--show-current"]);
    assert_eq!(branch, format!("feature/{id}"));
    assert_eq!(world.git(["for-each-ref", "refs/flux/archive"]), "");
    assert!(!world.repo().join(".git/flux/trash").join(&id).exists());
}
