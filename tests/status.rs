//! Tests `git flux status`.

use std::fs;
use std::path::Path;

use crate::world::*;

/// Returns the value of a line `<name>: <value>`.
#[track_caller]
fn field(output: &str, name: &str) -> String {
    let line = output
        .lines()
        .find_map(|line| line.strip_prefix(&format!("{name}:")));
    line.unwrap_or_else(|| panic!("no {name:?} in\n{output}"))
        .trim()
        .to_owned()
}

#[test]
fn status_shows_every_field_of_a_running_task() {
    let world = World::new();
    let id = world.start("Fix the login\nin two places");
    let agent = world.agent(&id);
    agent.tell("commit One change");
    world.commit_in(world.repo(), "main.txt", "main");
    let worktree = world.worktree(&id);
    world.write(worktree.join("README.md"), "changed");
    world.write(worktree.join("new file.txt"), "new");
    world.write(worktree.join("staged.txt"), "staged");
    world.git_in(&worktree, ["add", "staged.txt"]);
    let before = world.snapshot();
    let shown = world.flux(["status", &id]).ok();
    world.assert_unchanged(&before);
    assert!(
        shown.starts_with(&format!("{id}  Fix the login\n")),
        "{shown}"
    );
    assert!(
        field(&shown, "State").starts_with("running for "),
        "{shown}"
    );
    assert_eq!(field(&shown, "Agent"), "claude");
    assert_eq!(field(&shown, "Target"), format!("session flux-myapp-{id}"));
    assert_eq!(field(&shown, "Worktree"), worktree.to_str().unwrap());
    assert_eq!(field(&shown, "Branch"), format!("feature/{id}"));
    assert!(
        world
            .git(["rev-parse", "main~1"])
            .starts_with(&field(&shown, "Base"))
    );
    assert_eq!(field(&shown, "Commits"), "1 ahead of main, 1 behind");
    assert_eq!(field(&shown, "Changes"), "3 files uncommitted");
    assert_eq!(field(&shown, "Gate"), "untested");
    for line in [
        "   M README.md",
        "  A  staged.txt",
        "  ?? new file.txt",
        "  fake agent ready",
    ] {
        assert!(
            shown.lines().any(|shown| shown == line),
            "no {line:?} in\n{shown}"
        );
    }
    for command in ["attach", "diff", "cleanup"] {
        assert!(
            shown.contains(&format!("  git flux {command} {id}")),
            "{shown}"
        );
    }
}

#[track_caller]
fn assert_state(end: impl FnOnce(&World, &str), label: &str, state: &str) {
    let world = World::new();
    let id = world.start("Fix");
    world.agent(&id).wait_started();
    end(&world, &id);
    let seen = || world.flux(["status", &id]).ok();
    wait_until(label, || field(&seen(), "State").starts_with(label));
    let task = world.flux(["status", "--json", &id]).run().json();
    assert_eq!(task["state"], state, "{task:#}");
    let listed = world.flux(["list", "--json"]).run().json();
    assert_eq!(listed[0]["state"], state);
}

#[test]
fn status_shows_the_observed_state_of_a_task() {
    assert_state(|_, _| {}, "running for ", "running");
    assert_state(
        |world, id| world.agent(id).tell("exit 3"),
        "exited with status 3, ",
        "exited",
    );
    assert_state(
        |world, id| world.agent(id).kill("KILL"),
        "was ended by signal 9, ",
        "killed",
    );
    let kill_launcher = |world: &World, id: &str| {
        let pid = world.agent(id).process().unwrap().parent.to_string();
        world.command("kill").args(["-9", &pid]).status().unwrap();
    };
    assert_state(kill_launcher, "lost", "lost");
    assert_state(
        |world, id| fs::remove_dir_all(world.worktree(id)).unwrap(),
        "broken: its worktree",
        "broken",
    );
    let delete_branch = |world: &World, id: &str| {
        world.git(["update-ref", "-d", &format!("refs/heads/feature/{id}")]);
    };
    assert_state(delete_branch, "broken: its branch", "broken");
    let damage = |world: &World, id: &str| {
        world.write(format!(".git/flux/run/{id}/exit"), "{ damaged");
    };
    assert_state(damage, "unknown", "unknown");
}

