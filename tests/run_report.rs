//! Tests what `git flux run` prints.

use crate::world::*;

#[test]
fn run_outside_tmux_prints_how_to_attach() {
    let world = World::new();
    let output = world.flux(["run", "Add OAuth authentication"]).run();
    let id = world.next_agent(&[]);
    let worktree = world.worktree(&id);
    let report = format!(
        "Flux Capacitor Session Created!

  Task ID: {id}
  Session: flux-myapp-{id}
  Worktree: {}
  Branch: feature/{id}

Attach to session:
   git flux attach add-oauth        (or: tmux attach -t flux-myapp-{id})

The agent is working on your task in the background.

Tip: You can detach anytime with Ctrl+b, d
      The session will keep running.

When complete: git flux cleanup add-oauth
",
        worktree.display()
    );
    output.success().stdout_is(&report).stderr_is("");
}

#[test]
fn run_prints_emoji_only_on_a_terminal_that_can_show_them() {
    let world = World::new();
    let terminal = world.terminal(200, 50);
    assert_eq!(
        terminal.command("git flux run Fix the login").exit_code(),
        0
    );
    let screen = terminal.screen();
    for line in [
        "🎯 Flux Capacitor Session Created!",
        "📍 Attach to session:",
        "💡 Tip: You can detach",
    ] {
        assert!(screen.contains(line), "no {line:?} in\n{screen}");
    }
    assert_eq!(
        terminal
            .command("LC_ALL=C git flux run Fix the login")
            .exit_code(),
        0
    );
    let screen = terminal.screen();
    assert!(
        screen.contains("\nFlux Capacitor Session Created!"),
        "{screen}"
    );
    for sign in ["🎯", "📍", "💡"] {
        assert!(!screen.contains(sign), "{screen}");
    }
}

#[test]
fn run_prints_a_short_name_that_is_unique() {
    let world = World::new();
    let first = world.start("Fix the login");
    let output = world.flux(["run", "Fix the login"]).run();
    let second = world.next_agent(&[&first]);
    let short = output
        .stdout
        .lines()
        .find_map(|line| line.strip_prefix("When complete: git flux cleanup "));
    let task = world
        .flux(["status", "--json", short.unwrap()])
        .run()
        .success()
        .json();
    assert_eq!(task["id"], *second);
}

#[test]
fn run_inside_tmux_prints_the_pane_and_the_configured_keys() {
    let world = World::new();
    let terminal = world.terminal_inside();
    world.tmux(["set-option", "-g", "prefix", "C-a"]);
    world.tmux(["set-option", "-g", "pane-base-index", "5"]);
    assert_eq!(
        terminal
            .command("git flux run Add OAuth authentication")
            .exit_code(),
        0
    );
    let screen = terminal.screen();
    let id = world.next_agent(&[]);
    let format = "#{@flux_task} #{pane_id} #{pane_index}";
    let panes = world.tmux(["list-panes", "-t", terminal.pane(), "-F", format]);
    let pane = panes
        .lines()
        .find_map(|line| line.strip_prefix(&format!("{id} ")))
        .unwrap();
    let (pane, index) = pane.split_once(' ').unwrap();
    assert_eq!(index, "6");
    for line in [
        "🎯 Flux Capacitor Session Created!".to_owned(),
        format!("  Task ID: {id}"),
        format!("  Tmux Pane: {pane}"),
        format!("  Branch: feature/{id}"),
        "📍 Switch to pane:".to_owned(),
        "Ctrl+a, q → 6".to_owned(),
        "The agent is working on your task in the background.".to_owned(),
        "When complete: git flux cleanup add-oauth".to_owned(),
    ] {
        assert!(screen.contains(&line), "no {line:?} in\n{screen}");
    }
    for line in ["  Session:", "detach anytime", "Ctrl+b"] {
        assert!(!screen.contains(line), "{line:?} in\n{screen}");
    }
}

