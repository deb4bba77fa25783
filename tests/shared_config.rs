//! Tests that the shared configuration is compared with that at the start of a task.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::world::removal::*;
use crate::world::*;

/// Makes a world in which changes of the configuration count.
pub(crate) fn world() -> World {
    let world = World::new();
    world.compare_config();
    world
}

/// Starts a task with this id, whose agent commits one line and ends.
pub(crate) fn named_task(world: &World, id: &str) {
    world.behaviour("raw");
    world.flux(["run", "-q", "--name", id, "Fix it"]).ok();
    let path = world.flux(["status", "--path", id]).ok();
    world.commit_in(path, &format!("{id}.txt"), "work\n");
    world.agent(id).tell("exit 0");
    world.wait_ended(id);
}

/// Asserts that the task was merged and removed.
#[track_caller]
pub(crate) fn assert_gone(world: &World, id: &str) {
    let task = world.try_git([
        "rev-parse",
        "-q",
        "--verify",
        &format!("refs/flux/tasks/{id}"),
    ]);
    assert!(task.is_err() && world.repo().join(format!("{id}.txt")).exists());
}

/// Writes a hook of this world's repository.
pub(crate) fn write_hook(world: &World, name: &str, script: &str) {
    install_at(&world.repo().join(".git/hooks").join(name), script);
}

