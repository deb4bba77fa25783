//! Tests the questions of a cleanup about the shared configuration, with each answer.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::shared_config::*;
use crate::world::questions::*;
use crate::world::{Terminal, expect};

const HOW: &str = "What should happen to it?";

/// Waits for the question that follows this text: keys before it are discarded.
#[track_caller]
fn wait_for_question(terminal: &Terminal<'_>, after: &str) {
    terminal.wait_for_visible(after, |screen| {
        let rest = screen.rsplit_once(after);
        rest.is_some_and(|(_, rest)| rest.contains("What should happen to it? ›"))
    });
}

#[test]
fn cleanup_asks_once_about_a_change_that_several_tasks_have_seen() {
    let world = world();
    for id in ["one", "two"] {
        named_task(&world, id);
    }
    world.git(["config", "core.hooksPath", ".husky/_"]);
    let both = world.flux(["cleanup", "--all"]).run();
    both.code(1).stderr_has("2 of 2 tasks were not removed");
    let terminal = ask(&world, 150, "--all", &[("Clean up 2 tasks?", &["y"])]);
    // The default shows it.
    terminal.wait_for_screen(HOW);
    terminal.keys(["Enter"]);
    wait_for_question(&terminal, "+ .husky/_");
    terminal.keys(["Down"]).keys(["Enter"]);
    assert_eq!(terminal.exit_code(), 0, "{}", terminal.screen());
    let screen = terminal.screen();
    assert_eq!(
        screen.matches("while the agent of 'one' ran").count(),
        1,
        "{screen}"
    );
    assert!(!screen.contains("while the agent of 'two' ran"), "{screen}");
    for id in ["one", "two"] {
        assert_gone(&world, id);
    }
    let file = world.repo().join(".git/flux/kept-config");
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn cleanup_puts_a_key_back_with_all_its_values() {
    let world = world();
    for value in ["cache", "store\n--x"] {
        world.git(["config", "--add", "credential.helper", value]);
    }
    named_task(&world, "fix");
    world.git(["config", "--replace-all", "credential.helper", "evil"]);
    let answers: &[(&str, &[&str])] = &[(HOW, &["Down", "Down", "Enter"]), (REMOVE, &["y"])];
    let terminal = ask(&world, 150, "fix", answers);
    assert_eq!(terminal.exit_code(), 0, "{}", terminal.screen());
    let values = world.git(["config", "--get-all", "-z", "credential.helper"]);
    assert_eq!(values, "cache\0store\n--x\0");
    assert_gone(&world, "fix");
}

#[test]
fn cleanup_puts_hooks_back_and_keeps_the_replaced_ones() {
    let world = world();
    write_hook(&world, "post-merge", "#!/bin/sh\n");
    named_task(&world, "fix");
    write_hook(&world, "post-merge", "#!/bin/sh\ntouch evil\n");
    write_hook(&world, "post-commit", "#!/bin/sh\ntouch evil\n");
    let terminal = ask(&world, 150, "fix", &[]);
    wait_for_question(&terminal, "the hook 'post-commit' was added");
    terminal.keys(["Down"]).keys(["Down"]).keys(["Enter"]);
    wait_for_question(&terminal, "the hook 'post-merge' changed");
    terminal.keys(["Enter"]);
    wait_for_question(&terminal, "+ touch evil");
    terminal.keys(["Down"]).keys(["Down"]).keys(["Enter"]);
    terminal.wait_for_screen(REMOVE);
    terminal.keys(["y"]);
    assert_eq!(terminal.exit_code(), 0, "{}", terminal.screen());
    let hooks = world.repo().join(".git/hooks");
    assert!(!hooks.join("post-commit").exists());
    assert_eq!(world.read(hooks.join("post-merge")), "#!/bin/sh\n");
    let mode = fs::metadata(hooks.join("post-merge"))
        .unwrap()
        .permissions();
    assert_eq!(mode.mode() & 0o111, 0o111);
    for name in ["post-merge", "post-commit"] {
        let kept = world.repo().join(".git/flux/replaced").join(name);
        assert_eq!(world.read(kept), "#!/bin/sh\ntouch evil\n");
    }
    assert!(!world.repo().join("evil").exists());
    assert_gone(&world, "fix");
}

#[test]
fn cleanup_puts_nothing_back_if_it_has_changed_again() {
    let world = world();
    named_task(&world, "fix");
    world.git(["config", "core.pager", "evil"]);
    let terminal = ask(&world, 150, "fix", &[(HOW, &["Down", "Down"])]);
    world.git(["config", "core.pager", "worse"]);
    terminal.keys(["Enter"]);
    assert_eq!(terminal.exit_code(), 1, "{}", terminal.screen());
    terminal.wait_for_screen("core.pager has changed again; it was not put back");
    assert_eq!(world.git(["config", "core.pager"]), "worse");
    assert!(world.worktree("fix").exists());
}

#[test]
fn cleanup_keeps_its_answer_although_the_merge_is_declined() {
    let world = world();
    named_task(&world, "fix");
    world.git(["config", "core.pager", "less"]);
    let terminal = ask(
        &world,
        150,
        "fix",
        &[(HOW, &["Down", "Enter"]), (REMOVE, &["n"])],
    );
    assert_eq!(terminal.exit_code(), 130, "{}", terminal.screen());
    // Another value needs another answer.
    world.flux(["cleanup", "-n", "fix"]).run().success();
    world.git(["config", "core.pager", "more"]);
    world.flux(["cleanup", "-n", "fix"]).run().code(1);
}

#[test]
fn cleanup_changes_nothing_if_the_question_is_declined() {
    let world = world();
    named_task(&world, "fix");
    world.git(["config", "core.pager", "less"]);
    let before = world.snapshot();
    for keys in [&["Up", "Enter"][..], &["Escape"], &["C-c"]] {
        let terminal = ask(&world, 150, "fix", &[(HOW, keys)]);
        declined(&world, &terminal, &before);
    }
}

#[test]
fn cleanup_puts_info_exclude_back_and_leaves_lines_of_git_flux() {
    let world = world();
    world.git(["config", "flux.worktreeDir", "trees"]);
    named_task(&world, "one");
    named_task(&world, "two");
    let file = ".git/info/exclude";
    let mut text = world.read(file);
    assert!(text.contains("/trees/"), "{text}");
    let before = text.clone();
    text.push_str("*.rs\n");
    world.write(file, &text);
    let answers: &[(&str, &[&str])] = &[(HOW, &["Down", "Enter"]), (REMOVE, &["n"])];
    let terminal = ask(&world, 150, "one", answers);
    assert_eq!(terminal.exit_code(), 130, "{}", terminal.screen());
    let sorted = |text: &str| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort_unstable();
        lines
    };
    assert_eq!(sorted(&world.read(file)), sorted(&before));
    assert_eq!(world.read(".git/flux/replaced/exclude"), text);
}

