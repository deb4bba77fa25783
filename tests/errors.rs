//! Tests that each refusal has a hint to paste and changes nothing.

use std::fs;

use crate::world::limits::*;
use crate::world::*;

const ALL: [&[&str]; 6] = [
    &["run", "Fix"],
    &["list"],
    &["status", "fix"],
    &["attach", "fix"],
    &["diff", "fix"],
    &["cleanup", "fix"],
];

/// A refusal says what and what to do, and nothing has changed.
#[track_caller]
fn refused(world: &World, flux: Flux, error: &str, hint: &str) {
    let before = world.snapshot();
    let output = flux.run();
    let code = output.code;
    assert!(code == Some(1), "exit code {code:?}\n{output}");
    output.stdout_is("").stderr_has("error: ").stderr_has(error);
    let hints: Vec<&str> = output
        .stderr
        .lines()
        .filter_map(|line| line.strip_prefix("hint: "))
        .collect();
    assert!(
        hints.iter().any(|line| line.contains(hint)),
        "no hint {hint:?}\n{output}"
    );
    world.assert_unchanged(&before);
}

#[test]
fn errors_name_a_missing_repository_in_every_command() {
    let world = World::new();
    for args in ALL {
        refused(
            &world,
            world.flux(args).in_dir(world.root()),
            "not a git repository",
            "git ",
        );
    }
}

