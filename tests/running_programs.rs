//! Tests that programs in the pane, background jobs and agents without a launcher or worktree are not stopped without
//! consent.

use std::fs;

use crate::world::launcher::Started;
use crate::world::removal::*;
use crate::world::*;

const STOP: &str = "is still running. Stop it?";

/// Waits until this program has the terminal of a pane.
fn wait_in_front(world: &World, pane: &str, program: &str) {
    wait_until(&format!("{program} in the pane"), || {
        let asked = [
            "display-message",
            "-p",
            "-t",
            pane,
            "#{pane_current_command}",
        ];
        world.try_tmux(asked).as_deref() == Some(program)
    });
}

/// Makes a task whose agent has ended, and in whose pane a program of the user runs until a hang-up, on which it first
/// runs `last`.
fn task_with_program(world: &World, last: &str) -> String {
    let id = done_task(world);
    let pane = world.pane(&id);
    world.wait_for_shell(&pane);
    let up = world.tools().join("up");
    // A terminal that goes may be read to its end before the hang-up comes, and a shell
    // that is just starting a command sees the hang-up when that has ended.
    let line = format!(
        "sh -c 'trap \"{last}; exit\" HUP; : >\"$1\"; cat; while :; do sleep 0.1; done' sh '{}'",
        up.display()
    );
    world.tmux(["send-keys", "-t", &pane, "-l", "--", &line]);
    world.tmux(["send-keys", "-t", &pane, "Enter"]);
    wait_until("the program in the pane to be up", || up.exists());
    id
}

