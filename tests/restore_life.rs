//! Tests the agent of a restored task, and the merge that a restore keeps.

use std::fs;

use serde_json::Value;

use crate::world::archive::*;
use crate::world::removal::*;
use crate::world::*;

#[test]
fn restore_continues_the_session_of_the_agent() {
    let world = World::new();
    let id = done_task(&world);
    world.flux(["cleanup", &id]).run().success();
    world.behaviour("raw");
    world.flux(["restore", &id]).run().success();
    let agent = world.agent(&id);
    agent.wait_starts(2);
    assert_eq!(
        agent.arguments(),
        [&b"--dangerously-skip-permissions"[..], b"--continue"]
    );
    assert_eq!(agent.cwd(), world.worktree(&id));
    assert_eq!(agent.env("FLUX_TASK").as_deref(), Some(&*id));
    let list = world.flux(["list", "--json"]).run();
    let list: Value = list.success().json();
    assert_eq!(list[0]["state"], "running");
    assert_eq!(list[0]["target"]["session"], format!("flux-myapp-{id}"));
    let panes = world.tmux([
        "list-panes",
        "-a",
        "-F",
        "#{session_name} #{pane_current_path}",
    ]);
    let worktree = world.worktree(&id);
    assert_eq!(panes, format!("flux-myapp-{id} {}", worktree.display()));
    // It is a task like any other.
    agent.tell("commit two");
    world.flux(["cleanup", "-y", &id]).run().success();
    assert_eq!(world.read("agent.txt"), "one\ntwo\n");
    assert_removed(&world, &id);
}

#[test]
fn restore_warns_if_the_agent_exits_at_once() {
    let world = World::new();
    let id = done_task(&world);
    world.flux(["cleanup", &id]).run().success();
    // As one that finds no conversation does.
    world.behaviour("exit 1");
    let terminal = world.terminal(200, 50);
    terminal.command(&format!("git-flux restore {id}"));
    terminal.wait_for_screen(&format!(
        "warning: the agent of '{id}' exited with status 1 at once"
    ));
    // It is restored all the same.
    assert_eq!(terminal.exit_code(), 0);
    assert!(world.worktree(&id).join("agent.txt").exists());
}

#[test]
fn restore_starts_a_shell_if_the_agent_cannot_continue() {
    let world = World::new();
    world.install_agent("helper");
    world.git(["config", "flux.helper.command", "helper"]);
    world.behaviour("raw");
    let run = ["run", "-q", "--agent", "helper", "--name", "fix", "Fix it"];
    world.flux(run).ok();
    end_agent(&world, "fix");
    world.flux(["cleanup", "fix"]).run().success();
    // And one that is gone by now.
    for command in ["helper", "no-such-program"] {
        world.git(["config", "flux.helper.command", command]);
        world.flux(["restore", "fix"]).run().success();
        assert_eq!(world.agent("fix").starts(), 1);
        let pane = world.tmux(["list-panes", "-a", "-F", "#{pane_id}"]);
        world.tmux(["send-keys", "-t", &pane, "pwd -P >../where", "Enter"]);
        let file = world.root().join("where");
        let told = wait_for("the shell to answer", || {
            fs::read_to_string(&file)
                .ok()
                .filter(|text| text.ends_with('\n'))
        });
        assert_eq!(told.trim_end(), world.worktree("fix").to_str().unwrap());
        fs::remove_file(file).unwrap();
        let list = world.flux(["list", "--json"]).run();
        assert_eq!(list.success().json()[0]["agent"], "helper");
        world.flux(["cleanup", "-y", "fix"]).run().success();
    }
}

/// Returns the command of the line `hint: to undo the merge, on 'main': git revert …`.
#[track_caller]
fn revert_hint(output: &Output) -> String {
    let start = "hint: to undo the merge, on 'main': ";
    let lines: Vec<&str> = output
        .stderr
        .lines()
        .filter_map(|line| line.strip_prefix(start))
        .collect();
    assert_eq!(lines.len(), 1, "{output}");
    lines[0].to_owned()
}