#[test]
fn run_refuses_a_repository_without_a_commit() {
    let world = World::without_repository("flux world");
    fs::create_dir(world.repo()).unwrap();
    world.git(["init", "-q"]);
    refused(
        &world,
        world.flux(["run", "Fix"]),
        "there is no commit yet",
        "git commit",
    );
    world.flux(["list"]).run().success().says(&expect![[r#"
        --- stderr
        no tasks
        hint: to start a task: git flux run "<description>"
    "#]]);
    world.assert_pristine();
}

#[test]
fn errors_name_a_git_that_is_too_old() {
    let world = World::new();
    let id = world.start("Fix");
    world.agent(&id).tell("commit One");
    old_git(&world, "2.34.1");
    let error = "git 2.34 is too old, git flux needs 2.38 or newer";
    for install in [
        "apt install git",
        "dnf install git",
        "pacman -S git",
        "brew install git",
    ] {
        refused(&world, world.flux(["run", "Another"]), error, install);
        refused(&world, world.flux(["cleanup", &id]), error, install);
    }
    refused(&world, world.flux(["list"]), error, "apt install");
    refused(&world, world.flux(["status", &id]), error, "apt install");
}

#[test]
fn errors_name_a_missing_git() {
    let world = World::new();
    let path = world.path_without(["git"]);
    for install in [
        "apt install git",
        "dnf install git",
        "pacman -S git",
        "brew install git",
    ] {
        let run = world.flux(["run", "Fix"]).env("PATH", &path);
        refused(&world, run, "git is not installed", install);
    }
    for args in &ALL[1..] {
        refused(
            &world,
            world.flux(*args).env("PATH", &path),
            "git is not installed",
            "apt install git",
        );
    }
}

const INSTALL_TMUX: [&str; 4] = [
    "apt install tmux",
    "dnf install tmux",
    "pacman -S tmux",
    "brew install tmux",
];

#[test]
fn run_names_a_tmux_that_is_too_old() {
    let world = World::new();
    old_tmux(&world);
    let error = "tmux 2.9 is too old, git flux needs 3.0 or newer";
    for install in INSTALL_TMUX {
        refused(&world, world.flux(["run", "Fix"]), error, install);
    }
    // With a server, outside of it and inside.
    let inside = world.terminal_inside();
    refused(&world, world.flux(["run", "Fix"]), error, "apt install");
    let tmux = inside.ask("#{socket_path},#{pid},0");
    let run = world
        .flux(["run", "Fix"])
        .env("TMUX", tmux)
        .env("TMUX_PANE", inside.pane());
    refused(&world, run, error, "apt install");
}

#[test]
fn run_and_cleanup_name_a_missing_tmux() {
    let world = World::new();
    let path = world.path_without(["tmux"]);
    for install in INSTALL_TMUX {
        refused(
            &world,
            world.flux(["run", "Fix"]).env("PATH", &path),
            "tmux is not installed",
            install,
        );
    }
    // What needs no tmux does without.
    world.flux(["list"]).env("PATH", &path).run().success();
    let id = world.start("Fix");
    world
        .flux(["list"])
        .env("PATH", &path)
        .run()
        .success()
        .stdout_has(&id);
    world.flux(["diff", &id]).env("PATH", &path).run().success();
    // Whether the agent's pane is there is not known: nothing is removed.
    let cleanup = world.flux(["cleanup", "-y", &id]).env("PATH", &path);
    refused(&world, cleanup, "tmux is not installed", "apt install tmux");
}

#[test]
fn run_refuses_a_branch_that_exists() {
    let world = World::new();
    world.git(["branch", "feature/fix"]);
    let run = || world.flux(["run", "--name", "fix", "Fix"]);
    refused(
        &world,
        run(),
        "the branch 'feature/fix' exists already",
        "--name",
    );
    world.git(["worktree", "add", "-q", "../theirs", "feature/fix"]);
    refused(
        &world,
        run(),
        "the branch 'feature/fix' exists already",
        "--name",
    );
}

#[test]
fn run_names_a_branch_that_conflicts_with_the_prefix() {
    let world = World::new();
    world.git(["branch", "feature"]);
    let error = "'feature/fix': 'feature' exists";
    refused(
        &world,
        world.flux(["run", "--name", "fix", "Fix"]),
        error,
        "git branch -m feature ",
    );
    refused(
        &world,
        world.flux(["run", "--name", "fix", "Fix"]),
        error,
        "git config flux.branchPrefix ",
    );
    world.git(["branch", "-m", "feature", "feature/fix/deeper"]);
    let error = "'feature/fix': 'feature/fix/deeper' exists";
    refused(
        &world,
        world.flux(["run", "--name", "fix", "Fix"]),
        error,
        "git branch -m ",
    );
    world
        .flux(["run", "--name", "fix-2", "Fix"])
        .run()
        .success();
}

#[test]
fn run_leaves_an_existing_path_of_the_worktree_alone() {
    let makes: [fn(&World); 4] = [
        |world| drop(world.write("../myapp-fix/their own.txt", "precious")),
        |world| drop(world.write("../myapp-fix/.hidden", "precious")),
        |world| drop(world.write("../myapp-fix", "a file")),
        |world| std::os::unix::fs::symlink("nowhere", world.worktree("fix")).unwrap(),
    ];
    for make in makes {
        let world = World::new();
        make(&world);
        let path = world.worktree("fix");
        let error = format!("'{}' exists already", path.display());
        refused(
            &world,
            world.flux(["run", "--name", "fix", "Fix"]),
            &error,
            "--name",
        );
        refused(
            &world,
            world.flux(["run", "--name", "fix", "Fix"]),
            &error,
            "git config flux.worktreeDir",
        );
    }
}

#[test]
fn run_refuses_a_worktree_directory_that_cannot_be_created() {
    let world = World::new();
    world.write("../file", "");
    world.git(["config", "flux.worktreeDir", "../file/below"]);
    let before = world.snapshot();
    let output = world.flux(["run", "--name", "fix", "Fix"]).run();
    output.code(1).says(&expect![[r#"
        --- stderr
        error: could not access '$WORLD/file/below/myapp-fix'
          caused by: Not a directory (os error 20)
    "#]]);
    world.assert_unchanged(&before);
}

/// The directory of that worktree may be on a disk that is not mounted.
#[test]
fn run_refuses_a_path_registered_as_a_worktree() {
    let world = World::new();
    world.git(["worktree", "add", "-q", "-b", "theirs", "../myapp-fix"]);
    fs::rename(world.worktree("fix"), world.root().join("unmounted")).unwrap();
    refused(
        &world,
        world.flux(["run", "--name", "fix", "Fix"]),
        "registered as a worktree",
        "git worktree list",
    );
}

#[test]
fn run_refuses_a_session_name_that_exists() {
    let world = World::new();
    world.tmux(["new-session", "-d", "-s", "flux-myapp-fix", "sleep 1000"]);
    let run = || world.flux(["run", "--name", "fix", "Fix"]);
    refused(
        &world,
        run(),
        "session 'flux-myapp-fix' exists already",
        "tmux attach -t '=flux-myapp-fix'",
    );
    run()
        .run()
        .stderr_has("hint: choose another name with --name\n");
    // One whose name only begins so is another.
    world.tmux([
        "rename-session",
        "-t",
        "=flux-myapp-fix",
        "flux-myapp-fix-2",
    ]);
    run().run().success();
}

#[test]
fn errors_list_the_tasks_for_an_unknown_or_ambiguous_name() {
    let world = World::new();
    for args in [
        ["status", "fix"],
        ["attach", "fix"],
        ["diff", "fix"],
        ["cleanup", "fix"],
    ] {
        refused(
            &world,
            world.flux(args),
            "there is no task 'fix'",
            "git flux run",
        );
    }
    for name in ["fix-login", "fix-logout", "other"] {
        world
            .flux(["run", "-q", "--name", name, "Fix"])
            .run()
            .success();
        world.agent(name).wait_started();
    }
    for command in ["status", "attach", "diff", "cleanup"] {
        refused(
            &world,
            world.flux([command, "nothing"]),
            "there is no task 'nothing'",
            "fix-login",
        );
        refused(
            &world,
            world.flux([command, "fix"]),
            "'fix' is ambiguous",
            "fix-login, fix-logout",
        );
        refused(
            &world,
            world.flux([command, "fix-log"]),
            "'fix-log' is ambiguous",
            "fix-logout",
        );
        refused(
            &world,
            world.flux([command, ""]),
            "there is no task ''",
            "other",
        );
    }
    assert_eq!(
        world.flux(["status", "--json", "fix-logi"]).run().json()["id"],
        "fix-login"
    );
}

#[test]
fn errors_hint_at_the_help_for_a_wrong_command_line() {
    let world = World::new();
    let before = world.snapshot();
    for args in [
        &["fly"][..],
        &["run", "--no-such", "x"],
        &["status", "a", "b"],
        &["list", "x"],
        &["run", "--base"],
        &["run", "--count", "many", "x"],
        &["wait", "--for", "ever", "x"],
        &["completions"],
    ] {
        let output = world.flux(args).run();
        output.code(2).stdout_is("").stderr_has("error: ");
        let help = match args {
            ["fly"] => "hint: git flux -h\n".to_owned(),
            [command, ..] => format!("hint: git flux {command} -h\n"),
            [] => unreachable!(),
        };
        output.stderr_has(&help);
    }
    world.assert_unchanged(&before);
}