#[test]
fn cleanup_keeps_the_configuration_of_the_main_worktree_for_several_tasks() {
    let world = world();
    world.git(["config", "extensions.worktreeConfig", "true"]);
    named_task(&world, "one");
    named_task(&world, "two");
    world.git(["config", "--worktree", "core.pager", "less"]);
    let refused = world.flux(["cleanup", "one"]).run();
    refused.code(1).says(&expect![[r#"
        --- stderr
        error: core.pager in 'config.worktree' was set to 'less' while the agent of 'one' ran
        hint: to see all such changes: git flux status one
        hint: to keep all of them: git flux cleanup one --keep-config
    "#]]);
    let both = world.flux(["cleanup", "--all", "--keep-config"]).run();
    both.success().says(&expect![[r#"
        --- stderr
        TASK      PLAN
        one       merge 1 commit into 'main'
        two       merge 1 commit into 'main'
        warning: core.pager in 'config.worktree' was set to 'less' while the agent of 'one' ran
        merged 1 commit of 'feature/one' into 'main' (<object>..<object>)
        removed 'one': worktree, branch 'feature/one' and session
        its commits stay in refs/flux/archive/one/tip
        its files are kept in '$WORLD/myapp/.git/flux/trash/one'
        hint: to restore the task: git flux restore one
        hint: to undo the merge, on 'main': git revert -m 1 <object>
        merged 1 commit of 'feature/two' into 'main' (<object>..<object>)
        removed 'two': worktree, branch 'feature/two' and session
        its commits stay in refs/flux/archive/two/tip
        its files are kept in '$WORLD/myapp/.git/flux/trash/two'
        hint: to restore the task: git flux restore two
        hint: to undo the merge, on 'main': git revert -m 1 <object>
    "#]]);
    for id in ["one", "two"] {
        assert_gone(&world, id);
    }
}