#[test]
fn restore_keeps_the_merge_and_prints_how_to_revert_it() {
    let world = World::new();
    let id = done_task(&world);
    let main = world.commit_in(world.repo(), "README.md", "moved\n");
    let removed = world.flux(["cleanup", &id]).run();
    removed.success();
    let merge = commit(&world, "main");
    let output = world.flux(["restore", &id]).run();
    output
        .success()
        .says(&expect![[r#"
            --- stderr
            restored 'fix-login-XXXXXX' (as it was, ignored files too): worktree '$WORLD/myapp-fix-login-XXXXXX', branch 'feature/fix-login-XXXXXX', session 'flux-myapp-fix-login-XXXXXX'
            What was merged stays merged.
            hint: to undo the merge, on 'main': git revert -m 1 <object>
            hint: to go to the task: git flux attach fix-login-XXXXXX
        "#]]);
    assert_eq!(revert_hint(&output), revert_hint(&removed));
    assert_eq!(commit(&world, "main"), merge);
    let mut sh = world.command("sh");
    sh.args(["-c", &format!("{} --no-edit", revert_hint(&output))]);
    let reverted = sh.current_dir(world.repo()).output().unwrap();
    assert!(reverted.status.success(), "{reverted:?}");
    assert_eq!(world.git(["diff", "--name-only", &main]), "");
    assert!(!world.repo().join("agent.txt").exists());
    assert_eq!(world.read(world.worktree(&id).join("agent.txt")), "one\n");
}

#[test]
fn restore_prints_no_revert_if_nothing_was_merged() {
    let world = World::new();
    for option in ["--discard-branch", "--discard"] {
        let id = running_task(&world);
        end_agent(&world, &id);
        world.flux(["cleanup", option, &id]).run().success();
        let output = world.flux(["restore", &id]).run();
        output.success().has_not("merge").has_not("revert");
    }
}

#[test]
fn restore_and_cleanup_can_be_repeated() {
    let world = World::new();
    world.git(["config", "flux.quick.command", "true"]);
    let run = ["run", "-q", "--agent", "quick", "--name", "fix", "Fix it"];
    world.flux(run).ok();
    world.wait_ended("fix");
    let worktree = world.worktree("fix");
    let mut record = world.git(["cat-file", "-p", "refs/flux/tasks/fix:prompt.md"]);
    for n in 0..4 {
        let text = format!("{n}\n");
        world.commit_in(&worktree, "work.txt", &text);
        world.write(worktree.join("loose.txt"), &text);
        world.write(worktree.join(".env"), &text);
        let before = State::of(&world, &worktree);
        let discard = ["cleanup", "-y", "fix", "--discard", "--discard-branch"];
        world.flux(discard).run().success();
        assert_eq!(archived(&world), ["fix"]);
        world.flux(["restore", "fix"]).run().success();
        assert_not_archived(&world, "fix");
        before.assert_back(&world, &worktree);
        let now = world.git(["cat-file", "-p", "refs/flux/tasks/fix:prompt.md"]);
        assert_eq!(std::mem::replace(&mut record, now.clone()), now);
        let base = world.git(["rev-parse", "refs/flux/base/fix"]);
        assert_eq!(base, commit(&world, "main"));
    }
    world
        .flux(["cleanup", "-y", "--commit", "fix"])
        .run()
        .success();
    assert_eq!(world.read("work.txt"), "3\n");
    assert_removed(&world, "fix");
}

#[test]
fn restore_uses_the_recorded_path_and_branch_despite_new_settings() {
    let world = World::new();
    done(&world, "fix");
    world
        .flux(["cleanup", "fix", "--discard-branch"])
        .run()
        .success();
    world.git(["config", "flux.worktreeDir", "../elsewhere"]);
    world.git(["config", "flux.branchPrefix", "other/"]);
    world.git(["config", "flux.layout", "window"]);
    world.git(["config", "flux.agent", "shell"]);
    world.git(["switch", "-q", "-c", "topic"]);
    // From anywhere, as git finds the repository.
    let restore = world.flux(["restore", "fix"]).via_git().in_dir("src");
    restore.run().success();
    assert_eq!(world.agent("fix").wait_started().starts(), 1);
    assert!(world.worktree("fix").join("fix.txt").exists());
    let list = world.flux(["list", "--json"]).run();
    let task = &list.success().json()[0];
    assert_eq!(task["branch"], "feature/fix");
    assert_eq!(task["into"], "main");
    assert_eq!(task["target"]["kind"], "session");
}