#[test]
fn run_outside_tmux_prints_the_prefix_key_of_the_tmux_configuration() {
    let world = World::new();
    std::fs::write(world.tools().join("home/.tmux.conf"), "set -g prefix M-x\n").unwrap();
    world
        .flux(["run", "Fix"])
        .run()
        .success()
        .stdout_has("detach anytime with Alt+x, d");
}

#[test]
fn run_quiet_prints_only_the_id() {
    let world = World::new();
    world.write("README.md", "changed");
    let output = world.flux(["run", "-q", "--name", "fix", "Fix"]).run();
    output.success().stdout_is("fix\n").stderr_is("");
    world
        .flux(["run", "--quiet", "--name", "fix2", "Fix"])
        .run()
        .stdout_is("fix2\n");
}

#[test]
fn run_json_prints_the_object_that_list_prints() {
    let world = World::new();
    let output = world
        .flux([
            "run",
            "--json",
            "--name",
            "fix",
            "Fix the \"login\"\nand more",
        ])
        .run();
    output.success();
    let task = output.json();
    let head = world.git(["rev-parse", "HEAD"]);
    let created = task["created"].as_u64().unwrap();
    assert!(created > 1_700_000_000, "{created}");
    let pane = world.tmux(["list-panes", "-a", "-F", "#{window_id} #{pane_id}"]);
    let (window, pane) = pane.split_once(' ').unwrap();
    let mut expected = serde_json::json!({
        "id": "fix",
        "owner": null,
        "title": "Fix the \"login\"",
        "phase": "active",
        "state": "running",
        "stateSource": "process",
        "conflicts": null,
        "land": null,
        "landRounds": null,
        "unseen": null,
        "stateReason": null,
        "stateSince": task["stateSince"],
        "stateGuess": false,
        "port": task["port"],
        "agent": "claude",
        "branch": "feature/fix",
        "branchKept": false,
        "base": head,
        "into": "main",
        "worktree": world.worktree("fix"),
        "created": created,
        "port": task["port"],
        "target": {"kind": "session", "session": "flux-myapp-fix", "window": window, "pane": pane},
        "ahead": 0,
        "behind": 0,
        "changes": {"staged": 0, "unstaged": 0, "untracked": 0, "conflicted": 0},
        "exit": null,
        "gate": null,
    });
    assert_eq!(task, expected);
    assert!(task["stateSince"].as_u64().unwrap() >= created);
    assert!(task["port"].is_u64());
    // The same object everywhere, but for the conflicts, which `run` does not look for.
    expected["conflicts"] = serde_json::json!([]);
    let list = world.flux(["list", "--json"]).run().json();
    assert_eq!(list, serde_json::json!([expected]));
}

#[test]
fn run_reports_uncommitted_changes_of_the_user_in_one_line() {
    let world = World::new();
    let said = "Your own uncommitted changes (3 files) are not part of the task.\n";
    world.write("README.md", "changed");
    world.write("new.txt", "new");
    world.write("staged.txt", "staged");
    world.git(["add", "staged.txt"]);
    world.git(["config", "status.showUntrackedFiles", "no"]);
    world.flux(["run", "Fix"]).run().success().stderr_is(said);
    world
        .flux(["run", "--json", "Fix"])
        .run()
        .success()
        .stderr_is(said);
    world.git(["reset", "-q", "--hard"]);
    std::fs::remove_file(world.repo().join("new.txt")).unwrap();
    world.flux(["run", "Fix"]).run().success().stderr_is("");
}