#[test]
fn cleanup_does_not_stop_a_program_in_the_pane_without_consent() {
    let world = World::new();
    let id = task_with_program(&world, ":");
    let before = world.snapshot();
    let output = world.flux(["cleanup", &id]).run();
    output
        .code(1)
        .stderr_has(&format!("a program in the pane of '{id}' (process "))
        .says(&expect![[r#"
            --- stderr
            error: a program in the pane of 'fix-login-XXXXXX' (process <number>) is still running
            hint: to look at the pane: git flux attach fix-login-XXXXXX
            hint: to clean up anyway: git flux cleanup fix-login-XXXXXX --yes
        "#]]);
    world.assert_unchanged(&before);
    let output = world.flux(["cleanup", "--dry-run", "-y", &id]).run();
    output.success().stdout_has("would stop a program");
    world.assert_unchanged(&before);
    world.flux(["cleanup", "-y", &id]).run().success();
    assert_eq!(world.read("agent.txt"), "one\n");
    assert_removed(&world, &id);
}

#[test]
fn cleanup_finds_no_program_in_the_pane_before_the_shell_starts() {
    let world = World::new();
    let id = working_task(&world);
    // Between the two the launcher tells tmux.
    world.fault(&Fault {
        program: "tmux",
        words: "@flux_state exited",
        caller: Caller::Launcher,
        nth: 0,
        mode: Mode::Hang,
    });
    end_agent(&world, &id);
    world.flux(["cleanup", &id]).run().success();
    assert_removed(&world, &id);
}

#[test]
fn cleanup_asks_about_a_program_in_the_pane() {
    let world = World::new();
    let id = task_with_program(&world, ":");
    let before = world.snapshot();
    for answer in ["n", "Enter", "C-c", "y"] {
        let terminal = world.terminal(150, 40);
        terminal.command(&format!("git flux cleanup {id}"));
        terminal.wait_for_screen("and remove");
        terminal.keys(["y"]);
        terminal.wait_for_screen(STOP);
        world.assert_unchanged(&before);
        terminal.keys([answer]);
        if answer == "y" {
            assert_eq!(terminal.exit_code(), 0, "{}", terminal.screen());
        } else {
            assert_eq!(terminal.exit_code(), 130);
            world.assert_unchanged(&before);
        }
    }
    assert_removed(&world, &id);
}

#[test]
fn cleanup_refuses_a_file_written_by_a_program_in_the_pane_as_it_stops() {
    let world = World::new();
    let id = task_with_program(&world, "echo late >late.txt");
    let main = commit(&world, "main");
    let output = world.flux(["cleanup", "-y", &id]).run();
    output.code(1).says(&expect![[r#"
        --- stderr
        'fix-login-XXXXXX' or its target has changed; planning again
        error: 'fix-login-XXXXXX' has 1 uncommitted file
        hint: to commit and merge: git flux cleanup fix-login-XXXXXX --commit
        hint: to merge only what is committed: git flux cleanup fix-login-XXXXXX --discard
    "#]]);
    assert_eq!(commit(&world, "main"), main);
    assert_eq!(world.read(world.worktree(&id).join("late.txt")), "late\n");
    world.flux(["cleanup", "--commit", &id]).run().success();
    assert_eq!(world.read("late.txt"), "late\n");
    assert_removed(&world, &id);
}

#[test]
fn cleanup_does_not_stop_a_program_in_a_session_opened_by_attach() {
    let world = World::new();
    let id = done_task(&world);
    world.kill_tmux();
    let terminal = world.terminal(150, 40);
    terminal.command(&format!("git flux attach {id}"));
    terminal.wait_for_screen("Open a new session in its worktree?");
    terminal.keys(["y"]);
    let session = format!("=flux-myapp-{id}:");
    wait_in_front(&world, &session, "sh");
    terminal.type_line("cat");
    wait_in_front(&world, &session, "cat");
    let before = world.snapshot();
    let output = world.flux(["cleanup", &id]).run();
    output.code(1).says(&expect![[r#"
        --- stderr
        error: a program in the pane of 'fix-login-XXXXXX' (process <number>) is still running
        hint: to look at the pane: git flux attach fix-login-XXXXXX
        hint: to clean up anyway: git flux cleanup fix-login-XXXXXX --yes
    "#]]);
    world.assert_unchanged(&before);
    world.flux(["cleanup", "-y", &id]).run().success();
    assert_removed(&world, &id);
}

#[test]
fn cleanup_refuses_while_an_agent_outlives_its_launcher() {
    let world = World::new();
    let deaf = world.root().join("deaf");
    let task = Started::new(
        &world,
        "sh trap '' HUP INT QUIT TERM; echo >../deaf; sleep 100000",
    );
    wait_until("the agent to be deaf", || deaf.exists());
    world
        .command("kill")
        .args(["-9", &task.launcher.to_string()])
        .status()
        .unwrap();
    wait_until("the pane to close", || {
        world.try_tmux(["list-panes", "-a"]).is_none()
    });
    assert!(task.agent.is_alive());
    let before = world.snapshot();
    for args in [
        &["cleanup", &*task.id][..],
        &["cleanup", "-y", "--discard", &task.id],
    ] {
        let output = world.flux(args).run();
        output
            .code(1)
            .stderr_has(&format!("still alive (process {})", task.agent.pid()))
            .stderr_has(&format!("hint: to end it: kill {}", task.agent.pid()))
            .says(&expect![[r#"
                --- stderr
                error: the agent of 'fix-the-login-XXXXXX' is still alive (process <number>), although the process that started it is gone
                hint: to end it: kill <number>
            "#]]);
        world.assert_unchanged(&before);
        assert!(task.agent.is_alive());
    }
    task.agent.kill("KILL");
    task.agent.wait_gone();
    world.flux(["cleanup", &task.id]).run().success();
    assert_removed(&world, &task.id);
}

#[test]
fn cleanup_does_not_stop_an_agent_whose_worktree_is_gone_without_consent() {
    for registered in [true, false] {
        let world = World::new();
        let id = working_task(&world);
        fs::remove_dir_all(world.worktree(&id)).unwrap();
        if !registered {
            world.git(["worktree", "prune"]);
        }
        let before = world.snapshot();
        let output = world.flux(["cleanup", "--discard", &id]).run();
        output.code(1).says(&expect![[r#"
            --- stderr
            error: the agent of 'fix-login-XXXXXX' is still running
            hint: to look at the pane: git flux attach fix-login-XXXXXX
            hint: to clean up anyway: git flux cleanup fix-login-XXXXXX --discard --yes
        "#]]);
        world.assert_unchanged(&before);
        assert!(world.agent(&id).is_alive());
        world
            .flux(["cleanup", "-y", "--discard", &id])
            .run()
            .success();
        world.agent(&id).wait_gone();
        assert_eq!(world.read("agent.txt"), "one\n");
        assert_removed(&world, &id);
    }
}

#[test]
fn launcher_and_suspended_agent_end_on_a_hangup() {
    let world = World::new();
    let task = Started::new(&world, "wait");
    task.keys(["C-z"]);
    task.wait_for_screen("The agent is suspended");
    world
        .command("kill")
        .args(["-HUP", &task.launcher.to_string()])
        .status()
        .unwrap();
    task.agent.wait_gone();
    // No shell takes its place.
    wait_until("the pane to close", || {
        world.try_tmux(["list-panes", "-a"]).is_none()
    });
    assert_eq!(task.end().0, "killed");
}

#[test]
fn cleanup_refuses_if_the_index_of_the_target_is_locked() {
    let world = World::new();
    let id = working_task(&world);
    let lock = world.write(".git/index.lock", "");
    let before = world.snapshot();
    let output = world.flux(["cleanup", "-y", &id]).run();
    output.code(1).says(&expect![[r#"
        --- stderr
        error: another git locks the index of 'main', or left its lock when it was killed
        hint: if no git runs: rm '$WORLD/myapp/.git/index.lock'
    "#]]);
    world.assert_unchanged(&before);
    assert!(world.agent(&id).is_alive());
    fs::remove_file(lock).unwrap();
    world.flux(["cleanup", "-y", &id]).run().success();
    assert_removed(&world, &id);
}

#[test]
fn cleanup_succeeds_if_the_pane_closes_just_before() {
    let world = World::new();
    let id = done_task(&world);
    let script = format!(
        "#!/bin/sh\ncase \" $* \" in *' kill-pane '*) '{tmux}' \"$@\" ;; esac\nexec '{tmux}' \"$@\"\n",
        tmux = require("tmux").display()
    );
    world.install("tmux", &script);
    world.flux(["cleanup", &id]).run().success();
    world.uninstall("tmux");
    assert_removed(&world, &id);
}

#[test]
fn cleanup_ignores_its_own_git_process_in_the_worktree() {
    let world = World::new();
    let id = done_task(&world);
    let script = format!(
        "#!/bin/sh\ncase \" $* \" in *' status '*) sleep 1 ;; esac\nexec '{}' \"$@\"\n",
        require("git").display()
    );
    world.install("git", &script);
    world.flux(["cleanup", &id]).run().success();
    world.uninstall("git");
    assert_removed(&world, &id);
}

/// Types a line that starts a job outside the worktree into the pane of a task, and returns the process id of the job.
fn start_job_elsewhere(world: &World, id: &str, line: &str) -> i32 {
    let note = world.root().join("aside");
    let line = format!("set -m; cd /; {line} echo $! >'{}'", note.display());
    world.tmux(["send-keys", "-t", &world.pane(id), &line, "Enter"]);
    wait_for("the program to run", || {
        let pid = fs::read_to_string(&note).ok()?;
        pid.trim().parse::<i32>().ok()
    })
}

#[test]
fn cleanup_and_resume_refuse_a_background_job_of_the_pane_elsewhere() {
    let world = World::new();
    let id = done_task(&world);
    wait_in_front(&world, &world.pane(&id), "sh");
    let pid = start_job_elsewhere(&world, &id, "sleep 1000 &");
    let before = world.snapshot();
    let named =
        format!("the pane of '{id}' has jobs that end when it closes: sleep (process {pid})");
    let output = world.flux(["cleanup", &id]).run();
    output.code(1).stderr_has(&named).says(&expect![[r#"
        --- stderr
        error: the pane of 'fix-login-XXXXXX' has jobs that end when it closes: sleep (process <number>)
        hint: to look at the pane: git flux attach fix-login-XXXXXX
        hint: to clean up anyway: git flux cleanup fix-login-XXXXXX --yes
    "#]]);
    world.assert_unchanged(&before);
    let output = world.flux(["cleanup", "--dry-run", &id]).run();
    output.code(1).stdout_has(&named).stderr_has("--yes");
    let output = world.flux(["resume", &id]).run();
    output
        .code(1)
        .stderr_has(&format!("has a background job: sleep (process {pid})"))
        .says(&expect![[r#"
            --- stderr
            error: the pane of 'fix-login-XXXXXX' has a background job: sleep (process <number>)
            hint: to end it yourself: git flux attach fix-login-XXXXXX
        "#]]);
    world.assert_unchanged(&before);
    assert!(Process::find(pid).is_some());
    let output = world.flux(["cleanup", "-y", &id]).run();
    output.success().stderr_has(&named).says(&expect![[r#"
        --- stderr
        warning: the pane of 'fix-login-XXXXXX' has jobs that end when it closes: sleep (process <number>)
        merged 1 commit of 'feature/fix-login-XXXXXX' into 'main' (<object>..<object>)
        removed 'fix-login-XXXXXX': worktree, branch 'feature/fix-login-XXXXXX' and session
        its commits stay in refs/flux/archive/fix-login-XXXXXX/tip
        its files are kept in '$WORLD/myapp/.git/flux/trash/fix-login-XXXXXX'
        hint: to restore the task: git flux restore fix-login-XXXXXX
        hint: to undo the merge, on 'main': git revert -m 1 <object>
    "#]]);
    assert_removed(&world, &id);
}

#[test]
fn cleanup_ignores_a_background_helper_without_a_terminal() {
    let world = World::new();
    let id = done_task(&world);
    wait_in_front(&world, &world.pane(&id), "sh");
    let line = "sleep 1000 </dev/null >/dev/null 2>&1 &";
    let pid = start_job_elsewhere(&world, &id, line);
    let output = world.flux(["cleanup", &id]).run();
    output.success();
    assert_removed(&world, &id);
    world.command("kill").arg(pid.to_string()).status().unwrap();
}

#[test]
fn cleanup_and_resume_refuse_a_suspended_job_of_the_pane_elsewhere() {
    let world = World::new();
    let id = done_task(&world);
    let pane = world.pane(&id);
    wait_in_front(&world, &pane, "sh");
    world.tmux([
        "send-keys",
        "-t",
        &pane,
        "set -m; cd /; sleep 1000",
        "Enter",
    ]);
    wait_in_front(&world, &pane, "sleep");
    world.tmux(["send-keys", "-t", &pane, "C-z"]);
    wait_in_front(&world, &pane, "sh");
    let before = world.snapshot();
    for args in [&["cleanup", "-y", &*id][..], &["resume", "-y", &id]] {
        let output = world.flux(args).run();
        output.code(1).stderr_has("job").stderr_has("sleep (");
        world.assert_unchanged(&before);
    }
}

#[test]
fn cleanup_refuses_a_background_job_in_the_shell_of_a_suspended_agent() {
    let world = World::new();
    let task = Started::new(&world, "wait");
    task.keys(["C-z"]);
    task.wait_for_screen("The agent is suspended");
    // The shell that is lent is nobody's work.
    let output = world.flux(["cleanup", "--dry-run", "-y", &task.id]).run();
    output.success().has_not("has jobs that end");
    let pid = start_job_elsewhere(&world, &task.id, "sleep 1000 &");
    let before = world.snapshot();
    let output = world.flux(["cleanup", &task.id]).run();
    output
        .code(1)
        .stderr_has(&format!(
            "has jobs that end when it closes: sleep (process {pid})"
        ))
        .says(&expect![[r#"
            --- stderr
            error: the pane of 'fix-the-login-XXXXXX' has jobs that end when it closes: sleep (process <number>)
            hint: to look at the pane: git flux attach fix-the-login-XXXXXX
            hint: to clean up anyway: git flux cleanup fix-the-login-XXXXXX --yes
        "#]]);
    world.assert_unchanged(&before);
    assert!(task.agent.is_alive());
}
