//! Tests by which names a task is found: its id, a part of it, its branch, its worktree.

use std::path::{Path, PathBuf};

use crate::world::*;

/// Starts three tasks.
fn three_tasks(world: &World) -> [&'static str; 3] {
    let names = [
        "fix-the-login-5c3c4d",
        "add-oauth-343524",
        "speed-up-0d23e9",
    ];
    for name in names {
        world.flux(["run", "-q", "--name", name, "Fix"]).ok();
        world.agent(name).wait_started();
    }
    names
}

#[test]
fn names_match_a_unique_part_of_the_id_the_branch_or_the_worktree() {
    let world = World::new();
    let [login, oauth, speed] = three_tasks(&world);
    let path = world.worktree(oauth).display().to_string();
    for (name, expected) in [
        ("fix", login),
        ("login", login),
        ("the-login", login),
        ("0d23e9", speed),
        ("up", speed),
        ("feature/speed-up-0d23e9", speed),
        ("refs/heads/feature/speed-up-0d23e9", speed),
        (&path, oauth),
        (&format!("{path}/"), oauth),
        ("../myapp-add-oauth-343524", oauth),
    ] {
        let status = world.flux(["status", "--json", name]).run().json();
        assert_eq!(status["id"], expected, "{name}");
    }
    let inside = world.flux(["status", "--json", "."]).in_dir(&path);
    assert_eq!(inside.run().json()["id"], oauth);
    // Where it is gone its path still names it.
    std::fs::remove_dir_all(&path).unwrap();
    let status = world.flux(["status", "--json", &path]).run().json();
    assert_eq!(status["id"], oauth);
}

#[test]
fn names_are_paths_only_if_they_have_a_slash_or_are_dots() {
    let world = World::new();
    world.git(["config", "flux.worktreeDir", "trees"]);
    world.flux(["run", "-q", "--name", "fix", "Fix"]).ok();
    world.agent("fix").wait_started();
    let path = PathBuf::from(world.flux(["status", "--path", "fix"]).ok());
    let (trees, dir) = (path.parent().unwrap(), path.file_name().unwrap());
    let dir = dir.to_str().unwrap();
    let status = |name: &str, from: &Path| world.flux(["status", name]).in_dir(from).run();
    status(&format!("./{dir}"), trees).success();
    status("..", &path.join("src")).success();
    status(dir, trees).code(1).stderr_has("no task");
    status("..", &path).code(1).stderr_has("no task");
}

#[test]
fn names_that_are_ambiguous_are_refused_and_prefixes_are_preferred() {
    let world = World::new();
    three_tasks(&world);
    world.flux(["run", "-q", "--name", "oauth-2", "Fix"]).ok();
    world.agent("oauth-2").wait_started();
    let before = world.snapshot();
    let output = world.flux(["cleanup", "-y", "d"]).run();
    output.code(1).says(&expect![[r#"
        --- stderr
        error: 'd' is ambiguous
        hint: it could be: add-oauth-XXXXXX, fix-the-login-XXXXXX, speed-up-XXXXXX
    "#]]);
    for name in ["nothing", "", "feature/nothing", "..", "main"] {
        let output = world.flux(["cleanup", "-y", name]).run();
        output
            .code(1)
            .stderr_has(&format!("there is no task '{name}'"));
    }
    world.assert_unchanged(&before);
    let status = world.flux(["status", "--json", "oauth"]).run().json();
    assert_eq!(status["id"], "oauth-2");
}

#[test]
fn names_that_begin_an_id_are_no_branches_of_other_tasks() {
    let world = World::new();
    for branch in ["fix", "topic"] {
        let path = format!("../{branch}");
        world.git(["worktree", "add", "-q", "-b", branch, &path]);
        let id = format!("my-{branch}");
        world.flux(["adopt", &path, "--name", &id]).run().success();
    }
    world.flux(["run", "-q", "--name", "fix-2", "Fix"]).ok();
    for (name, expected) in [("fix", "fix-2"), ("topic", "my-topic")] {
        let status = world.flux(["status", "--json", name]).run().json();
        assert_eq!(status["id"], expected, "{name}");
    }
}

#[test]
fn status_path_prints_only_the_path_of_the_worktree() {
    let world = World::new();
    let [login, ..] = three_tasks(&world);
    let output = world.flux(["status", "--path", "login"]).run();
    let path = world.worktree(login);
    output
        .success()
        .stderr_is("")
        .stdout_is(&format!("{}\n", path.display()));
    // As it is put into a command.
    let mut cd = world.command("sh");
    let cd = cd.current_dir(world.repo());
    let cd = cd.args(["-c", "cd \"$(git flux status --path login)\" && pwd"]);
    let said = String::from_utf8(cd.output().unwrap().stdout).unwrap();
    assert_eq!(said, output.stdout);
}

#[test]
fn errors_in_the_directory_of_a_removed_worktree_name_the_repository() {
    let world = World::new();
    crate::world::archive::done(&world, "fix");
    let terminal = world.terminal_in(&world.worktree("fix"), 150, 30);
    terminal.type_line("git flux cleanup -y; git flux");
    let screen = terminal.wait_for_screen("hint: git -C ");
    assert!(
        screen.contains("error: this worktree was removed with the task 'fix'\nhint: cd '"),
        "{screen}"
    );
    assert!(!screen.contains("git init"), "{screen}");
    // Both of them do what they say.
    terminal.clear();
    terminal.type_line(
        "cd \"$(git flux 2>&1 | sed -n 's/^hint: cd .\\(.*\\).$/\\1/p')\" && git flux list",
    );
    terminal.wait_for_screen("no tasks");
}
