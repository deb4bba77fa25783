//! Tests the ways in which tools of this kind lose work, at the start of a task. The other tests of this kind are in
//! `cases_reading`, `cases_refusal`, `cases_removal` and `cases_text`.

use std::fs;
use std::path::Path;
use std::thread;

use crate::world::removal::*;
use crate::world::*;

#[test]
fn run_refuses_a_worktree_path_that_exists() {
    let in_the_way: [fn(&World, &Path); 4] = [
        |world, path| drop(world.write(path.join("notes.txt"), "mine\n")),
        |world, path| drop(world.write(path.join(".hidden"), "mine\n")),
        |world, path| drop(world.write(path, "a file\n")),
        |_, path| std::os::unix::fs::symlink("nowhere", path).unwrap(),
    ];
    for make in in_the_way {
        let world = World::new();
        let path = world.worktree("fix");
        make(&world, &path);
        let before = world.snapshot();
        let output = world.flux(["run", "--name=fix", "Fix login"]).run();
        output
            .code(1)
            .stderr_has(&format!("'{}'", path.display()))
            .says(&expect![[r#"
                --- stderr
                error: '$WORLD/myapp-fix' exists already
                hint: choose another name with --name, or another place with: git config flux.worktreeDir <directory>
            "#]]);
        world.assert_unchanged(&before);
        assert_eq!(world.started_agents(), Vec::<String>::new());
    }
}
#[test]
fn run_creates_one_task_if_several_runs_use_the_same_name() {
    let world = World::new();
    world.behaviour("raw");
    world.commit_in(world.repo(), "README.md", "two\n");
    let bases = ["main", "main~1", "main", "main~1"];
    let outputs: Vec<(&str, Output)> = thread::scope(|scope| {
        let runs = bases.map(|base| {
            let world = &world;
            let run = ["run", "-q", "--name=same", "--base", base, "Fix login"];
            scope.spawn(move || (base, world.flux(run).run()))
        });
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    let (won, lost): (Vec<_>, Vec<_>) = outputs
        .iter()
        .partition(|(_, output)| output.code == Some(0));
    assert_eq!(won.len(), 1, "not one of them won");
    for (_, output) in lost {
        output.code(1).says(&expect![[r#"
            --- stderr
            error: the task 'same' exists already
            hint: to go to the task: git flux attach same
            hint: to merge and remove it: git flux cleanup same
        "#]]);
    }
    let base = commit(&world, won[0].0);
    assert_eq!(commit(&world, "refs/flux/base/same"), base);
    assert_eq!(tip(&world, "same"), base);
    assert_eq!(
        world.git_in(world.worktree("same"), ["rev-parse", "HEAD"]),
        base
    );
    let list = world.flux(["list", "--json"]).run().json();
    assert_eq!(
        (list.as_array().unwrap().len(), list[0]["base"].as_str()),
        (1, Some(&*base))
    );
    assert_eq!(world.agent("same").wait_started().starts(), 1);
}
#[test]
fn run_leaves_nothing_behind_when_a_program_fails() {
    for (program, words) in [
        ("tmux", "new-session"),
        ("git", "worktree add"),
        ("git", "reset --hard"),
        ("git", "config"),
        ("git", "update-ref"),
    ] {
        let world = World::new();
        world.behaviour("raw");
        let before = world.snapshot();
        world.fault(&Fault::every(program, words, Mode::Fail));
        let run = ["run", "-q", "--name=fix", "Fix login"];
        let output = world.flux(run).run();
        assert!(world.fault_fired(), "{words}");
        output.code(1).stdout_is("");
        // The program that is needed to undo it is the one that fails: then the next command does.
        world.clear_fault();
        if words == "config" || words == "update-ref" {
            world.flux(["cleanup", "nothing"]).run().code(1);
        }
        world.assert_unchanged(&before);
        world.assert_pristine();
        assert_eq!(world.flux(run).ok(), "fix");
        assert_eq!(world.agent("fix").wait_started().starts(), 1);
    }
}
#[test]
fn run_recovers_a_killed_run_and_keeps_its_prompt() {
    for (program, words) in [
        ("git", "worktree add"),
        ("git", "reset --hard"),
        ("tmux", "new-session"),
    ] {
        let world = World::new();
        world.behaviour("raw");
        world.fault(&Fault::every(program, words, Mode::KillAfter));
        world
            .flux(["run", "-q", "--name=fix", "Fix login, all of it"])
            .run()
            .killed();
        world.wait_fault_over();
        world.clear_fault();
        let record = "refs/flux/tasks/fix:prompt.md";
        assert_eq!(world.git(["show", record]), "Fix login, all of it");
        if words == "new-session" {
            // The agent was started, once, and with its prompt.
            world.agent("fix").wait_started();
        }
        let output = world.flux(["run", "--name=other", "Another"]).run();
        output.success().stderr_has("interrupted");
        if words == "new-session" {
            let prompt = String::from_utf8(world.agent("fix").prompt()).unwrap();
            assert!(prompt.contains("Fix login, all of it"), "{prompt}");
            assert_eq!(world.agent("fix").starts(), 1);
            let status = world.flux(["status", "--json", "fix"]).run().json();
            assert_eq!(
                (&status["phase"], &status["state"]),
                (&"active".into(), &"running".into())
            );
            world.flux(["cleanup", "-y", "fix"]).run().success();
        } else {
            assert_eq!(world.agent("fix").starts(), 0);
        }
        assert_removed(&world, "fix");
        assert_eq!(world.flux(["run", "-q", "--name=fix", "Again"]).ok(), "fix");
    }
}
#[test]
fn run_reports_a_missing_program_or_bad_setting_before_creating_anything() {
    let world = World::new();
    let before = world.snapshot();
    let check = |said: &str, flux: Flux<'_>| {
        let output = flux.run();
        output
            .code(1)
            .stdout_is("")
            .stderr_has(said)
            .stderr_has("hint: ");
        world.assert_unchanged(&before);
        world.assert_pristine();
    };
    let run = || world.flux(["run", "Fix login"]);
    check(
        "'claude' is not installed",
        run().env("PATH", world.path_without(["claude"])),
    );
    check("tmux", run().env("PATH", world.path_without(["tmux"])));
    check(
        "there is no agent 'nobody'",
        world.flux(["run", "--agent=nobody", "Fix login"]),
    );
    for (setting, said) in [
        ("flux.layout=sideways", "flux.layout"),
        ("flux.template=/nowhere.md", "/nowhere.md"),
        ("flux.branchPrefix=a..b/", "a..b/"),
        ("flux.claude.command='", "flux.claude.command"),
    ] {
        check(said, run().via_git_with(["-c", setting]));
    }
    assert_eq!(world.started_agents(), Vec::<String>::new());
}
#[test]
fn run_delivers_a_prompt_of_200_kb_in_a_file() {
    let world = World::new();
    world.behaviour("raw");
    let text = "All of this must arrive.\n".repeat(8_000) + "the end";
    assert!(text.len() > 200_000);
    let run = world.flux(["run", "-q", "--no-template", "--name=long", "-F", "-"]);
    run.stdin(&text).ok();
    let prompt = String::from_utf8(world.agent("long").prompt()).unwrap();
    assert!(prompt.len() < 1_000, "{prompt}");
    let path = prompt
        .split_whitespace()
        .find(|word| word.contains("/flux/run/long/"));
    let from = prompt
        .find('/')
        .unwrap_or_else(|| panic!("no path in {prompt} ({path:?})"));
    let file = (from..=prompt.len())
        .filter(|end| prompt.is_char_boundary(*end))
        .map(|end| Path::new(&prompt[from..end]))
        .find(|path| path.is_file());
    assert_eq!(
        world.read(file.unwrap_or_else(|| panic!("no file in {prompt}"))),
        text
    );
}
#[test]
fn run_fails_if_the_agent_exits_at_once() {
    let world = World::new();
    world.behaviour("sh echo cannot do that; exit 126");
    let terminal = world.terminal(200, 50);
    terminal.command("git-flux run --name fix Fix login");
    let screen = terminal.wait_for_screen("error: the agent of 'fix' exited with status 126");
    assert!(screen.contains("cannot do that"), "{screen}");
    assert_eq!(terminal.exit_code(), 1);
    // Where nobody looks, `wait` and `list` say it.
    world.flux(["run", "--name", "other", "Fix login"]).ok();
    let output = world.flux(["wait", "other"]).run();
    output.code(1).stdout_is("other exited(126)\n");
    world
        .flux(["list"])
        .run()
        .success()
        .stdout_has("exited(126)");
}
#[test]
fn run_keeps_every_setting_when_eight_runs_overlap() {
    let world = World::new();
    world.behaviour("raw");
    let clone = world.root().join("clone");
    let (from, to) = (world.repo(), clone.to_str().unwrap().to_owned());
    world.git(["clone", "-q", from.to_str().unwrap(), &to]);
    world.git_in(
        &clone,
        ["config", "flux.worktreeDir", world.root().to_str().unwrap()],
    );
    let names: Vec<String> = (0..8).map(|n| format!("task{n}")).collect();
    thread::scope(|scope| {
        for name in &names {
            let (world, clone) = (&world, &clone);
            let run = [
                "run",
                "-q",
                "--base=origin/main",
                "--name",
                name,
                "Fix login",
            ];
            scope.spawn(move || assert_eq!(world.flux(run).in_dir(clone).ok(), *name));
        }
    });
    for name in &names {
        let key = |key: &str| format!("branch.feature/{name}.{key}");
        let get = |key: &str| world.git_in(&clone, ["config", "--get-all", key]);
        assert_eq!(get(&key("fluxTask")), *name);
        assert_eq!(get(&key("description")), "Fix login");
        let upstream = ["config", "--get-regexp", &key("(merge|remote)")];
        let upstream = [&["-C", to.as_str()][..], &upstream].concat();
        world.try_git(upstream).unwrap_err();
        world.agent(name).wait_started();
    }
    let list = world.flux(["list", "--json"]).in_dir(&clone).run().json();
    assert_eq!(list.as_array().unwrap().len(), names.len());
}
#[test]
fn run_passes_the_prompt_as_an_argument_and_pastes_nothing() {
    let world = World::new();
    world.behaviour("raw");
    let id = world.start("Fix login\nin two lines, and press Enter");
    let agent = world.agent(&id);
    let argv = agent.argv();
    assert_eq!(argv[argv.len() - 2], b"--");
    let prompt = String::from_utf8(agent.prompt()).unwrap();
    assert!(
        prompt.contains("Fix login\nin two lines, and press Enter"),
        "{prompt}"
    );
    world.flux(["status", &id]).run().success();
    // What is typed later is all there ever was to read: no prompt, and no Enter, was before it.
    let status = world.flux(["status", "--json", &id]).run().json();
    let pane = status["target"]["pane"].as_str().unwrap();
    world.tmux(["send-keys", "-t", pane, "-l", "typed"]);
    assert_eq!(agent.wait_stdin("typed"), b"typed");
}
#[test]
fn run_and_cleanup_leave_a_branch_of_the_user_alone() {
    let world = World::new();
    world.git(["switch", "-q", "-c", "feature/fix"]);
    let mine = world.commit_in(world.repo(), "mine.txt", "mine\n");
    world.git(["switch", "-q", "main"]);
    let before = world.snapshot();
    let output = world.flux(["run", "--name=fix", "Fix login"]).run();
    output.code(1).says(&expect![[r#"
        --- stderr
        error: the branch 'feature/fix' exists already
        hint: choose another name with --name
        hint: to delete the branch: git branch -d feature/fix
    "#]]);
    world
        .flux(["cleanup", "-y", "--discard-branch", "fix"])
        .run()
        .code(1);
    world.assert_unchanged(&before);
    assert_eq!(tip(&world, "fix"), mine);
    // Nor one that lies in a directory of the branch's name, or is one.
    for other in ["feature/fix2/below", "feature"] {
        let world = World::new();
        world.git(["branch", other]);
        let before = world.snapshot();
        let output = world.flux(["run", "--name=fix2", "Fix login"]).run();
        output
            .code(1)
            .stderr_has(&format!("'{other}'"))
            .stderr_has("hint: ");
        world.assert_unchanged(&before);
    }
}
#[test]
fn cleanup_keeps_a_branch_that_was_replaced_during_the_merge() {
    let world = World::new();
    let id = done_task(&world);
    let branch = format!("refs/heads/feature/{id}");
    // Somebody rewrites the branch, unrelated to the task, after its merge was looked at: a hook does it here.
    let tree = world.git(["rev-parse", "main^{tree}"]);
    let other = world.git(["commit-tree", "-m", "somebody's", &tree]);
    let steal = format!("git update-ref {branch} {other}");
    crate::world::hooks::hook(
        &world,
        &world.repo().join(".git/hooks"),
        "post-merge",
        &steal,
    );
    let output = world.flux(["cleanup", &id]).run();
    output.has_not("panicked");
    assert_ne!(output.code, Some(0), "{output}");
    assert_eq!(commit(&world, &branch), other);
    assert!(fs::exists(world.worktree(&id)).unwrap());
}