#[test]
fn run_suggests_flux_copy_for_ignored_files_until_configured() {
    let world = World::new();
    world.write(".gitignore", ".env\nnode_modules/\n.venv/\n");
    world.git(["add", ".gitignore"]);
    world.git(["commit", "-q", "-m", "Ignore"]);
    let run = |args: &[&str]| {
        let output = world.flux(["run"].iter().chain(args).chain(&["Fix"])).run();
        output.success();
        output.stderr
    };
    assert!(!run(&[]).contains("not in the new worktree"));
    world.write("node_modules/a/index.js", "");
    assert!(run(&[]).contains(
        "hint: not in the new worktree: node_modules; to set it up from now on: git config --add flux.setup '<command>'\n"
    ));
    world.write(".env", "SECRET=1\n");
    world.write(".venv/bin/python", "");
    let all = "hint: not in the new worktree: .env, node_modules, .venv; to copy .env from now on: git config --add flux.copy .env\n";
    assert!(run(&[]).contains(all));
    assert_eq!(run(&["--count", "2"]).matches(all).count(), 1);
    assert!(!run(&["-q"]).contains("not in the new worktree"));
    // It does what it says.
    world.git(["config", "--add", "flux.copy", ".env"]);
    assert!(!run(&["--name", "copied"]).contains("not in the new worktree"));
    assert!(world.worktree("copied").join(".env").exists());
}

#[test]
fn run_and_cleanup_warn_about_a_task_based_on_the_branch_of_another() {
    let world = World::new();
    let first = world.start("First");
    let worktree = world.worktree(&first);
    let start = |args: &[&str]| {
        let run = ["run", "--name", args[0]]
            .into_iter()
            .chain(args[1..].iter().copied());
        let run = world.flux(run.chain(["Second"])).in_dir(&worktree).run();
        run.success();
        run.stderr
    };
    let said = start(&["second"]);
    assert!(
        said.contains(&format!(
            "warning: this task starts from 'feature/{first}', the branch of the task '{first}', and will be merged into it\n\
             hint: to start from 'main': git flux run --base main \"<description>\"\n"
        )),
        "{said}"
    );
    // Where that is asked for, it is known.
    assert!(!start(&["third", "--base", &format!("feature/{first}")]).contains("warning"));
    assert!(!start(&["fourth", "--base", "main"]).contains("warning"));
    world.agent(&first).wait_started();
    world.flux(["cleanup", "-y", &first]).run().success().says(&expect![[r#"
        --- stderr
        warning: the target of 'second' is 'feature/first-XXXXXX', which is removed with 'first-XXXXXX'
        hint: to make 'main' its target: git config branch.feature/second.fluxInto main
        warning: the target of 'third' is 'feature/first-XXXXXX', which is removed with 'first-XXXXXX'
        hint: to make 'main' its target: git config branch.feature/third.fluxInto main
        nothing was merged: 'feature/first-XXXXXX' has no commits of its own
        removed 'first-XXXXXX': worktree, branch 'feature/first-XXXXXX' and session
        its files are kept in '$WORLD/myapp/.git/flux/trash/first-XXXXXX'
        hint: to restore the task: git flux restore first-XXXXXX
    "#]]);
    world.git(["config", "branch.feature/second.fluxInto", "main"]);
    world.flux(["cleanup", "-y", "second"]).run().success();
}

#[test]
fn run_removes_the_virtual_environment_of_another_worktree() {
    let world = World::new();
    let own = world.start("First");
    let elsewhere = world.root().join("venv");
    for (venv, is_passed_on) in [
        (world.repo().join(".venv"), false),
        (world.worktree(&own).join(".venv"), false),
        (elsewhere, true),
    ] {
        let bin = venv.join("bin");
        let path = [bin.clone().into_os_string(), world.path()].join(":".as_ref());
        let id = world.flux(["run", "-q", "Fix"]);
        let id = id
            .env("VIRTUAL_ENV", &venv)
            .env("VIRTUAL_ENV_PROMPT", "x")
            .env("PATH", &path);
        let agent = world.agent(&id.ok());
        agent.wait_started();
        assert_eq!(agent.env("VIRTUAL_ENV").is_some(), is_passed_on, "{venv:?}");
        assert_eq!(agent.env("VIRTUAL_ENV_PROMPT").is_some(), is_passed_on);
        let path = agent.env("PATH").unwrap();
        assert_eq!(path.contains(bin.to_str().unwrap()), is_passed_on, "{path}");
    }
}
