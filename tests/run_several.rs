//! Tests `git flux run -n` and `--agent one,two`.

use crate::world::*;

fn ids(world: &World) -> Vec<String> {
    let list = world.flux(["list", "--json"]).run().json();
    let id = |task: &serde_json::Value| task["id"].as_str().unwrap().to_owned();
    let mut ids: Vec<String> = list.as_array().unwrap().iter().map(id).collect();
    ids.sort();
    ids
}

#[test]
fn run_count_starts_several_tasks_with_separate_ids_and_worktrees() {
    let world = World::new();
    let run = ["run", "-q", "--count", "3", "--name", "fix", "Fix it"];
    world
        .flux(run)
        .run()
        .success()
        .stdout_is("fix-1\nfix-2\nfix-3\n");
    assert_eq!(ids(&world), ["fix-1", "fix-2", "fix-3"]);
    let mut panes = std::collections::BTreeSet::new();
    for id in ids(&world) {
        let task = world.flux(["status", "--json", &id]).run().json();
        assert_eq!(task["state"], "running");
        assert_eq!(task["branch"], *format!("feature/{id}"));
        let worktree = world.worktree(&id);
        assert_eq!(task["worktree"], *worktree.to_str().unwrap());
        let head = world.git_in(&worktree, ["symbolic-ref", "HEAD"]);
        assert_eq!(head, format!("refs/heads/feature/{id}"));
        let prompt = String::from_utf8(world.agent(&id).prompt()).unwrap();
        assert!(prompt.contains("Fix it") && prompt.contains(&*worktree.to_string_lossy()));
        panes.insert(task["target"]["pane"].to_string());
        world.flux(["cleanup", "-y", &id]).run().success();
    }
    assert_eq!(panes.len(), 3);
    assert!(ids(&world).is_empty());
}

#[test]
fn run_count_starts_that_many_tasks_per_agent() {
    let world = World::new();
    world.install_agent("codex");
    world.git(["config", "flux.codex.command", "codex"]);
    let run = [
        "run",
        "--json",
        "--agent",
        "claude,codex",
        "--count",
        "2",
        "Fix the login",
    ];
    let tasks = world.flux(run).run().success().json();
    let tasks = tasks.as_array().unwrap();
    let agents: Vec<_> = tasks.iter().map(|task| &task["agent"]).collect();
    assert_eq!(agents, ["claude", "claude", "codex", "codex"]);
    let first = tasks[0]["id"].as_str().unwrap();
    let name = first.strip_suffix("-1").unwrap();
    assert!(name.starts_with("fix-the-login-"), "{name}");
    for (at, task) in tasks.iter().enumerate() {
        assert_eq!(task["id"], *format!("{name}-{}", at + 1));
        let prompt = world.agent(task["id"].as_str().unwrap()).prompt();
        assert!(String::from_utf8_lossy(&prompt).contains("Fix the login"));
    }
}

#[test]
fn run_count_continues_after_a_start_that_fails() {
    let world = World::new();
    let fault = Fault::nth("tmux", 2, Mode::Fail);
    let words = "new-session";
    world.fault(&Fault { words, ..fault });
    let run = ["run", "--json", "--count", "3", "--name", "fix", "Fix it"];
    let output = world.flux(run).run();
    output
        .code(1)
        .stderr_has("could not start 'fix-2'; nothing was left behind")
        .stderr_has("error: 1 of 3 tasks did not start properly");
    let started = output.json();
    let started: Vec<_> = started
        .as_array()
        .unwrap()
        .iter()
        .map(|t| &t["id"])
        .collect();
    assert_eq!(started, ["fix-1", "fix-3"]);
    assert_eq!(ids(&world), ["fix-1", "fix-3"]);
    assert!(!world.worktree("fix-2").exists());
    assert!(
        world
            .try_git(["rev-parse", "--verify", "feature/fix-2"])
            .is_err()
    );
}

#[test]
fn run_count_reports_agents_that_exit_at_once_as_failed() {
    let world = World::new();
    world.behaviour("exit 3");
    let terminal = world.terminal(200, 50);
    terminal.command("git-flux run --count 2 --name fix Fix it");
    let screen = terminal.wait_for_screen("error: 2 of 2 tasks did not start properly");
    assert_eq!(terminal.exit_code(), 1);
    for said in ["the agent of 'fix-1' exited with status 3 at once", "fix-2"] {
        assert!(screen.contains(said), "no {said:?} in\n{screen}");
    }
    assert_eq!(ids(&world), ["fix-1", "fix-2"]);
}

#[test]
fn run_count_refuses_before_creating_anything_if_one_task_cannot_start() {
    let world = World::new();
    world.git(["branch", "feature/fix-2"]);
    let refused = |args: &[&str], code: i32, why: &str| {
        let before = world.snapshot();
        let run = world.flux(["run", "--name", "fix"].iter().chain(args));
        run.run().code(code).stderr_has(why);
        world.assert_unchanged(&before);
    };
    refused(
        &["--count=2", "Fix"],
        1,
        "the branch 'feature/fix-2' exists already",
    );
    refused(&["--agent", "claude,nobody", "Fix"], 1, "'nobody'");
    refused(&["-n0", "Fix"], 2, "0");
    refused(&["--count", "many", "Fix"], 2, "many");
    let attach = "--attach is for a single task";
    refused(&["--count=2", "--attach", "Fix"], 2, attach);
    // What is only to be said is said of each.
    let before = world.snapshot();
    let dry = ["run", "--dry-run", "--name", "new", "--count=2", "Fix"];
    let said = world.flux(dry).run();
    said.success()
        .stdout_has("Task ID: new-1")
        .stdout_has("Task ID: new-2");
    world.assert_unchanged(&before);
}

#[test]
fn run_count_opens_panes_until_there_is_no_room() {
    let world = World::new();
    let terminal = world.terminal_inside();
    let command = "git flux run --count 4 --name fix Fix it";
    assert_eq!(terminal.command(command).exit_code(), 0);
    let panes = world.tmux(["list-panes", "-a", "-F", "#{@flux_task} #{window_panes}"]);
    let of = |id: &str| panes.lines().find(|line| line.starts_with(id)).unwrap();
    for id in ["fix-1", "fix-2"] {
        assert_ne!(of(id), format!("{id} 1"), "{panes}");
    }
    for id in ["fix-3", "fix-4"] {
        assert_eq!(of(id), format!("{id} 1"), "{panes}");
    }
    let screen = terminal.screen();
    assert!(screen.contains("No room for another pane"), "{screen}");
}

#[test]
fn run_count_stops_all_starts_when_interrupted_and_keeps_files() {
    let world = World::new();
    let setup = "echo w >made; echo >../made; exec sleep 1000";
    world.git(["config", "flux.setup", setup]);
    let terminal = world.terminal(120, 30);
    terminal.command("git-flux run --count 3 --name fix 'Fix it'");
    let made = world.root().join("made");
    wait_until("the setup to begin", || made.exists());
    terminal.keys(["C-c"]);
    assert_eq!(terminal.exit_code(), 130, "{}", terminal.screen());
    terminal.wait_for_screen("its files are in '");
    terminal.wait_for_screen("0 of 3 tasks were started");
    assert_eq!(world.flux(["list", "--porcelain"]).ok(), "");
}
