//! Tests settings at each level of git config, and with `git -c`.

use crate::world::*;

#[track_caller]
fn refused(world: &World, key: &str, value: &str, error: &[&str]) {
    let before = world.snapshot();
    let output = world
        .flux(["run", "Fix"])
        .via_git_with(["-c", &format!("{key}={value}")])
        .run();
    output.code(1).stderr_has("hint: ");
    for part in error {
        output.stderr_has(part);
    }
    world.assert_unchanged(&before);
}

#[test]
fn run_takes_the_agent_from_every_level_of_the_configuration() {
    let world = World::new();
    for name in ["one", "two", "three"] {
        world.install_agent(name);
        world.git(["config", &format!("flux.{name}.command"), name]);
    }
    let agent = |flux: Flux| {
        flux.run().success().json()["agent"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let run = || world.flux(["run", "--json", "Fix"]);
    assert_eq!(agent(run()), "claude");
    world.git(["config", "--global", "flux.agent", "one"]);
    assert_eq!(agent(run()), "one");
    world.git(["config", "flux.agent", "two"]);
    assert_eq!(agent(run()), "two");
    assert_eq!(
        agent(run().via_git_with(["-c", "flux.agent=three"])),
        "three"
    );
    assert_eq!(
        agent(world.flux(["run", "--json", "--agent", "claude", "Fix"])),
        "claude"
    );
}

#[test]
fn run_splits_the_command_of_an_agent_into_words_without_expansion() {
    let world = World::new();
    world.install_agent("robot");
    let command = r#"robot --flag 'two words' "with \"quotes\"" a\ b $HOME $(touch hacked) `x` ~ * '' {a,b} ;"#;
    world.git(["config", "flux.mine.command", command]);
    let id = world
        .flux([
            "run",
            "-q",
            "--no-template",
            "--agent",
            "mine",
            "--agent-arg=-x",
            "--",
            "-Fix",
        ])
        .ok();
    let argv = world.agent(&id).argv();
    let argv: Vec<&str> = argv
        .iter()
        .map(|arg| std::str::from_utf8(arg).unwrap())
        .collect();
    assert_eq!(
        argv,
        [
            "--flag",
            "two words",
            "with \"quotes\"",
            "a b",
            "$HOME",
            "$(touch",
            "hacked)",
            "`x`",
            "~",
            "*",
            "",
            "{a,b}",
            ";",
            "-x",
            "-Fix",
        ]
    );
    assert!(!world.worktree(&id).join("hacked").exists());
}

#[test]
fn run_compares_the_name_of_an_agent_case_sensitively() {
    let world = World::new();
    world.install_agent("robot");
    world.git(["config", "flux.My.Robot 2.command", "robot --big"]);
    world.git(["config", "flux.my.robot 2.command", "robot --small"]);
    let id = world
        .flux(["run", "-q", "--agent", "My.Robot 2", "Fix"])
        .ok();
    assert_eq!(world.agent(&id).argv()[0], b"--big");
    assert_eq!(
        world.flux(["status", "--json", &id]).run().json()["agent"],
        "My.Robot 2"
    );
}

#[test]
fn run_uses_the_configured_command_of_a_known_agent() {
    let world = World::new();
    world.install_agent("robot");
    world.git(["config", "flux.claude.command", "robot --model big"]);
    world.uninstall("claude");
    let id = world.flux(["run", "-q", "--no-template", "Fix"]).ok();
    let expected: [&[u8]; 4] = [b"--model", b"big", b"--", b"Fix"];
    assert_eq!(world.agent(&id).arguments(), expected);
}

#[test]
fn run_refuses_a_command_of_an_agent_that_cannot_be_parsed_or_found() {
    let world = World::new();
    world.git(["config", "flux.agent", "mine"]);
    refused(
        &world,
        "flux.mine.command",
        "robot 'open",
        &["flux.mine.command", "command line"],
    );
    refused(&world, "flux.mine.command", "", &["flux.mine.command"]);
    refused(
        &world,
        "flux.mine.command",
        "robot --flag",
        &["'mine' is not installed", "'robot'"],
    );
}

#[test]
fn run_names_the_available_agents_if_the_agent_is_missing() {
    let world = World::new();
    world.install_agent("robot");
    world.git(["config", "flux.mine.command", "robot"]);
    world.git(["config", "flux.other.command", "nowhere-to-be-found"]);
    world.uninstall("claude");
    let before = world.snapshot();
    let output = world.flux(["run", "Fix"]).run();
    output.code(1).says(&expect![[r#"
        --- stderr
        error: the agent 'claude' is not installed: no 'claude' on PATH
        hint: installed agents: mine, shell
        hint: to start a shell instead: git flux run --agent shell "<description>"
    "#]]);
    output.has_not("other");
    world.assert_unchanged(&before);
    let output = world.flux(["run", "--agent", "nobody", "Fix"]).run();
    output.code(1).says(&expect![[r#"
        --- stderr
        error: there is no agent 'nobody'
        hint: installed agents: mine, shell
        hint: git config flux.nobody.command '<program> <options>'
    "#]]);
    world.assert_unchanged(&before);
}

#[test]
fn run_with_the_shell_as_agent_shows_the_description() {
    let world = World::new();
    world.uninstall("claude");
    let task = world
        .flux(["run", "--json", "--agent", "shell", "Fix the\nlogin"])
        .run()
        .success()
        .json();
    let worktree = task["worktree"].as_str().unwrap();
    let pane = task["target"]["pane"].as_str().unwrap();
    let screen = || world.tmux(["capture-pane", "-p", "-J", "-S", "-", "-t", pane]);
    wait_until("the task on the screen", || {
        screen().contains("Fix the\nlogin")
    });
    world.tmux([
        "send-keys",
        "-t",
        pane,
        "pwd -P >here; echo $FLUX_TASK >>here",
        "Enter",
    ]);
    let expected = format!("{worktree}\n{}\n", task["id"].as_str().unwrap());
    wait_until("the shell to say where it is", || {
        std::fs::read_to_string(format!("{worktree}/here")).is_ok_and(|text| text == expected)
    });
}

#[test]
fn run_uses_the_configured_branch_prefix() {
    let world = World::new();
    for (at, (prefix, branch)) in [
        ("task/", "task/a0"),
        ("me/tasks/", "me/tasks/a1"),
        ("wip-", "wip-a2"),
        ("", "a3"),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("a{at}");
        let option = format!("flux.branchPrefix={prefix}");
        let run = world
            .flux(["run", "--json", "--name", &name, "Fix"])
            .via_git_with(["-c", &option]);
        assert_eq!(run.run().success().json()["branch"], branch);
        assert_eq!(
            world.git_in(world.worktree(&name), ["branch", "--show-current"]),
            branch
        );
    }
    for prefix in ["a..b/", "-", "/", "a b/", "x.lock/", "refs/heads/../"] {
        refused(
            &world,
            "flux.branchPrefix",
            prefix,
            &["not a valid branch name"],
        );
    }
}

#[test]
fn run_uses_the_configured_worktree_directory() {
    let world = World::new();
    let elsewhere = world.root().join("else where");
    for (at, (dir, expected)) in [
        (elsewhere.to_str().unwrap(), elsewhere.clone()),
        ("../near/by", world.root().join("near/by")),
        ("~/trees", world.tools().join("home/trees")),
        (".trees", world.repo().join(".trees")),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("a{at}");
        world.git(["config", "flux.worktreeDir", dir]);
        // Relative to the main worktree, wherever the user stands.
        let run = world
            .flux(["run", "-q", "--name", &name, "Fix"])
            .in_dir("src");
        run.ok();
        let worktree = expected.join(format!("myapp-{name}"));
        assert_eq!(world.agent(&name).cwd(), worktree.join("src"));
        assert_eq!(
            world.git(["rev-parse", &format!("feature/{name}")]),
            world.git_in(&worktree, ["rev-parse", "HEAD"])
        );
    }
}

#[test]
fn run_uses_the_configured_template() {
    let world = World::new();
    std::fs::write(world.tools().join("home/mine.md"), "Mine: {{task}}").unwrap();
    world.git(["config", "--global", "flux.template", "~/mine.md"]);
    let id = world.flux(["run", "-q", "Fix"]).in_dir("src").ok();
    assert_eq!(world.agent(&id).prompt(), b"Mine: Fix");
    let id = world.flux(["run", "-q", "--no-template", "Fix"]).ok();
    assert_eq!(world.agent(&id).prompt(), b"Fix");
}

#[test]
fn run_refuses_settings_with_bad_values() {
    let world = World::new();
    refused(
        &world,
        "flux.layout",
        "middle",
        &["'middle'", "flux.layout", "command line"],
    );
    refused(
        &world,
        "flux.template",
        "no/such/file",
        &["no/such/file", "flux.template"],
    );
    world.git(["config", "flux.layout", "middle"]);
    let before = world.snapshot();
    world.flux(["run", "Fix"]).run().code(1).says(&expect![[r#"
        --- stderr
        error: bad value 'middle' for 'flux.layout' in file '.git/config'
        hint: use one of auto, pane, window, session
    "#]]);
    world.assert_unchanged(&before);
}