#[test]
fn status_shows_a_closed_pane() {
    let world = World::new();
    let id = world.start("Fix");
    world.agent(&id).wait_started();
    world.kill_tmux();
    let shown = || world.flux(["status", &id]).ok();
    wait_until("the agent to have ended", || {
        !field(&shown(), "State").starts_with("running")
    });
    let shown = shown();
    assert!(field(&shown, "Target").ends_with("(closed)"), "{shown}");
    assert!(!shown.contains("Screen"), "{shown}");
    let task = world.flux(["status", "--json", &id]).run().json();
    assert!(task["screen"].is_null());
}

#[test]
fn status_shows_the_last_fifteen_lines_of_the_screen() {
    let world = World::new();
    world.behaviour("sh for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do echo \"line $i.\"; done");
    let id = world.start("Fix");
    world.agent(&id).wait_first_done();
    let task = wait_for("the last line on the screen", || {
        let task = world.flux(["status", "--json", &id]).run().json();
        task["screen"]
            .to_string()
            .contains("line 20.")
            .then_some(task)
    });
    let expected: Vec<String> = (6..=20).map(|n| format!("line {n}.")).collect();
    assert_eq!(task["screen"], serde_json::json!(expected));
    let shown = world.flux(["status", &id]).ok();
    assert!(
        shown.contains("  line 6.\n") && !shown.contains("line 5."),
        "{shown}"
    );
}

#[test]
fn status_escapes_control_characters_on_the_screen() {
    let world = World::new();
    world.behaviour(r"say \033[31mred\033[0m \0302\0233 \0342\0200\0256evil \0342\0200\0213 end");
    let id = world.start("Fix");
    world.agent(&id).wait_first_done();
    wait_until("the text on the screen", || {
        world.flux(["status", &id]).ok().contains(" end")
    });
    let output = world.flux(["status", &id]).run();
    for bad in ['\u{1b}', '\u{9b}', '\u{202e}', '\u{200b}'] {
        assert!(
            !output.stdout.contains(bad),
            "{bad:?} in {:?}",
            output.stdout
        );
    }
    output.stdout_has("red").stdout_has("evil");
}

#[test]
fn status_escapes_control_characters_in_file_names() {
    let world = World::new();
    let id = world.start("Fix");
    world.write(world.worktree(&id).join("a\nb \u{1b}[31m\u{202e}.txt"), "");
    let output = world.flux(["status", &id]).run();
    output
        .success()
        .stdout_has("  ?? a\\u{a}b \\u{1b}[31m\\u{202e}.txt\n");
    let task = world.flux(["status", "--json", &id]).run().json();
    assert_eq!(task["files"][0]["path"], "a\nb \u{1b}[31m\u{202e}.txt");
}

#[test]
fn status_json_prints_the_object_of_list_with_files_and_screen() {
    let world = World::new();
    let id = world.start("Fix");
    let agent = world.agent(&id);
    agent.tell("commit One");
    let worktree = world.worktree(&id);
    world.write(worktree.join("README.md"), "changed");
    world.write(worktree.join("new.txt"), "new");
    agent.tell("exit 4");
    let mut task = wait_for("the agent's end", || {
        let task = world.flux(["status", "--json", &id]).run().json();
        (task["state"] == "exited").then_some(task)
    });
    let list = world.flux(["list", "--json"]).run().json();
    let object = task.as_object_mut().unwrap();
    let files = object.remove("files").unwrap();
    assert_eq!(
        files,
        serde_json::json!([{"code": " M", "path": "README.md"}, {"code": "??", "path": "new.txt"}])
    );
    assert!(object.remove("screen").unwrap().is_array());
    for field in ["stash", "removedStashEntries", "configuration"] {
        assert_eq!(object.remove(field), Some(serde_json::json!([])));
    }
    assert_eq!(list[0], task);
    assert_eq!(
        (task["ahead"].as_u64(), task["behind"].as_u64()),
        (Some(1), Some(0))
    );
    assert_eq!(
        task["changes"],
        serde_json::json!({"staged": 0, "unstaged": 1, "untracked": 1, "conflicted": 0})
    );
    assert_eq!(
        (task["exit"]["status"].as_i64(), &task["exit"]["signal"]),
        (Some(4), &serde_json::Value::Null)
    );
}