#[test]
fn cleanup_refuses_off_a_terminal_if_a_program_has_changed() {
    let world = world();
    named_task(&world, "fix");
    world.git(["config", "core.hooksPath", ".husky/_"]);
    world.git(["config", "user.name", "Mallory"]);
    let before = world.snapshot();
    let refused = world.flux(["cleanup", "fix"]).run();
    refused.code(1).says(&expect![[r#"
        --- stderr
        error: core.hooksPath was set to '.husky/_' while the agent of 'fix' ran (and 1 more change)
        hint: to undo this change: git config --local --unset-all core.hooksPath
        hint: to see all such changes: git flux status fix
        hint: to keep all of them: git flux cleanup fix --keep-config
    "#]]);
    let dry = world.flux(["cleanup", "-n", "fix"]).run();
    dry.code(1).says(&expect![[r#"
        CHECK           RESULT   WHY
        state           ok       exited(0)
        branch          ok       'feature/fix' is at <object>
        worktree        ok       '$WORLD/myapp-fix'
        lock            ok       not locked
        operation       ok       no operation is in progress
        HEAD            ok       'feature/fix' is checked out
        submodules      ok       none was checked out
        target          ok       'main', checked out in '$WORLD/myapp'
        shared stash    ok       no entry was removed while the task ran
        file system     ok       the worktree can be restored
        uncommitted     ok       none
        repositories    ok       no other repository is in the worktree
        large files     ok       none
        ignored         ok       none
        stash           ok       none
        merge           ok       1 commit, no conflict (merge)
        gate            ok       untested, there is no gate
        configuration   refuses  core.hooksPath was set to '.husky/_' while the agent of 'fix' ran
        configuration   ok       user.name was set to 'Mallory' while the agent of 'fix' ran
        current branch  ok       you are on 'main'
        processes       ok       no other process is in the worktree
        agent           ok       no process has to be stopped
        collisions      ok       the merge would overwrite no local file
        --- stderr
        Nothing was done.
        error: core.hooksPath was set to '.husky/_' while the agent of 'fix' ran (and 1 more change)
        hint: to undo this change: git config --local --unset-all core.hooksPath
        hint: to see all such changes: git flux status fix
        hint: to keep all of them: git flux cleanup fix --keep-config
    "#]]);
    // Consent to the merge is none to this.
    world.flux(["cleanup", "fix", "--yes"]).run().code(1);
    world.assert_unchanged(&before);
    let kept = world.flux(["cleanup", "fix", "--keep-config"]).run();
    kept.success().says(&expect![[r#"
        --- stderr
        warning: core.hooksPath was set to '.husky/_' while the agent of 'fix' ran
        warning: user.name was set to 'Mallory' while the agent of 'fix' ran
        merged 1 commit of 'feature/fix' into 'main' (<object>..<object>)
        removed 'fix': worktree, branch 'feature/fix' and session
        its commits stay in refs/flux/archive/fix/tip
        its files are kept in '$WORLD/myapp/.git/flux/trash/fix'
        hint: to restore the task: git flux restore fix
        hint: to undo the merge, on 'main': git revert -m 1 <object>
    "#]]);
    assert_gone(&world, "fix");
    assert_eq!(world.git(["config", "core.hooksPath"]), ".husky/_");
}

#[test]
fn cleanup_only_warns_off_a_terminal_if_another_value_has_changed() {
    let world = world();
    named_task(&world, "fix");
    world.git([
        "config",
        "--add",
        "remote.origin.url",
        "https://example.com/a",
    ]);
    world.write(".git/info/attributes", "*.bin -diff\n");
    world.write(".git/info/exclude", "*.tmp\n");
    let done = world.flux(["cleanup", "fix"]).run();
    done.success().says(&expect![[r#"
        --- stderr
        warning: remote.origin.url was set to 'https://example.com/a' while the agent of 'fix' ran
        warning: info/attributes was added while the agent of 'fix' ran
        warning: info/exclude changed while the agent of 'fix' ran
        merged 1 commit of 'feature/fix' into 'main' (<object>..<object>)
        removed 'fix': worktree, branch 'feature/fix' and session
        its commits stay in refs/flux/archive/fix/tip
        its files are kept in '$WORLD/myapp/.git/flux/trash/fix'
        hint: to restore the task: git flux restore fix
        hint: to undo the merge, on 'main': git revert -m 1 <object>
    "#]]);
    assert_gone(&world, "fix");
}

#[test]
fn cleanup_does_not_ask_about_what_git_flux_and_git_write() {
    let world = world();
    named_task(&world, "one");
    named_task(&world, "two");
    world.git(["config", "flux.agent", "claude"]);
    world.git(["config", "alias.lg", "log --oneline"]);
    world.git(["branch", "--track", "mine", "main"]);
    world.git(["config", "gc.auto", "1"]);
    for id in ["one", "two"] {
        let dry = world.flux(["cleanup", "-n", id]).run();
        dry.success()
            .stdout_has("the shared configuration has not changed");
    }
    let done = world.flux(["cleanup", "--all"]).run();
    done.success().has_not("warning");
}

#[test]
fn cleanup_compares_programs_of_git_flux_filters_aliases_and_includes() {
    let world = world();
    named_task(&world, "fix");
    for (key, value) in [
        ("flux.setup", "npm ci"),
        ("flux.mine.command", "sh"),
        ("filter.x.clean", "x"),
        ("alias.st", "!sh"),
        ("include.path", "../evil"),
        ("credential.helper", "store"),
    ] {
        world.git(["config", key, value]);
        let refused = world.flux(["cleanup", "fix"]).run();
        let line = format!("error: {key} was set to '{value}' while the agent of 'fix' ran\n");
        refused.code(1).stderr_has(&line);
        world.git(["config", "--unset", key]);
    }
    world.flux(["cleanup", "fix"]).run().success();
}

#[test]
fn status_names_each_change_of_the_shared_configuration() {
    let world = world();
    named_task(&world, "fix");
    let json = world.flux(["status", "--json", "fix"]).run().json();
    assert_eq!(json["configuration"], serde_json::json!([]));
    world.git(["config", "core.hooksPath", "a\x1b[31mb"]);
    write_hook(&world, "pre-push", "#!/bin/sh\n");
    let status = world.flux(["status", "fix"]).run();
    let lines = status
        .stdout
        .lines()
        .filter(|line| line.starts_with("Config:"));
    let expected = [
        r"Config:    core.hooksPath was set to 'a\u{1b}[31mb' while the agent of 'fix' ran",
        "Config:    the hook 'pre-push' was added while the agent of 'fix' ran",
    ];
    assert_eq!(lines.collect::<Vec<_>>(), expected);
    let json = world.flux(["status", "--json", "fix"]).run().json();
    assert_eq!(json["configuration"][1]["name"], "the hook 'pre-push'");
    assert_eq!(json["configuration"][1]["runsProgram"], true);
}

#[test]
fn cleanup_refuses_if_the_copy_is_damaged_and_passes_without_one() {
    let world = world();
    named_task(&world, "fix");
    let copy = world.repo().join(".git/flux/run/fix/shared");
    let mode = fs::metadata(&copy).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    world.write(&copy, "{");
    let refused = world.flux(["cleanup", "fix"]).run();
    refused
        .code(1)
        .stderr_has("error: the shared configuration cannot be compared: ");
    refused.stderr_has("hint: to keep all of them: git flux cleanup fix --keep-config\n");
    let status = world.flux(["status", "fix"]).run();
    status
        .success()
        .stdout_has("Config:    cannot be compared: ");
    fs::remove_file(&copy).unwrap();
    let status = world.flux(["status", "--json", "fix"]).run().json();
    assert_eq!(status["configuration"], serde_json::Value::Null);
    let dry = world.flux(["cleanup", "-n", "fix"]).run();
    dry.success()
        .stdout_has("not compared: no copy from the start of 'fix'");
}

#[test]
fn cleanup_asks_about_changes_of_an_earlier_run_after_a_resume() {
    let world = world();
    named_task(&world, "fix");
    world.git(["config", "core.pager", "evil"]);
    world.flux(["resume", "fix", "--restart"]).run().success();
    world.agent("fix").tell("exit 0");
    world.wait_ended("fix");
    let refused = world.flux(["cleanup", "fix"]).run();
    refused
        .code(1)
        .stderr_has("error: core.pager was set to 'evil' while the agent of 'fix' ran\n");
}

#[test]
fn restore_begins_a_comparison_anew() {
    let world = world();
    named_task(&world, "fix");
    world.git(["config", "core.pager", "less"]);
    world
        .flux(["cleanup", "fix", "--discard-branch", "--keep-config"])
        .run()
        .success();
    world.git(["config", "core.pager", "more"]);
    world.flux(["restore", "fix"]).run().success();
    let status = world.flux(["status", "--json", "fix"]).run().json();
    assert_eq!(status["configuration"], serde_json::json!([]));
}

#[test]
fn cleanup_compares_an_untracked_hooks_directory_but_no_tracked_one() {
    let world = world();
    world.write(".gitignore", "*.log\n/.husky/_/\n");
    world.git(["commit", "-qam", "Ignore"]);
    world.git(["config", "core.hooksPath", ".husky/_"]);
    install_at(&world.repo().join(".husky/_/pre-push"), "#!/bin/sh\n");
    named_task(&world, "one");
    install_at(&world.repo().join(".husky/_/pre-push"), "#!/bin/sh\nevil\n");
    let refused = world.flux(["cleanup", "one"]).run();
    let hook = world.repo().join(".husky/_/pre-push");
    let line = format!(
        "error: the hook '{}' changed while the agent of 'one' ran\n",
        hook.display()
    );
    refused.code(1).stderr_has(&line);
    world
        .flux(["cleanup", "one", "--keep-config"])
        .run()
        .success();
    world.git(["config", "core.hooksPath", ".githooks"]);
    install_at(&world.repo().join(".githooks/pre-push"), "#!/bin/sh\n");
    world.git(["add", "."]);
    world.git(["commit", "-qm", "Hooks"]);
    named_task(&world, "two");
    world.commit_in(world.repo(), ".githooks/pre-push", "#!/bin/sh\ntrue\n");
    world
        .flux(["cleanup", "two"])
        .run()
        .success()
        .has_not("warning");
}

#[test]
fn cleanup_compares_again_after_it_has_stopped_the_agent() {
    let world = world();
    let id = working_task(&world);
    let script = "sh trap 'git config core.pager evil' EXIT; trap 'exit 0' HUP INT TERM";
    world.agent(&id).tell(script);
    let refused = world.flux(["cleanup", "--yes", &id]).run();
    let line = format!("error: core.pager was set to 'evil' while the agent of '{id}' ran\n");
    refused.code(1).stderr_has(&line);
    assert!(world.worktree(&id).exists());
    assert_eq!(world.git(["log", "--format=%s", "main"]), "Initial commit");
}