#[test]
fn status_without_a_name_takes_the_task_of_the_worktree() {
    let world = World::new();
    let (one, two) = (world.start("One"), world.start("Two"));
    let shown = world
        .flux(["status"])
        .in_dir(world.worktree(&two).join("src"))
        .ok();
    assert!(shown.starts_with(&two), "{shown}");
    let shown = world
        .flux(["status", &one[..6]])
        .in_dir(world.worktree(&two))
        .ok();
    assert!(shown.starts_with(&one), "{shown}");
    let output = world.flux(["status"]).run();
    output.code(2).says(&expect![[r#"
        --- stderr
        error: no task given, and not inside a task's worktree
        hint: git flux status <task>
        hint: to see the tasks: git flux list
    "#]]);
}

#[test]
fn status_asks_for_the_task_on_a_terminal() {
    let world = World::new();
    let (_, two) = (world.start("One"), world.start("Two"));
    let terminal = world.terminal(120, 40);
    terminal.command("git flux status");
    terminal.wait_for_screen("Which task");
    terminal.text("two");
    terminal.wait_for_screen("two");
    terminal.keys(["Enter"]);
    assert_eq!(terminal.exit_code(), 0);
    let screen = terminal.screen();
    assert!(screen.contains(&format!("feature/{two}")), "{screen}");
    terminal.command("git flux status");
    terminal.wait_for_screen("Which task");
    terminal.keys(["C-c"]);
    assert_eq!(terminal.exit_code(), 130);
}

#[test]
fn status_list_and_diff_do_not_change_or_lock_the_index() {
    let world = World::new();
    let id = world.start("Fix");
    let worktree = world.worktree(&id);
    let index = world.git_in(
        &worktree,
        ["rev-parse", "--path-format=absolute", "--git-path", "index"],
    );
    // A file that only looks changed makes `git status` write the index.
    world.write(worktree.join("README.md"), "# myapp\n");
    let before = fs::read(&index).unwrap();
    // A writer at work: whoever takes this lock fails.
    fs::write(format!("{index}.lock"), "").unwrap();
    for command in [&["status", &id][..], &["list"], &["diff", &id]] {
        world.flux(command).run().success().stderr_has("");
    }
    assert_eq!(fs::read(&index).unwrap(), before);
    fs::remove_file(format!("{index}.lock")).unwrap();
    world.flux(["status", &id]).run().success();
    assert_eq!(fs::read(&index).unwrap(), before);
}

#[test]
fn status_shows_an_unknown_pane_if_tmux_fails() {
    let world = World::new();
    let id = world.start("Fix");
    let target = format!("Target:    session flux-myapp-{id}");
    let output = world.flux(["status", &id]).run();
    output.success().stdout_has(&format!("{target}\n"));
    world.fault(&Fault::every("tmux", "list-panes", Mode::Fail));
    let output = world.flux(["status", &id]).run();
    output
        .success()
        .stdout_has(&format!("{target} (unknown)\n"))
        .stderr_has("warning: ");
    world.clear_fault();
    world.tmux(["kill-session", "-t", &format!("=flux-myapp-{id}")]);
    world.wait_ended(&id);
    let output = world.flux(["status", &id]).run();
    output.success().stdout_has(&format!("{target} (closed)\n"));
}

#[test]
fn status_and_list_show_the_current_name_of_the_session() {
    let world = World::new();
    let id = world.start("Fix");
    world.tmux(["rename-session", "-t", &format!("=flux-myapp-{id}"), "mine"]);
    let output = world.flux(["status", &id]).run();
    output.success().stdout_has("Target:    session mine\n");
    let task = world.flux(["status", "--json", &id]).run().json();
    assert_eq!(task["target"]["session"], "mine");
    let tasks = world.flux(["list", "--json"]).run().json();
    assert_eq!(tasks[0]["target"]["session"], "mine");
}

#[test]
fn cleanup_and_send_refuse_if_the_socket_of_tmux_was_deleted() {
    let world = World::new();
    let id = world.start("Fix");
    let socket = world.tmux(["display-message", "-p", "#{socket_path}"]);
    let server = world.tmux(["display-message", "-p", "#{pid}"]);
    fs::remove_file(&socket).unwrap();
    let before = world.snapshot();
    let lost = format!("error: the tmux server {server} has lost its socket '{socket}'\n");
    for args in [vec!["cleanup", "-y", &id], vec!["send", &id, "Go on"]] {
        let output = world.flux(args).run();
        output
            .code(1)
            .stderr_has(&lost)
            .stderr_has(&format!("hint: to recreate it: kill -USR1 {server}\n"));
        world.assert_unchanged(&before);
    }
    let server = nix::unistd::Pid::from_raw(server.parse().unwrap());
    nix::sys::signal::kill(server, nix::sys::signal::Signal::SIGUSR1).unwrap();
    wait_until("the socket", || Path::new(&socket).exists());
    world.flux(["cleanup", "-y", &id]).run().success();
}
